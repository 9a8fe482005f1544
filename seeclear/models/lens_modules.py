# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What the Pixel Enhancer of Semantic Lens (AAAI 2024, arXiv 2312.07823) is made of: pre-alignment (IMAGE), the SPACE
block (GPS, then ISEE) and multi-frame attention.

Shapes: N images (clips, or frames of clips), C channels, H x W low-resolution pixels. Attention works on patches of
2x2 pixels, so on H/2 x W/2 positions: a quarter of the queries and a quarter of the keys, and no pixel is lost, since
a patch carries all four. Where a side is odd, the last patches are filled up by repeating the edge.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from .attention import PixelCrossAttention, WindowSelfAttention
from .blocks import in_parts, zero_init

PATCH = 2


def fill_up(maps: Tensor, multiple_of: int = PATCH) -> Tensor:
    """Maps (N, C, H, W) to sides that are multiples of a number, by repeating the edge below and to the right."""
    height, width = maps.shape[-2:]
    padding = (0, -width % multiple_of, 0, -height % multiple_of)
    return F.pad(maps, padding, mode="replicate") if any(padding) else maps


class ToPatches(nn.Module):
    """The pixels of every 2x2 patch to one vector: (N, C, H, W) -> (N, D, H/2, W/2), by one linear map."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(PATCH * PATCH * channels, dim, bias=False)

    def forward(self, hidden_states: Tensor) -> Tensor:
        pixels = fill_up(hidden_states).permute(0, 2, 3, 1)
        patches = rearrange(pixels, "n (h p) (w q) c -> n h w (p q c)", p=PATCH, q=PATCH)
        return self.linear(patches).permute(0, 3, 1, 2)


class FromPatches(nn.Module):
    """One vector a patch to its 2x2 pixels: (N, D, H/2, W/2) -> (N, C, H, W), by one linear map. `size` is H and W."""

    def __init__(self, dim: int, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, PATCH * PATCH * channels, bias=False)

    def forward(self, patches: Tensor, size: torch.Size) -> Tensor:
        vectors = self.linear(patches.permute(0, 2, 3, 1))
        pixels = rearrange(vectors, "n h w (p q c) -> n (h p) (w q) c", p=PATCH, q=PATCH)
        return pixels[:, : size[0], : size[1]].permute(0, 3, 1, 2)


def sampling_matrix(start: Tensor, stop: Tensor, count: int, step: float, inputs: int) -> Tensor:
    """Linear interpolation along one axis of a map that covers a whole frame, as a matrix.

    Args:
        start, stop: (N,), the part of the frame that is looked at, as fractions of it.
        count: how many samples; more than fit into the part repeat the frame's edge or what lies there.
        step: their distance as a fraction of the part.
        inputs: positions of the map.

    Returns:
        (N, count, inputs), float32; every row sums to one. Beyond the frame the map's edge is repeated.
    """
    samples = (torch.arange(count, device=start.device, dtype=torch.float32) + 0.5) * step
    places = start.float()[:, None] + (stop - start).float()[:, None] * samples  # fractions of the frame
    places = (places * inputs - 0.5).clamp(0, inputs - 1)
    distance = places[..., None] - torch.arange(inputs, device=start.device, dtype=torch.float32)
    return (1 - distance.abs()).clamp(min=0)


def sample_maps(maps: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Maps (N, h, w, C), rows (N, H, h) and columns (N, W, w) of [`sampling_matrix`] -> (N, H, W, C)."""
    height = rows.shape[1]
    maps = (rows.to(maps.dtype) @ maps.flatten(2)).unflatten(2, maps.shape[2:])  # (N, H, w, C)
    columns = columns.to(maps.dtype)[:, None].expand(-1, height, -1, -1)
    return columns @ maps


