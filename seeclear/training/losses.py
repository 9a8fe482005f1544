# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Losses between predicted and true frames, both in [-1, 1]."""

from __future__ import annotations

import torch
from torch import Tensor


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


def frequency_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """L1 distance of the orthonormal two-dimensional Fourier spectra, over real and imaginary parts.

    Args:
        prediction: frames in [-1, 1], (..., H, W).
        target: frames of the same shape.

    Returns:
        A scalar in float32, 0 where both are equal.

    Raises:
        ValueError: if the shapes differ.
    """
    _check_shapes(prediction, target)
    spectrum = torch.fft.rfft2(prediction.float() - target.float(), norm="ortho")
    return torch.view_as_real(spectrum).abs().mean()


def _check_shapes(prediction: Tensor, target: Tensor) -> None:
    if prediction.shape != target.shape:
        raise ValueError(
            f"`prediction` has shape {tuple(prediction.shape)} and `target` {tuple(target.shape)}; they must be equal"
        )
