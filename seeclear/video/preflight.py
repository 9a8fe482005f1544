# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""An output of the real kind written before any work: its head, a frame, some packets of every stream, its end.

What a container refuses often shows when its end is written. Tried beforehand it is a sentence, and not the loss of
days of work.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import av
import numpy as np

from seeclear.files import existing_folder, target_of, unwritable
from seeclear.video.codecs import EncodeSettings
from seeclear.video.container import open_container, timecode
from seeclear.video.copying import SourceStreams
from seeclear.video.encode import encode_part
from seeclear.video.muxing import Pictures, write_video, write_what_fits
from seeclear.video.planning import StreamPlan
from seeclear.video.properties import VideoProperties


def try_output(
    path: Path, properties: VideoProperties, settings: EncodeSettings, source: Path | None, plan: StreamPlan | None
) -> list[str]:
    """Writes a file like the output beside it, in a folder that is gone afterwards.

    Args:
        path: of the output.
        properties: of the output, from `output_properties`.
        settings: how it is to be coded.
        source: the video file, None where nothing of it goes along.
        plan: what becomes of its streams.

    Returns:
        Sentences about what the file that was written has not kept.

    Raises:
        ValueError: the encoder does not take the frames, the container does not take them or what goes along, or the
            folder cannot be written to.
    """
    if properties.kind != "video":
        return []
    with _scratch_folder(path) as folder:
        part, trial = folder / "part", folder / f"trial{path.suffix.lower()}"
        _encode_grey(path, part, properties, settings)
        pictures = Pictures.survey([part], [(0, max(1, round(1 / (properties.fps * properties.time_base))))])
        if source is None or plan is None:
            _write(path, lambda _: write_video(trial, pictures, properties, None), [])
            return []

        def write(without: Collection[int]) -> None:
            with SourceStreams(source, plan, without, samples=True) as others:
                write_video(trial, pictures, properties, others)

        refused = _write(path, write, plan.indices)
        if refused:
            index, reason = next(iter(refused.items()))
            raise ValueError(
                f"{path}: a {path.suffix.lower()} file cannot hold the stream #{index} of {source} beside the others "
                f"({reason}); write another kind of file."
            )
        with open_container(source) as before, open_container(trial) as after:
            code = timecode(before)
            if code is not None and timecode(after) != code:
                return [f"{path}: the time code {code} of {source} cannot be kept."]
    return []


def _write(path: Path, write: Callable[[Collection[int]], None], streams: list[int]) -> dict[int, str]:
    try:
        return write_what_fits(write, streams)
    except (av.FFmpegError, OSError) as error:
        raise ValueError(f"{path}: cannot be written ({error.strerror}).") from error


@contextlib.contextmanager
def _scratch_folder(path: Path) -> Iterator[Path]:
    """A folder beside the output that nobody else can look into; in the nearest one that is there, if it has none."""
    try:
        with tempfile.TemporaryDirectory(prefix=".seeclear-", dir=existing_folder(target_of(path))) as folder:
            yield Path(os.path.abspath(folder))
    except OSError as error:
        raise unwritable(path, error) from error


def _encode_grey(path: Path, part: Path, properties: VideoProperties, settings: EncodeSettings) -> None:
    """Codes one grey frame, since encoders have limits of size of their own.

    x265 refuses about one video in a thousand and takes it the next time, so a refusal counts when it is repeated.
    """
    grey = np.full((properties.height, properties.width, 3), 0.5, np.float32)
    try:
        with contextlib.suppress(ValueError):
            encode_part(part, [(grey, None)], properties, settings)
            return
        encode_part(part, [(grey, None)], properties, settings)
    except ValueError as error:
        if isinstance(error.__cause__, OSError):  # the disk, not the encoder
            raise unwritable(path, error.__cause__) from error
        raise ValueError(
            f"{path}: the encoder of {properties.codec} does not take frames of "
            f"{properties.width}x{properties.height} in {properties.pix_fmt}; choose another `codec`."
        ) from error
