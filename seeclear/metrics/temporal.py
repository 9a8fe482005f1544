# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Steadiness: how far the changes from frame to frame differ from the original's, and from its motion."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .fidelity import Channel, rgb_to_y

FLOW = "DIS (OpenCV), medium preset"
"""The optical flow of the warping error: dense inverse search (Kroeger et al. 2016)."""


def frame_difference_error(frames: Tensor, reference: Tensor, channel: Channel = "rgb") -> float:
    """Mean absolute error of the frame differences, mean |(x_{t+1} - x_t) - (r_{t+1} - r_t)|, in grey levels of 255.

    Args:
        frames, reference: clips of one shape (F, 3, H, W), uint8 RGB, of at least two frames.
        channel: "rgb", or "y" for the luma.

    Raises:
        ValueError: another dtype or shape, fewer than two frames, an unknown channel.
    """
    for name, value in (("frames", frames), ("reference", reference)):
        if value.dtype != torch.uint8 or value.dim() != 4 or value.shape[1] != 3:
            raise ValueError(f"`{name}` must be uint8 (F, 3, H, W), but is {value.dtype} {tuple(value.shape)}.")
    if frames.shape != reference.shape or len(frames) < 2:
        raise ValueError(
            "`frames` and `reference` must be of one shape and have at least two frames, but are "
            f"{tuple(frames.shape)} and {tuple(reference.shape)}."
        )
    if channel not in ("y", "rgb"):
        raise ValueError(f"`channel` must be 'y' or 'rgb', but is {channel!r}.")
    total = 0.0
    previous = None
    for frame, original in zip(frames, reference, strict=True):
        error = rgb_to_y(frame) - rgb_to_y(original) if channel == "y" else frame.float() - original.float()
        if previous is not None:
            total += float((error - previous).abs().mean())
        previous = error
    return total / (len(frames) - 1)


def _sample(image: NDArray[Any], flow: NDArray[np.float32]) -> NDArray[Any]:
    """The image at every pixel's position plus its flow (H, W, 2), bilinear."""
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return cv2.remap(image, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def motion(first: Tensor, second: Tensor) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The optical flow from one frame to the next, and where it can be trusted.

    Args:
        first, second: uint8 RGB (3, H, W), at least 16 pixels a side.

    Returns:
        The flow (H, W, 2): pixel (x, y) of `first` is at (x + u, y + v) in `second`; and (H, W): true where that lies
        inside the frame and the flow back from there leads to the pixel again (Sundaram et al. 2010, eq. 5: the
        squared distance is below 0.01 times the sum of both squared flows, plus 0.5).
    """
    if min(first.shape[1:]) < 16:
        raise ValueError(f"The optical flow needs at least 16 pixels a side, not {tuple(first.shape[1:])}.")
    grey = [rgb_to_y(frame)[0].round().byte().cpu().numpy() for frame in (first, second)]
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    there, back = dis.calc(grey[0], grey[1], None), dis.calc(grey[1], grey[0], None)
    back_there = _sample(back, there)
    gap = np.square(there + back_there).sum(axis=-1)
    allowed = 0.01 * (np.square(there).sum(axis=-1) + np.square(back_there).sum(axis=-1)) + 0.5
    height, width = grey[0].shape
    y, x = np.mgrid[:height, :width]
    x, y = x + there[..., 0], y + there[..., 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return there, (gap < allowed) & inside


def warping_errors(outputs: Mapping[str, Tensor], ground_truth: Tensor) -> dict[str, float | None]:
    """How far each clip is from its next frames brought back along the original's motion (Lai et al. 2018), by name.

    The mean over the pairs of consecutive frames of the mean squared difference, for values in [0, 1], over the
    pixels where the flow, computed between the original's frames, can be trusted (see `motion`). The original has an
    error of its own, which is the scale to judge by. None if nowhere in the clip it can be trusted.

    Args:
        outputs: clips, uint8 RGB (F, 3, H, W).
        ground_truth: the original, of the same shape, at least two frames.

    Raises:
        ValueError: frames too few or too small.
    """
    if len(ground_truth) < 2:
        raise ValueError(f"`ground_truth` must have at least two frames, but has {len(ground_truth)}.")
    totals, pairs = dict.fromkeys(outputs, 0.0), 0
    for i in range(len(ground_truth) - 1):
        flow, trusted = motion(ground_truth[i], ground_truth[i + 1])
        if not trusted.any():
            continue
        pairs += 1
        for name, frames in outputs.items():
            one, two = (frames[j].permute(1, 2, 0).float().div(255).contiguous().numpy() for j in (i, i + 1))
            difference = np.square(one - _sample(two, flow))[trusted]
            totals[name] += float(difference.mean(dtype=np.float64))
    return {name: total / pairs if pairs else None for name, total in totals.items()}
