# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The model of a run, loaded once for all its videos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from seeclear.app.models import load_model

from .manifest import digest_weights


@dataclass(frozen=True)
class LoadedModel:
    """A pipeline on its device.

    Attributes:
        pipe: a pipeline with `stream_clips`, `scale`, `components` and a configuration.
        device: what it computes on.
        dtype: the number format of its weights.
        weights: SHA-256 of its weights and configuration.
    """

    pipe: Any
    device: torch.device
    dtype: torch.dtype
    weights: str

    @classmethod
    def load(cls, model: str, device: torch.device, dtype: torch.dtype) -> LoadedModel:
        """The model of that name; reads all its weights once more, for their digest.

        Raises:
            ValueError: there is no such model.
        """
        pipe, _ = load_model(model, device, dtype)
        return cls(pipe, device, dtype, digest_weights({**pipe.components, "pipeline": pipe}))
