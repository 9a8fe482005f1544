# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Attention among tokens, and the two layers of a transformer.

Shapes: B clips or frames, L and S tokens of width D. The parameters are those of PyTorch's layers of these kinds, by
the same names. PyTorch's own take the weights of the layers in them without calling these, so that hooks on calls,
by which weights are offloaded or cast, are passed over; here each layer is called.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


class MultiheadAttention(nn.Module):
    """The parameters of multi-head attention: one matrix for queries, keys and values, and one for the result."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)


class SelfAttention(MultiheadAttention):
    """Tokens attend to each other."""

    def forward(self, tokens: Tensor) -> Tensor:
        """`tokens` (B, L, D) -> the same."""
        qkv = F.linear(tokens, self.in_proj_weight) + self.in_proj_bias  # (B, L, 3D)
        qkv = rearrange(qkv, "b l (three h d) -> three b h l d", three=3, h=self.heads).contiguous()
        query, key, value = qkv.unbind()  # each (B, heads, L, d)
        attention = (query / query.shape[-1] ** 0.5 @ key.mT).softmax(dim=-1)  # (B, heads, L, L)
        return self.out_proj(rearrange(attention @ value, "b h l d -> b l (h d)"))


class CrossAttention(MultiheadAttention):
    """Tokens attend to others."""

    def forward(self, tokens: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """`tokens` (B, L, D), `keys` and `values` (B, S, D), `mask` bool (B, L, S), true where a token may look ->
        (B, L, D).
        """
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        query, key, value = (
            rearrange(F.linear(x, weight, bias), "b l (h d) -> b h l d", h=self.heads)
            for x, weight, bias in zip((tokens, keys, values), weights, biases, strict=True)
        )
        mask = None if mask is None else mask[:, None]  # the same for all heads
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)  # (B, heads, L, d)
        return self.out_proj(rearrange(attended, "b h l d -> b l (h d)"))


class TransformerEncoderLayer(nn.Module):
    """Self-attention, then two linear maps with a ReLU between, each on normed tokens and added to them."""

    def __init__(self, dim: int, heads: int, hidden_dim: int) -> None:
        super().__init__()
        self.self_attn = SelfAttention(dim, heads)
        self.linear1, self.linear2 = nn.Linear(dim, hidden_dim), nn.Linear(hidden_dim, dim)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """`tokens` (B, L, D) -> the same."""
        tokens = tokens + self.self_attn(self.norm1(tokens))
        return tokens + self.linear2(F.relu(self.linear1(self.norm2(tokens))))


class TransformerDecoderLayer(nn.Module):
    """As [`TransformerEncoderLayer`], with attention to a context after the self-attention."""

    def __init__(self, dim: int, heads: int, hidden_dim: int) -> None:
        super().__init__()
        self.self_attn = SelfAttention(dim, heads)
        self.multihead_attn = CrossAttention(dim, heads)
        self.linear1, self.linear2 = nn.Linear(dim, hidden_dim), nn.Linear(hidden_dim, dim)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)

    def forward(self, tokens: Tensor, context: Tensor) -> Tensor:
        """`tokens` (B, L, D), `context` (B, S, D) -> (B, L, D)."""
        tokens = tokens + self.self_attn(self.norm1(tokens))
        tokens = tokens + self.multihead_attn(self.norm2(tokens), context, context)
        return tokens + self.linear2(F.relu(self.linear1(self.norm3(tokens))))
