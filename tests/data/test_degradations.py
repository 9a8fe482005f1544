# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import math

import pytest
import torch

from seeclear.data import BicubicDegradation, GaussianDegradation
from seeclear.resize import imresize


@pytest.mark.parametrize("degradation", [BicubicDegradation(), GaussianDegradation()])
def test_shape_grid_of_grey_levels_and_constant(degradation: BicubicDegradation | GaussianDegradation) -> None:
    frames = torch.rand(2, 3, 32, 40, generator=torch.Generator().manual_seed(0))
    low_res = degradation(frames)
    assert low_res.shape == (2, 3, 8, 10) and low_res.dtype == torch.float32
    torch.testing.assert_close(low_res * 255, (low_res * 255).round(), atol=1e-4, rtol=0)
    flat = torch.full((1, 3, 32, 32), 100 / 255)
    torch.testing.assert_close(degradation(flat), flat[..., ::4, ::4], atol=1e-6, rtol=0)


def test_bicubic_is_the_rounded_resize() -> None:
    frames = torch.rand(2, 3, 16, 16)
    expected = imresize(frames, scale=0.25).clamp(0, 1)
    torch.testing.assert_close(BicubicDegradation()(frames), expected, atol=0.5 / 255 + 1e-6, rtol=0)


def test_gaussian_of_an_impulse_by_hand() -> None:
    """An impulse on pixel (16, 16) is seen by LR pixel (4, 4) at distance 0, by (4, 5) at distance 4."""
    frames = torch.zeros(1, 1, 32, 32)
    frames[..., 16, 16] = 1
    low_res = GaussianDegradation()(frames)[0, 0] * 255
    total = sum(math.exp(-(i**2) / (2 * 1.6**2)) for i in range(-6, 7))
    peak, aside = 1 / total, math.exp(-(4**2) / (2 * 1.6**2)) / total
    assert low_res[4, 4].item() == pytest.approx(255 * peak * peak, abs=0.5)
    assert low_res[4, 5].item() == pytest.approx(255 * peak * aside, abs=0.5)
    assert low_res[5, 4].item() == low_res[4, 3].item() == low_res[4, 5].item()
    assert low_res.sum().item() == pytest.approx(low_res[3:6, 3:6].sum().item())


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="multiples of 4"):
        BicubicDegradation()(torch.rand(1, 3, 18, 16))
    with pytest.raises(ValueError, match="multiples of 4"):
        GaussianDegradation()(torch.rand(3, 16, 16))
    with pytest.raises(ValueError, match="sigma"):
        GaussianDegradation(sigma=0)
