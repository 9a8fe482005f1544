# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""NIQE, the natural image quality evaluator (Mittal, Soundararajan and Bovik 2013): how unlike pristine images one is.

The statistics of locally normalised luminance in blocks of 96 x 96 pixels, at two scales, are fitted by generalised
Gaussians; the score is the distance between the Gaussian of an image's block features and that of pristine images.

Scores depend on what the pristine Gaussian was fitted to. The package has the fit of its authors to 25 photographs
(`PHOTOGRAPHS_FILE`, made by `benchmarks/niqe_parameters.py`), which orders images sensibly but gives **other numbers
than papers print**. For these, give the path of the parameters of the original release, as the .npz file that common
toolboxes carry it in: `mu_pris_param` (1, 36) and `cov_pris_param` (36, 36).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..resize import imresize

BLOCK = 96
NUM_FEATURES = 36
PHOTOGRAPHS_FILE = Path(__file__).parent / "niqe_photographs.npz"
_SHARP_SHARE = 0.75
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))


@dataclass(frozen=True)
class NiqeParameters:
    """The Gaussian of the features of pristine images: mean (36,) and covariance (36, 36), float64."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    def save(self, path: str | Path) -> None:
        """Writes them in the layout that `load_niqe_parameters` reads."""
        np.savez(path, mu_pris_param=self.mean[None], cov_pris_param=self.covariance)


def load_niqe_parameters(path: str | Path = PHOTOGRAPHS_FILE) -> NiqeParameters:
    """Reads a .npz file with `mu_pris_param` and `cov_pris_param`; the package's own fit unless a path is given.

    Raises:
        ValueError: no such file, or one of another layout.
    """
    if not Path(path).is_file():
        raise ValueError(f"The parameters of NIQE must be a .npz file, but there is no file {str(path)!r}.")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            mean = np.asarray(arrays["mu_pris_param"], dtype=np.float64).ravel()
            covariance = np.asarray(arrays["cov_pris_param"], dtype=np.float64)
    except (KeyError, TypeError, AttributeError, OSError, ValueError) as error:
        raise ValueError(
            f"{str(path)!r} must be a .npz file with mu_pris_param and cov_pris_param: {error}"
        ) from error
    if mean.shape != (NUM_FEATURES,) or covariance.shape != (NUM_FEATURES, NUM_FEATURES):
        raise ValueError(
            f"{str(path)!r} must hold {NUM_FEATURES} means with covariances, not {mean.shape}, {covariance.shape}."
        )
    return NiqeParameters(mean, covariance)


def _luminance(image: Tensor) -> Tensor:
    """(3, H, W) uint8 to (H, W) float64, whole grey levels, with the weights of MATLAB's `rgb2gray`."""
    weights = torch.tensor([0.298936, 0.587043, 0.114021], dtype=torch.float64)
    return (image.cpu().double() * weights[:, None, None]).sum(dim=0).add(0.5).floor()


def _normalise(image: Tensor) -> tuple[Tensor, Tensor]:
    """(H, W): the image less its local mean, over its local deviation plus one; and that deviation."""
    x = torch.arange(7, dtype=torch.float64) - 3
    gaussian = torch.exp(-(x**2) / (2 * (7 / 6) ** 2))
    gaussian = gaussian / gaussian.sum()

    def blur(values: Tensor) -> Tensor:
        padded = functional.pad(values[None, None], (3, 3, 3, 3), mode="replicate")
        return functional.conv2d(functional.conv2d(padded, gaussian.view(1, 1, 7, 1)), gaussian.view(1, 1, 1, 7))[0, 0]

    mean = blur(image)
    deviation = (blur(image**2) - mean**2).abs().sqrt()
    return (image - mean) / (deviation + 1), deviation


def _log_gamma(x: Tensor) -> Tensor:
    return torch.special.gammaln(x)


_SHAPES = torch.arange(200, 10001, dtype=torch.float64) / 1000
_SHAPE_RATIOS = torch.exp(2 * _log_gamma(2 / _SHAPES) - _log_gamma(1 / _SHAPES) - _log_gamma(3 / _SHAPES))


