# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from seeclear.training.losses import charbonnier_loss, color_loss, grid_loss, steadiness_loss


def test_charbonnier_by_hand() -> None:
    prediction = torch.tensor([0.0, 0.3])
    target = torch.tensor([0.0, -0.1])
    expected = (0.1 + math.sqrt(0.4**2 + 0.1**2)) / 2
    assert charbonnier_loss(prediction, target, epsilon=0.1).item() == pytest.approx(expected, rel=1e-6)


def test_charbonnier_of_equal_frames_is_epsilon_with_zero_gradient() -> None:
    frames = torch.rand(1, 2, 3, 4, 4, requires_grad=True)
    loss = charbonnier_loss(frames, frames.detach())
    loss.backward()
    assert loss.item() == pytest.approx(1e-3, rel=1e-5)
    assert frames.grad.abs().max() == 0


def test_steadiness_by_hand() -> None:
    """A pattern of errors that moves with the picture costs nothing, one that stands still beneath it does."""
    target = torch.rand(1, 1, 3, 32, 48).repeat(1, 3, 1, 1, 1)
    flow = torch.zeros(1, 2, 2, 2, 8, 12)
    flow[:, :, :, 0] = 0.5  # of 8x12: two pixels to the right from frame to frame
    error = torch.rand(1, 1, 1, 32, 64)
    moving = torch.cat([error[..., 8 - 2 * t : 56 - 2 * t] for t in range(3)], dim=1)
    still = error[..., :48].expand(1, 3, 1, 32, 48)

    moved = steadiness_loss(target + moving, target, flow, epsilon=0).item()
    assert steadiness_loss(target + still, target, 0 * flow, epsilon=0).item() == pytest.approx(0, abs=1e-6)
    assert steadiness_loss(target + moving, target, 0 * flow, epsilon=0).item() > 8 * moved
    assert steadiness_loss(target + still, target, flow, epsilon=0).item() > 8 * moved
    flicker = torch.tensor([0.2, -0.2, 0.2])[None, :, None, None, None].expand(1, 3, 3, 32, 48)
    assert steadiness_loss(target + flicker, target, flow, epsilon=0).item() == pytest.approx(0.4, rel=1e-5)
    assert steadiness_loss(target + 0.2, target, flow, epsilon=0).item() == pytest.approx(0, abs=1e-6)
    assert steadiness_loss(target[:, :1] + 0.2, target[:, :1], flow[:, :, :0]) == 0


def test_grid_loss_by_hand() -> None:
    # one pixel of every 4x4 is 1.6 brighter: the pattern's mean is 0.1, so 1.5 there and 0.1 at the 15 others
    mesh = torch.zeros(1, 2, 3, 16, 24)
    mesh[..., 1::4, 2::4] = 1.6
    assert grid_loss(mesh, torch.zeros_like(mesh), period=4).item() == pytest.approx((1.5 + 15 * 0.1) / 16)
    assert grid_loss(mesh, torch.zeros_like(mesh), period=8).item() == pytest.approx((1.5 + 15 * 0.1) / 16)
    assert grid_loss(mesh + 0.3, mesh).item() == pytest.approx(0, abs=1e-6)  # a mesh of the target, and brightness
    # one that moves with the scene, and one whose sign changes from window to window
    moving = torch.stack([mesh[:, 0].roll((i, j), (-2, -1)) for i in range(4) for j in range(4)], dim=1)
    assert grid_loss(moving, torch.zeros_like(moving), period=4).item() == pytest.approx(0, abs=1e-6)
    signs = torch.cat([mesh, -mesh], dim=-2)
    assert grid_loss(signs, torch.zeros_like(signs), 4, window=16).item() == pytest.approx((1.5 + 15 * 0.1) / 16)
    assert grid_loss(signs, torch.zeros_like(signs), 4, window=32).item() == pytest.approx(0, abs=1e-6)


def test_grid_loss_forgives_detail_and_not_a_mesh() -> None:
    """Of the same strength: noise, and a mesh."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 3, 3, 128, 128, generator=generator)
    mesh = noise[..., :8, :8].mean(1, keepdim=True).repeat(1, 3, 1, 16, 16)
    mesh = mesh / mesh.std() * noise.std()
    target = torch.zeros_like(noise)
    assert charbonnier_loss(noise, target) == pytest.approx(charbonnier_loss(mesh, target).item(), rel=0.1)
    assert grid_loss(noise, target) < 0.1 * grid_loss(mesh, target)


def test_color_loss_by_hand() -> None:
    # two cells of 4x4; in the second one all pixels are off by 0.5 in one frame and by 0.1 in the other
    shifted = torch.zeros(1, 2, 1, 4, 8)
    shifted[:, 0, ..., 4:] = 0.5
    shifted[:, 1, ..., 4:] = 0.1
    assert color_loss(shifted, torch.zeros_like(shifted), cell=4).item() == pytest.approx((0 + 0.3) / 2)
    assert color_loss(shifted, torch.zeros_like(shifted), cell=64).item() == pytest.approx(0.15)


def test_color_loss_forgives_detail() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 3, 3, 64, 64, generator=generator)
    assert color_loss(noise, torch.zeros_like(noise)) < 0.05 * charbonnier_loss(noise, torch.zeros_like(noise))


def test_grid_loss_needs_a_period() -> None:
    with pytest.raises(ValueError, match="frames are 24x7 pixels; `grid_loss` needs at least 8x8"):
        grid_loss(torch.zeros(1, 3, 7, 24), torch.zeros(1, 3, 7, 24))


@pytest.mark.parametrize("loss", [charbonnier_loss, color_loss, grid_loss])
def test_losses_are_float32_and_zero_slope_free_of_nan(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    prediction = torch.rand(2, 3, 8, 8, dtype=torch.bfloat16, requires_grad=True)
    value = loss(prediction, torch.zeros(2, 3, 8, 8))
    value.backward()
    assert value.dtype == torch.float32
    assert prediction.grad.isfinite().all()


@pytest.mark.parametrize("loss", [charbonnier_loss, color_loss, grid_loss])
def test_shapes_must_be_equal(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    with pytest.raises(ValueError, match=r"`prediction` has shape \(1, 4\) and `target` \(2, 4\)"):
        loss(torch.zeros(1, 4), torch.zeros(2, 4))
