# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Semantics for training crops: a frozen distiller sees whole frames, as it does in use, once each; crops are cut out
of what it gave.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from seeclear.data import Photo, Source
from seeclear.models import SemanticDistiller
from seeclear.resize import imresize, to_uint8

SCALE = 4
CELL = 2
"""LR pixels that a cell of the features of a crop covers along each side."""


class SemanticsCache:
    """Tokens O and features P of training crops, from a frozen distiller.

    Every frame of a folder or video is distilled when it is first needed, and kept in 16 bits (0.7 MB a frame with the
    tiny distiller). A photograph's window is too small to be kept: the crop itself is distilled.

    Args:
        distiller: frozen.
        sources: those of the data set, in its order.
    """

    def __init__(self, distiller: SemanticDistiller, sources: Sequence[Source]) -> None:
        self.distiller = distiller
        self.sources = list(sources)
        self._kept: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    @torch.no_grad()
    def __call__(self, low_res: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Semantics of a batch of crops.

        Args:
            low_res: the crops (B, F, 3, h, w) in [-1, 1].
            places: where they are from (B, 9), see [`ClipSample`].

        Returns:
            Tokens (B, F, K, D) and features (B, F, P, h / CELL, w / CELL).
        """
        size = (low_res.shape[-2] // CELL, low_res.shape[-1] // CELL)
        tokens, features = [], []
        for clip, place in zip(low_res, places.tolist(), strict=True):
            source = self.sources[place[0]]
            if isinstance(source, Photo):
                distilled = self.distiller(clip[None])
                tokens.append(distilled.tokens[0])
                pixels = distilled.features[0]
                features.append(F.interpolate(pixels, size=size, mode="bilinear", antialias=True, align_corners=False))
                continue
            start, step, count = place[1], place[2], clip.shape[0]
            frames = [start + i * step for i in range(count)]
            if place[8]:
                frames.reverse()
            self._distil(place[0], [frame for frame in frames if (place[0], frame) not in self._kept])
            kept = [self._kept[place[0], frame] for frame in frames]
            tokens.append(torch.stack([one for one, _ in kept]).to(clip))
            whole = torch.stack([one for _, one in kept]).to(clip)
            features.append(crop_features(whole, source.size, place[3:8], size))
        return torch.stack(tokens), torch.stack(features)

    def _distil(self, source: int, frames: list[int]) -> None:
        for frame in frames:
            pixels = torch.from_numpy(self.sources[source].frames(frame, 1).copy()).permute(0, 3, 1, 2)
            height, width = (n // SCALE * SCALE for n in pixels.shape[-2:])
            low_res = to_uint8(imresize(pixels[..., :height, :width].float() / 255, scale=1 / SCALE))
            weight = next(self.distiller.parameters())
            distilled = self.distiller(low_res[None].to(weight) / 127.5 - 1)
            self._kept[source, frame] = (distilled.tokens[0, 0].half().cpu(), distilled.features[0, 0].half().cpu())


def crop_features(
    features: Tensor, frame_size: tuple[int, int], place: Sequence[int], size: tuple[int, int]
) -> Tensor:
    """The features of a crop of an augmented frame.

    Args:
        features: P of the whole frame as it was, (F, P, h, w).
        frame_size: height and width of the HR frame.
        place: top and left in LR pixels of the augmented frame; mirrored horizontally, vertically; transposed.
        size: of the result; a cell covers `CELL` LR pixels.

    Returns:
        (F, P, *size).
    """
    top, left, horizontal, vertical, transpose = place
    rows = top + CELL * (torch.arange(size[0], device=features.device) + 0.5)
    columns = left + CELL * (torch.arange(size[1], device=features.device) + 0.5)
    height, width = (n // SCALE for n in frame_size)
    y, x = torch.meshgrid(rows, columns, indexing="ij")  # in the augmented frame, LR pixels
    if transpose:
        y, x = x, y
    y = frame_size[0] / SCALE - y if vertical else y
    x = frame_size[1] / SCALE - x if horizontal else x
    grid = torch.stack([2 * x / width - 1, 2 * y / height - 1], dim=-1).to(features)
    grid = grid.expand(len(features), -1, -1, -1)
    return F.grid_sample(features, grid, mode="bilinear", padding_mode="border", align_corners=False)
