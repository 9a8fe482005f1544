# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The chain of degradations of real videos: optics, sensor, resizing, sharpening, photo and video codecs.

After Real-ESRGAN (Wang et al. 2021) and RealBasicVSR (Chan et al. 2022); the steps and the ranges of their parameters
are our own. docs/degradations.md has the chain as a table, with reasons.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from seeclear.shipped import SCALE

from ..resize import to_uint8
from .degradations import BicubicDegradation, Degradation, check_size
from .steps import (
    FRAMEWISE,
    GaussianBlur,
    JpegCompression,
    MotionBlur,
    Range,
    Resize,
    SensorNoise,
    Sharpening,
    Sometimes,
    Step,
    Transform,
    draw_method,
    from_frame,
    resize_to,
    run,
)
from .video_compression import H264Compression, VideoCompression

COMPRESSED_PROBABILITY = 0.4
"""The share of clips that are H.264 videos, where none is given."""


class CompressedDegradation:
    """MATLAB's bicubic, as BI, and of a share of the clips then an H.264 video: what small videos are in use.

    Args:
        scale: high over low resolution.
        probability: the share that is compressed; the others are BI to the bit.
        crf, keyframe_interval: as in [`H264Compression`].
    """

    def __init__(
        self,
        scale: int = SCALE,
        probability: float = COMPRESSED_PROBABILITY,
        crf: Range = (12.0, 30.0),
        keyframe_interval: tuple[int, int] = (4, 250),
    ) -> None:
        self.scale = scale
        self.reduction = BicubicDegradation(scale)
        self.compression = Sometimes(H264Compression(crf, keyframe_interval), probability)

    def __call__(self, frames: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        """(F, 3, H, W) in [0, 1] to (F, 3, H / scale, W / scale) in [0, 1], of 8-bit values.

        Raises:
            ValueError: `rng` is missing, a side is no multiple of `scale`.
        """
        return self.compression(self.reduction(frames), _given(rng))


class MixedDegradation:
    """One of several degradations for each clip, so that one model learns clean and damaged videos.

    Args:
        parts: the degradations, all of one scale, and how often each is taken, in any unit.

    Raises:
        ValueError: there are no parts, a share is negative or all are 0, or the scales differ.
    """

    def __init__(self, parts: Sequence[tuple[Degradation, float]]) -> None:
        shares = np.array([share for _, share in parts], dtype=np.float64)
        if not len(shares) or shares.min() < 0 or not shares.sum() > 0:
            raise ValueError(f"`parts` must have shares of at least 0, not all 0, but these are {shares.tolist()}.")
        scales = {degradation.scale for degradation, _ in parts}
        if len(scales) > 1:
            raise ValueError(f"`parts` must be of one scale, but these are of {sorted(scales)}.")
        self.scale = scales.pop()
        self.parts = tuple(degradation for degradation, _ in parts)
        self.shares = shares / shares.sum()

    def __call__(self, frames: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        """(F, 3, H, W) in [0, 1] to (F, 3, H / scale, W / scale) in [0, 1], of 8-bit values.

        Raises:
            ValueError: `rng` is missing, a side is no multiple of `scale`.
        """
        rng = _given(rng)
        return self.parts[int(rng.choice(len(self.parts), p=self.shares))](frames, rng)


def videos_as_they_are(scale: int = SCALE) -> MixedDegradation:
    """What the weights for real videos are trained on: the chain of [`RealWorldDegradation`] for 40 % of the clips;
    its reduction by any filter and its video, nothing else, for 45 %; and MATLAB's bicubic for the rest, so that clean
    videos are not forgotten.
    """
    compressed = RealWorldDegradation(scale, high=(), low=(VideoCompression(),))
    parts: list[tuple[Degradation, float]] = [
        (RealWorldDegradation(scale), 0.4),
        (compressed, 0.45),
        (BicubicDegradation(scale), 0.15),
    ]
    return MixedDegradation(parts)


def _given(rng: np.random.Generator | None) -> np.random.Generator:
    if rng is None:
        raise ValueError("`rng` must be given: this degradation is random.")
    return rng


class RealWorldDegradation:
    """Steps at high resolution, reduction to the low resolution by a method drawn per clip, steps there; 8 bits.

    A clip has one history: `draw` gives its steps with their parameters, `apply` takes frames through them. No step
    shifts the picture. The default chain, with the share of the clips: Gaussian blur (80 %), motion blur (20 %),
    change of size (50 %), sensor noise (70 %), JPEG (30 %); the reduction; sensor noise (20 %), sharpening (30 %),
    JPEG (20 %), a video (90 %), of which a quarter is coded twice. Blurs are of so many low-resolution pixels,
    whatever the scale. When only a crop of a frame is degraded, the blocks of the codecs begin at the crop's corner.

    Args:
        scale: high over low resolution.
        high: the steps before the reduction, in order; they may change the size. None for the default.
        low: the steps after it, which must keep the size. None for the default.
    """

    CHUNK = 8
    """Frames that are at high resolution at the same time, where all steps there work on each frame by itself."""

    def __init__(
        self, scale: int = SCALE, high: Sequence[Transform] | None = None, low: Sequence[Transform] | None = None
    ) -> None:
        if scale < 1:
            raise ValueError(f"`scale` must be at least 1, but is {scale}.")
        self.scale = scale
        default_high = (
            Sometimes(GaussianBlur((0.05 * scale, 0.75 * scale)), 0.8),
            Sometimes(MotionBlur((0.25 * scale, 3.0 * scale)), 0.2),
            Sometimes(Resize(), 0.5),
            Sometimes(SensorNoise(), 0.7),
            Sometimes(JpegCompression(), 0.3),
        )
        default_low = (
            Sometimes(SensorNoise((0.0, 4.0), (0.0, 5.0)), 0.2),
            Sometimes(Sharpening(), 0.3),
            Sometimes(JpegCompression((60, 95)), 0.2),
            Sometimes(VideoCompression(), 0.9),
        )
        self.high: tuple[Transform, ...] = default_high if high is None else tuple(high)
        self.low: tuple[Transform, ...] = default_low if low is None else tuple(low)

    def draw(self, size: tuple[int, int], rng: np.random.Generator) -> list[Step]:
        """The steps of a clip whose frames have this height and width, the reduction among them.

        Raises:
            ValueError: a side is no multiple of `scale`.
        """
        check_size(torch.empty(1, 3, *size, device="meta"), self.scale)
        height, width = (n // self.scale for n in size)
        steps = [step for transform in self.high for step in transform.draw(rng)]
        steps.append(partial(resize_to, height=height, width=width, method=draw_method(rng)))
        return steps + [step for transform in self.low for step in transform.draw(rng)]

    def apply(self, frames: Tensor, steps: Sequence[Step]) -> Tensor:
        """Takes a clip through the steps of its history.

        Args:
            frames: (F, 3, H, W), in [0, 1], or uint8.
            steps: as drawn for this height and width; with the same ones the result is the same.

        Returns:
            (F, 3, H / scale, W / scale) in [0, 1], of 8-bit values.

        Raises:
            ValueError: a step of `low` changed the size.
        """
        size = tuple(n // self.scale for n in frames.shape[2:])
        alone = next((i for i, step in enumerate(steps) if step.func not in FRAMEWISE), len(steps))
        chunks = []
        for first in range(0, len(frames), self.CHUNK):
            chunk = frames[first : first + self.CHUNK]
            chunk = chunk.float() / 255 if chunk.dtype == torch.uint8 else chunk
            chunks.append(run([from_frame(step, first) for step in steps[:alone]], chunk))
        degraded = run(steps[alone:], torch.cat(chunks))
        if tuple(degraded.shape[2:]) != size:
            raise ValueError(f"The steps of `low` must keep the size {size}, but gave {tuple(degraded.shape[2:])}.")
        return to_uint8(degraded).to(degraded.dtype) / 255

    def __call__(self, frames: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        """(F, 3, H, W) in [0, 1] to (F, 3, H / scale, W / scale) in [0, 1], of 8-bit values.

        Raises:
            ValueError: `rng` is missing, a side is no multiple of `scale`, a step of `low` changed the size.
        """
        check_size(frames, self.scale)
        return self.apply(frames, self.draw((frames.shape[2], frames.shape[3]), _given(rng)))
