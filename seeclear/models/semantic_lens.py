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

Other parts make it a network of the shape of BasicVSR (Chan et al., CVPR 2021, arXiv 2012.02181), whose weights it can
start from: branches that see the frame itself, moved features and nothing of each other, and larger steps up.

    frame, backward branch's moved state -> conv -> residual blocks \\  fuse -> multi-frame attention
    frame, forward branch's moved state -> conv -> residual blocks  /   -> 2 x [conv -> pixel shuffle] -> + bilinear
    features, restored frames -> a second, smaller propagation -> conv -> pixel shuffle -> + restored frames

For compressed and noisy videos the frames may be cleaned before all that, each by itself.
"""

import os
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.utils import BaseOutput
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor, nn

from seeclear.loading import FromShipped
from seeclear.resize import imresize
from seeclear.shipped import SCALE

from .basicvsr_weights import couple, read_basicvsr
from .blocks import conv_blocks, in_parts, zero_init
from .cleaning import FrameCleaning
from .lens_config import check_config, check_inputs, moves
from .lens_modules import (
    PATCH,
    GlobalPerspectiveShifter,
    ImplicitMaskedAlignment,
    InstanceSemanticEmbedding,
    MultiFrameAttention,
    fill_up,
    sample_maps,
    sampling_matrix,
)
from .optical_flow import clip_flow
from .propagation import BranchFusion, ClipMotion, ClipPropagation
from .semantic_propagation import ClipSemantics, SemanticPropagationBranch
from .spynet import SPyNet
from .upsampling import TwoStepUpsampling


@dataclass
class SemanticLensOutput(BaseOutput):
    """Output of [`SemanticLens`].

    Attributes:
        sample: the HR frames (B, F, 3, sH, sW), about [-1, 1], in the dtype of the LR frames.
        cleaned: the LR frames as they were cleaned (B, F, 3, H, W), about [-1, 1]; None where none are.
        hidden_states: the features (B, F, C, H, W) that the propagation and the attention ended with, in the network's
            dtype, if `return_hidden_states` was asked for; else None.
    """

    sample: Tensor
    cleaned: Tensor | None = None
    hidden_states: Tensor | None = None


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
        trunk_input: what the branches know of a frame: its "features", or "frames", the frame itself, which makes
            them trunks ([`PropagationBranch`]), without `extraction_blocks`.
        flow: how the optical flow is found: "dis", on the CPU, or "spynet", by a network that is trained along.
        coupled_branches: the forward branch sees what the backward one made.
        fused_branches: what both made is fused; None: unless they are coupled.
        second_order: the branches of a lens that sees frames look two frames back.
        second_pass_blocks: residual blocks of a second, smaller propagation, which sees what the first one restored,
            at HR size, and adds to it: on every frame alone, in a step backward, in a step forward, and after both
            ([`ClipPropagation`]). None leaves it out; it needs a lens that sees frames. (Grid propagation of
            BasicVSR++, Chan et al., CVPR 2022, is of that kind.)
        second_pass_hidden_channels: as `hidden_channels`, of its blocks.
        upsampling: "direct" in one pixel shuffle, or "two-step" ([`TwoStepUpsampling`]).
        skip: what the result is added to, the "bicubic" or the "bilinear" enlargement.
        cleaning_blocks: residual blocks that clean every LR frame before all else ([`FrameCleaning`]); None leaves
            frames as they are. The optical flow is that of the frames as they came.

    Raises:
        ValueError: `channels` does not fit `head_dim`, `alignment_heads` or, with motion compensation, `scale`^2;
            `neighbor_channels` is neither 1 nor 3, or `hidden_channels` is below 1; `extraction_blocks`, `flow`,
            `second_order` or a branch has nothing to do, or a choice is none of those above.
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
        trunk_input: str = "features",
        flow: str = "dis",
        coupled_branches: bool = True,
        upsampling: str = "direct",
        skip: str = "bicubic",
        fused_branches: bool | None = None,
        second_order: bool = False,
        second_pass_blocks: tuple[int, int, int, int] | None = None,
        second_pass_hidden_channels: int | None = None,
        cleaning_blocks: int | None = None,
    ) -> None:
        super().__init__()
        check_config(self.config)
        sees_frames = trunk_input == "frames"
        own = 3 if sees_frames else channels
        self.cleaning = None if cleaning_blocks is None else FrameCleaning(cleaning_blocks, channels, hidden_channels)
        self.flow_network = SPyNet() if flow == "spynet" else None
        self.conv_in = None if sees_frames else nn.Conv2d(3, channels, 3, padding=1)
        self.extraction = conv_blocks(extraction_blocks, channels, hidden_channels)
        self.backward_branch = self._build_branch(own, backward_blocks)
        self.forward_branch = self._build_branch(own + channels if coupled_branches else own, forward_blocks)
        fused = not coupled_branches if fused_branches is None else fused_branches
        self.fusion = BranchFusion(channels) if fused else None
        self.attention = (
            MultiFrameAttention(channels, attention_layers, head_dim, attention_window_size)
            if multi_frame_attention
            else None
        )
        self.reconstruction = conv_blocks(reconstruction_blocks, channels, hidden_channels)
        direct = upsampling == "direct"  # untrained, either gives zero, and the lens the enlarged frames
        self.conv_out = zero_init(nn.Conv2d(channels, 3 * scale**2, 3, padding=1)) if direct else None
        self.upsampler = None if direct else TwoStepUpsampling(channels, scale)
        self.second_pass = None
        if second_pass_blocks is not None:
            pixels, hidden = 3 * scale**2, second_pass_hidden_channels
            sizes = (channels + pixels, channels, pixels, second_pass_blocks, scale, hidden, neighbor_channels)
            self.second_pass = ClipPropagation(*sizes)
        self.gradient_checkpointing = False

    def _build_branch(self, source_channels: int, blocks: int) -> SemanticPropagationBranch:
        """One direction of the propagation, with the modules of the configuration."""
        config = self.config
        channels, sees_frames = config.channels, config.trunk_input == "frames"
        image = gps = isee = None
        if config.image:
            image = ImplicitMaskedAlignment(
                channels,
                config.alignment_heads,
                config.head_dim,
                config.alignment_window_size,
                config.search_radius,
                compensated=moves(config),
                described_channels=3 if sees_frames else channels,
            )
        if config.gps:
            gps = GlobalPerspectiveShifter(channels, config.semantic_feature_dim, config.global_grid)
        if config.isee:
            isee = InstanceSemanticEmbedding(channels, config.semantic_token_dim, config.head_dim)
        return SemanticPropagationBranch(
            channels,
            source_channels,
            blocks,
            config.hidden_channels,
            config.scale if config.motion_compensation else None,
            config.neighbor_channels,
            image,
            gps,
            isee,
            trunk=sees_frames,
            second_order=config.second_order,
        )

    @classmethod
    def from_basicvsr(cls, file: str | os.PathLike[str], **config: Any) -> "SemanticLens":
        """A lens with BasicVSR's weights. Its semantic modules begin as identities: its frames are BasicVSR's.

        Args:
            file: a checkpoint as BasicSR publishes it. It is a pickle, of which tensors and containers are read alone
                (`weights_only`); nothing else in this package reads one.
            config: arguments that the checkpoint does not set: the semantic modules, `motion_compensation`, and their
                widths; `second_order`, `second_pass_blocks` and `coupled_branches`. `image` is off unless given.
                Whatever is on begins so that it changes nothing. `flow="dis"` leaves out the checkpoint's flow
                network, whose terms are not those of the rest (see `examples/convert_basicvsr.py`); the frames are
                then nearly BasicVSR's.

        Raises:
            ValueError: the file is not such a checkpoint, or an argument is set by it.
        """
        shape, weights = read_basicvsr(file)
        for name in sorted(shape.keys() & config.keys() - {"coupled_branches", "flow"}):
            raise ValueError(f"`{name}` was given; the checkpoint sets it")
        lens = cls(**{"image": False} | shape | config)
        if lens.config.coupled_branches:
            couple(weights)
        if lens.flow_network is None:
            weights = {name: value for name, value in weights.items() if not name.startswith("flow_network.")}
        _, unexpected = lens.load_state_dict(weights, strict=False)  # modules that begin as identities
        assert not unexpected
        return lens

    @property
    def needs_semantics(self) -> bool:
        """Whether any of its modules works with semantics."""
        return self.config.image or self.config.gps or self.config.isee

    @property
    def needs_flow(self) -> bool:
        """Whether it moves anything along the optical flow."""
        return moves(self.config)

    def forward(
        self,
        low_res: Tensor,
        features: Tensor | None = None,
        clip_tokens: Tensor | None = None,
        clip_masks: Tensor | None = None,
        region: Tensor | None = None,
        flow: Tensor | None = None,
        return_hidden_states: bool = False,
        return_dict: bool = True,
    ) -> SemanticLensOutput | tuple[Tensor, ...]:
        """Upscales one clip, of any size and length.

        The semantics are those of whole frames, as [`SemanticDistiller`] gives them, each needed by its module.

        Args:
            low_res: LR frames (B, F, 3, H, W) in [-1, 1]. In float32 the enlarged part stays in float32, whatever the
                network's dtype.
            features: segmentation features P (B, F, P, h, w), for `gps`.
            clip_tokens: video-wise instance tokens O_c (B, K, D), for `isee`.
            clip_masks: logits of their masks (B, F, K, h, w), for `image`.
            region: which part of the frames `low_res` shows, (B, 4): top, left, bottom, right as fractions of the
                frame; None is the whole.
            flow: the optical flow of the LR frames (B, 2, F - 1, 2, H, W), as [`estimate_flow`] gives it, for a part
                of larger frames; None estimates it. Where nothing is moved (`needs_flow`) it is not looked at.
            return_hidden_states: return what the lens knows of every frame, too.
            return_dict: a [`SemanticLensOutput`] or a tuple of those of its fields that are not None.

        Raises:
            ValueError: a shape that is not as above, or semantics that a module needs are missing.
        """
        check_inputs(self.config, low_res, features, clip_tokens, clip_masks, region, flow)
        batch_size, num_frames = low_res.shape[:2]

        # 1. every frame alone
        if flow is None and self.needs_flow:
            flow = self._find_flow(low_res)
        cleaned = None
        if self.cleaning is not None:
            cleaned = low_res = self._clean(low_res)
        own = self._extract(low_res)  # (B*F, C, H, W)
        semantics = self._semantics(low_res, own, features, clip_tokens, clip_masks, region)
        enlarged = self._enlarge(low_res)

        # 2. from the last frame to the first, and from the first to the last
        motion = self._motion(low_res, enlarged, flow)
        given: dict[str, Any] = {"semantics": semantics, "run": self._run}
        behind = self.backward_branch((own,), num_frames, motion, reverse=True, **given)  # (B*F, C, H, W)
        sources = (own, behind) if self.config.coupled_branches else (own,)
        hidden = self.forward_branch(sources, num_frames, motion, **given)
        if self.fusion is not None:
            hidden = in_parts(self.fusion, behind, hidden)

        # 3. all frames together, and up
        if self.attention is not None:
            hidden = self._run(self.attention, hidden, num_frames)
        sample = in_parts(self._reconstruct, hidden, enlarged.flatten(0, 1)).unflatten(0, (batch_size, num_frames))

        # 4. once more, from what was restored
        if self.second_pass is not None and motion is not None:
            shown = F.pixel_unshuffle(sample.flatten(0, 1), self.config.scale).to(hidden)
            more = self.second_pass(torch.cat([hidden, shown], dim=1), sample, motion.flow, self._run)
            more = F.pixel_shuffle(more, self.config.scale).unflatten(0, (batch_size, num_frames))
            sample = sample + more.to(sample.dtype)
        hidden_states = None
        if return_hidden_states:
            height, width = low_res.shape[-2:]
            hidden_states = hidden[..., :height, :width].unflatten(0, (batch_size, num_frames))
        output = SemanticLensOutput(sample, cleaned, hidden_states)
        return output if return_dict else output.to_tuple()

    def _clean(self, low_res: Tensor) -> Tensor:
        """LR frames (B, F, 3, H, W) without what does not belong to them, in the same dtype."""
        cleaning = self.cleaning
        assert cleaning is not None
        frames = low_res.flatten(0, 1).to(self.dtype).contiguous(memory_format=torch.channels_last)
        added = in_parts(lambda x: self._run(cleaning, x), frames)
        return low_res + added.to(low_res.dtype).unflatten(0, low_res.shape[:2])

    def _extract(self, low_res: Tensor) -> Tensor:
        """What the branches know of every frame alone: its features (B*F, C, H, W), H and W filled up to whole patches
        by repeating the edge; or the frame itself, in [0, 1].
        """
        frames, conv_in = low_res.flatten(0, 1), self.conv_in
        if conv_in is None:
            return ((frames + 1) / 2).to(self.dtype).contiguous(memory_format=torch.channels_last)
        pixels = fill_up(frames).to(self.dtype).contiguous(memory_format=torch.channels_last)
        return in_parts(lambda x: self.extraction(conv_in(x)), pixels)

    def _enlarge(self, low_res: Tensor) -> Tensor:
        """(B, F, 3, H, W) -> (B, F, 3, sH, sW), to which the rest is added."""
        if self.config.skip == "bicubic":
            return imresize(low_res, scale=self.config.scale)
        frames = low_res.flatten(0, 1)
        larger = F.interpolate(frames, scale_factor=self.config.scale, mode="bilinear", align_corners=False)
        return larger.unflatten(0, low_res.shape[:2])

    def _motion(self, low_res: Tensor, enlarged: Tensor, flow: Tensor | None) -> ClipMotion | None:
        """What is moved, filled up as the features are."""
        if flow is None or not self.needs_flow:
            return None
        scale, multiple_of = self.config.scale, 1 if self.conv_in is None else PATCH
        flow = fill_up(flow.flatten(0, 2), multiple_of).unflatten(0, flow.shape[:3])
        shown = None
        if self.config.motion_compensation:
            bicubic = enlarged if self.config.skip == "bicubic" else imresize(low_res, scale=scale)
            shown = fill_up(bicubic.flatten(0, 1).float(), scale * multiple_of).unflatten(0, low_res.shape[:2])
        return ClipMotion(shown, flow, scale, self.config.neighbor_channels)

    def _find_flow(self, low_res: Tensor) -> Tensor:
        if self.flow_network is None:
            return clip_flow(low_res)
        return self._run(self.flow_network, low_res, self.dtype)

    def _reconstruct(self, hidden: Tensor, enlarged: Tensor) -> Tensor:
        """Features of frames (N, C, H, W), which may be filled up, and the frames enlarged -> the HR frames."""
        hidden = self.reconstruction(hidden)
        if self.upsampler is not None:
            residual = self._run(self.upsampler, hidden)
        else:
            assert self.conv_out is not None
            residual = F.pixel_shuffle(self.conv_out(hidden), self.config.scale)
        height, width = enlarged.shape[-2:]
        return (enlarged + residual[..., :height, :width]).to(enlarged.dtype)

    def _semantics(
        self,
        low_res: Tensor,
        own: Tensor,
        features: Tensor | None,
        clip_tokens: Tensor | None,
        clip_masks: Tensor | None,
        region: Tensor | None,
    ) -> ClipSemantics:
        """The semantics that the configuration uses, those of the whole frame brought to the part that is shown, in
        the size and the dtype of what the branches know of the frames, `own`.
        """
        config, semantics = self.config, ClipSemantics()
        batch_size, num_frames, _, height, width = low_res.shape
        rows_of_patches, columns_of_patches = (-(-side // PATCH) for side in (height, width))
        if region is None:
            region = torch.tensor([0.0, 0.0, 1.0, 1.0], device=low_res.device).expand(batch_size, 4)
        top, left, bottom, right = region.unbind(dim=1)
        if config.gps and features is not None:
            semantics.features = features.flatten(0, 1).to(own.dtype)
            semantics.rows = sampling_matrix(top, bottom, own.shape[-2], 1 / height, config.global_grid)
            semantics.columns = sampling_matrix(left, right, own.shape[-1], 1 / width, config.global_grid)
        if config.isee and clip_tokens is not None:
            semantics.clip_tokens = clip_tokens.to(own.dtype)
        if config.image and clip_masks is not None:
            masks = clip_masks.flatten(0, 1).permute(0, 2, 3, 1).float().sigmoid()
            rows = sampling_matrix(top, bottom, rows_of_patches, PATCH / height, masks.shape[1])
            columns = sampling_matrix(left, right, columns_of_patches, PATCH / width, masks.shape[2])
            rows, columns = (x.repeat_interleave(num_frames, dim=0) for x in (rows, columns))
            semantics.masks = sample_maps(masks, rows, columns).to(own.dtype)
        return semantics

    @torch.no_grad()
    @apply_forward_hook
    def estimate_flow(self, low_res: Tensor) -> Tensor | None:
        """The optical flow of LR frames (B, F, 3, H, W) in [-1, 1] that [`forward`] takes, (B, 2, F - 1, 2, H, W) in
        LR pixels: from every frame but the last to the next one, and from every frame but the first to the one before.
        None where nothing is moved.
        """
        return self._find_flow(low_res) if self.needs_flow else None

    def _run(self, module: nn.Module, *args: object) -> Tensor:
        if torch.is_grad_enabled() and self.gradient_checkpointing:
            return self._gradient_checkpointing_func(module, *args)
        return module(*args)
