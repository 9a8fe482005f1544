# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""How features at low resolution become what is added to the enlarged frame: in steps of two (BasicVSR, arXiv
2012.02181, after EDSR).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import LEAKY_SLOPE, zero_init

REACH = 2
"""LR pixels around one that its HR pixels depend on, from one convolution at each size on."""
_BAND_PIXELS, _BAND_ROWS = 2**14, 32
"""LR pixels of a band, and its rows at least."""


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
        self.scale = scale
        steps = scale.bit_length() - 1
        self.steps = nn.ModuleList(nn.Conv2d(channels, 4 * channels, 3, padding=1) for _ in range(steps))
        self.conv_hr = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_out = zero_init(nn.Conv2d(channels, 3, 3, padding=1))

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 3, sH, sW). Where no gradient is wanted, band after band of rows: features at full size
        would take more memory than all else.
        """
        height, width = hidden_states.shape[-2:]
        rows = self.band_rows(width)
        if torch.is_grad_enabled() or rows >= height:
            return self._enlarge(hidden_states)
        bands = []
        for top in range(0, height, rows):
            first = max(0, top - REACH)
            band = self._enlarge(hidden_states[..., first : top + rows + REACH, :])
            start = (top - first) * self.scale
            bands.append(band[..., start : start + rows * self.scale, :][..., : (height - top) * self.scale, :])
        return torch.cat(bands, dim=2)

    @staticmethod
    def band_rows(width: int) -> int:
        """LR rows of a band of that width."""
        return max(_BAND_ROWS, _BAND_PIXELS // width)

    def _enlarge(self, hidden_states: Tensor) -> Tensor:
        for step in self.steps:
            hidden_states = F.leaky_relu_(F.pixel_shuffle(step(hidden_states), 2), LEAKY_SLOPE)
        return self.conv_out(F.leaky_relu_(self.conv_hr(hidden_states), LEAKY_SLOPE))
