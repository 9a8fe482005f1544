# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""`seeclear evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seeclear.shipped import DEFAULT_MODEL

from .app import app, one_line_errors, quiet


@app.command()
def evaluate(
    ground_truth: Annotated[
        list[Path],
        typer.Argument(metavar="GROUND_TRUTH...", help="A folder of clips (folders of frames, videos), or clips."),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(help="A shipped model, a folder, or a hub id; may be repeated.", show_default=DEFAULT_MODEL),
    ] = None,
    predictions: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Ready frames of another system, clip by clip; may be repeated."),
    ] = None,
    lr: Annotated[Path | None, typer.Option(metavar="DIR", help="The low resolution, clip by clip.")] = None,
    degradation: Annotated[str, typer.Option(help="How it is made without --lr: BI or BD.")] = "BI",
    crf: Annotated[
        float | None,
        typer.Option(help="Then make it an H.264 video of this quality, as videos are: 0 to 51.", show_default="none"),
    ] = None,
    scale: Annotated[int, typer.Option(help="Original over low resolution.")] = 4,
    protocol: Annotated[
        str, typer.Option(help="Channel and border of PSNR and SSIM: vid4 (Y), reds4 (RGB), y or rgb; whole frames.")
    ] = "y",
    metrics: Annotated[
        str,
        typer.Option(
            help="Some of psnr, ssim, lpips-vgg, lpips-alex, dists, niqe, frame-difference, warping, color-shift, "
            "with commas between; or all."
        ),
    ] = "psnr,ssim,frame-difference,color-shift",
    perceptual_weights: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Weights of LPIPS and DISTS; without it those of torchmetrics."),
    ] = None,
    niqe_parameters: Annotated[
        Path | None,
        typer.Option(metavar="NPZ", help="Parameters of NIQE; without it our own fit, whose figures are not papers'."),
    ] = None,
    stride: Annotated[int, typer.Option(help="Take LPIPS, DISTS and NIQE of every so many frames.")] = 1,
    frames: Annotated[
        int | None, typer.Option(help="Measure the first so many frames of each clip.", show_default="all")
    ] = None,
    steps: Annotated[
        list[int] | None, typer.Option(help="Denoising steps; may be repeated.", show_default="the model's")
    ] = None,
    sampler: Annotated[
        list[str] | None,
        typer.Option(help="markov, resshift or ddim; may be repeated.", show_default="the model's"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the noise, the same for every clip.")] = 0,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, mps, ...; default: the fastest.", show_default=False)
    ] = None,
    dtype: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all figures, settings, versions and hashes.")
    ] = None,
    crops: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write for each clip where the results differ most.")
    ] = None,
) -> None:
    """Measure models, or ready frames of any other system, on clips with known originals; bicubic beside them."""
    with one_line_errors():
        quiet()
        import seeclear.app.evaluate as library
        from seeclear.metrics.evaluation import METRICS

        names = list(METRICS) if metrics == "all" else [name.strip() for name in metrics.split(",")]
        result = library.evaluate(
            list(ground_truth),
            models=model or [],
            predictions=predictions or [],
            low_res=lr,
            degradation=degradation,
            crf=crf,
            scale=scale,
            protocol=protocol,
            metrics=names,
            perceptual_weights=perceptual_weights,
            niqe_parameters=niqe_parameters,
            stride=stride,
            frames=frames,
            steps=steps or [],
            samplers=sampler or [],
            seed=seed,
            device=device,
            dtype=dtype,
            json_path=json,
            crops=crops,
        )
        clips = result.report["clips"]
        if len(clips) > 1:
            typer.echo(f"{result.clips_table}\n")
        typer.echo(f"{len(clips)} clips, {sum(clip['frames'] for clip in clips)} frames\n\n{result.table}")
