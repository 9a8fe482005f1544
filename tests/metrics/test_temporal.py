# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The warping error; that of the frame differences is tested beside the fidelity."""

import numpy as np
import pytest
import torch
from torch import Tensor

from seeclear.metrics import temporal, warping_errors
from seeclear.metrics.temporal import motion
from seeclear.resize import imresize, to_uint8


def pan(frames: int = 3, step: int = 3) -> Tensor:
    """A smooth random texture that moves to the left by `step` pixels a frame: (F, 3, 64, 96)."""
    noise = torch.rand(3, 24, 48, generator=torch.Generator().manual_seed(0))
    scene = to_uint8(imresize(noise, size=(64, 160)))
    return torch.stack([scene[:, :, i * step : i * step + 96] for i in range(frames)])


def test_motion_of_a_pan() -> None:
    frames = pan()
    flow, trusted = motion(frames[0], frames[1])
    assert flow.shape == (64, 96, 2) and trusted.shape == (64, 96)
    inner = flow[8:-8, 12:-12]
    assert abs(float(inner[..., 0].mean()) + 3) < 0.1 and abs(float(inner[..., 1].mean())) < 0.1
    assert trusted[8:-8, 12:-12].mean() > 0.9
    assert not trusted[:, 0].any()  # what leaves the frame


def test_steady_frames_have_no_error_and_flicker_has_its_square() -> None:
    frames = pan()
    flicker = frames.clone()
    flicker[1] = (flicker[1].int() + 20).clamp(0, 255).byte()
    still = frames[:1].expand(3, -1, -1, -1)
    errors = warping_errors({"flicker": flicker, "still": still, "original": frames}, frames)
    assert errors["original"] is not None and errors["original"] < 2e-4
    assert errors["flicker"] == pytest.approx((20 / 255) ** 2 + errors["original"], rel=0.1)
    assert errors["still"] is not None and errors["still"] > 10 * errors["original"]
    assert warping_errors({"again": flicker}, frames)["again"] == errors["flicker"]


def test_pairs_without_trusted_pixels_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = pan()
    flow, trusted = motion(frames[1], frames[2])
    expected = warping_errors({"clip": frames[1:]}, frames[1:])
    trust = iter([np.zeros_like(trusted), trusted])
    monkeypatch.setattr(temporal, "motion", lambda first, second: (flow, next(trust)))
    assert warping_errors({"clip": frames}, frames) == expected
    trust = iter([np.zeros_like(trusted)] * 2)
    assert warping_errors({"clip": frames}, frames) == {"clip": None}


def test_bad_arguments() -> None:
    frames = pan()
    with pytest.raises(ValueError, match="two frames"):
        warping_errors({}, frames[:1])
    with pytest.raises(ValueError, match="16 pixels"):
        motion(frames[0, :, :8], frames[1, :, :8])
