# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Upscales videos, pictures and folders of these: what the command line calls."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from seeclear.app.jobs import (
    Forecast,
    Handling,
    Job,
    LoadedModel,
    Processes,
    UpscaleResult,
    UpscaleSettings,
    join_processes,
    list_videos,
    make_forecast,
    run_jobs,
)
from seeclear.app.paths import PathLike, local_path
from seeclear.app.progress import Bars
from seeclear.runtime import choose_device, parse_dtype
from seeclear.video.images import IMAGE_SUFFIXES

logger = logging.getLogger(__name__)


def upscale_video(
    path_in: PathLike,
    path_out: PathLike,
    settings: UpscaleSettings | None = None,
    *,
    compare: PathLike | None = None,
    restart: bool = False,
    overwrite: bool = False,
    skip: bool = False,
    progress: bool = True,
    **changes: Any,
) -> UpscaleResult:
    """Upscales a video or an image.

    Unless a model is named, `seeclear.app.models.choose_model` looks at the video and takes one, which a note says; a
    run that goes on keeps it. Time stamps are kept, and sound, subtitles and all other streams are copied. Memory does
    not grow with the length of the video. Nothing appears under the final names before it is whole. What is finished
    is kept in a hidden folder beside the output until then: called again, it goes on where it was interrupted, and the
    file has the same bytes as that of an undisturbed run (with the same libraries on the same kind of machine, with as
    many threads).

    An output that is there is not lost: if it was made from this input with these settings (a record in the folder
    `.seeclear` beside it says so), there is nothing to do; any other is an error, unless `overwrite` or `skip` is set.

    Args:
        path_in: a video file, an image, or a folder of images of one size, which are its frames.
        path_out: a file whose ending names the container or the kind of image, or a name without ending for a folder
            of PNGs.
        settings: all that decides what the output looks like.
        compare: a .png (middle frame) or video file that gets bicubic and ours side by side.
        restart: throw away what an interrupted run has left.
        overwrite: make the output anew and replace the one that is there; of a folder only one that holds images
            alone.
        skip: leave an output that is there as it is, however it was made.
        progress: show a bar with the time left (on a terminal only).
        changes: single settings by their names, as in `upscale_video("in.mp4", "out.mp4", scale=2, seed=3)`.

    Raises:
        ValueError: input, output, model or a setting is not usable, an output is there, or an interrupted run was
            begun in another way; the message says which and why.
        KeyboardInterrupt: Ctrl-C; its text says how to go on.
    """
    settings = replace(settings or UpscaleSettings(), **changes)
    pair = (local_path(path_in, "path_in"), local_path(path_out, "path_out"))
    processes, load = _prepare(settings)
    handling = Handling(restart, overwrite, skip)
    side = None if compare is None else local_path(compare, "compare")
    jobs = [Job(*pair, settings, load, handling, side, processes.leads)]
    with Bars(progress and processes.leads) as bars:
        (result,) = run_jobs(jobs, processes, bars, lambda _: None)
    if result.error is not None:
        raise result.error
    return result


