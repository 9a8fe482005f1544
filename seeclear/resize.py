# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Bicubic resizing that agrees with MATLAB's `imresize`, the convention of every super-resolution benchmark ("BI").

MATLAB's bicubic differs from torch's in two points: the cubic kernel has a = -0.5 and is widened when shrinking (torch
does both with `antialias=True`), and the image continues beyond its border as its own mirror image with the edge
repeated (torch drops the taps outside and renormalises). Degradations resize by three other methods, too. Shapes:
images are (..., C, H, W), values of any range.
"""

import math
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

# Output samples that share one dense block of weights: large enough for efficient matrix products, small enough to
# leave out most of the zeros of the banded weight matrix.
_BLOCK = 64


def cubic_kernel(x: Tensor) -> Tensor:
    """Keys' cubic convolution kernel with a = -0.5; its support is [-2, 2]."""
    x = x.abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return near * (x <= 1) + far * ((x > 1) & (x <= 2))


def triangle_kernel(x: Tensor) -> Tensor:
    """The kernel of bilinear interpolation; its support is [-1, 1]."""
    return (1 - x.abs()).clamp(min=0)


def lanczos_kernel(x: Tensor) -> Tensor:
    """Lanczos' kernel of three lobes, sinc(x) sinc(x / 3); its support is [-3, 3]."""
    return torch.sinc(x) * torch.sinc(x / 3) * (x.abs() < 3)


_KERNELS = {"bilinear": (triangle_kernel, 1), "bicubic": (cubic_kernel, 2), "lanczos3": (lanczos_kernel, 3)}
METHODS = ("area", *_KERNELS)
"""Of resizing. "area" is the mean of what an output sample covers, pixels that it covers in part counted in part."""


def resize_matrix(in_size: int, out_size: int, scale: float, method: str = "bicubic") -> Tensor:
    """The weights (out_size, in_size), float64, of one-dimensional resizing by `scale`; every row sums to one.

    Output sample i has its centre at (i + 0.5) / scale - 0.5 on the input's grid, whatever the method, one of
    `METHODS`. When shrinking, the kernel is stretched by 1 / scale. Taps outside the signal fall on its mirror image.
    """
    stretch = max(1.0, 1.0 / scale)
    reach = (stretch + 1) / 2 if method == "area" else _KERNELS[method][1] * stretch
    centre = (torch.arange(out_size, dtype=torch.float64) + 0.5) / scale - 0.5
    first = torch.floor(centre - reach)
    taps = first[:, None] + torch.arange(math.ceil(2 * reach) + 2, dtype=torch.float64)
    distance = centre[:, None] - taps
    if method == "area":  # of the pixel, one wide, and of the sample, `stretch` wide: how much they overlap
        weights = (reach - distance.abs()).clamp(0, 1)
    else:
        weights = _KERNELS[method][0](distance / stretch)
    weights = weights / weights.sum(dim=1, keepdim=True)

    position = taps.long() % (2 * in_size)  # one period of the mirrored signal: 0 1 ... n-1 n-1 ... 1 0
    position = torch.where(position < in_size, position, 2 * in_size - 1 - position)
    return torch.zeros(out_size, in_size, dtype=torch.float64).scatter_add_(1, position, weights)


@lru_cache(maxsize=64)
def _blocks(
    in_size: int, out_size: int, scale: float, method: str, dtype: torch.dtype, device: torch.device
) -> list[tuple[int, int, Tensor]]:
    """The non-zero parts of the weight matrix: (first input, last input + 1, weights (rows, inputs)) a block."""
    # kept for later calls, so made outside of whatever mode this call is in
    with _disable_current_modes(), torch.inference_mode(False), torch.device("cpu"):
        blocks = []
        for rows in resize_matrix(in_size, out_size, scale, method).split(_BLOCK):
            used = rows.ne(0).any(dim=0).nonzero()
            start, stop = int(used[0]), int(used[-1]) + 1
            blocks.append((start, stop, rows[:, start:stop].to(device, dtype).contiguous()))
    return blocks


