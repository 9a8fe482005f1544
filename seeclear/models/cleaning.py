# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What is done to a low-resolution frame before anything is propagated from it: what a codec or a sensor added is
taken away first, because a recurrence carries it along and makes more of it (RealBasicVSR, Chan et al., CVPR 2022,
arXiv 2111.12704, section 3.2).
"""

from torch import Tensor, nn

from .blocks import conv_blocks, zero_init


class FrameCleaning(nn.Module):
    """Residual blocks on every frame alone, whose result is added to it, which is the caller's to do, since frames are
    of more bits than weights may be. Untrained it is zero.

    Args:
        blocks: how many.
        channels: their width.
        hidden_channels: between their two convolutions; None is `channels`.
    """

    def __init__(self, blocks: int, channels: int, hidden_channels: int | None = None) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, channels, 3, padding=1)
        self.blocks = conv_blocks(blocks, channels, hidden_channels)
        self.conv_out = zero_init(nn.Conv2d(channels, 3, 3, padding=1))

    def forward(self, frames: Tensor) -> Tensor:
        """What is to be added to LR frames (N, 3, H, W) in [-1, 1], of the same shape, in the dtype of the weights."""
        return self.conv_out(self.blocks(self.conv_in(frames)))
