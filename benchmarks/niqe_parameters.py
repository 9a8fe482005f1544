# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Fits the parameters of NIQE to photographs: how seeclear/metrics/niqe_photographs.npz was made.

    python benchmarks/niqe_parameters.py PHOTOS seeclear/metrics/niqe_photographs.npz

PHOTOS is a folder; the images directly inside it are reduced to a shorter side of 720 pixels, which takes away noise
and the softness of single pixels.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from seeclear.metrics.niqe import fit_niqe

SHORT_SIDE = 720


def photographs(folder: Path) -> Iterator[Tensor]:
    """(3, H, W), uint8."""
    for file in sorted(folder.glob("*.jpg")):
        with Image.open(file) as image:
            factor = SHORT_SIDE / min(image.size)
            size = (round(image.width * factor), round(image.height * factor))
            reduced = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        yield torch.from_numpy(np.array(reduced)).permute(2, 0, 1)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    fit_niqe(photographs(Path(sys.argv[1]))).save(sys.argv[2])
