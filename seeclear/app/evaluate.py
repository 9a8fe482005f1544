# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Measures models, and frames that any other system made, against originals; bicubic always beside them."""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from seeclear.data import BicubicDegradation, Degradation, GaussianDegradation, H264Compression, degrade
from seeclear.data.benchmark import StoredClip, check_count, find_clips, find_matching
from seeclear.metrics.crops import write_crops
from seeclear.metrics.evaluation import (
    BICUBIC,
    DEFAULT_METRICS,
    ORIGINAL,
    Evaluator,
    Figures,
    aligned_table,
    bicubic_frames,
    figures_table,
    mean_figures,
    metric_title,
)
from seeclear.metrics.perceptual import file_hash
from seeclear.resize import to_uint8
from seeclear.runtime import choose_device, keep_freed_memory, parse_dtype
from seeclear.shipped import DEFAULT_MODEL, SCALE, locate
from seeclear.version import __version__

PathLike = str | os.PathLike[str]

DEGRADATIONS = ("BI", "BD")
KEYFRAME_INTERVAL = 250
"""Of videos that `crf` makes: what x264 does unless told."""
_PACKAGES = ("torch", "diffusers", "transformers", "numpy", "av", "pillow")


@dataclass(frozen=True)
class Clip:
    """A clip to upscale and its original, 8-bit: `low_res` (F, 3, h, w), `ground_truth` (F, 3, s h, s w)."""

    stored: StoredClip
    low_res: Tensor
    ground_truth: Tensor


