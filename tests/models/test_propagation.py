# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from seeclear.models import SemanticLens
from seeclear.models.blocks import zero_init
from seeclear.models.propagation import ClipPropagation
from seeclear.resize import imresize

SMALL = {"channels": 16, "out_channels": 48, "blocks": (1, 1, 2, 1), "scale": 4}


@pytest.mark.parametrize("widths", [{}, {"hidden_channels": 8, "neighbor_channels": 1}])
@torch.no_grad()
def test_it_is_what_a_plain_lens_propagates(
    widths: dict[str, int], randomize: Callable[..., nn.Module], moving_clip: Callable[..., Tensor]
) -> None:
    torch.manual_seed(0)
    modules = dict.fromkeys(("image", "gps", "isee", "multi_frame_attention"), False)
    lens = SemanticLens(
        channels=16,
        head_dim=8,
        extraction_blocks=1,
        backward_blocks=1,
        forward_blocks=2,
        reconstruction_blocks=1,
        motion_compensation=True,
        **widths,
        **modules,
    )
    lens = randomize(lens).eval().double()  # in float32 the two differ by the order in which a processor adds
    propagation = ClipPropagation(3, **SMALL, **widths).eval().double()
    propagation.load_state_dict(lens.state_dict())
    low_res = moving_clip(4, 2, 1).double()
    enlarged = imresize(low_res, scale=4)
    residual = propagation(low_res.flatten(0, 1), enlarged, lens.estimate_flow(low_res))
    expected = lens(low_res).sample
    restored = enlarged + nn.functional.pixel_shuffle(residual, 4).unflatten(0, (1, 4))
    assert (expected - enlarged).abs().max() > 0.01
    torch.testing.assert_close(restored, expected, rtol=0, atol=1e-10)


@torch.no_grad()
def test_every_frame_informs_every_other_and_untrained_it_gives_zero(
    randomize: Callable[..., nn.Module], moving_clip: Callable[..., Tensor]
) -> None:
    torch.manual_seed(0)
    low_res = moving_clip(4, 2, 1)
    frames, flow = imresize(low_res, scale=4), torch.zeros(1, 2, 3, 2, *low_res.shape[-2:])
    hidden = torch.randn(4, 8, *low_res.shape[-2:])
    propagation = randomize(ClipPropagation(8, **SMALL)).eval()
    before = propagation(hidden, frames, flow)
    for changed in range(4):
        other = hidden.clone()
        other[changed] += 1
        moved = (propagation(other, frames, flow) - before).abs().amax(dim=(1, 2, 3))
        assert (moved > 1e-6).all()
    alone = propagation(hidden[:1], frames[:, :1], flow[:, :, :0])
    assert alone.shape == (1, 48, *low_res.shape[-2:]) and not torch.allclose(alone, before[:1])
    zero_init(propagation.conv_out)
    assert not propagation(hidden, frames, flow).any()
