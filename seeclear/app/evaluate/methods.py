# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Ways of upscaling: bicubic, frames that any other system made, and models."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seeclear.app.models import load_model
from seeclear.app.paths import PathLike, local_path
from seeclear.metrics.evaluation import BICUBIC, bicubic_frames
from seeclear.metrics.perceptual import file_hash
from seeclear.pipelines.settings import RestorationSettings
from seeclear.resize import to_uint8

from .clips import Clip, ClipSet
from .settings import EvaluationSettings


@dataclass(frozen=True)
class Method:
    """A way of upscaling: its name in tables, what a report says of it, and the 8-bit frames that it gives."""

    name: str
    description: dict[str, Any]
    frames: Callable[[Clip], Tensor]
    timed: bool = True


def bicubic(scale: int) -> Method:
    """MATLAB's bicubic."""

    def upscale(clip: Clip) -> Tensor:
        height, width = clip.low_res.shape[2:]
        return bicubic_frames(clip.low_res, (scale * height, scale * width))

    return Method(BICUBIC, {"kind": "bicubic", "convention": "MATLAB imresize"}, upscale)


def ready_frames(clips: ClipSet, folder: PathLike) -> Method:
    """Finished clips; every one of them is checked now."""
    path = local_path(folder, "predictions")
    found = clips.matching(folder, clips.size)

    def read(clip: Clip) -> Tensor:
        return found[clip.stored.name].read(len(clip.low_res))

    name = path.resolve().name if path.is_dir() else path.stem
    return Method(name, {"kind": "ready frames", "folder": os.fspath(folder)}, read, timed=False)


def model_methods(
    model: str, settings: EvaluationSettings, device: torch.device, dtype: torch.dtype, progress: bool
) -> list[Method]:
    """A model with every number of steps, every sampler and every `detail`.

    Raises:
        ValueError: there is no such model, or it does not take a setting.
    """
    pipe, folder = load_model(model, device, dtype)
    if getattr(pipe, "scale", settings.scale) != settings.scale:
        raise ValueError(f"`model` {model!r} enlarges by {pipe.scale}, but `scale` is {settings.scale}.")
    pipe.set_progress_bar_config(disable=None if progress else True, leave=False, desc=model)
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".safetensors", ".json"))
    hashes = {path.relative_to(folder).as_posix(): file_hash(path) for path in files}
    name = Path(model).name if Path(model).is_dir() else model
    runs = _runs(name, settings)
    for values in runs.values():
        pipe.stream_clips(iter(()), RestorationSettings(**values))  # does nothing, but refuses what it cannot do
    takes_generator = "generator" in inspect.signature(type(pipe).__call__).parameters

    def make(values: dict[str, Any]) -> Callable[[Clip], Tensor]:
        def upscale(clip: Clip) -> Tensor:
            chance = {"generator": torch.Generator().manual_seed(settings.seed)} if takes_generator else {}
            restored = pipe(clip.low_res.float() / 255, output_type="pt", **values, **chance).frames[0]
            return torch.stack([to_uint8(frame).cpu() for frame in restored])

        return upscale

    about = {"kind": "model", "model": model, "class": type(pipe).__name__, "sha256": hashes}
    return [Method(label, about | values, make(values)) for label, values in runs.items()]


def _runs(name: str, settings: EvaluationSettings) -> dict[str, dict[str, Any]]:
    """The settings of a call that differ from a model's own, by the names of the runs in tables."""
    runs = {}
    numbers: list[int | None] = [*dict.fromkeys(settings.steps)] or [None]
    samplers: list[str | None] = [*dict.fromkeys(settings.samplers)] or [None]
    details: list[float | None] = [*dict.fromkeys(settings.details)] or [None]
    for number in numbers:
        for sampler, detail in product(samplers[:1] if number == 1 else samplers, details):
            parts = [name]
            if number is not None:
                parts.append("1 step" if number == 1 else f"{number} steps")
            if sampler is not None and number != 1:
                parts.append(sampler)
            if detail is not None:
                parts.append(f"detail {detail:g}")
            values = {"num_inference_steps": number, "sampler": sampler, "detail": detail}
            runs[", ".join(parts)] = {key: value for key, value in values.items() if value is not None}
    return runs
