# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor

from seeclear.training.adversarial import Adversary, UNetDiscriminator


def _frames(size: tuple[int, int] = (16, 24)) -> tuple[Tensor, Tensor, Tensor]:
    """Made up, true and low-resolution frames: the first are grey, the second have stripes."""
    true = torch.ones(2, 3, *size)
    true[..., ::2] = -1
    low_res = torch.zeros(2, 3, *size)
    return torch.zeros(2, 3, *size), true, low_res


@pytest.mark.parametrize("size", [(8, 8), (16, 24), (19, 33)])
def test_every_pixel_is_judged_and_the_low_resolution_is_seen(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    discriminator = UNetDiscriminator(8)
    _, true, low_res = _frames(size)
    logits = discriminator(true, low_res)
    assert logits.shape == (2, 1, *size)
    discriminator.eval()
    assert not torch.allclose(discriminator(true, low_res), discriminator(true, low_res + 0.5))


@torch.no_grad()
def test_kernels_of_the_levels_have_a_norm_of_one() -> None:
    torch.manual_seed(0)
    discriminator = UNetDiscriminator(8)
    for _ in range(100):  # the norm is found by power iteration, a step in each call
        discriminator(*_frames()[:2])
    discriminator.eval()
    for conv in (*discriminator.down, *discriminator.up, *discriminator.last):
        assert float(torch.linalg.matrix_norm(conv.weight.flatten(1), 2)) == pytest.approx(1, abs=0.02)


def test_the_discriminator_learns_what_is_true_and_the_loss_leads_there() -> None:
    torch.manual_seed(0)
    adversary = Adversary(1e-3, channels=8)
    made_up, true, low_res = _frames()
    losses = [float(adversary.update(made_up, true, low_res, nullcontext)) for _ in range(60)]
    assert losses[-1] < 0.5 * losses[0]
    for frames, above in ((true, True), (made_up, False)):
        logits = adversary.discriminator(frames, low_res)
        assert bool((logits.mean() > 0) == above)
    prediction = made_up.requires_grad_()
    loss = adversary.loss(prediction, low_res, nullcontext)
    assert float(loss) == pytest.approx(
        float(torch.nn.functional.softplus(-adversary.discriminator(made_up, low_res)).mean()), rel=1e-3
    )
    loss.backward()
    assert prediction.grad is not None
    assert float((prediction.grad * (true - made_up)).sum()) < 0  # towards the true frames it falls


def test_asking_trains_nothing_and_training_leaves_the_prediction_alone() -> None:
    torch.manual_seed(0)
    adversary = Adversary(1e-3, channels=8)
    made_up, true, low_res = _frames()
    made_up.requires_grad_()
    adversary.update(made_up, true, low_res, nullcontext)
    assert made_up.grad is None
    before = {name: value.clone() for name, value in adversary.discriminator.named_parameters()}
    adversary.optimizer.zero_grad()
    adversary.loss(made_up, low_res, nullcontext).backward()
    for name, value in adversary.discriminator.named_parameters():
        assert value.grad is None and torch.equal(value, before[name])


def test_its_state_goes_on_where_it_was() -> None:
    frames = _frames()
    runs = []
    for interrupted in (False, True):
        torch.manual_seed(0)
        adversary = Adversary(1e-3, channels=8)
        adversary.update(*frames, nullcontext)
        if interrupted:
            state = adversary.state_dict()
            torch.manual_seed(1)
            adversary = Adversary(1e-3, channels=8)
            adversary.load_state_dict(state)
        adversary.update(*frames, nullcontext)
        runs.append(adversary.discriminator.state_dict())
    for name, value in runs[0].items():
        assert torch.equal(runs[1][name], value), name