def _resize_rows(images: Tensor, out_size: int, scale: float, method: str) -> Tensor:
    """(N, H, W) -> (N, out_size, W)."""
    blocks = _blocks(images.shape[1], out_size, scale, method, images.dtype, images.device)
    return torch.cat([weights @ images[:, start:stop] for start, stop, weights in blocks], dim=1)


def _resize_columns(images: Tensor, out_size: int, scale: float, method: str) -> Tensor:
    """(N, H, W) -> (N, H, out_size)."""
    blocks = _blocks(images.shape[2], out_size, scale, method, images.dtype, images.device)
    flat = images.reshape(-1, images.shape[2])
    resized = torch.cat([flat[:, start:stop] @ weights.T for start, stop, weights in blocks], dim=1)
    return resized.view(images.shape[0], images.shape[1], out_size)


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """A context in which autocast lowers nothing on the device."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def imresize(
    images: Tensor, scale: float | None = None, size: tuple[int, int] | None = None, method: str = "bicubic"
) -> Tensor:
    """Resize as MATLAB's `imresize(images, scale)` or `imresize(images, size)` with its default, bicubic, does.

    Args:
        images: (..., H, W), usually (..., C, H, W), floating point. Half precision is computed in float32, also
            under autocast.
        scale: the factor for both axes; the output is (ceil(scale * H), ceil(scale * W)).
        size: the output's (height, width), instead of `scale`; each axis then has its own factor.
        method: one of `METHODS`; "bilinear" and "lanczos3" are MATLAB's too, "area" is no method of MATLAB's.

    Returns:
        The resized images in the dtype of the input, neither rounded nor clamped (the kernel overshoots at edges).

    Raises:
        ValueError: not exactly one of `scale` and `size`, a factor or size that is not positive, another method,
            images that are not floating point or are empty.
    """
    if method not in METHODS:
        raise ValueError(f"`method` must be one of {list(METHODS)}, but is {method!r}.")
    if (scale is None) == (size is None):
        raise ValueError(f"Give exactly one of `scale` and `size`, not scale={scale} and size={size}.")
    if not images.is_floating_point():
        raise ValueError(f"`images` must be floating point, but is {images.dtype}.")
    if images.dim() < 2 or 0 in images.shape[-2:]:
        raise ValueError(f"`images` must be (..., H, W) with at least one pixel, but is {tuple(images.shape)}.")
    height, width = images.shape[-2:]
    if scale is not None:
        if not (scale > 0 and math.isfinite(scale)):
            raise ValueError(f"`scale` must be a positive number, but is {scale}.")
        out_height, out_width = math.ceil(scale * height), math.ceil(scale * width)
        scales = (float(scale), float(scale))
    else:
        out_height, out_width = size  # type: ignore[misc]
        if out_height < 1 or out_width < 1:
            raise ValueError(f"`size` must be at least (1, 1), but is {size}.")
        scales = (out_height / height, out_width / width)

    dtype = images.dtype if images.dtype == torch.float64 else torch.float32
    resized = images.reshape(-1, height, width).to(dtype)
    with full_precision(images.device):
        if scales[0] <= scales[1]:  # the smaller factor first: less to compute for the second
            resized = _resize_rows(resized, out_height, scales[0], method)
            resized = _resize_columns(resized, out_width, scales[1], method)
        else:
            resized = _resize_columns(resized, out_width, scales[1], method)
            resized = _resize_rows(resized, out_height, scales[0], method)
    return resized.view(*images.shape[:-2], out_height, out_width).to(images.dtype)


def to_uint8(images: Tensor) -> Tensor:
    """Float images in [0, 1] to uint8, rounded to the nearest grey level (halves up) and clamped."""
    return (images.float() if images.dtype != torch.float64 else images).mul(255).add(0.5).floor().clamp(0, 255).byte()
