# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Bicubic upscaling and ours side by side, as a picture or as a video."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from seeclear.files import Draft
from seeclear.resize import imresize, to_uint8
from seeclear.video.codecs import VIDEO_SUFFIXES
from seeclear.video.writer import VideoWriter

# Pixels between the two pictures; even, so that the width stays even.
LINE_WIDTH = 2

# Of 1 to 9: a third of the time of the default, 6, and files larger by 3 %.
PNG_LEVEL = 4


def side_by_side(lr_frame: np.ndarray, sr_frame: np.ndarray) -> np.ndarray:
    """The LR frame enlarged by MATLAB's bicubic, a white line, the SR frame; both labelled.

    Args:
        lr_frame: uint8 RGB (h, w, 3).
        sr_frame: uint8 RGB (H, W, 3).

    Returns:
        uint8 RGB (H, 2 W + 2, 3).
    """
    height, width, _ = sr_frame.shape
    lr = torch.from_numpy(np.array(lr_frame)).permute(2, 0, 1).to(torch.float32) / 255
    bicubic = to_uint8(imresize(lr, size=(height, width))).permute(1, 2, 0).numpy()
    line = np.full((height, LINE_WIDTH, 3), 255, np.uint8)
    image = Image.fromarray(np.concatenate([bicubic, line, sr_frame], axis=1))
    draw = ImageDraw.Draw(image)
    size = max(8, height // 28)
    font = ImageFont.load_default(size)
    for text, left in (("bicubic", 0), ("SeeClear", width + LINE_WIDTH)):
        corner = (left + size / 2, height - size / 2)
        draw.text(
            corner, text, font=font, anchor="ls", fill="white", stroke_width=max(1, size // 12), stroke_fill="black"
        )
    return np.asarray(image)


class CompareWriter:
    """Writes pairs of an LR and an SR frame side by side; a context manager that publishes on success only.

    Args:
        path: a .png file gets the middle frame, a file with a video ending all frames.
        fps: frames per second of the video.
        num_frames: the number of frames, which says where the middle is.

    Raises:
        ValueError: another ending, or `path` cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], fps: Fraction, num_frames: int) -> None:
        self.path = Path(path)
        suffix = self.path.suffix.lower()
        if suffix not in (".png", *VIDEO_SUFFIXES):
            raise ValueError(f"{path}: a comparison must end in .png or in {', '.join(VIDEO_SUFFIXES)}.")
        self._output: VideoWriter | Draft = Draft(self.path) if suffix == ".png" else VideoWriter(self.path, fps)
        self._middle = num_frames // 2
        self._index = 0
        self._pair: tuple[np.ndarray, np.ndarray] | None = None

    def __enter__(self) -> CompareWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(self._output, VideoWriter):
            self._output.__exit__(kind, error, trace)
            return
        try:
            if kind is None:
                self._save_picture(self._output)
        finally:
            self._output.discard()

    def write(self, lr_frame: np.ndarray, sr_frame: np.ndarray) -> None:
        """The next pair, uint8 RGB (h, w, 3) and (H, W, 3)."""
        if isinstance(self._output, VideoWriter):
            self._output.write(side_by_side(lr_frame, sr_frame))
        elif self._index <= self._middle:
            self._pair = (lr_frame, sr_frame)
        self._index += 1

    def _save_picture(self, draft: Draft) -> None:
        if self._pair is None:
            raise ValueError(f"{self.path}: no frame was written.")
        try:
            Image.fromarray(side_by_side(*self._pair)).save(draft.path, compress_level=PNG_LEVEL)
        except OSError as error:
            raise ValueError(f"{self.path}: cannot be written ({error.strerror}).") from error
        draft.publish()
