# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""`seeclear upscale`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .app import app, dtype_name, one_line_errors, quiet


@app.command()
def upscale(
    path_in: Annotated[Path, typer.Argument(metavar="IN", help="A video file, or a folder of images.")],
    path_out: Annotated[
        Path, typer.Argument(metavar="OUT", help="A .mp4, .mov, .mkv or .webm file, or a folder for PNGs.")
    ],
    model: Annotated[str, typer.Option(help="A shipped model, a folder, or a hub id.")] = "seeclear-tiny",
    steps: Annotated[
        int | None, typer.Option(help="Denoising steps; default: the model's.", show_default=False)
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(help="markov, resshift or ddim; default: the model's.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    noise: Annotated[str, typer.Option(help="How far a draw of noise reaches: video, clip or frame.")] = "clip",
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, mps, ...; default: the fastest.", show_default=False)
    ] = None,
    dtype: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    compare: Annotated[
        Path | None,
        typer.Option(metavar="PNG_OR_MP4", help="Write bicubic and ours side by side: middle frame or video."),
    ] = None,
) -> None:
    """Upscale a video. Frames per second and sound are kept; images become a video of 25 frames per second."""
    with one_line_errors():
        quiet()
        from seeclear.upscale import upscale_video

        result = upscale_video(
            path_in,
            path_out,
            model=model,
            num_inference_steps=steps,
            sampler=sampler,
            noise=noise,
            seed=seed,
            device=device,
            dtype=dtype,
            compare=compare,
        )
        typer.echo(
            f"{result.path}: {result.frames} frames of {result.width}x{result.height} in {result.seconds:.1f} s "
            f"({result.seconds / result.frames:.2f} s a frame, {result.device}, {dtype_name(result.dtype)})"
        )
