# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from seeclear.data import BicubicDegradation, degrade
from seeclear.metrics import frame_difference_error, psnr, ssim
from seeclear.metrics.evaluation import (
    BICUBIC,
    METRICS,
    ORIGINAL,
    Evaluator,
    bicubic_frames,
    color_shift,
    figures_table,
    mean_figures,
    perceptual_distances,
)
from seeclear.metrics.protocols import PROTOCOLS, get_protocol
from seeclear.resize import imresize, to_uint8


class MeanDistance:
    """The distance between mean values, for tests."""

    device = torch.device("cpu")

    def features(self, images: Tensor) -> Tensor:
        return images.mean(dim=(1, 2, 3))

    def distance(self, features: Tensor, reference: Tensor) -> Tensor:
        return (features - reference).abs()


@pytest.fixture
def ground_truth() -> Tensor:
    small = torch.rand(6, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    return to_uint8(imresize(small, size=(24, 32)))


@pytest.fixture
def outputs(ground_truth: Tensor) -> dict[str, Tensor]:
    bicubic = bicubic_frames(degrade(ground_truth, BicubicDegradation()), (24, 32))
    return {BICUBIC: bicubic, "exact": ground_truth, "brighter": (bicubic.int() + 10).clamp(0, 255).byte()}


def wave(frames: int = 2, height: int = 24, width: int = 32) -> np.ndarray:
    """(F, 3, H, W): whole grey levels of a formula, so that anyone can make the same frames."""
    f, c, y, x = np.mgrid[:frames, :3, :height, :width].astype(np.float64)
    values = 128 + 60 * np.sin((x + 2 * f) / (1.5 + c)) + 50 * np.cos((y * (c + 1) - x) / 4)
    return np.floor(values + 0.5).clip(0, 255).astype(np.uint8)


def matlab_resize(signal: np.ndarray, scale: float) -> np.ndarray:
    """One axis (the last) by the definition: for every output sample the cubic kernel, stretched when shrinking, at
    every input sample in reach; beyond the border the signal is its own mirror image."""

    def cubic(t: float) -> float:
        t = abs(t)
        if t <= 1:
            return 1.5 * t**3 - 2.5 * t**2 + 1
        return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t <= 2 else 0.0

    n = signal.shape[-1]
    stretch = max(1.0, 1 / scale)
    out = np.empty((*signal.shape[:-1], math.ceil(n * scale)))
    for i in range(out.shape[-1]):
        centre = (i + 0.5) / scale - 0.5
        taps = range(math.floor(centre - 2 * stretch) - 1, math.ceil(centre + 2 * stretch) + 2)
        weights = [cubic((centre - tap) / stretch) for tap in taps]
        mirrored = [tap % (2 * n) if tap % (2 * n) < n else 2 * n - 1 - tap % (2 * n) for tap in taps]
        out[..., i] = sum(w * signal[..., m] for w, m in zip(weights, mirrored, strict=True)) / sum(weights)
    return out


def both_axes(images: np.ndarray, scale: float) -> np.ndarray:
    resized = matlab_resize(matlab_resize(images.astype(np.float64), scale).swapaxes(-1, -2), scale).swapaxes(-1, -2)
    return np.floor(resized + 0.5).clip(0, 255)


def luma(images: np.ndarray) -> np.ndarray:
    """(F, H, W)"""
    red, green, blue = images.astype(np.float64).swapaxes(0, 1)
    return 16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255


def ssim_by_definition(x: np.ndarray, y: np.ndarray) -> float:
    """The mean over every 11 x 11 window inside images (H, W)."""
    t = np.arange(11) - 5.0
    w = np.exp(-(t[:, None] ** 2 + t**2) / 4.5)
    w /= w.sum()
    a, b = (np.lib.stride_tricks.sliding_window_view(v, (11, 11)) for v in (x, y))
    mean_a, mean_b = ((w * v).sum(axis=(2, 3)) for v in (a, b))
    var_a, var_b = ((w * v**2).sum(axis=(2, 3)) - m**2 for v, m in ((a, mean_a), (b, mean_b)))
    cov = (w * a * b).sum(axis=(2, 3)) - mean_a * mean_b
    value = (2 * mean_a * mean_b + 6.5025) * (2 * cov + 58.5225)
    return float((value / ((mean_a**2 + mean_b**2 + 6.5025) * (var_a + var_b + 58.5225))).mean())


def test_bicubic_by_hand() -> None:
    """PSNR and SSIM of MATLAB's bicubic, computed here from the definitions in numpy and written down."""
    original = wave()
    restored = both_axes(both_axes(original, 0.25), 4)
    by_hand = {}
    for channel, view in (("y", luma), ("rgb", lambda images: images.astype(np.float64).reshape(-1, 24, 32))):
        a, b = view(restored), view(original)
        errors = ((a - b) ** 2).reshape(2, -1).mean(axis=1)
        psnrs = 10 * np.log10(255**2 / errors)
        ssims = [ssim_by_definition(p, q) for p, q in zip(a, b, strict=True)]
        by_hand[channel] = {"psnr": float(psnrs.mean()), "ssim": float(np.mean(ssims))}
    written_down = {
        "y": {"psnr": 27.1898, "ssim": 0.89213},
        "rgb": {"psnr": 20.8443, "ssim": 0.77823},
    }
    truth = torch.from_numpy(original)
    frames = {BICUBIC: bicubic_frames(degrade(truth, BicubicDegradation()), (24, 32))}
    for channel, protocol in (("y", "vid4"), ("rgb", "reds4")):
        figures = Evaluator(["psnr", "ssim"], protocol).measure(frames, truth)[BICUBIC]
        for expected in (by_hand[channel], written_down[channel]):
            assert figures["psnr"] == pytest.approx(expected["psnr"], abs=0.005)
            assert figures["ssim"] == pytest.approx(expected["ssim"], abs=0.0001)


def test_figures(outputs: dict[str, Tensor], ground_truth: Tensor) -> None:
    evaluator = Evaluator(stride=4)
    evaluator.comparisons["lpips-vgg"] = MeanDistance()
    evaluator.metrics = ("psnr", "ssim", "lpips-vgg", "frame-difference", "color-shift")
    figures = evaluator.measure(outputs, ground_truth)
    assert list(figures) == list(outputs)
    for name, frames in outputs.items():
        mean_psnr = psnr(frames, ground_truth).mean().item()
        assert figures[name]["psnr"] == pytest.approx(mean_psnr) and list(figures[name]) == list(evaluator.metrics)
        assert figures[name]["ssim"] == pytest.approx(ssim(frames, ground_truth).mean().item())
        assert figures[name]["frame-difference"] == pytest.approx(frame_difference_error(frames, ground_truth))
        means = [x[[0, 4]].float().div(127.5).mean(dim=(1, 2, 3)) for x in (frames, ground_truth)]
        assert figures[name]["lpips-vgg"] == pytest.approx((means[0] - means[1]).abs().mean().item(), abs=1e-5)
    assert figures["brighter"]["color-shift"] == pytest.approx(10, abs=1)
    assert figures["exact"]["psnr"] == math.inf and figures["exact"]["frame-difference"] == 0


def test_protocols_fix_channel_and_border(outputs: dict[str, Tensor], ground_truth: Tensor) -> None:
    kinds = {name: (protocol.channel, protocol.crop_border) for name, protocol in PROTOCOLS.items()}
    assert kinds == {"vid4": ("y", 0), "reds4": ("rgb", 0), "y": ("y", 0), "rgb": ("rgb", 0)}
    for name, (channel, _) in kinds.items():
        figures = Evaluator(["psnr"], name).measure(outputs, ground_truth)
        assert figures[BICUBIC]["psnr"] == pytest.approx(psnr(outputs[BICUBIC], ground_truth, channel).mean().item())
    with pytest.raises(ValueError, match=r"`protocol` must be one of \['vid4', 'reds4', 'y', 'rgb'\]"):
        get_protocol("rgba")


def test_a_single_frame_has_no_steadiness(outputs: dict[str, Tensor], ground_truth: Tensor) -> None:
    one = {name: frames[:1] for name, frames in outputs.items()}
    figures = Evaluator(["psnr", "frame-difference", "warping"]).measure(one, ground_truth[:1])
    assert figures["brighter"]["frame-difference"] is None and figures[ORIGINAL] == {"warping": None}
    assert "|" in figures_table(figures, get_protocol("y"))


def test_metrics_without_an_original_are_taken_of_it_too() -> None:
    truth = torch.randint(0, 256, (2, 3, 96, 192), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    evaluator = Evaluator(["niqe", "warping", "psnr"])
    assert evaluator.metrics == ("psnr", "niqe", "warping")
    assert evaluator.sources["niqe"]["fit"].startswith("the package's own")
    figures = evaluator.measure({BICUBIC: truth}, truth)
    assert figures[ORIGINAL] == {name: figures[BICUBIC][name] for name in ("niqe", "warping")}


def test_color_shift_is_that_of_the_worst_channel() -> None:
    a, b = torch.full((2, 3, 4, 4), 100, dtype=torch.uint8), torch.full((2, 3, 4, 4), 100, dtype=torch.uint8)
    a[:, 0] += 1
    a[0, 2] -= 6
    assert color_shift(a, b) == pytest.approx(3.0)


def test_stride_of_perceptual_distances(ground_truth: Tensor) -> None:
    outputs = {"same": ground_truth, "dark": torch.zeros_like(ground_truth)}
    distances = perceptual_distances(outputs, ground_truth, MeanDistance(), stride=5)
    expected = ground_truth[[0, 5]].float().mean().item() / 127.5
    assert distances == {"same": 0.0, "dark": pytest.approx(expected, abs=1e-5)}


def test_means_and_table() -> None:
    clips = [
        {BICUBIC: {"psnr": 20.0, "niqe": 6.0, "warping": 0.002}, "ours": {"psnr": 21.0, "niqe": 5.0, "warping": None}},
        {BICUBIC: {"psnr": 30.0, "niqe": 7.0, "warping": 0.004}, "ours": {"psnr": 32.0, "niqe": 5.0, "warping": 0.1}},
    ]
    means = mean_figures(clips)
    assert means == {
        BICUBIC: {"psnr": 25.0, "niqe": 6.5, "warping": 0.003},
        "ours": {"psnr": 26.5, "niqe": 5.0, "warping": None},
    }
    lines = figures_table(means, get_protocol("rgb"), {"ours": 0.5}, own_niqe=True).splitlines()
    assert len(lines) == 4 and len({len(line) for line in lines}) == 1
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["", "PSNR-RGB, dB", "NIQE (own fit)", "warping error, 1e-3", "s / frame"]
    assert cells[2] == ["bicubic", "25.000 (+0.000)", "6.500", "3.0000", ""]
    assert cells[3] == ["ours", "26.500 (+1.500)", "5.000", "", "0.500"]
    with pytest.raises(ValueError, match="at least one"):
        mean_figures([])


def test_ratios_to_bicubic_in_the_table() -> None:
    figures = {BICUBIC: {"dists": 0.2}, "ours": {"dists": 0.05}}
    assert "0.0500 (0.250)" in figures_table(figures, get_protocol("y"))
    exact = {BICUBIC: {"dists": 0.0}, "ours": {"dists": 0.05}}
    assert "0.0500 |" in figures_table(exact, get_protocol("y"))


def test_bad_arguments(outputs: dict[str, Tensor], ground_truth: Tensor) -> None:
    for metrics in (["psnr", "vmaf"], [], ["psnr", "psnr"]):
        with pytest.raises(ValueError, match="`metrics` must name some of"):
            Evaluator(metrics)
    with pytest.raises(ValueError, match="`stride`"):
        Evaluator(stride=0)
    with pytest.raises(ValueError, match="'bicubic' and not 'original'"):
        Evaluator().measure({"ours": ground_truth}, ground_truth)
    with pytest.raises(ValueError, match="'small' must be uint8"):
        Evaluator().measure({**outputs, "small": ground_truth[..., :8]}, ground_truth)
    assert set(METRICS) > set(Evaluator().metrics)
