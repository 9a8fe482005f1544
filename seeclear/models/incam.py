# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""InCAM, the instance-centric alignment module (SeeClear, section 3.3, eq. 10 to 15)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import PixelCrossAttention, WindowSelfAttention
from .blocks import ChannelNorm, zero_init


class SpatialModulation(nn.Module):
    """(gamma, beta) = G(P), F = f * gamma + beta + f, eq. 10 and 11; G is two convolutions with a ReLU between.

    G runs at the resolution of P or of f, whichever is coarser, and its result is brought to the size of f. The last
    convolution starts at zero, so an untrained modulation is the identity.
    """

    def __init__(self, channels: int, feature_dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(feature_dim, feature_dim, 3, padding=1)
        self.conv2 = zero_init(nn.Conv2d(feature_dim, 2 * channels, 1))

    def forward(self, hidden_states: Tensor, features: Tensor) -> Tensor:
        """`hidden_states` (N, C, H, W), `features` P (N, P, h, w)."""
        size = hidden_states.shape[-2:]
        coarser = (min(size[0], features.shape[-2]), min(size[1], features.shape[-1]))
        if coarser != tuple(features.shape[-2:]):
            features = F.adaptive_avg_pool2d(features, coarser)
        modulation = self.conv2(F.relu(self.conv1(features)))
        if coarser != tuple(size):
            modulation = F.interpolate(modulation, size=size, mode="bilinear", align_corners=False)
        gamma, beta = modulation.chunk(2, dim=1)
        return torch.addcmul(hidden_states + beta, hidden_states, gamma)


class InstanceActivation(nn.Module):
    """a = softmax_K(F O_c^T / sqrt(D)), F <- F * (1 + W(a O_c)): lights the pixels of an instance in every frame of
    the clip.

    The paper says that the product of clip-wise tokens and pixels works like a class activation map and leaves the
    shape open (docs/paper.md). W starts at zero.
    """

    def __init__(self, channels: int, token_dim: int) -> None:
        super().__init__()
        self.dim = token_dim
        self.norm = ChannelNorm(channels)
        self.to_token = nn.Conv2d(channels, token_dim, 1)
        self.to_gain = zero_init(nn.Conv2d(token_dim, channels, 1))

    def forward(self, hidden_states: Tensor, clip_tokens: Tensor) -> Tensor:
        """`hidden_states` (B*F, C, H, W), `clip_tokens` O_c (B, K, D)."""
        num_images, _, height, width = hidden_states.shape
        pixels = self.to_token(self.norm(hidden_states)).permute(0, 2, 3, 1).reshape(len(clip_tokens), -1, self.dim)
        logits = pixels @ clip_tokens.transpose(1, 2) / self.dim**0.5
        # each row of a sums to one, so W(a O_c) = a W(O_c): a few tokens are mapped instead of all pixels
        gains = self.to_gain(clip_tokens.transpose(1, 2)[..., None])[..., 0]  # (B, C, K)
        gain = logits.softmax(dim=-1).to(gains.dtype) @ gains.transpose(1, 2)  # (B, FHW, C)
        gain = gain.view(num_images, height, width, -1).permute(0, 3, 1, 2)
        return torch.addcmul(hidden_states, hidden_states, gain)


class InCAM(nn.Module):
    """Spatial modulation, semantic embedding, instance activation, then multi-frame self-attention.

    Args:
        frame_semantics: use the frame's segmentation features and tokens (eq. 10 to 13).
        clip_semantics: use the clip-wise tokens (eq. 14 and the activation).
        multi_frame_attention: windows span all frames of the clip (eq. 15); else each frame attends to itself only.
    """

    def __init__(
        self,
        channels: int,
        head_dim: int,
        window_size: int,
        shift: bool,
        token_dim: int,
        feature_dim: int,
        frame_semantics: bool = True,
        clip_semantics: bool = True,
        multi_frame_attention: bool = True,
    ) -> None:
        super().__init__()
        self.modulation = SpatialModulation(channels, feature_dim) if frame_semantics else None
        self.embedding = PixelCrossAttention(channels, token_dim, head_dim) if frame_semantics else None
        self.activation = InstanceActivation(channels, token_dim) if clip_semantics else None
        self.attention = WindowSelfAttention(channels, head_dim, window_size, shift, multi_frame_attention)

    def forward(
        self,
        hidden_states: Tensor,
        num_frames: int,
        tokens: Tensor | None = None,
        features: Tensor | None = None,
        clip_tokens: Tensor | None = None,
    ) -> Tensor:
        """`hidden_states` (B*F, C, H, W), `tokens` (B*F, K, D), `features` (B*F, P, h, w), `clip_tokens` (B, K, D)."""
        if self.modulation is not None and features is not None:
            hidden_states = self.modulation(hidden_states, features)
        if self.embedding is not None and tokens is not None:
            hidden_states = hidden_states + self.embedding(hidden_states, tokens)
        if self.activation is not None and clip_tokens is not None:
            hidden_states = self.activation(hidden_states, clip_tokens)
        return self.attention(hidden_states, num_frames)
