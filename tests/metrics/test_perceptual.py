# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The networks with random weights in files of the right layout."""

import hashlib
import importlib.machinery
import importlib.metadata
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from seeclear.metrics import DISTS, LPIPS, perceptual_metric
from seeclear.metrics.perceptual import ALEXNET_FILE, DISTS_FILE, VGG16_FILE, HannPooling


@pytest.fixture
def weights(perceptual_weights: Path) -> Path:
    return perceptual_weights


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 2, 3, 36, 40, generator=torch.Generator().manual_seed(0)) * 2 - 1


def features(arrays: dict[str, Tensor], x: Tensor, net: str) -> list[Tensor]:
    """The compared features, layer by layer."""
    taps = []
    pools_before, last, count = ((2, 4, 7, 10), (1, 3, 6, 9, 12), 13) if net == "vgg" else ((1, 2), range(5), 5)
    for i in range(count):
        if i in pools_before:
            x = functional.max_pool2d(x, 2 if net == "vgg" else 3, 2)
        padding, stride = {11: (2, 4), 5: (2, 1), 3: (1, 1)}[arrays[f"conv{i}.weight"].shape[-1]]
        x = functional.conv2d(x, arrays[f"conv{i}.weight"], arrays[f"conv{i}.bias"], stride, padding).relu()
        if i in last:
            taps.append(x)
    return taps


@pytest.mark.parametrize(("net", "file"), [("vgg", VGG16_FILE), ("alex", ALEXNET_FILE)])
def test_lpips_by_the_formula(weights: Path, images: Tensor, net: str, file: str) -> None:
    arrays = {name: torch.from_numpy(value) for name, value in np.load(weights / file).items()}
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).view(3, 1, 1)
    expected = torch.zeros(2)
    pair = (features(arrays, (x - shift) / scale, net) for x in images)
    for i, (x, y) in enumerate(zip(*pair, strict=True)):
        x, y = (f / (f.square().sum(dim=1, keepdim=True).sqrt() + 1e-10) for f in (x, y))
        weighted = (arrays[f"lin{i}"].view(1, -1, 1, 1) * (x - y) ** 2).sum(dim=1)
        expected += weighted.mean(dim=(1, 2))
    metric = LPIPS(weights, net)  # type: ignore[arg-type]
    torch.testing.assert_close(metric(images[0], images[1]), expected, atol=1e-5, rtol=1e-4)
    file_metric = LPIPS(weights / file, net)  # type: ignore[arg-type]
    torch.testing.assert_close(file_metric(images[0], images[1]), expected, atol=1e-5, rtol=1e-4)


def test_what_the_packages_give(weights: Path, images: Tensor) -> None:
    """Recorded from lpips 0.1.4 and DISTS-pytorch 0.1 with the weights of this file's fixture in place of theirs."""
    recorded = {
        "lpips-vgg": [0.7165526, 0.7218781],
        "lpips-alex": [0.9475892, 0.9161638],
        "dists": [0.0771085, 0.0722955],
    }
    for name, values in recorded.items():
        metric, source = perceptual_metric(name, weights)  # type: ignore[arg-type]
        distances = metric.distance(metric.features(images[0]), metric.features(images[1]))
        torch.testing.assert_close(distances, torch.tensor(values), atol=1e-4, rtol=0)
        assert source["source"] == "files"
        for file, digest in source["sha256"].items():
            assert digest == hashlib.sha256((weights / file).read_bytes()).hexdigest()


def test_torchmetrics_where_it_is_installed(weights: Path, images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """With stand-ins for the two packages: their metrics take pairs, DISTS in [0, 1]."""

    class Score(nn.Module):
        def __init__(self, net_type: str = "dists") -> None:
            super().__init__()
            self.metric = LPIPS(weights, net_type) if net_type != "dists" else DISTS(weights)  # type: ignore[arg-type]
            self.shift = net_type == "dists"

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return self.metric(*(2 * image - 1 if self.shift else image for image in (x, y))).mean()

    modules = {name: types.ModuleType(name) for name in ("torchmetrics", "torchmetrics.image", "torchvision")}
    modules["torchmetrics.image.lpip"] = types.ModuleType("torchmetrics.image.lpip")
    modules["torchmetrics.image.dists"] = types.ModuleType("torchmetrics.image.dists")
    modules["torchmetrics.image.lpip"].LearnedPerceptualImagePatchSimilarity = Score  # type: ignore[attr-defined]
    modules["torchmetrics.image.dists"].DeepImageStructureAndTextureSimilarity = Score  # type: ignore[attr-defined]
    for name, module in modules.items():
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(importlib.metadata, "version", lambda package: "1.0")
    for name in ("lpips-alex", "dists"):
        metric, source = perceptual_metric(name)  # type: ignore[arg-type]
        own, _ = perceptual_metric(name, weights)  # type: ignore[arg-type]
        assert source == {"source": "torchmetrics", "versions": {"torchmetrics": "1.0", "torchvision": "1.0"}}
        pairs = [m.distance(m.features(images[0]), m.features(images[1])) for m in (metric, own)]
        torch.testing.assert_close(pairs[0], pairs[1], atol=1e-5, rtol=0)


def test_without_weights_and_packages_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ValueError, match=r"'dists' needs weights: .*dists_weights.pt.*torchvision"):
        perceptual_metric("dists")
    with pytest.raises(ValueError, match="`name` must be one of"):
        perceptual_metric("vmaf")  # type: ignore[arg-type]


