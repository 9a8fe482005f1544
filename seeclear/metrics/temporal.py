# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""How far the changes from frame to frame differ from the original's: flicker and lost motion."""

import torch
from torch import Tensor

from .fidelity import Channel, rgb_to_y


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
