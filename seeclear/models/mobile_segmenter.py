# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""A small query-based segmenter for the default weights: MobileNetV2, a feature pyramid, and a query decoder with
masked attention.

Everywhere else a pretrained segmenter of transformers does this work ([`SemanticDistiller.from_segmenter`]). Shapes: N
frames, H x W their size, D `hidden_dim`, Q queries.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import MobileNetV2Config, MobileNetV2Model

from .attention import sinusoidal_positions
from .blocks import zero_init
from .transformer import CrossAttention, SelfAttention

STRIDES = (4, 8, 16, 32)
"""Of the pyramid's levels; height and width of the frames must be multiples of the last."""
# the last of MobileNetV2's inverted residuals at each stride, and its channels
LAST_LAYERS, CHANNELS = (1, 4, 11, 14), (24, 32, 96, 160)


class MobileBackbone(nn.Module):
    """transformers' MobileNetV2 without its last block and its classifier: features at strides 4, 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        model = MobileNetV2Model(MobileNetV2Config(tf_padding=False, layer_norm_eps=1e-5), add_pooling_layer=False)
        self.conv_stem, self.layer = model.conv_stem, model.layer[: LAST_LAYERS[-1] + 1]

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """`pixels` (N, 3, H, W), normalised by ImageNet's statistics -> (N, C_i, H / stride_i, W / stride_i)."""
        hidden_states = self.conv_stem(pixels)
        features = []
        for i, layer in enumerate(self.layer):
            hidden_states = layer(hidden_states)
            if i in LAST_LAYERS:
                features.append(hidden_states)
        return features


class PyramidLevel(nn.Module):
    """lateral 1x1 + the coarser level, enlarged; then a depthwise-separable 3x3."""

    def __init__(self, channels: int, hidden_dim: int) -> None:
        super().__init__()
        self.lateral = nn.Conv2d(channels, hidden_dim, 1)
        self.depthwise = nn.Conv2d(hidden_dim, hidden_dim, 3, padding=1, groups=hidden_dim, bias=False)
        self.pointwise = nn.Conv2d(hidden_dim, hidden_dim, 1, bias=False)
        self.norm = nn.GroupNorm(8, hidden_dim)

    def forward(self, features: Tensor, coarser: Tensor | None) -> Tensor:
        hidden_states = self.lateral(features)
        if coarser is not None:
            size = hidden_states.shape[-2:]
            hidden_states = hidden_states + F.interpolate(coarser, size=size, mode="bilinear", align_corners=False)
        return hidden_states + F.relu(self.norm(self.pointwise(self.depthwise(hidden_states))))


class QueryLayer(nn.Module):
    """Masked cross-attention to one level of the pyramid, self-attention, feed-forward (Mask2Former's order)."""

    def __init__(self, hidden_dim: int, heads: int) -> None:
        super().__init__()
        self.cross_norm, self.self_norm, self.feed_norm = (nn.LayerNorm(hidden_dim) for _ in range(3))
        self.cross = CrossAttention(hidden_dim, heads)
        self.self_attention = SelfAttention(hidden_dim, heads)
        self.feed = nn.Sequential(
            nn.Linear(hidden_dim, 4 * hidden_dim), nn.ReLU(), nn.Linear(4 * hidden_dim, hidden_dim)
        )

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, inside: Tensor) -> Tensor:
        """`queries` (N, Q, D), `keys` and `values` (N, h*w, D), `inside` bool (N, Q, h*w): where a query may look."""
        queries = queries + self.cross(self.cross_norm(queries), keys, values, inside)
        queries = queries + self.self_attention(self.self_norm(queries))
        return queries + self.feed(self.feed_norm(queries))


def frame_positions(height: int, width: int, device: torch.device) -> Tensor:
    """Where in the frame every place of a map lies, in parts of the frame: waves of half a period, 1, 2 and 4 periods
    along each axis, (height * width, 16), the rows one after the other.
    """
    axes = [(torch.arange(side, device=device, dtype=torch.float32) + 0.5) / side for side in (height, width)]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, 1)
    angles = grid[..., None] * torch.pi * 2.0 ** torch.arange(4, device=device)
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(1)


