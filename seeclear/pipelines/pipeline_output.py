# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What the pipelines return."""

from dataclasses import dataclass

import numpy as np
import PIL.Image
from diffusers.utils import BaseOutput
from torch import Tensor


@dataclass
class SeeClearPipelineOutput(BaseOutput):
    """Upscaled videos.

    Attributes:
        frames: one entry a video: a list of lists of PIL images ("pil"), an array (B, F, sH, sW, 3) of float32 in [0,
            1] ("np"), or a tensor (B, F, 3, sH, sW) of float32 in [0, 1] ("pt").
    """

    frames: list[list[PIL.Image.Image]] | np.ndarray | Tensor
