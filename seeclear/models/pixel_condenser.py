# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Pixel Condenser, the denoising U-Net of SeeClear in wavelet space (section 3.2).

Shapes: B clips, F frames in a clip, sH x sW high-resolution size, C_l channels at level l (l = 0 is the wavelet grid,
sH / 2^k x sW / 2^k with k = `wavelet_levels`; each further level halves it), K semantic tokens of width D, P
segmentation features. Frames of a clip are images of one batch inside, (B*F, C, H, W).

    [DWT(y), DWT(u_t)] -> conv -> encoder levels -> middle -> decoder levels -> refinement -> conv -> inverse DWT
                                     | LL goes down; LH, HL, HH skip |          -> propagation -> +     -> + y = x0
"""

from collections.abc import Iterator
from dataclasses import dataclass

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

from .attention import ChannelSelfAttention, WindowSelfAttention
from .blocks import ChannelNorm, ResidualBlock, conv_blocks, zero_init
from .category import CaTeGory, CaTeGoryAttention
from .incam import InCAM
from .optical_flow import clip_flow, moved_neighbor
from .propagation import ClipPropagation
from .size_requirement import SizeRequirement
from .wavelets import haar_dwt, haar_idwt, inverse_wavelet_packet, wavelet_packet


@dataclass
class PixelCondenserOutput(BaseOutput):
    """Output of [`PixelCondenser`].

    Attributes:
        sample: estimate of the clean frames x0, (B, F, 3, sH, sW), about [-1, 1].
        memory: the textures T after this clip (B, J, D_t), if `update_memory` was asked for and the memory is on; else
            None.
        pyramid: what the decoder's levels put out, finest first, each (B*F, C_l, H_l, W_l), if it was asked for.
    """

    sample: Tensor
    memory: Tensor | None = None
    pyramid: list[Tensor] | None = None


class EncoderLevel(nn.Module):
    """Residual blocks alternating with window (intra-sub-band) and channel (inter-sub-band) self-attention."""

    def __init__(
        self, channels: int, layers: int, time_embed_dim: int, head_dim: int, window_size: int, attend: bool
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ResidualBlock(channels, time_embed_dim) for _ in range(layers))
        self.attentions = nn.ModuleList(
            ChannelSelfAttention(channels, head_dim, 2 * window_size)
            if i % 2
            else WindowSelfAttention(channels, head_dim, window_size, shift=i % 4 == 2, multi_frame=False)
            for i in range(layers if attend else 0)
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

    def __init__(
        self,
        channels: int,
        layers: int,
        time_embed_dim: int,
        head_dim: int,
        window_size: int,
        shift: bool,
        token_dim: int,
        feature_dim: int,
        texture_dim: int | None,
        frame_semantics: bool,
        clip_semantics: bool,
        multi_frame_attention: bool,
        channel_attention: bool,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ResidualBlock(channels, time_embed_dim) for _ in range(layers))
        self.attentions = nn.ModuleList(
            (ChannelSelfAttention(channels, head_dim, 2 * window_size) if channel_attention else nn.Identity())
            if i % 2
            else InCAM(
                channels,
                head_dim,
                window_size,
                shift != (i % 4 == 2),
                token_dim,
                feature_dim,
                frame_semantics=frame_semantics,
                clip_semantics=clip_semantics,
                multi_frame_attention=multi_frame_attention,
            )
            for i in range(layers)
        )
        self.category = None if texture_dim is None else CaTeGoryAttention(channels, texture_dim, head_dim)

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
        """`hidden_states` (B*F, C, H, W); semantics as in [`InCAM`] and [`CaTeGoryAttention`]."""
        for i, (block, attention) in enumerate(zip(self.blocks, self.attentions, strict=True)):
            hidden_states = block(hidden_states, time_embedding)
            if i % 2:
                hidden_states = attention(hidden_states)
            else:
                hidden_states = attention(hidden_states, num_frames, tokens, features, clip_tokens)
        if self.category is not None and textures is not None:
            hidden_states = self.category(hidden_states, textures)
        return hidden_states


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
        low, high = haar_dwt(hidden_states)
        return self.conv(low) + self.refill(refill), low, high


class WaveletUp(nn.Module):
    """Decoder features as the low band, on top of the encoder's, with the encoder's high bands, through the inverse
    DWT.
    """

    def __init__(self, channels_below: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_below, channels, 3, padding=1)

    def forward(self, hidden_states: Tensor, low: Tensor, high: Tensor) -> Tensor:
        return haar_idwt(self.conv(hidden_states) + low, high)


class PixelCondenser(FromShipped, ModelMixin, ConfigMixin):
    """Denoises a clip in wavelet space: state, LR frames at HR size and semantics in, estimate of the clean frames
    out.

    Every row of the paper's ablation is a configuration: `frame_semantics`, `multi_frame_attention`, `clip_semantics`,
    `texture_memory`.

    Args:
        scale: upscaling factor s; only fixes the size requirement.
        wavelet_levels: levels k of the packet decomposition; the state has 3 * 4^k channels there.
        channels: C_l of every level, multiples of `head_dim`.
        layers_per_level: residual blocks in an encoder level and in a decoder level.
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
        propagation_blocks: residual blocks of a last stage that propagates the decoder's features and y along the
            optical flow, in both directions through the clip: on every frame alone, in a step backward, in a step
            forward, and after both ([`ClipPropagation`]). Like the refinement it knows no timestep and no semantics.
            None leaves it out.
        propagation_hidden_channels: width of its residual blocks between their convolutions; None is C_0.
        propagation_neighbor_channels: 3 shows it y of the frames before and after in colour, 1 in grey.

    Raises:
        ValueError: a switch is on without the one it needs, `channels` do not fit `head_dim` or `self_attention`,
            `motion_reach` is below 1, or `propagation_blocks` is given where 2^k is not the scale or C_0 no multiple
            of the scale's square; or one of its widths is none.
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
        layers_per_level: int = 2,
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
    ) -> None:
        super().__init__()
        if clip_semantics and not frame_semantics:
            raise ValueError("`clip_semantics` is on; it needs `frame_semantics`")
        if texture_memory and not clip_semantics:
            raise ValueError("`texture_memory` is on; it needs `clip_semantics`")
        if any(c % head_dim for c in channels) or token_dim % head_dim or texture_dim % head_dim:
            raise ValueError(
                f"`channels` {tuple(channels)}, `token_dim` and `texture_dim` must be multiples of {head_dim=}"
            )
        if len(self_attention) != len(channels):
            raise ValueError(f"`self_attention` has {len(self_attention)} entries; there are {len(channels)} levels")

        if motion_compensation and wavelet_levels < 1:
            raise ValueError(
                f"`motion_compensation` is on; it needs `wavelet_levels` of at least 1, not {wavelet_levels}"
            )
        if motion_reach < 1:
            raise ValueError(f"`motion_reach` is {motion_reach}; it must be at least 1")
        if propagation_blocks is not None and (len(propagation_blocks) != 4 or min(propagation_blocks) < 0):
            raise ValueError(f"`propagation_blocks` is {propagation_blocks}; it must be four numbers of blocks")
        if propagation_blocks is not None and 2**wavelet_levels != scale:
            raise ValueError(
                f"`propagation_blocks` is given; it needs a wavelet grid of the LR frames' size, and `wavelet_levels` "
                f"{wavelet_levels} makes it 1/{2**wavelet_levels} of the HR frames', not 1/{scale}"
            )
        if propagation_blocks is not None and channels[0] % scale**2:
            raise ValueError(
                f"`channels` begins with {channels[0]}; `propagation_blocks` needs a multiple of {scale**2}"
            )

        wave_channels = 3 * 4**wavelet_levels
        self.time_proj = Timesteps(channels[0], flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedding = TimestepEmbedding(channels[0], time_embed_dim)
        self.conv_in = nn.Conv2d(2 * wave_channels, channels[0], 3, padding=1)
        self.conv_moved = (
            zero_init(nn.Conv2d(2 * motion_reach * wave_channels // 4, channels[0], 3, padding=1, bias=False))
            if motion_compensation
            else None
        )

        self.encoder = nn.ModuleList(
            EncoderLevel(c, layers_per_level, time_embed_dim, head_dim, window_size, attend)
            for c, attend in zip(channels, self_attention, strict=True)
        )
        self.down = nn.ModuleList(
            WaveletDown(channels[level], channels[level + 1], 3 * 4 ** (level + 1))
            for level in range(len(channels) - 1)
        )
        self.up = nn.ModuleList(WaveletUp(channels[level + 1], channels[level]) for level in range(len(channels) - 1))

        def decoder_level(width: int, layers: int, shift: bool, channel_attention: bool) -> DecoderLevel:
            return DecoderLevel(
                width,
                layers,
                time_embed_dim,
                head_dim,
                window_size,
                shift,
                token_dim,
                semantic_feature_dim,
                texture_dim if texture_memory else None,
                frame_semantics,
                clip_semantics,
                multi_frame_attention,
                channel_attention,
            )

        self.middle = decoder_level(channels[-1], middle_layers, False, self_attention[-1])
        # the windows of neighbouring levels are shifted against each other
        self.decoder = nn.ModuleList(
            decoder_level(c, layers_per_level, (len(channels) - level) % 2 == 1, self_attention[level])
            for level, c in enumerate(channels)
        )
        self.conv_norm_out = ChannelNorm(channels[0])
        self.refinement = conv_blocks(refinement_blocks, channels[0])
        self.conv_out = zero_init(
            nn.Conv2d(channels[0], wave_channels, 3, padding=1)
        )  # an untrained network returns y
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
        self.memory = (
            CaTeGory(num_clip_tokens, num_groups, texture_dim, tuple(channels), texture_dim // head_dim)
            if texture_memory
            else None
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

    def memory_parameters(self) -> Iterator[nn.Parameter]:
        """All parameters of CaTeGory: what the second stage of training learns (section 3.5)."""
        for name, parameter in self.named_parameters():
            if name.startswith("memory.") or ".category." in name:
                yield parameter

    def refinement_parameters(self) -> Iterator[nn.Parameter]:
        """All parameters of what follows the U-Net."""
        for module in (self.conv_norm_out, self.refinement, self.conv_out, self.propagation):
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
        return_pyramid: bool = False,
        return_dict: bool = True,
    ) -> PixelCondenserOutput | tuple[Tensor | None, ...]:
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
            return_dict: a [`PixelCondenserOutput`] or a tuple of its fields.

        Raises:
            ValueError: shapes that do not fit each other or the size requirement.
        """
        batch_and_size = [(x.shape[:1], x.shape[2:]) for x in (hidden_states, low_res)]
        if hidden_states.ndim != 5 or batch_and_size[0] != batch_and_size[1]:
            raise ValueError(
                f"`hidden_states` is {tuple(hidden_states.shape)} and `low_res` {tuple(low_res.shape)}; "
                "they must be (B, F, 3, sH, sW) and (B, G, 3, sH, sW)"
            )
        if not 0 <= first_frame <= low_res.shape[1] - hidden_states.shape[1]:
            raise ValueError(
                f"`first_frame` is {first_frame}; `low_res` must have {hidden_states.shape[1]} frames from there on, "
                f"and has {low_res.shape[1]} in all"
            )
        if (tokens is None) != (features is None):
            raise ValueError("`tokens` and `features` belong together; one is None")
        batch_size, num_frames, _, height, width = hidden_states.shape
        SizeRequirement(self.size_requirement.multiple_of * self.config.scale).check("hidden_states", height, width)
        lr_size = (height // self.config.scale, width // self.config.scale)
        of_flow = (batch_size, 2, low_res.shape[1] - 1, 2, *lr_size)
        if flow is not None and tuple(flow.shape) != of_flow:
            raise ValueError(f"`flow` is {tuple(flow.shape)}; it must be {of_flow}")

        # 0. timestep, and semantics that all levels share
        timestep = torch.as_tensor(timestep, device=hidden_states.device).expand(batch_size)
        embedding = self.time_embedding(self.time_proj(timestep).to(self.dtype))
        embedding = F.silu(embedding).repeat_interleave(num_frames, dim=0)  # (B*F, E)
        if self.token_proj is None or tokens is None:
            tokens = features = clip_tokens = None
        else:
            tokens, features = self.token_proj(tokens).flatten(0, 1), features.flatten(0, 1)  # type: ignore[union-attr]
            if self.clip_token_proj is None or clip_tokens is None:
                clip_tokens = None
            else:
                clip_tokens = self.clip_token_proj(clip_tokens)
        textures = None
        if self.memory is not None and clip_tokens is not None:
            memory = self.memory.initial_state(batch_size) if memory is None else memory
            if read_memory:
                textures = self.memory.read(clip_tokens, memory.to(clip_tokens.dtype))
                textures = textures.repeat_interleave(num_frames, dim=0)  # (B*F, D, D_t)
        semantics = (num_frames, tokens, features, clip_tokens, textures)

        # 1. into wavelet space
        levels = self.config.wavelet_levels
        y = low_res[:, first_frame : first_frame + num_frames]
        bands = [wavelet_packet(x.flatten(0, 1), levels) for x in (y, hidden_states)]
        y_bands, features_in = bands[0], torch.cat(bands, dim=1).to(self.dtype)  # (B*F, 3 or 6 * 4^k, sH/2^k, sW/2^k)
        if self.conv_in.weight.is_contiguous(memory_format=torch.channels_last):
            features_in = features_in.contiguous(memory_format=torch.channels_last)
        sample = self.conv_in(features_in)
        if flow is None and self.needs_flow:
            flow = clip_flow(low_res, self.config.scale)
        if self.conv_moved is not None and flow is not None:
            frames = range(first_frame, first_frame + num_frames)
            moved = [self.conv_moved(self._moved(low_res, flow, t).to(features_in)) for t in frames]
            sample = sample + torch.stack(moved, dim=1).flatten(0, 1)
        refill = (y_bands[:, :3] / 2**levels).to(self.dtype)  # the low band of y: LR frames, in [-1, 1]

        # 2. encoder
        skips = []
        for i, level in enumerate(self.encoder):
            sample = self._run(level, sample, embedding)
            if i < len(self.down):
                refill = wavelet_packet(refill, 1)
                sample, low, high = self.down[i](sample, refill)
                skips.append((low, high))

        # 3. middle and decoder
        sample = self._run(self.middle, sample, embedding, *semantics)
        pyramid = []
        for i in reversed(range(len(self.decoder))):
            if i < len(self.up):
                sample = self.up[i](sample, *skips.pop())
            sample = self._run(self.decoder[i], sample, embedding, *semantics)
            pyramid.append(sample)

        # 4. back to pixels
        refined = self.refinement(self.conv_norm_out(sample))
        residual = self.conv_out(F.silu(refined))
        if self.propagation is not None and flow is not None:
            given = torch.cat([refined, y_bands.to(refined)], dim=1)
            of_clip = flow[:, :, first_frame : first_frame + num_frames - 1]
            residual = residual + self.propagation(given, y, of_clip, self._run)
        residual = self.config.residual_scale * inverse_wavelet_packet(residual, levels)
        output = y + rearrange(residual, "(b f) c h w -> b f c h w", f=num_frames).to(y.dtype)

        new_memory = None
        if update_memory and self.memory is not None and memory is not None:
            new_memory = self.memory.write(memory.to(sample.dtype), pyramid[::-1], num_frames)
        given_pyramid = pyramid[::-1] if return_pyramid else None
        if not return_dict:
            return (output, new_memory)
        return PixelCondenserOutput(sample=output, memory=new_memory, pyramid=given_pyramid)

    @apply_forward_hook
    def write_memory(self, memory: Tensor | None, pyramid: list[Tensor]) -> Tensor:
        """CaTeGory's memory after a clip whose decoder levels, finest first, were pooled, each (B, C_l, 4, 4)."""
        memory = self.memory.initial_state(len(pyramid[0])) if memory is None else memory
        return self.memory.write(memory.to(self.dtype), [level.to(self.dtype) for level in pyramid], num_frames=1)

    @torch.no_grad()
    def estimate_flow(self, low_res: Tensor) -> Tensor | None:
        """The optical flow of LR frames (B, F, 3, H, W) in [-1, 1] that [`forward`] takes, (B, 2, F - 1, 2, H, W) in
        LR pixels: from every frame but the last to the next one, and from every frame but the first to the one before.
        None where the network does not need it.
        """
        return clip_flow(low_res) if self.needs_flow else None

    @torch.no_grad()
    def _moved(self, low_res: Tensor, flow: Tensor, t: int) -> Tensor:
        """What y (B, G, 3, sH, sW) of the frames after and before frame `t` shows beyond it, the nearest first, as
        wavelet packets (B, 6 * reach * 4^(k - 1), sH / 2^k, sW / 2^k): those of the first transform's low band, since
        enlarged frames show hardly more. The flow is that of y at the LR frames' size.
        """
        steps = [step for distance in range(1, self.reach + 1) for step in (distance, -distance)]
        sides = [moved_neighbor(low_res, flow, t, step, self.config.scale)[0] for step in steps]
        low_bands = [haar_dwt(torch.zeros_like(low_res[:, t]) if moved is None else moved)[0] for moved in sides]
        return torch.cat([wavelet_packet(low, self.config.wavelet_levels - 1) for low in low_bands], dim=1)

    def _run(self, level: nn.Module, *args: object) -> Tensor:
        if torch.is_grad_enabled() and self.gradient_checkpointing:
            return self._gradient_checkpointing_func(level, *args)
        return level(*args)
