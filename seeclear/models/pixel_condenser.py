# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Pixel Condenser, the denoising U-Net of SeeClear in wavelet space (section 3.2).

Shapes: B clips, F frames in a clip, sH x sW high-resolution size, C_l channels at level l (l = 0 is the wavelet grid,
h x w = sH / 2^k x sW / 2^k with k = `wavelet_levels`; each further level halves it), E the width of the timestep's
embedding, K semantic tokens of width D, P segmentation features. Frames of a clip are images of one batch inside,
(B*F, C, H, W).

    [DWT(y), DWT(u_t)] -> conv -> encoder levels -> middle -> decoder levels -> refinement -> conv -> inverse DWT
                                     | LL goes down; LH, HL, HH skip |          -> propagation -> +     -> + y = x0
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.utils import BaseOutput
from diffusers.utils.accelerate_utils import apply_forward_hook
from einops import rearrange
from torch import Tensor, nn

from seeclear.loading import FromShipped
from seeclear.shipped import SCALE

from .blocks import ChannelNorm, conv_blocks, zero_init
from .category import CaTeGory
from .condenser_config import check_config, check_inputs, level_specs
from .condenser_levels import DecoderLevel, EncoderLevel, WaveletDown, WaveletUp, neighbor_bands
from .optical_flow import clip_flow
from .propagation import ClipPropagation
from .size_requirement import SizeRequirement
from .wavelets import inverse_wavelet_packet, wavelet_packet

Semantics = tuple[int, Tensor | None, Tensor | None, Tensor | None, Tensor | None]
"""The number of frames, tokens, features, clip-wise tokens and textures, as [`DecoderLevel`] takes them."""


@dataclass
class PixelCondenserOutput(BaseOutput):
    """Output of [`PixelCondenser`].

    Attributes:
        sample: estimate of the clean frames x0, (B, F, 3, sH, sW), about [-1, 1].
        memory: the textures T after this clip (B, J, D_t), if `update_memory` was asked for and the memory is on; else
            None.
        pyramid: the features of the decoder's levels, the finest first, each (B*F, C_l, h / 2^l, w / 2^l), if
            `return_pyramid` was asked for; else None.
    """

    sample: Tensor
    memory: Tensor | None = None
    pyramid: list[Tensor] | None = None


