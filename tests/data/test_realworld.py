# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import json
from collections import Counter
from functools import partial

import numpy as np
import pytest
import torch
from moving_pattern import clip, rng
from torch import Tensor

from seeclear.data import (
    BicubicDegradation,
    CompressedDegradation,
    GaussianDegradation,
    MixedDegradation,
    RealWorldDegradation,
    Resize,
    describe,
    videos_as_they_are,
)
from seeclear.data.steps import gaussian_blur, jpeg, motion_blur, resize_by, resize_to, sensor_noise, sharpen
from seeclear.data.video_compression import available_codecs, transcode
from seeclear.resize import METHODS, imresize


def test_the_chain() -> None:
    degradation = RealWorldDegradation()
    results = [degradation(clip(), rng(seed)) for seed in (1, 1, 2, 3, 4, 5)]
    for frames in results:
        assert frames.shape == (4, 3, 12, 16)
        torch.testing.assert_close(frames * 255, (frames * 255).round(), atol=1e-4, rtol=0)
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])
    own = RealWorldDegradation(scale=2, high=[Resize((0.3, 0.3))], low=[])
    assert own(clip(), rng()).shape == (4, 3, 24, 32)


def test_shares_of_the_steps() -> None:
    """As the docstring and docs/degradations.md say; one reduction for each clip, in its place."""
    counts: Counter[str] = Counter()
    for seed in range(300):
        steps = RealWorldDegradation().draw((48, 64), rng(seed))
        names = [step.func.__name__ for step in steps]
        reduction = names.index("resize_to")
        assert steps[reduction].keywords["height"] == 12 and steps[reduction].keywords["width"] == 16
        order = ["gaussian_blur", "motion_blur", "resize_by", "sensor_noise", "jpeg", "resize_to"]
        assert names[: reduction + 1] == [name for name in order if name in names[: reduction + 1]]
        counts.update(f"high {name}" for name in set(names[:reduction]))
        counts.update(f"low {name}" for name in set(names[reduction + 1 :]))
    expected = {
        "high gaussian_blur": 0.8,
        "high motion_blur": 0.2,
        "high resize_by": 0.5,
        "high sensor_noise": 0.7,
        "high jpeg": 0.3,
        "low sensor_noise": 0.2,
        "low sharpen": 0.3,
        "low jpeg": 0.2,
        "low transcode": 0.9,
    }
    assert {name: count / 300 for name, count in counts.items()} == pytest.approx(expected, abs=0.08)


def test_blurs_are_of_low_resolution_pixels() -> None:
    for scale in (1, 2, 4):
        for seed in range(40):
            for step in RealWorldDegradation(scale).draw((48, 64), rng(seed)):
                if step.func is gaussian_blur:
                    assert 0.05 * scale <= step.keywords["along"] <= 0.75 * scale
                if step.func is motion_blur:
                    assert 0.25 * scale <= step.keywords["length"] <= 3 * scale


def test_a_history_repeats_itself_from_its_description() -> None:
    functions = {
        f.__name__: f for f in (gaussian_blur, motion_blur, resize_by, resize_to, sensor_noise, sharpen, jpeg)
    }
    functions["transcode"] = transcode
    degradation = RealWorldDegradation()
    for seed in range(12):
        steps = degradation.draw((48, 64), rng(seed))
        written = json.loads(json.dumps(describe(steps)))
        again = [partial(functions[about.pop("step")], **about) for about in written]
        degraded = degradation.apply(clip(), steps)
        assert torch.equal(degradation.apply(clip(), again), degraded)
        assert torch.equal(degradation(clip(), rng(seed)), degraded)


def test_frames_in_parts_and_of_8_bits_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = (clip(7) * 255).round().byte()
    for seed in range(6):
        steps = RealWorldDegradation().draw((48, 64), rng(seed))
        whole = RealWorldDegradation().apply(pixels.float() / 255, steps)
        with monkeypatch.context() as patch:
            patch.setattr(RealWorldDegradation, "CHUNK", 3)
            assert torch.equal(RealWorldDegradation().apply(pixels, steps), whole)


def shift(degraded: Tensor, reference: Tensor) -> tuple[float, float]:
    """By how many pixels to the right and down `degraded` shows `reference`: least squares on its gradients."""
    down, right = torch.gradient(reference, dim=(2, 3))
    difference = (reference - degraded)[..., 4:-4, 4:-4].flatten()
    gradients = torch.stack([g[..., 4:-4, 4:-4].flatten() for g in (right, down)], dim=1)
    solution = torch.linalg.lstsq(gradients, difference[:, None]).solution
    return float(solution[0]), float(solution[1])


def scene(frames: int = 3) -> Tensor:
    """Smooth blobs, so that blurs and encoders leave what can be registered."""
    noise = torch.rand(1, 3, 20, 24, generator=torch.Generator().manual_seed(0))
    return imresize(noise, size=(240, 288)).clamp(0, 1).expand(frames, -1, -1, -1)


