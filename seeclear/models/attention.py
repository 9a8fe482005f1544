# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Attention on images: in windows, over one frame or several, over channels, and to tokens.

Shapes: B clips, F frames in a clip, C channels, H x W positions. Inside a network the frames of a clip are images of
one batch, (B*F, C, H, W), in `channels_last` memory format where the caller asked for it; `num_frames` says how to
part them again. Attention is within windows of fixed size: a frame is treated alike whatever its size.
"""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from .blocks import ChannelNorm, zero_init


def sinusoidal_positions(lengths: tuple[int, ...], device: torch.device) -> Tensor:
    """Fixed features of a grid position: for each axis four octaves of sine and cosine, (prod(lengths), 8 * axes),
    float32.

    The coarsest wave has a period of 32 positions. Any length works, so clips may be longer than the trained ones.
    """
    frequencies = 2 * math.pi / 32 * 2.0 ** torch.arange(4, device=device, dtype=torch.float32)
    grids = torch.meshgrid(*[torch.arange(n, device=device, dtype=torch.float32) for n in lengths], indexing="ij")
    angles = torch.stack([grid.flatten() for grid in grids], dim=-1)[..., None] * frequencies  # (P, axes, 4)
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(1)


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Multi-head attention on (B, L, C), (B, S, C), (B, S, C) -> (B, L, C).

    In training on a CPU it is computed in float32: there its backward pass in bfloat16 takes five times as long.
    """
    query, key, value = (rearrange(x, "b l (h d) -> b h l d", h=heads) for x in (query, key, value))
    if query.dtype != torch.bfloat16 or query.device.type != "cpu" or not query.requires_grad:
        attended = F.scaled_dot_product_attention(query, key, value)
    else:
        with torch.autocast("cpu", enabled=False):
            attended = F.scaled_dot_product_attention(query.float(), key.float(), value.float()).to(query.dtype)
    return rearrange(attended, "b h l d -> b l (h d)")


def window_partition(images: Tensor, size: int, offset: int, num_frames: int) -> Tensor:
    """Images (B*F, C, H, W) -> their windows (B*rows*columns, F*size*size, C).

    The first window starts `offset` above and left of the image; there, and where the last windows end beyond it, the
    edge is repeated.
    """
    bottom, right = (-(side + offset) % size for side in images.shape[-2:])
    if offset or bottom or right:
        images = F.pad(images, (offset, right, offset, bottom), mode="replicate")
    return rearrange(images, "(b f) c (i p) (j q) -> (b i j) (f p q) c", f=num_frames, p=size, q=size)


