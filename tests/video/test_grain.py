# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""How strong the grain of a video is, and grain of a given strength."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seeclear.video.artefacts import fresh_noise_level
from seeclear.video.grain import EVERY, FAINTEST, Grain, add_grain, measure_grain

WHITE, WIDE = 0.0, 0.8
"""Standard deviations of the filter of the grain, pixels."""


def scene(num_frames: int = 10, height: int = 96, width: int = 160) -> Tensor:
    """(F, 3, H, W): a smooth coloured picture with a striped disc that moves over it."""
    y, x = np.mgrid[:height, :width]
    picture = np.stack([0.5 + 0.2 * np.sin(x / 31 + color) * np.cos(y / 23) for color in range(3)])
    frames = np.repeat(picture[None], num_frames, axis=0)
    for index, frame in enumerate(frames):
        disc = (y - 40) ** 2 + (x - 40 - 4 * index) ** 2 < 900
        frame[:, disc] = 0.5 + 0.3 * np.sin(1.9 * (x + y)[disc])
    return torch.from_numpy(frames.astype(np.float32))


def noisy(frames: Tensor, strength: float, width: float = WHITE) -> Tensor:
    """With fresh grey noise, in steps of grey levels, as a decoder gives them."""
    noise = np.random.default_rng(0).standard_normal((len(frames), *frames.shape[2:]))
    if width:
        for axis in (1, 2):
            frequencies = np.fft.fftfreq(noise.shape[axis]).reshape([-1 if a == axis else 1 for a in range(3)])
            response = np.exp(-2 * (math.pi * width * frequencies) ** 2)
            noise = np.fft.ifft(np.fft.fft(noise, axis=axis) * response, axis=axis).real
    noise *= strength / 255 / noise.std()
    return ((frames + torch.from_numpy(noise.astype(np.float32))[:, None]) * 255).round().clamp(0, 255) / 255


@pytest.mark.parametrize("strength", [2.0, 4.0, 8.0])
def test_white_grain_is_measured_within_a_tenth(strength: float) -> None:
    assert measure_grain(noisy(scene(), strength)) == pytest.approx(strength, rel=0.1)
    assert measure_grain(noisy(scene(1), strength)) == pytest.approx(strength, rel=0.1)  # an image


def test_grain_wider_than_a_pixel_is_measured_from_frame_to_frame() -> None:
    """Less than there is: the coarsest waves of a block are left to the picture."""
    assert 0.7 * 4 < measure_grain(noisy(scene(), 4.0, WIDE)) < 4
    assert measure_grain(noisy(scene(1), 4.0, WIDE)) == 0  # one image could be of such texture


def test_clean_videos_have_none() -> None:
    assert measure_grain(scene()) == measure_grain(noisy(scene(), 0)) == measure_grain([]) == 0
    assert measure_grain(torch.zeros(3, 3, 64, 64)) == measure_grain(torch.rand(3, 3, 7, 7)) == 0
    assert measure_grain(noisy(scene(), FAINTEST / 2)) == 0


def test_a_repeated_frame_and_a_cut_do_not_count() -> None:
    frames = noisy(scene(5 * EVERY), 4.0)
    frames[1] = frames[0]
    frames[EVERY + 1 :] = 1 - frames[EVERY + 1 :]
    assert measure_grain(frames) == pytest.approx(4, rel=0.1)


def test_new_noise_by_hand() -> None:
    """One wave that is not in the first frame, in all blocks: of 30 waves that are measured it has all the power."""
    y, x = np.mgrid[:64, :64] % 8
    wave = np.cos(math.pi * (2 * x + 1) * 2 / 16) * np.cos(math.pi * (2 * y + 1) / 16) / math.sqrt(16 / 4 * 16 / 4)
    before = np.full((64, 64), 100.0, np.float32)
    level = fresh_noise_level(before, (before + 60 * wave).astype(np.float32))
    odd = sum(1 for u in range(8) for v in range(8) if u + v >= 2 and (u + v) % 2)
    assert level == pytest.approx(60 / math.sqrt(2 * odd), rel=1e-4)
    assert fresh_noise_level(before, before) == fresh_noise_level(before * 0, before) == 0