class ImplicitMaskedAlignment(nn.Module):
    """IMAGE, implicit masked attention guided pre-alignment: brings the features of a supporting frame to where the
    reference frame has the same thing.

    Every patch of the reference looks for its like in a window of the supporting frame, `window_size` + 2 `radius`
    patches wide, and takes over the features that it finds there. How alike two patches are is the cosine of their
    descriptors, times a learned sharpness, plus a learned bias for each displacement. Descriptors are one linear map
    of the frames' shallow features, the same for reference and support, so that untrained alignment is block matching
    already. The instance masks are added to the logits: sum_k M_k(p) M_k(q) is large where both patches p and q show
    the same instance, so a pixel looks where its instance is. The first head's bias starts narrow, so that what has
    not moved is found as it was; the others start wide. All start narrower where the support is `compensated`, and
    how much of each channel is taken over is learned there, from nothing on: untrained, the support stays as it is.

    Args:
        channels: C.
        heads: attention maps; each moves C / heads of the channels.
        head_dim: width of a descriptor.
        window_size: queries in a window, a side, in patches.
        radius: by how many patches the keys' window is wider at each side.
        masks: whether instance masks are added to the logits.
        compensated: whether the support was moved along the flow already.
        described_channels: of the maps that patches are described by; None is C.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        head_dim: int,
        window_size: int,
        radius: int,
        masks: bool = True,
        compensated: bool = False,
        described_channels: int | None = None,
    ) -> None:
        super().__init__()
        self.heads, self.window_size, self.radius = heads, window_size, radius
        described_channels = channels if described_channels is None else described_channels
        self.describe = ToPatches(described_channels, heads * head_dim)
        self.log_sharpness = nn.Parameter(torch.full((heads, 1), 4.0))
        self.mask_weight = nn.Parameter(torch.ones(heads, 1)) if masks else None
        reach = window_size + radius - 1
        axis = torch.arange(-reach, reach + 1, dtype=torch.float32).square()
        width = torch.tensor([4.0] + [1.0] * (heads - 1) if compensated else [1.0] + [0.1] * (heads - 1))
        self.position_bias = nn.Parameter(-width[:, None, None] * (axis[:, None] + axis))  # (heads, dy, dx)
        self.share = nn.Parameter(torch.zeros(channels)) if compensated else None

    def descriptors(self, features: Tensor, masks: Tensor | None) -> Tensor:
        """What patches are compared by, of all frames at once.

        Args:
            features: shallow features, or the frames themselves, (N, C, H, W).
            masks: instance masks M in [0, 1], (N, H/2, W/2, K); given if and only if the module takes masks.

        Returns:
            (N, H/2, W/2, heads * (head_dim + 1 + K)): for each head a vector of length one, a one, and the masks.
        """
        described = self.describe(features).permute(0, 2, 3, 1).unflatten(-1, (self.heads, -1))
        described = F.normalize(described, dim=-1)  # (N, H/2, W/2, heads, head_dim)
        parts = [described, torch.ones_like(described[..., :1])]
        if masks is not None:
            parts.append(masks[:, :, :, None].to(described.dtype).expand(-1, -1, -1, self.heads, -1))
        return torch.cat(parts, dim=-1).flatten(3)

    def forward(self, reference: Tensor, support: Tensor, hidden_states: Tensor) -> Tensor:
        """Moves the features of the supporting frame.

        Args:
            reference: descriptors of the reference frame, as [`descriptors`] gives them.
            support: of the supporting frame.
            hidden_states: the supporting frame's features (N, C, H, W).

        Returns:
            The features (N, C, H, W), aligned to the reference.
        """
        height, width = reference.shape[1:3]
        size, heads = self.window_size, self.heads
        rows, columns = -(-height // size), -(-width // size)
        values = rearrange(
            fill_up(hidden_states).permute(0, 2, 3, 1),
            "n (h p) (w q) (g c) -> n h w (g p q c)",
            p=PATCH,
            q=PATCH,
            g=heads,
        )
        query = self._windows(self._weighted(reference), rows, columns, 0)  # (N*n, heads, size^2, d)
        key, value = (self._windows(x, rows, columns, self.radius) for x in (support, values))
        logits = query @ key.transpose(-1, -2) + self._bias().to(query.dtype)
        moved = logits.softmax(dim=-1).to(value.dtype) @ value  # (N*n, heads, size^2, p*q*c)
        moved = rearrange(
            moved,
            "(n i j) g (a b) (p q c) -> n (i a p) (j b q) (g c)",
            i=rows,
            j=columns,
            a=size,
            p=PATCH,
            q=PATCH,
        )
        moved = moved[:, : hidden_states.shape[2], : hidden_states.shape[3]].permute(0, 3, 1, 2)
        return moved if self.share is None else hidden_states.lerp(moved, self.share.to(moved.dtype)[:, None, None])

    def _weighted(self, descriptors: Tensor) -> Tensor:
        """Descriptors as queries, (N, H/2, W/2, heads * d) each. Their product with those of the supporting frame is
        the logits up to the displacement's bias: sharpness * (cosine - 1), small where it matters and so exact in half
        precision, and the masks' part.
        """
        maps = descriptors.unflatten(-1, (self.heads, -1))
        sharpness = self.log_sharpness.exp()  # (heads, 1)
        weights = [sharpness.expand(-1, self.describe.linear.out_features // self.heads), -sharpness]
        if self.mask_weight is not None:
            weights.append(self.mask_weight.expand(-1, maps.shape[-1] - sum(w.shape[1] for w in weights)))
        return (maps * torch.cat(weights, dim=1).to(maps.dtype)).flatten(3)

    def _windows(self, maps: Tensor, rows: int, columns: int, margin: int) -> Tensor:
        """(N, h, w, heads * d) -> overlapping windows (N * rows * columns, heads, (size + 2 margin)^2, d); the edge is
        repeated.
        """
        size = self.window_size
        height, width = maps.shape[1:3]
        padding = (margin, columns * size - width + margin, margin, rows * size - height + margin)
        padded = F.pad(maps.permute(0, 3, 1, 2), padding, mode="replicate").permute(0, 2, 3, 1)
        windows = padded.unfold(1, size + 2 * margin, size).unfold(2, size + 2 * margin, size)
        return rearrange(windows, "n i j (g d) a b -> (n i j) g (a b) d", g=self.heads)

    def _bias(self) -> Tensor:
        """The bias of every pair of query and key in a window, (heads, size^2, (size + 2 radius)^2)."""
        size, radius, device = self.window_size, self.radius, self.position_bias.device
        query = torch.arange(size, device=device)
        key = torch.arange(-radius, size + radius, device=device)
        offset = key[None] - query[:, None] + size + radius - 1  # (size, side), from 0
        table = self.position_bias[:, offset][..., offset]  # (heads, query row, key row, query column, key column)
        return rearrange(table, "g a k b l -> g (a b) (k l)")


class GlobalPerspectiveShifter(nn.Module):
    """GPS: the frame's global tokens, laid out as a coarse grid and up-sampled to the features' size, give gamma and
    beta; F * (1 + gamma) + beta.

    The global tokens are the segmentation features of the whole frame, pooled to `grid` x `grid` and projected. The
    last map starts at zero: untrained, nothing is shifted.
    """

    def __init__(self, channels: int, feature_dim: int, grid: int) -> None:
        super().__init__()
        self.grid = grid
        self.norm = nn.LayerNorm(feature_dim)
        self.to_tokens = nn.Linear(feature_dim, channels)
        self.to_modulation = zero_init(nn.Linear(channels, 2 * channels))

    def modulation(self, features: Tensor) -> Tensor:
        """Segmentation features P of whole frames (N, P, h, w) -> gamma and beta as a grid (N, grid, grid, 2C)."""
        pooled = F.adaptive_avg_pool2d(features, self.grid).permute(0, 2, 3, 1)
        return self.to_modulation(F.gelu(self.to_tokens(self.norm(pooled))))

    def forward(self, hidden_states: Tensor, modulation: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """`hidden_states` (N, C, H, W), `modulation` as above, and what samples it: [`sampling_matrix`] to H and W."""
        gamma, beta = sample_maps(modulation, rows, columns).permute(0, 3, 1, 2).chunk(2, dim=1)
        return torch.addcmul(beta, hidden_states, gamma).add_(hidden_states)


class InstanceSemanticEmbedding(nn.Module):
    """ISEE: pixels, embedded as patches, cross-attend to the video-wise instance tokens. Untrained it adds nothing."""

    def __init__(self, channels: int, token_dim: int, head_dim: int) -> None:
        super().__init__()
        self.to_patches = ToPatches(channels, channels)
        self.attention = PixelCrossAttention(channels, token_dim, head_dim)
        self.from_patches = FromPatches(channels, channels)

    def forward(self, hidden_states: Tensor, clip_tokens: Tensor) -> Tensor:
        """`hidden_states` (N, C, H, W), `clip_tokens` O_c (N, K, D)."""
        embedded = self.attention(self.to_patches(hidden_states), clip_tokens)
        return self.from_patches(embedded, hidden_states.shape[-2:]).add_(hidden_states)


class MultiFrameAttention(nn.Module):
    """Multi-frame self-attention blocks on patches: windows that span all frames of the clip, shifted every other
    block. Untrained it adds nothing.
    """

    def __init__(self, channels: int, layers: int, head_dim: int, window_size: int) -> None:
        super().__init__()
        self.to_patches = ToPatches(channels, channels)
        self.layers = nn.ModuleList(
            WindowSelfAttention(channels, head_dim, window_size, shift=i % 2 == 1, multi_frame=True)
            for i in range(layers)
        )
        self.from_patches = FromPatches(channels, channels)
        zero_init(self.from_patches.linear)

    def forward(self, hidden_states: Tensor, num_frames: int) -> Tensor:
        """`hidden_states` (B*F, C, H, W)."""
        patches = in_parts(self.to_patches, hidden_states)
        for layer in self.layers:
            patches = layer(patches, num_frames)
        return in_parts(lambda x, y: self.from_patches(y, x.shape[-2:]).add_(x), hidden_states, patches)