class MobileSegmenter(nn.Module):
    """Frames in; queries, pixel features and their products, the masks, out.

    Args:
        hidden_dim: D, width of queries and of pixel features; a multiple of 8 and of `heads`.
        num_queries: Q.
        decoder_layers: each looks at one level of the pyramid, coarsest first, in turn.
        heads: of attention.
        positions: whether what queries take in and the pixel features say where in the frame they are, so that a token
            can stand for one of several objects that look the same. Untrained it adds nothing.
    """

    def __init__(
        self,
        hidden_dim: int = 64,
        num_queries: int = 16,
        decoder_layers: int = 3,
        heads: int = 4,
        positions: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = MobileBackbone()
        self.pyramid = nn.ModuleList(PyramidLevel(channels, hidden_dim) for channels in CHANNELS)
        self.level_embedding = nn.Parameter(torch.zeros(3, hidden_dim))
        self.position = nn.Linear(16, hidden_dim, bias=False)
        self.value_position = zero_init(nn.Linear(16, hidden_dim, bias=False)) if positions else None
        self.pixel_position = zero_init(nn.Linear(16, hidden_dim, bias=False)) if positions else None
        self.queries = nn.Parameter(torch.randn(num_queries, hidden_dim))
        self.decoder = nn.ModuleList(QueryLayer(hidden_dim, heads) for _ in range(decoder_layers))
        self.norm = nn.LayerNorm(hidden_dim)
        self.to_pixels = nn.Conv2d(hidden_dim, hidden_dim, 1)
        nn.init.normal_(self.to_pixels.weight, std=0.1 / hidden_dim**0.5)  # masks start undecided

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """`pixels` (N, 3, H, W), normalised -> queries (N, Q, D), pixel features (N, D, H/4, W/4), and the mask logits
        (N, Q, H/4, W/4) after every layer, the last ones being those of the queries.
        """
        levels: list[Tensor] = []
        for level, features in zip(reversed(self.pyramid), reversed(self.backbone(pixels)), strict=True):
            levels.append(level(features, levels[-1] if levels else None))
        pixel_features = self.to_pixels(levels[-1])
        if self.pixel_position is not None:
            pixel_features = pixel_features + self._embed_positions(self.pixel_position, pixel_features)

        queries = self.queries.expand(len(pixels), -1, -1)
        masks = [self.masks(self.norm(queries), pixel_features)]
        for i, layer in enumerate(self.decoder):
            keys, values = self._keys_and_values(levels[i % 3], i % 3)
            queries = layer(queries, keys, values, self._inside(masks[-1], levels[i % 3].shape[-2:]))
            masks.append(self.masks(self.norm(queries), pixel_features))
        return self.norm(queries), pixel_features, masks

    @staticmethod
    def masks(tokens: Tensor, pixel_features: Tensor) -> Tensor:
        """The dot product of every token with every pixel: `tokens` (N, Q, D), `pixel_features` (N, D, h, w)."""
        return torch.einsum("nqd,ndhw->nqhw", tokens, pixel_features)

    def _keys_and_values(self, level: Tensor, index: int) -> tuple[Tensor, Tensor]:
        """Keys (with position) and values (N, h*w, D) of one level."""
        height, width = level.shape[-2:]
        positions = sinusoidal_positions((height, width), level.device).to(level.dtype)
        values = level.flatten(2).transpose(1, 2) + self.level_embedding[index]
        if self.value_position is not None:
            values = values + self._embed_positions(self.value_position, level).flatten(1).T
        return values + self.position(positions), values

    @staticmethod
    def _embed_positions(position: nn.Linear, maps: Tensor) -> Tensor:
        """What the places of `maps` (N, D, h, w) add, (D, h, w)."""
        where = position(frame_positions(maps.shape[-2], maps.shape[-1], maps.device).to(maps.dtype))
        return where.T.unflatten(1, maps.shape[-2:])

    @staticmethod
    def _inside(masks: Tensor, size: Sequence[int]) -> Tensor:
        """Where a query may look, (N, Q, h*w): inside its mask; a query whose mask is empty looks everywhere."""
        inside = F.adaptive_avg_pool2d(masks.detach(), (size[0], size[1])).flatten(2) > 0
        return inside | ~inside.any(dim=-1, keepdim=True)