@pytest.mark.parametrize("scale", [1.0, 2.5, 4.0])
def test_grain_has_the_strength_that_was_asked_for(scale: float) -> None:
    frames = torch.full((2, 3, 384, 512), 0.5)
    added = (add_grain(frames, 6.0, scale, seed=3) - 0.5) * 255
    assert torch.equal(added[:, 0], added[:, 1]) and torch.equal(added[:, 0], added[:, 2])  # grey
    assert added.std() == pytest.approx(6, rel=0.02) and abs(added.mean()) < 0.1
    # neighbors: the filter's correlation with itself, moved by a pixel
    taps = np.exp(-((np.arange(-9, 10) / (0.2 * scale)) ** 2) / 2)
    expected = (taps[1:] * taps[:-1]).sum() / (taps**2).sum()
    found = added[:, 0].numpy() / 6
    for one, other in ((found[:, 1:], found[:, :-1]), (found[..., 1:], found[..., :-1])):
        assert (one * other).mean() == pytest.approx(expected, abs=0.02)
    assert abs((found[0] * found[1]).mean()) < 0.02  # each frame has its own


def test_grain_depends_on_the_seed_and_the_frame_alone() -> None:
    frames = torch.rand(4, 3, 40, 56, generator=torch.Generator().manual_seed(0))
    whole = add_grain(frames, 4.0)
    assert torch.equal(torch.cat([add_grain(frames[:3], 4.0), add_grain(frames[3:], 4.0, first=3)]), whole)
    other = add_grain(frames, 4.0, seed=1)
    assert all(not torch.equal(one, two) for one, two in zip(whole, other, strict=True))
    assert torch.equal(Grain(4.0, 4.0, 0).of_frame(frames[2], 2), Grain(4.0, 4.0, 0).of_frame(frames[2], 2))
    assert add_grain(frames, 0.0) is frames


def test_black_and_white_stay_as_they_are() -> None:
    frames = torch.stack([torch.full((3, 64, 64), level) for level in (0.0, 1.0, 0.02)])
    grainy = add_grain(frames, 6.0)
    assert torch.equal(grainy[:2], frames[:2])
    assert 0 < (grainy[2] - 0.02).std() * 255 < 6 and grainy.min() >= 0 and grainy.max() <= 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.half, torch.float64])
def test_other_types_of_frames(dtype: torch.dtype) -> None:
    frames = noisy(scene(), 4.0)
    assert measure_grain(frames.to(dtype)) == pytest.approx(4, rel=0.1)
    grainy = add_grain(frames.to(dtype), np.float32(6.0), np.int64(4))
    assert grainy.dtype == dtype
    torch.testing.assert_close(grainy.float(), add_grain(frames, 6.0), rtol=0, atol=1 / 128)


def test_arguments_that_cannot_be() -> None:
    frames: Any = torch.zeros(2, 3, 8, 8)
    for strength in (-1.0, 256.0, math.nan, math.inf, "1", None, True):
        with pytest.raises(ValueError, match=f"`strength` is {strength!r}; it must be a number from 0 to 255"):
            add_grain(frames, strength)
    for scale in (0.0, -1.0, math.nan, math.inf, "4"):
        with pytest.raises(ValueError, match=f"`scale` is {scale!r}; it must be a number above 0"):
            add_grain(frames, 1.0, scale)
    with pytest.raises(ValueError, match=r"`seed` is 1\.5; it must be a whole number"):
        add_grain(frames, 1.0, seed=1.5)
    with pytest.raises(ValueError, match="`first` is -1; it must be a whole number of at least 0"):
        add_grain(frames, 1.0, first=-1)
    assert add_grain(frames[:0], 1.0).shape == (0, 3, 8, 8)


@pytest.mark.parametrize(
    ("frames", "found"),
    [
        (np.zeros((2, 8, 8, 3), np.float32), "is of the type ndarray"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), "is of torch.uint8"),
        (torch.zeros(2, 8, 8, 3), r"is of shape \(2, 8, 8, 3\)"),
        (torch.zeros(3, 8, 8), r"is of shape \(3, 8, 8\)"),
        (torch.zeros(2, 4, 8, 8), r"is of shape \(2, 4, 8, 8\)"),
        (torch.zeros(2, 3, 8, 8, device="meta"), "is on meta"),
        (torch.full((2, 3, 8, 8), 255.0), r"is not in \[0, 1\]"),
        (torch.full((2, 3, 8, 8), math.nan), r"is not in \[0, 1\]"),
    ],
)
def test_frames_that_cannot_be(frames: Any, found: str) -> None:
    wanted = r"must be a floating-point tensor \({}3, H, W\) in \[0, 1\] on the CPU"
    for call in (measure_grain, lambda given: add_grain(given, 1.0)):
        with pytest.raises(ValueError, match=f"`frames` {found}; it {wanted.format('F, ')}"):
            call(frames)
    if frames.ndim == 4:
        with pytest.raises(ValueError, match=f"frame 1 of `frames` is .*; it {wanted.format('')}"):
            measure_grain([torch.zeros(3, 8, 8), frames[0]])
    with pytest.raises(ValueError, match="`frames` is 3; it must be an iterable of tensors"):
        measure_grain(3)
