# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""LPIPS (Zhang et al. 2018) and DISTS (Ding et al. 2020), as modules that can be metrics and training losses.

Both compare the features that an image classifier computes. No weights come with the package. `perceptual_metric`
takes them from torchmetrics where that and torchvision are installed (which download them once), or from files:

    lpips_alexnet.npz, lpips_vgg16.npz   conv{i}.weight (out, in, kh, kw) and conv{i}.bias of the classifier's
                                         convolutions in order, lin{i} (channels,) of LPIPS version 0.1
    dists_weights.pt                     alpha, beta (1, 1475, 1, 1), for the convolutions of lpips_vgg16.npz

Images are float (N, 3, H, W) in [-1, 1], at least 32 pixels a side; the result is (N,), smaller is more alike.
"""

import hashlib
import importlib
import importlib.metadata
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

MIN_SIZE = 32
ALEXNET_FILE, VGG16_FILE, DISTS_FILE = "lpips_alexnet.npz", "lpips_vgg16.npz", "dists_weights.pt"

# (out channels, in channels, kernel, stride, padding) of every convolution, grouped in stages. The features after each
# stage are compared; between stages the resolution is halved.
_Stages = tuple[tuple[tuple[int, int, int, int, int], ...], ...]
_ALEXNET: _Stages = (
    ((64, 3, 11, 4, 2),),
    ((192, 64, 5, 1, 2),),
    ((384, 192, 3, 1, 1),),
    ((256, 384, 3, 1, 1),),
    ((256, 256, 3, 1, 1),),
)
_VGG16: _Stages = (
    ((64, 3, 3, 1, 1), (64, 64, 3, 1, 1)),
    ((128, 64, 3, 1, 1), (128, 128, 3, 1, 1)),
    ((256, 128, 3, 1, 1), (256, 256, 3, 1, 1), (256, 256, 3, 1, 1)),
    ((512, 256, 3, 1, 1), (512, 512, 3, 1, 1), (512, 512, 3, 1, 1)),
    ((512, 512, 3, 1, 1), (512, 512, 3, 1, 1), (512, 512, 3, 1, 1)),
)


class HannPooling(nn.Module):
    """The pooling of DISTS (section III-A): root of the mean square under a 3 x 3 Hann window, stride 2."""

    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        window = torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("window", torch.outer(window, window), persistent=False)

    def forward(self, hidden_states: Tensor) -> Tensor:
        channels = hidden_states.shape[1]
        weight = self.window.to(hidden_states.dtype).expand(channels, 1, 3, 3)
        mean = functional.conv2d(hidden_states.square(), weight, stride=2, padding=1, groups=channels)
        return (mean + 1e-12).sqrt()


class _Backbone(nn.Module):
    """The convolutions of a classifier: images to the features after each stage."""

    def __init__(self, stages: _Stages, pools: tuple[Callable[[], nn.Module], ...]) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        for stage, pool in zip(stages, pools, strict=True):
            layers = [pool()]
            for out_channels, in_channels, kernel, stride, padding in stage:
                layers += [nn.Conv2d(in_channels, out_channels, kernel, stride, padding), nn.ReLU()]
            self.stages.append(nn.Sequential(*layers))

    def convolutions(self) -> list[nn.Conv2d]:
        return [layer for layer in self.modules() if isinstance(layer, nn.Conv2d)]

    def forward(self, hidden_states: Tensor) -> list[Tensor]:
        features = []
        for stage in self.stages:
            hidden_states = stage(hidden_states)
            features.append(hidden_states)
        return features


def _weights_file(path: str | Path, default_name: str) -> Path:
    """`path`, or the file of the default name inside it if it is a folder; ValueError if there is none."""
    file = Path(path)
    if file.is_dir():
        file = file / default_name
    if not file.is_file():
        raise ValueError(f"The weights {default_name!r} are needed, but there is no file {str(file)!r}.")
    return file


def _load_backbone(backbone: _Backbone, file: Path) -> dict[str, Tensor]:
    """Sets the convolutions from a .npz file and returns the other arrays in it."""
    with np.load(file, allow_pickle=False) as arrays:
        weights = {name: torch.from_numpy(arrays[name].astype(np.float32)) for name in arrays.files}
    for i, convolution in enumerate(backbone.convolutions()):
        for part, parameter in convolution.named_parameters():
            value = weights.pop(f"conv{i}.{part}", None)
            if value is None or value.shape != parameter.shape:
                raise ValueError(
                    f"{str(file)!r} must hold conv{i}.{part} of shape {tuple(parameter.shape)}, but has "
                    f"{'nothing of that name' if value is None else tuple(value.shape)}."
                )
            parameter.data.copy_(value)
    return weights


def _check_images(images: Tensor) -> None:
    if images.dim() != 4 or images.shape[1] != 3 or min(images.shape[2:]) < MIN_SIZE:
        raise ValueError(
            f"Images must be (N, 3, H, W) of at least {MIN_SIZE} pixels a side, not {tuple(images.shape)}."
        )


class Comparison(Protocol):
    """A distance between what `features` says of images; `features` of a reference serves for several images."""

    @property
    def device(self) -> torch.device: ...

    def features(self, images: Tensor) -> Any: ...

    def distance(self, features: Any, reference: Any) -> Tensor: ...


class FeatureMetric(nn.Module, ABC):
    """A distance between features. `features` of a reference can be kept to compare several images with it."""

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: _Backbone, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.backbone = backbone
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    @property
    def device(self) -> torch.device:
        """Where it computes, and wants its images."""
        return self.mean.device

    def _freeze(self) -> None:
        self.requires_grad_(False)
        self.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.eval()

    @abstractmethod
    def features(self, images: Tensor) -> list[Tensor]:
        """What `distance` compares of images (N, 3, H, W) in [-1, 1]."""

    @abstractmethod
    def distance(self, features: list[Tensor], reference: list[Tensor]) -> Tensor:
        """The distance (N,) between images with these features."""

    def forward(self, images: Tensor, reference: Tensor) -> Tensor:
        """(N,), differentiable with respect to both images (N, 3, H, W) in [-1, 1]."""
        return self.distance(self.features(images), self.features(reference))


class LPIPS(FeatureMetric):
    """Learned perceptual image patch similarity, version 0.1: features of unit length, squared, weighted, averaged.

    Args:
        weights: the file of the weights, or the folder it lies in.
        net: the classifier: "vgg" or "alex".

    Raises:
        ValueError: no such file, one of another layout, an unknown classifier.
    """

    def __init__(self, weights: str | Path, net: Literal["alex", "vgg"] = "vgg") -> None:
        if net not in ("alex", "vgg"):
            raise ValueError(f"`net` must be 'alex' or 'vgg', but is {net!r}.")
        stages, name = (_VGG16, VGG16_FILE) if net == "vgg" else (_ALEXNET, ALEXNET_FILE)
        file = _weights_file(weights, name)
        # AlexNet pools before its second and third convolution only.
        pool: Callable[[], nn.Module] = (lambda: nn.MaxPool2d(2, 2)) if net == "vgg" else (lambda: nn.MaxPool2d(3, 2))
        late = pool if net == "vgg" else nn.Identity
        backbone = _Backbone(stages, (nn.Identity, pool, pool, late, late))
        # The constants of LPIPS for images in [-1, 1].
        super().__init__(backbone, mean=[-0.030, -0.088, -0.188], std=[0.458, 0.448, 0.450])
        linear = _load_backbone(backbone, file)
        for i, stage in enumerate(stages):
            value = linear.get(f"lin{i}")
            if value is None or value.shape != (stage[-1][0],):
                raise ValueError(f"{str(file)!r} must hold lin{i} of shape ({stage[-1][0]},).")
            self.register_buffer(f"linear_{i}", value)
        self._freeze()

    def features(self, images: Tensor) -> list[Tensor]:
        """The features of the five stages, each (N, h, w, C), of unit length along the channels, in the dtype of the
        weights; within autocast the convolutions alone are in its dtype.

        Channels come last, as they lie in memory, so that the gradient is worked out in that order, too: in another
        order LPIPS with its gradient takes twice as long on a CPU.
        """
        _check_images(images)
        normalised = (images.to(self.mean.dtype) - self.mean) / self.std
        features = self.backbone(normalised.contiguous(memory_format=torch.channels_last))
        return [_unit_length(stage.to(self.mean.dtype).permute(0, 2, 3, 1)) for stage in features]

    def distance(self, features: list[Tensor], reference: list[Tensor]) -> Tensor:
        total = features[0].new_zeros(len(features[0]))
        for i, (x, y) in enumerate(zip(features, reference, strict=True)):
            weight = self.get_buffer(f"linear_{i}")
            total = total + ((x - y).square() @ weight.to(x.dtype)).mean(dim=(1, 2))
        return total


def _unit_length(features: Tensor) -> Tensor:
    """Features (..., C) of length 1; zeros stay zeros."""
    return features * (1 / (torch.linalg.vector_norm(features, dim=-1, keepdim=True) + 1e-10))


class DISTS(FeatureMetric):
    """Deep image structure and texture similarity: SSIM-like terms on the means and covariances of VGG16's features.

    Args:
        weights: the folder with lpips_vgg16.npz, whose convolutions are used, and dists_weights.pt.

    Raises:
        ValueError: a file is missing or of another layout.
    """

    CHANNELS = (3, 64, 128, 256, 512, 512)

    def __init__(self, weights: str | Path) -> None:
        vgg16, dists = _weights_file(Path(weights) / VGG16_FILE, VGG16_FILE), Path(weights) / DISTS_FILE
        backbone = _Backbone(_VGG16, (nn.Identity, HannPooling, HannPooling, HannPooling, HannPooling))
        # ImageNet's mean and deviation, which are meant for images in [0, 1].
        super().__init__(backbone, mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
        _load_backbone(backbone, vgg16)
        loaded = torch.load(_weights_file(dists, DISTS_FILE), map_location="cpu", weights_only=True)
        for name in ("alpha", "beta"):
            if name not in loaded or loaded[name].numel() != sum(self.CHANNELS):
                raise ValueError(f"{str(dists)!r} must hold {name} with {sum(self.CHANNELS)} values.")
        alpha, beta = (loaded[name].detach().flatten().float() for name in ("alpha", "beta"))
        total = alpha.sum() + beta.sum()
        self.register_buffer("alpha", alpha / total)
        self.register_buffer("beta", beta / total)
        self._freeze()

    def features(self, images: Tensor) -> list[Tensor]:
        """The images themselves in [0, 1], and the features of the five stages, in the dtype of the weights; within
        autocast the convolutions alone are in its dtype.
        """
        _check_images(images)
        images = images.to(self.mean.dtype) / 2 + 0.5
        normalised = (images - self.mean) / self.std
        features = self.backbone(normalised.contiguous(memory_format=torch.channels_last))
        return [images, *(stage.to(self.mean.dtype) for stage in features)]

    def distance(self, features: list[Tensor], reference: list[Tensor]) -> Tensor:
        alphas = self.get_buffer("alpha").split(self.CHANNELS)
        betas = self.get_buffer("beta").split(self.CHANNELS)
        similarity = features[0].new_zeros(len(features[0]))
        c = 1e-6
        for x, y, alpha, beta in zip(features, reference, alphas, betas, strict=True):
            mean_x, mean_y = x.mean(dim=(2, 3)), y.mean(dim=(2, 3))  # (N, C)
            texture = (2 * mean_x * mean_y + c) / (mean_x**2 + mean_y**2 + c)
            centred_x, centred_y = x - mean_x[..., None, None], y - mean_y[..., None, None]
            variances = centred_x.square().mean(dim=(2, 3)) + centred_y.square().mean(dim=(2, 3))
            covariance = (centred_x * centred_y).mean(dim=(2, 3))
            structure = (2 * covariance + c) / (variances + c)
            similarity = similarity + texture @ alpha + structure @ beta
        return 1 - similarity


class TorchmetricsComparison:
    """A metric of torchmetrics, which takes both images at once, in the form of the others."""

    def __init__(self, metric: Callable[[Tensor, Tensor], Tensor], device: torch.device) -> None:
        self.metric, self.device = metric, device

    def features(self, images: Tensor) -> Tensor:
        """The images themselves."""
        _check_images(images)
        return images

    def distance(self, features: Tensor, reference: Tensor) -> Tensor:
        """(N,)"""
        with torch.no_grad():
            pairs = zip(features.split(1), reference.split(1), strict=True)
            return torch.stack([self.metric(x, y).reshape(()) for x, y in pairs])


PerceptualName = Literal["lpips-vgg", "lpips-alex", "dists"]
_FILES: dict[str, tuple[str, ...]] = {
    "lpips-vgg": (VGG16_FILE,),
    "lpips-alex": (ALEXNET_FILE,),
    "dists": (VGG16_FILE, DISTS_FILE),
}


def file_hash(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class _ZeroToOne(nn.Module):
    """A metric for images in [0, 1], given images in [-1, 1]."""

    def __init__(self, metric: nn.Module) -> None:
        super().__init__()
        self.metric = metric

    def forward(self, images: Tensor, reference: Tensor) -> Tensor:
        return self.metric(images / 2 + 0.5, reference / 2 + 0.5)


def _from_torchmetrics(name: PerceptualName) -> nn.Module:
    """The metric of torchmetrics for images in [-1, 1]."""
    if name == "dists":
        dists = importlib.import_module("torchmetrics.image.dists")
        return _ZeroToOne(dists.DeepImageStructureAndTextureSimilarity())
    lpips = importlib.import_module("torchmetrics.image.lpip")
    return lpips.LearnedPerceptualImagePatchSimilarity(net_type=name.removeprefix("lpips-"))


def perceptual_metric(
    name: PerceptualName, weights: str | Path | None = None, device: torch.device | str = "cpu"
) -> tuple[Comparison, dict[str, Any]]:
    """A perceptual metric by its name, and where it comes from, for a report.

    Args:
        name: "lpips-vgg", "lpips-alex" or "dists".
        weights: the folder with the weights; None for those of torchmetrics.
        device: where to compute.

    Raises:
        ValueError: an unknown name; `weights` lacks a file; without `weights`, torchmetrics or torchvision is missing.
    """
    device = torch.device(device)
    if name not in _FILES:
        raise ValueError(f"`name` must be one of {list(_FILES)}, but is {name!r}.")
    if weights is not None:
        files = [_weights_file(Path(weights) / file, file) for file in _FILES[name]]
        metric = DISTS(weights) if name == "dists" else LPIPS(weights, "vgg" if name == "lpips-vgg" else "alex")
        return metric.to(device), {"source": "files", "sha256": {file.name: file_hash(file) for file in files}}
    missing = [package for package in ("torchmetrics", "torchvision") if not _importable(package)]
    if missing:
        raise ValueError(
            f"{name!r} needs weights: give the folder that holds {' and '.join(_FILES[name])} as "
            "`perceptual_weights`, or install "
            f"torchmetrics and torchvision, which download theirs ({' and '.join(missing)} cannot be imported here)."
        )
    versions = {package: importlib.metadata.version(package) for package in ("torchmetrics", "torchvision")}
    pairwise = _from_torchmetrics(name).to(device).eval()
    return TorchmetricsComparison(pairwise, device), {"source": "torchmetrics", "versions": versions}


def _importable(package: str) -> bool:
    if importlib.util.find_spec(package) is None:
        return False
    try:
        importlib.import_module(package)
    except (ImportError, RuntimeError):  # torchvision beside a torch of another version raises RuntimeError
        return False
    return True
