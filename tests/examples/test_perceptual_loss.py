# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What of a batch the training script compares by its perceptual losses."""

from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import pytest
import torch

from seeclear.training.sampling import clip_generators


@pytest.fixture(scope="module")
def train_seeclear(load_script: Callable[[str], ModuleType]) -> ModuleType:
    """The script as a module."""
    return load_script("examples/train_seeclear.py")


@pytest.mark.parametrize(("frames", "compared"), [(1, 1), (2, 2), (3, 2)])
def test_so_many_frames_of_every_clip_count(train_seeclear: ModuleType, frames: int, compared: int) -> None:
    """Of each frame that counts one square does, the same of all that is compared."""
    trainer = SimpleNamespace(args=SimpleNamespace(lpips_crop_size=16, lpips_frames=frames))
    prediction = torch.rand(4, 2, 3, 24, 24, requires_grad=True)
    clips = (prediction, 2 * prediction.detach())
    chosen, doubled = train_seeclear.Trainer._compared_frames(trainer, clips, clip_generators(0, range(4)))
    assert chosen.shape == (4 * compared, 3, 16, 16)
    assert torch.equal(doubled, 2 * chosen)
    (gradient,) = torch.autograd.grad(chosen.sum(), prediction)
    for clip in gradient.sum(dim=(2, 3, 4)).tolist():
        assert sorted(clip) == [0] * (2 - compared) + [3 * 16 * 16] * compared
