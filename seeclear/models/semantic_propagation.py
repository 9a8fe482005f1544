# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The propagation of Semantic Lens with its semantic modules: before a moved state is fused with the frame, IMAGE
aligns it, and GPS and ISEE tell it what the frame and the clip show.

Shapes: B clips, F frames in a clip, C channels, H x W low-resolution pixels, K instance tokens of width D.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from .lens_modules import PATCH, GlobalPerspectiveShifter, ImplicitMaskedAlignment, InstanceSemanticEmbedding
from .optical_flow import warp
from .propagation import ClipMotion, PropagationBranch, call_directly


@dataclass
class ClipSemantics:
    """What a clip's semantics are to the branches; None where the configuration does not use it.

    Attributes:
        features: segmentation features P (B*F, P, h, w).
        masks: instance masks in [0, 1] (B*F, H/2, W/2, K).
        clip_tokens: (B, K, D).
        rows, columns: what brings maps of the frame to H and to W, (B, H, grid) and (B, W, grid).
    """

    features: Tensor | None = None
    masks: Tensor | None = None
    clip_tokens: Tensor | None = None
    rows: Tensor | None = None
    columns: Tensor | None = None


class SemanticPropagationBranch(PropagationBranch):
    """A [`PropagationBranch`] that aligns by IMAGE, GPS and ISEE, in that order; None leaves one out.

    What IMAGE and GPS need of every frame is made for all frames at once.
    """

    def __init__(
        self,
        channels: int,
        source_channels: int,
        blocks: int,
        hidden_channels: int | None,
        scale: int | None,
        neighbor_channels: int,
        image: ImplicitMaskedAlignment | None,
        gps: GlobalPerspectiveShifter | None,
        isee: InstanceSemanticEmbedding | None,
        trunk: bool = False,
        second_order: bool = False,
    ) -> None:
        super().__init__(
            channels, source_channels, blocks, hidden_channels, scale, neighbor_channels, trunk, second_order
        )
        self.image, self.gps, self.isee = image, gps, isee

    def forward(
        self,
        sources: tuple[Tensor, ...],
        num_frames: int,
        motion: ClipMotion | None,
        reverse: bool = False,
        run: Callable[..., Tensor] = call_directly,
        semantics: ClipSemantics | None = None,
    ) -> Tensor:
        """As [`PropagationBranch.forward`], with the clip's semantics."""
        semantics = ClipSemantics() if semantics is None else semantics
        descriptors = modulations = None
        if self.image is not None:
            descriptors = self.image.descriptors(sources[0], semantics.masks).unflatten(0, (-1, num_frames))
        if self.gps is not None and semantics.features is not None:
            modulations = self.gps.modulation(semantics.features).unflatten(0, (-1, num_frames))

        def align(state: Tensor, t: int, before: int) -> Tensor:
            if self.image is not None and descriptors is not None:
                theirs = descriptors[:, before]  # (B, H/2, W/2, heads * d)
                if motion is not None:
                    theirs = warp_patches(theirs, motion.flow_between(t, before))
                state = self.image(descriptors[:, t], theirs, state)
            if self.gps is not None and modulations is not None:
                state = self.gps(state, modulations[:, t], semantics.rows, semantics.columns)
            if self.isee is not None:
                state = self.isee(state, semantics.clip_tokens)
            return state

        return self.recur(sources, num_frames, motion, reverse, run, align)


def warp_patches(maps: Tensor, flow: Tensor) -> Tensor:
    """Maps of patches (B, H/2, W/2, N), moved along the flow of the pixels (B, 2, H, W)."""
    of_patches = F.avg_pool2d(flow, PATCH, ceil_mode=True) / PATCH
    return warp(maps.permute(0, 3, 1, 2).float(), of_patches).to(maps.dtype).permute(0, 2, 3, 1)
