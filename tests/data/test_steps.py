# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import json
import math
from functools import partial

import numpy as np
import pytest
import torch
from moving_pattern import clip, rng
from torch import Tensor

from seeclear.data import (
    GaussianBlur,
    JpegCompression,
    MotionBlur,
    Resize,
    SensorNoise,
    Sharpening,
    Sometimes,
    Step,
    Transform,
    describe,
)
from seeclear.data.steps import (
    draw_method,
    gaussian_blur,
    motion_blur,
    resize_by,
    resize_to,
    sensor_noise,
    sharpen,
)
from seeclear.resize import METHODS


def grey(frames: int = 3, size: int = 64, level: float = 0.5) -> Tensor:
    return torch.full((frames, 3, size, size), level)


def impulse(size: int = 41) -> Tensor:
    frame = torch.zeros(1, 1, size, size)
    frame[..., size // 2, size // 2] = 1
    return frame


ALL = [GaussianBlur(), MotionBlur(), SensorNoise(), Sharpening(), JpegCompression(), Resize()]


@pytest.mark.parametrize("transform", ALL, ids=lambda transform: type(transform).__name__)
def test_range_seed_and_what_is_written_down(transform: Transform) -> None:
    one, again, other = (transform(clip(), rng(seed)) for seed in (1, 1, 2))
    assert one.dtype == torch.float32 and one.min() >= 0 and one.max() <= 1
    assert torch.equal(one, again)
    assert one.shape != other.shape or not torch.equal(one, other)
    if not isinstance(transform, Resize):
        assert one.shape == clip().shape
        assert 0 < float((one - clip()).abs().mean()) < 0.2
    (step,) = transform.draw(rng(1))
    (about,) = json.loads(json.dumps(describe([step])))
    assert about.pop("step") == step.func.__name__
    assert torch.equal(step.func(clip(), **about), one)  # what is written down repeats it


@pytest.mark.parametrize(
    "transform",
    [GaussianBlur(), MotionBlur(), Sharpening(), JpegCompression(), Resize()],
    ids=lambda t: type(t).__name__,
)
def test_what_does_not_change_in_nature_is_the_same_in_every_frame(transform: Transform) -> None:
    still = clip(1).expand(3, -1, -1, -1)
    degraded = transform(still, rng(3))
    assert torch.equal(degraded[0], degraded[1]) and torch.equal(degraded[0], degraded[2])


@pytest.mark.parametrize("sigma", [1.0, 2.0])
def test_blur_of_an_impulse(sigma: float) -> None:
    """exp(-r^2 / (2 sigma^2)), normalised, up to three sigma; a very round ellipse is the circle."""
    y, x = np.mgrid[-20:21, -20:21]
    expected = np.exp(-(x**2 + y**2) / (2 * sigma**2)) * (np.maximum(abs(x), abs(y)) <= 3 * sigma)
    expected /= expected.sum()
    for across in (sigma, sigma * (1 - 1e-9)):  # axis by axis, and by the whole kernel
        blurred = gaussian_blur(impulse(), sigma, across, 0.7)[0, 0].numpy()
        np.testing.assert_allclose(blurred, expected, atol=1e-6)


def test_ellipses_have_the_axes_and_the_angle_that_were_drawn() -> None:
    y, x = np.mgrid[-20:21, -20:21]
    for angle in (0.0, math.pi / 4):
        weight = gaussian_blur(impulse(), 3.0, 1.0, angle)[0, 0].numpy().astype(np.float64)
        along = x * math.cos(angle) + y * math.sin(angle)
        across = y * math.cos(angle) - x * math.sin(angle)
        assert (weight * along**2).sum() == pytest.approx(9, rel=0.04)  # less what was cut off
        assert (weight * across**2).sum() == pytest.approx(1, rel=0.04)
    drawn = [GaussianBlur((0.8, 3.0)).draw(rng(seed))[0].keywords for seed in range(40)]
    assert all(0.8 <= keywords[axis] <= 3 for keywords in drawn for axis in ("along", "across"))
    assert sum(keywords["along"] == keywords["across"] for keywords in drawn) / 40 == pytest.approx(0.5, abs=0.2)


def test_motion_blur_is_a_line_by_hand() -> None:
    """Four pixels long: the hats of bilinear interpolation at -1, 0, 1 lie within the path, half of those at -2, 2."""
    line = [1 / 8, 1 / 4, 1 / 4, 1 / 4, 1 / 8]
    for angle, view in ((0.0, lambda frame: frame), (math.pi / 2, lambda frame: frame.T)):
        blurred = view(motion_blur(impulse(), 4.0, angle)[0, 0])
        torch.testing.assert_close(blurred[20, 18:23], torch.tensor(line), atol=1e-6, rtol=0)
        assert float(blurred[20].sum()) == pytest.approx(1, abs=1e-5)
    diagonal = motion_blur(impulse(), 6.0, math.pi / 4)[0, 0]
    assert float(diagonal[22, 22]) > 0.1 > float(diagonal[18, 22].abs()) * 1000  # down and right, clockwise
    torch.testing.assert_close(diagonal, diagonal.flip(0, 1), atol=1e-6, rtol=0)  # so nothing is shifted
    torch.testing.assert_close(motion_blur(clip(), 0.0, 1.0), clip(), atol=1e-6, rtol=0)
    lengths = [MotionBlur((2, 5)).draw(rng(seed))[0].keywords["length"] for seed in range(20)]
    assert 2 <= min(lengths) < 3 and 4 < max(lengths) <= 5


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 40)])
def test_blurs_wider_than_the_frame(size: tuple[int, int]) -> None:
    frame = torch.full((2, 3, *size), 0.3)
    for blurred in (gaussian_blur(frame, 9, 5, 1), gaussian_blur(frame, 9, 9, 0), motion_blur(frame, 30, 0.5)):
        torch.testing.assert_close(blurred, frame)


