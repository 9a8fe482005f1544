# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What of a batch the training script works out its perceptual loss on."""

from collections.abc import Callable
from contextlib import nullcontext
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import Tensor

from seeclear.training.sampling import clip_generators


@pytest.fixture(scope="module")
def train_seeclear(load_script: Callable[[str], ModuleType]) -> ModuleType:
    """The script as a module."""
    return load_script("examples/train_seeclear.py")


def perceptual_loss(train_seeclear: ModuleType, frames: int) -> tuple[Tensor, Tensor]:
    """The loss of four clips of one-valued errors 1, 2, 3, 4, and its gradient to the prediction."""
    trainer = SimpleNamespace(
        args=SimpleNamespace(lpips_crop_size=16, lpips_frames=frames),
        lpips=SimpleNamespace(
            features=lambda images: images, distance=lambda ours, theirs: (ours - theirs).mean(dim=(1, 2, 3))
        ),
        accelerator=SimpleNamespace(autocast=nullcontext),
    )
    target = torch.zeros(4, 2, 3, 24, 24)
    prediction = (target + torch.arange(1.0, 5.0).reshape(4, 1, 1, 1, 1)).requires_grad_()
    loss = train_seeclear.Trainer._perceptual_loss(trainer, prediction, target, clip_generators(0, range(4)))
    (gradient,) = torch.autograd.grad(loss + 0 * prediction.sum(), prediction)
    return loss, gradient


@pytest.mark.parametrize(("frames", "compared"), [(1, 1), (2, 2), (3, 2)])
def test_so_many_frames_of_every_clip_count(train_seeclear: ModuleType, frames: int, compared: int) -> None:
    """The mean stays what it is; of each frame that counts one square does."""
    loss, gradient = perceptual_loss(train_seeclear, frames)
    assert loss.item() == pytest.approx((1 + 2 + 3 + 4) / 4)
    for clip in (gradient != 0).sum(dim=(2, 3, 4)).tolist():
        assert sorted(clip) == [0] * (2 - compared) + [3 * 16 * 16] * compared
