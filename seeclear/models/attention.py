# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Blocks that the networks share: norm, residual blocks with and without a timestep, window, channel and cross
attention.

Shapes: B clips, F frames in a clip, C channels, H x W positions. Inside a network the frames of a clip are images of
one batch, (B*F, C, H, W), in `channels_last` memory format where the caller asked for it; `num_frames` says how to
part them again.

Norms are per position and attention is within windows of fixed size: nothing is averaged over the whole image, so a
frame is treated alike whatever its size, and a network that was trained on crops meets the same statistics at full
size.
"""

import math
from collections.abc import Callable
from itertools import groupby
from typing import TypeVar

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)
Runs = list[tuple[int, slice]]


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
        scale, shift = self.modulation(time_embedding)[:, :, None, None].chunk(2, dim=1)
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


def sinusoidal_positions(lengths: tuple[int, ...], device: torch.device) -> Tensor:
    """Fixed features of a grid position: for each axis four octaves of sine and cosine, (prod(lengths), 8 * axes),
    float32.

    The coarsest wave has a period of 32 positions. Any length works, so clips may be longer than the trained ones.
    """
    frequencies = 2 * math.pi / 32 * 2.0 ** torch.arange(4, device=device, dtype=torch.float32)
    grids = torch.meshgrid(*[torch.arange(n, device=device, dtype=torch.float32) for n in lengths], indexing="ij")
    angles = torch.stack([grid.flatten() for grid in grids], dim=-1)[..., None] * frequencies  # (P, axes, 4)
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(1)


def _runs(length: int, size: int, offset: int = 0) -> Runs:
    """The windows along an axis as runs of equal ones: how many, and which of their positions are in the image.

    The first window starts `offset` before the image.
    """
    inside = [(max(-start, 0), min(length - start, size)) for start in range(-offset, length, size)]
    return [(len(list(group)), slice(*limits)) for limits, group in groupby(inside)]


def _in_blocks(attend: Callable[[Tensor, slice, slice], Tensor], grid: Tensor, rows: Runs, columns: Runs) -> Tensor:
    """Cuts `grid` along its second and third axis, attends in each block, and puts the results together.

    `rows` and `columns` hold for every block its length in the grid and the slice that `attend` is told.
    """
    if len(rows) == len(columns) == 1:
        return attend(grid, rows[0][1], columns[0][1])  # spares copies
    bands = []
    for band, (_, row) in zip(grid.split([length for length, _ in rows], dim=1), rows, strict=True):
        blocks = band.split([length for length, _ in columns], dim=2)
        attended = [attend(block, row, column) for block, (_, column) in zip(blocks, columns, strict=True)]
        bands.append(torch.cat(attended, dim=2))
    return torch.cat(bands, dim=1)


def _fused_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """PyTorch's attention, (..., L, d), (..., S, d), (..., S, d) -> (..., L, d).

    In training on a CPU it is computed in float32: there its backward pass in bfloat16 takes five times as long.
    """
    if query.dtype != torch.bfloat16 or query.device.type != "cpu" or not query.requires_grad:
        return F.scaled_dot_product_attention(query, key, value)
    with torch.autocast("cpu", enabled=False):
        return F.scaled_dot_product_attention(query.float(), key.float(), value.float()).to(query.dtype)


class _Windows:
    """Parts images into windows and attends within each; borders are filled up by repeating the edge.

    With `shift` the grid of windows starts half a window outside the image.
    """

    def __init__(self, hidden_states: Tensor, size: int, shift: bool, num_frames: int) -> None:
        self.size, self.num_frames = size, num_frames
        self.offset = size // 2 if shift else 0
        self.height, self.width = hidden_states.shape[-2:]
        self.row_runs, self.column_runs = (_runs(n, size, self.offset) for n in (self.height, self.width))
        self.rows, self.columns = (sum(count for count, _ in runs) for runs in (self.row_runs, self.column_runs))

    def part(self, hidden_states: Tensor) -> Tensor:
        """(B*F, C, H, W) -> (B*rows*columns, F*size*size, C)"""
        bottom = self.rows * self.size - self.height - self.offset
        right = self.columns * self.size - self.width - self.offset
        if self.offset or bottom or right:
            hidden_states = F.pad(hidden_states, (self.offset, right, self.offset, bottom), mode="replicate")
        return rearrange(
            hidden_states, "(b f) c (i p) (j q) -> (b i j) (f p q) c", f=self.num_frames, p=self.size, q=self.size
        )

    def attend(self, qkv: Tensor, heads: int) -> Tensor:
        """Multi-head attention within every window, of those queries alone that lie in the image.

        Queries, keys and values (B*rows*columns, F*size*size, 3C) -> (B*F, H, W, C).
        """
        windows = rearrange(
            qkv,
            "(b i j) (f p q) c -> b i j f p q c",
            i=self.rows,
            j=self.columns,
            f=self.num_frames,
            p=self.size,
            q=self.size,
        )

        def attend(block: Tensor, inside_rows: slice, inside_columns: slice) -> Tensor:
            """Alike windows (B, i, j, F, size, size, 3C) -> what they show of the image, (B*F, i*p, j*q, C)."""
            query, key, value = block.chunk(3, dim=-1)
            query = query[..., inside_rows, inside_columns, :]
            query, key, value = (
                rearrange(x, "b i j f p q (h d) -> (b i j) h (f p q) d", h=heads) for x in (query, key, value)
            )
            return rearrange(
                _fused_attention(query, key, value),
                "(b i j) h (f p q) d -> (b f) (i p) (j q) (h d)",
                i=block.shape[1],
                j=block.shape[2],
                f=self.num_frames,
                p=inside_rows.stop - inside_rows.start,
            )

        return _in_blocks(attend, windows, self.row_runs, self.column_runs)


def _attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Multi-head attention on (B, L, C), (B, S, C), (B, S, C) -> (B, L, C)."""
    query, key, value = (rearrange(x, "b l (h d) -> b h l d", h=heads) for x in (query, key, value))
    return rearrange(_fused_attention(query, key, value), "b h l d -> b l (h d)")


