# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Measures upscaled clips against their originals. Knows nothing of models: it is given finished 8-bit frames."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import cv2
import torch
from torch import Tensor

from ..resize import imresize, to_uint8
from .fidelity import psnr, ssim
from .niqe import BLOCK, PHOTOGRAPHS_FILE, is_large_enough, load_niqe_parameters, niqe
from .perceptual import Comparison, PerceptualName, file_hash, perceptual_metric
from .protocols import EvaluationProtocol, get_protocol
from .temporal import FLOW, frame_difference_error, warping_errors

BICUBIC = "bicubic"
ORIGINAL = "original"

Figures = dict[str, float | None]
"""By the name of the metric; None where it cannot be taken: steadiness of a single frame."""


@dataclass(frozen=True)
class Metric:
    """How a metric is shown."""

    title: str
    digits: int
    relation: str | None = None
    """To bicubic, in brackets behind the figure: "difference", "ratio" or nothing."""
    factor: float = 1.0
    """The table shows the figure times this."""


METRICS = {
    "psnr": Metric("PSNR-{channel}, dB", 3, "difference"),
    "ssim": Metric("SSIM-{channel}", 4, "difference"),
    "lpips-vgg": Metric("LPIPS (VGG)", 4, "ratio"),
    "lpips-alex": Metric("LPIPS (Alex)", 4, "ratio"),
    "dists": Metric("DISTS", 4, "ratio"),
    "niqe": Metric("NIQE{niqe}", 3),
    "frame-difference": Metric("frame-difference error", 3),
    "warping": Metric("warping error, 1e-3", 4, factor=1000),
    "color-shift": Metric("colour shift", 3),
}
"""All metrics by name. Larger is better for the first two, smaller for the others."""

DEFAULT_METRICS = ("psnr", "ssim", "frame-difference", "color-shift")
PERCEPTUAL: tuple[PerceptualName, ...] = get_args(PerceptualName)
"""What takes the weights of networks."""
OF_THE_ORIGINAL = ("niqe", "warping")
"""What the original has a figure of its own for."""


def color_shift(frames: Tensor, bicubic: Tensor) -> float:
    """The largest difference of a channel's mean over the clip, in grey levels, of two 8-bit clips (F, 3, H, W)."""
    means = [clip.double().mean(dim=(0, 2, 3)) for clip in (frames, bicubic)]
    return float((means[0] - means[1]).abs().max())


@torch.inference_mode()
def perceptual_distances(
    outputs: Mapping[str, Tensor], ground_truth: Tensor, metric: Comparison, stride: int = 1
) -> dict[str, float]:
    """The mean distance of every `stride`-th frame of each 8-bit clip (F, 3, H, W) from the original's, by name."""
    totals = dict.fromkeys(outputs, 0.0)
    chosen = range(0, len(ground_truth), stride)
    for i in chosen:
        reference = metric.features(ground_truth[i : i + 1].to(metric.device).float() / 127.5 - 1)
        for name, frames in outputs.items():
            features = metric.features(frames[i : i + 1].to(metric.device).float() / 127.5 - 1)
            totals[name] += float(metric.distance(features, reference)) / len(chosen)
    return totals


def bicubic_frames(low_res: Tensor, size: tuple[int, int]) -> Tensor:
    """MATLAB's bicubic of 8-bit frames (F, 3, h, w), frame by frame: (F, 3, *size), uint8."""
    scale = size[0] / low_res.shape[-2]
    return torch.stack([to_uint8(imresize(frame.float() / 255, scale=scale)) for frame in low_res])


