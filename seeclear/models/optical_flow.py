# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Optical flow between the frames of a clip, and frames moved along it.

Flow comes from DIS (Kroeger et al. 2016; OpenCV's). Flow maps (N, 2, h, w) hold x and y in pixels of their own grid:
what `first` shows at a place, `second` shows at the place plus the flow there.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from seeclear.resize import full_precision, imresize

_ENLARGED = 1.5
"""How much larger than LR frames the pictures are that DIS takes."""
_SMALLEST_SIDE = 16
"""Of the pictures that DIS takes."""


def warp(frames: Tensor, flow: Tensor, beyond: str = "border") -> Tensor:
    """`frames` (N, C, h, w) at every place plus the flow (N, 2, h, w) there; beyond the edge it repeats, or with
    "zeros" there is nothing.
    """
    height, width = frames.shape[-2:]
    rows = torch.arange(height, device=flow.device, dtype=flow.dtype)[:, None]
    columns = torch.arange(width, device=flow.device, dtype=flow.dtype)
    x, y = (flow[:, 0] + columns + 0.5) * (2 / width) - 1, (flow[:, 1] + rows + 0.5) * (2 / height) - 1
    grid = torch.stack([x, y], dim=-1)
    return F.grid_sample(frames, grid, mode="bilinear", padding_mode=beyond, align_corners=False)


@torch.library.custom_op("seeclear::dense_inverse_search", mutates_args=())
def dense_inverse_search(pictures: Tensor) -> Tensor:
    """DIS between the frames of clips, uint8 (B, F, h, w): to the next one and to the one before, float32
    (B, 2, F - 1, 2, h, w).

    Settings are those of OpenCV's medium preset, but at the full size, without mean normalization, with patches every
    5th pixel, with fewer steps of descent and of refinement, and with twice the weight of smoothness in the refinement
    (docs/experiments/optical-flow.md).
    """

    def search(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        dis.setFinestScale(0)
        dis.setUseMeanNormalization(False)
        dis.setPatchStride(5)
        dis.setGradientDescentIterations(8)
        dis.setVariationalRefinementIterations(4)
        dis.setVariationalRefinementAlpha(40)
        return dis.calc(first, second, None)

    pairs = [
        pair
        for clip in pictures.cpu().numpy()
        for one, other in ((clip[:-1], clip[1:]), (clip[1:], clip[:-1]))
        for pair in zip(one, other, strict=True)
    ]
    with ThreadPoolExecutor(2) as pool:  # one search alone keeps a second core half busy
        found = list(pool.map(search, *zip(*pairs, strict=True)))
    shape = (len(pictures), 2, pictures.shape[1] - 1)
    return torch.from_numpy(np.stack(found).transpose(0, 3, 1, 2).copy()).to(pictures.device).unflatten(0, shape)


@dense_inverse_search.register_fake
def _(pictures: Tensor) -> Tensor:
    batch_size, num_frames, height, width = pictures.shape
    return pictures.new_empty((batch_size, 2, num_frames - 1, 2, height, width), dtype=torch.float32)


@torch.no_grad()
def clip_flow(frames: Tensor, scale: int = 1) -> Tensor:
    """The flow between the frames of a clip, by DIS on frames of 1.5 times the LR size: fractions of a pixel matter.

    Args:
        frames: (B, F, C, scale * h, scale * w) in [-1, 1].
        scale: how much larger they are than the flow that is wanted.

    Returns:
        (B, 2, F - 1, 2, h, w), float32, x and y in pixels of h x w: first from every frame but the last to the next
        one, then from every frame but the first to the one before.
    """
    batch_size, num_frames = frames.shape[:2]
    height, width = (side // scale for side in frames.shape[-2:])
    shape = (batch_size, 2, max(0, num_frames - 1), 2, height, width)
    if 0 in shape:
        return torch.zeros(shape, device=frames.device)
    size = (math.ceil(_ENLARGED * height), math.ceil(_ENLARGED * width))
    missing = [max(0, _SMALLEST_SIDE - side) for side in size]
    shrink = torch.tensor([width / size[1], height / size[0]], device=frames.device)[:, None, None]

    def picture(frame: Tensor) -> Tensor:
        """(B, C, scale * h, scale * w) in grey, uint8, as DIS takes it."""
        grey = frame.float().mean(dim=1, keepdim=True)
        grey = imresize(grey, size=size) if scale == 1 else F.interpolate(grey, size=size, mode="area")
        grey = F.pad(grey, (0, missing[1], 0, missing[0]), mode="replicate")
        return (grey[:, 0] * 127.5 + 127.5).round().clamp(0, 255).byte()

    found = []
    for pair in pairwise(picture(frame) for frame in frames.unbind(dim=1)):  # flow at the larger size is large
        flow = dense_inverse_search(torch.stack(pair, dim=1))[..., : size[0], : size[1]]
        small = F.interpolate(
            flow.flatten(0, 2), size=(height, width), mode="bilinear", antialias=True, align_corners=False
        )
        found.append((small * shrink).unflatten(0, flow.shape[:3]))
    return torch.cat(found, dim=2)


def flow_to_neighbor(flow: Tensor, index: int, step: int) -> Tensor:
    """The flow (B, 2, h, w) from frame `index` of a clip to the one `step` later, or earlier if it is negative.

    Further than to the next frame it is put together from one frame to the next.

    Args:
        flow: of the clip, (B, 2, F - 1, 2, h, w), as [`clip_flow`] gives it.
    """
    onward = 1 if step > 0 else -1

    def next_flow(t: int) -> Tensor:
        return flow[:, 0, t] if step > 0 else flow[:, 1, t - 1]

    there = next_flow(index)
    for t in range(index + onward, index + step, onward):
        there = there + warp(next_flow(t), there)
    return there


def subpixel_grid(flow: Tensor, scale: int) -> Tensor:
    """Where `warp` would look along a flow enlarged bilinearly, the sub-pixels of every pixel one after the other.

    That order is the one in which feature maps at the flow's size hold sub-pixels as channels (`F.pixel_shuffle`).

    Args:
        flow: (B, 2, h, w), in its own pixels.
        scale: how many sub-pixels a pixel has in a row and in a column.

    Returns:
        A grid of `F.grid_sample` (B, h, w * scale^2, 2), float32.
    """
    height, width = flow.shape[-2:]
    options: dict[str, Any] = {"dtype": torch.float32, "device": flow.device}
    phase = (torch.arange(scale, **options) + 0.5) / scale - 0.5  # of a sub-pixel, from the middle of its pixel
    ahead = phase.clamp(min=0)
    line = torch.stack([ahead - phase, 1 - phase.abs(), ahead], dim=1)  # weights of the pixel before, itself, the next
    size = torch.tensor([width, height], **options)
    kernel = torch.einsum("pa,qb,ij->pqijab", line, line, torch.diag(2 / size)).flatten(0, 2)
    rows, columns = (torch.arange(-1, side + 1, **options) for side in (height, width))
    places = F.pad(flow.float(), (1, 1, 1, 1), mode="replicate")
    places = places + torch.stack(torch.broadcast_tensors(columns, rows[:, None]))
    with full_precision(flow.device):
        places = F.conv2d(
            places.contiguous(memory_format=torch.channels_last), kernel, (1 / size - 1).repeat(scale**2)
        )
    return places.permute(0, 2, 3, 1).unflatten(-1, (scale**2, 2)).flatten(2, 3)


def sample_subpixels(frames: Tensor, grid: Tensor, scale: int) -> Tensor:
    """`frames` (B, C, scale * h, scale * w), float32, at [`subpixel_grid`] -> a view (B, h, w, C, scale^2) of what
    lies in memory in the order (B, C, h, w, scale^2).
    """
    found = F.grid_sample(frames, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return found.unflatten(-1, (-1, scale**2)).permute(0, 2, 3, 1, 4)


def subpixels(frames: Tensor, scale: int) -> Tensor:
    """`frames` (B, C, scale * h, scale * w) -> (B, h, w, C, scale^2), ordered as [`sample_subpixels`] has it."""
    ordered = rearrange(frames, "b c (h p) (w q) -> b c h w (p q)", p=scale, q=scale)
    return ordered.permute(0, 2, 3, 1, 4)


def moved_neighbor(
    frames: Tensor, flow: Tensor, index: int, step: int, scale: int = 1
) -> tuple[Tensor, Tensor] | tuple[None, None]:
    """What a frame near another one shows, moved to where it is in that one.

    Args:
        frames: (B, F, C, scale * h, scale * w).
        flow: of the clip, (B, 2, F - 1, 2, h, w), as [`clip_flow`] gives it.
        index: of the frame.
        step: how much later its neighbor is: 1 for the next frame, -1 for the one before.
        scale: how much larger than the flow the frames are.

    Returns:
        What it shows less what the frame shows, 0 if alike, (B, C, scale * h, scale * w), float32; and the flow to it,
        (B, 2, scale * h, scale * w). None if the frame has no such neighbor.
    """
    if not 0 <= index + step < frames.shape[1]:
        return None, None
    there = flow_to_neighbor(flow, index, step)
    if scale > 1:
        there = scale * F.interpolate(there, scale_factor=scale, mode="bilinear", align_corners=False)
    return warp(frames[:, index + step].float(), there) - frames[:, index].float(), there
