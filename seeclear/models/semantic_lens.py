# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Semantic Lens, a regression network for video super-resolution (AAAI 2024, arXiv 2312.07823): the Pixel Enhancer.

Its Semantic Extractor is the [`SemanticDistiller`], frozen and apart, so that it runs once where this network is the
prior of SeeClear, which needs the same semantics.

Shapes: B clips, F frames in a clip, C channels, H x W low-resolution size, s the scale, K video-wise instance tokens
of width D, P segmentation features. Everything works at low resolution up to the last convolution.

    LR frames -> extraction -> features of every frame
    features -> backward branch, last frame to first   \\  every step: support -> IMAGE -> GPS -> ISEE -> aligned;
    features, backward -> forward branch, first to last /              [features, aligned] -> fuse -> residual blocks
    forward -> multi-frame attention -> residual blocks -> conv -> pixel shuffle -> + bicubic
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.utils import BaseOutput
from torch import Tensor, nn

from seeclear.loading import FromShipped
from seeclear.resize import imresize
from seeclear.shipped import SCALE

from .blocks import conv_blocks, in_parts, zero_init
from .lens_modules import (
    PATCH,
    GlobalPerspectiveShifter,
    ImplicitMaskedAlignment,
    InstanceSemanticEmbedding,
    MultiFrameAttention,
    sample_maps,
    sampling_matrix,
)
from .optical_flow import clip_flow
from .propagation import ClipMotion
from .semantic_propagation import ClipSemantics, SemanticPropagationBranch


@dataclass
class SemanticLensOutput(BaseOutput):
    """Output of [`SemanticLens`].

    Attributes:
        sample: the HR frames (B, F, 3, sH, sW), about [-1, 1], in the dtype of the LR frames.
    """

    sample: Tensor


