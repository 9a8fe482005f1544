# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Recurrent propagation along a clip: what is found out of one frame is moved to the next one along the optical flow
and fused with it, as the Pixel Enhancer of Semantic Lens does in both directions and the Pixel Condenser in its last
stage.

Shapes: B clips, F frames in a clip, C channels, H x W low-resolution pixels, s the scale.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import conv_blocks, in_parts, zero_init
from .lens_modules import (
    PATCH,
    GlobalPerspectiveShifter,
    ImplicitMaskedAlignment,
    InstanceSemanticEmbedding,
)
from .optical_flow import flow_to_neighbor, sample_subpixels, subpixel_places, subpixels, warp


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


class ClipMotion:
    """What is moved beside features.

    Args:
        frames: at HR size, (B, F, 3, sH, sW).
        flow: in LR pixels (B, 2, F - 1, 2, H, W), as [`clip_flow`] gives it.
        scale: s.
        neighbor_channels: N, in which neighbors are shown: 3 in colour, 1 in grey.
    """

    def __init__(self, frames: Tensor, flow: Tensor, scale: int, neighbor_channels: int) -> None:
        frames = frames.float()
        self.enlarged = frames.mean(dim=2, keepdim=True) if neighbor_channels == 1 else frames  # (B, F, N, sH, sW)
        self.flow = flow
        self.ordered = [subpixels(frame, scale) for frame in self.enlarged.unbind(dim=1)]  # each (B, H, W, N, s^2)

    def between(self, t: int, before: int) -> tuple[Tensor, Tensor, Tensor]:
        """Flow, neighbor and frame, as [`PropagationBranch.compensate`] takes them, from frame `t` to `before`."""
        return flow_to_neighbor(self.flow, t, before - t), self.enlarged[:, before], self.ordered[t]


class PropagationBranch(nn.Module):
    """One direction of the propagation: what was found out so far is aligned to the next frame and fused with it.

    `sources` is how many features of the frame itself there are beside the aligned ones; `scale` and the number of
    channels N that neighbors are shown in are given with motion compensation.
    """

    def __init__(
        self,
        channels: int,
        sources: int,
        blocks: int,
        hidden_channels: int | None,
        image: ImplicitMaskedAlignment | None,
        gps: GlobalPerspectiveShifter | None,
        isee: InstanceSemanticEmbedding | None,
        scale: int | None,
        neighbor_channels: int,
    ) -> None:
        super().__init__()
        if neighbor_channels not in (1, 3):
            raise ValueError(f"`neighbor_channels` is {neighbor_channels}; it must be 1 or 3")
        if hidden_channels is not None and hidden_channels < 1:
            raise ValueError(f"`hidden_channels` is {hidden_channels}; it must be at least 1, or None")
        self.image, self.gps, self.isee, self.scale = image, gps, isee, scale
        self.fuse_moved = (
            None if scale is None else nn.Conv2d(neighbor_channels * scale**2, channels, 3, padding=1, bias=False)
        )
        self.fuse_sources = nn.Conv2d(sources * channels, channels, 1)
        self.fuse_aligned = nn.Conv2d(channels, channels, 1, bias=False)
        self.blocks = conv_blocks(blocks, channels, hidden_channels)

    def prepare(
        self, sources: tuple[Tensor, ...], semantics: ClipSemantics, num_frames: int
    ) -> list[tuple[Tensor | None, ...]]:
        """What the steps need of every frame, made for all frames at once: its part of the fused features, queries,
        keys, modulation.

        `sources`: the frames' own features, each (B*F, C, H, W), the shallow ones first.
        """
        own = in_parts(lambda *maps: self.fuse_sources(torch.cat(maps, dim=1)), *sources)
        parts: list[Tensor | None] = [own, None, None, None]
        if self.image is not None:
            parts[1:3] = self.image.descriptors(sources[0], semantics.masks)
        if self.gps is not None and semantics.features is not None:
            parts[3] = self.gps.modulation(semantics.features)
        frames = [
            [None] * num_frames if part is None else part.unflatten(0, (-1, num_frames)).unbind(dim=1)
            for part in parts
        ]
        return list(zip(*frames, strict=True))

    def compensate(self, features: Tensor, flow: Tensor, neighbor: Tensor, enlarged: Tensor) -> tuple[Tensor, Tensor]:
        """Moves what is known of a neighbor along the flow, as sub-pixels at HR size.

        Args:
            features: of the neighbor (B, C, H, W), taken for C / s^2 maps at HR size.
            flow: from the frame to the neighbor (B, 2, H, W), in LR pixels.
            neighbor: the neighbor, enlarged, (B, N, sH, sW), float32.
            enlarged: the frame itself, enlarged, as [`subpixels`] (B, H, W, N, s^2), float32.

        Returns:
            The features moved (B, C, H, W), and what the neighbor, moved, shows beyond the frame (B, N * s^2, H, W).
        """
        scale = self.scale
        assert scale is not None
        places = subpixel_places(flow, scale)
        features_at_hr = F.pixel_shuffle(features, scale).float()
        moved = sample_subpixels(features_at_hr, places, scale)
        seen = sample_subpixels(neighbor, places, scale) - enlarged
        both = (x.to(features.dtype, memory_format=torch.contiguous_format) for x in (moved, seen))
        moved, seen = (x.flatten(3).permute(0, 3, 1, 2) for x in both)  # channels last
        return moved, seen

    def forward(
        self,
        own: Tensor,
        queries: Tensor | None,
        modulation: Tensor | None,
        support: Tensor | None,
        keys: Tensor | None,
        flow: Tensor | None,
        neighbor: Tensor | None,
        enlarged: Tensor | None,
        rows: Tensor | None,
        columns: Tensor | None,
        clip_tokens: Tensor | None,
    ) -> Tensor:
        """One step.

        Args:
            own, queries, modulation: the frame's, as [`prepare`] gives them; `own` is (B, C, H, W).
            support: what the branch made of the frame before (B, C, H, W); None at its first frame.
            keys: of the frame before.
            flow: from the frame to the one before, (B, 2, H, W) in LR pixels; None compensates no motion.
            neighbor: the frame before, enlarged, (B, N, sH, sW); None as `flow`.
            enlarged: the frame itself, enlarged, (B, H, W, N, s^2); None as `flow`.
            rows, columns: what samples the modulation, as [`sampling_matrix`] gives it.
            clip_tokens: (B, K, D).

        Returns:
            (B, C, H, W).
        """
        if support is None:
            return self.blocks(own)
        aligned = support
        if flow is not None and neighbor is not None and enlarged is not None and self.fuse_moved is not None:
            aligned, moved = self.compensate(support, flow, neighbor, enlarged)
            own = self.fuse_moved(moved).add_(own)
            if keys is not None:
                there = F.avg_pool2d(flow, PATCH) / PATCH
                keys = warp(keys.permute(0, 3, 1, 2).float(), there).to(keys.dtype).permute(0, 2, 3, 1)
        if self.image is not None:
            aligned = self.image(queries, keys, aligned)
        if self.gps is not None:
            aligned = self.gps(aligned, modulation, rows, columns)
        if self.isee is not None:
            aligned = self.isee(aligned, clip_tokens)
        return self.blocks(self.fuse_aligned(aligned).add_(own))


