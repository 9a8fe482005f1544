# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What the tiles of a clip share in SeeClear: semantics, optical flow and CaTeGory's memory."""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from seeclear.models import SemanticDistillerOutput
from seeclear.models.category import CaTeGory

from .streaming import Clip
from .tiles import Tile, crop_tile


@dataclass
class ClipContext:
    """Of a clip, on the device.

    Attributes:
        clip: the clip.
        distilled: what the distiller gave for its frames.
        low_res: LR frames of the clip and of those around it that the condenser looks at (B, G, 3, H, W) in [-1, 1].
        size: height and width of the padded frames in LR pixels.
        tokens, clip_tokens: O and O_c in the condenser's dtype.
        features: P on a grid whose cells are `cell` x `cell` LR pixels.
        flow: the condenser's, of the padded frames, and `prior_flow` that of a Semantic Lens that is the prior.
        memory: T before the clip, and `new_memory` T after it where one tile is the whole frame.
        pooled: else what is gathered from the tiles to be written, of the decoder's levels, finest first.
    """

    clip: Clip
    distilled: SemanticDistillerOutput
    low_res: Tensor
    size: tuple[int, int]
    tokens: Tensor
    features: Tensor
    cell: int
    clip_tokens: Tensor
    flow: Tensor | None
    prior_flow: Tensor | None
    memory: Tensor | None
    new_memory: Tensor | None = None
    pooled: list[Tensor] = field(default_factory=list)

    def of_tile(self, tile: Tile) -> dict[str, Tensor | None]:
        """What the condenser is told of a tile, by the names of its arguments."""
        cell = self.cell
        part = Tile(tile.top // cell, tile.bottom // cell, tile.left // cell, tile.right // cell)
        flow = None if self.flow is None else self.flow[..., tile.top : tile.bottom, tile.left : tile.right]
        return {
            "tokens": self.tokens,
            "features": crop_tile(self.features, part),
            "clip_tokens": self.clip_tokens,
            "memory": self.memory,
            "flow": flow,
        }

    def gather(self, pyramid: list[Tensor], tile: Tile) -> None:
        """Adds the tile's part to what CaTeGory writes: each decoder level of the whole frame, pooled to 4 x 4 cells
        and averaged over the frames, (B, C_l, 4, 4).

        Pooling is linear, so the tiles' parts, weighted as they are blended, sum to what the whole frame would give.
        """
        assert tile.weights is not None
        sides = (tile.top, tile.bottom, self.size[0]), (tile.left, tile.right, self.size[1])
        for level, features in enumerate(pyramid):
            shares = []
            for length, weight, (start, stop, whole) in zip(features.shape[-2:], tile.weights, sides, strict=True):
                weight = F.interpolate(weight[None, None], size=length, mode="area")[0, 0]  # of the level's positions
                pooling = pooling_matrix(whole * length // (stop - start), CaTeGory.pooled_size)
                first = start * length // (stop - start)
                shares.append((pooling[:, first : first + length] * weight).to(features.device))
            frames = features.float().unflatten(0, self.clip.frames.shape[:2]).mean(dim=1)
            part = torch.einsum("ir,bcrk,jk->bcij", shares[0], frames, shares[1])
            if level < len(self.pooled):
                self.pooled[level] += part
            else:
                self.pooled.append(part)


def pooling_matrix(length: int, cells: int) -> Tensor:
    """Adaptive average pooling of `length` positions to `cells`, as a matrix (cells, length), float32."""
    return F.adaptive_avg_pool1d(torch.eye(length)[None], cells)[0].T.contiguous()


def align_features(features: Tensor, height: int, width: int, largest_cell: int) -> tuple[Tensor, int]:
    """Segmentation features on a grid whose cells are whole LR pixels, so that a tile's are cut out exactly.

    Cells are squares of a power of two LR pixels, at most `largest_cell`, as near to the given grid's as there is.

    Args:
        features: P (B, F, P, h, w), over frames of `height` x `width` LR pixels, multiples of `largest_cell`.

    Returns:
        (P (B, F, P, height / cell, width / cell), the side of a cell in LR pixels).
    """
    ratio = (height * width / (features.shape[-2] * features.shape[-1])) ** 0.5
    cell = 1
    while cell < largest_cell and ratio > cell * 2**0.5:
        cell *= 2
    size = (height // cell, width // cell)
    if tuple(features.shape[-2:]) != size:
        resized = F.interpolate(features.flatten(0, 1).float(), size=size, mode="bilinear", antialias=True)
        features = resized.to(features.dtype).unflatten(0, features.shape[:2])
    return features, cell
