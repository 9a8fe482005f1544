# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""How SeeClear restores one clip (Algorithm 1; with a prior, SeeClear*).

LR clip -> distiller -> tokens, features                       once a clip, whole frames
LR clip and what surrounds it -> optical flow                  once a clip, with motion compensation
LR tile -> bicubic or prior -> y, u_T ~ N(y, kappa^2 eta_T)     once a tile
u_T -> [condenser -> scheduler] x steps -> x0                   CaTeGory's memory is read
memory <- decoder features of the last step                     carried to the next clip
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from diffusers import ModelMixin
from torch import Tensor

from seeclear.models import PixelCondenser, SemanticDistillerOutput, SemanticLens
from seeclear.models.category import CaTeGory
from seeclear.resize import imresize
from seeclear.schedulers import BlurringResShiftScheduler

from .noise import VideoNoise
from .run_semantic_lens import semantics_of, upscale_tile
from .shared_flow import SharedFlow
from .streaming import Clip, Tile, crop_tile, pad_frames

if TYPE_CHECKING:
    from .pipeline_seeclear import SeeClearPipeline

PRIOR_MARGIN = 4
"""LR pixels around a tile that its bicubic enlargement needs."""

Prior = Callable[[Tensor], Tensor] | None


@dataclass
class _ClipContext:
    """What the tiles of a clip share, on the device.

    `size` is the padded frame's in LR pixels. `low_res` and `flow` are those of the clip and of the frames around it
    that the condenser looks at, in [-1, 1]. `features` P lie on a grid whose cells are `cell` x `cell` LR pixels.
    `memory` is T before the clip and `new_memory` T after it where one tile is the whole frame; else `pooled` gathers
    what is to be written, from the decoder's levels, finest first. `prior_flow` is that of a
    Semantic Lens that is the prior.
    """

    clip: Clip
    distilled: SemanticDistillerOutput
    size: tuple[int, int]
    low_res: Tensor
    tokens: Tensor
    features: Tensor
    cell: int
    clip_tokens: Tensor
    memory: Tensor | None
    new_memory: Tensor | None = None
    pooled: list[Tensor] = field(default_factory=list)
    flow: Tensor | None = None
    prior_flow: Tensor | None = None


