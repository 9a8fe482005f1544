# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import math
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from seeclear.metrics import fit_niqe, load_niqe_parameters, niqe
from seeclear.metrics.niqe import NiqeParameters, fit_asymmetric_gaussian, niqe_features
from seeclear.resize import imresize, to_uint8

ROOT = Path(__file__).resolve().parents[2]


def picture(height: int = 200, width: int = 300, seed: int = 0) -> Tensor:
    """Noise at all scales, as strong at each: statistics not unlike a photograph's."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(3, height, width)
    for size in (4, 8, 16, 32, 64, 128, 256):
        layer = torch.randn(1, size, size, generator=generator)
        total += imresize(layer, size=(height, width))
    return to_uint8((total / total.std() * 0.2 + 0.5).clamp(0, 1))


@pytest.mark.parametrize("shape", [0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("sides", [(1.0, 1.0), (0.5, 2.0)])
def test_fit_recovers_the_distribution(shape: float, sides: tuple[float, float]) -> None:
    """Samples by their definition: |x / scale|^shape is gamma distributed, a side is as likely as it is wide."""
    rng = np.random.default_rng(0)
    size = rng.gamma(1 / shape, size=(1, 200_000)) ** (1 / shape)
    left = rng.random(size.shape) < sides[0] / sum(sides)
    values = torch.from_numpy(np.where(left, -sides[0] * size, sides[1] * size))
    fitted, left_scale, right_scale = fit_asymmetric_gaussian(values)
    assert fitted.item() == pytest.approx(shape, rel=0.03)
    assert left_scale.item() == pytest.approx(sides[0], rel=0.08)
    assert right_scale.item() == pytest.approx(sides[1], rel=0.08)


def test_features_by_the_definition() -> None:
    """One block at both scales, its 36 features written out with loops over shifts and a search over shapes."""
    image = picture(96, 192)
    features, sharpness = niqe_features(image)
    assert features.shape == (2, 36) and sharpness.shape == (2,)
    red, green, blue = image.numpy().astype(np.float64)
    luminance = np.floor(0.298936 * red + 0.587043 * green + 0.114021 * blue + 0.5)
    t = np.arange(-3, 4)
    window = np.exp(-(t[:, None] ** 2 + t**2) / (2 * (7 / 6) ** 2))
    window /= window.sum()

    def normalise(plane: np.ndarray) -> np.ndarray:
        views = np.lib.stride_tricks.sliding_window_view(np.pad(plane, 3, mode="edge"), (7, 7))
        mean = (views * window).sum(axis=(2, 3))
        return (plane - mean) / (np.sqrt(np.abs((views**2 * window).sum(axis=(2, 3)) - mean**2)) + 1)

    shapes = np.arange(200, 10001) / 1000
    gammas = [math.gamma(2 / s) ** 2 / (math.gamma(1 / s) * math.gamma(3 / s)) for s in shapes]

    def fit(values: np.ndarray) -> tuple[float, float, float]:
        left, right = np.sqrt((values[values < 0] ** 2).mean()), np.sqrt((values[values > 0] ** 2).mean())
        ratio = left / right
        moment = np.abs(values).mean() ** 2 / (values**2).mean()
        target = moment * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
        shape = float(shapes[np.argmin((np.array(gammas) - target) ** 2)])
        to_scale = math.sqrt(math.gamma(1 / shape) / math.gamma(3 / shape))
        return shape, left * to_scale, right * to_scale

    expected = []
    half = imresize(torch.from_numpy(luminance), scale=0.5).numpy()
    for plane, side in ((luminance, 96), (half, 48)):
        block = normalise(plane)[:side, side : 2 * side]  # the second block
        shape, left, right = fit(block)
        expected += [shape, (left + right) / 2]
        for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
            shape, left, right = fit(block * np.roll(block, shift, axis=(0, 1)))
            expected += [shape, (right - left) * math.gamma(2 / shape) / math.gamma(1 / shape), left, right]
    np.testing.assert_allclose(features[1].numpy(), expected, atol=1e-9)


def test_score_by_the_formula() -> None:
    image = picture()
    features = niqe_features(image)[0].numpy()
    assert features.shape == (2 * 3, 36)  # whole blocks only
    mean, covariance = features.mean(axis=0), np.cov(features.T)
    assert niqe(image, NiqeParameters(mean, covariance)) == pytest.approx(0, abs=1e-9)
    offset = np.zeros(36)
    offset[5] = 0.3
    other = NiqeParameters(mean + offset, np.eye(36))
    expected = math.sqrt(offset @ np.linalg.pinv((np.eye(36) + covariance) / 2) @ offset)
    assert niqe(image, other) == pytest.approx(expected)


def test_blur_and_noise_are_unnatural_by_our_fit() -> None:
    """On a frame of the example clip, which the fit has not seen."""
    parameters = load_niqe_parameters()
    with av.open(str(ROOT / "examples" / "assets" / "bunny_lr.mp4")) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
    image = torch.from_numpy(frame).permute(2, 0, 1)[:, :180, :320]
    blurred = to_uint8(imresize(imresize(image.float() / 255, scale=0.25), scale=4.0))
    noise = 40 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    noisy = (image.float() + noise).clamp(0, 255).byte()
    assert 2 < niqe(image, parameters) < 6
    assert 1.5 * niqe(image, parameters) < min(niqe(blurred, parameters), niqe(noisy, parameters))


def test_fit_takes_the_sharp_blocks_and_is_saved(tmp_path: Path) -> None:
    image = picture(192, 288)
    image[:, :, 96:] = to_uint8(imresize(imresize(image.float() / 255, scale=0.125), scale=8.0))[:, :, 96:]
    fitted = fit_niqe([image])  # the first column of blocks is sharp
    features = niqe_features(image)[0].numpy()[[0, 3]]
    np.testing.assert_allclose(fitted.mean, features.mean(axis=0))
    np.testing.assert_allclose(fitted.covariance, np.cov(features.T))
    fitted.save(tmp_path / "own.npz")
    loaded = load_niqe_parameters(tmp_path / "own.npz")
    np.testing.assert_array_equal(loaded.covariance, fitted.covariance)
    with pytest.raises(ValueError, match="at least one image"):
        fit_niqe([])


def test_bad_arguments(tmp_path: Path) -> None:
    parameters = load_niqe_parameters()
    with pytest.raises(ValueError, match="two blocks of 96"):
        niqe(picture(100, 180), parameters)
    with pytest.raises(ValueError, match="uint8"):
        niqe(picture().float(), parameters)
    with pytest.raises(ValueError, match="texture"):
        niqe(torch.full((3, 96, 192), 90, dtype=torch.uint8), parameters)
    with pytest.raises(ValueError, match="no file"):
        load_niqe_parameters(tmp_path / "missing.npz")
    (tmp_path / "text.npz").write_text("no arrays")
    np.savez(tmp_path / "other.npz", a=1)
    np.savez(tmp_path / "small.npz", mu_pris_param=np.zeros(5), cov_pris_param=np.eye(5))
    for name in ("text.npz", "other.npz", "small.npz"):
        with pytest.raises(ValueError, match=name):
            load_niqe_parameters(tmp_path / name)
