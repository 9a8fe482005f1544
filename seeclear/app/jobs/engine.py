# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The model of a run, loaded once for all its videos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from seeclear.pipelines.settings import SAMPLING, RestorationSettings
from seeclear.pipelines.streaming import FinishedFrames, StreamState

from .manifest import digest_weights
from .settings import UpscaleSettings


@dataclass(frozen=True)
class Engine:
    """A pipeline with the settings it is called with.

    Attributes:
        pipe: a pipeline with `stream_clips`, `scale`, `components` and a configuration.
        settings: of the run.
        device: what it computes on.
        dtype: the number format of its weights.
        weights: SHA-256 of its weights and configuration.
    """

    pipe: Any
    settings: UpscaleSettings
    device: torch.device
    dtype: torch.dtype
    weights: str

    @classmethod
    def build(cls, pipe: Any, settings: UpscaleSettings, device: torch.device, dtype: torch.dtype) -> Engine:
        """An engine of a loaded pipeline; reads all its weights once, for their digest."""
        return cls(pipe, settings, device, dtype, digest_weights({**pipe.components, "pipeline": pipe}))

    @property
    def scale(self) -> int:
        """The model's factor."""
        return self.pipe.scale

    @property
    def clip_length(self) -> int:
        """Frames that the model restores together."""
        return self.pipe.config.clip_length

    @property
    def clip_overlap(self) -> int:
        """Frames that two clips share."""
        return self.pipe.config.clip_overlap

    def check(self, stream: RestorationSettings) -> None:
        """Raises a ValueError if the pipeline does not take the settings."""
        self.stream_clips((), stream, StreamState())

    def stream_clips(
        self, frames: Iterable[Tensor], stream: RestorationSettings, state: StreamState
    ) -> Iterator[FinishedFrames]:
        """Upscales the frames (3, H, W) of one scene from `state.next_frame` to its end."""
        settings = replace(stream, scene_detection=False, **self._sampling())  # `frames` ends with a scene
        return self.pipe.stream_clips(frames, settings, state)

    def _sampling(self) -> dict[str, Any]:
        """The settings of sampling."""
        return {name: getattr(self.settings, name) for name in SAMPLING}
