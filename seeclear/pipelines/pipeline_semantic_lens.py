# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Semantic Lens as a diffusers pipeline: regression, one pass a clip, nothing drawn at random.

One clip is restored in `run_semantic_lens`; `streaming` cuts a video into clips and tiles and blends them. Nothing is
carried from clip to clip: a frame depends on the frames of its clip alone (of both, where two clips overlap), whatever
the video holds before and after.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seeclear.models import SemanticDistiller, SemanticLens
from seeclear.video.inputs import VideoInput, read_input

from .loading import ShippedPipeline
from .pipeline_output import SeeClearPipelineOutput
from .run_semantic_lens import SemanticLensRun
from .streaming import FinishedFrames, StreamSettings, StreamState
from .videos import (
    check_output_type,
    convert_output,
    count_tiles,
    group_videos,
    restore_videos,
    single_frames,
    stream_video,
)


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

    @torch.no_grad()
    def __call__(
        self,
        video: VideoInput,
        clip_length: int | None = None,
        clip_overlap: int | None = None,
        tile: int | tuple[int, int] | None = None,
        tile_overlap: int | None = None,
        scene_detection: bool = True,
        output_type: str = "pil",
        return_dict: bool = True,
    ) -> SeeClearPipelineOutput | tuple[Any]:
        """Upscales a video or a batch of videos of one size and length.

        Args:
            video: list of PIL images; array (F, H, W, 3), uint8 or float in [0, 1]; tensor (F, 3, H, W) in [0, 1]; a
                batch of these; or a path to a video file or a folder of images.
            clip_length, clip_overlap, tile, tile_overlap, scene_detection: see [`StreamSettings`].
            output_type: "pil", "np" or "pt", see [`SeeClearPipelineOutput`].
            return_dict: a [`SeeClearPipelineOutput`] or `(frames,)`.

        Raises:
            ValueError: the input or a setting can't be used; the message names it.
        """
        check_output_type(output_type)
        settings = StreamSettings(clip_length, clip_overlap, tile, tile_overlap, scene_detection)
        run = self._start(settings)
        frames, _ = read_input(video)
        groups = group_videos(frames, scene_detection)
        with self.progress_bar(total=count_tiles(run, frames, groups, settings)) as bar:
            run.report = bar.update
            restored = restore_videos(run, frames, groups.values(), settings)
        self.maybe_free_model_hooks()
        output = convert_output(restored, output_type)
        return SeeClearPipelineOutput(frames=output) if return_dict else (output,)

    def stream(
        self,
        frames: Iterable[np.ndarray | Tensor],
        clip_length: int | None = None,
        clip_overlap: int | None = None,
        tile: int | tuple[int, int] | None = None,
        tile_overlap: int | None = None,
        scene_detection: bool = True,
    ) -> Iterator[Tensor]:
        """Upscales a video frame by frame as it comes; memory depends on clip and tile, not on the video's length.

        Args:
            frames: arrays (H, W, 3), uint8 or float in [0, 1], or tensors (3, H, W), all of one size.
            clip_length, clip_overlap, tile, tile_overlap, scene_detection: see [`StreamSettings`].

        Yields:
            As many frames as came in, (3, sH, sW) float32 in [0, 1] on the CPU.

        Raises:
            ValueError: a setting (before the first frame is read) or a frame can't be used.
        """
        return single_frames(self.stream_clips(frames, clip_length, clip_overlap, tile, tile_overlap, scene_detection))

    def stream_clips(
        self,
        frames: Iterable[np.ndarray | Tensor],
        clip_length: int | None = None,
        clip_overlap: int | None = None,
        tile: int | tuple[int, int] | None = None,
        tile_overlap: int | None = None,
        scene_detection: bool = True,
        state: StreamState | None = None,
    ) -> Iterator[FinishedFrames]:
        """As [`stream`], clip by clip and with the state after each, for runs that may be interrupted.

        Args:
            frames: as for [`stream`]; with `state`, the frames from `state.next_frame` on.
            state: where to go on, with the same settings; the bits are those of an undisturbed run.

        The other arguments, and the errors, are those of [`stream`].

        Yields:
            The frames (n, 3, sH, sW) that every clip finished.
        """
        settings = StreamSettings(clip_length, clip_overlap, tile, tile_overlap, scene_detection)
        return stream_video(self._start(settings), frames, settings, state, self.maybe_free_model_hooks)

    def _start(self, settings: StreamSettings) -> SemanticLensRun:
        """Checks the settings and prepares the networks."""
        if self.semantic_lens.needs_semantics and self.semantic_distiller is None:
            raise ValueError("`semantic_distiller` is None; the lens has modules that need its semantics")
        run = SemanticLensRun(self)
        settings.clips(run.clip_length, run.clip_overlap)  # raises where the overlap does not fit
        for network in (self.semantic_lens, self.semantic_distiller):
            if network is not None:
                network.to(memory_format=torch.channels_last)
        return run