@dataclass(frozen=True)
class Method:
    """A way of upscaling: its name in tables, what a report says of it, and the 8-bit frames that it gives."""

    name: str
    description: dict[str, Any]
    frames: Callable[[Clip], Tensor]
    timed: bool = True


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Attributes:
        report: everything, ready for JSON: `settings`, `versions`, `methods` with the hashes of weights and
            configurations, `metrics` with those of theirs, `clips` with hashes of their pixels and all figures,
            `mean`. Two evaluations of the same thing differ in `created`, `seconds_per_frame` and
            `mean_seconds_per_frame` only.
        table: the means over the clips, in markdown.
        clips_table: the first metric of every clip.
    """

    report: dict[str, Any]
    table: str
    clips_table: str


@torch.no_grad()
def evaluate(
    ground_truth: PathLike | Sequence[PathLike],
    models: Sequence[str] = (),
    predictions: Sequence[PathLike] = (),
    low_res: PathLike | None = None,
    degradation: str = "BI",
    crf: float | None = None,
    scale: int = SCALE,
    protocol: str = "y",
    metrics: Sequence[str] = DEFAULT_METRICS,
    perceptual_weights: PathLike | None = None,
    niqe_parameters: PathLike | None = None,
    stride: int = 1,
    frames: int | None = None,
    steps: Sequence[int] = (),
    samplers: Sequence[str] = (),
    seed: int = 0,
    device: str | None = None,
    dtype: str = "auto",
    json_path: PathLike | None = None,
    crops: PathLike | None = None,
    progress: bool = True,
) -> Evaluation:
    """Upscales clips by every model with every setting, and measures the results, ready frames and bicubic.

    Everything that headers of files can show is checked before a model is loaded. Originals whose sides are no
    multiples of `scale` are cut at the bottom and the right.

    Args:
        ground_truth: the originals: folders of clips, where each sub-folder of images or video is one; or clips.
        models: names of shipped weights, folders or Hub ids, of any of this package's pipelines; with no
            `predictions` either, the default model.
        predictions: folders of finished clips of other systems, each laid out as the originals, by their names.
        low_res: a folder of low-resolution clips of the same names; None makes them by `degradation`.
        degradation: "BI" (MATLAB's bicubic) or "BD" (Gaussian blur of sigma 0.4 x scale, every scale-th pixel).
        crf: make the low resolution an H.264 video (4:2:0, libx264) of this constant rate factor, 0 to 51, as videos
            in use are; None leaves it as it is.
        scale: size of the originals over that of the low resolution.
        protocol: "vid4", "reds4", "y" or "rgb": channel and border of PSNR and SSIM, see
            [`seeclear.metrics.protocols`].
        metrics: see [`seeclear.metrics.evaluation.METRICS`].
        perceptual_weights, niqe_parameters, stride: see [`seeclear.metrics.evaluation.Evaluator`].
        frames: measure the first so many frames of each clip; None for all.
        steps: numbers of denoising steps; empty for each model's default.
        samplers: samplers; empty for each model's default. With one step all are the same, and only the first is run.
        seed: of the noise; the same for every clip.
        device, dtype: as in `upscale_video`.
        json_path: a file to write the report to.
        crops: a folder for a picture of each clip: the place where the results differ most, side by side.
        progress: show a bar (on a terminal only).

    Raises:
        ValueError: a file, a folder or a setting is not usable; the message says which and why.
    """
    if degradation not in DEGRADATIONS:
        raise ValueError(f"`degradation` must be one of {list(DEGRADATIONS)}, but is {degradation!r}.")
    if crf is not None and low_res is not None:
        raise ValueError("`crf` is for a low resolution that is made here; with `low_res` it has no meaning.")
    if scale < 1:
        raise ValueError(f"`scale` must be at least 1, but is {scale}.")
    if frames is not None and frames < 1:
        raise ValueError(f"`frames` must be at least 1, but is {frames}.")
    for path, kind in ((json_path, "file"), (crops, "folder")):
        _check_output(path, kind)
    chosen_device = choose_device(device)
    chosen_dtype, _ = parse_dtype(dtype, chosen_device)
    if chosen_device.type == "cpu":
        keep_freed_memory()
    paths = [ground_truth] if isinstance(ground_truth, str | os.PathLike) else list(ground_truth)
    stored = find_clips([os.fspath(path) for path in paths])
    clips = _Clips(stored, low_res, degradation, crf, scale, frames)
    methods = [_bicubic(scale)] + [_ready_frames(clips, folder) for folder in predictions]
    weights, parameters = (None if path is None else Path(path) for path in (perceptual_weights, niqe_parameters))
    evaluator = Evaluator(metrics, protocol, weights, parameters, stride, chosen_device)
    if not models and not predictions:
        models = [DEFAULT_MODEL]
    for model in models:
        methods += _model_methods(model, steps, samplers, seed, scale, chosen_device, chosen_dtype, progress)
    names = [method.name for method in methods]
    if len(set(names)) < len(names) or ORIGINAL in names:
        raise ValueError(f"Models and folders of predictions must have names of their own, but they are {names}.")

    results: list[dict[str, Any]] = []
    total = sum(clips.count(clip) for clip in stored) * (len(methods) + 1)
    with tqdm(total=total, unit="frame", desc="evaluating", disable=None if progress else True) as bar:
        for one in stored:
            clip = clips.read(one)
            outputs: dict[str, Tensor] = {}
            seconds: dict[str, float] = {}
            for method in methods:
                start = time.perf_counter()
                outputs[method.name] = method.frames(clip)
                if method.timed:
                    seconds[method.name] = (time.perf_counter() - start) / len(clip.low_res)
                bar.update(len(clip.low_res))
            figures = evaluator.measure(outputs, clip.ground_truth)
            if crops is not None and len(outputs) > 1:
                write_crops(Path(crops) / f"{one.name}.png", outputs, clip.ground_truth)
            results.append(_clip_report(clip, figures, seconds))
            bar.update(len(clip.low_res))

    report: dict[str, Any] = {
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": _versions(),
        "settings": {
            "ground_truth": [os.fspath(path) for path in paths],
            "low_res": None if low_res is None else os.fspath(low_res),
            "degradation": None if low_res is not None else degradation,
            "crf": crf,
            "scale": scale,
            "protocol": asdict(evaluator.protocol),
            "metrics": list(evaluator.metrics),
            "stride": stride,
            "frames": frames,
            "seed": seed,
            "device": str(chosen_device),
            "dtype": str(chosen_dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
        },
        "metrics": evaluator.sources,
        "methods": {method.name: method.description for method in methods},
        "clips": results,
        "mean": mean_figures([result["figures"] for result in results]),
    }
    times = [result["seconds_per_frame"] for result in results]
    seconds = {name: sum(t[name] for t in times) / len(times) for name in times[0]}
    report["mean_seconds_per_frame"] = seconds
    own_niqe = niqe_parameters is None
    if json_path is not None:
        _write_json(Path(json_path), report)
    table = figures_table(report["mean"], evaluator.protocol, seconds, own_niqe)
    return Evaluation(report, table, _clips_table(results, evaluator, own_niqe))


class _Clips:
    """The originals with their low resolution, read clip by clip; checked when made."""

    def __init__(
        self,
        stored: Sequence[StoredClip],
        low_res: PathLike | None,
        degradation: str,
        crf: float | None,
        scale: int,
        frames: int | None,
    ) -> None:
        self.stored, self.scale, self.frames = stored, scale, frames
        self.degradation: Degradation = (
            BicubicDegradation(scale) if degradation == "BI" else GaussianDegradation(0.4 * scale, scale)
        )
        self.compression = None if crf is None else H264Compression((crf, crf), (KEYFRAME_INTERVAL, KEYFRAME_INTERVAL))
        for clip in stored:
            if min(clip.size) < scale:
                raise ValueError(f"{str(clip.path)!r} is {clip.size}, too small for `scale` = {scale}.")
        self.low_res: dict[str, StoredClip] = {}
        if low_res is not None:
            self.low_res = self.matching(low_res, lambda clip: (clip.size[0] // scale, clip.size[1] // scale))

    def count(self, clip: StoredClip) -> int:
        """How many frames are measured."""
        return clip.num_frames if self.frames is None else min(clip.num_frames, self.frames)

    def size(self, clip: StoredClip) -> tuple[int, int]:
        """Height and width that are measured."""
        return clip.size[0] // self.scale * self.scale, clip.size[1] // self.scale * self.scale

    def matching(self, folder: PathLike, size: Callable[[StoredClip], tuple[int, int]]) -> dict[str, StoredClip]:
        """What belongs to each original in another folder."""
        found = {}
        for clip in self.stored:
            match = find_matching(folder, clip, size(clip), only_clip=len(self.stored) == 1)
            check_count(match, clip, self.count(clip))
            found[clip.name] = match
        return found

    def read(self, clip: StoredClip) -> Clip:
        count, (height, width) = self.count(clip), self.size(clip)
        ground_truth = clip.read(count)[..., :height, :width].contiguous()
        if self.low_res:
            low_res = self.low_res[clip.name].read(count)
        else:
            low_res = torch.cat([degrade(frame, self.degradation) for frame in ground_truth.split(1)])
        if self.compression is not None:
            low_res = to_uint8(self.compression(low_res.float() / 255, np.random.default_rng(0)))
        return Clip(clip, low_res, ground_truth)


def _bicubic(scale: int) -> Method:
    def upscale(clip: Clip) -> Tensor:
        height, width = clip.low_res.shape[2:]
        return bicubic_frames(clip.low_res, (scale * height, scale * width))

    return Method(BICUBIC, {"kind": "bicubic", "convention": "MATLAB imresize"}, upscale)


def _ready_frames(clips: _Clips, folder: PathLike) -> Method:
    """Checks every clip of a folder of predictions now."""
    found = clips.matching(folder, clips.size)

    def read(clip: Clip) -> Tensor:
        return found[clip.stored.name].read(len(clip.low_res))

    name = Path(folder).resolve().name if Path(folder).is_dir() else Path(folder).stem
    return Method(name, {"kind": "ready frames", "folder": os.fspath(folder)}, read, timed=False)


def load_model(model: str, device: torch.device, dtype: torch.dtype) -> tuple[Any, Path]:
    """A pipeline by the name of shipped weights, folder or Hub id, and the folder that it was loaded from."""
    from diffusers import DiffusionPipeline

    from seeclear.pipelines.auto import load_pipeline

    location = locate(model, "model")
    folder = location if os.path.isdir(location) else DiffusionPipeline.download(location)
    return load_pipeline(folder, dtype=dtype).to(device), Path(folder)


def _model_methods(
    model: str,
    steps: Sequence[int],
    samplers: Sequence[str],
    seed: int,
    scale: int,
    device: torch.device,
    dtype: torch.dtype,
    progress: bool,
) -> list[Method]:
    """A model with every number of steps and every sampler."""
    pipe, folder = load_model(model, device, dtype)
    if getattr(pipe, "scale", scale) != scale:
        raise ValueError(f"`model` {model!r} enlarges by {pipe.scale}, but `scale` is {scale}.")
    pipe.set_progress_bar_config(disable=None if progress else True, leave=False, desc=model)
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".safetensors", ".json"))
    hashes = {path.relative_to(folder).as_posix(): file_hash(path) for path in files}
    name = Path(model).name if Path(model).is_dir() else model

    settings: list[tuple[str, dict[str, Any]]] = []
    numbers: list[int | None] = [*dict.fromkeys(steps)] or [None]
    names: list[str | None] = [*dict.fromkeys(samplers)] or [None]
    for number in numbers:
        for sampler in names[:1] if number == 1 else names:
            parts = [name]
            if number is not None:
                parts.append("1 step" if number == 1 else f"{number} steps")
            if sampler is not None and number != 1:
                parts.append(sampler)
            values = {"num_inference_steps": number, "sampler": sampler}
            settings.append((", ".join(parts), {k: value for k, value in values.items() if value is not None}))

    accepted = inspect.signature(type(pipe).__call__).parameters
    for _, values in settings:
        refused = [key for key in values if key not in accepted]
        if refused:
            raise ValueError(f"`model` {model!r}, a {type(pipe).__name__}, takes no {' and no '.join(refused)}.")

    def make(values: dict[str, Any]) -> Callable[[Clip], Tensor]:
        def upscale(clip: Clip) -> Tensor:
            chance = {"generator": torch.Generator().manual_seed(seed)} if "generator" in accepted else {}
            restored = pipe(clip.low_res.float() / 255, output_type="pt", **values, **chance).frames[0]
            return torch.stack([to_uint8(frame).cpu() for frame in restored])

        return upscale

    about = {"kind": "model", "model": model, "class": type(pipe).__name__, "sha256": hashes}
    return [Method(label, about | values, make(values)) for label, values in settings]


def _clip_report(clip: Clip, figures: dict[str, Figures], seconds: dict[str, float]) -> dict[str, Any]:
    def digest(frames: Tensor) -> str:
        return hashlib.sha256(frames.contiguous().numpy().tobytes()).hexdigest()

    return {
        "name": clip.stored.name,
        "frames": len(clip.low_res),
        "width": clip.ground_truth.shape[3],
        "height": clip.ground_truth.shape[2],
        "ground_truth_sha256": digest(clip.ground_truth),
        "low_res_sha256": digest(clip.low_res),
        "figures": figures,
        "seconds_per_frame": seconds,
    }


def _clips_table(results: Sequence[dict[str, Any]], evaluator: Evaluator, own_niqe: bool) -> str:
    """A row for every clip, a column for every way of upscaling: the first metric, named in the first cell."""
    metric = evaluator.metrics[0]
    ways = [way for way, figures in results[0]["figures"].items() if metric in figures]
    rows = [[metric_title(metric, evaluator.protocol, own_niqe), *ways]]
    for result in results:
        values = [result["figures"][way][metric] for way in ways]
        rows.append([result["name"], *("" if value is None else f"{value:.4f}" for value in values)])
    return aligned_table(rows)


def _versions() -> dict[str, str]:
    versions = {"seeclear": __version__, "python": platform.python_version()}
    versions |= {package: importlib.metadata.version(package) for package in _PACKAGES}
    return versions | {"platform": platform.platform()}


def _check_output(path: PathLike | None, kind: str) -> None:
    """ValueError if a file or a folder cannot be written there; makes the folders above it."""
    if path is None:
        return
    folder = Path(path) if kind == "folder" else Path(path).parent
    if kind == "file" and Path(path).is_dir():
        raise ValueError(f"{os.fspath(path)!r} is a folder; the report needs a file name.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{str(folder)!r} cannot be made as a folder: {error.strerror}.") from error
    if not os.access(folder, os.W_OK):
        raise ValueError(f"{str(folder)!r} is a folder that cannot be written to.")


def _write_json(path: Path, report: dict[str, Any]) -> None:
    """JSON has no infinity (PSNR of equal frames): it is written as a string."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list):
            return [plain(item) for item in value]
        return "inf" if value == float("inf") else value

    partial = path.with_name(f".{path.name}.part")
    partial.write_text(json.dumps(plain(report), indent=2, allow_nan=False) + "\n", encoding="utf-8")
    partial.replace(path)
