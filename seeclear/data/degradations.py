# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""How low-resolution frames are made: the degradations of the video super-resolution benchmarks."""

import math
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from seeclear.shipped import SCALE

from ..resize import imresize, to_uint8


class Degradation(Protocol):
    """Maps frames (F, 3, H, W) in [0, 1] to (F, 3, H / scale, W / scale) in [0, 1], of 8-bit values.

    What is random in it is drawn from `rng`, which degradations without chance do not need.
    """

    scale: int

    def __call__(self, frames: Tensor, rng: np.random.Generator | None = None) -> Tensor: ...


def check_size(frames: Tensor, scale: int) -> None:
    """ValueError unless the frames are (F, C, H, W) with sides that are multiples of `scale`."""
    if frames.dim() != 4 or frames.shape[2] % scale or frames.shape[3] % scale:
        raise ValueError(
            f"`frames` must be (F, C, H, W) with H and W multiples of {scale}, but is {tuple(frames.shape)}."
        )


class BicubicDegradation:
    """The degradation called BI: MATLAB's bicubic, antialiased, by 1 / scale; rounded to 8 bits."""

    def __init__(self, scale: int = SCALE) -> None:
        self.scale = scale

    def __call__(self, frames: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        check_size(frames, self.scale)
        return to_uint8(imresize(frames, scale=1 / self.scale)).to(frames.dtype) / 255


class GaussianDegradation:
    """The degradation called BD: a Gaussian blur, then every scale-th pixel from the first on; rounded to 8 bits.

    This is the convention of DUF (Jo et al. 2018), which later work took over. The blur is cut off at radius
    ceil(3.75 sigma) (6 for the benchmarks' sigma of 1.6, a kernel of 13 x 13), the border is mirrored without
    repeating the edge ("reflect"). Low-resolution pixel i lies on high-resolution pixel scale * i, not at the middle
    of a block as with BI: what was trained on one of the two is shifted by 1.5 high-resolution pixels on the other.
    """

    def __init__(self, sigma: float = 1.6, scale: int = SCALE) -> None:
        if not sigma > 0:
            raise ValueError(f"`sigma` must be positive, but is {sigma}.")
        self.sigma, self.scale = sigma, scale
        self.radius = math.ceil(3.75 * sigma)

    def __call__(self, frames: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        check_size(frames, self.scale)
        x = torch.arange(-self.radius, self.radius + 1, dtype=frames.dtype, device=frames.device)
        kernel = torch.exp(-(x**2) / (2 * self.sigma**2))
        kernel = (kernel / kernel.sum())[None, None]
        r, s = self.radius, self.scale
        padded = functional.pad(frames, (r, r, r, r), mode="reflect").flatten(0, 1)[:, None]
        blurred = functional.conv2d(padded, kernel[..., None], stride=(s, 1))
        blurred = functional.conv2d(blurred, kernel[..., None, :], stride=(1, s))
        return to_uint8(blurred.view(*frames.shape[:2], *blurred.shape[2:])).to(frames.dtype) / 255
