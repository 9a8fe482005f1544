# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Convolutional blocks that the networks share: the norm, residual blocks with and without a timestep.

Shapes: N images, the frames of clips, (N, C, H, W), in `channels_last` memory format where the caller asked for it.
Norms are per position: nothing is averaged over the whole image, so a frame is treated alike whatever its size, and a
network that was trained on crops meets the same statistics at full size.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)
_PART_PIXELS = 2**16
LEAKY_SLOPE = 0.1
"""Of leaky ReLUs below zero."""


def zero_init(layer: Layer) -> Layer:
    """The same layer with weight and bias zero: the branch that it ends adds nothing until it is trained."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of every position, (N, C, H, W) to the same."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        return super().forward(hidden_states.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, modulated by the timestep: norm, SiLU, conv, norm * (1 + scale) + shift, SiLU, conv.

    The last convolution starts at zero, so an untrained block is the identity.
    """

    def __init__(self, channels: int, time_embed_dim: int) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.modulation = nn.Linear(time_embed_dim, 2 * channels)
        self.norm2 = ChannelNorm(channels)
        self.conv2 = zero_init(nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, hidden_states: Tensor, time_embedding: Tensor) -> Tensor:
        """`hidden_states` (N, C, H, W), `time_embedding` (N, E)."""
        residual = self.conv1(F.silu(self.norm1(hidden_states)))
        scale, shift = self.modulation(time_embedding)[:, :, None, None].chunk(2, dim=1)  # each (N, C, 1, 1)
        residual = F.silu(torch.addcmul(shift, self.norm2(residual), 1 + scale))
        return hidden_states + self.conv2(residual)


class ConvBlock(nn.Module):
    """x + conv(ReLU(conv(x))), 3x3, without norm. The last convolution starts at zero: untrained, an identity.

    `hidden_channels`: between the two convolutions; None is `channels`.
    """

    def __init__(self, channels: int, hidden_channels: int | None = None) -> None:
        super().__init__()
        hidden_channels = channels if hidden_channels is None else hidden_channels
        self.conv1 = nn.Conv2d(channels, hidden_channels, 3, padding=1)
        self.conv2 = zero_init(nn.Conv2d(hidden_channels, channels, 3, padding=1))

    def forward(self, hidden_states: Tensor) -> Tensor:
        # in place: what is overwritten is needed by no gradient, and passes over memory are what a block costs beside
        # its convolutions
        return self.conv2(F.relu_(self.conv1(hidden_states))).add_(hidden_states)


def conv_blocks(number: int, channels: int, hidden_channels: int | None = None) -> nn.Sequential:
    """So many [`ConvBlock`]s, one after the other."""
    return nn.Sequential(*[ConvBlock(channels, hidden_channels) for _ in range(number)])


def in_parts(call: Callable[..., Tensor], *maps: Tensor) -> Tensor:
    """`call(*maps)` for a function that sees each image (N, ...) alone: where no gradient is wanted, for so many at a
    time that layers hand each other what still lies in the processor's cache.
    """
    count = max(1, _PART_PIXELS // (maps[0].shape[-2] * maps[0].shape[-1]))
    if torch.is_grad_enabled() or count >= len(maps[0]):
        return call(*maps)
    return torch.cat([call(*part) for part in zip(*(x.split(count) for x in maps), strict=True)])
