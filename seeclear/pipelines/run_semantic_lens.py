# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""How Semantic Lens restores one clip, alone or as the prior of SeeClear.

whole LR clip -> distiller -> features, clip tokens, clip masks    once a clip
LR tile, semantics -> lens -> HR tile                              once a tile
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from seeclear.models import SemanticLens
from seeclear.models.lens_modules import PATCH
from seeclear.models.semantic_distiller import SemanticDistillerOutput

from .shared_flow import SharedFlow
from .streaming import Clip, Tile, crop_tile

if TYPE_CHECKING:
    from .pipeline_semantic_lens import SemanticLensPipeline

TILE_MARGIN = 8
"""LR pixels around a tile that are restored with it: its bicubic part needs 4, and what moves in is seen sooner."""


def semantics_of(distilled: SemanticDistillerOutput) -> dict[str, Tensor]:
    """What [`SemanticLens.forward`] takes of the distiller's output, by the names of its arguments."""
    names = ("features", "clip_tokens", "clip_masks")
    return {name: distilled[name] for name in names if name in distilled}  # masks that were not wanted are not there


def widest_window(lens: SemanticLens) -> int:
    """The side of the lens' widest attention window, LR pixels; tiles begin at multiples of it."""
    return PATCH * max(lens.config.alignment_window_size, lens.config.attention_window_size)


def upscale_tile(
    lens: SemanticLens,
    low_res: Tensor,
    semantics: dict[str, Tensor],
    tile: Tile,
    distilled_size: tuple[int, int] | None = None,
    flow: Tensor | None = None,
) -> Tensor:
    """The lens on a part of a clip.

    Args:
        low_res: whole LR frames (B, F, 3, H, W) in [-1, 1], float32.
        semantics: as [`semantics_of`] gives them; empty for a lens that needs none.
        tile: the part.
        distilled_size: height and width in LR pixels of what was distilled, if the frames were filled up below and to
            the right for that; None is H and W.
        flow: of the whole frames, as [`SemanticLens.estimate_flow`] gives it.

    Returns:
        (B, F, 3, s * height, s * width) of the tile, float32, about [-1, 1]; beyond the frame the edge is repeated.
    """
    height, width = low_res.shape[-2:]
    window = widest_window(lens)  # above and to the left whole windows, so that they lie as in the whole frame
    before = -(-TILE_MARGIN // window) * window
    top, left = max(0, tile.top - before), max(0, tile.left - before)
    bottom, right = min(height, tile.bottom + TILE_MARGIN), min(width, tile.right + TILE_MARGIN)
    rows, columns = (height, width) if distilled_size is None else distilled_size
    region = torch.tensor([[top / rows, left / columns, bottom / rows, right / columns]], device=low_res.device)
    part = low_res[..., top:bottom, left:right]
    if flow is not None:
        flow = flow[..., top:bottom, left:right]
    restored = lens(part, **semantics, region=region.expand(len(part), -1), flow=flow).sample
    inside = Tile(tile.top - top, tile.bottom - top, tile.left - left, tile.right - left)
    return crop_tile(restored, inside, lens.config.scale)


@dataclass
class _ClipContext:
    """What the tiles of a clip share, on the device: LR frames (B, F, 3, H, W) in [-1, 1], the lens' semantics, and
    its flow.
    """

    low_res: Tensor
    semantics: dict[str, Tensor]
    flow: Tensor | None


@dataclass
class SemanticLensRun:
    """A [`SemanticLensPipeline`] with the settings of one run, as the streaming core wants it (`ClipRestorer`)."""

    pipe: "SemanticLensPipeline"
    report: Callable[[], object] = lambda: None

    def __post_init__(self) -> None:
        self._flow = SharedFlow(self.pipe.semantic_lens.estimate_flow)

    @property
    def scale(self) -> int:
        return self.pipe.scale

    @property
    def clip_length(self) -> int:
        return self.pipe.config.clip_length

    @property
    def clip_overlap(self) -> int:
        return self.pipe.config.clip_overlap

    @property
    def reach(self) -> int:
        """The lens looks at the clip alone."""
        return 0

    @property
    def multiple_of(self) -> int:
        """The lens takes any size."""
        return 1

    @property
    def alignment(self) -> int:
        return widest_window(self.pipe.semantic_lens)

    def begin_clip(self, clip: Clip) -> _ClipContext:
        low_res = clip.frames.to(self.pipe._execution_device) * 2 - 1
        flow = self._flow(low_res, clip.start)
        if not self.pipe.semantic_lens.needs_semantics:
            return _ClipContext(low_res, {}, flow)
        distilled = self.pipe.semantic_distiller(low_res, masks=self.pipe.semantic_lens.config.image)
        return _ClipContext(low_res, semantics_of(distilled), flow)

    def restore_tile(self, context: _ClipContext, tile: Tile) -> Tensor:
        restored = upscale_tile(self.pipe.semantic_lens, context.low_res, context.semantics, tile, flow=context.flow)
        self.report()
        return restored.add_(1).div_(2).clamp_(0, 1)

    def end_clip(self, context: _ClipContext) -> dict[str, Tensor]:
        """Nothing is carried to the next clip."""
        return {}
