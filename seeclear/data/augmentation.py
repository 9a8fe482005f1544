# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Changes that turn one clip into another equally plausible one, the same for all of its frames."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Augmentation(NamedTuple):
    """The four choices of `augment`, in the order of its arguments."""

    horizontal: bool
    vertical: bool
    transpose: bool
    reverse: bool


def augment(
    frames: NDArray[np.uint8], horizontal: bool, vertical: bool, transpose: bool, reverse: bool
) -> NDArray[np.uint8]:
    """Mirrors, transposes, and reverses in time a clip (F, H, W, 3). The result is a view of the input.

    `transpose`, the last in order, swaps height and width.
    """
    frames = frames[:: -1 if reverse else 1, :: -1 if vertical else 1, :: -1 if horizontal else 1]
    return frames.swapaxes(1, 2) if transpose else frames


def draw_augmentation(rng: np.random.Generator) -> Augmentation:
    """One of the sixteen, each equally likely."""
    return Augmentation(*(rng.random(4) < 0.5).tolist())


def random_augment(frames: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """One of the sixteen versions of a clip (F, H, W, 3), each equally likely."""
    return augment(frames, *draw_augmentation(rng))
