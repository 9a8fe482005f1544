# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Losses between predicted and true frames, both in [-1, 1]."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import reduce
from torch import Tensor

from seeclear.models.optical_flow import warp


def charbonnier_loss(prediction: Tensor, target: Tensor, epsilon: float = 1e-3) -> Tensor:
    """The Charbonnier loss, a smooth L1: the mean of sqrt((prediction - target)^2 + epsilon^2).

    Args:
        prediction: frames in [-1, 1], any shape.
        target: frames of the same shape.
        epsilon: the width of the rounded tip, in the units of the frames.

    Returns:
        A scalar in float32; it is `epsilon` where both are equal.

    Raises:
        ValueError: if the shapes differ.
    """
    _check_shapes(prediction, target)
    difference = prediction.float() - target.float()
    return torch.sqrt(difference.square() + epsilon**2).mean()


def color_loss(prediction: Tensor, target: Tensor, cell: int = 32) -> Tensor:
    """How far mean colours are off: L1 of the difference, averaged over squares of the frame and over the clip.

    Perceptual losses shift whole areas a little in colour, by what no pixel loss of their weight notices.

    Args:
        prediction: frames in [-1, 1], (..., F, C, H, W).
        target: frames of the same shape.
        cell: side in pixels of the squares, which overlap where the frame is no whole number of them; a smaller frame
            is one cell.

    Returns:
        A scalar in float32, 0 where both are equal.

    Raises:
        ValueError: if the shapes differ.
    """
    _check_shapes(prediction, target)
    means = (prediction.float() - target.float()).mean(dim=-4)  # over the clip
    rows, columns = (-(-side // cell) for side in means.shape[-2:])
    return F.adaptive_avg_pool2d(means, (rows, columns)).abs().mean()


def grid_loss(prediction: Tensor, target: Tensor, period: int = 8, window: int = 64) -> Tensor:
    """What the difference repeats every `period` pixels, as transposed convolutions and pixel shuffles do.

    The difference is averaged over all cells of period x period pixels of a window and over the frames of the clip,
    which leaves of it what stands still on the grid of pixels; of that, less its mean, the mean absolute value. Detail
    that is missing or made up averages out; a mesh doesn't. Perceptual losses reward a mesh where the target has fine
    texture, so they need this.

    Args:
        prediction: frames in [-1, 1], (..., F, C, H, W).
        target: frames of the same shape.
        period: of the pattern in pixels, also of its divisors; at least 2.
        window: side in pixels of the squares that are averaged over, rounded down to whole periods; frames are cut
            into as many as fit, at least one.

    Returns:
        A scalar in float32, 0 where both are equal.

    Raises:
        ValueError: if the shapes differ, or a frame is smaller than a period.
    """
    _check_shapes(prediction, target)
    height, width = prediction.shape[-2:]
    if min(height, width) < period:
        raise ValueError(f"frames are {width}x{height} pixels; `grid_loss` needs at least {period}x{period}")
    rows, columns = (min(window, side) // period for side in (height, width))  # cells in a window
    windows = height // (rows * period), width // (columns * period)
    used = windows[0] * rows * period, windows[1] * columns * period
    difference = (prediction.float() - target.float())[..., : used[0], : used[1]]
    pattern = reduce(
        difference,
        "... f c (a m p) (b n q) -> ... c a b p q",
        "mean",
        a=windows[0],
        b=windows[1],
        p=period,
        q=period,
    )
    return F.l1_loss(pattern, pattern.mean(dim=(-2, -1), keepdim=True).expand_as(pattern))


def steadiness_loss(prediction: Tensor, target: Tensor, flow: Tensor, epsilon: float = 1e-3) -> Tensor:
    """How much errors change along the motion: Charbonnier's loss between the error of every frame and that of the
    next one, brought back along the flow of the target. An error that moves with what it is on costs nothing; flicker
    and texture that crawls do.

    Args:
        prediction: clips in [-1, 1], (B, F, C, s H, s W).
        target: clips of the same shape.
        flow: of the target, in pixels of H x W, (B, 2, F - 1, 2, H, W), as
            [`seeclear.models.optical_flow.clip_flow`] gives it.
        epsilon: as in [`charbonnier_loss`].

    Returns:
        A scalar in float32; `epsilon` where no error changes, 0 of clips of one frame.

    Raises:
        ValueError: if the shapes differ.
    """
    _check_shapes(prediction, target)
    if prediction.shape[1] == 1:
        return prediction.new_zeros((), dtype=torch.float32)
    error = prediction.float() - target.float()
    size = error.shape[-2:]
    onward = flow[:, 0].flatten(0, 1)
    onward = F.interpolate(onward, size=size, mode="bilinear", align_corners=False) * (size[0] / flow.shape[-2])
    brought_back = warp(error[:, 1:].flatten(0, 1), onward)
    return charbonnier_loss(brought_back, error[:, :-1].flatten(0, 1), epsilon)


def _check_shapes(prediction: Tensor, target: Tensor) -> None:
    if prediction.shape != target.shape:
        raise ValueError(
            f"`prediction` has shape {tuple(prediction.shape)} and `target` {tuple(target.shape)}; they must be equal"
        )
