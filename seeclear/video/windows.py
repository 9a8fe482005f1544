# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Overlapping windows over a line, and the weights with which they are blended; the same for rows, columns and time.

Windows follow each other along the line. Where a window meets the one before, its share rises from 0 to 1 over the
last `overlap` positions of the one before; everything earlier stays as it was. So weights sum to one at every position
by construction, however many windows cover it, and a stream can give out all but `overlap` positions of a window
before it knows the next one.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Window:
    """The positions `start` to `stop` - 1 of a line."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def cover(length: int, size: int, overlap: int, alignment: int = 1) -> list[Window]:
    """Windows of `size` that cover a line and share at least `overlap` positions with their neighbours.

    The last one is shifted back so that it is full. A line not longer than `size` is one window.

    Args:
        length: positions of the line, at least 1.
        size: positions of a window, at least 1.
        overlap: positions that neighbours share at least, 0 to `size` - `alignment`.
        alignment: every start is a multiple of this. Above 1, neighbours may share more than `overlap`, and the last
            window may be up to `alignment` - 1 shorter than the others.

    Raises:
        ValueError: an argument is out of its range.
    """
    for name, value, low in (("length", length, 1), ("size", size, 1), ("alignment", alignment, 1)):
        if value < low:
            raise ValueError(f"`{name}` is {value}; it must be at least {low}")
    if length <= size:
        return [Window(0, length)]
    if not 0 <= overlap <= size - alignment:
        raise ValueError(f"`overlap` is {overlap}; it must be 0 to {size - alignment} ({size=}, {alignment=})")
    stride = (size - overlap) // alignment * alignment
    last = -(-(length - size) // alignment) * alignment
    return [Window(start, min(start + size, length)) for start in [*range(0, last, stride), last]]


def share(window: Window, previous_stop: int | None, overlap: int) -> Tensor:
    """The share of a window against all before it, (len(window),) float32 in [0, 1].

    0 up to `previous_stop` - `overlap`, then a straight ramp of `overlap` positions, then 1.

    Args:
        window: the window.
        previous_stop: the end of the window before; None for the first, whose share is 1 everywhere.
        overlap: length of the ramp; the window begins at or before `previous_stop` - `overlap`.
    """
    if previous_stop is None:
        return torch.ones(len(window))
    positions = torch.arange(window.start, window.stop, dtype=torch.float64) - (previous_stop - overlap)
    if overlap == 0:
        return (positions >= 0).float()
    return ((positions + 0.5) / overlap).clamp(0, 1).float()


def blend_weights(windows: list[Window], overlap: int, scale: int = 1) -> list[Tensor]:
    """The weights of all windows: for every one (scale * len(window),) float32; at each position they sum to one.

    `windows` and `overlap` are those of [`cover`]; `scale` positions of the blended line are one of theirs.
    """
    weights: list[Tensor] = []
    for index, window in enumerate(windows):
        scaled = Window(scale * window.start, scale * window.stop)
        previous_stop = scale * windows[index - 1].stop if index else None
        new = share(scaled, previous_stop, scale * overlap)
        for earlier, weight in zip(windows, weights, strict=False):
            shared = scale * (earlier.stop - window.start)
            if shared > 0:
                weight[-shared:] *= 1 - new[:shared]
        weights.append(new)
    return weights
