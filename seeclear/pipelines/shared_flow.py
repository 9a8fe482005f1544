# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Optical flow of a video's clips, which share frames with the clips before."""

from collections.abc import Callable

import torch
from torch import Tensor


class SharedFlow:
    """The flow of one clip after another, that between frames which two clips share found once.

    A pair of frames has the same flow in every clip, so nothing changes but the time. What is kept from clip to clip
    is the flow of the last one; without it, as after an interruption, all pairs are found again.

    Args:
        estimate: the flow (B, 2, F - 1, 2, H, W) of frames (B, F, 3, H, W), as [`PixelCondenser.estimate_flow`] and
            [`SemanticLens.estimate_flow`] give it; each pair's must depend on these two frames alone. None where the
            network needs none.
    """

    def __init__(self, estimate: Callable[[Tensor], Tensor | None]) -> None:
        self.estimate = estimate
        self._start = 0
        self._flow: Tensor | None = None

    def __call__(self, frames: Tensor, start: int) -> Tensor | None:
        """The flow of `frames` (B, F, 3, H, W), the first of which has the index `start` in the video."""
        known = None if self._flow is None or start < self._start else self._flow[:, :, start - self._start :]
        if known is None or known.shape[2] == 0:
            flow = self.estimate(frames)
        else:
            known = known[:, :, : frames.shape[1] - 1]
            rest = self.estimate(frames[:, known.shape[2] :])
            assert rest is not None
            flow = torch.cat([known, rest], dim=2)
        self._start, self._flow = start, flow
        return flow
