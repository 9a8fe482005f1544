# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""`seeclear upscale`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seeclear.shipped import DEFAULT_MODEL

from .app import ERROR, INTERRUPTED, app, dtype_name, fail, one_line_errors, quiet

if TYPE_CHECKING:
    from seeclear.app.upscale import FolderResult, UpscaleResult

STATUSES = ("done", "skipped", "failed")


@app.command()
def upscale(
    path_in: Annotated[
        Path, typer.Argument(metavar="IN", help="A video, an image, a folder of images, or a folder of many of these.")
    ],
    path_out: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="A .mp4, .mov, .mkv, .webm, .gif or .png file, or a folder."),
    ],
    model: Annotated[str, typer.Option(help="A shipped model, a folder, or a hub id.")] = DEFAULT_MODEL,
    scale: Annotated[
        float | None, typer.Option(help="1 to 4, any number; default: the model's.", show_default=False)
    ] = None,
    width: Annotated[int | None, typer.Option(help="Of the output, instead of --scale.", show_default=False)] = None,
    height: Annotated[
        int | None,
        typer.Option(help="Of the output; one of the two keeps the aspect ratio.", show_default=False),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Denoising steps; default: the model's.", show_default=False)
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(help="markov, resshift or ddim; default: the model's.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    noise: Annotated[str, typer.Option(help="How far a draw of noise reaches: video, clip or frame.")] = "video",
    clip_overlap: Annotated[
        int | None, typer.Option(help="Frames that two clips share and that are blended.", show_default=False)
    ] = None,
    scene_detection: Annotated[
        bool, typer.Option("--scene-detection/--no-scene-detection", help="Let a scene cut end a clip.")
    ] = True,
    memory: Annotated[
        str | None,
        typer.Option(
            help="Choose the tile that fits into this, such as 4GB; default: 4GB, more for large frames.",
            show_default=False,
        ),
    ] = None,
    tile: Annotated[
        str | None,
        typer.Option(help="Instead: side of a tile in input pixels, HxW, or 0: whole frames.", show_default=False),
    ] = None,
    tile_overlap: Annotated[
        int | None, typer.Option(help="Input pixels that two tiles share and that are blended.", show_default=False)
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, mps, ...; default: the fastest.", show_default=False)
    ] = None,
    dtype: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    codec: Annotated[
        str | None,
        typer.Option(help="h264, h265, vp9, av1, ffv1, prores.", show_default=False),
    ] = None,
    crf: Annotated[
        int | None, typer.Option(help="The encoder's quality; lower is better.", show_default=False)
    ] = None,
    preset: Annotated[str | None, typer.Option(help="The encoder's speed.", show_default=False)] = None,
    pix_fmt: Annotated[str | None, typer.Option(help="Pixel format, such as yuv420p10le.", show_default=False)] = None,
    compare: Annotated[
        Path | None,
        typer.Option(metavar="PNG_OR_MP4", help="Write bicubic and ours side by side: middle frame or video."),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Throw away what an interrupted run has left, and begin anew.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done, in how much memory and time.")
    ] = False,
) -> None:
    """Upscale videos. Time stamps, sound and all other streams are kept.

    Interrupted, the same command goes on where it stopped. A folder of videos or of folders of images is many videos:
    those that are done are skipped, and a bad one does not stop the others.
    """
    with one_line_errors():
        quiet()
        from seeclear.app.jobs import JobInterrupted, UpscaleSettings, parse_tile
        from seeclear.app.upscale import forecast_upscaling, has_many_videos, upscale_folder, upscale_video

        settings = UpscaleSettings(
            model=model,
            num_inference_steps=steps,
            sampler=sampler,
            noise=noise,
            seed=seed,
            device=device,
            dtype=dtype,
            scale=scale,
            width=width,
            height=height,
            clip_overlap=clip_overlap,
            tile=None if tile is None else parse_tile(tile),
            tile_overlap=tile_overlap,
            memory=memory,
            scene_detection=scene_detection,
            codec=codec,
            crf=crf,
            preset=preset,
            pix_fmt=pix_fmt,
        )
        many = has_many_videos(path_in, path_out)
        if many and compare is not None:
            raise ValueError(f"`--compare` is for one video, but {path_in} has many.")
        try:
            if dry_run:
                for forecast in forecast_upscaling(path_in, path_out, settings):
                    _say(forecast.describe())
            elif many:
                results = upscale_folder(path_in, path_out, settings, restart=restart, report=_report)
                _sum_up(results)
            else:
                result = upscale_video(path_in, path_out, settings, compare=compare, restart=restart)
                _say(_describe(result))
        except JobInterrupted as interruption:
            fail(str(interruption))
            raise typer.Exit(INTERRUPTED) from None


def _describe(result: UpscaleResult) -> str:
    text = f"{result.path}: {result.frames} frames of {result.width}x{result.height} in {result.seconds:.1f} s"
    details = [str(result.device), dtype_name(result.dtype)]
    if result.restored_frames == result.frames:
        details.insert(0, f"{result.seconds / result.frames:.2f} s a frame")
    else:  # an interrupted run went on, or other processes made the rest
        details.insert(0, f"{result.restored_frames} of them made here and now")
    return f"{text} ({', '.join(details)})"


def _report(outcome: FolderResult) -> None:
    """Says what became of one video of many."""
    if outcome.result is not None:
        _say(_describe(outcome.result))
    elif outcome.error is None:
        _say(f"{outcome.path_out}: skipped, it was made before from this input with these settings")
    elif _leads():
        fail(str(outcome.error))


def _sum_up(outcomes: list[FolderResult]) -> None:
    """The last line of a run over many videos; its exit code says whether all is well."""
    counts = {status: sum(outcome.status == status for outcome in outcomes) for status in STATUSES}
    _say(", ".join(f"{count} {status}" for status, count in counts.items()))
    if counts["failed"] and _leads():
        raise typer.Exit(ERROR)


def _leads() -> bool:
    """Whether this is the first, or only, process of a launch."""
    return os.environ.get("RANK", "0") == "0"


def _say(text: str) -> None:
    """Of several processes, one speaks."""
    if _leads():
        typer.echo(text)
