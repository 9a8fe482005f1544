# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from seeclear.data import (
    BicubicDegradation,
    CompressedDegradation,
    GaussianBlur,
    H264Compression,
    JpegCompression,
    RealWorldDegradation,
    Resize,
    SensorNoise,
    Sometimes,
    Transform,
)


def clip(frames: int = 4, height: int = 48, width: int = 64) -> Tensor:
    """A pattern that moves to the right by two pixels a frame."""
    f, y, x = np.mgrid[:frames, :height, :width]
    waves = [0.5 + 0.4 * np.sin((x - 2 * f) / 5) * np.cos(y / k) for k in (4, 6, 9)]
    return torch.from_numpy(np.stack(waves, axis=1)).float()


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def grey(frames: int = 3, size: int = 64, level: float = 0.5) -> Tensor:
    return torch.full((frames, 3, size, size), level)


ALL = [GaussianBlur(), SensorNoise(), JpegCompression(), H264Compression(), Resize()]


@pytest.mark.parametrize("transform", ALL, ids=lambda transform: type(transform).__name__)
def test_range_and_seed(transform: Transform) -> None:
    one, again, other = (transform(clip(), rng(seed)) for seed in (1, 1, 2))
    assert one.dtype == torch.float32 and one.min() >= 0 and one.max() <= 1
    assert torch.equal(one, again)
    assert one.shape != other.shape or not torch.equal(one, other)
    if not isinstance(transform, Resize):
        assert one.shape == clip().shape
        assert 0 < float((one - clip()).abs().mean()) < 0.2


@pytest.mark.parametrize("transform", [GaussianBlur(), JpegCompression()], ids=lambda t: type(t).__name__)
def test_what_does_not_change_in_nature_is_the_same_in_every_frame(transform: Transform) -> None:
    still = clip(1).expand(3, -1, -1, -1)
    degraded = transform(still, rng(3))
    assert torch.equal(degraded[0], degraded[1]) and torch.equal(degraded[0], degraded[2])


def test_blur_of_an_impulse() -> None:
    """exp(-r^2 / 8), normalised, for sigma 2 along both axes; of two sigmas, an ellipse in half of the clips."""
    impulse = torch.zeros(1, 1, 41, 41)
    impulse[..., 20, 20] = 1
    y, x = np.mgrid[-20:21, -20:21]
    expected = np.exp(-(x**2 + y**2) / 8) * (np.maximum(abs(x), abs(y)) <= 6)
    blurred = GaussianBlur((2.0, 2.0))(impulse, rng())[0, 0].numpy()
    np.testing.assert_allclose(blurred, expected / expected.sum(), atol=1e-6)

    def moments(seed: int) -> tuple[float, float]:
        """The variances along the two axes of the blurred impulse."""
        weight = GaussianBlur((0.8, 3.0))(impulse, rng(seed))[0, 0].numpy().astype(np.float64)
        covariance = [[(weight * a * b).sum() for b in (x, y)] for a in (x, y)]
        low, high = np.linalg.eigvalsh(covariance)
        return float(low), float(high)

    ratios = [high / low for low, high in map(moments, range(12))]
    assert sum(ratio < 1.02 for ratio in ratios) in range(3, 10)  # isotropic, about one half
    assert max(ratios) > 2


def test_noise_has_the_strength_of_its_formula_and_differs_from_frame_to_frame() -> None:
    noise = SensorNoise((5.0, 5.0), (8.0, 8.0))
    for level in (0.25, 0.7):
        residual = noise(grey(level=level), rng(1)) - level
        assert float(residual.std() * 255) == pytest.approx(math.sqrt(25 + 64 * level), rel=0.05)
        assert abs(float((residual[0] * residual[1]).mean())) < 0.1 * float(residual.square().mean())
    kinds = {bool(torch.equal(frames[:, 0], frames[:, 1])) for frames in (noise(grey(1, 8), rng(s)) for s in range(9))}
    assert kinds == {True, False}  # grey and coloured


