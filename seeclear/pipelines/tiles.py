# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Tiles: parts of the frame that are restored one by one and blended.

Tiles lie on a grid that the network states: their sizes are multiples of `multiple_of`, and their corners, where the
tile is large enough, of `alignment`, the period after which a network with windows or strides treats positions alike.
At the lower and right border a tile reaches up to `multiple_of` - 1 pixels beyond the frame; there the frame's edge is
repeated, and what is restored for it is cut off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch.nn.functional as F
from torch import Tensor

from seeclear.resize import imresize
from seeclear.video.windows import Window, blend_weights, cover

from .settings import RestorationSettings

DEFAULT_TILE_OVERLAP = 32
"""LR pixels. With the first seeclear-tiny, what the border of a tile changes falls below 0.4/255 after 8 pixels and
below 0.1/255 after 16; blended over 32, no pixel differed by more than 1.2/255 from the untiled run, and by more than
0.01/255 outside of the overlap.
"""
BICUBIC_MARGIN = 4
"""LR pixels around a tile that its bicubic enlargement needs."""


@dataclass(frozen=True)
class Tile:
    """A part of the frame in LR pixels; at the lower and right border it may reach beyond it.

    `weights` of its rows and columns, float32, are those of the blending: over all tiles of a frame they sum to one at
    every pixel. `fine_weights` are the same for HR pixels. None where the tile is the whole frame.
    """

    top: int
    bottom: int
    left: int
    right: int
    weights: tuple[Tensor, Tensor] | None = field(default=None, compare=False, repr=False)
    fine_weights: tuple[Tensor, Tensor] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Tiling:
    """How a frame is cut into tiles: their rows and columns in LR pixels, and the overlaps (rows, columns) with which
    they are blended.
    """

    rows: list[Window]
    columns: list[Window]
    overlaps: tuple[int, int]

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    def tiles(self, scale: int) -> Iterator[Tile]:
        """The tiles, row by row; `scale` is that of their HR pixels."""
        if len(self) == 1:
            yield Tile(0, self.rows[0].stop, 0, self.columns[0].stop)
            return
        rows, columns = (
            list(zip(windows, blend_weights(windows, overlap), blend_weights(windows, overlap, scale), strict=True))
            for windows, overlap in zip((self.rows, self.columns), self.overlaps, strict=True)
        )
        for row, row_weight, fine_row_weight in rows:
            for column, column_weight, fine_column_weight in columns:
                weights, fine = (row_weight, column_weight), (fine_row_weight, fine_column_weight)
                yield Tile(row.start, row.stop, column.start, column.stop, weights, fine)


def plan_tiles(
    height: int, width: int, settings: RestorationSettings, multiple_of: int = 1, alignment: int = 1
) -> Tiling:
    """Cuts frames of `height` x `width` LR pixels into tiles.

    A tile and its overlap are rounded up to `multiple_of`. Corners are multiples of `alignment`, or, where a tile less
    its overlap is smaller than that, of the largest half, quarter, ... of it that fits.
    """
    sides = settings.tile if isinstance(settings.tile, tuple) else (settings.tile, settings.tile)
    axes, overlaps = [], []
    for length, side in zip((height, width), sides, strict=True):
        padded = -(-length // multiple_of) * multiple_of
        size = padded if side is None else -(-side // multiple_of) * multiple_of
        if size >= padded:
            axes.append([Window(0, padded)])
            overlaps.append(0)
            continue
        overlap = min(DEFAULT_TILE_OVERLAP, size // 2) if settings.tile_overlap is None else settings.tile_overlap
        overlap = min(-(-overlap // multiple_of) * multiple_of, size - multiple_of)
        step = alignment
        while step > size - overlap:
            step //= 2
        axes.append(cover(padded, size, overlap, max(step, multiple_of)))
        overlaps.append(overlap)
    return Tiling(axes[0], axes[1], (overlaps[0], overlaps[1]))


def pad_frames(frames: Tensor, multiple_of: int) -> Tensor:
    """(B, F, C, H, W) with rows below and columns to the right, by repeating the edge, up to a multiple."""
    height, width = frames.shape[-2:]
    return crop_tile(frames, Tile(0, height + -height % multiple_of, 0, width + -width % multiple_of))


def crop_tile(frames: Tensor, tile: Tile, scale: int = 1) -> Tensor:
    """The tile of `frames` (B, F, C, scale * H, scale * W); beyond the frame the edge is repeated."""
    top, bottom, left, right = (scale * side for side in (tile.top, tile.bottom, tile.left, tile.right))
    part = frames[..., top:bottom, left:right]
    rows, columns = bottom - top - part.shape[-2], right - left - part.shape[-1]
    if not rows and not columns:
        return part
    return F.pad(part.flatten(0, 1), (0, columns, 0, rows), mode="replicate").unflatten(0, frames.shape[:2])


def enlarge_tile(low_res: Tensor, tile: Tile, scale: int) -> Tensor:
    """The tile of the bicubic enlargement of whole LR frames (B, F, C, H, W): (B, F, C, s * height, s * width),
    float32; beyond the frame the edge is repeated.
    """
    height, width = low_res.shape[-2:]
    top, left = max(0, tile.top - BICUBIC_MARGIN), max(0, tile.left - BICUBIC_MARGIN)
    bottom, right = min(height, tile.bottom + BICUBIC_MARGIN), min(width, tile.right + BICUBIC_MARGIN)
    enlarged = imresize(low_res[..., top:bottom, left:right], scale=scale).float()
    return crop_tile(enlarged, Tile(tile.top - top, tile.bottom - top, tile.left - left, tile.right - left), scale)
