# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Orthonormal 2-D Haar wavelets (SeeClear, section 3.2: the condenser works in wavelet space instead of a latent
space).

Shapes: N images, C channels, height H and width W; every transform is orthonormal, so energy is kept and white noise
stays white. The sub-bands lie on the channel axis, band-major: `[LL of all channels, LH, HL, HH]`.
"""

import torch
from torch import Tensor


def _check_divisible(images: Tensor, divisor: int) -> None:
    height, width = images.shape[-2:]
    if height % divisor or width % divisor:
        raise ValueError(f"`images` is {height}x{width}; height and width must be multiples of {divisor}")


def haar_dwt(images: Tensor) -> tuple[Tensor, Tensor]:
    """One level of the Haar transform.

    Args:
        images: (N, C, H, W) with even H and W.

    Returns:
        The low band (N, C, H/2, W/2), which is twice the 2x2 mean, and the three high bands (N, 3C, H/2, W/2).

    Raises:
        ValueError: H or W is odd.
    """
    _check_divisible(images, 2)
    # (N, H/2, 2, W/2, 2, C), in the order of `channels_last` memory
    pairs = images.permute(0, 2, 3, 1).unflatten(2, (-1, 2)).unflatten(1, (-1, 2))
    top, bottom = pairs.unbind(dim=2)
    (left_sum, right_sum), (left_difference, right_difference) = (
        x.unbind(dim=3) for x in (top + bottom, top - bottom)
    )
    low, *high = (
        band.permute(0, 3, 1, 2)
        for band in (
            left_sum + right_sum,
            left_sum - right_sum,
            left_difference + right_difference,
            left_difference - right_difference,
        )
    )
    return low / 2, torch.cat(high, dim=1) / 2


def haar_idwt(low: Tensor, high: Tensor) -> Tensor:
    """Inverse of [`haar_dwt`]: (N, C, h, w) and (N, 3C, h, w) to (N, C, 2h, 2w).

    Raises:
        ValueError: `high` does not have three times the channels of `low` at its size.
    """
    count, channels, height, width = low.shape
    if high.shape != (count, 3 * channels, height, width):
        raise ValueError(f"`high` is {tuple(high.shape)}; it must be {(count, 3 * channels, height, width)}")
    # positions last to first: (N, h, w, C), so that the channels of a position are moved in one piece
    low, lh, hl, hh = (band.permute(0, 2, 3, 1) for band in (low / 2, *(high / 2).chunk(3, dim=1)))
    even, odd = low + lh, low - lh
    even_difference, odd_difference = hl + hh, hl - hh
    top = torch.stack([even + even_difference, odd + odd_difference], dim=3)  # (N, h, w, 2, C)
    bottom = torch.stack([even - even_difference, odd - odd_difference], dim=3)
    images = torch.stack([top, bottom], dim=2)  # (N, h, 2, w, 2, C)
    return images.reshape(count, 2 * height, 2 * width, channels).permute(0, 3, 1, 2)


def wavelet_packet(images: Tensor, levels: int) -> Tensor:
    """Full packet decomposition: all four bands are decomposed again, so that every channel lies on one grid.

    (N, C, H, W) to (N, C * 4^levels, H / 2^levels, W / 2^levels); the first C channels are the low band of all levels,
    which is 2^levels times the block mean.

    Raises:
        ValueError: H or W is no multiple of 2^levels.
    """
    _check_divisible(images, 2**levels)
    for _ in range(levels):
        images = torch.cat(haar_dwt(images), dim=1)
    return images


def inverse_wavelet_packet(bands: Tensor, levels: int) -> Tensor:
    """Inverse of [`wavelet_packet`].

    Raises:
        ValueError: the channel count is no multiple of 4^levels.
    """
    if bands.shape[1] % 4**levels:
        raise ValueError(f"`bands` has {bands.shape[1]} channels; they must be a multiple of {4**levels}")
    for _ in range(levels):
        low_channels = bands.shape[1] // 4
        bands = haar_idwt(bands[:, :low_channels], bands[:, low_channels:])
    return bands