class PixelCondenser(FromShipped, ModelMixin, ConfigMixin):
    """Denoises a clip in wavelet space: state, LR frames at HR size and semantics in, estimate of the clean frames
    out.

    Every row of the paper's ablation is a configuration: `frame_semantics`, `multi_frame_attention`, `clip_semantics`,
    `texture_memory`.

    Args:
        scale: upscaling factor s; only fixes the size requirement.
        wavelet_levels: levels k of the packet decomposition; the state has 3 * 4^k channels there.
        channels: C_l of every level, multiples of `head_dim`.
        layers_per_level: residual blocks in an encoder level and in a decoder level, or such numbers for every level.
            A level of none only hands on what the wavelet packets and the level below it give; no semantics and no
            textures are read there.
        middle_layers: residual blocks in the middle.
        refinement_blocks: residual blocks at the wavelet grid between the decoder and the last convolution. They know
            no timestep and no semantics, and cost little beside a level.
        window_size: side of an attention window; channel attention uses twice that.
        self_attention: for every level, whether its encoder has self-attention and its decoder channel attention
            beside InCAM.
        time_embed_dim: width of the timestep's embedding.
        residual_scale: the last convolution predicts (x0 - y) / residual_scale, so that it works near unit scale.
        semantic_token_dim: width of the distiller's tokens.
        semantic_feature_dim: channels P of the distiller's segmentation features.
        token_dim: D, width of the tokens inside (one learned projection each for frame-wise and clip-wise ones).
        num_clip_tokens: K of the clip-wise tokens.
        num_groups: J texture groups.
        texture_dim: D_t.
        frame_semantics: modulation by segmentation features and cross-attention to tokens (eq. 10 to 13).
        multi_frame_attention: InCAM's windows span all frames (eq. 15), else one.
        clip_semantics: clip-wise tokens and instance activation (eq. 14); needs `frame_semantics`.
        texture_memory: CaTeGory (eq. 16 to 20); needs `clip_semantics`.
        motion_compensation: y of the frames before and after, moved along the optical flow, is given to the first
            convolution too.
        motion_reach: of how many frames before, and of how many after.
        propagation_blocks: residual blocks of a last stage that propagates the decoder's features and y through the
            clip, without timestep and semantics: on every frame alone, in a step backward, in a step forward, and
            after both ([`ClipPropagation`]). None leaves it out.
        propagation_hidden_channels: width of its residual blocks between their convolutions; None is C_0.
        propagation_neighbor_channels: 3 shows it y of the frames before and after in colour, 1 in grey.
        prior_feature_channels: SeeClear* with a [`SemanticLens`] of so many channels as its prior: what the lens knows
            of every frame beside what it shows is given to the first convolution and to the refinement, too. Needs a
            wavelet grid of the LR frames' size. Ours.

    Raises:
        ValueError: a switch is on without the one it needs, `channels` do not fit `head_dim` or `self_attention`, a
            number is below what it may be, `propagation_blocks` or `prior_feature_channels` is given where 2^k is not
            s, or the first of them where C_0 is not of s^2.
    """

    _supports_gradient_checkpointing = True
    _no_split_modules = ["EncoderLevel", "DecoderLevel", "PropagationBranch"]
    _repeated_blocks = ["EncoderLevel", "DecoderLevel", "ConvBlock"]

    @register_to_config
    def __init__(
        self,
        scale: int = SCALE,
        wavelet_levels: int = 2,
        channels: tuple[int, ...] = (64, 96, 112, 112),
        layers_per_level: int | tuple[int, ...] = 2,
        middle_layers: int = 3,
        head_dim: int = 16,
        window_size: int = 8,
        self_attention: tuple[bool, ...] = (False, True, True, True),
        time_embed_dim: int = 128,
        residual_scale: float = 0.1,
        semantic_token_dim: int = 64,
        semantic_feature_dim: int = 64,
        token_dim: int = 64,
        num_clip_tokens: int = 16,
        num_groups: int = 32,
        texture_dim: int = 64,
        frame_semantics: bool = True,
        multi_frame_attention: bool = True,
        clip_semantics: bool = True,
        texture_memory: bool = True,
        motion_compensation: bool = False,
        motion_reach: int = 1,
        refinement_blocks: int = 0,
        propagation_blocks: tuple[int, int, int, int] | None = None,
        propagation_hidden_channels: int | None = None,
        propagation_neighbor_channels: int = 3,
        prior_feature_channels: int | None = None,
    ) -> None:
        super().__init__()
        check_config(self.config)
        wave_channels, specs = 3 * 4**wavelet_levels, level_specs(self.config)

        self.time_proj = Timesteps(channels[0], flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedding = TimestepEmbedding(channels[0], time_embed_dim)
        self.conv_in = nn.Conv2d(2 * wave_channels, channels[0], 3, padding=1)
        moved_channels = 2 * motion_reach * wave_channels // 4
        self.conv_moved = (
            zero_init(nn.Conv2d(moved_channels, channels[0], 3, padding=1, bias=False))
            if motion_compensation
            else None
        )
        self.conv_prior, self.refine_prior = (
            None
            if prior_feature_channels is None
            else zero_init(nn.Conv2d(prior_feature_channels, channels[0], 3, padding=1, bias=False))
            for _ in range(2)
        )
        self.encoder = nn.ModuleList(EncoderLevel(spec) for spec in specs)
        self.down = nn.ModuleList(
            WaveletDown(width, below, 3 * 4 ** (level + 1)) for level, (width, below) in enumerate(pairwise(channels))
        )
        self.up = nn.ModuleList(WaveletUp(below, width) for width, below in pairwise(channels))
        self.middle = DecoderLevel(replace(specs[-1], layers=middle_layers, shift=False))
        self.decoder = nn.ModuleList(DecoderLevel(spec) for spec in specs)
        self.conv_norm_out = ChannelNorm(channels[0])
        self.refinement = conv_blocks(refinement_blocks, channels[0])
        self.conv_out = zero_init(nn.Conv2d(channels[0], wave_channels, 3, padding=1))  # untrained: y
        self.propagation = (
            ClipPropagation(
                channels[0] + wave_channels,
                channels[0],
                wave_channels,
                propagation_blocks,
                scale,
                propagation_hidden_channels,
                propagation_neighbor_channels,
            )
            if propagation_blocks is not None
            else None
        )
        self.token_proj = nn.Linear(semantic_token_dim, token_dim) if frame_semantics else None
        self.clip_token_proj = nn.Linear(semantic_token_dim, token_dim) if clip_semantics else None
        heads = texture_dim // head_dim
        self.memory = (
            CaTeGory(num_clip_tokens, num_groups, texture_dim, tuple(channels), heads) if texture_memory else None
        )
        self.gradient_checkpointing = False

    @property
    def size_requirement(self) -> SizeRequirement:
        """What low-resolution height and width must be multiples of."""
        stride = 2 ** (self.config.wavelet_levels + len(self.config.channels) - 1)
        return SizeRequirement(max(1, stride // self.config.scale))

    @property
    def reach(self) -> int:
        """How many frames beyond either end of a clip y is looked at, where it is given."""
        return self.config.motion_reach if self.config.motion_compensation else 0

    @property
    def needs_flow(self) -> bool:
        """Whether it moves anything along the optical flow."""
        return self.conv_moved is not None or self.propagation is not None

    @property
    def needs_prior_features(self) -> bool:
        """Whether it looks at the features of a lens that is the prior."""
        return self.config.prior_feature_channels is not None

    def memory_parameters(self) -> Iterator[nn.Parameter]:
        """All parameters of CaTeGory: what the second stage of training learns (section 3.5)."""
        for name, parameter in self.named_parameters():
            if name.startswith("memory.") or ".category." in name:
                yield parameter

    def refinement_parameters(self) -> Iterator[nn.Parameter]:
        """All parameters of what follows the U-Net."""
        for module in (self.conv_norm_out, self.refine_prior, self.refinement, self.conv_out, self.propagation):
            if module is not None:
                yield from module.parameters()

    def forward(
        self,
        hidden_states: Tensor,
        timestep: Tensor | float,
        low_res: Tensor,
        tokens: Tensor | None = None,
        features: Tensor | None = None,
        clip_tokens: Tensor | None = None,
        memory: Tensor | None = None,
        update_memory: bool = False,
        read_memory: bool = True,
        flow: Tensor | None = None,
        first_frame: int = 0,
        prior_features: Tensor | None = None,
        return_pyramid: bool = False,
        return_dict: bool = True,
    ) -> PixelCondenserOutput | tuple[Any, ...]:
        """One denoising step.

        Args:
            hidden_states: the scaled state u_t, (B, F, 3, sH, sW).
            timestep: () or (B,), 0 to the trained number of steps - 1.
            low_res: y, the LR frames at HR size, (B, G, 3, sH, sW) in [-1, 1]. G is F, or more where y of frames
                before and after the clip is given, too; motion compensation looks at `reach` of them. The result has
                its dtype: in float32 what comes from y stays in float32, whatever the dtype of the network.
            tokens: frame-wise semantic tokens O (B, F, K, E); None switches the semantics off for this call.
            features: segmentation features P (B, F, P, h, w); given if and only if `tokens` is.
            clip_tokens: clip-wise semantic tokens O_c (B, K, E); None switches off what needs them.
            memory: textures T (B, J, D_t) from the clip before; the learned start if None.
            update_memory: write this clip into the memory and return it.
            read_memory: let the decoder read the textures.
            flow: the optical flow between the frames of y (B, 2, G - 1, 2, H, W) in LR pixels, as [`estimate_flow`]
                gives it, for a part of larger frames; None estimates it from y. Where the network does not need it
                (`needs_flow`) it is not looked at.
            first_frame: the index in y of the clip's first frame, 0 to G - F.
            prior_features: what the prior knows of the clip's frames (B, F, C, sH / 4, sW / 4), at LR size, as
                [`SemanticLens`] gives its `hidden_states`; None does without.
            return_pyramid: return the features of the decoder's levels, too.
            return_dict: a [`PixelCondenserOutput`], or a tuple of its fields: two, or three with the pyramid.

        Raises:
            ValueError: shapes that do not fit each other or the size requirement.
        """
        given = (hidden_states, low_res, tokens, features, flow, first_frame, prior_features)
        check_inputs(self.config, self.size_requirement, *given)
        levels, num_frames = self.config.wavelet_levels, hidden_states.shape[1]
        y = low_res[:, first_frame : first_frame + num_frames]
        if flow is None and self.needs_flow:
            flow = clip_flow(low_res, self.config.scale)

        # 0. embed time and semantics, which all levels share
        embedding = self._embed_time(timestep, hidden_states)  # (B*F, E)
        semantics = self._embed_semantics(num_frames, tokens, features, clip_tokens, memory, read_memory)

        # 1. into wavelet space
        y_bands = wavelet_packet(y.flatten(0, 1), levels)  # (B*F, 3 * 4^k, h, w)
        sample = self._into_wavelets(hidden_states, y_bands, low_res, flow, first_frame)  # (B*F, C_0, h, w)
        known = self._known_by_prior(prior_features)  # (B*F, C, h, w)
        if self.conv_prior is not None and known is not None:
            sample = sample + self.conv_prior(known)

        # 2. encoder, refilled with the low band of y: LR frames, in [-1, 1]
        refill = (y_bands[:, :3] / 2**levels).to(self.dtype)  # (B*F, 3, h, w)
        sample, skips = self._encode(sample, refill, embedding)

        # 3. middle and decoder
        pyramid = self._decode(sample, skips, embedding, semantics)  # each (B*F, C_l, h / 2^l, w / 2^l)

        # 4. back to pixels
        of_clip = None if flow is None else flow[:, :, first_frame : first_frame + num_frames - 1]
        residual = self._residual(pyramid[0], y, y_bands, of_clip, known)  # (B*F, 3 * 4^k, h, w)
        residual = self.config.residual_scale * inverse_wavelet_packet(residual, levels)  # (B*F, 3, sH, sW)
        output = y + rearrange(residual, "(b f) c h w -> b f c h w", f=num_frames).to(y.dtype)

        new_memory = None
        if update_memory and self.memory is not None:
            new_memory = self.memory(memory, pyramid=pyramid, num_frames=num_frames)
        fields = (output, new_memory, pyramid) if return_pyramid else (output, new_memory)
        return PixelCondenserOutput(*fields) if return_dict else fields

    def _known_by_prior(self, prior_features: Tensor | None) -> Tensor | None:
        """Features (B, F, C, H, W), of about the size of what is added to frames, near unit scale."""
        if prior_features is None:
            return None
        return self._as_weights_lie(prior_features.flatten(0, 1).to(self.dtype) / self.config.residual_scale)

    def _as_weights_lie(self, features: Tensor) -> Tensor:
        """The same features (N, C, H, W), in the memory format of the weights."""
        if self.conv_in.weight.is_contiguous(memory_format=torch.channels_last):
            return features.contiguous(memory_format=torch.channels_last)
        return features

    def _embed_time(self, timestep: Tensor | float, hidden_states: Tensor) -> Tensor:
        """`timestep` () or (B,) -> (B*F, E), for `hidden_states` (B, F, ...)."""
        batch_size, num_frames = hidden_states.shape[:2]
        timestep = torch.as_tensor(timestep, device=hidden_states.device).expand(batch_size)
        embedding = self.time_embedding(self.time_proj(timestep).to(self.dtype))  # (B, E)
        return F.silu(embedding).repeat_interleave(num_frames, dim=0)

    def _embed_semantics(
        self,
        num_frames: int,
        tokens: Tensor | None,
        features: Tensor | None,
        clip_tokens: Tensor | None,
        memory: Tensor | None,
        read_memory: bool,
    ) -> Semantics:
        """None stands for what is switched off or not given."""
        if self.token_proj is None or tokens is None or features is None:
            return num_frames, None, None, None, None
        tokens, features = self.token_proj(tokens).flatten(0, 1), features.flatten(0, 1)  # (B*F, K, D) and P
        if self.clip_token_proj is None or clip_tokens is None:
            return num_frames, tokens, features, None, None
        clip_tokens = self.clip_token_proj(clip_tokens)  # (B, K, D)
        textures = None
        if self.memory is not None and read_memory:
            textures = self.memory(memory, clip_tokens).repeat_interleave(num_frames, dim=0)  # (B*F, D, D_t)
        return num_frames, tokens, features, clip_tokens, textures

    def _into_wavelets(
        self, hidden_states: Tensor, y_bands: Tensor, low_res: Tensor, flow: Tensor | None, first_frame: int
    ) -> Tensor:
        """The state's bands, those of y and what other frames show -> (B*F, C_0, h, w)."""
        num_frames, levels = hidden_states.shape[1], self.config.wavelet_levels
        bands = [y_bands, wavelet_packet(hidden_states.flatten(0, 1), levels)]
        features_in = self._as_weights_lie(torch.cat(bands, dim=1).to(self.dtype))  # (B*F, 6 * 4^k, h, w)
        sample = self.conv_in(features_in)
        if self.conv_moved is None or flow is None:
            return sample
        moved = [
            self.conv_moved(neighbor_bands(low_res, flow, t, self.reach, self.config.scale, levels).to(features_in))
            for t in range(first_frame, first_frame + num_frames)
        ]
        return sample + torch.stack(moved, dim=1).flatten(0, 1)

    def _encode(self, sample: Tensor, refill: Tensor, embedding: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """The coarsest level's features, and of the others the low and high bands that skip to the decoder."""
        skips = []
        for i, level in enumerate(self.encoder):
            sample = self._run(level, sample, embedding)
            if i < len(self.down):
                refill = wavelet_packet(refill, 1)
                sample, low, high = self.down[i](sample, refill)
                skips.append((low, high))
        return sample, skips

    def _decode(
        self,
        sample: Tensor,
        skips: list[tuple[Tensor, Tensor]],
        embedding: Tensor,
        semantics: Semantics,
    ) -> list[Tensor]:
        """The features of the decoder's levels, the finest first."""
        sample = self._run(self.middle, sample, embedding, *semantics)
        pyramid: list[Tensor] = []
        for i in reversed(range(len(self.decoder))):
            if i < len(self.up):
                sample = self.up[i](sample, *skips.pop())
            sample = self._run(self.decoder[i], sample, embedding, *semantics)
            pyramid.insert(0, sample)
        return pyramid

    def _residual(
        self, sample: Tensor, y: Tensor, y_bands: Tensor, flow: Tensor | None, known: Tensor | None
    ) -> Tensor:
        """What is to be added to y, as bands: that of every frame, and what frames tell each other along the flow of
        the clip (B, 2, F - 1, 2, H, W).
        """
        refined = self.conv_norm_out(sample)  # (B*F, C_0, h, w)
        if self.refine_prior is not None and known is not None:
            refined = refined + self.refine_prior(known)
        refined = self.refinement(refined)
        residual = self.conv_out(F.silu(refined))
        if self.propagation is None or flow is None:
            return residual
        given = torch.cat([refined, y_bands.to(refined)], dim=1)
        return residual + self.propagation(given, y, flow, self._run)

    @apply_forward_hook
    def write_memory(self, memory: Tensor | None, pyramid: list[Tensor]) -> Tensor:
        """T (B, J, D_t) after a clip that was restored in tiles, in the network's dtype.

        Args:
            memory: T (B, J, D_t) before the clip; None is the learned start.
            pyramid: the features of the decoder's levels, the finest first, put together from those of the tiles:
                averaged over the frames and pooled, (B, C_l, `CaTeGory.pooled_size`, `CaTeGory.pooled_size`).

        Raises:
            ValueError: the network has no memory, or the pyramid does not fit its levels.
        """
        if self.memory is None:
            raise ValueError("`texture_memory` is off; there is no memory to write to")
        channels = [level.shape[1] for level in pyramid]
        if channels != list(self.config.channels):
            raise ValueError(f"`pyramid` has levels of {channels} channels; they must be {list(self.config.channels)}")
        memory = None if memory is None else memory.to(self.dtype)
        return self.memory(memory, pyramid=[level.to(self.dtype) for level in pyramid])

    @torch.no_grad()
    def estimate_flow(self, low_res: Tensor) -> Tensor | None:
        """The optical flow of LR frames (B, F, 3, H, W) in [-1, 1] that [`forward`] takes, (B, 2, F - 1, 2, H, W) in
        LR pixels: from every frame but the last to the next one, and from every frame but the first to the one before.
        None where the network does not need it.
        """
        return clip_flow(low_res) if self.needs_flow else None

    def _run(self, level: nn.Module, *args: object) -> Tensor:
        if torch.is_grad_enabled() and self.gradient_checkpointing:
            return self._gradient_checkpointing_func(level, *args)
        return level(*args)
