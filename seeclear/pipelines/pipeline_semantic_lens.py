# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Semantic Lens as a diffusers pipeline: regression, one pass a clip, nothing drawn at random.

    whole LR clip -> distiller -> features, clip tokens, clip masks    once a clip: `encode_semantics`
    LR tile, semantics, optical flow -> lens -> HR tile                once a tile: `upscale_tile`

`streaming` cuts a video into clips and tiles and blends them. Nothing is carried from clip to clip: a frame depends on
the frames of its clip alone (of both, where two clips overlap), whatever the video holds before and after.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seeclear.models import SemanticDistiller, SemanticDistillerOutput, SemanticLens, SemanticLensOutput
from seeclear.models.lens_modules import PATCH
from seeclear.video.inputs import Frame, VideoInput

from .pipeline_output import SeeClearPipelineOutput
from .settings import RestorationSettings
from .shared_flow import SharedFlow
from .shipped_pipeline import ShippedPipeline
from .streaming import ClipStream, FinishedFrames, Layout, StreamState
from .tiles import Tile, crop_tile
from .videos import VideoBatch, check_output_type, one_video, single_frames, without_batch
from .vocabulary import embed_vocabulary

TILE_MARGIN, LARGEST_TILE_MARGIN = 8, 16
"""LR pixels around a tile that are restored with it: its bicubic part needs 4, and what moves in is seen sooner.
Branches of many blocks see further, but beyond 16 pixels no difference is left: with 30 blocks frames differed within
8 pixels of a tile's end by 1.2 grey levels at a margin of 0, by 0.3 at 8, and at 16 by 0.2 as anywhere else in bf16.
"""


@dataclass(frozen=True)
class _Run:
    """What one call owns."""

    settings: RestorationSettings
    vocabulary: Tensor | None = None


