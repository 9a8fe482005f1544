# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Measures models, and frames that any other system made, against originals; bicubic always beside them."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from seeclear.app.paths import PathLike, lies_within, local_path
from seeclear.data.benchmark import find_clips
from seeclear.metrics.crops import write_crops
from seeclear.metrics.evaluation import ORIGINAL, Evaluator, figures_table
from seeclear.runtime import choose_device, keep_freed_memory, parse_dtype
from seeclear.shipped import DEFAULT_MODEL

from .clips import ClipSet
from .methods import Method, bicubic, model_methods, ready_frames
from .report import build_report, check_writable, clip_report, clips_table, write_report
from .settings import EvaluationSettings


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Attributes:
        report: everything, ready for JSON: `settings`, `versions`, `methods` with the hashes of weights and
            configurations, `metrics` with those of theirs, `clips` with hashes of their pixels, what was
            drawn for their degradation and all figures, `mean`. Two evaluations of the same thing differ in `created`,
            `seconds_per_frame` and `mean_seconds_per_frame` only.
        table: the means over the clips, in markdown.
        clips_table: the first metric of every clip.
    """

    report: dict[str, Any]
    table: str
    clips_table: str


@torch.no_grad()
def evaluate(
    ground_truth: PathLike | Sequence[PathLike],
    settings: EvaluationSettings | None = None,
    *,
    progress: bool = True,
    **changes: Any,
) -> Evaluation:
    """Upscales clips by every model with every setting, and measures the results, ready frames and bicubic.

    Everything that headers of files can show is checked before a model is loaded. Originals whose sides are no
    multiples of `scale` are cut at the bottom and the right.

    Args:
        ground_truth: the originals: folders of clips, where each sub-folder of images or video is one; or clips.
        settings: what is measured, and how.
        progress: show a bar (on a terminal only).
        changes: single settings by their names, as in `evaluate("clips", scale=2, metrics=["psnr"])`.

    Raises:
        ValueError: a file, a folder or a setting is not usable; the message says which and why.
    """
    settings = replace(settings or EvaluationSettings(), **changes)
    paths = [ground_truth] if isinstance(ground_truth, str | os.PathLike) else list(ground_truth)
    _check_crops(settings, paths)
    for name, kind in (("json_path", "file"), ("crops", "folder")):
        if getattr(settings, name) is not None:
            check_writable(local_path(getattr(settings, name), name), kind)
    device = choose_device(settings.device)
    dtype, _ = parse_dtype(settings.dtype, device)
    if device.type == "cpu":
        keep_freed_memory()
    clips = ClipSet(find_clips([os.fspath(local_path(path, "ground_truth")) for path in paths]), settings)
    methods = [bicubic(settings.scale)] + [ready_frames(clips, folder) for folder in settings.predictions]
    weights, parameters = settings.perceptual_weights, settings.niqe_parameters
    evaluator = Evaluator(
        settings.metrics,
        settings.protocol,
        None if weights is None else local_path(weights, "perceptual_weights"),
        None if parameters is None else local_path(parameters, "niqe_parameters"),
        settings.stride,
        device,
    )
    for clip in clips.stored:
        evaluator.check_size(*clips.size(clip), repr(os.fspath(clip.path)))
    for model in settings.models or ([] if settings.predictions else [DEFAULT_MODEL]):
        methods += model_methods(model, settings, device, dtype, progress)
    names = [method.name for method in methods]
    if len(set(names)) < len(names) or ORIGINAL in names:
        raise ValueError(f"Models and folders of predictions must have names of their own, but they are {names}.")

    results = _measure(clips, methods, evaluator, settings.crops, progress)
    report = build_report(paths, settings, evaluator, methods, results, device, dtype)
    if settings.json_path is not None:
        write_report(Path(settings.json_path), report)
    own_niqe = parameters is None
    table = figures_table(report["mean"], evaluator.protocol, report["mean_seconds_per_frame"], own_niqe)
    return Evaluation(report, table, clips_table(results, evaluator, own_niqe))


def _check_crops(settings: EvaluationSettings, ground_truth: Sequence[PathLike]) -> None:
    """ValueError if the pictures would lie among the clips, and so be taken for frames or for a clip the next time."""
    if settings.crops is None:
        return
    crops, given = local_path(settings.crops, "crops"), [*ground_truth, *settings.predictions]
    for folder in given if settings.low_res is None else [*given, settings.low_res]:
        if lies_within(crops, Path(folder)):
            raise ValueError(
                f"`crops` is {str(crops)!r}; it must not be in {os.fspath(folder)!r}, where the clips are."
            )


def _measure(
    clips: ClipSet, methods: Sequence[Method], evaluator: Evaluator, crops: PathLike | None, progress: bool
) -> list[dict[str, Any]]:
    """What is said of each clip."""
    results = []
    total = sum(clips.count(clip) for clip in clips.stored) * (len(methods) + 1)
    with tqdm(total=total, unit="frame", desc="evaluating", disable=None if progress else True) as bar:
        for stored in clips.stored:
            clip = clips.read(stored)
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
                write_crops(Path(crops) / f"{stored.name}.png", outputs, clip.ground_truth)
            results.append(clip_report(clip, figures, seconds))
            bar.update(len(clip.low_res))
    return results