def test_registration_finds_the_shift_of_bd() -> None:
    """BD shows 1.5 high-resolution pixels to the left and above of what BI shows, so its content lies to the right."""
    found = shift(GaussianDegradation()(scene()), BicubicDegradation()(scene()))
    assert found == pytest.approx((0.375, 0.375), abs=0.05)


@pytest.mark.parametrize("method", METHODS)
def test_every_resize_is_aligned(method: str) -> None:
    reference = BicubicDegradation()(scene())
    for factor in (0.5, 0.63, 0.87, 1.25):
        small = resize_to(resize_by(scene(), factor, method), 60, 72, method)
        assert shift(small, reference) == pytest.approx((0, 0), abs=0.02)


@pytest.mark.parametrize("codec", available_codecs())
def test_every_codec_is_aligned(codec: str) -> None:
    """In each channel: colours have half the resolution, and must lie where the brightness lies."""
    reference = BicubicDegradation()(scene())[..., :59, :71]
    decoded = transcode(reference, codec, {"g": "12"}, bits_per_pixel=3.0)
    for channel in (slice(0, 1), slice(1, 2), slice(2, 3)):
        assert shift(decoded[:, channel], reference[:, channel]) == pytest.approx((0, 0), abs=0.05)


def test_jpeg_is_aligned() -> None:
    reference = BicubicDegradation()(scene())[..., :59, :71]
    decoded = jpeg(reference, 95)
    for channel in (slice(0, 1), slice(1, 2), slice(2, 3)):
        assert shift(decoded[:, channel], reference[:, channel]) == pytest.approx((0, 0), abs=0.05)


def test_the_chain_is_aligned() -> None:
    reference = BicubicDegradation()(scene())
    found = np.array([shift(RealWorldDegradation()(scene(), rng(seed)), reference) for seed in range(16)])
    assert np.abs(np.median(found, axis=0)).max() < 0.02
    assert np.abs(found).max() < 0.2  # noise and coarse quantisers move single clips


def test_bicubic_clips_of_which_some_are_videos() -> None:
    bicubic = BicubicDegradation()(clip())
    assert torch.equal(CompressedDegradation(probability=0)(clip(), rng()), bicubic)
    errors = []
    for crf in (12, 30):
        compressed = CompressedDegradation(probability=1, crf=(crf, crf))(clip(), rng())
        assert compressed.shape == bicubic.shape
        torch.testing.assert_close(compressed * 255, (compressed * 255).round(), atol=1e-4, rtol=0)
        errors.append(float((compressed - bicubic).abs().mean()))
    assert 0 < errors[0] < errors[1] < 0.1
    kept = [torch.equal(CompressedDegradation()(clip(), rng(seed)), bicubic) for seed in range(50)]
    assert sum(kept) / len(kept) == pytest.approx(0.6, abs=0.15)


def test_one_of_several_by_their_shares() -> None:
    bicubic, gaussian = BicubicDegradation(), GaussianDegradation()
    mixed = MixedDegradation([(bicubic, 3), (gaussian, 1), (RealWorldDegradation(), 0)])
    made = [mixed(clip(), rng(seed)) for seed in range(60)]
    assert all(torch.equal(mixed(clip(), rng(seed)), made[seed]) for seed in range(3))
    first = sum(torch.equal(frames, bicubic(clip())) for frames in made)
    assert first + sum(torch.equal(frames, gaussian(clip())) for frames in made) == 60
    assert first / 60 == pytest.approx(0.75, abs=0.15)
    videos = videos_as_they_are()
    assert videos.scale == 4 and videos.shares.tolist() == [0.4, 0.45, 0.15]
    clean = sum(torch.equal(videos(clip(), rng(seed)), bicubic(clip())) for seed in range(40))
    assert 0 < clean < 16


def test_bad_mixtures() -> None:
    with pytest.raises(ValueError, match="`parts` must be of one scale, but these are of .2, 4."):
        MixedDegradation([(BicubicDegradation(), 1), (BicubicDegradation(2), 1)])
    for shares in ([], [0, 0], [1, -1]):
        with pytest.raises(ValueError, match="`parts` must have shares of at least 0, not all 0"):
            MixedDegradation([(BicubicDegradation(), share) for share in shares])


def test_bad_arguments() -> None:
    for degradation in (RealWorldDegradation(), CompressedDegradation(), videos_as_they_are()):
        with pytest.raises(ValueError, match="`rng` must be given"):
            degradation(clip())
    with pytest.raises(ValueError, match="multiples of 4"):
        CompressedDegradation()(clip(2, 18, 16), rng())
    with pytest.raises(ValueError, match="multiples of 4"):
        RealWorldDegradation()(clip(2, 18, 16), rng())
    with pytest.raises(ValueError, match="multiples of 4"):
        RealWorldDegradation().draw((18, 16), rng())
    with pytest.raises(ValueError, match="`low` must keep the size"):
        RealWorldDegradation(high=[], low=[Resize((0.5, 0.5))])(clip(), rng())
    with pytest.raises(ValueError, match="`scale`"):
        RealWorldDegradation(scale=0)