class SemanticLensPipeline(ShippedPipeline):
    """Upscales videos with Semantic Lens.

    Args:
        semantic_lens: the network.
        semantic_distiller: gives it the semantics of a clip; None for a network whose semantic modules are off.
        clip_length: F, frames that are restored together; the frames that come before the first result.
        clip_overlap: frames that two clips share and that are blended: the first and the last of a clip lack a side to
            learn from.
    """

    model_cpu_offload_seq = "semantic_distiller->semantic_lens"
    _optional_components = ["semantic_distiller"]

    def __init__(
        self,
        semantic_lens: SemanticLens,
        semantic_distiller: SemanticDistiller | None = None,
        clip_length: int = 10,
        clip_overlap: int = 0,
    ) -> None:
        super().__init__()
        self.register_modules(semantic_lens=semantic_lens, semantic_distiller=semantic_distiller)
        self.register_to_config(clip_length=clip_length, clip_overlap=clip_overlap)

    @property
    def scale(self) -> int:
        """s, the upscaling factor."""
        return self.semantic_lens.config.scale

    @property
    def layout(self) -> Layout:
        """What clips and tiles have to be like; the lens takes any size."""
        config = self.config
        window = widest_window(self.semantic_lens)
        return Layout(self.scale, config.clip_length, config.clip_overlap, alignment=window)

    @torch.no_grad()
    def __call__(
        self,
        video: VideoInput,
        clip_length: int | None = None,
        clip_overlap: int | None = None,
        tile: int | tuple[int, int] | None = None,
        tile_overlap: int | None = None,
        scene_detection: bool = True,
        vocabulary: Sequence[str] | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
    ) -> SeeClearPipelineOutput | tuple[Any]:
        """Upscales a video or a batch of videos of one size and length.

        Args:
            video: list of PIL images, or one image; array (F, H, W, 3), uint8 or float in [0, 1]; tensor (F, 3, H, W)
                in [0, 1]; a batch of these; or a path to a video file or a folder of images.
            clip_length, clip_overlap, tile, tile_overlap, scene_detection, vocabulary: see [`RestorationSettings`].
            output_type: "pil", "np" or "pt", see [`SeeClearPipelineOutput`].
            return_dict: a [`SeeClearPipelineOutput`] or `(frames,)`.

        Raises:
            ValueError: the input or a setting can't be used; the message names it.
        """
        check_output_type(output_type)
        settings = RestorationSettings(clip_length, clip_overlap, tile, tile_overlap, scene_detection, vocabulary)
        run = self._begin(settings)
        batch = VideoBatch(video, self.layout, settings)
        with self.progress_bar(total=batch.count_tiles()) as bar:
            for members, frames in batch.groups():
                parts = []
                for finished in self._restore(frames, run, report=bar.update):
                    parts.append(finished.frames)
                batch.put(members, parts)
        self.maybe_free_model_hooks()
        output = batch.output(output_type)
        return SeeClearPipelineOutput(frames=output) if return_dict else (output,)

    def _restore(
        self,
        frames: Iterable[Tensor],
        run: _Run,
        state: StreamState | None = None,
        report: Callable[[], object] = lambda: None,
    ) -> Iterator[FinishedFrames]:
        """Upscales frames (B, 3, H, W) in [0, 1] clip by clip: where all calls meet."""
        lens, shared_flow = self.semantic_lens, SharedFlow(self.semantic_lens.estimate_flow)
        stream = ClipStream(frames, self.layout, run.settings, state)
        for clip in stream:
            with torch.no_grad():  # not around the generator: torch's decorator holds what was given out
                low_res = clip.frames.to(self._execution_device) * 2 - 1
                flow = shared_flow(low_res, clip.start)
                semantics = self.encode_semantics(low_res, run.vocabulary)
                for tile in clip.tiles():
                    restored = upscale_tile(lens, low_res, semantics, tile, flow=flow).sample
                    clip.paste(tile, restored.add_(1).div_(2).clamp_(0, 1))
                    del restored
                    report()
                ready = [stream.finish(clip, carried={})]
            del clip, low_res, flow, semantics
            yield ready.pop()
        self.maybe_free_model_hooks()

    def encode_semantics(self, low_res: Tensor, vocabulary_embeddings: Tensor | None = None) -> dict[str, Tensor]:
        """What the lens needs to know of whole LR frames (B, F, 3, H, W) in [-1, 1], by the names of the arguments of
        [`SemanticLens.forward`]; empty where it needs nothing.
        """
        if not self.semantic_lens.needs_semantics:
            return {}
        masks = self.semantic_lens.config.image
        return semantics_of(self.semantic_distiller(low_res, vocabulary_embeddings, masks=masks))

    def stream(
        self, video: VideoInput | Iterable[Frame], *, output_type: str = "pt", **settings: Any
    ) -> Iterator[Tensor]:
        """Upscales a video frame by frame as it comes; memory depends on clip and tile, not on the video's length.

        Args:
            video: as in the call, but no batch; or any iterable of PIL images, arrays (H, W, 3) or tensors (3, H, W),
                all of one size.
            output_type: "pt" gives tensors (3, sH, sW), "np" arrays (sH, sW, 3), both float32 in [0, 1] on the CPU;
                "pil" gives PIL images.
            settings: single settings of [`RestorationSettings`] by their names.

        Yields:
            As many frames as came in.

        Raises:
            ValueError: a setting (before the first frame is read) or a frame can't be used.
        """
        check_output_type(output_type)
        return single_frames(self.stream_clips(video, RestorationSettings(**settings)), output_type)

    def stream_clips(
        self,
        video: VideoInput | Iterable[Frame],
        settings: RestorationSettings | None = None,
        state: StreamState | None = None,
    ) -> Iterator[FinishedFrames]:
        """As [`stream`], clip by clip and with the state after each, for runs that may be interrupted.

        Args:
            video: as for [`stream`]; with `state`, the frames from `state.next_frame` on.
            settings: of the restoration; those of sampling must be left at their defaults.
            state: where to go on, with the same settings; the bits are those of an undisturbed run.

        Yields:
            The frames (n, 3, sH, sW) that every clip finished.

        Raises:
            ValueError: as [`stream`].
        """
        run = self._begin(RestorationSettings() if settings is None else settings)
        return without_batch(self._restore(one_video(video), run, state))

    def _begin(self, settings: RestorationSettings) -> _Run:
        """Checks the settings and prepares the networks."""
        settings.refuse_sampling(type(self).__name__)
        settings.clips(self.config.clip_length, self.config.clip_overlap)  # raises where the overlap does not fit
        if self.semantic_lens.needs_semantics and self.semantic_distiller is None:
            raise ValueError("`semantic_distiller` is None; the lens has modules that need its semantics")
        words = None
        if settings.vocabulary is not None:
            if self.semantic_distiller is None:
                raise ValueError("`vocabulary` was given; this pipeline has no `semantic_distiller` to understand it")
            words = embed_vocabulary(settings.vocabulary, self.semantic_distiller)
        for network in (self.semantic_lens, self.semantic_distiller):
            if network is not None:
                network.to(memory_format=torch.channels_last)
        return _Run(settings, words)