class Evaluator:
    """A choice of metrics with all they need.

    Args:
        metrics: their names, see `METRICS`.
        protocol: the channel and the border of PSNR and SSIM, see `PROTOCOLS`.
        perceptual_weights: the folder of the weights of LPIPS and DISTS; None for those of torchmetrics.
        niqe_parameters: the file of the parameters of NIQE; None for the package's own fit.
        stride: LPIPS, DISTS and NIQE are taken of every so many frames.
        device: where LPIPS and DISTS are computed.

    Raises:
        ValueError: an unknown or repeated name, a stride below 1, weights or packages missing.
    """

    def __init__(
        self,
        metrics: Sequence[str] = DEFAULT_METRICS,
        protocol: str = "y",
        perceptual_weights: str | Path | None = None,
        niqe_parameters: str | Path | None = None,
        stride: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        unknown = [name for name in metrics if name not in METRICS]
        if unknown or not metrics or len(set(metrics)) < len(metrics):
            raise ValueError(f"`metrics` must name some of {list(METRICS)}, each once, but is {list(metrics)}.")
        if stride < 1:
            raise ValueError(f"`stride` must be at least 1, but is {stride}.")
        self.metrics = tuple(name for name in METRICS if name in metrics)
        self.protocol: EvaluationProtocol = get_protocol(protocol)
        self.stride = stride
        self.sources: dict[str, dict[str, Any]] = {}
        """For the metrics that depend on files or packages: which, for a report."""
        self.comparisons: dict[str, Comparison] = {}
        for name in self.metrics:
            if name in PERCEPTUAL:
                comparison, source = perceptual_metric(name, perceptual_weights, device)
                self.comparisons[name], self.sources[name] = comparison, source
        if "niqe" in self.metrics:
            file = PHOTOGRAPHS_FILE if niqe_parameters is None else Path(niqe_parameters)
            self.niqe_parameters = load_niqe_parameters(file)
            fit = "the package's own, to 25 photographs" if niqe_parameters is None else "given"
            self.sources["niqe"] = {"fit": fit, "sha256": {file.name: file_hash(file)}}
        if "warping" in self.metrics:
            self.sources["warping"] = {"flow": FLOW, "opencv": cv2.__version__}

    def check_size(self, height: int, width: int, name: str) -> None:
        """Refuses frames that are too small for one of the metrics.

        Raises:
            ValueError: they are; the message has `name` for them.
        """
        if "niqe" in self.metrics and not is_large_enough(height, width):
            raise ValueError(
                f"{name} is {width}x{height}, too small for niqe in `metrics`, which needs two blocks of "
                f"{BLOCK}x{BLOCK} pixels."
            )

    def measure(self, outputs: Mapping[str, Tensor], ground_truth: Tensor) -> dict[str, Figures]:
        """The figures of each of several upscaled versions of a clip, by their names; `BICUBIC` must be one.

        Where a metric needs no original, the original's own figures are there too, as `ORIGINAL`.

        Args:
            outputs: 8-bit frames (F, 3, H, W).
            ground_truth: the original, of the same shape.

        Raises:
            ValueError: bicubic is missing, a shape differs, or frames are too small for a metric.
        """
        if BICUBIC not in outputs or ORIGINAL in outputs:
            raise ValueError(f"`outputs` must have {BICUBIC!r} and not {ORIGINAL!r}, but has {list(outputs)}.")
        for name, frames in outputs.items():
            if frames.shape != ground_truth.shape or frames.dtype != torch.uint8:
                raise ValueError(
                    f"{name!r} must be uint8 {tuple(ground_truth.shape)}, but is {frames.dtype} {tuple(frames.shape)}."
                )
        figures: dict[str, Figures] = {name: {} for name in outputs}
        if set(self.metrics) & set(OF_THE_ORIGINAL):
            figures[ORIGINAL] = {}
        measures: dict[str, Callable[[Mapping[str, Tensor], Tensor], Mapping[str, float | None]]] = {
            "psnr": lambda *clips: self._fidelity(psnr, *clips),
            "ssim": lambda *clips: self._fidelity(ssim, *clips),
            "niqe": self._niqe,
            "frame-difference": self._frame_difference,
            "warping": self._warping,
            "color-shift": lambda clips, _: {n: color_shift(frames, clips[BICUBIC]) for n, frames in clips.items()},
        }
        for metric in self.metrics:
            if metric in self.comparisons:
                values = perceptual_distances(outputs, ground_truth, self.comparisons[metric], self.stride)
            else:
                values = measures[metric](outputs, ground_truth)  # type: ignore[assignment]
            for name, value in values.items():
                figures[name][metric] = value
        return figures

    def _fidelity(
        self, measure: Callable[..., Tensor], outputs: Mapping[str, Tensor], ground_truth: Tensor
    ) -> dict[str, float | None]:
        channel, border = self.protocol.channel, self.protocol.crop_border
        means: dict[str, float | None] = {}
        for name, frames in outputs.items():  # a frame at a time: float64 of a whole clip is large
            values = [float(measure(a, b, channel, border)) for a, b in zip(frames, ground_truth, strict=True)]
            means[name] = sum(values) / len(values)
        return means

    def _niqe(self, outputs: Mapping[str, Tensor], ground_truth: Tensor) -> dict[str, float | None]:
        means: dict[str, float | None] = {}
        for name, frames in {**outputs, ORIGINAL: ground_truth}.items():
            values = [niqe(frame, self.niqe_parameters) for frame in frames[:: self.stride]]
            means[name] = sum(values) / len(values)
        return means

    def _frame_difference(self, outputs: Mapping[str, Tensor], ground_truth: Tensor) -> dict[str, float | None]:
        if len(ground_truth) < 2:
            return dict.fromkeys(outputs)
        return {name: frame_difference_error(frames, ground_truth) for name, frames in outputs.items()}

    def _warping(self, outputs: Mapping[str, Tensor], ground_truth: Tensor) -> dict[str, float | None]:
        clips = {**outputs, ORIGINAL: ground_truth}
        return dict.fromkeys(clips) if len(ground_truth) < 2 else warping_errors(clips, ground_truth)


def mean_figures(clips: Sequence[Mapping[str, Figures]]) -> dict[str, Figures]:
    """The mean of every figure over the clips, each clip counting the same; None where one clip has none."""
    if not clips:
        raise ValueError("`clips` must hold the figures of at least one clip, but is empty.")
    means: dict[str, Figures] = {}
    for name, of_first in clips[0].items():
        means[name] = {}
        for metric in of_first:
            values = [clip[name][metric] for clip in clips]
            known = [value for value in values if value is not None]
            means[name][metric] = sum(known) / len(known) if len(known) == len(values) else None
    return means


def figures_table(
    figures: Mapping[str, Figures],
    protocol: EvaluationProtocol,
    seconds: Mapping[str, float] | None = None,
    own_niqe: bool = False,
) -> str:
    """A markdown table, readable on a terminal too: a row for every way of upscaling, a column for every metric.

    In brackets PSNR and SSIM minus bicubic's, and LPIPS and DISTS over bicubic's.

    Args:
        figures: by way of upscaling, bicubic among them, and metric.
        protocol: names the channel.
        seconds: a further column, seconds a frame.
        own_niqe: marks NIQE as taken with the package's own parameters.
    """
    names = list(figures[BICUBIC])
    rows = [["", *(metric_title(name, protocol, own_niqe) for name in names)]]
    for way, values in figures.items():
        rows.append([way, *(_cell(METRICS[n], values.get(n), figures[BICUBIC][n]) for n in names)])
    if seconds is not None:
        rows[0].append("s / frame")
        for row, way in zip(rows[1:], figures, strict=True):
            row.append(f"{seconds[way]:.3f}" if way in seconds else "")
    return aligned_table(rows)


def metric_title(name: str, protocol: EvaluationProtocol, own_niqe: bool = False) -> str:
    """The head of a metric's column."""
    return METRICS[name].title.format(channel=protocol.channel.upper(), niqe=" (own fit)" if own_niqe else "")


def aligned_table(rows: Sequence[Sequence[str]]) -> str:
    """A markdown table of rows of cells, the first row its head; columns but the first are aligned to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [" | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    rule = " | ".join(["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join(f"| {line} |" for line in [lines[0], rule, *lines[1:]])


def _cell(metric: Metric, value: float | None, bicubic: float | None) -> str:
    if value is None:
        return ""
    text = f"{value * metric.factor:.{metric.digits}f}"
    if bicubic is None or metric.relation is None:
        return text
    if metric.relation == "difference":
        return f"{text} ({value - bicubic:+.{metric.digits}f})"
    return f"{text} ({value / bicubic:.3f})" if bicubic else text