def upscale_folder(
    folder_in: PathLike,
    folder_out: PathLike,
    settings: UpscaleSettings | None = None,
    *,
    images: bool | None = None,
    restart: bool = False,
    overwrite: bool = False,
    skip: bool = False,
    progress: bool = True,
    report: Callable[[UpscaleResult], object] = lambda _: None,
    **changes: Any,
) -> list[UpscaleResult]:
    """Upscales all videos and pictures in a folder, each as `upscale_video` does, and with the model for it where none
    is named; a bad one does not stop the others.

    Those that are done are skipped. Under `accelerate launch -m seeclear upscale` several processes share the videos
    and their scenes.

    Args:
        folder_in: a folder of video files, folders of images, or pictures.
        folder_out: gets an output for each; it is made if there is none.
        images: whether the images of a folder are pictures, each upscaled by itself (True), or the frames of a video
            (False); None takes them for pictures where their sizes differ or their names do not count up evenly.
        settings, restart, overwrite, skip, progress, changes: as in `upscale_video`.
        report: called with what became of each as soon as it is known.

    Returns:
        What became of each; in a process that only helps, of those it took part in.

    Raises:
        ValueError: `folder_in` is not such a folder, or the model or a setting is not usable.
        KeyboardInterrupt: Ctrl-C; its text says how to go on.
    """
    settings = replace(settings or UpscaleSettings(), **changes)
    folder_in, folder_out = local_path(folder_in, "folder_in"), local_path(folder_out, "folder_out")
    pairs = list_videos(folder_in, folder_out, images)
    if pairs is None:
        raise ValueError(f"{folder_in}: must be a folder of videos, of folders of images, or of pictures.")
    processes, load = _prepare(settings)
    handling = Handling(restart, overwrite, skip)
    try:
        folder_out.mkdir(exist_ok=True)
        for _, output in pairs:
            output.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise ValueError(f"{folder_out}: cannot be written ({error.strerror}).") from error
    if processes.leads and images is None:
        _note_pictures(folder_in, pairs)
    jobs = [Job(*pair, settings, load, handling, leads=processes.leads) for pair in pairs]
    with Bars(progress and processes.leads) as bars:
        return run_jobs(jobs, processes, bars, report)


def forecast_upscaling(
    path_in: PathLike,
    path_out: PathLike,
    settings: UpscaleSettings | None = None,
    *,
    images: bool | None = None,
    compare: PathLike | None = None,
    restart: bool = False,
    overwrite: bool = False,
    skip: bool = False,
    **changes: Any,
) -> Iterator[Forecast | UpscaleResult]:
    """What `upscale_video`, or `upscale_folder` where `path_in` has many videos, would do; nothing is written.

    The first clip of each video is restored to see how long that takes.

    Yields:
        A forecast for each that would be upscaled, and for the others the result: skipped or, of many, failed.

    Raises:
        ValueError: as these two.
    """
    settings = replace(settings or UpscaleSettings(), **changes)
    path_in, path_out = local_path(path_in, "path_in"), local_path(path_out, "path_out")
    pairs = list_videos(path_in, path_out, images)
    _, load = _prepare(settings)
    handling = Handling(restart, overwrite, skip)
    side = None if compare is None else local_path(compare, "compare")
    if pairs is not None and images is None:
        _note_pictures(path_in, pairs)
    for video, output in pairs or [(path_in, path_out)]:
        job = Job(video, output, settings, load, handling, side)
        try:
            job.open(check_place=output.parent.is_dir() or pairs is None)
            yield job.result or make_forecast(video, output, job.reader, job.plan, job.model, job.notes)
        except (ValueError, OSError) as error:
            if pairs is None:
                raise
            yield UpscaleResult(video, output, "failed", error=error)
        finally:
            job.close()


def has_many_videos(path_in: PathLike, path_out: PathLike, images: bool | None = None) -> bool:
    """Whether `path_in` is for `upscale_folder`; raises a ValueError where that is not clear."""
    return list_videos(local_path(path_in, "path_in"), local_path(path_out, "path_out"), images) is not None


def _prepare(settings: UpscaleSettings) -> tuple[Processes, Callable[[str], LoadedModel]]:
    """Who shares the work, and what loads a model by its name when it is first needed, and once."""
    chosen = choose_device(settings.device)
    processes = join_processes(chosen, settings.device is not None)
    dtype, reason = parse_dtype(settings.dtype, processes.device)
    if processes.leads:
        logger.info(f"Device {processes.device}, {str(dtype).removeprefix('torch.')}: {reason}.")
    return processes, cache(lambda model: LoadedModel.load(model, processes.device, dtype))


def _note_pictures(folder: Path, pairs: Sequence[tuple[Path, Path]]) -> None:
    """Says that images are taken for pictures where nobody asked for that."""
    if any(video.suffix.lower() in IMAGE_SUFFIXES and video.is_file() for video, _ in pairs):
        logger.warning(
            f"{folder}: images are upscaled each by itself, as their sizes or names are not those of a video's frames "
            "(`images` decides it)."
        )
