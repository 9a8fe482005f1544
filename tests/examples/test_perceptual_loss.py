# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""On which clips of a batch the training script works out its perceptual loss."""

from collections.abc import Callable
from contextlib import nullcontext
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import Tensor

from seeclear.training.sampling import clip_generators

TIMESTEPS = torch.tensor([14, 3, 13, 14])


@pytest.fixture(scope="module")
def train_seeclear(load_script: Callable[[str], ModuleType]) -> ModuleType:
    """The script as a module."""
    return load_script("examples/train_seeclear.py")


def perceptual_loss(train_seeclear: ModuleType, limit: int | None, frames: int = 1) -> tuple[Tensor, Tensor]:
    """The loss of four clips of one-valued errors 1, 2, 3, 4, and its gradient to the prediction."""
    trainer = SimpleNamespace(
        args=SimpleNamespace(lpips_max_timestep=limit, lpips_crop_size=16, lpips_frames=frames),
        lpips=SimpleNamespace(
            features=lambda images: images, distance=lambda ours, theirs: (ours - theirs).mean(dim=(1, 2, 3))
        ),
        accelerator=SimpleNamespace(autocast=nullcontext),
    )
    target = torch.zeros(4, 2, 3, 24, 24)
    prediction = (target + torch.arange(1.0, 5.0).reshape(4, 1, 1, 1, 1)).requires_grad_()
    loss = train_seeclear.Trainer._perceptual_loss(
        trainer, prediction, target, TIMESTEPS, clip_generators(0, range(4))
    )
    (gradient,) = torch.autograd.grad(loss + 0 * prediction.sum(), prediction)
    return loss, gradient


@pytest.mark.parametrize(("limit", "clips"), [(None, [0, 1, 2, 3]), (13, [1, 2]), (3, [1]), (2, [])])
def test_only_clips_of_the_asked_timesteps_count(
    train_seeclear: ModuleType, limit: int | None, clips: list[int]
) -> None:
    loss, gradient = perceptual_loss(train_seeclear, limit)
    assert loss.item() == pytest.approx(sum(clip + 1 for clip in clips) / 4)
    assert gradient.flatten(1).any(dim=1).nonzero().flatten().tolist() == clips
    assert ((gradient != 0).sum(dim=(1, 2, 3, 4))[clips] == 3 * 16 * 16).all()  # one square of one frame


@pytest.mark.parametrize(("frames", "compared"), [(1, 1), (2, 2), (3, 2)])
def test_so_many_frames_of_every_clip_count(train_seeclear: ModuleType, frames: int, compared: int) -> None:
    """The mean stays what it is; every frame has a square of its own."""
    loss, gradient = perceptual_loss(train_seeclear, 3, frames)
    assert loss.item() == pytest.approx(2 / 4)
    squares = (gradient != 0).sum(dim=(2, 3, 4))
    assert squares[[0, 2, 3]].sum() == 0
    assert sorted(squares[1].tolist()) == [0] * (2 - compared) + [3 * 16 * 16] * compared
