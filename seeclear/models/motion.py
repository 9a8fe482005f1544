# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What moves against the background of a clip: optical flow between nearby frames, less the motion of the camera.

Networks that move frames take their flow from DIS (Kroeger et al. 2016; OpenCV's); the segmenter's maps of what moves,
which need no fractions of a pixel, from the method of Lucas and Kanade from coarse to fine. The camera's motion is the
affine one that most of the picture follows. Flow maps (N, 2, h, w) hold x and y in pixels of their own grid: what
`first` shows at a place, `second` shows at the place plus the flow there.
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
from torch import Tensor, nn

from seeclear.resize import full_precision, imresize

REACH = 2
"""Frames are compared with those so far before and after them, or with the ends of the clip if these are nearer."""
CHANNELS = 5
"""Of the motion maps: see [`motion_maps`]."""
_LEVELS, _ITERATIONS, _WINDOW = 3, 3, 5
_NOISE = 1e-4
_SMALLEST = 0.1
_ENLARGED = 1.5
"""How much larger than LR frames the pictures are that DIS takes."""
_SMALLEST_SIDE = 16
"""Of the pictures that DIS takes."""


def warp(frames: Tensor, flow: Tensor) -> Tensor:
    """`frames` (N, C, h, w) at every place plus the flow (N, 2, h, w) there; beyond the edge it repeats."""
    height, width = frames.shape[-2:]
    rows = torch.arange(height, device=flow.device, dtype=flow.dtype)[:, None]
    columns = torch.arange(width, device=flow.device, dtype=flow.dtype)
    x, y = (flow[:, 0] + columns + 0.5) * (2 / width) - 1, (flow[:, 1] + rows + 0.5) * (2 / height) - 1
    grid = torch.stack([x, y], dim=-1)
    return F.grid_sample(frames, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _window_mean(maps: Tensor, size: int = _WINDOW) -> Tensor:
    return F.avg_pool2d(maps, size, stride=1, padding=size // 2, count_include_pad=False)


def _gradients(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Of (N, 1, h, w) along x and y, central differences."""
    padded = F.pad(frames, (1, 1, 1, 1), mode="replicate")
    x = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    return x, (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2


def optical_flow(first: Tensor, second: Tensor) -> Tensor:
    """The flow (N, 2, h, w) from `first` to `second`, grey frames (N, 1, h, w) in [0, 1], at least 16 pixels large."""
    pyramid = [(first, second)]
    while len(pyramid) < _LEVELS and min(pyramid[-1][0].shape[-2:]) >= 16:
        pyramid.append((F.avg_pool2d(pyramid[-1][0], 2), F.avg_pool2d(pyramid[-1][1], 2)))
    flow = first.new_zeros(len(first), 2, *pyramid[-1][0].shape[-2:])
    for one, other in reversed(pyramid):
        if flow.shape[-2:] != one.shape[-2:]:
            flow = 2 * F.interpolate(flow, size=one.shape[-2:], mode="bilinear", align_corners=False)
        x, y = _gradients(one)
        xx, xy, yy = _window_mean(torch.cat([x * x, x * y, y * y], dim=1)).split(1, dim=1)
        xx, yy = xx + _NOISE, yy + _NOISE
        determinant = xx * yy - xy * xy
        for _ in range(_ITERATIONS):
            change = warp(other, flow) - one
            along_x, along_y = _window_mean(torch.cat([x * change, y * change], dim=1)).split(1, dim=1)
            step = torch.cat([yy * along_x - xy * along_y, xx * along_y - xy * along_x], dim=1) / determinant
            flow = _window_mean(flow - step.clamp(-1, 1), 3)
    return flow


@torch.library.custom_op("seeclear::dense_inverse_search", mutates_args=())
def dense_inverse_search(pictures: Tensor) -> Tensor:
    """DIS between the frames of clips, uint8 (B, F, h, w): to the next one and to the one before, float32
    (B, 2, F - 1, 2, h, w).

    Settings are those of OpenCV's medium preset, but at the full size, without mean normalization, with patches every
    5th pixel, with fewer steps of descent and of refinement, and with twice the weight of smoothness in the refinement
    (docs/training.md, benchmarks/flow.py).
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


def flow_to(flow: Tensor, index: int, step: int) -> Tensor:
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


def subpixel_places(flow: Tensor, scale: int) -> Tensor:
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


def sample_subpixels(frames: Tensor, places: Tensor, scale: int) -> Tensor:
    """`frames` (B, C, scale * h, scale * w), float32, at [`subpixel_places`] -> a view (B, h, w, C, scale^2) of what
    lies in memory in the order (B, C, h, w, scale^2).
    """
    found = F.grid_sample(frames, places, mode="bilinear", padding_mode="border", align_corners=False)
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
    there = flow_to(flow, index, step)
    if scale > 1:
        there = scale * F.interpolate(there, scale_factor=scale, mode="bilinear", align_corners=False)
    return warp(frames[:, index + step].float(), there) - frames[:, index].float(), there


def camera_motion(flow: Tensor, iterations: int = 8) -> Tensor:
    """The affine motion, as a flow (N, 2, h, w), that most of `flow` follows: a fit whose errors count by their size
    and not by its square, so that what moves by itself does not sway it.
    """
    height, width = flow.shape[-2:]
    rows = torch.linspace(-1, 1, height, device=flow.device, dtype=flow.dtype)[:, None].expand(height, width)
    columns = torch.linspace(-1, 1, width, device=flow.device, dtype=flow.dtype).expand(height, width)
    places = torch.stack([torch.ones_like(rows), columns, rows], dim=-1).flatten(0, 1)  # (h*w, 3)
    target = flow.flatten(2).transpose(1, 2)  # (N, h*w, 2)
    thin = max(1, (height * width) // 2048)
    some, wanted = places[::thin], target[:, ::thin]
    weights = torch.ones_like(wanted[..., :1])
    fit = flow.new_zeros(len(flow), 3, 2)
    for _ in range(iterations):
        weighted = (some * weights).transpose(1, 2)  # (N, 3, h*w)
        fit = torch.linalg.solve(weighted @ some + _NOISE * torch.eye(3).to(flow), weighted @ wanted)
        weights = 1 / (some @ fit - wanted).norm(dim=-1, keepdim=True).clamp(min=_SMALLEST)
        weights = weights / weights.mean(dim=1, keepdim=True)
    return (places @ fit).transpose(1, 2).unflatten(2, (height, width))


def neighbor_pairs(num_frames: int) -> list[tuple[int, int]]:
    """The frames of a clip with the neighbors before and after them that they are compared with (`REACH`)."""
    near = [(i, max(0, min(num_frames - 1, i + reach))) for i in range(num_frames) for reach in (-REACH, REACH)]
    return [(i, j) for i, j in near if i != j]


def pair_motion(first: Tensor, second: Tensor) -> Tensor:
    """How far every pixel of `first` moves against the background, as log(1 + 4 pixels), and how much it differs from
    `second` where that shows the same part of the background.

    Args:
        first, second: grey (N, 1, h, w) in [0, 1].

    Returns:
        (N, 2, h, w), float32.
    """
    first, second = first.float(), second.float()
    size = (first.shape[-2], first.shape[-1])
    half = optical_flow(F.avg_pool2d(first, 2), F.avg_pool2d(second, 2))
    flow = 2 * F.interpolate(half, size=size, mode="bilinear", align_corners=False)
    camera = camera_motion(flow)
    moved = torch.log1p(4 * torch.hypot(*(flow - camera).unbind(dim=1)))
    differs = 8 * _window_mean((warp(second, camera) - first).abs(), 3)[:, 0]
    return torch.stack([moved, differs], dim=1)


def motion_maps(frames: Tensor, of_pairs: Tensor | None = None) -> Tensor:
    """What moves in a clip, whatever the camera does.

    Args:
        frames: grey (B, F, 1, h, w) in [0, 1].
        of_pairs: [`pair_motion`] of the clip's [`neighbor_pairs`], (B, pairs, 2, h, w), where it is known already.

    Returns:
        (B, F, CHANNELS, h, w), float32. For each frame and its neighbours, how far every pixel moves and how much it
        differs: of both their mean and the smaller one over the neighbours, the latter without what is uncovered in
        one of them. The fifth map is the first one divided by its largest values in the frame. All zero for a clip of
        one frame.
    """
    batch_size, num_frames, _, height, width = frames.shape
    maps = torch.zeros(batch_size, num_frames, CHANNELS, height, width, device=frames.device)
    pairs = neighbor_pairs(num_frames)
    if not pairs:
        return maps
    if of_pairs is None:
        first, second = (frames[:, list(one)].flatten(0, 1) for one in zip(*pairs, strict=True))
        of_pairs = pair_motion(first, second).unflatten(0, (batch_size, -1))
    moved, differs = of_pairs.float().unbind(dim=2)  # (B, pairs, h, w)
    for i in range(num_frames):
        mine = [number for number, (one, _) in enumerate(pairs) if one == i]
        here = moved[:, mine], differs[:, mine]
        mean = here[0].mean(dim=1)
        largest = mean.flatten(1).quantile(0.98, dim=1)[:, None, None].clamp(min=_SMALLEST)
        values = (mean, here[0].amin(dim=1), here[1].mean(dim=1), here[1].amin(dim=1), mean / largest)
        maps[:, i] = torch.stack(values, dim=1)
    return maps


class MotionHead(nn.Module):
    """What a clip's motion and its colours tell about masks: something to be added to the pixel features before their
    product with tokens. Untrained it is zero.
    """

    def __init__(self, feature_dim: int, hidden_dim: int = 24) -> None:
        super().__init__()
        self.stem = nn.Conv2d(CHANNELS + 3, hidden_dim, 3, stride=2, padding=1)
        self.mix = nn.Conv2d(feature_dim + hidden_dim, feature_dim, 1)
        self.norm = nn.GroupNorm(8, feature_dim)
        self.near = nn.Conv2d(feature_dim, feature_dim, 3, padding=1, groups=feature_dim)
        self.between = nn.Conv2d(feature_dim, feature_dim, 1)
        self.wide = nn.Conv2d(feature_dim, feature_dim, 3, padding=3, dilation=3, groups=feature_dim)
        self.out = nn.Conv2d(feature_dim, feature_dim, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    @staticmethod
    def shrink(pixels: Tensor, features: Tensor) -> Tensor:
        """Frames (N, 3, H, W) at the size at which motion is looked for, twice that of `features` (..., h, w)."""
        size = (2 * features.shape[-2], 2 * features.shape[-1])
        return F.interpolate(pixels.float(), size=size, mode="bilinear", antialias=True, align_corners=False)

    def forward(self, features: Tensor, pixels: Tensor, of_pairs: Tensor | None = None) -> Tensor:
        """`features` (B, F, D, h, w), the frames `pixels` (B, F, 3, H, W) in [0, 1] and, where it is known, the motion
        of their pairs, as [`motion_maps`] takes it -> (B, F, D, h, w).

        Motion is found in float32, whatever the dtype of the features.
        """
        clip = features.shape[:2]
        small = self.shrink(pixels.flatten(0, 1), features)
        with torch.no_grad():
            maps = motion_maps(small.mean(dim=1, keepdim=True).unflatten(0, clip), of_pairs)
        seen = torch.cat([maps.flatten(0, 1), small * 2 - 1], dim=1).to(features.dtype)
        hidden_states = self.stem(seen).relu()
        hidden_states = self.mix(torch.cat([features.flatten(0, 1), hidden_states], dim=1))
        hidden_states = self.near(self.norm(hidden_states).relu())
        hidden_states = self.wide(self.between(hidden_states).relu())
        return self.out(hidden_states.relu()).unflatten(0, clip)
