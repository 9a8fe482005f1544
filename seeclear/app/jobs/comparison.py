# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Bicubic and ours side by side, from the input and the finished output: it shows what is in that file."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from seeclear.files import unwritable
from seeclear.video.compare import CompareWriter
from seeclear.video.properties import Frame
from seeclear.video.reader import VideoReader

from .records import write_record


def check_comparison(path: Path, fps: Fraction) -> None:
    """Raises a ValueError if `write_comparison` would for `path`."""
    CompareWriter(path, fps, 1).__exit__(InterruptedError, None, None)


def comparison_manifest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """All that decides a comparison of an output that is made as `manifest` says."""
    return {**manifest, "comparison": 1}


def write_comparison(
    path: Path, reader: VideoReader, output: Path, num_frames: int, manifest: Mapping[str, Any]
) -> None:
    """Writes the middle frame to a .png file, or all frames to a video, and the record of it.

    Args:
        path: of the comparison; a file there is replaced.
        reader: of the input.
        output: the finished output.
        num_frames: of both.
        manifest: what decides the output.
    """
    draft = path.with_name(f".{path.stem}.comparison{path.suffix}")
    try:
        _write_pairs(draft, reader, output, num_frames)
        write_record(path, draft, comparison_manifest(manifest), num_frames)
        draft.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        draft.unlink(missing_ok=True)


def _write_pairs(path: Path, reader: VideoReader, output: Path, num_frames: int) -> None:
    first, stop = 0, num_frames
    if path.suffix.lower() == ".png":
        first = num_frames // 2
        stop = first + 1
    # images may name colours of their own, which a comparison does not
    with (
        VideoReader(reader.path, srgb=True, excerpt=reader.excerpt, deinterlace=reader.deinterlace) as source,
        VideoReader(output, srgb=True) as restored,
        CompareWriter(path, reader.fps, stop - first) as writer,
    ):
        pairs = zip(source.frames(first), restored.frames(first), strict=True)
        for low_res, high_res in itertools.islice(pairs, stop - first):
            writer.write(_to_uint8(low_res), _to_uint8(high_res))


def _to_uint8(frame: Frame) -> np.ndarray:
    """RGB (H, W, 3)."""
    return np.rint(frame.rgb * 255).astype(np.uint8)
