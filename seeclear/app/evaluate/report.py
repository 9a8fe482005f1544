# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What is written down of an evaluation."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seeclear.app.paths import PathLike
from seeclear.files import write_durably
from seeclear.metrics.evaluation import Evaluator, Figures, aligned_table, mean_figures, metric_title
from seeclear.version import __version__

from .clips import Clip
from .methods import Method
from .settings import EvaluationSettings

_PACKAGES = ("torch", "diffusers", "transformers", "numpy", "av", "pillow")


def build_report(
    ground_truth: Sequence[PathLike],
    settings: EvaluationSettings,
    evaluator: Evaluator,
    methods: Sequence[Method],
    clips: Sequence[dict[str, Any]],
    device: torch.device,
    dtype: torch.dtype,
) -> dict[str, Any]:
    """Everything, ready for JSON; see `Evaluation.report`."""
    low_res = settings.low_res
    times = [clip["seconds_per_frame"] for clip in clips]
    return {
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": _versions(),
        "settings": {
            "ground_truth": [os.fspath(path) for path in ground_truth],
            "low_res": None if low_res is None else os.fspath(low_res),
            "degradation": None if low_res is not None else settings.degradation,
            "crf": settings.crf,
            "scale": settings.scale,
            "protocol": asdict(evaluator.protocol),
            "metrics": list(evaluator.metrics),
            "stride": settings.stride,
            "frames": settings.frames,
            "seed": settings.seed,
            "device": str(device),
            "dtype": str(dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
        },
        "metrics": evaluator.sources,
        "methods": {method.name: method.description for method in methods},
        "clips": list(clips),
        "mean": mean_figures([clip["figures"] for clip in clips]),
        "mean_seconds_per_frame": {name: sum(time[name] for time in times) / len(times) for name in times[0]},
    }


def clip_report(clip: Clip, figures: dict[str, Figures], seconds: dict[str, float]) -> dict[str, Any]:
    """What is said of one clip."""

    def digest(frames: Tensor) -> str:
        return hashlib.sha256(frames.contiguous().numpy().tobytes()).hexdigest()

    return {
        "name": clip.stored.name,
        "frames": len(clip.low_res),
        "width": clip.ground_truth.shape[3],
        "height": clip.ground_truth.shape[2],
        "ground_truth_sha256": digest(clip.ground_truth),
        "low_res_sha256": digest(clip.low_res),
        "degradation": clip.history,
        "figures": figures,
        "seconds_per_frame": seconds,
    }


def clips_table(clips: Sequence[dict[str, Any]], evaluator: Evaluator, own_niqe: bool) -> str:
    """A row for every clip, a column for every way of upscaling: the first metric, named in the first cell."""
    metric = evaluator.metrics[0]
    ways = [way for way, figures in clips[0]["figures"].items() if metric in figures]
    rows = [[metric_title(metric, evaluator.protocol, own_niqe), *ways]]
    for clip in clips:
        values = [clip["figures"][way][metric] for way in ways]
        rows.append([clip["name"], *("" if value is None else f"{value:.4f}" for value in values)])
    return aligned_table(rows)


def check_writable(path: Path, kind: str) -> None:
    """ValueError if a file or a folder cannot be written there; makes the folders above it."""
    folder = path if kind == "folder" else path.parent
    if kind == "file" and path.is_dir():
        raise ValueError(f"{os.fspath(path)!r} is a folder; the report needs a file name.")
    if kind == "file" and path.exists() and not _is_replaceable(path):
        raise ValueError(f"{os.fspath(path)!r} is there and is no report; give the report another name.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{str(folder)!r} cannot be made as a folder: {error.strerror}.") from error
    if not os.access(folder, os.W_OK):
        raise ValueError(f"{str(folder)!r} is a folder that cannot be written to.")


def _is_replaceable(path: Path) -> bool:
    """Whether a file is empty, or may be an earlier report: a JSON object."""
    with path.open("rb") as file:
        return file.read(1) in (b"", b"{")


def write_report(path: Path, report: dict[str, Any]) -> None:
    """JSON has no infinity (PSNR of equal frames): it is written as a string."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list):
            return [plain(item) for item in value]
        return "inf" if value == float("inf") else value

    text = json.dumps(plain(report), indent=2, allow_nan=False) + "\n"
    write_durably(path, lambda draft: draft.write_text(text, encoding="utf-8"))


def _versions() -> dict[str, str]:
    versions = {"seeclear": __version__, "python": platform.python_version()}
    versions |= {package: importlib.metadata.version(package) for package in _PACKAGES}
    return versions | {"platform": platform.platform()}