def window_reverse(windows: Tensor, size: int, offset: int, num_frames: int, height: int, width: int) -> Tensor:
    """Windows (B*rows*columns, F*size*size, C) of [`window_partition`] -> images, channels last (B*F, H, W, C)."""
    rows, columns = (-(-(side + offset) // size) for side in (height, width))
    layout = {"i": rows, "j": columns, "f": num_frames, "p": size, "q": size}
    images = rearrange(windows, "(b i j) (f p q) c -> (b f) (i p) (j q) c", **layout)
    return images[:, offset : offset + height, offset : offset + width]


class WindowSelfAttention(nn.Module):
    """Self-attention in windows, over one frame or over all frames of the clip.

    With `multi_frame` it is the multi-frame self-attention (MFSA) of InCAM (SeeClear, eq. 15): a window spans all
    frames, so every pixel finds its counterparts in the others without optical flow. Without, it is the intra-sub-band
    attention of the encoder. With `shift` the windows start half a window outside the image. The output projection
    starts at zero.
    """

    def __init__(self, channels: int, head_dim: int, window_size: int, shift: bool, multi_frame: bool) -> None:
        super().__init__()
        self.heads = channels // head_dim
        self.window_size, self.shift, self.multi_frame = window_size, shift, multi_frame
        self.norm = ChannelNorm(channels)
        self.position = nn.Linear(24, channels, bias=False)
        self.to_qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.to_out = zero_init(nn.Linear(channels, channels))

    def forward(self, hidden_states: Tensor, num_frames: int) -> Tensor:
        """`hidden_states` (B*F, C, H, W)."""
        size, offset = self.window_size, self.window_size // 2 if self.shift else 0
        span = num_frames if self.multi_frame else 1
        windows = window_partition(self.norm(hidden_states), size, offset, span)  # (B*n, F*p*p, C)
        positions = sinusoidal_positions((span, size, size), windows.device)  # (F*p*p, 24)
        windows = windows + self.position(positions.to(windows.dtype))
        query, key, value = self.to_qkv(windows).chunk(3, dim=-1)
        attended = attend(query, key, value, self.heads)  # (B*n, F*p*p, C)
        attended = window_reverse(attended, size, offset, span, *hidden_states.shape[-2:])  # (B*F, H, W, C)
        return hidden_states + self.to_out(attended).permute(0, 3, 1, 2)


class ChannelSelfAttention(nn.Module):
    """Attention over channels (inter-sub-band, SeeClear section 3.2): C/heads x C/heads maps, cost linear in the
    pixels.

    Channels are compared by their cosine over the pixels of a window of `window_size` (twice the spatial attention's).
    The output projection starts at zero.
    """

    def __init__(self, channels: int, head_dim: int, window_size: int) -> None:
        super().__init__()
        self.heads, self.window_size = channels // head_dim, window_size
        self.norm = ChannelNorm(channels)
        self.to_qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.temperature = nn.Parameter(torch.ones(self.heads, 1, 1))
        self.to_out = zero_init(nn.Linear(channels, channels))

    def forward(self, hidden_states: Tensor) -> Tensor:
        """`hidden_states` (N, C, H, W)."""
        qkv = self.to_qkv(self.norm(hidden_states).permute(0, 2, 3, 1))  # (N, H, W, 3C)
        # whole windows, and apart from them those at the right, below and in the corner that the image does not fill
        rows, columns = (
            [length for length in (side - side % self.window_size, side % self.window_size) if length]
            for side in hidden_states.shape[-2:]
        )
        bands = [
            torch.cat([self._attend(part) for part in band.split(columns, dim=2)], dim=2)
            for band in qkv.split(rows, dim=1)
        ]
        return hidden_states + self.to_out(torch.cat(bands, dim=1)).permute(0, 3, 1, 2)

    def _attend(self, qkv: Tensor) -> Tensor:
        """A part of the images whose windows are alike, (N, i*p, j*q, 3C) -> (N, i*p, j*q, C).

        A window that the image does not fill is filled up by repeating the edge: positions there count several times.
        """
        height, width = (min(side, self.window_size) for side in qkv.shape[1:3])
        layout = {"i": qkv.shape[1] // height, "j": qkv.shape[2] // width, "h": self.heads}
        query, key, value = rearrange(
            qkv, "n (i p) (j q) (three h d) -> three (n i j h) (p q) d", three=3, **layout
        ).unbind()
        # the square roots of the positions' weights, whose sum is one: sums over a window are means over its positions
        weights = qkv.new_full((height, width), 1 / self.window_size)
        weights[-1] *= (self.window_size - height + 1) ** 0.5
        weights[:, -1] *= (self.window_size - width + 1) ** 0.5
        weights = weights.flatten()[:, None]
        query, key = query * weights, key * weights
        products = query.transpose(1, 2) @ key  # (N*i*j*heads, d, d)
        query_square, key_square = (x.square().sum(dim=1, dtype=torch.float32) for x in (query, key))
        lengths = (query_square[:, :, None] * key_square[:, None]).clamp(min=1e-24)
        cosines = (products.float() * lengths.rsqrt()).unflatten(0, (-1, self.heads))
        attention = (cosines * self.temperature).softmax(dim=-1).flatten(0, 1)
        attended = value @ attention.transpose(1, 2).to(value.dtype)
        return rearrange(attended, "(n i j h) (p q) d -> n (i p) (j q) (h d)", p=height, **layout)


class PixelCrossAttention(nn.Module):
    """Cross-attention with pixels as queries and a few tokens as keys and values.

    `hidden_states` (N, C, H, W), `context` (N, S, E) -> (N, C, H, W), without the residual. The output projection
    starts at zero.
    """

    def __init__(self, channels: int, context_dim: int, head_dim: int) -> None:
        super().__init__()
        self.heads = channels // head_dim
        self.norm = ChannelNorm(channels)
        self.norm_context = nn.LayerNorm(context_dim)
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_kv = nn.Linear(context_dim, 2 * channels, bias=False)
        self.to_out = zero_init(nn.Linear(channels, channels))

    def forward(self, hidden_states: Tensor, context: Tensor) -> Tensor:
        height = hidden_states.shape[-2]
        query = self.to_q(rearrange(self.norm(hidden_states), "n c h w -> n (h w) c"))
        key, value = self.to_kv(self.norm_context(context)).chunk(2, dim=-1)
        attended = self.to_out(attend(query, key, value, self.heads))  # (N, H*W, C)
        return rearrange(attended, "n (h w) c -> n h w c", h=height).permute(0, 3, 1, 2)
