# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The LR frames of one scene after the other, decoding the video once, and HR frames as they are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch import Tensor

from seeclear.resize import imresize
from seeclear.video.grain import Grain
from seeclear.video.properties import Frame
from seeclear.video.reader import VideoReader

from .store import to_levels
from .survey import to_tensor


class FrameSource:
    """Gives frames from any place on; going forwards, the decoding goes on where it is.

    Args:
        reader: of the video.
    """

    def __init__(self, reader: VideoReader) -> None:
        self._reader = reader
        self._frames: Iterator[Frame] = iter(())
        self._next: int | None = None  # index of the next frame of `_frames`; None: there is no such iteration
        self._alphas: dict[int, np.ndarray] = {}

    def frames(self, start: int, stop: int) -> Iterator[tuple[int, Frame]]:
        """(index, frame) from `start` to `stop` - 1; fewer where the video ends before.

        One such iteration ends before the next one begins.
        """
        if self._next is None or self._next > start:
            self._frames, self._next = self._reader.frames(start), start
        while self._next < stop:
            frame = next(self._frames, None)
            if frame is None:
                self._next = None
                return
            self._next += 1
            if self._next > start:
                yield self._next - 1, frame

    def tensors(self, start: int, stop: int, first: int) -> Iterator[Tensor]:
        """The same as (3, H, W) in [0, 1]; the alpha of frames from `first` on is kept for `alphas`."""
        self._alphas.clear()
        for index, frame in self.frames(start, stop):
            if frame.alpha is not None and index >= first:
                self._alphas[index] = frame.alpha
            yield to_tensor(frame.rgb)

    def alphas(self, start: int, count: int) -> list[np.ndarray | None]:
        """Alpha (H, W) of frames that were given as tensors, or None where they have none; each once."""
        return [self._alphas.pop(start + index, None) for index in range(count)]


def resample(
    frames: Tensor,
    alphas: Sequence[np.ndarray | None],
    size: tuple[int, int],
    grain: Grain | None = None,
    start: int = 0,
) -> Iterator[np.ndarray]:
    """The model's frames at the size of the output with their alpha and with fresh grain.

    Args:
        frames: (n, 3, sH, sW).
        alphas: of the input's size each, or None.
        size: (H, W).
        grain: that is added; None adds none.
        start: index of the first of them in the video, on which the grain depends.

    Yields:
        uint16 (3 or 4, H, W) each.
    """
    for index, (frame, alpha) in enumerate(zip(frames, alphas, strict=True), start):
        sized = frame if tuple(frame.shape[-2:]) == size else imresize(frame, size=size).clamp(0, 1)
        planes = [*sized]
        noise = None if grain is None else grain.of_frame(sized, index)
        if alpha is not None:
            planes.append(imresize(to_tensor(alpha[..., None]), size=size)[0].clamp(0, 1))
        levels = np.empty((len(planes), *size), np.uint16)
        for channel, (target, plane) in enumerate(zip(levels, planes, strict=True)):  # one by one: they are large
            grainy = plane if noise is None or channel == 3 else plane + noise  # alpha has no grain
            target[...] = to_levels(grainy.numpy())
        yield levels


def split_alpha(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """(3 or 4, H, W) -> (RGB (H, W, 3), alpha (H, W) or None)."""
    return levels[:3].transpose(1, 2, 0), levels[3] if len(levels) == 4 else None