@dataclass
class SeeClearRun:
    """A [`SeeClearPipeline`] with the settings of one run, as the streaming core wants it (`ClipRestorer`)."""

    pipe: "SeeClearPipeline"
    scheduler: BlurringResShiftScheduler
    timesteps: Tensor
    noise: VideoNoise
    prior: Prior = None
    callback: Callable[..., dict[str, Tensor]] | None = None
    callback_inputs: tuple[str, ...] = ()
    report: Callable[[], object] = lambda: None
    vocabulary_embeddings: Tensor | None = None

    def __post_init__(self) -> None:
        self._flow = SharedFlow(self.pipe.pixel_condenser.estimate_flow)
        prior = self._prior
        self._prior_flow = SharedFlow(prior.estimate_flow) if isinstance(prior, SemanticLens) else None

    @property
    def scale(self) -> int:
        return self.pipe.scale

    @property
    def clip_length(self) -> int:
        return self.pipe.config.clip_length

    @property
    def clip_overlap(self) -> int:
        return self.pipe.config.clip_overlap

    @property
    def reach(self) -> int:
        """What the condenser looks at; a prior works on the clip alone, so that y is not known of other frames."""
        return self.pipe.pixel_condenser.reach if self._prior is None else 0

    @property
    def multiple_of(self) -> int:
        return self.pipe.pixel_condenser.size_requirement.multiple_of

    @property
    def alignment(self) -> int:
        """The side of the coarsest level's attention windows, of which those of the other levels are parts."""
        return self.multiple_of * self.pipe.pixel_condenser.config.window_size

    def begin_clip(self, clip: Clip) -> _ClipContext:
        pipe = self.pipe
        low_res = clip.surroundings.to(pipe._execution_device) * 2 - 1
        padded = pad_frames(low_res, self.multiple_of)
        clip_frames = padded.narrow(1, clip.first_frame, clip.num_frames)
        masks = isinstance(self._prior, SemanticLens) and self._prior.config.image
        distilled = pipe.semantic_distiller(clip_frames, self.vocabulary_embeddings, masks=masks)
        dtype = pipe.pixel_condenser.dtype
        height, width = padded.shape[-2:]
        features, cell = align_features(distilled.features, height, width, self.multiple_of)
        memory = clip.state.get("memory")
        return _ClipContext(
            clip,
            distilled,
            (height, width),
            low_res,
            distilled.tokens.to(dtype),
            features.to(dtype),
            cell,
            clip_tokens=distilled.clip_tokens.to(dtype),
            memory=None if memory is None else memory.to(low_res.device),
            flow=self._flow(padded, clip.start - clip.first_frame),
        )

    def restore_tile(self, context: _ClipContext, tile: Tile) -> Tensor:
        pipe, scheduler = self.pipe, self.scheduler
        surroundings = self._enlarge(context, tile)
        first = context.clip.first_frame
        y = surroundings.narrow(1, first, context.clip.num_frames)
        cell = context.cell
        features = crop_tile(
            context.features, Tile(tile.top // cell, tile.bottom // cell, tile.left // cell, tile.right // cell)
        )
        flow = None if context.flow is None else context.flow[..., tile.top : tile.bottom, tile.left : tile.right]
        latents = y + scheduler.init_noise_sigma * self._draw(context, tile, 0)  # eq. 6
        for i, t in enumerate(self.timesteps):
            last = i + 1 == len(self.timesteps)
            gathers = last and tile.weights is not None and pipe.pixel_condenser.memory is not None
            with _decoder_features(pipe.pixel_condenser) if gathers else nullcontext() as pyramid:
                output = pipe.pixel_condenser(
                    scheduler.scale_model_input(latents, t),
                    t,
                    surroundings,
                    tokens=context.tokens,
                    features=features,
                    clip_tokens=context.clip_tokens,
                    memory=context.memory,
                    update_memory=last and tile.weights is None,
                    flow=flow,
                    first_frame=first,
                )
            if pyramid is not None and tile.weights is not None:
                self._gather(context, pyramid, tile, tile.weights)
                del pyramid
            context.new_memory = output.memory
            stochastic = scheduler.config.sampler != "ddim" and not last
            latents, pred_original_sample = scheduler.step(
                output.sample.float(),
                t,
                latents,
                low_res=y,
                variance_noise=self._draw(context, tile, i + 1) if stochastic else None,
                return_dict=False,
            )
            if self.callback is not None:
                values = {"latents": latents, "pred_original_sample": pred_original_sample}
                chosen = {name: values[name] for name in self.callback_inputs}
                latents = self.callback(pipe, i, int(t), chosen).get("latents", latents)
            self.report()
        return latents.float().add(1).div_(2).clamp_(0, 1)

    def end_clip(self, context: _ClipContext) -> dict[str, Tensor]:
        """CaTeGory's memory T (B, J, D_t), one a video."""
        category = self.pipe.pixel_condenser.memory
        memory = context.new_memory
        if context.pooled:
            memory = category.initial_state(len(context.tokens)) if context.memory is None else context.memory
            dtype = self.pipe.pixel_condenser.dtype
            memory = category.write(memory.to(dtype), [level.to(dtype) for level in context.pooled], num_frames=1)
        return {} if memory is None else {"memory": memory}

    def _gather(
        self, context: _ClipContext, pyramid: list[Tensor], tile: Tile, weights: tuple[Tensor, Tensor]
    ) -> None:
        """Adds the tile's part to what CaTeGory writes: each decoder level of the whole frame, pooled to 4 x 4 cells
        and averaged over the frames, (B, C_l, 4, 4).

        Pooling is linear, so the tiles' parts, weighted as they are blended, sum to what the whole frame would give.
        """
        sides = (tile.top, tile.bottom, context.size[0]), (tile.left, tile.right, context.size[1])
        for level, features in enumerate(pyramid):
            shares = []
            for length, weight, (start, stop, whole) in zip(features.shape[-2:], weights, sides, strict=True):
                weight = F.interpolate(weight[None, None], size=length, mode="area")[0, 0]  # of the level's positions
                pooling = pooling_matrix(whole * length // (stop - start), CaTeGory.pooled_size)
                first = start * length // (stop - start)
                shares.append((pooling[:, first : first + length] * weight).to(features.device))
            frames = features.float().unflatten(0, context.clip.frames.shape[:2]).mean(dim=1)
            part = torch.einsum("ir,bcrk,jk->bcij", shares[0], frames, shares[1])
            if level < len(context.pooled):
                context.pooled[level] += part
            else:
                context.pooled.append(part)

    @property
    def _prior(self) -> ModelMixin | Prior:
        """That of the call, or the pipeline's."""
        return self.pipe.prior if self.prior is None else self.prior

    def _enlarge(self, context: _ClipContext, tile: Tile) -> Tensor:
        """y of a tile and of the frames around the clip: bicubic, or what the prior makes of it.

        Returns:
            (B, G, 3, s * height, s * width) of the tile, float32; beyond the frame the edge is repeated.

        Raises:
            ValueError: the prior's result has another shape.
        """
        low_res = context.low_res
        model = self._prior
        if isinstance(model, SemanticLens):
            semantics = semantics_of(context.distilled) if model.needs_semantics else {}
            if context.prior_flow is None and self._prior_flow is not None:
                context.prior_flow = self._prior_flow(low_res, context.clip.start)
            return upscale_tile(model, low_res, semantics, tile, context.size, context.prior_flow)
        height, width = low_res.shape[-2:]
        margin = PRIOR_MARGIN if model is None else 0
        top, left = max(0, tile.top - margin), max(0, tile.left - margin)
        part = low_res[..., top : min(height, tile.bottom + margin), left : min(width, tile.right + margin)]
        if self.prior is not None:
            y = self.prior(part)
        elif self.pipe.prior is not None:
            y = self.pipe.prior(part.to(self.pipe.prior.dtype))
        else:
            y = imresize(part, scale=self.scale)
        expected = (*part.shape[:3], self.scale * part.shape[3], self.scale * part.shape[4])
        if tuple(y.shape) != expected:
            raise ValueError(f"`prior` gave frames of shape {tuple(y.shape)}; they must be {expected}")
        inside = Tile(tile.top - top, tile.bottom - top, tile.left - left, tile.right - left)
        return crop_tile(y.float(), inside, self.scale)

    def _draw(self, context: _ClipContext, tile: Tile, step: int) -> Tensor:
        rows = slice(self.scale * tile.top, self.scale * tile.bottom)
        columns = slice(self.scale * tile.left, self.scale * tile.right)
        start, num_frames = context.clip.start, context.clip.num_frames
        return self.noise.draw(step, start, num_frames, rows, columns).to(context.low_res.device)


@contextmanager
def _decoder_features(condenser: PixelCondenser) -> Iterator[list[Tensor]]:
    """The features that the decoder's levels put out in the next call, finest level first."""
    pyramid: list[Tensor] = []
    hooks = [
        level.register_forward_hook(lambda _, __, features: pyramid.insert(0, features)) for level in condenser.decoder
    ]
    try:
        yield pyramid
    finally:
        for hook in hooks:
            hook.remove()


def pooling_matrix(length: int, cells: int) -> Tensor:
    """Adaptive average pooling of `length` positions to `cells`, as a matrix (cells, length), float32."""
    return F.adaptive_avg_pool1d(torch.eye(length)[None], cells)[0].T.contiguous()


def align_features(features: Tensor, height: int, width: int, largest_cell: int) -> tuple[Tensor, int]:
    """Segmentation features on a grid whose cells are whole LR pixels, so that a tile's are cut out exactly.

    Cells are squares of a power of two LR pixels, at most `largest_cell`, as near to the given grid's as there is.

    Args:
        features: P (B, F, P, h, w), over frames of `height` x `width` LR pixels, multiples of `largest_cell`.

    Returns:
        (P (B, F, P, height / cell, width / cell), the side of a cell in LR pixels).
    """
    ratio = (height * width / (features.shape[-2] * features.shape[-1])) ** 0.5
    cell = 1
    while cell < largest_cell and ratio > cell * 2**0.5:
        cell *= 2
    size = (height // cell, width // cell)
    if tuple(features.shape[-2:]) != size:
        resized = F.interpolate(features.flatten(0, 1).float(), size=size, mode="bilinear", antialias=True)
        features = resized.to(features.dtype).unflatten(0, features.shape[:2])
    return features, cell
