# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What became of a video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class UpscaleResult:
    """What became of one video.

    Attributes:
        path_in, path_out: input and output.
        status: "done", "skipped" or "failed".
        reason: why it was skipped.
        error: why it failed.
        frames: of a video that is done, as many as the input has, or the part of it that was asked for.
        restored_frames: those that were made in this run; fewer than `frames` where an interrupted job went on, or
            where several processes shared the work.
        width, height: of its stored frames in pixels.
        seconds: time of the job in this run, without loading the model.
        device, dtype: what it was computed with.
    """

    path_in: Path
    path_out: Path
    status: str
    reason: str | None = None
    error: Exception | None = None
    frames: int = 0
    restored_frames: int = 0
    width: int = 0
    height: int = 0
    seconds: float = 0.0
    device: torch.device | None = None
    dtype: torch.dtype | None = None
