# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Grain and noise of a camera: how strong they are in a video, and fresh grain as strong for its restored frames.

Restoration takes grain away. What is added here is none of the old grain but a model of it, as in the film grain
synthesis of AV1: Gaussian noise with a correlation between pixels, whose strength is that measured in the input, fresh
in each frame. It is grey. docs/experiments/grain.md has how well the strength is measured and why the grain is as wide
as it is.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seeclear.values import number_within, positive_number, shown, whole_number
from seeclear.video.artefacts import fresh_noise_level, grey_levels, noise_level
from seeclear.video.scenes import LUMA

FAINTEST = 1.0
"""Grey levels below which nothing is taken for grain: clean videos have up to that."""
EVERY = 8
"""Of so many frames one and the next are measured."""
WIDTH = 0.2
"""Standard deviation, in pixels of the input, of the Gaussian that the grain is filtered with, chosen by eye: where
the output is four times larger, the filter is two pixels wide at half its height. Narrower grain looks like the noise
of a sensor, and wider grain like stains."""


class GrainMeter:
    """Measures the grain of a video frame by frame.

    It is the larger of two measures, each the median over the frames that are looked at: white noise in the flattest
    parts of a frame (`artefacts.noise_level`), and what is new in the next frame where it changes least
    (`artefacts.fresh_noise_level`). The former also finds noise that a codec copies from frame to frame, the latter
    also grain that is wider than a pixel.
    """

    def __init__(self) -> None:
        self._count = 0
        self._before: np.ndarray | None = None
        self._white: list[float] = []
        self._fresh: list[float] = []

    def add(self, frame: Tensor) -> None:
        """Looks at the next frame (3, H, W) in [0, 1]."""
        place = self._count % EVERY
        self._count += 1
        if place > 1:
            return
        luma = grey_levels(frame.permute(1, 2, 0).numpy())
        if place == 0:
            self._white.append(noise_level(luma[None]))
            self._before = luma
        elif self._before is not None:
            self._fresh.append(fresh_noise_level(self._before, luma))

    def strength(self) -> float:
        """Standard deviation in grey levels, 0 to 255, of the grain of the frames so far; 0 below `FAINTEST`."""
        found = max((float(np.median(levels)) for levels in (self._white, self._fresh) if levels), default=0.0)
        return found if found >= FAINTEST else 0.0


def measure_grain(frames: Iterable[Tensor]) -> float:
    """The strength of the grain of a video, as `seeclear upscale --grain` measures it.

    Args:
        frames: low-resolution frames (3, H, W) in [0, 1] in order, such as a tensor (F, 3, H, W), of a floating-point
            type, on the CPU.

    Returns:
        Its standard deviation in grey levels, 0 to 255; 0 where there is none.

    Raises:
        ValueError: a frame is of another form.
    """
    if not isinstance(frames, Iterable):
        raise ValueError(f"`frames` is {shown(frames)}; it must be an iterable of tensors (3, H, W)")
    at_once = isinstance(frames, Tensor | np.ndarray)
    if at_once:
        _check_frames(frames, "`frames`", "(F, 3, H, W)")
    meter = GrainMeter()
    for index, frame in enumerate(frames):
        if not at_once:
            _check_frames(frame, f"frame {index} of `frames`", "(3, H, W)")
        meter.add(frame.detach().float())
    return meter.strength()


def _check_frames(frames: object, name: str, shape: str) -> None:
    """Raises a ValueError unless it is a tensor of such a shape with what a frame may hold."""
    if not isinstance(frames, Tensor):
        found = f"of the type {type(frames).__name__}"
    elif frames.ndim != shape.count(",") + 1 or frames.shape[-3] != 3:
        found = f"of shape {tuple(frames.shape)}"
    elif not frames.is_floating_point():
        found = f"of {frames.dtype}"
    elif frames.device.type != "cpu":
        found = f"on {frames.device}"
    elif frames.numel() and not (frames.min() >= 0 and frames.max() <= 1):
        found = "not in [0, 1]"
    else:
        return
    raise ValueError(f"{name} is {found}; it must be a floating-point tensor {shape} in [0, 1] on the CPU")


@dataclass(frozen=True)
class Grain:
    """Grain that depends on the seed and the number of the frame alone, and near black and white on the frame."""

    strength: float
    """Standard deviation in grey levels."""
    scale: float
    """Output size over input size, by which the grain is wider than `WIDTH`."""
    seed: int

    def of_frame(self, frame: Tensor, index: int) -> Tensor:
        """What is to be added to each channel of a frame.

        Within two standard deviations of black and white it is weaker, down to nothing, as a picture has no grain
        where it is cut off, such as in the bars of a letterbox.

        Args:
            frame: (3, H, W) in [0, 1].
            index: of the frame in the video, from 0.

        Returns:
            (H, W), of the same range.
        """
        deviation = self.strength / 255
        luma = torch.einsum("c,chw->hw", frame.new_tensor(LUMA), frame)
        room = torch.minimum(luma, 1 - luma).div_(2 * deviation).clamp_(0, 1)
        return self._draw(index, *frame.shape[1:]).mul_(deviation).mul_(room)

    def _draw(self, index: int, height: int, width: int) -> Tensor:
        """(H, W): Gaussian noise of unit variance, filtered."""
        deviation = WIDTH * self.scale
        reach = math.ceil(3 * deviation)
        taps = [math.exp(-((x / deviation) ** 2) / 2) for x in range(-reach, reach + 1)]
        norm = math.sqrt(sum(tap**2 for tap in taps))
        digest = hashlib.blake2b(f"grain {self.seed} {index}".encode(), digest_size=4).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest, "little"))
        noise = torch.randn(height + 2 * reach, width + 2 * reach, generator=generator)
        for axis, side in ((0, height), (1, width)):
            whole, noise = noise, noise.narrow(axis, 0, side) * (taps[0] / norm)
            for place, tap in enumerate(taps[1:], 1):
                noise.add_(whole.narrow(axis, place, side), alpha=tap / norm)
        return noise


def add_grain(frames: Tensor, strength: float, scale: float = 4.0, seed: int = 0, first: int = 0) -> Tensor:
    """Frames with fresh grain, as `seeclear upscale --grain` adds it.

    Args:
        frames: restored frames (F, 3, H, W) in [0, 1], of a floating-point type, on the CPU.
        strength: standard deviation in grey levels, 0 to 255, such as what `measure_grain` gives times a number from 0
            to 1.
        scale: size of `frames` over that of the video that the strength was measured in.
        seed: another number gives other grain.
        first: index of the first of `frames` in the video, by which pieces of a video get the grain of the whole.

    Returns:
        (F, 3, H, W) in [0, 1], of the type of `frames`; these themselves where the strength is 0.

    Raises:
        ValueError: an argument is of another kind or shape, or out of its range.
    """
    _check_frames(frames, "`frames`", "(F, 3, H, W)")
    strength = number_within("strength", strength, 0, 255)
    scale = float(positive_number("scale", scale))
    seed, first = whole_number("seed", seed), whole_number("first", first, 0)
    if not strength or not len(frames):
        return frames
    grain = Grain(strength, scale, seed)
    grainy = [frame + grain.of_frame(frame.float(), first + index) for index, frame in enumerate(frames)]
    return torch.stack(grainy).clamp_(0, 1).to(frames.dtype)
