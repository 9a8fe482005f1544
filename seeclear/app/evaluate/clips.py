# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The originals with their low resolution."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seeclear.app.paths import PathLike, local_path
from seeclear.data import (
    BicubicDegradation,
    Degradation,
    GaussianDegradation,
    H264Compression,
    RealWorldDegradation,
    degrade,
    describe,
)
from seeclear.data.benchmark import StoredClip, check_count, find_matching
from seeclear.resize import to_uint8

from .settings import EvaluationSettings

KEYFRAME_INTERVAL = 250
"""Of videos that `crf` makes: what x264 does unless told."""


@dataclass(frozen=True)
class Clip:
    """A clip to upscale and its original, 8-bit: `low_res` (F, 3, h, w), `ground_truth` (F, 3, s h, s w).

    `history` has the steps that made the low resolution with what was drawn for them, None where nothing is drawn.
    """

    stored: StoredClip
    low_res: Tensor
    ground_truth: Tensor
    history: list[dict[str, Any]] | None = None


def clip_generator(seed: int, name: str) -> np.random.Generator:
    """What the degradation of a clip is drawn from: a function of the seed and of the clip's name."""
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng((seed, int.from_bytes(digest[:8], "big")))


def _make_degradation(name: str, scale: int) -> Degradation:
    if name == "real":
        return RealWorldDegradation(scale)
    return BicubicDegradation(scale) if name == "BI" else GaussianDegradation(0.4 * scale, scale)


class ClipSet:
    """The originals with their low resolution, read clip by clip; checked when made.

    Args:
        stored: the originals.
        settings: of the evaluation.

    Raises:
        ValueError: an original is too small, or there is no low resolution that fits it.
    """

    def __init__(self, stored: Sequence[StoredClip], settings: EvaluationSettings) -> None:
        self.stored, self._settings = stored, settings
        scale, crf = settings.scale, settings.crf
        self._degradation = _make_degradation(settings.degradation, scale)
        self._compression = (
            None if crf is None else H264Compression((crf, crf), (KEYFRAME_INTERVAL, KEYFRAME_INTERVAL))
        )
        for clip in stored:
            if min(clip.size) < scale:
                raise ValueError(f"{str(clip.path)!r} is {clip.size}, too small for `scale` = {scale}.")
        self._low_res: dict[str, StoredClip] = {}
        if settings.low_res is not None:
            folder = local_path(settings.low_res, "low_res")
            self._low_res = self.matching(folder, lambda clip: (clip.size[0] // scale, clip.size[1] // scale))

    def count(self, clip: StoredClip) -> int:
        """How many frames are measured."""
        most = self._settings.frames
        return clip.num_frames if most is None else min(clip.num_frames, most)

    def size(self, clip: StoredClip) -> tuple[int, int]:
        """Height and width that are measured."""
        scale = self._settings.scale
        return clip.size[0] // scale * scale, clip.size[1] // scale * scale

    def matching(self, folder: PathLike, size: Callable[[StoredClip], tuple[int, int]]) -> dict[str, StoredClip]:
        """What belongs to each original in another folder."""
        found = {}
        for clip in self.stored:
            match = find_matching(folder, clip, size(clip), only_clip=len(self.stored) == 1)
            check_count(match, clip, self.count(clip))
            found[clip.name] = match
        return found

    def read(self, clip: StoredClip) -> Clip:
        """A clip with its low resolution, of whole frames and of just those that are measured."""
        count, (height, width) = self.count(clip), self.size(clip)
        ground_truth = clip.read(count)[..., :height, :width].contiguous()
        history = None
        if self._low_res:
            low_res = self._low_res[clip.name].read(count)
        elif isinstance(self._degradation, RealWorldDegradation):
            steps = self._degradation.draw((height, width), clip_generator(self._settings.seed, clip.name))
            low_res, history = to_uint8(self._degradation.apply(ground_truth, steps)), describe(steps)
        else:
            low_res = torch.cat([degrade(frame, self._degradation) for frame in ground_truth.split(1)])
        if self._compression is not None:
            low_res = to_uint8(self._compression(low_res.float() / 255, np.random.default_rng(0)))
        return Clip(clip, low_res, ground_truth, history)