def test_noise_has_the_strength_of_its_formula_and_differs_from_frame_to_frame() -> None:
    for level in (0.25, 0.7):
        residual = sensor_noise(grey(level=level), read=5, shot=8, grey=False, seed=1) - level
        assert float(residual.std() * 255) == pytest.approx(math.sqrt(25 + 64 * level), rel=0.05)
        for one, two in ((residual[0], residual[1]), (residual[:, 0], residual[:, 1])):
            assert abs(float((one * two).mean())) < 0.1 * float(residual.square().mean())
    same = sensor_noise(grey(1, 8), 5, 5, True, 0)
    assert torch.equal(same[:, 0], same[:, 1])
    kinds = [SensorNoise().draw(rng(seed))[0].keywords["grey"] for seed in range(50)]
    assert sum(kinds) / 50 == pytest.approx(0.4, abs=0.15)


def test_noise_of_a_part_of_a_clip() -> None:
    whole = sensor_noise(grey(5, 8), 4, 4, False, 3)
    assert torch.equal(whole[2:], sensor_noise(grey(3, 8), 4, 4, False, 3, first_frame=2))


def test_sharpening_overshoots_by_hand() -> None:
    """An edge from 0.4 to 0.6. The blur's taps are 1 : e^-0.5 : e^-2 : e^-4.5 for sigma 1; beside the edge it takes
    from the other side all taps on that side, those of distance 1, 2 and 3."""
    taps = [math.exp(-(k**2) / 2) for k in range(4)]
    other_side = sum(taps[1:]) / (taps[0] + 2 * sum(taps[1:]))
    edge = torch.full((1, 3, 20, 20), 0.4)
    edge[..., 10:] = 0.6
    halo = 1.5 * 0.2 * other_side
    sharp = sharpen(edge, amount=1.5, sigma=1.0)[0, 0, 10]
    assert float(sharp[10]) == pytest.approx(0.6 + halo, abs=1e-6)
    assert float(sharp[9]) == pytest.approx(0.4 - halo, abs=1e-6)
    torch.testing.assert_close(sharp[[0, 6, 13, 19]], torch.tensor([0.4, 0.4, 0.6, 0.6]))
    torch.testing.assert_close(sharpen(clip(), 0.0, 1.0), clip())


def test_jpeg_loses_more_the_lower_the_quality() -> None:
    errors = [float((JpegCompression((q, q))(clip(), rng()) - clip()).abs().mean()) for q in (95, 60, 10)]
    assert errors == sorted(errors)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [0.25, 0.37, 0.5, 0.8, 1.0, 1.25])
def test_resizing_keeps_a_ramp_where_it_is(method: str, factor: float) -> None:
    """Pixel i of n shows what lies at (i + 0.5) / factor - 0.5: no shift, and no local one of a tenth of a pixel.

    Taps are at whole pixels, so a kernel that is stretched by no whole number errs by a few hundredths of a pixel.
    """
    n = 120
    ramp = torch.linspace(0.1, 0.9, n).expand(1, 3, 16, n).contiguous()
    small = resize_by(ramp, factor, method)
    count = small.shape[3]
    assert (small.shape[2], count) == (max(1, round(16 * factor)), round(n * factor))
    place = (torch.arange(count) + 0.5) / (count / n) - 0.5
    error = (small[0, 0, 0] - 0.1) / 0.8 * (n - 1) - place
    inside = error[(place > 14) & (place < n - 15)]
    assert float(inside.mean().abs()) < 0.01
    assert float(inside.abs().max()) < 0.1
    upright = resize_to(ramp.transpose(2, 3), count, small.shape[2], method)
    torch.testing.assert_close(upright.transpose(2, 3), small, atol=1e-6, rtol=0)


def test_methods_and_factors_are_drawn_evenly() -> None:
    methods = [draw_method(rng(seed)) for seed in range(100)]
    assert all(methods.count(method) == pytest.approx(25, abs=12) for method in METHODS)
    factors = [Resize((0.25, 4)).draw(rng(seed))[0].keywords["factor"] for seed in range(100)]
    assert 0.25 <= min(factors) and max(factors) <= 4
    assert sum(factor < 1 for factor in factors) == pytest.approx(50, abs=15)  # even on a logarithmic scale


class Brighter(Transform):
    def draw(self, rng: np.random.Generator) -> list[Step]:
        return [partial(torch.add, other=1)]


def test_sometimes() -> None:
    always = [Sometimes(Brighter(), p)(torch.zeros(1), rng(s)) for p in (0, 1) for s in range(5)]
    assert [int(frames) for frames in always] == [0] * 5 + [1] * 5
    share = sum(int(Sometimes(Brighter(), 0.3)(torch.zeros(1), rng(s))) for s in range(200)) / 200
    assert share == pytest.approx(0.3, abs=0.1)


def test_bad_arguments() -> None:
    for build, name in [
        (lambda: GaussianBlur((2, 1)), "sigma"),
        (lambda: MotionBlur((-1, 1)), "length"),
        (lambda: SensorNoise((-1, 1)), "read"),
        (lambda: SensorNoise((0, 1), (2, 1)), "shot"),
        (lambda: Sharpening((-1, 1)), "amount"),
        (lambda: Sharpening((0, 1), (0, 1)), "sigma"),
        (lambda: JpegCompression((0, 10)), "quality"),
        (lambda: Resize((0, 1)), "factor"),
        (lambda: Sometimes(GaussianBlur(), 1.5), "probability"),
    ]:
        with pytest.raises(ValueError, match=f"`{name}`"):
            build()
