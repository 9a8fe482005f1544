# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Compares ways of upscaling with bicubic on whole clips. Knows nothing of models: such a way is a callable."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields

import torch
from torch import Tensor

from ..data import ValidationClip
from ..resize import imresize, to_uint8
from .fidelity import psnr, ssim
from .perceptual import FeatureMetric
from .temporal import frame_difference_error

Upscaler = Callable[[Tensor], Iterable[Tensor]]
"""LR frames, float (F, 3, h, w) in [0, 1] -> HR frames, one by one or stacked, float (3, s h, s w) in [0, 1]."""

BICUBIC = "bicubic"


@dataclass(frozen=True)
class Measurement:
    """The quality of an upscaled clip, or of several on average; all of 8-bit frames."""

    psnr_y: float
    """dB, whole frame, mean of the frames."""
    ssim_y: float
    lpips: float | None
    """None if not measured, as for DISTS. Mean of every n-th frame."""
    dists: float | None
    frame_difference_error: float
    """Grey levels, RGB: mean absolute error of the differences between consecutive frames."""
    color_shift: float
    """Grey levels: how far the clip's mean colour is from bicubic's, in the channel where that is farthest."""
    seconds_per_frame: float


@dataclass(frozen=True)
class ClipResult:
    """All measurements of one clip, by the name of the way of upscaling; that of bicubic is among them."""

    name: str
    frames: int
    measurements: dict[str, Measurement]


@torch.no_grad()
def upscale_clip(low_res: Tensor, upscale: Upscaler) -> tuple[Tensor, float]:
    """Applies it to 8-bit frames (F, 3, h, w): gives 8-bit frames (F, 3, s h, s w) and the seconds a frame took."""
    started = time.perf_counter()
    frames = torch.stack([to_uint8(frame).cpu() for frame in upscale(low_res.float() / 255)])
    return frames, (time.perf_counter() - started) / len(low_res)


def bicubic_upscaler(scale: int) -> Upscaler:
    """MATLAB's bicubic, frame by frame."""
    return lambda frames: (imresize(frame, scale=scale) for frame in frames)


def color_shift(frames: Tensor, bicubic: Tensor) -> float:
    """The largest difference of a channel's mean over the clip, in grey levels, of two 8-bit clips (F, 3, H, W)."""
    means = [clip.double().mean(dim=(0, 2, 3)) for clip in (frames, bicubic)]
    return float((means[0] - means[1]).abs().max())


@torch.inference_mode()
def perceptual_distances(
    outputs: Mapping[str, Tensor], ground_truth: Tensor, metric: FeatureMetric, stride: int = 1
) -> dict[str, float]:
    """The mean distance of every `stride`-th frame of each 8-bit clip (F, 3, H, W) from the original's, by name."""
    device = metric.mean.device
    totals = dict.fromkeys(outputs, 0.0)
    chosen = range(0, len(ground_truth), stride)
    for i in chosen:
        reference = metric.features(ground_truth[i : i + 1].to(device).float() / 127.5 - 1)
        for name, frames in outputs.items():
            features = metric.features(frames[i : i + 1].to(device).float() / 127.5 - 1)
            totals[name] += float(metric.distance(features, reference)) / len(chosen)
    return totals


