# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What the Pixel Condenser's U-Net is made of: the levels of encoder and decoder, and the wavelets between them.

Shapes: B clips, F frames in a clip, which are images of one batch (B*F, C, H, W); E the width of the timestep's
embedding; semantics as in [`InCAM`] and [`CaTeGoryAttention`].
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .attention import ChannelSelfAttention, WindowSelfAttention
from .blocks import ResidualBlock
from .category import CaTeGoryAttention
from .incam import InCAM
from .optical_flow import moved_neighbor
from .wavelets import haar_dwt, haar_idwt, wavelet_packet


@dataclass(frozen=True)
class LevelSpec:
    """The widths and switches of a level, of the encoder and of the decoder alike; the condenser's arguments have the
    same names.
    """

    channels: int
    layers: int
    time_embed_dim: int
    head_dim: int
    window_size: int
    self_attention: bool
    """Of the encoder; of the decoder its channel attention."""
    shift: bool
    """Whether the decoder's first windows are shifted."""
    token_dim: int
    semantic_feature_dim: int
    texture_dim: int | None
    """None without CaTeGory."""
    frame_semantics: bool
    clip_semantics: bool
    multi_frame_attention: bool


class EncoderLevel(nn.Module):
    """Residual blocks alternating with window (intra-sub-band) and channel (inter-sub-band) self-attention."""

    def __init__(self, spec: LevelSpec) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ResidualBlock(spec.channels, spec.time_embed_dim) for _ in range(spec.layers))
        self.attentions = nn.ModuleList(
            ChannelSelfAttention(spec.channels, spec.head_dim, 2 * spec.window_size)
            if i % 2
            else WindowSelfAttention(
                spec.channels, spec.head_dim, spec.window_size, shift=i % 4 == 2, multi_frame=False
            )
            for i in range(spec.layers if spec.self_attention else 0)
        )

    def forward(self, hidden_states: Tensor, time_embedding: Tensor) -> Tensor:
        """`hidden_states` (B*F, C, H, W), `time_embedding` (B*F, E)."""
        for i, block in enumerate(self.blocks):
            hidden_states = block(hidden_states, time_embedding)
            if i < len(self.attentions):
                attention = self.attentions[i]
                hidden_states = attention(hidden_states) if i % 2 else attention(hidden_states, 1)
        return hidden_states


class DecoderLevel(nn.Module):
    """As the encoder's, with InCAM where the encoder has its window attention, and CaTeGory last. The middle is of the
    same kind.
    """

    def __init__(self, spec: LevelSpec) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ResidualBlock(spec.channels, spec.time_embed_dim) for _ in range(spec.layers))
        self.attentions = nn.ModuleList(
            _channel_attention(spec) if i % 2 else _incam(spec, shift=spec.shift != (i % 4 == 2))
            for i in range(spec.layers)
        )
        self.category = (
            None if spec.texture_dim is None else CaTeGoryAttention(spec.channels, spec.texture_dim, spec.head_dim)
        )

    def forward(
        self,
        hidden_states: Tensor,
        time_embedding: Tensor,
        num_frames: int,
        tokens: Tensor | None,
        features: Tensor | None,
        clip_tokens: Tensor | None,
        textures: Tensor | None,
    ) -> Tensor:
        """`hidden_states` (B*F, C, H, W), `time_embedding` (B*F, E)."""
        for i, (block, attention) in enumerate(zip(self.blocks, self.attentions, strict=True)):
            hidden_states = block(hidden_states, time_embedding)
            if i % 2:
                hidden_states = attention(hidden_states)
            else:
                hidden_states = attention(hidden_states, num_frames, tokens, features, clip_tokens)
        if self.category is not None and textures is not None:
            hidden_states = self.category(hidden_states, textures)
        return hidden_states


def _channel_attention(spec: LevelSpec) -> nn.Module:
    if not spec.self_attention:
        return nn.Identity()
    return ChannelSelfAttention(spec.channels, spec.head_dim, 2 * spec.window_size)


def _incam(spec: LevelSpec, shift: bool) -> InCAM:
    return InCAM(
        spec.channels,
        spec.head_dim,
        spec.window_size,
        shift,
        spec.token_dim,
        spec.semantic_feature_dim,
        frame_semantics=spec.frame_semantics,
        clip_semantics=spec.clip_semantics,
        multi_frame_attention=spec.multi_frame_attention,
    )


class WaveletDown(nn.Module):
    """DWT of the features; the low band goes down and is refilled with the wavelet-down-sampled LR, the high bands
    skip.
    """

    def __init__(self, channels: int, channels_below: int, refill_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels_below, 3, padding=1)
        self.refill = nn.Conv2d(refill_channels, channels_below, 1)

    def forward(self, hidden_states: Tensor, refill: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`hidden_states` (N, C, H, W), `refill` (N, R, H/2, W/2) -> next level's features, low band, high bands."""
        low, high = haar_dwt(hidden_states)  # (N, C, H/2, W/2), (N, 3C, H/2, W/2)
        return self.conv(low) + self.refill(refill), low, high


class WaveletUp(nn.Module):
    """Decoder features as the low band, on top of the encoder's, with the encoder's high bands, through the inverse
    DWT.
    """

    def __init__(self, channels_below: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_below, channels, 3, padding=1)

    def forward(self, hidden_states: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """`hidden_states` (N, C_below, H/2, W/2), the encoder's bands `low` (N, C, H/2, W/2) and `high` (N, 3C, H/2,
        W/2) -> (N, C, H, W).
        """
        return haar_idwt(self.conv(hidden_states) + low, high)


@torch.no_grad()
def neighbor_bands(y: Tensor, flow: Tensor, t: int, reach: int, scale: int, levels: int) -> Tensor:
    """What y of the frames after and before frame `t` shows beyond it, the nearest first, as wavelet packets: those of
    the first transform's low band, since enlarged frames show hardly more.

    Args:
        y: (B, G, 3, sH, sW).
        flow: of y at the LR frames' size, (B, 2, G - 1, 2, H, W), as [`clip_flow`] gives it.
        t: the frame's index in y.
        reach: of how many frames after, and of how many before; y of those that are not there counts as the frame's.
        scale: s.
        levels: k of the wavelet grid.

    Returns:
        (B, 6 * reach * 4^(k - 1), sH / 2^k, sW / 2^k), float32.
    """
    steps = [step for distance in range(1, reach + 1) for step in (distance, -distance)]
    sides = [moved_neighbor(y, flow, t, step, scale)[0] for step in steps]
    low_bands = [haar_dwt(torch.zeros_like(y[:, t]) if moved is None else moved)[0] for moved in sides]
    return torch.cat([wavelet_packet(low, levels - 1) for low in low_bands], dim=1)
