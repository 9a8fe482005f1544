# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Validation while training: figures against bicubic, and a picture that shows bicubic, ours and the original."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from seeclear.data import ValidationClip
from seeclear.metrics.evaluation import Evaluator, bicubic_frames, mean_figures
from seeclear.metrics.perceptual import LPIPS
from seeclear.resize import to_uint8

METRICS = {"psnr": "psnr", "ssim": "ssim", "lpips": "lpips-vgg"}
"""By their names in the logs, those of `seeclear.metrics.evaluation`."""


def validation_evaluator(lpips_weights: str | Path | None = None, device: torch.device | str = "cpu") -> Evaluator:
    """Takes PSNR and SSIM of the Y channel (8 bit, full frame), and LPIPS-VGG of every frame where weights are given.

    Args:
        lpips_weights: the file or the folder of the weights of LPIPS-VGG.
        device: where LPIPS is computed.

    Raises:
        ValueError: the weights cannot be read.
    """
    evaluator = Evaluator((METRICS["psnr"], METRICS["ssim"]), "y", device=device)
    if lpips_weights is not None:
        evaluator.comparisons[METRICS["lpips"]] = LPIPS(lpips_weights).to(device)
        evaluator.metrics = (*evaluator.metrics, METRICS["lpips"])
    return evaluator


def validate(
    upscale: Callable[[Tensor, int], Tensor],
    clips: Sequence[ValidationClip],
    steps: Sequence[int] = (1,),
    picture: Path | None = None,
    evaluator: Evaluator | None = None,
) -> dict[str, float]:
    """Upscales the clips with each number of denoising steps and compares with bicubic.

    Args:
        upscale: takes LR frames, float (F, 3, H, W) in [0, 1], and a number of steps; gives HR frames, float
            (F, 3, sH, sW) in [0, 1].
        clips: what to validate on, uint8 frames; at least one.
        steps: the numbers of steps.
        picture: where to write a comparison PNG of the clips' middle frames, one row a clip: bicubic, ours for each
            number of steps, original.
        evaluator: see [`validation_evaluator`], which gives it without LPIPS unless given.

    Returns:
        For each metric of the evaluator the mean of the clips: `psnr_bicubic`, `psnr_<n>_steps` for every n of
        `steps`, `ssim_bicubic`, ...; and `gain_<n>_steps`, the difference of PSNR to bicubic.
    """
    evaluator = evaluator or validation_evaluator()
    measured, rows = [], []
    for clip in clips:
        low_res, original = clip["low_res"], clip["ground_truth"]
        results = {"bicubic": bicubic_frames(low_res, (original.shape[-2], original.shape[-1]))}
        results |= {f"{n}_steps": to_uint8(upscale(low_res.float() / 255, n)).cpu() for n in steps}
        measured.append(evaluator.measure(results, original))
        middle = len(original) // 2
        rows.append(torch.cat([frames[middle] for frames in (*results.values(), original)], dim=-1))
    if picture is not None:
        write_picture(rows, picture)
    means = mean_figures(measured)
    figures = {
        f"{name}_{way}": float(values[metric])  # type: ignore[arg-type]
        for name, metric in METRICS.items()
        if metric in evaluator.metrics
        for way, values in means.items()
    }
    gains = {f"gain_{n}_steps": figures[f"psnr_{n}_steps"] - figures["psnr_bicubic"] for n in steps}
    return figures | gains


def write_picture(rows: Sequence[Tensor], path: Path) -> None:
    """Writes pictures, uint8 (3, H_i, W_i), below one another as one PNG; narrower ones are padded with black."""
    canvas = Image.new("RGB", (max(row.shape[2] for row in rows), sum(row.shape[1] for row in rows)))
    top = 0
    for row in rows:
        canvas.paste(Image.fromarray(row.permute(1, 2, 0).cpu().numpy()), (0, top))
        top += row.shape[1]
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path)