def fit_asymmetric_gaussian(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Shape, left and right scale of the asymmetric generalised Gaussian of each row of (N, n), by moment matching.

    The density is proportional to exp(-(|x| / scale)^shape) with a scale for each side; the shape is found to 0.001
    between 0.2 and 10. NaN where a row has no value on one side.
    """
    squares = values.square()
    left, right = values < 0, values > 0
    left_deviation = ((squares * left).sum(dim=1) / left.sum(dim=1)).sqrt()
    right_deviation = ((squares * right).sum(dim=1) / right.sum(dim=1)).sqrt()
    ratio = left_deviation / right_deviation
    moment = values.abs().mean(dim=1).square() / squares.mean(dim=1)
    target = moment * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1).square()
    # the ratios rise with the shape: the nearest of them
    above = torch.searchsorted(_SHAPE_RATIOS, target.nan_to_num()).clamp(1, len(_SHAPES) - 1)
    below_is_nearer = (target - _SHAPE_RATIOS[above - 1]).abs() <= (_SHAPE_RATIOS[above] - target).abs()
    shape = _SHAPES[above - below_is_nearer.long()]
    shape = torch.where(target.isnan(), target, shape)
    to_scale = torch.exp((_log_gamma(1 / shape) - _log_gamma(3 / shape)) / 2)
    return shape, left_deviation * to_scale, right_deviation * to_scale


def _block_features(blocks: Tensor) -> Tensor:
    """(N, b, b) normalised luminance to (N, 18)."""
    shape, left, right = fit_asymmetric_gaussian(blocks.flatten(1))
    features = [shape, (left + right) / 2]
    for shift in _NEIGHBOURS:
        products = blocks * blocks.roll(shift, dims=(1, 2))  # cyclic inside the block, as in the original release
        shape, left, right = fit_asymmetric_gaussian(products.flatten(1))
        mean = (right - left) * torch.exp(_log_gamma(2 / shape) - _log_gamma(1 / shape))
        features += [shape, mean, left, right]
    return torch.stack(features, dim=1)


def _split(image: Tensor, side: int) -> Tensor:
    """(H, W), multiples of `side`, to (N, side, side), row by row."""
    height, width = image.shape
    return image.view(height // side, side, width // side, side).transpose(1, 2).reshape(-1, side, side)


def is_large_enough(height: int, width: int) -> bool:
    """Whether an image has the two whole blocks that a covariance takes at least."""
    return (height // BLOCK) * (width // BLOCK) >= 2


def niqe_features(image: Tensor) -> tuple[Tensor, Tensor]:
    """The features (N, 36) of the whole blocks of an image (3, H, W), uint8, and the blocks' sharpness (N,).

    Raises:
        ValueError: another dtype or shape, or an image of fewer than two blocks.
    """
    if image.dtype != torch.uint8 or image.dim() != 3 or image.shape[0] != 3:
        raise ValueError(f"`image` must be uint8 (3, H, W), but is {image.dtype} {tuple(image.shape)}.")
    rows, columns = (n // BLOCK for n in image.shape[1:])
    if not is_large_enough(*image.shape[1:]):
        raise ValueError(
            f"NIQE needs at least two blocks of {BLOCK} x {BLOCK} pixels, but the image is {tuple(image.shape[1:])}."
        )
    luminance = _luminance(image)[: rows * BLOCK, : columns * BLOCK]
    normalised, deviation = _normalise(luminance)
    half, _ = _normalise(imresize(luminance, scale=0.5))
    features = torch.cat(
        [_block_features(_split(normalised, BLOCK)), _block_features(_split(half, BLOCK // 2))], dim=1
    )
    return features, _split(deviation, BLOCK).mean(dim=(1, 2))


def _gaussian(features: Tensor) -> NiqeParameters:
    """Mean and covariance of features (N, 36); rows with NaN count in neither."""
    whole = features[~features.isnan().any(dim=1)].numpy()
    if len(whole) < 2:
        raise ValueError("NIQE needs at least two blocks with some texture.")
    return NiqeParameters(whole.mean(axis=0), np.cov(whole, rowvar=False))


def fit_niqe(images: Iterable[Tensor]) -> NiqeParameters:
    """The Gaussian of pristine images, each uint8 (3, H, W): of their blocks that are at least 0.75 as sharp as the
    image's sharpest."""
    kept = []
    for image in images:
        features, sharpness = niqe_features(image)
        kept.append(features[sharpness > _SHARP_SHARE * sharpness.max()])
    if not kept:
        raise ValueError("`images` must hold at least one image, but is empty.")
    return _gaussian(torch.cat(kept))


def niqe(image: Tensor, parameters: NiqeParameters) -> float:
    """The score of an image, uint8 RGB (3, H, W); smaller is more natural.

    Raises:
        ValueError: another dtype or shape, fewer than two blocks of 96 x 96 pixels, or nothing but flat ones.
    """
    own = _gaussian(niqe_features(image)[0])
    difference = parameters.mean - own.mean
    inverse = np.linalg.pinv((parameters.covariance + own.covariance) / 2)
    return float(np.sqrt(difference @ inverse @ difference))