def semantics_of(distilled: SemanticDistillerOutput) -> dict[str, Tensor]:
    """What [`SemanticLens.forward`] takes of the distiller's output, by the names of its arguments."""
    names = ("features", "clip_tokens", "clip_masks")
    return {name: distilled[name] for name in names if name in distilled}  # masks that were not wanted are not there


def widest_window(lens: SemanticLens) -> int:
    """The side of the lens' widest attention window, LR pixels; tiles begin at multiples of it."""
    return PATCH * max(lens.config.alignment_window_size, lens.config.attention_window_size)


def tile_margin(lens: SemanticLens) -> int:
    """LR pixels around a tile that are restored with it, as far as a branch's blocks see, within bounds."""
    blocks = max(lens.config.backward_blocks, lens.config.forward_blocks) + (lens.config.cleaning_blocks or 0)
    return min(max(TILE_MARGIN, 2 * blocks + 2), LARGEST_TILE_MARGIN)


def margins(lens: SemanticLens) -> tuple[int, int]:
    """LR pixels before a tile and after it, in rows as in columns, that are restored with it. Before it they are whole
    windows, so that these lie as in the whole frame.
    """
    margin, window = tile_margin(lens), widest_window(lens)
    return -(-margin // window) * window, margin


def upscale_tile(
    lens: SemanticLens,
    low_res: Tensor,
    semantics: dict[str, Tensor],
    tile: Tile,
    distilled_size: tuple[int, int] | None = None,
    flow: Tensor | None = None,
    return_hidden_states: bool = False,
) -> SemanticLensOutput:
    """The lens on a part of a clip, alone or as the prior of SeeClear.

    Args:
        low_res: whole LR frames (B, F, 3, H, W) in [-1, 1], float32.
        semantics: as [`semantics_of`] gives them; empty for a lens that needs none.
        tile: the part.
        distilled_size: height and width in LR pixels of what was distilled, if the frames were filled up below and to
            the right for that; None is H and W.
        flow: of the whole frames, as [`SemanticLens.estimate_flow`] gives it.
        return_hidden_states: give the lens' features of the tile, too.

    Returns:
        Of the tile, the frames (B, F, 3, s * height, s * width), float32, about [-1, 1], and, if they were asked for,
        the features (B, F, C, height, width); beyond the frame the edge is repeated.
    """
    height, width = low_res.shape[-2:]
    before, margin = margins(lens)
    top, left = max(0, tile.top - before), max(0, tile.left - before)
    bottom, right = min(height, tile.bottom + margin), min(width, tile.right + margin)
    rows, columns = (height, width) if distilled_size is None else distilled_size
    part = low_res[..., top:bottom, left:right]
    region = torch.tensor([[top / rows, left / columns, bottom / rows, right / columns]], device=low_res.device)
    region = region.expand(len(part), -1)
    if flow is not None:
        flow = flow[..., top:bottom, left:right]
    output = lens(part, **semantics, region=region, flow=flow, return_hidden_states=return_hidden_states)
    inside = Tile(tile.top - top, tile.bottom - top, tile.left - left, tile.right - left)
    hidden_states = output.hidden_states
    return SemanticLensOutput(
        crop_tile(output.sample, inside, lens.config.scale),
        hidden_states=None if hidden_states is None else crop_tile(hidden_states, inside),
    )
