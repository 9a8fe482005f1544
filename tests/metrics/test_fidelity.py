# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import math
from collections.abc import Callable

import pytest
import torch

from seeclear.metrics import frame_difference_error, psnr, psnr_y, rgb_to_y, ssim


def random_image(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_luma_of_known_colours() -> None:
    """MATLAB's rgb2ycbcr: black 16, white 235, pure colours 16 + 65.481, 128.553, 24.966."""
    colours = torch.tensor([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]], dtype=torch.uint8)
    luma = rgb_to_y(colours.view(5, 3, 1, 1)).flatten()
    expected = torch.tensor([16, 235, 81.481, 144.553, 40.966], dtype=torch.float64)
    torch.testing.assert_close(luma, expected, atol=1e-9, rtol=0)


def test_psnr_by_hand() -> None:
    reference = torch.full((2, 3, 8, 8), 100, dtype=torch.uint8)
    images = reference.clone()
    images[0] += 5
    assert psnr(images, reference, "rgb")[0].item() == pytest.approx(10 * math.log10(255**2 / 25))
    assert psnr(images, reference, "y")[0].item() == pytest.approx(10 * math.log10(255**2 / (5 * 219 / 255) ** 2))
    assert psnr(images, reference)[1].item() == math.inf
    assert psnr_y(images[0], reference[0]) == pytest.approx(psnr(images, reference)[0].item())


def test_crop_border_leaves_out_the_border() -> None:
    reference = random_image(3, 20, 24)
    images = reference.clone()
    images[:, :2] = 0
    images[:, :, -2:] = 0
    assert psnr(images, reference, crop_border=2).item() == math.inf
    assert ssim(images, reference, crop_border=2).item() == pytest.approx(1.0)
    assert psnr(images, reference, crop_border=1).item() < 40


def test_ssim_by_the_definition() -> None:
    """Every window written out, for one channel at a time."""
    images, reference = random_image(3, 13, 12), random_image(3, 13, 12, seed=1)
    x = torch.arange(11, dtype=torch.float64) - 5
    window = torch.exp(-(x[:, None] ** 2 + x[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    values = []
    for a, b in zip(images.double(), reference.double(), strict=True):
        for i in range(3):
            for j in range(2):
                p, q = a[i : i + 11, j : j + 11], b[i : i + 11, j : j + 11]
                mp, mq = (window * p).sum(), (window * q).sum()
                vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
                cov = (window * (p - mp) * (q - mq)).sum()
                c1, c2 = 6.5025, 58.5225
                values.append((2 * mp * mq + c1) * (2 * cov + c2) / ((mp**2 + mq**2 + c1) * (vp + vq + c2)))
    assert ssim(images, reference, "rgb").item() == pytest.approx(torch.stack(values).mean().item(), abs=1e-10)


def test_ssim_of_constants_and_of_equals() -> None:
    a, b = torch.full((3, 16, 16), 100, dtype=torch.uint8), torch.full((3, 16, 16), 120, dtype=torch.uint8)
    expected = (2 * 100 * 120 + 6.5025) / (100**2 + 120**2 + 6.5025)
    assert ssim(a, b, "rgb").item() == pytest.approx(expected, abs=1e-9)
    noise = random_image(4, 3, 16, 16)
    torch.testing.assert_close(ssim(noise, noise), torch.ones(4, dtype=torch.float64), atol=1e-9, rtol=0)


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_bad_arguments(measure: Callable[..., torch.Tensor]) -> None:
    good = random_image(3, 16, 16)
    with pytest.raises(ValueError, match="`images` must be uint8"):
        measure(good.float(), good)
    with pytest.raises(ValueError, match=r"`reference` must be \(..., 3, H, W\)"):
        measure(good, good[:1])
    with pytest.raises(ValueError, match="one shape"):
        measure(good, random_image(3, 16, 17))
    with pytest.raises(ValueError, match="channel"):
        measure(good, good, "luma")
    with pytest.raises(ValueError, match="crop_border"):
        measure(good, good, crop_border=8)


def test_ssim_needs_a_window() -> None:
    with pytest.raises(ValueError, match="11 pixels"):
        ssim(random_image(3, 10, 20), random_image(3, 10, 20))


def test_frame_difference_error_by_hand() -> None:
    original = torch.full((3, 3, 4, 4), 50, dtype=torch.uint8)
    original[1:] += 10  # a change that the frames show in part, and one that they invent
    frames = torch.full((3, 3, 4, 4), 80, dtype=torch.uint8)
    frames[1:] += 7
    frames[2] += 4
    assert frame_difference_error(frames, original) == pytest.approx((3 + 4) / 2)
    assert frame_difference_error(frames, original, "y") == pytest.approx((3 + 4) / 2 * 219 / 255)
    assert frame_difference_error(original, original) == 0


def test_frame_difference_error_bad_arguments() -> None:
    clip = random_image(3, 3, 4, 4)
    with pytest.raises(ValueError, match="two frames"):
        frame_difference_error(clip[:1], clip[:1])
    with pytest.raises(ValueError, match="one shape"):
        frame_difference_error(clip, clip[:2])
    with pytest.raises(ValueError, match="`frames` must be uint8"):
        frame_difference_error(clip.float(), clip)
    with pytest.raises(ValueError, match="channel"):
        frame_difference_error(clip, clip, "luma")  # type: ignore[arg-type]
