# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""SeeClear as a diffusers pipeline (Algorithm 1; with a prior, SeeClear*).

One clip is restored in `run_seeclear`; `streaming` cuts a video into clips and tiles and blends them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from diffusers import ModelMixin
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from seeclear.models import PixelCondenser, SemanticDistiller, SemanticLens
from seeclear.schedulers import BlurringResShiftScheduler
from seeclear.video.inputs import VideoInput, read_input

from .loading import ShippedPipeline
from .noise import Generators, VideoNoise, draw_seeds
from .pipeline_output import SeeClearPipelineOutput
from .prior_check import check_prior
from .run_seeclear import Prior, SeeClearRun
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
from .vocabulary import embed_vocabulary

Callback = Callable[["SeeClearPipeline", int, int, dict[str, Tensor]], dict[str, Tensor]] | None


class SeeClearPipeline(ShippedPipeline):
    """Upscales videos with SeeClear.

    Args:
        pixel_condenser: the denoising U-Net.
        semantic_distiller: gives it the semantics of a clip.
        scheduler: the diffusion process; its configuration's `sampler` is the default one.
        prior: SeeClear*: what gives the HR clips from which sampling starts. A [`SemanticLens`], which shares the
            distiller; or another model that maps LR clips (B, F, 3, H, W) in [-1, 1] to HR clips (B, F, 3, sH, sW);
            None is bicubic. For a plain function use the `prior` argument of the call.
        text_encoder: a text model of transformers with `text_embeds`, for a distiller with an open vocabulary.
        tokenizer: its tokenizer.
        clip_length: F, frames that are restored together.
        clip_overlap: frames that two clips share and that are blended. Where clips share their noise they meet without
            a seam as it is; a prior that learns from neighbors does better with some.
        default_num_inference_steps: steps of a call that does not say how many.
    """

    model_cpu_offload_seq = "text_encoder->semantic_distiller->prior->pixel_condenser"
    _optional_components = ["prior", "text_encoder", "tokenizer"]
    _callback_tensor_inputs = ["latents", "pred_original_sample"]

    def __init__(
        self,
        pixel_condenser: PixelCondenser,
        semantic_distiller: SemanticDistiller,
        scheduler: BlurringResShiftScheduler,
        prior: ModelMixin | None = None,
        text_encoder: PreTrainedModel | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
        clip_length: int = 5,
        clip_overlap: int = 0,
        default_num_inference_steps: int = 1,
    ) -> None:
        super().__init__()
        self.register_modules(
            pixel_condenser=pixel_condenser,
            semantic_distiller=semantic_distiller,
            scheduler=scheduler,
            prior=prior,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
        )
        self.register_to_config(
            clip_length=clip_length,
            clip_overlap=clip_overlap,
            default_num_inference_steps=default_num_inference_steps,
        )

    @property
    def scale(self) -> int:
        """s, the upscaling factor."""
        return self.pixel_condenser.config.scale

    @property
    def num_timesteps(self) -> int:
        """Steps of the last call."""
        return self._num_timesteps

    @torch.no_grad()
    def __call__(
        self,
        video: VideoInput,
        num_inference_steps: int | None = None,
        sampler: str | None = None,
        noise: str = "video",
        generator: Generators = None,
        prior: Prior = None,
        clip_length: int | None = None,
        clip_overlap: int | None = None,
        tile: int | tuple[int, int] | None = None,
        tile_overlap: int | None = None,
        scene_detection: bool = True,
        vocabulary: Sequence[str] | None = None,
        output_type: str = "pil",
        callback_on_step_end: Callback = None,
        callback_on_step_end_tensor_inputs: list[str] | tuple[str, ...] = ("latents",),
        return_dict: bool = True,
    ) -> SeeClearPipelineOutput | tuple[Any]:
        """Upscales a video or a batch of videos of one size and length.

        Args:
            video: list of PIL images; array (F, H, W, 3), uint8 or float in [0, 1]; tensor (F, 3, H, W) in [0, 1]; a
                batch of these; or a path to a video file or a folder of images.
            num_inference_steps: 1 to the scheduler's number of trained steps; None is `default_num_inference_steps`.
            sampler: "markov", "resshift" or "ddim"; None is the scheduler's own.
            noise: how far a draw of noise reaches: "frame" draws it for every frame, "clip" once for the frames of a
                clip, "video" once. In several steps the picture changes where the noise does.
            generator: one generator, or one for each video of the batch; a seed is drawn of it for each video. The
                same seed gives the same bits.
            prior: a [`SemanticLens`] or a callable LR clip -> HR clip as in the class's description, for this call
                only. It is given tiles one by one.
            clip_length, clip_overlap, tile, tile_overlap, scene_detection: see [`StreamSettings`].
            vocabulary: the words whose instances become semantic tokens (eq. 8, 9), among those stored with the
                distiller; any words where it has an open vocabulary and the pipeline a text encoder. None is all that
                are stored.
            output_type: "pil", "np" or "pt", see [`SeeClearPipelineOutput`].
            callback_on_step_end: called after every step with (pipeline, step, timestep, tensors); what it returns
                replaces them. The steps of each clip and tile begin at 0. Videos of a batch run together where their
                scenes are cut alike.
            callback_on_step_end_tensor_inputs: names among `latents` and `pred_original_sample`, (B, F, 3, H', W') in
                [-1, 1], padded; of one tile.
            return_dict: a [`SeeClearPipelineOutput`] or `(frames,)`.

        Raises:
            ValueError: the input or a setting can't be used; the message names it.
        """
        check_output_type(output_type)
        unknown = [name for name in callback_on_step_end_tensor_inputs if name not in self._callback_tensor_inputs]
        if unknown:
            raise ValueError(
                f"`callback_on_step_end_tensor_inputs` has {unknown}; it may name {self._callback_tensor_inputs}"
            )
        settings = StreamSettings(clip_length, clip_overlap, tile, tile_overlap, scene_detection)
        run = self._start(num_inference_steps, sampler, noise, prior, callback_on_step_end, settings, vocabulary)
        run.callback_inputs = tuple(callback_on_step_end_tensor_inputs)
        frames, _ = read_input(video)
        seeds = draw_seeds(generator, frames.shape[0])
        groups = group_videos(frames, scene_detection)

        def begin_group(members: list[int]) -> None:
            run.noise = VideoNoise([seeds[index] for index in members], noise)

        total = count_tiles(run, frames, groups, settings) * len(run.timesteps)
        with self.progress_bar(total=total) as bar:
            run.report = bar.update
            restored = restore_videos(run, frames, groups.values(), settings, begin_group)
        self.maybe_free_model_hooks()
        output = convert_output(restored, output_type)
        return SeeClearPipelineOutput(frames=output) if return_dict else (output,)

    def stream(
        self,
        frames: Iterable[np.ndarray | Tensor],
        num_inference_steps: int | None = None,
        sampler: str | None = None,
        noise: str = "video",
        generator: torch.Generator | None = None,
        prior: Prior = None,
        clip_length: int | None = None,
        clip_overlap: int | None = None,
        tile: int | tuple[int, int] | None = None,
        tile_overlap: int | None = None,
        scene_detection: bool = True,
        vocabulary: Sequence[str] | None = None,
    ) -> Iterator[Tensor]:
        """Upscales a video frame by frame as it comes; memory depends on clip and tile, not on the video's length.

        Args:
            frames: arrays (H, W, 3), uint8 or float in [0, 1], or tensors (3, H, W), all of one size.
            num_inference_steps, sampler, noise, generator, prior, vocabulary: as in the call.
            clip_length, clip_overlap, tile, tile_overlap, scene_detection: see [`StreamSettings`].

        Yields:
            As many frames as came in, (3, sH, sW) float32 in [0, 1] on the CPU.

        Raises:
            ValueError: a setting (before the first frame is read) or a frame can't be used.
        """
        seed = draw_seeds(generator, 1)[0]
        options = (num_inference_steps, sampler, noise, seed, prior, clip_length, clip_overlap, tile, tile_overlap)
        return single_frames(self.stream_clips(frames, *options, scene_detection, vocabulary=vocabulary))

    def stream_clips(
        self,
        frames: Iterable[np.ndarray | Tensor],
        num_inference_steps: int | None = None,
        sampler: str | None = None,
        noise: str = "video",
        seed: int = 0,
        prior: Prior = None,
        clip_length: int | None = None,
        clip_overlap: int | None = None,
        tile: int | tuple[int, int] | None = None,
        tile_overlap: int | None = None,
        scene_detection: bool = True,
        state: StreamState | None = None,
        vocabulary: Sequence[str] | None = None,
    ) -> Iterator[FinishedFrames]:
        """As [`stream`], clip by clip and with the state after each, for runs that may be interrupted.

        Args:
            frames: as for [`stream`]; with `state`, the frames from `state.next_frame` on.
            seed: of the noise, any whole number. Noise depends on it and on the place in the video alone.
            state: where to go on, with the same settings; the bits are those of an undisturbed run.

        The other arguments, and the errors, are those of [`stream`].

        Yields:
            The frames (n, 3, sH, sW) that every clip finished.
        """
        settings = StreamSettings(clip_length, clip_overlap, tile, tile_overlap, scene_detection)
        run = self._start(num_inference_steps, sampler, noise, prior, None, settings, vocabulary)
        run.noise = VideoNoise([seed], noise)
        return stream_video(run, frames, settings, state, self.maybe_free_model_hooks)

    def _start(
        self,
        num_inference_steps: int | None,
        sampler: str | None,
        noise: str,
        prior: Prior,
        callback: Callback,
        settings: StreamSettings,
        vocabulary: Sequence[str] | None,
    ) -> SeeClearRun:
        """Checks the settings and prepares the networks; a run that has no seeds yet."""
        scheduler = self.scheduler
        if sampler is not None and sampler != scheduler.config.sampler:
            scheduler = BlurringResShiftScheduler.from_config(scheduler.config, sampler=sampler)
        steps = self.config.default_num_inference_steps if num_inference_steps is None else num_inference_steps
        scheduler.set_timesteps(steps, device=self._execution_device)
        self._num_timesteps = len(scheduler.timesteps)
        networks = [self.pixel_condenser, self.semantic_distiller]
        lens = self.prior if prior is None else prior
        if isinstance(lens, SemanticLens):
            check_prior(lens, self.pixel_condenser, self.semantic_distiller)
            networks.append(lens)
        for network in networks:
            network.to(memory_format=torch.channels_last)
        run = SeeClearRun(self, scheduler, scheduler.timesteps, VideoNoise([], noise), prior, callback)
        if vocabulary is not None:
            words = embed_vocabulary(vocabulary, self.semantic_distiller, self.text_encoder, self.tokenizer)
            run.vocabulary_embeddings = words
        settings.clips(run.clip_length, run.clip_overlap)  # raises where the overlap does not fit
        return run
