# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""CaTeGory, the channel-wise texture aggregation memory (SeeClear, section 3.4, eq. 16 to 20).

J texture groups: channel-wise semantics C (K x J) and textures T (J x D_t), learned as parameters over the data set.
At inference T is the state of a video: it is read in every decoder level and written after the last step of a clip.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from .attention import PixelCrossAttention
from .transformer import CrossAttention, TransformerEncoderLayer


class CaTeGory(nn.Module):
    """The memory: its learned start, how it is read and how it is written.

    Every state ends in a layer norm with fixed unit scale, so it stays bounded however many clips are written.
    """

    pooled_size = 4

    def __init__(
        self, num_clip_tokens: int, num_groups: int, texture_dim: int, pyramid_channels: tuple[int, ...], heads: int
    ) -> None:
        super().__init__()
        self.semantics = nn.Parameter(torch.randn(num_clip_tokens, num_groups))  # C
        self.textures = nn.Parameter(torch.randn(num_groups, texture_dim))  # T
        self.to_pyramid = nn.ModuleList(nn.Linear(channels, texture_dim) for channels in pyramid_channels)
        self.norm_pyramid = nn.LayerNorm(texture_dim)
        self.norm_textures = nn.LayerNorm(texture_dim)
        self.cross_attention = CrossAttention(texture_dim, heads)
        self.self_attention = TransformerEncoderLayer(texture_dim, heads, 2 * texture_dim)

    def forward(
        self,
        state: Tensor | None,
        clip_tokens: Tensor | None = None,
        pyramid: list[Tensor] | None = None,
        num_frames: int = 1,
    ) -> Tensor:
        """Reads the memory for `clip_tokens`, or writes `pyramid` into it.

        Args:
            state: T (B, J, D_t); None is the learned start.
            clip_tokens, pyramid, num_frames: as [`read`] and [`write`] take them; one of the first two.
        """
        if pyramid is None:
            assert clip_tokens is not None
            return self.read(clip_tokens, self.initial_state(len(clip_tokens)) if state is None else state)
        batch_size = len(pyramid[0]) // num_frames
        return self.write(self.initial_state(batch_size) if state is None else state, pyramid, num_frames)

    def initial_state(self, batch_size: int) -> Tensor:
        """The learned textures as the state of `batch_size` new videos, (B, J, D_t)."""
        return self._bounded(self.textures).expand(batch_size, -1, -1)

    def _bounded(self, textures: Tensor) -> Tensor:
        return F.layer_norm(textures, textures.shape[-1:])

    def read(self, clip_tokens: Tensor, state: Tensor) -> Tensor:
        """A T with A = softmax_J(O_c^T C), eq. 19: which texture group each semantic channel calls for.

        `clip_tokens` O_c (B, K, D), `state` T (B, J, D_t) -> D key/value tokens (B, D, D_t).
        """
        logits = clip_tokens.transpose(1, 2) @ self.semantics / self.semantics.shape[0] ** 0.5  # (B, D, J)
        return logits.softmax(dim=-1) @ state.to(clip_tokens.dtype)

    def write(self, state: Tensor, pyramid: list[Tensor], num_frames: int) -> Tensor:
        """T <- SelfAttn(CrossAttn(T_hat, pyramid)), eq. 17 and 18.

        T_hat embeds T with C by matrix product. C is K x J and T is J x D_t; the product that keeps J rows goes
        through the affinity of the groups, softmax(C^T C) T (docs/paper.md).

        Args:
            state: T (B, J, D_t).
            pyramid: the decoder levels' features, each (B*F, C_l, H_l, W_l).
            num_frames: F.
        """
        tokens = []
        for project, features in zip(self.to_pyramid, pyramid, strict=True):
            pooled = F.adaptive_avg_pool2d(features, self.pooled_size)
            pooled = rearrange(pooled, "(b f) c h w -> b f (h w) c", f=num_frames).mean(dim=1)
            tokens.append(project(pooled))  # (B, 16, D_t)
        affinity = (self.semantics.T @ self.semantics / self.semantics.shape[0] ** 0.5).softmax(dim=-1)  # (J, J)
        embedded = affinity @ state.to(pyramid[0].dtype)  # (B, J, D_t)
        context = self.norm_pyramid(torch.cat(tokens, dim=1))  # (B, 16 per level, D_t)
        fetched = self.cross_attention(self.norm_textures(embedded), context, context)
        return self._bounded(self.self_attention(embedded + fetched))


class CaTeGoryAttention(nn.Module):
    """F + CrossAttn(F, A T), eq. 20: the pixels of a level fetch textures from what was read."""

    def __init__(self, channels: int, texture_dim: int, head_dim: int) -> None:
        super().__init__()
        self.attention = PixelCrossAttention(channels, texture_dim, head_dim)

    def forward(self, hidden_states: Tensor, textures: Tensor) -> Tensor:
        """`hidden_states` (B*F, C, H, W), `textures` (B*F, D, D_t)."""
        return hidden_states + self.attention(hidden_states, textures)