class SemanticLens(FromShipped, ModelMixin, ConfigMixin):
    """LR clip and its semantics in, HR clip out, in one pass.

    Each module is a switch: `image`, `gps`, `isee`, `multi_frame_attention`. With all of them off it is a plain
    bidirectional recurrent network and needs no semantics.

    Args:
        scale: upscaling factor s.
        channels: C, a multiple of `head_dim`, of `alignment_heads`.
        extraction_blocks: residual blocks on every frame alone.
        backward_blocks, forward_blocks: residual blocks in a step of each branch.
        reconstruction_blocks: residual blocks after the propagation.
        head_dim: width of an attention head, and of a descriptor of IMAGE.
        alignment_heads: attention maps of IMAGE.
        alignment_window_size: side of the window of queries that IMAGE looks up together, in patches of 2x2 LR pixels.
        search_radius: how many patches the window in which it looks is wider at each side.
        attention_layers: multi-frame self-attention blocks.
        attention_window_size: side of their windows, in patches.
        global_grid: the global tokens of GPS are `global_grid` x `global_grid`.
        semantic_token_dim: D, width of the distiller's clip tokens.
        semantic_feature_dim: channels P of its segmentation features.
        image: implicit masked attention guided pre-alignment; needs the instance masks.
        gps: global perspective shifter; needs the segmentation features.
        isee: instance-specific semantic embedding encoder; needs the clip tokens.
        multi_frame_attention: self-attention over the frames of the clip.
        motion_compensation: what the branches take from the frame before, its bicubic enlargement and the
            features, is moved along the optical flow before IMAGE aligns it, so that IMAGE has to find the rest only.
            This is done at HR size, features being taken for sub-pixels, since fractions of an LR pixel are what
            several frames know more about than one.
        hidden_channels: width of the residual blocks between their convolutions; None is `channels`.
        neighbor_channels: with motion compensation, 3 shows the enlarged frame before in colour, 1 in grey.
        distiller_digest: names the distiller that it was trained with, as `pipelines.prior` does; None where
            that is not known.

    Raises:
        ValueError: `channels` does not fit `head_dim`, `alignment_heads` or, with motion compensation, `scale`^2;
            `neighbor_channels` is neither 1 nor 3, or `hidden_channels` is below 1.
    """

    _supports_gradient_checkpointing = True
    _no_split_modules = ["SemanticPropagationBranch", "MultiFrameAttention"]
    _repeated_blocks = ["ConvBlock"]

    @register_to_config
    def __init__(
        self,
        scale: int = SCALE,
        channels: int = 64,
        extraction_blocks: int = 1,
        backward_blocks: int = 2,
        forward_blocks: int = 3,
        reconstruction_blocks: int = 1,
        head_dim: int = 32,
        alignment_heads: int = 2,
        alignment_window_size: int = 8,
        search_radius: int = 4,
        attention_layers: int = 2,
        attention_window_size: int = 4,
        global_grid: int = 8,
        semantic_token_dim: int = 64,
        semantic_feature_dim: int = 64,
        image: bool = True,
        gps: bool = True,
        isee: bool = True,
        multi_frame_attention: bool = True,
        motion_compensation: bool = False,
        hidden_channels: int | None = None,
        neighbor_channels: int = 3,
        distiller_digest: str | None = None,
    ) -> None:
        super().__init__()
        if channels % head_dim or channels % alignment_heads:
            raise ValueError(
                f"`channels` is {channels}; it must be a multiple of `head_dim` {head_dim} and of `alignment_heads` "
                f"{alignment_heads}"
            )

        if motion_compensation and channels % scale**2:
            raise ValueError(f"`channels` is {channels}; motion compensation needs a multiple of {scale**2}")

        def branch(sources: int, blocks: int) -> SemanticPropagationBranch:
            return SemanticPropagationBranch(
                channels,
                sources,
                blocks,
                hidden_channels,
                scale if motion_compensation else None,
                neighbor_channels,
                ImplicitMaskedAlignment(
                    channels,
                    alignment_heads,
                    head_dim,
                    alignment_window_size,
                    search_radius,
                    compensated=motion_compensation,
                )
                if image
                else None,
                GlobalPerspectiveShifter(channels, semantic_feature_dim, global_grid) if gps else None,
                InstanceSemanticEmbedding(channels, semantic_token_dim, head_dim) if isee else None,
            )

        self.conv_in = nn.Conv2d(3, channels, 3, padding=1)
        self.extraction = conv_blocks(extraction_blocks, channels, hidden_channels)
        self.backward_branch = branch(1, backward_blocks)
        self.forward_branch = branch(2, forward_blocks)
        self.attention = (
            MultiFrameAttention(channels, attention_layers, head_dim, attention_window_size)
            if multi_frame_attention
            else None
        )
        self.reconstruction = conv_blocks(reconstruction_blocks, channels, hidden_channels)
        self.conv_out = zero_init(nn.Conv2d(channels, 3 * scale**2, 3, padding=1))  # untrained: bicubic
        self.gradient_checkpointing = False

    @property
    def needs_semantics(self) -> bool:
        """Whether any of its modules works with semantics."""
        return self.config.image or self.config.gps or self.config.isee

    @property
    def needs_flow(self) -> bool:
        """Whether it moves anything along the optical flow."""
        return self.config.motion_compensation

    def forward(
        self,
        low_res: Tensor,
        features: Tensor | None = None,
        clip_tokens: Tensor | None = None,
        clip_masks: Tensor | None = None,
        region: Tensor | None = None,
        flow: Tensor | None = None,
        return_dict: bool = True,
    ) -> SemanticLensOutput | tuple[Tensor]:
        """Upscales one clip, of any size and length.

        The semantics are those of whole frames, as [`SemanticDistiller`] gives them, each needed by its module.

        Args:
            low_res: LR frames (B, F, 3, H, W) in [-1, 1]. In float32 the bicubic part stays in float32, whatever the
                network's dtype.
            features: segmentation features P (B, F, P, h, w), for `gps`.
            clip_tokens: video-wise instance tokens O_c (B, K, D), for `isee`.
            clip_masks: logits of their masks (B, F, K, h, w), for `image`.
            region: which part of the frames `low_res` shows, (B, 4): top, left, bottom, right as fractions of the
                frame; None is the whole.
            flow: the optical flow of the LR frames (B, 2, F - 1, 2, H, W), as [`estimate_flow`] gives it, for a part
                of larger frames; None estimates it. Without motion compensation it is not looked at.
            return_dict: a [`SemanticLensOutput`] or a tuple of its field.

        Raises:
            ValueError: a shape that is not as above, or semantics that a module needs are missing.
        """
        if low_res.ndim != 5 or low_res.shape[2] != 3:
            raise ValueError(f"`low_res` is {tuple(low_res.shape)}; it must be (B, F, 3, H, W)")
        batch_size, num_frames, _, height, width = low_res.shape
        self._check_semantics(batch_size, num_frames, features, clip_tokens, clip_masks, region)
        if flow is not None and tuple(flow.shape) != (batch_size, 2, num_frames - 1, 2, height, width):
            raise ValueError(
                f"`flow` is {tuple(flow.shape)}; it must be {(batch_size, 2, num_frames - 1, 2, height, width)}"
            )

        # 1. every frame alone; an odd height or width is filled up by repeating the edge
        padding = (0, -width % PATCH, 0, -height % PATCH)
        padded = F.pad(low_res.flatten(0, 1), padding, mode="replicate")
        pixels = padded.to(self.dtype).contiguous(memory_format=torch.channels_last)
        extracted = in_parts(lambda x: self.extraction(self.conv_in(x)), pixels)  # (B*F, C, H, W)
        semantics = self._semantics(low_res, extracted.dtype, features, clip_tokens, clip_masks, region)

        # 2. from the last frame to the first, then from the first to the last
        enlarged = imresize(low_res, scale=self.config.scale)
        motion = None
        if self.config.motion_compensation:
            flow = clip_flow(low_res) if flow is None else flow
            flow = F.pad(flow.flatten(0, 2), padding, mode="replicate").unflatten(0, flow.shape[:3])
            shown = enlarged.flatten(0, 1).float()
            if any(padding):
                shown = F.pad(shown, [self.config.scale * side for side in padding], mode="replicate")
            shown = shown.unflatten(0, (batch_size, num_frames))
            motion = ClipMotion(shown, flow, self.config.scale, self.config.neighbor_channels)
        given: dict[str, Any] = {"semantics": semantics, "run": self._run}
        behind = self.backward_branch((extracted,), num_frames, motion, reverse=True, **given)  # (B*F, C, H, W)
        hidden = self.forward_branch((extracted, behind), num_frames, motion, **given)

        # 3. all frames together, and up
        if self.attention is not None:
            hidden = self._run(self.attention, hidden, num_frames)
        sample = in_parts(self._reconstruct, hidden, enlarged.flatten(0, 1)).unflatten(0, (batch_size, num_frames))
        return SemanticLensOutput(sample=sample) if return_dict else (sample,)

    def _reconstruct(self, hidden: Tensor, enlarged: Tensor) -> Tensor:
        """Features of frames (N, C, H, W), filled up to whole patches, and the frames enlarged -> the HR frames."""
        residual = F.pixel_shuffle(self.conv_out(self.reconstruction(hidden)), self.config.scale)
        height, width = enlarged.shape[-2:]
        return (enlarged + residual[..., :height, :width]).to(enlarged.dtype)

    def _check_semantics(
        self,
        batch_size: int,
        num_frames: int,
        features: Tensor | None,
        clip_tokens: Tensor | None,
        clip_masks: Tensor | None,
        region: Tensor | None,
    ) -> None:
        config = self.config
        clip = (batch_size, num_frames)
        needed: list[tuple[str, str, Tensor | None, tuple[int | None, ...]]] = [
            ("gps", "features", features, (*clip, config.semantic_feature_dim, None, None)),
            ("isee", "clip_tokens", clip_tokens, (batch_size, None, config.semantic_token_dim)),
            ("image", "clip_masks", clip_masks, (*clip, None, None, None)),
        ]
        for switch, name, value, shape in needed:
            if not config[switch]:
                continue
            if value is None:
                raise ValueError(f"`{name}` is None; a network with `{switch}` needs it")
            if value.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, value.shape, strict=True)):
                wanted = ", ".join("any" if n is None else str(n) for n in shape)
                raise ValueError(f"`{name}` is {tuple(value.shape)}; it must be ({wanted})")
        if region is not None and tuple(region.shape) != (batch_size, 4):
            raise ValueError(f"`region` is {tuple(region.shape)}; it must be ({batch_size}, 4)")

    def _semantics(
        self,
        low_res: Tensor,
        dtype: torch.dtype,
        features: Tensor | None,
        clip_tokens: Tensor | None,
        clip_masks: Tensor | None,
        region: Tensor | None,
    ) -> ClipSemantics:
        """The semantics that the configuration uses, those of the whole frame brought to the part that is shown."""
        config, semantics = self.config, ClipSemantics()
        batch_size, num_frames, _, height, width = low_res.shape
        padded_height, padded_width = height + -height % PATCH, width + -width % PATCH
        if region is None:
            region = torch.tensor([0.0, 0.0, 1.0, 1.0], device=low_res.device).expand(batch_size, 4)
        top, left, bottom, right = region.unbind(dim=1)
        if config.gps and features is not None:
            semantics.features = features.flatten(0, 1).to(dtype)
            semantics.rows = sampling_matrix(top, bottom, padded_height, 1 / height, config.global_grid)
            semantics.columns = sampling_matrix(left, right, padded_width, 1 / width, config.global_grid)
        if config.isee and clip_tokens is not None:
            semantics.clip_tokens = clip_tokens.to(dtype)
        if config.image and clip_masks is not None:
            masks = clip_masks.flatten(0, 1).permute(0, 2, 3, 1).float().sigmoid()
            rows = sampling_matrix(top, bottom, padded_height // PATCH, PATCH / height, masks.shape[1])
            columns = sampling_matrix(left, right, padded_width // PATCH, PATCH / width, masks.shape[2])
            rows, columns = (x.repeat_interleave(num_frames, dim=0) for x in (rows, columns))
            semantics.masks = sample_maps(masks, rows, columns).to(dtype)
        return semantics

    @torch.no_grad()
    def estimate_flow(self, low_res: Tensor) -> Tensor | None:
        """The optical flow of LR frames (B, F, 3, H, W) in [-1, 1] that [`forward`] takes, (B, 2, F - 1, 2, H, W) in
        LR pixels: from every frame but the last to the next one, and from every frame but the first to the one before.
        None without motion compensation.
        """
        return clip_flow(low_res) if self.config.motion_compensation else None

    def _run(self, module: nn.Module, *args: object) -> Tensor:
        if torch.is_grad_enabled() and self.gradient_checkpointing:
            return self._gradient_checkpointing_func(module, *args)
        return module(*args)
