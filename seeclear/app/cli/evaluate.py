# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""`seeclear evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import typer

from seeclear.wording import counted

from . import evaluate_options as options
from .options import Device, Dtype, Quiet, Verbose
from .output import say
from .root import app
from .session import session

if TYPE_CHECKING:
    from seeclear.app.evaluate import EvaluationSettings


@app.command()
def evaluate(
    context: typer.Context,
    ground_truth: options.GroundTruth,
    models: options.Models = None,
    predictions: options.Predictions = None,
    low_res: options.LowRes = None,
    degradation: options.Degradation = "BI",
    crf: options.Crf = None,
    scale: options.Scale = 4,
    protocol: options.Protocol = "y",
    metrics: options.Metrics = "psnr,ssim,frame-difference,color-shift",
    perceptual_weights: options.PerceptualWeights = None,
    niqe_parameters: options.NiqeParameters = None,
    stride: options.Stride = 1,
    frames: options.Frames = None,
    steps: options.Steps = None,
    samplers: options.Samplers = None,
    details: options.Details = None,
    seed: options.Seed = 0,
    device: Device = None,
    dtype: Dtype = "auto",
    json_path: options.Json = None,
    crops: options.Crops = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Measure models, or ready frames of any other system, on clips with known originals; bicubic beside them."""
    with session(context, quiet, verbose):
        import seeclear.app.evaluate as library

        result = library.evaluate(list(ground_truth), read_settings(context.params), progress=not quiet)
        if quiet:
            return
        clips = result.report["clips"]
        if len(clips) > 1:
            say(f"{result.clips_table}\n")
        frames = sum(clip["frames"] for clip in clips)
        say(f"{counted(len(clips), 'clip')}, {counted(frames, 'frame')}\n\n{result.table}")


def read_settings(parameters: Mapping[str, Any]) -> EvaluationSettings:
    """The settings among a command's parameters; one that was not given is left at its default."""
    from seeclear.app.evaluate import EvaluationSettings
    from seeclear.metrics.evaluation import METRICS

    names = {field.name for field in fields(EvaluationSettings)}
    given = {name: value for name, value in parameters.items() if name in names and value not in (None, (), [])}
    asked = given["metrics"]
    given["metrics"] = list(METRICS) if asked == "all" else [name.strip() for name in asked.split(",")]
    return EvaluationSettings(**given)
