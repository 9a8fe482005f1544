# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""From frame-wise to clip-wise semantic tokens (SeeClear, section 3.3, eq. 14; the instance encoder and decoder of
Semantic Lens).
"""

import torch
from einops import rearrange
from torch import Tensor, nn

from .attention import sinusoidal_positions
from .transformer import TransformerDecoderLayer, TransformerEncoderLayer


class InstanceEncoderDecoder(nn.Module):
    """O_c = Dec(Enc(O), O_hat), eq. 14.

    `Enc` lets the tokens of all frames exchange what they know; `Dec` lets K learned queries O_hat gather each
    instance across the clip.
    """

    def __init__(self, token_dim: int, num_clip_tokens: int, heads: int, num_layers: int) -> None:
        super().__init__()
        self.frame_position = nn.Linear(8, token_dim, bias=False)
        self.encoder = nn.ModuleList(
            TransformerEncoderLayer(token_dim, heads, 2 * token_dim) for _ in range(num_layers)
        )
        self.decoder = nn.ModuleList(
            TransformerDecoderLayer(token_dim, heads, 2 * token_dim) for _ in range(num_layers)
        )
        self.queries = nn.Parameter(torch.randn(num_clip_tokens, token_dim) * 0.5)
        self.norm = nn.LayerNorm(token_dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """`tokens` (B, F, k, D) -> clip-wise tokens (B, K, D)."""
        batch_size, num_frames = tokens.shape[:2]
        positions = sinusoidal_positions((num_frames,), tokens.device).to(tokens.dtype)
        tokens = tokens + self.frame_position(positions)[None, :, None]
        tokens = rearrange(tokens, "b f k d -> b (f k) d")
        for layer in self.encoder:
            tokens = layer(tokens)
        queries = self.queries.expand(batch_size, -1, -1)
        for layer in self.decoder:
            queries = layer(queries, tokens)
        return self.norm(queries)
