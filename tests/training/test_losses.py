# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from seeclear.training.losses import charbonnier_loss, frequency_loss


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


def test_frequency_loss_by_hand() -> None:
    # a constant difference of 2 on 4x4: one of the 4x3 half-spectrum's bins, 2 * 16 / sqrt(16) = 8, in its real part
    prediction = torch.full((1, 1, 4, 4), 2.0)
    assert frequency_loss(prediction, torch.zeros_like(prediction)).item() == pytest.approx(8 / (4 * 3 * 2))


@pytest.mark.parametrize("loss", [charbonnier_loss, frequency_loss])
def test_losses_are_float32_and_zero_slope_free_of_nan(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    prediction = torch.rand(2, 3, 8, 8, dtype=torch.bfloat16, requires_grad=True)
    value = loss(prediction, torch.zeros(2, 3, 8, 8))
    value.backward()
    assert value.dtype == torch.float32
    assert prediction.grad.isfinite().all()


@pytest.mark.parametrize("loss", [charbonnier_loss, frequency_loss])
def test_shapes_must_be_equal(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    with pytest.raises(ValueError, match=r"`prediction` has shape \(1, 4\) and `target` \(2, 4\)"):
        loss(torch.zeros(1, 4), torch.zeros(2, 4))
