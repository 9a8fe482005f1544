# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""How features at low resolution become what is added to the enlarged frame: in steps of two (BasicVSR, arXiv
2012.02181, after EDSR).
"""

import torch.nn.functional as F
from torch import Tensor, nn

from .attention import zero_init

SLOPE = 0.1
"""Of leaky ReLUs below zero."""


class TwoStepUpsampling(nn.Module):
    """A convolution and a pixel shuffle for each factor of two, one more convolution at full size, and the last one,
    leaky ReLUs between. Untrained it gives zero.

    Args:
        channels: C, at every size.
        scale: s, a power of two.

    Raises:
        ValueError: `scale` is no power of two.
    """

    def __init__(self, channels: int, scale: int) -> None:
        super().__init__()
        if scale < 2 or scale & (scale - 1):
            raise ValueError(f"`scale` is {scale}; two-step upsampling needs a power of two")
        steps = scale.bit_length() - 1
        self.steps = nn.ModuleList(nn.Conv2d(channels, 4 * channels, 3, padding=1) for _ in range(steps))
        self.conv_hr = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_out = zero_init(nn.Conv2d(channels, 3, 3, padding=1))

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 3, sH, sW)."""
        for step in self.steps:
            hidden_states = F.leaky_relu_(F.pixel_shuffle(step(hidden_states), 2), SLOPE)
        return self.conv_out(F.leaky_relu_(self.conv_hr(hidden_states), SLOPE))
