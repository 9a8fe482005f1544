# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Whether an output can be written, asked before any work is done."""

from __future__ import annotations

import os
from pathlib import Path

from seeclear.files import check_place
from seeclear.video.codecs import EncodeSettings, output_kind, output_properties
from seeclear.video.images import list_images, png_names
from seeclear.video.planning import plan_streams
from seeclear.video.preflight import try_output
from seeclear.video.properties import VideoProperties
from seeclear.video.sound import check_audio


def check_output(
    path: str | os.PathLike[str],
    source: VideoProperties,
    settings: EncodeSettings | None = None,
    size: tuple[int, int] | None = None,
    drop_unsupported: bool = False,
    place: bool = True,
) -> list[str]:
    """Whether an output can be written: a file of its kind with some of what it is to hold is written and removed.

    Args:
        path: of the output.
        source: properties of the video that is upscaled.
        settings: how it is to be coded.
        size: (height, width) of the output; None stands for four times the source's.
        drop_unsupported: leave out sound and subtitles that the output cannot hold, which is an error otherwise.
        place: also see whether it can be written where it is to be.

    Returns:
        Sentences about what the output cannot keep of the source, though it is written: for a user to read.

    Raises:
        ValueError: the place cannot be written to, ending and settings do not go together, or the output cannot hold
            a stream of the source. The message says what could.
    """
    path, settings = Path(path), settings or EncodeSettings()
    kind = output_kind(path)
    if kind == "folder" and path.exists() and not path.is_dir():
        raise ValueError(f"{path}: cannot be written as a folder, there is a file of that name.")
    if place:
        check_place(path, folder=kind == "folder")
    if source.path is not None and path.exists() and path.samefile(source.path):
        raise ValueError(f"{path}: the output must be another file than the input.")
    properties = output_properties(source, path, size or (4 * source.height, 4 * source.width), settings)
    check_audio(settings.audio)
    if kind == "folder" and source.path is not None and source.kind == "folder":
        png_names(list_images(source.path))
    if kind == "image" and source.num_frames != 1:
        count = "may have more" if source.num_frames is None else f"has {source.num_frames}"
        raise ValueError(
            f"{path}: an image holds one frame, but {source.path} {count}; for a video name a folder, without an "
            "ending."
        )
    notes = [*source.notes, *properties.notes]
    if properties.bit_depth < source.bit_depth:
        notes.append(f"{path}: {source.bit_depth} bits a channel become {properties.bit_depth} ({properties.codec}).")
    if source.has_alpha and not properties.has_alpha:
        notes.append(f"{path}: alpha is left out, as {properties.pix_fmt} has none.")
    notes += [f"{path}: {name} cannot be kept." for name in source.not_copied]
    if kind != "video" and source.display_matrix is not None:
        notes.append(f"{path}: images are as stored, not turned by the {source.rotation} degrees of the video.")
    if kind != "video" and source.sample_aspect_ratio not in (None, 1):
        notes.append(f"{path}: images have square pixels, the video has pixels of {source.sample_aspect_ratio}.")
    if kind == "gif":
        notes.append(f"{path}: a GIF has 256 colours a frame and times of 1/100 s.")
    if source.kind != "video" or source.path is None:
        return notes + try_output(path, properties, settings, None, None)
    plan = plan_streams(source.path, path, settings.audio)
    if plan.refused and not drop_unsupported:
        raise ValueError(plan.refused[0])
    return [*notes, *plan.refused, *plan.notes, *try_output(path, properties, settings, source.path, plan)]
