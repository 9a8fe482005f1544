# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Validation while training: PSNR-Y against bicubic, and a picture that shows bicubic, ours and the original."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from seeclear.data import ValidationClip
from seeclear.metrics.fidelity import psnr_y
from seeclear.resize import imresize, to_uint8

SCALE = 4


def validate(
    upscale: Callable[[Tensor, int], Tensor],
    clips: Sequence[ValidationClip],
    steps: Sequence[int] = (1,),
    picture: Path | None = None,
) -> dict[str, float]:
    """Upscales the clips with each number of denoising steps and compares with bicubic.

    Args:
        upscale: takes LR frames, float (F, 3, H, W) in [0, 1], and a number of steps; gives HR frames, float
            (F, 3, sH, sW) in [0, 1].
        clips: what to validate on, uint8 frames; at least one.
        steps: the numbers of steps.
        picture: where to write a comparison PNG of the clips' middle frames, one row a clip: bicubic, ours for each
            number of steps, original.

    Returns:
        PSNR-Y in dB (8 bit, full frame), mean of the clips: `psnr_bicubic`, and for every n of `steps`
        `psnr_<n>_steps` and `gain_<n>_steps`, the difference to bicubic.
    """
    psnrs: dict[str, list[float]] = {}
    rows = []
    for clip in clips:
        lr, original = clip["low_res"].float() / 255, clip["ground_truth"]
        results = {"bicubic": to_uint8(imresize(lr, scale=SCALE))}
        results |= {f"{n}_steps": to_uint8(upscale(lr, n)) for n in steps}
        for name, frames in results.items():
            psnrs.setdefault(name, []).append(psnr_y(frames, original))
        middle = len(original) // 2
        rows.append(torch.cat([frames[middle] for frames in (*results.values(), original)], dim=-1))
    if picture is not None:
        write_picture(rows, picture)
    means = {name: sum(values) / len(values) for name, values in psnrs.items()}
    gains = {f"gain_{n}_steps": means[f"{n}_steps"] - means["bicubic"] for n in steps}
    return {f"psnr_{name}": value for name, value in means.items()} | gains


def write_picture(rows: Sequence[Tensor], path: Path) -> None:
    """Writes pictures, uint8 (3, H_i, W_i), below one another as one PNG; narrower ones are padded with black."""
    canvas = Image.new("RGB", (max(row.shape[2] for row in rows), sum(row.shape[1] for row in rows)))
    top = 0
    for row in rows:
        canvas.paste(Image.fromarray(row.permute(1, 2, 0).cpu().numpy()), (0, top))
        top += row.shape[1]
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path)
