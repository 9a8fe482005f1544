# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Recurrent propagation along a clip: what is found out of one frame is moved to the next one along the optical flow
and fused with it, as the Pixel Enhancer of Semantic Lens does in both directions and the Pixel Condenser in its last
stage.

Shapes: B clips, F frames in a clip, C channels, H x W low-resolution pixels, s the scale.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import LEAKY_SLOPE, conv_blocks, in_parts, zero_init
from .optical_flow import flow_to_neighbor, sample_subpixels, subpixel_grid, subpixels, warp

Align = Callable[[Tensor, int, int], Tensor]
"""What a state (B, C, H, W), moved from a frame to another one, is made there; the other frame's index, then its."""


def call_directly(function: Callable[..., Tensor], *args: object) -> Tensor:
    """`function(*args)`."""
    return function(*args)


class ClipMotion:
    """What is moved beside features.

    Args:
        frames: at HR size, (B, F, 3, sH, sW); None where features alone are moved.
        flow: in LR pixels (B, 2, F - 1, 2, H, W), as [`clip_flow`] gives it.
        scale: s.
        neighbor_channels: N, in which neighbors are shown: 3 in colour, 1 in grey.
    """

    def __init__(self, frames: Tensor | None, flow: Tensor, scale: int, neighbor_channels: int) -> None:
        self.flow = flow
        self.enlarged: tuple[Tensor, ...] = ()  # each (B, N, sH, sW)
        if frames is not None:
            frames = frames.float()
            shown = frames.mean(dim=2, keepdim=True) if neighbor_channels == 1 else frames
            self.enlarged = shown.unbind(dim=1)
        self.ordered = [subpixels(frame, scale) for frame in self.enlarged]  # each (B, H, W, N, s^2)

    def flow_between(self, t: int, before: int) -> Tensor:
        """The flow (B, 2, H, W) from frame `t` to its neighbor `before`."""
        return flow_to_neighbor(self.flow, t, before - t)

    def between(self, t: int, before: int) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Flow, neighbor and frame, as [`PropagationBranch.compensate`] takes them, from frame `t` to `before`."""
        there = self.flow_between(t, before)
        return (there, self.enlarged[before], self.ordered[t]) if self.enlarged else (there, None, None)

    def flow_beyond(self, t: int, before: int) -> Tensor:
        """The flow (B, 2, H, W) from frame `t` by way of its neighbor `before` to the next one in that direction."""
        first, second = self.flow_between(t, before), self.flow_between(before, 2 * before - t)
        return first + warp(second, first)


class PropagationBranch(nn.Module):
    """One direction of the propagation, a recurrence over the frames of a clip:

        state <- blocks(fuse(the frame's own features, align(warp(state))))

    Of second order it fuses the moved state of the frame before that as well (BasicVSR++, Chan et al., CVPR 2022,
    arXiv 2104.13371, without its deformable convolutions).

    Args:
        channels: C.
        source_channels: of all that there is of the frame itself.
        blocks: residual blocks in a step.
        hidden_channels: width of the residual blocks between their convolutions; None is `channels`.
        scale: s, given with motion compensation; without, a branch that is no trunk moves nothing.
        neighbor_channels: N, in which neighbors are shown: 3 in colour, 1 in grey.
        trunk: as a branch of BasicVSR (Chan et al., CVPR 2021, arXiv 2012.02181): states are moved along the flow as
            they are, at LR size, and fused with the frame by 3x3 convolutions and a leaky ReLU. Motion compensation
            shows neighbors, and that adds nothing until it is trained.
        second_order: of a trunk; adds nothing until it is trained, either.

    Raises:
        ValueError: `neighbor_channels` or `hidden_channels` is not as above.
    """

    def __init__(
        self,
        channels: int,
        source_channels: int,
        blocks: int,
        hidden_channels: int | None = None,
        scale: int | None = None,
        neighbor_channels: int = 3,
        trunk: bool = False,
        second_order: bool = False,
    ) -> None:
        super().__init__()
        if neighbor_channels not in (1, 3):
            raise ValueError(f"`neighbor_channels` is {neighbor_channels}; it must be 1 or 3")
        if hidden_channels is not None and hidden_channels < 1:
            raise ValueError(f"`hidden_channels` is {hidden_channels}; it must be at least 1, or None")
        self.scale, self.trunk = scale, trunk
        self.fuse_moved = (
            None if scale is None else nn.Conv2d(neighbor_channels * scale**2, channels, 3, padding=1, bias=False)
        )
        if trunk and self.fuse_moved is not None:
            zero_init(self.fuse_moved)
        side = 3 if trunk else 1
        self.fuse_sources = nn.Conv2d(source_channels, channels, side, padding=side // 2)
        self.fuse_aligned = nn.Conv2d(channels, channels, side, padding=side // 2, bias=False)
        self.fuse_second = zero_init(nn.Conv2d(channels, channels, 3, padding=1, bias=False)) if second_order else None
        self.blocks = conv_blocks(blocks, channels, hidden_channels)

    def forward(
        self,
        sources: tuple[Tensor, ...],
        num_frames: int,
        motion: ClipMotion | None,
        reverse: bool = False,
        run: Callable[..., Tensor] = call_directly,
    ) -> Tensor:
        """What the branch makes of the frames of clips.

        Args:
            sources: what there is of the frames themselves, each (B*F, C, H, W), the shallow first.
            num_frames: F.
            motion: None where nothing is moved.
            reverse: from the last frame to the first.
            run: calls a step, as with gradient checkpointing.

        Returns:
            The states of all frames, (B*F, C, H, W).
        """
        return self.recur(sources, num_frames, motion, reverse, run)

    def recur(
        self,
        sources: tuple[Tensor, ...],
        num_frames: int,
        motion: ClipMotion | None,
        reverse: bool,
        run: Callable[..., Tensor],
        align: Align | None = None,
    ) -> Tensor:
        """As [`forward`], with what brings a moved state nearer to the frame."""
        own = in_parts(lambda *maps: self.fuse_sources(torch.cat(maps, dim=1)), *sources)  # of all frames at once
        features = own.unflatten(0, (-1, num_frames)).unbind(dim=1)  # each (B, C, H, W)
        states: dict[int, Tensor] = {}
        for t in reversed(range(num_frames)) if reverse else range(num_frames):
            before = t + 1 if reverse else t - 1
            second = None if self.fuse_second is None else states.get(2 * before - t)
            states[t] = run(self.step, features[t], states.get(before), second, t, before, motion, align)
        in_order = torch.stack([states[t].permute(0, 2, 3, 1) for t in range(num_frames)], dim=1)  # channels last
        return in_order.flatten(0, 1).permute(0, 3, 1, 2)

    def step(
        self,
        own: Tensor,
        state: Tensor | None,
        second: Tensor | None,
        t: int,
        before: int,
        motion: ClipMotion | None,
        align: Align | None,
    ) -> Tensor:
        """The state of frame `t` from its features `own`, the state of frame `before` and, of second order, that of
        the frame before that, each (B, C, H, W); the first frames lack them.
        """
        if state is not None:
            if motion is not None:
                state, shown = self.compensate(state, *motion.between(t, before))
                if self.fuse_moved is not None:
                    own = self.fuse_moved(shown).add_(own)
            if align is not None:
                state = align(state, t, before)
            own = self.fuse_aligned(state).add_(own)
        if second is not None and motion is not None and self.fuse_second is not None:
            own = self.fuse_second(move(second, motion.flow_beyond(t, before))).add_(own)
        return self.blocks(F.leaky_relu(own, LEAKY_SLOPE) if self.trunk else own)

    def compensate(
        self, features: Tensor, flow: Tensor, neighbor: Tensor | None, enlarged: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Moves what is known of a neighbor along the flow, as sub-pixels at HR size; a trunk's features at LR size.

        Args:
            features: of the neighbor (B, C, H, W), taken for C / s^2 maps at HR size.
            flow: from the frame to the neighbor (B, 2, H, W), in LR pixels.
            neighbor: the neighbor, enlarged, (B, N, sH, sW), float32; None without motion compensation.
            enlarged: the frame itself, enlarged, as [`subpixels`] (B, H, W, N, s^2), float32; None as `neighbor`.

        Returns:
            The features moved (B, C, H, W), and what the neighbor, moved, shows beyond the frame (B, N * s^2, H, W).
        """

        def as_channels(found: Tensor) -> Tensor:
            """(B, H, W, N, s^2) -> (B, N * s^2, H, W), channels last."""
            found = found.to(features.dtype, memory_format=torch.contiguous_format)
            return found.flatten(3).permute(0, 3, 1, 2)

        moved = seen = None
        if self.scale is not None and neighbor is not None and enlarged is not None:
            grid = subpixel_grid(flow, self.scale)
            if not self.trunk:
                features_at_hr = F.pixel_shuffle(features, self.scale).float()
                moved = as_channels(sample_subpixels(features_at_hr, grid, self.scale))
            seen = as_channels(sample_subpixels(neighbor, grid, self.scale) - enlarged)
        if moved is None:
            moved = move(features, flow)
        return moved, seen


def move(features: Tensor, flow: Tensor) -> Tensor:
    """Features of a frame (B, C, H, W), moved along the flow to it (B, 2, H, W), zeros where that leads outside."""
    moved = warp(features.float(), flow, beyond="zeros")
    return moved.to(features.dtype, memory_format=torch.channels_last)


class BranchFusion(nn.Module):
    """What two branches made of frames, each (N, C, H, W), to one (N, C, H, W): a linear map and a leaky ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, behind: Tensor, ahead: Tensor) -> Tensor:
        return F.leaky_relu(self.conv(torch.cat([behind, ahead], dim=1)), LEAKY_SLOPE)


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

        self.scale, self.neighbor_channels = scale, neighbor_channels
        self.conv_in = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.extraction = conv_blocks(extraction, channels, hidden_channels)
        self.backward_branch = PropagationBranch(
            channels, channels, backward, hidden_channels, scale, neighbor_channels
        )
        self.forward_branch = PropagationBranch(
            channels, 2 * channels, forward, hidden_channels, scale, neighbor_channels
        )
        self.reconstruction = conv_blocks(reconstruction, channels, hidden_channels)
        self.conv_out = zero_init(nn.Conv2d(channels, out_channels, 3, padding=1))

    def forward(
        self,
        hidden_states: Tensor,
        frames: Tensor,
        flow: Tensor,
        run: Callable[..., Tensor] = call_directly,
    ) -> Tensor:
        """`hidden_states` (B*F, C_in, H, W), `frames` (B, F, 3, sH, sW), `flow` (B, 2, F - 1, 2, H, W) in LR pixels
        and `run` as in [`PropagationBranch`] -> (B*F, C_out, H, W).
        """
        num_frames = frames.shape[1]
        motion = ClipMotion(frames, flow, self.scale, self.neighbor_channels)
        extracted = in_parts(lambda x: self.extraction(self.conv_in(x)), hidden_states)
        behind = self.backward_branch((extracted,), num_frames, motion, reverse=True, run=run)
        both = self.forward_branch((extracted, behind), num_frames, motion, run=run)
        return in_parts(lambda x: self.conv_out(self.reconstruction(x)), both)
