# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Bicubic and ours side by side, from the input and the finished output: it shows what is in that file."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np

from seeclear.video.compare import CompareWriter
from seeclear.video.properties import Frame
from seeclear.video.reader import VideoReader


def check_comparison(path: Path, fps: Fraction) -> None:
    """Raises a ValueError if `write_comparison` would for `path`."""
    CompareWriter(path, fps, 1).__exit__(InterruptedError, None, None)


def write_comparison(path: Path, reader: VideoReader, output: Path, num_frames: int) -> None:
    """Writes the middle frame to a .png file, or all frames to a video.

    Args:
        path: of the comparison.
        reader: of the input.
        output: the finished output.
        num_frames: of both.
    """
    first, stop = 0, num_frames
    if path.suffix.lower() == ".png":
        first = num_frames // 2
        stop = first + 1
    with VideoReader(output) as restored, CompareWriter(path, reader.fps, stop - first) as writer:
        pairs = zip(reader.frames(first), restored.frames(first), strict=True)
        for low_res, high_res in itertools.islice(pairs, stop - first):
            writer.write(_to_uint8(low_res), _to_uint8(high_res))


def _to_uint8(frame: Frame) -> np.ndarray:
    """RGB (H, W, 3)."""
    return np.rint(frame.rgb * 255).astype(np.uint8)
