# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The options of `seeclear evaluate` as a table; see `options`."""

from __future__ import annotations

from typing import Annotated

import typer

from seeclear.shipped import DEFAULT_MODEL

# What is compared

GroundTruth = Annotated[
    list[str],
    typer.Argument(metavar="GROUND_TRUTH...", help="A folder of clips (folders of frames, videos), or clips."),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model", help="A shipped model, a folder, or a hub id; may be repeated.", show_default=DEFAULT_MODEL
    ),
]
Predictions = Annotated[
    list[str] | None,
    typer.Option(
        "--predictions", metavar="DIR", help="Ready frames of another system, clip by clip; may be repeated."
    ),
]
LowRes = Annotated[str | None, typer.Option("--lr", metavar="DIR", help="The low resolution, clip by clip.")]
Degradation = Annotated[str, typer.Option("--degradation", help="How it is made without --lr: BI, BD or real.")]
Crf = Annotated[
    float | None,
    typer.Option(
        "--crf", help="Then make it an H.264 video of this quality, as videos are: 0 to 51.", show_default="none"
    ),
]
Scale = Annotated[int, typer.Option("--scale", help="Original over low resolution.")]

# What is measured

Protocol = Annotated[
    str,
    typer.Option(
        "--protocol", help="Channel and border of PSNR and SSIM: vid4 (Y), reds4 (RGB), y or rgb; whole frames."
    ),
]
Metrics = Annotated[
    str,
    typer.Option(
        "--metrics",
        help="Some of psnr, ssim, lpips-vgg, lpips-alex, dists, niqe, frame-difference, warping, color-shift, with "
        "commas between; or all.",
    ),
]
PerceptualWeights = Annotated[
    str | None,
    typer.Option(
        "--perceptual-weights", metavar="DIR", help="Weights of LPIPS and DISTS; without it those of torchmetrics."
    ),
]
NiqeParameters = Annotated[
    str | None,
    typer.Option(
        "--niqe-parameters",
        metavar="NPZ",
        help="Parameters of NIQE; without it our own fit, whose figures are not papers'.",
    ),
]
Stride = Annotated[int, typer.Option("--stride", help="Take LPIPS, DISTS and NIQE of every so many frames.")]
Frames = Annotated[
    int | None,
    typer.Option("--frames", help="Measure the first so many frames of each clip.", show_default="all"),
]

# How it is restored

Steps = Annotated[
    list[int] | None,
    typer.Option("--steps", help="Denoising steps; may be repeated.", show_default="the model's"),
]
Samplers = Annotated[
    list[str] | None,
    typer.Option("--sampler", help="markov, resshift or ddim; may be repeated.", show_default="the model's"),
]
Details = Annotated[
    list[float] | None,
    typer.Option(
        "--detail",
        help="How much of what models with a prior make up is kept, 0 to 1; may be repeated.",
        show_default="1",
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the noise, the same for every clip, and of real.")]

# What is written

Json = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write all figures, settings, versions and hashes; replaces a file."),
]
Crops = Annotated[
    str | None,
    typer.Option("--crops", metavar="DIR", help="Write for each clip where the results differ most."),
]
