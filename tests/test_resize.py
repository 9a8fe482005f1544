# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import interpolate

from seeclear.resize import METHODS, cubic_kernel, imresize, lanczos_kernel, resize_matrix, to_uint8, triangle_kernel


def mirrored(images: torch.Tensor, pad: int) -> torch.Tensor:
    """Pads H and W with the mirror image, the edge repeated; `pad` may exceed the size."""
    for dim in (-2, -1):
        n = images.shape[dim]
        index = torch.arange(-pad, n + pad) % (2 * n)
        index = torch.where(index < n, index, 2 * n - 1 - index)
        images = images.index_select(dim, index)
    return images


def test_kernel_at_hand_worked_points() -> None:
    x = torch.tensor([0.0, 0.5, -0.5, 1.0, 1.5, 2.0, 2.5], dtype=torch.float64)
    expected = torch.tensor([1.0, 0.5625, 0.5625, 0.0, -0.0625, 0.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(cubic_kernel(x), expected, atol=0, rtol=0)


def test_other_kernels_at_hand_worked_points() -> None:
    """sinc(1/2) sinc(1/6) = 6 / pi^2, sinc(3/2) sinc(1/2) = -4 / (3 pi^2)."""
    x = torch.tensor([0.0, 0.5, -1.5, 1.0, 2.0, 3.0, 3.5], dtype=torch.float64)
    lobes = [1.0, 6 / math.pi**2, -4 / (3 * math.pi**2), 0.0, 0.0, 0.0, 0.0]
    torch.testing.assert_close(lanczos_kernel(x), torch.tensor(lobes, dtype=torch.float64), atol=1e-15, rtol=0)
    hat = torch.tensor([1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(triangle_kernel(x), hat, atol=0, rtol=0)


def test_area_by_hand() -> None:
    """Five pixels to four: each sample covers a pixel and a quarter; three to six: three quarters and a quarter."""
    smaller = (
        torch.tensor([[4, 1, 0, 0, 0], [0, 3, 2, 0, 0], [0, 0, 2, 3, 0], [0, 0, 0, 1, 4]], dtype=torch.float64) / 5
    )
    torch.testing.assert_close(resize_matrix(5, 4, 0.8, "area"), smaller, atol=1e-15, rtol=0)
    larger = torch.tensor([[1, 0, 0], [0.75, 0.25, 0], [0.25, 0.75, 0]], dtype=torch.float64)
    torch.testing.assert_close(resize_matrix(3, 6, 2.0, "area")[:3], larger, atol=1e-15, rtol=0)


def test_bilinear_and_lanczos_are_those_of_torch_and_pillow_inside() -> None:
    images = torch.rand(1, 3, 120, 96)
    theirs = interpolate(images, (50, 40), mode="bilinear", antialias=True, align_corners=False)
    ours = imresize(images, size=(50, 40), method="bilinear")
    torch.testing.assert_close(ours[..., 3:-3, 3:-3], theirs[..., 3:-3, 3:-3], atol=1e-5, rtol=0)
    plane = Image.fromarray(images[0, 0].numpy(), mode="F").resize((40, 50), Image.Resampling.LANCZOS)
    ours = imresize(images, size=(50, 40), method="lanczos3")[0, 0]
    torch.testing.assert_close(ours[4:-4, 4:-4], torch.from_numpy(np.array(plane))[4:-4, 4:-4], atol=1e-4, rtol=0)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_keeps_a_constant(method: str) -> None:
    for size in ((1, 1), (3, 50), (40, 7)):
        resized = imresize(torch.full((2, 17, 23), 0.3, dtype=torch.float64), size=size, method=method)
        torch.testing.assert_close(resized, torch.full((2, *size), 0.3, dtype=torch.float64), atol=1e-14, rtol=0)
    with pytest.raises(ValueError, match="`method` must be one of"):
        imresize(torch.rand(2, 2), scale=2.0, method=f"{method} ")


def test_doubling_by_hand() -> None:
    """Centres at quarter positions: taps at distances 1.75, 0.75, 0.25, 1.25, with the mirrored edge."""
    far, near, nearest, beyond = -0.0234375, 0.2265625, 0.8671875, -0.0703125
    expected = torch.tensor(
        [  # the first output lies at -0.25 between the mirrored sample 0 and sample 0
            [nearest + near, beyond + far, 0.0],
            [nearest + beyond, near, far],
            [near + far, nearest, beyond],
        ],
        dtype=torch.float64,
    )
    torch.testing.assert_close(resize_matrix(3, 6, 2.0)[:3], expected, atol=1e-15, rtol=0)


def test_halving_by_hand() -> None:
    """Shrinking by two stretches the kernel: taps at distances 0.5, 1.5, 2.5, 3.5 weigh k(0.25), k(0.75), ..."""
    weights = torch.tensor([-0.01171875, -0.03515625, 0.11328125, 0.43359375], dtype=torch.float64)
    weights = torch.cat([weights, weights.flip(0)])
    matrix = resize_matrix(16, 8, 0.5)
    torch.testing.assert_close(matrix[3, 3:11], weights, atol=1e-15, rtol=0)
    assert matrix[3, :3].abs().sum() == 0 and matrix[3, 11:].abs().sum() == 0


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 5), (33, 40)])
@pytest.mark.parametrize("scale", [0.25, 0.5, 1 / 3, 2.0, 4.0, 1.7])
def test_constant_stays_constant_and_sizes_are_rounded_up(size: tuple[int, int], scale: float) -> None:
    resized = imresize(torch.full((2, 3, *size), 0.3, dtype=torch.float64), scale=scale)
    expected_size = [-int(-(scale * n) // 1) for n in size]
    assert list(resized.shape) == [2, 3, *expected_size]
    torch.testing.assert_close(resized, torch.full_like(resized, 0.3), atol=1e-14, rtol=0)


def test_weights_first_needed_where_tensors_have_no_contents_serve_later_calls() -> None:
    """They are kept, so they must be real whatever mode the first call was in: a dry run's, for one."""
    size = (53, 59)  # that no other test resizes to
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert imresize(torch.rand(3, 71, 67), size=size).shape == (3, *size)
    resized = imresize(torch.full((3, 71, 67), 0.3), size=size)
    assert type(resized) is torch.Tensor
    torch.testing.assert_close(resized, torch.full((3, *size), 0.3))


def test_scale_one_is_the_identity() -> None:
    images = torch.rand(3, 19, 300)
    torch.testing.assert_close(imresize(images, scale=1.0), images, atol=0, rtol=0)
    torch.testing.assert_close(imresize(images, size=(19, 300)), images, atol=0, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (5, 9), (40, 52), (64, 700)])
@pytest.mark.parametrize("factor", [4, 2, 3])
def test_agrees_with_torch_on_the_mirrored_image_up(size: tuple[int, int], factor: int) -> None:
    images = torch.rand(1, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    pad = 8
    padded = mirrored(images, pad)
    target = (padded.shape[-2] * factor, padded.shape[-1] * factor)
    crop = slice(pad * factor, -pad * factor)
    expected = interpolate(padded, size=target, mode="bicubic", antialias=True)[..., crop, crop]
    torch.testing.assert_close(imresize(images, scale=factor), expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("size", [(4, 4), (8, 12), (40, 52), (64, 700)])
@pytest.mark.parametrize("factor", [4, 2])
def test_agrees_with_torch_on_the_mirrored_image_down(size: tuple[int, int], factor: int) -> None:
    images = torch.rand(1, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    pad = 8 * factor
    padded = mirrored(images, pad)
    target = (padded.shape[-2] // factor, padded.shape[-1] // factor)
    expected = interpolate(padded, size=target, mode="bicubic", antialias=True)[..., 8:-8, 8:-8]
    torch.testing.assert_close(imresize(images, scale=1 / factor), expected, atol=1e-9, rtol=0)
    torch.testing.assert_close(imresize(images, size=expected.shape[-2:]), expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_keeps_dtype_and_gradient(dtype: torch.dtype) -> None:
    images = torch.rand(2, 3, 8, 8, dtype=dtype, requires_grad=True)
    with torch.inference_mode():  # weights cached here must still serve training
        imresize(images, scale=0.25)
    resized = imresize(images, scale=0.25)
    assert resized.dtype == dtype
    resized.sum().backward()
    assert images.grad is not None
    torch.testing.assert_close(images.grad.sum().double(), torch.tensor(24.0).double(), atol=0.3, rtol=0)


def test_autocast_does_not_round() -> None:
    images = torch.rand(1, 3, 8, 10)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        resized = imresize(images, scale=4)
    assert torch.equal(resized, imresize(images, scale=4))


def test_to_uint8_rounds_and_clamps() -> None:
    values = torch.tensor([-0.1, 0.0, 0.4 / 255, 0.6 / 255, 1.0, 1.7, 127.0 / 255])
    assert to_uint8(values).tolist() == [0, 0, 0, 1, 255, 255, 127]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({}, "exactly one"),
        ({"scale": 2.0, "size": (4, 4)}, "exactly one"),
        ({"scale": 0.0}, "scale"),
        ({"scale": float("nan")}, "scale"),
        ({"size": (0, 4)}, "size"),
    ],
)
def test_bad_arguments(kwargs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        imresize(torch.zeros(3, 4, 4), **kwargs)


def test_bad_images() -> None:
    with pytest.raises(ValueError, match="floating point"):
        imresize(torch.zeros(3, 4, 4, dtype=torch.uint8), scale=2.0)
    with pytest.raises(ValueError, match="at least one pixel"):
        imresize(torch.zeros(3, 0, 4), scale=2.0)