def _call(module: nn.Module, *args: object) -> Tensor:
    return module(*args)


def propagate(
    branch: PropagationBranch,
    sources: tuple[Tensor, ...],
    num_frames: int,
    motion: ClipMotion | None,
    semantics: ClipSemantics | None = None,
    reverse: bool = False,
    run: Callable[..., Tensor] = _call,
) -> Tensor:
    """Runs a branch over the frames of clips.

    Args:
        branch: what does a step.
        sources: the frames' own features, each (B*F, C, H, W), the shallow ones first.
        num_frames: F.
        motion: None without motion compensation.
        semantics: None for a branch that needs none.
        reverse: from the last frame to the first.
        run: calls the branch, as with gradient checkpointing.

    Returns:
        What the branch made of the frames, (B*F, C, H, W).
    """
    semantics = ClipSemantics() if semantics is None else semantics
    prepared = branch.prepare(sources, semantics, num_frames)
    made: dict[int, Tensor] = {}
    support = keys = None
    for t in reversed(range(num_frames)) if reverse else range(num_frames):
        own, queries, frame_keys, modulation = prepared[t]
        before = t + 1 if reverse else t - 1
        moves: tuple[Tensor | None, ...] = (None, None, None)
        if motion is not None and 0 <= before < num_frames:
            moves = motion.between(t, before)
        shared = (semantics.rows, semantics.columns, semantics.clip_tokens)
        made[t] = support = run(branch, own, queries, modulation, support, keys, *moves, *shared)
        keys = frame_keys
    in_order = torch.stack([made[t].permute(0, 2, 3, 1) for t in range(num_frames)], dim=1)  # stays channels last
    return in_order.flatten(0, 1).permute(0, 3, 1, 2)


class ClipPropagation(nn.Module):
    """The propagation of a plain Semantic Lens, without its semantic modules, as a stage of another network: features
    of every frame in, what they and the other frames' tell together out. Untrained it gives zero.

    Args:
        in_channels, channels, out_channels: of what it is given, of itself, of what it gives.
        blocks: residual blocks on every frame alone, in a step of the backward and of the forward branch, and after
            both.
        scale: s, the side of a position of the features in HR pixels.
        hidden_channels: width of the residual blocks between their convolutions; None is `channels`.
        neighbor_channels: 3 shows the frames before and after in colour, 1 in grey.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        out_channels: int,
        blocks: tuple[int, int, int, int],
        scale: int,
        hidden_channels: int | None = None,
        neighbor_channels: int = 3,
    ) -> None:
        super().__init__()
        extraction, backward, forward, reconstruction = blocks

        def branch(sources: int, number: int) -> PropagationBranch:
            return PropagationBranch(
                channels, sources, number, hidden_channels, None, None, None, scale, neighbor_channels
            )

        self.scale, self.neighbor_channels = scale, neighbor_channels
        self.conv_in = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.extraction = conv_blocks(extraction, channels, hidden_channels)
        self.backward_branch = branch(1, backward)
        self.forward_branch = branch(2, forward)
        self.reconstruction = conv_blocks(reconstruction, channels, hidden_channels)
        self.conv_out = zero_init(nn.Conv2d(channels, out_channels, 3, padding=1))

    def forward(
        self,
        hidden_states: Tensor,
        frames: Tensor,
        flow: Tensor,
        run: Callable[..., Tensor] = _call,
    ) -> Tensor:
        """`hidden_states` (B*F, C_in, H, W), `frames` (B, F, 3, sH, sW), `flow` (B, 2, F - 1, 2, H, W) in LR pixels
        and `run` as in [`propagate`] -> (B*F, C_out, H, W).
        """
        num_frames = frames.shape[1]
        motion = ClipMotion(frames, flow, self.scale, self.neighbor_channels)
        extracted = in_parts(lambda x: self.extraction(self.conv_in(x)), hidden_states)
        behind = propagate(self.backward_branch, (extracted,), num_frames, motion, reverse=True, run=run)
        both = propagate(self.forward_branch, (extracted, behind), num_frames, motion, run=run)
        return in_parts(lambda x: self.conv_out(self.reconstruction(x)), both)
