# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""PSNR and SSIM of 8-bit images, as the super-resolution literature computes them.

Images are uint8 RGB, (..., 3, H, W). Channel "y" is the luma of ITU-R BT.601 in studio range, 16 to 235, as MATLAB's
`rgb2ycbcr` defines it, not rounded again; "rgb" takes the three channels as they are. The peak value is 255 for both.
"""

from typing import Literal

import torch
from torch import Tensor

Channel = Literal["y", "rgb"]

_SSIM_WINDOW, _SSIM_SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def rgb_to_y(images: Tensor) -> Tensor:
    """Luma (..., 1, H, W) in 16..235, float64, of RGB (..., 3, H, W) in 0..255."""
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=torch.float64, device=images.device) / 255
    return 16 + (images.double() * weights[:, None, None]).sum(dim=-3, keepdim=True)


def _prepare(images: Tensor, reference: Tensor, channel: Channel, crop_border: int) -> tuple[Tensor, Tensor]:
    """Checks both, and gives the channels to compare as float64 (..., C, H, W)."""
    for name, value in (("images", images), ("reference", reference)):
        if value.dtype != torch.uint8:
            raise ValueError(f"`{name}` must be uint8, but is {value.dtype}.")
        if value.dim() < 3 or value.shape[-3] != 3:
            raise ValueError(f"`{name}` must be (..., 3, H, W), but is {tuple(value.shape)}.")
    if images.shape != reference.shape:
        shapes = f"{tuple(images.shape)} and {tuple(reference.shape)}"
        raise ValueError(f"`images` and `reference` must be of one shape, but are {shapes}.")
    if channel not in ("y", "rgb"):
        raise ValueError(f"`channel` must be 'y' or 'rgb', but is {channel!r}.")
    height, width = images.shape[-2:]
    if crop_border < 0 or 2 * crop_border >= min(height, width):
        raise ValueError(f"`crop_border` must leave something of {height}x{width} images, but is {crop_border}.")
    inside = (..., slice(crop_border, height - crop_border), slice(crop_border, width - crop_border))
    convert = rgb_to_y if channel == "y" else Tensor.double
    return convert(images[inside]), convert(reference[inside])


def psnr(images: Tensor, reference: Tensor, channel: Channel = "y", crop_border: int = 0) -> Tensor:
    """Peak signal-to-noise ratio of each image in dB: (...), float64; infinite for equal images.

    Args:
        images, reference: uint8 RGB (..., 3, H, W), of one shape.
        channel: "y" or "rgb".
        crop_border: pixels to leave out at each side.

    Raises:
        ValueError: another dtype or shape, an unknown channel, a border that leaves nothing.
    """
    images, reference = _prepare(images, reference, channel, crop_border)
    error = (images - reference).square().mean(dim=(-3, -2, -1))
    return 10 * torch.log10(255**2 / error)


def psnr_y(images: Tensor, reference: Tensor) -> float:
    """The mean PSNR in dB of the luma of 8-bit RGB images (..., 3, H, W), whole frames."""
    return float(psnr(images, reference, "y").mean())


def _window_mean(images: Tensor) -> Tensor:
    """Gaussian-weighted means over all 11 x 11 windows that lie inside: (..., H, W) -> (..., H - 10, W - 10)."""
    x = torch.arange(_SSIM_WINDOW, dtype=torch.float64) - _SSIM_WINDOW // 2
    gaussian = torch.exp(-(x**2) / (2 * _SSIM_SIGMA**2))
    weights: list[float] = (gaussian / gaussian.sum()).tolist()
    for dim in (-2, -1):
        length = images.shape[dim] - _SSIM_WINDOW + 1
        total = images.narrow(dim, 0, length) * weights[0]
        for i in range(1, _SSIM_WINDOW):
            total.add_(images.narrow(dim, i, length), alpha=weights[i])
        images = total
    return images


def ssim(images: Tensor, reference: Tensor, channel: Channel = "y", crop_border: int = 0) -> Tensor:
    """Structural similarity of each image (Wang et al. 2004): (...), float64, 1 for equal images.

    A Gaussian window of 11 x 11 and sigma 1.5, only where it lies inside the image; K1 = 0.01, K2 = 0.03; for "rgb"
    the mean of the channels. Arguments and errors are those of `psnr`; the images must also hold one window.
    """
    x, y = _prepare(images, reference, channel, crop_border)
    if min(x.shape[-2:]) < _SSIM_WINDOW:
        raise ValueError(f"SSIM needs at least {_SSIM_WINDOW} pixels a side inside the border, not {tuple(x.shape)}.")
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    variances = _window_mean(x * x + y * y) - mean_x**2 - mean_y**2
    covariance = _window_mean(x * y) - mean_x * mean_y
    similarity = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    similarity = similarity / ((mean_x**2 + mean_y**2 + _C1) * (variances + _C2))
    return similarity.mean(dim=(-3, -2, -1))
