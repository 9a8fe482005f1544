# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import Tensor

from seeclear.metrics import DISTS, LPIPS
from seeclear.training.perceptual_loss import PerceptualLoss


@pytest.fixture
def frames() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    prediction, target = torch.rand(2, 2, 3, 32, 40, generator=generator) * 2 - 1
    return prediction.requires_grad_(), target


@pytest.mark.parametrize(("lpips", "dists"), [(2.0, 0.0), (0.0, 3.0), (2.0, 3.0)])
def test_the_loss_is_the_weighted_sum_of_the_metrics(
    lpips: float, dists: float, perceptual_weights: Path, frames: tuple[Tensor, Tensor]
) -> None:
    loss = PerceptualLoss(perceptual_weights, lpips, dists)(*frames, nullcontext)
    expected = lpips * LPIPS(perceptual_weights)(*frames).mean() + dists * DISTS(perceptual_weights)(*frames).mean()
    torch.testing.assert_close(loss, expected)
    (gradient,) = torch.autograd.grad(loss, frames[0])
    (expected_gradient,) = torch.autograd.grad(expected, frames[0])
    torch.testing.assert_close(gradient, expected_gradient)
    assert float(gradient.abs().sum()) > 0


def test_within_autocast_the_distances_stay_in_float32(
    perceptual_weights: Path, frames: tuple[Tensor, Tensor]
) -> None:
    loss = PerceptualLoss(perceptual_weights, 1.0, 1.0)
    precise = loss(*frames, nullcontext)
    rounded = loss(*frames, lambda: torch.autocast("cpu", torch.bfloat16))
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, precise, rtol=0.02, atol=0)
    (gradient,) = torch.autograd.grad(rounded, frames[0])
    assert bool(gradient.isfinite().all())


def test_dists_needs_its_own_file(perceptual_weights: Path, tmp_path: Path) -> None:
    file = perceptual_weights / "lpips_vgg16.npz"
    assert len(PerceptualLoss(file, 1.0, 0.0).metrics) == 1
    (tmp_path / file.name).symlink_to(file)
    with pytest.raises(ValueError, match="dists_weights.pt"):
        PerceptualLoss(tmp_path, 0.0, 1.0)
