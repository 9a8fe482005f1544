# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What moves against the background of a clip: flow between nearby frames, less the motion of the camera.

The flow needs no fractions of a pixel here and comes from the method of Lucas and Kanade, from coarse to fine. The
camera's motion is the affine one that most of the picture follows. Flow maps are as in `optical_flow`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .optical_flow import warp

REACH = 2
"""Frames are compared with those so far before and after them, or with the ends of the clip if these are nearer."""
CHANNELS = 5
"""Of the motion maps: see [`motion_maps`]."""
_LEVELS, _ITERATIONS, _WINDOW = 3, 3, 5
_NOISE = 1e-4
_SMALLEST = 0.1


def _window_mean(maps: Tensor, size: int = _WINDOW) -> Tensor:
    return F.avg_pool2d(maps, size, stride=1, padding=size // 2, count_include_pad=False)


def _gradients(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Of (N, 1, h, w) along x and y, central differences."""
    padded = F.pad(frames, (1, 1, 1, 1), mode="replicate")
    x = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    return x, (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2


def lucas_kanade_flow(first: Tensor, second: Tensor) -> Tensor:
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
    half = lucas_kanade_flow(F.avg_pool2d(first, 2), F.avg_pool2d(second, 2))
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
