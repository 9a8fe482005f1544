# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""`seeclear upscale`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import typer

from seeclear.shipped import AUTOMATIC_MODEL
from seeclear.wording import counted

from . import options
from .output import fail, leads, say
from .root import app
from .session import ERROR, as_typed, session

if TYPE_CHECKING:
    from seeclear.app.jobs import Forecast, UpscaleResult, UpscaleSettings

STATUSES = ("done", "skipped", "failed")


@app.command()
def upscale(
    context: typer.Context,
    path_in: options.PathIn,
    path_out: options.PathOut,
    model: options.AutomaticModel = AUTOMATIC_MODEL,
    scale: options.Scale = None,
    width: options.Width = None,
    height: options.Height = None,
    exact_size: options.ExactSize = False,
    num_inference_steps: options.Steps = None,
    sampler: options.Sampler = None,
    seed: options.Seed = 0,
    noise: options.Noise = "video",
    vocabulary: options.Vocabulary = None,
    detail: options.Detail = 1.0,
    grain: options.Grain = 0.0,
    scene_detection: options.SceneDetection = True,
    clip_length: options.ClipLength = None,
    clip_overlap: options.ClipOverlap = None,
    memory: options.Memory = None,
    tile: options.Tile = None,
    tile_overlap: options.TileOverlap = None,
    device: options.Device = None,
    dtype: options.Dtype = "auto",
    codec: options.Codec = None,
    crf: options.Crf = None,
    preset: options.Preset = None,
    pix_fmt: options.PixFmt = None,
    audio: options.Audio = "copy",
    fps: options.Fps = None,
    start: options.Start = None,
    duration: options.Duration = None,
    frames: options.Frames = None,
    deinterlace: options.Deinterlace = False,
    images: options.Images = None,
    compare: options.Compare = None,
    overwrite: options.Overwrite = False,
    skip: options.Skip = False,
    restart: options.Restart = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Upscale videos and images. Time stamps, sound and all other streams are kept.

    Interrupted, the same command goes on where it stopped. A folder of videos, of folders of images or of pictures is
    many: those that are done are skipped, and a bad one does not stop the others. How each output was made is written
    down in a folder .seeclear beside it, by which it is known to be done. Which model restores a video is decided by
    its look, and said, unless one is named.
    """
    with session(context, quiet, verbose):
        from seeclear.app.upscale import forecast_upscaling, has_many_videos, upscale_folder, upscale_video

        settings = read_settings(context.params)
        there: dict[str, bool] = {"restart": restart, "overwrite": overwrite, "skip": skip}
        many = has_many_videos(path_in, path_out, images)
        if many and compare is not None:
            raise ValueError(f"`compare` is for one video, but {path_in} has many.")
        speaks = leads() and not quiet
        if dry_run:
            forecasts = []
            for forecast in forecast_upscaling(path_in, path_out, settings, images=images, compare=compare, **there):
                forecasts.append(forecast)
                _report(forecast, context, speaks)
            _end(forecasts, speaks=False)
        elif many:
            results = upscale_folder(
                path_in,
                path_out,
                settings,
                images=images,
                **there,
                progress=not quiet,
                report=lambda result: _report(result, context, speaks),
            )
            _end(results, speaks)
        else:
            result = upscale_video(path_in, path_out, settings, compare=compare, **there, progress=not quiet)
            _report(result, context, speaks)


def read_settings(parameters: Mapping[str, Any]) -> UpscaleSettings:
    """The settings among a command's parameters; one that was not given is left at its default.

    Raises:
        ValueError: one is of another form, out of its range, or does not go together with another.
    """
    from seeclear.app.jobs import UpscaleSettings, parse_fps, parse_tile

    names = {field.name for field in fields(UpscaleSettings)}
    given = {name: value for name, value in parameters.items() if name in names and value not in (None, (), [])}
    if "tile" in given:
        if "memory" in given:
            raise ValueError("give `tile` or `memory`, not both: the tile is chosen from the memory.")
        given |= {"tile": parse_tile(given["tile"]), "memory": None}
    if "fps" in given:
        given["fps"] = parse_fps(given["fps"])
    if "vocabulary" in given:
        given["vocabulary"] = tuple(given["vocabulary"])
    return UpscaleSettings(**given)


def _report(result: Forecast | UpscaleResult, context: typer.Context, speaks: bool) -> None:
    """Says what became of one video, or what would; an error of many is said by the first process, quiet or not."""
    from seeclear.app.jobs import Forecast

    if isinstance(result, Forecast):
        if speaks:
            say(as_typed(result.describe(), context))
    elif result.error is not None:
        if leads():
            fail(as_typed(str(result.error), context))
    elif speaks:
        say(_describe(result))


def _describe(result: UpscaleResult) -> str:
    if result.status == "skipped":
        return f"{result.path_out}: skipped, {result.reason}"
    size = f"{result.width}x{result.height}"
    text = f"{result.path_out}: {counted(result.frames, 'frame')} of {size} in {result.seconds:.1f} s"
    details = [str(result.device), str(result.dtype).removeprefix("torch.")]
    if result.restored_frames == result.frames:
        details.insert(0, f"{result.seconds / result.frames:.2f} s a frame")
    else:  # an interrupted run went on, or other processes made the rest
        details.insert(0, f"{result.restored_frames} of them made here and now")
    return f"{text} ({', '.join(details)})"


def _end(results: Sequence[Forecast | UpscaleResult], speaks: bool) -> None:
    """The last line of a run over many videos; its exit code says whether all is well."""
    statuses = [getattr(result, "status", "forecast") for result in results]
    if speaks:
        say(", ".join(f"{statuses.count(status)} {status}" for status in STATUSES))
    if "failed" in statuses and leads():
        raise typer.Exit(ERROR)