class WindowSelfAttention(nn.Module):
    """Self-attention in windows, over one frame or over all frames of the clip.

    With `multi_frame` it is the multi-frame self-attention (MFSA) of InCAM (SeeClear, eq. 15): a window spans all
    frames, so every pixel finds its counterparts in the others without optical flow. Without, it is the intra-sub-band
    attention of the encoder. The output projection starts at zero.
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
        span = num_frames if self.multi_frame else 1
        windows = _Windows(hidden_states, self.window_size, self.shift, span)
        tokens = windows.part(self.norm(hidden_states))  # (B*n, F*p*p, C)
        positions = sinusoidal_positions((span, self.window_size, self.window_size), tokens.device)
        tokens = tokens + self.position(positions.to(tokens.dtype))
        attended = windows.attend(self.to_qkv(tokens), self.heads)
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
        rows, columns = (
            [(count * inside.stop, inside) for count, inside in _runs(n, self.window_size)]
            for n in hidden_states.shape[-2:]
        )
        return hidden_states + self.to_out(_in_blocks(self._attend, qkv, rows, columns)).permute(0, 3, 1, 2)

    def _attend(self, qkv: Tensor, rows: slice, columns: slice) -> Tensor:
        """In windows that show as many rows and columns, (N, i*p, j*q, 3C) -> (N, i*p, j*q, C).

        A window that the image does not fill is filled up by repeating the edge: positions there count several times.
        """
        height, width = rows.stop, columns.stop
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
        attended = _attend(query, key, value, self.heads)
        return rearrange(self.to_out(attended), "n (h w) c -> n h w c", h=height).permute(0, 3, 1, 2)