def test_hann_pooling_by_hand() -> None:
    """A single 4 at (2, 2) weighs (1/2)^2 in the window centred there, and (1/4)(1/2) of 16 beside nothing else."""
    x = torch.zeros(1, 1, 6, 6)
    x[..., 2, 2] = 4
    pooled = HannPooling()(x)[0, 0]
    assert pooled.shape == (3, 3)
    assert pooled[1, 1].item() == pytest.approx(2.0)
    assert pooled[0, 1].item() == pytest.approx(0.0, abs=1e-5)
    x = torch.zeros(1, 1, 6, 6)
    x[..., 2, 3] = 4  # at the edge of two windows
    pooled = HannPooling()(x)[0, 0]
    assert pooled[1, 1].item() == pooled[1, 2].item() == pytest.approx(2**0.5)


def test_dists_by_the_formula(weights: Path, images: Tensor) -> None:
    metric = DISTS(weights)
    loaded = torch.load(weights / DISTS_FILE, weights_only=True)
    total = loaded["alpha"].sum() + loaded["beta"].sum()
    zero_to_one = (images / 2 + 0.5).double()
    fx, fy = ([f.double() for f in metric.features(x)] for x in images)
    torch.testing.assert_close(fx[0], zero_to_one[0], atol=1e-6, rtol=0)
    score, first = torch.ones(2, dtype=torch.float64), 0
    for x, y in zip(fx, fy, strict=True):
        channels = slice(first, first + x.shape[1])
        first = channels.stop
        mx, my = x.mean(dim=(2, 3)), y.mean(dim=(2, 3))
        vx, vy = x.var(dim=(2, 3), unbiased=False), y.var(dim=(2, 3), unbiased=False)
        cov = (x * y).mean(dim=(2, 3)) - mx * my
        means = (2 * mx * my + 1e-6) / (mx**2 + my**2 + 1e-6)
        structure = (2 * cov + 1e-6) / (vx + vy + 1e-6)
        alpha, beta = (loaded[name].flatten()[channels].double() / total for name in ("alpha", "beta"))
        score -= (alpha * means + beta * structure).sum(dim=1)
    assert first == 1475
    torch.testing.assert_close(metric(images[0], images[1]).double(), score, atol=1e-5, rtol=0)


def test_equal_images_are_at_distance_zero_and_losses_have_gradients(weights: Path, images: Tensor) -> None:
    for metric in (LPIPS(weights), LPIPS(weights, "alex"), DISTS(weights)):
        torch.testing.assert_close(metric(images[0], images[0]), torch.zeros(2), atol=1e-5, rtol=0)
        x = images[0].clone().requires_grad_()
        metric(x, images[1]).sum().backward()
        assert x.grad is not None and x.grad.isfinite().all() and x.grad.abs().max() > 0
        assert not any(parameter.requires_grad for parameter in metric.parameters())
        flat = torch.zeros(1, 3, 32, 32, requires_grad=True)
        metric(flat, torch.zeros(1, 3, 32, 32)).sum().backward()
        assert flat.grad is not None and flat.grad.isfinite().all()


def test_lpips_in_mixed_precision(weights: Path, images: Tensor) -> None:
    """The convolutions alone are lowered: the distance stays float32 and near, and so does its gradient."""
    metric = LPIPS(weights)
    image, other = images[0].clone().requires_grad_(), images[1]
    expected = metric(image, other)
    wanted = torch.autograd.grad(expected.sum(), image)[0]
    with torch.autocast("cpu", torch.bfloat16):
        features, reference = metric.features(image), metric.features(other)
    distance = metric.distance(features, reference)
    assert distance.dtype == torch.float32
    torch.testing.assert_close(distance, expected, rtol=0.02, atol=0)
    made = torch.autograd.grad(distance.sum(), image)[0]
    assert 0.95 < torch.cosine_similarity(made.flatten(), wanted.flatten(), dim=0) < 1


def test_missing_and_wrong_files(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'lpips_vgg16.npz' are needed, but there is no file .*missing"):
        LPIPS(tmp_path / "missing")
    with pytest.raises(ValueError, match="lpips_alexnet.npz"):
        LPIPS(tmp_path, "alex")
    with pytest.raises(ValueError, match=r"conv0.weight of shape \(64, 3, 3, 3\)"):
        LPIPS(weights / ALEXNET_FILE)
    with pytest.raises(ValueError, match="net"):
        LPIPS(weights, "squeeze")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="lpips_vgg16.npz"):
        DISTS(tmp_path)
    (tmp_path / VGG16_FILE).write_bytes((weights / VGG16_FILE).read_bytes())
    with pytest.raises(ValueError, match="dists_weights.pt"):
        DISTS(tmp_path)
    torch.save({"alpha": torch.rand(1475)}, tmp_path / DISTS_FILE)
    with pytest.raises(ValueError, match="beta with 1475"):
        DISTS(tmp_path)


def test_small_and_malformed_images(weights: Path) -> None:
    metric = LPIPS(weights, "alex")
    for shape in [(1, 3, 31, 40), (3, 40, 40), (1, 1, 40, 40)]:
        with pytest.raises(ValueError, match="32 pixels"):
            metric(torch.zeros(shape), torch.zeros(shape))