def evaluate_clip(
    clip: ValidationClip,
    upscalers: Mapping[str, Upscaler],
    lpips: FeatureMetric | None = None,
    dists: FeatureMetric | None = None,
    perceptual_stride: int = 5,
    on_output: Callable[[str, str, Tensor], None] | None = None,
) -> ClipResult:
    """Upscales a clip in every way, bicubic first, and measures each result.

    Args:
        clip: low-resolution and original frames, 8 bit; at least two.
        upscalers: the ways, by name.
        lpips, dists: how to measure these; left out if None.
        perceptual_stride: they are measured on every so many frames.
        on_output: is called with the clip's name, the way's name and its 8-bit frames (F, 3, H, W).

    Raises:
        ValueError: fewer than two frames, a stride below 1, a way named like bicubic, output of the wrong shape.
    """
    low_res, ground_truth = clip["low_res"], clip["ground_truth"]
    if len(low_res) < 2:
        raise ValueError(f"The clip {clip['name']!r} must have at least two frames, but has {len(low_res)}.")
    if perceptual_stride < 1:
        raise ValueError(f"`perceptual_stride` must be at least 1, but is {perceptual_stride}.")
    if BICUBIC in upscalers:
        raise ValueError(f"`upscalers` must not name one {BICUBIC!r}: it is always measured.")
    scale = ground_truth.shape[-1] // low_res.shape[-1]

    outputs: dict[str, Tensor] = {}
    seconds: dict[str, float] = {}
    for name, upscale in {BICUBIC: bicubic_upscaler(scale), **upscalers}.items():
        outputs[name], seconds[name] = upscale_clip(low_res, upscale)
        if outputs[name].shape != ground_truth.shape:
            shapes = tuple(outputs[name].shape), tuple(ground_truth.shape)
            raise ValueError(f"{name!r} gave frames of shape {shapes[0]}; they must have the original's, {shapes[1]}.")
        if on_output is not None:
            on_output(clip["name"], name, outputs[name])

    distances: dict[str, dict[str, float]] = {}
    for kind, metric in (("lpips", lpips), ("dists", dists)):
        if metric is not None:
            distances[kind] = perceptual_distances(outputs, ground_truth, metric, perceptual_stride)
    measurements = {}
    for name, frames in outputs.items():
        pairs = list(zip(frames, ground_truth, strict=True))  # a frame at a time: float64 of a whole clip is large
        measurements[name] = Measurement(
            psnr_y=sum(float(psnr(a, b)) for a, b in pairs) / len(pairs),
            ssim_y=sum(float(ssim(a, b)) for a, b in pairs) / len(pairs),
            lpips=distances["lpips"][name] if "lpips" in distances else None,
            dists=distances["dists"][name] if "dists" in distances else None,
            frame_difference_error=frame_difference_error(frames, ground_truth),
            color_shift=color_shift(frames, outputs[BICUBIC]),
            seconds_per_frame=seconds[name],
        )
    return ClipResult(clip["name"], len(low_res), measurements)


def mean_over_clips(results: Sequence[ClipResult]) -> dict[str, Measurement]:
    """The mean of every figure over the clips, each clip counting the same, by the name of the way of upscaling."""
    if not results:
        raise ValueError("`results` must hold at least one clip's result, but is empty.")
    means = {}
    for name in results[0].measurements:
        of_clips = [asdict(result.measurements[name]) for result in results]
        values: dict[str, float | None] = {}
        for field in fields(Measurement):
            figures = [figure[field.name] for figure in of_clips]
            values[field.name] = None if None in figures else sum(figures) / len(figures)
        means[name] = Measurement(**values)  # type: ignore[arg-type]
    return means


def _ratio(value: float | None, bicubic: float | None) -> str:
    """A figure and how many times bicubic's it is."""
    return "" if value is None or bicubic is None else f"{value:.4f} ({value / bicubic:.3f})"


def markdown_table(measurements: Mapping[str, Measurement]) -> str:
    """A row for every way of upscaling; in brackets PSNR minus bicubic's, and LPIPS, DISTS over bicubic's."""
    bicubic = measurements[BICUBIC]
    columns: dict[str, Callable[[Measurement], str]] = {
        "PSNR-Y, dB": lambda m: f"{m.psnr_y:.3f} ({m.psnr_y - bicubic.psnr_y:+.3f})",
        "SSIM-Y": lambda m: f"{m.ssim_y:.4f} ({m.ssim_y - bicubic.ssim_y:+.4f})",
        "LPIPS": lambda m: _ratio(m.lpips, bicubic.lpips),
        "DISTS": lambda m: _ratio(m.dists, bicubic.dists),
        "frame-difference error": lambda m: f"{m.frame_difference_error:.3f}",
        "colour shift": lambda m: f"{m.color_shift:.3f}",
        "s / frame": lambda m: f"{m.seconds_per_frame:.3f}",
    }
    if bicubic.lpips is None:
        del columns["LPIPS"]
    if bicubic.dists is None:
        del columns["DISTS"]
    lines = [["", *columns], ["---"] * (len(columns) + 1)]
    lines += [[name, *(show(measurement) for show in columns.values())] for name, measurement in measurements.items()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
