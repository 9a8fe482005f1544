# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What the tests of degradations work on."""

import numpy as np
import torch
from torch import Tensor


def clip(frames: int = 4, height: int = 48, width: int = 64) -> Tensor:
    """A pattern that moves to the right by two pixels a frame."""
    f, y, x = np.mgrid[:frames, :height, :width]
    waves = [0.5 + 0.4 * np.sin((x - 2 * f) / 5) * np.cos(y / k) for k in (4, 6, 9)]
    return torch.from_numpy(np.stack(waves, axis=1)).float()


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)
