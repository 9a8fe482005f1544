# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from collections.abc import Callable

import pytest
import torch
from torch import nn

from seeclear.models import upsampling
from seeclear.models.upsampling import TwoStepUpsampling


@torch.no_grad()
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_untrained_it_gives_zero_at_the_size_asked_for(scale: int) -> None:
    assert torch.equal(TwoStepUpsampling(4, scale)(torch.randn(2, 4, 3, 5)), torch.zeros(2, 3, 3 * scale, 5 * scale))


@pytest.mark.parametrize("scale", [0, 1, 3, 6])
def test_scales_are_powers_of_two(scale: int) -> None:
    with pytest.raises(ValueError, match=f"`scale` is {scale}; two-step upsampling needs a power of two"):
        TwoStepUpsampling(4, scale)


@torch.no_grad()
def test_a_step_worked_by_hand() -> None:
    """Channels that are copied through, with another factor for every sub-pixel; negative ones are a tenth."""
    module = TwoStepUpsampling(1, 2)
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    module.steps[0].weight[:, 0, 1, 1] = torch.tensor([1.0, 2.0, 3.0, -4.0])
    module.conv_hr.weight[0, 0, 1, 1] = -1
    module.conv_out.weight[:, 0, 1, 1] = torch.tensor([1.0, 10.0, 100.0])
    made = module(torch.tensor([[[[5.0, -20.0]]]]))
    first = torch.tensor([[5.0, 10.0, -2.0, -4.0], [15.0, -2.0, -6.0, 80.0]])
    expected = torch.where(first > 0, -0.1 * first, -first)
    torch.testing.assert_close(made[0], expected * torch.tensor([1.0, 10.0, 100.0])[:, None, None])


@torch.no_grad()
@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("rows", [1, 3, 5])
def test_bands_of_rows_are_those_of_the_whole(
    scale: int, rows: int, randomize: Callable[..., nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = randomize(TwoStepUpsampling(8, scale))
    features = torch.randn(2, 8, 11, 6)
    whole = module(features)
    monkeypatch.setattr(upsampling, "_BAND_ROWS", rows)
    monkeypatch.setattr(upsampling, "_BAND_PIXELS", 1)
    in_bands = module(features)
    assert in_bands.shape == whole.shape
    torch.testing.assert_close(in_bands, whole, rtol=1e-5, atol=1e-5)
