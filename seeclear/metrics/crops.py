# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Pictures to judge by eye: several versions of a clip side by side, where they differ most."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional

from ..files import write_durably

CROP_SIZE = 128
ENLARGEMENT = 2
_LABEL_HEIGHT = 16


def most_different_crop(outputs: Mapping[str, Tensor], size: int = CROP_SIZE) -> tuple[int, int, int]:
    """The frame, top and left of the square in which clips differ most: where their mean variance is largest.

    Args:
        outputs: at least two 8-bit clips (F, 3, H, W).
        size: the square's side in pixels; less where frames are smaller. It is looked for on a grid of 8 pixels.
    """
    if len(outputs) < 2:
        raise ValueError(f"`outputs` must have at least two clips to compare, but has {list(outputs)}.")
    clips = list(outputs.values())
    height, width = (min(size, n) for n in clips[0].shape[2:])
    best, place = -1.0, (0, 0, 0)
    for i in range(len(clips[0])):
        variance = torch.stack([clip[i].float() for clip in clips]).var(dim=0, unbiased=False).mean(dim=0)
        means = functional.avg_pool2d(variance[None, None], (height, width), stride=8)[0, 0]
        value, index = means.flatten().max(dim=0)
        if float(value) > best:
            row, column = divmod(int(index), means.shape[1])
            best, place = float(value), (i, 8 * row, 8 * column)
    return place


def write_crops(path: Path, outputs: Mapping[str, Tensor], ground_truth: Tensor, size: int = CROP_SIZE) -> None:
    """Writes a PNG with the crop of every version and of the original, twice as large, labelled.

    Args:
        path: the file.
        outputs: 8-bit clips (F, 3, H, W) by their names.
        ground_truth: the original; it has no say in which crop is taken.
        size: see `most_different_crop`.
    """
    frame, top, left = most_different_crop(outputs, size)
    shown = {**outputs, "original": ground_truth}
    height, width = (ENLARGEMENT * min(size, n) for n in ground_truth.shape[2:])
    canvas = Image.new("RGB", (len(shown) * width, height + _LABEL_HEIGHT))
    draw = ImageDraw.Draw(canvas)
    for i, (name, clip) in enumerate(shown.items()):
        crop = clip[frame, :, top : top + size, left : left + size].permute(1, 2, 0).contiguous().numpy()
        picture = Image.fromarray(np.ascontiguousarray(crop)).resize((width, height), Image.Resampling.NEAREST)
        canvas.paste(picture, (i * width, _LABEL_HEIGHT))
        label = name if i else f"{name} (frame {frame}, x {left}, y {top})"
        draw.text((i * width + 3, 2), label, fill="white")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, lambda draft: canvas.save(draft, format="PNG"))