def test_jpeg_and_h264_lose_more_the_lower_the_quality() -> None:
    errors = [float((JpegCompression((q, q))(clip(), rng()) - clip()).abs().mean()) for q in (95, 60, 10)]
    assert errors == sorted(errors)
    film = clip()[:, :1].expand(-1, 3, -1, -1)  # without colour, of which 4:2:0 keeps a quarter at any quality
    errors = [float((H264Compression((q, q))(film, rng()) - film).abs().mean()) for q in (1, 25, 40)]
    assert errors == sorted(errors) and errors[0] < 1 / 255


@pytest.mark.parametrize(("height", "width"), [(1, 2), (7, 9), (17, 30)])
def test_h264_keeps_any_size_the_frames_and_the_mean_colour(height: int, width: int) -> None:
    red = torch.tensor([200, 60, 30]).view(1, 3, 1, 1).expand(5, 3, height, width) / 255
    decoded = H264Compression((18, 18))(red, rng())
    assert decoded.shape == red.shape
    torch.testing.assert_close(decoded, red, atol=3 / 255, rtol=0)


def test_h264_artefacts_are_those_of_a_video() -> None:
    """Predicted frames repeat what the frame before has: the error of a still clip hardly changes from frame to frame,
    while its frames coded one by one (key frames only) are each as bad as the first."""
    still = (clip(1) + 0.05 * torch.randn(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    still = still.expand(4, -1, -1, -1)
    decoded = H264Compression((36, 36), (250, 250))(still, rng())
    change = (decoded[1:] - decoded[:-1]).abs().mean()
    error = (decoded - still).abs().mean()
    assert float(change) < 0.25 * float(error)


def test_h264_gives_the_same_frames_again() -> None:
    """Also of rows that are no multiple of 16 blocks, which x264 for AVX-512 reads beyond."""
    frames = clip(6, 96, 320)
    seen = [H264Compression()(frames, rng()) for _ in range(8)]
    assert all(torch.equal(frames, seen[0]) for frames in seen)


def test_sometimes() -> None:
    always = [Sometimes(lambda frames, _: frames + 1, p)(torch.zeros(1), rng(s)) for p in (0, 1) for s in range(5)]
    assert [int(frames) for frames in always] == [0] * 5 + [1] * 5
    share = sum(int(Sometimes(lambda frames, _: frames + 1, 0.3)(torch.zeros(1), rng(s))) for s in range(200)) / 200
    assert share == pytest.approx(0.3, abs=0.1)


def test_the_chain() -> None:
    degradation = RealWorldDegradation()
    results = [degradation(clip(), rng(seed)) for seed in (1, 1, 2, 3, 4, 5)]
    for frames in results:
        assert frames.shape == (4, 3, 12, 16)
        torch.testing.assert_close(frames * 255, (frames * 255).round(), atol=1e-4, rtol=0)
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])
    own = RealWorldDegradation(scale=2, high=[Resize((0.3, 0.3))], low=[])
    assert own(clip(), rng()).shape == (4, 3, 24, 32)


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


def test_bad_arguments() -> None:
    for degradation in (RealWorldDegradation(), CompressedDegradation()):
        with pytest.raises(ValueError, match="`rng` must be given"):
            degradation(clip())
    with pytest.raises(ValueError, match="multiples of 4"):
        CompressedDegradation()(clip(2, 18, 16), rng())
    with pytest.raises(ValueError, match="multiples of 4"):
        RealWorldDegradation()(clip(2, 18, 16), rng())
    with pytest.raises(ValueError, match="`low` must keep the size"):
        RealWorldDegradation(high=[], low=[Resize((0.5, 0.5))])(clip(), rng())
    with pytest.raises(ValueError, match="`scale`"):
        RealWorldDegradation(scale=0)
    for build, name in [
        (lambda: GaussianBlur((2, 1)), "sigma"),
        (lambda: SensorNoise((-1, 1)), "read"),
        (lambda: JpegCompression((0, 10)), "quality"),
        (lambda: H264Compression((10, 60)), "crf"),
        (lambda: Resize((0, 1)), "factor"),
        (lambda: Sometimes(GaussianBlur(), 1.5), "probability"),
    ]:
        with pytest.raises(ValueError, match=f"`{name}`"):
            build()
