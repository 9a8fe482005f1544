# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""SeeClear as a diffusers pipeline (Algorithm 1; with a prior, SeeClear*).

    whole LR clip -> distiller -> tokens, features; optical flow      once a clip: `encode_semantics`
    LR tile -> bicubic or prior -> y                                   once a tile: `prepare_low_res`
    u_T ~ N(y, kappa^2 eta_T)                                          `prepare_latents`
    u_T -> [condenser -> scheduler] x steps -> x0                      `denoise`; CaTeGory's memory is read
    x0 <- y + detail (x0 - y)                                          `_restore`; where less detail is asked for
    memory <- decoder features of the last step                        `write_memory`; carried to the next clip

`streaming` cuts a video into clips and tiles and blends them.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from diffusers import ModelMixin
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from seeclear.models import PixelCondenser, SemanticDistiller, SemanticLens
from seeclear.schedulers import BlurringResShiftScheduler
from seeclear.video.inputs import Frame, VideoInput

from .callbacks import Callback, StepCallback
from .clip_context import ClipContext, align_features
from .noise import Generators, VideoNoise, draw_seeds
from .pipeline_output import SeeClearPipelineOutput
from .pipeline_semantic_lens import semantics_of, upscale_tile
from .prior import Prior, check_prior
from .settings import RestorationSettings
from .shared_flow import SharedFlow
from .shipped_pipeline import ShippedPipeline
from .streaming import Clip, ClipStream, FinishedFrames, Layout, StreamState
from .tiles import Tile, crop_tile, enlarge_tile, pad_frames
from .videos import VideoBatch, check_output_type, one_video, single_frames, without_batch
from .vocabulary import embed_vocabulary

logger = logging.getLogger(__name__)


@dataclass
class _Run:
    """What one call owns; another call, of another thread or while this one is suspended, changes nothing of it."""

    settings: RestorationSettings
    scheduler: BlurringResShiftScheduler
    timesteps: list[int]
    prior: ModelMixin | Prior | None
    vocabulary: Tensor | None
    callback: StepCallback
    flow: SharedFlow
    prior_flow: SharedFlow | None
    noise: VideoNoise
    report: Callable[[], object] = lambda: None

    def of_videos(self, seeds: Sequence[int]) -> "_Run":
        """The same for other videos, which share nothing with those before."""
        flow = SharedFlow(self.flow.estimate)
        prior_flow = None if self.prior_flow is None else SharedFlow(self.prior_flow.estimate)
        return replace(self, flow=flow, prior_flow=prior_flow, noise=VideoNoise(seeds, self.settings.noise))


class SeeClearPipeline(ShippedPipeline):
    """Upscales videos with SeeClear.

    Args:
        pixel_condenser: the denoising U-Net.
        semantic_distiller: gives it the semantics of a clip.
        scheduler: the diffusion process; its configuration's `sampler` is the default one. Every call works with a
            scheduler of its own that is made from the configuration of this one.
        prior: SeeClear*: what gives the HR clips from which sampling starts. A [`SemanticLens`], which shares the
            distiller; or another model that maps LR clips (B, F, 3, H, W) in [-1, 1] to HR clips (B, F, 3, sH, sW);
            None is bicubic. For a plain function use the `prior` argument of the call.
        text_encoder: a text model of transformers with `text_embeds`, for a distiller with an open vocabulary.
        tokenizer: its tokenizer.
        clip_length: F, frames that are restored together.
        clip_overlap: frames that two clips share and that are blended. Where clips share their noise they meet without
            a seam as it is; a prior that learns from neighbors does better with some.
        default_num_inference_steps: steps of a call that does not say how many.
        one_step: whether the weights were trained for one step. More then take time and bring nothing, and a call that
            asks for more logs a note.
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
        one_step: bool = False,
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
            one_step=one_step,
        )
        self._interrupt = False

    @property
    def scale(self) -> int:
        """s, the upscaling factor."""
        return self.pixel_condenser.config.scale

    @property
    def num_timesteps(self) -> int:
        """Steps of the last call."""
        return self._num_timesteps

    @property
    def interrupt(self) -> bool:
        """Whether the call that is running is to end early; a callback sets `_interrupt`, as everywhere in diffusers.

        A tile is then what the last step estimated, and all that has not begun is enlarged by bicubic.
        """
        return self._interrupt

    @property
    def layout(self) -> Layout:
        """What clips and tiles have to be like without a prior of the call: corners lie on the coarsest level's
        attention windows, of which those of the other levels are parts.
        """
        return self._layout(self.prior)

    def _layout(self, prior: ModelMixin | Prior | None) -> Layout:
        """As [`layout`]; with a prior y is not known of the frames around a clip, since it works on the clip alone."""
        config, condenser = self.config, self.pixel_condenser
        multiple_of = condenser.size_requirement.multiple_of
        reach = condenser.reach if prior is None else 0
        alignment = multiple_of * condenser.config.window_size
        return Layout(self.scale, config.clip_length, config.clip_overlap, reach, multiple_of, alignment)

    @torch.no_grad()
    def __call__(
        self,
        video: VideoInput,
        num_inference_steps: int | None = None,
        sampler: str | None = None,
        noise: str = "video",
        generator: Generators = None,
        prior: Prior | SemanticLens | None = None,
        clip_length: int | None = None,
        clip_overlap: int | None = None,
        tile: int | tuple[int, int] | None = None,
        tile_overlap: int | None = None,
        scene_detection: bool = True,
        vocabulary: Sequence[str] | None = None,
        detail: float = 1.0,
        output_type: str = "pil",
        callback_on_step_end: Callback | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        return_dict: bool = True,
    ) -> SeeClearPipelineOutput | tuple[Any]:
        """Upscales a video or a batch of videos of one size and length.

        Args:
            video: list of PIL images, or one image; array (F, H, W, 3), uint8 or float in [0, 1]; tensor (F, 3, H, W)
                in [0, 1]; a batch of these; or a path to a video file or a folder of images.
            num_inference_steps, sampler, noise, clip_length, clip_overlap, tile, tile_overlap, scene_detection,
                vocabulary: see [`RestorationSettings`]. Words outside of the distiller's vocabulary need one that is
                open, and a text encoder.
            detail: how much of what the model makes up is kept, 0 to 1: 1 gives its frames, 0 those of the prior,
                faithful and softer, and `y + detail * (x0 - y)` lies between. Pixels of y and x0 are mixed, since that
                needs no second set of weights. Only with a prior, of the pipeline or of this call.
            generator: one generator, or one for each video of the batch; a seed is drawn of it for each video. The
                same seed gives the same bits.
            prior: a [`SemanticLens`] or a callable LR clip -> HR clip as in the class's description, for this call
                only. It is given tiles one by one.
            output_type: "pil", "np" or "pt", see [`SeeClearPipelineOutput`].
            callback_on_step_end: called after every step with (pipeline, step, timestep, tensors); what it returns for
                them is gone on with. The steps of each clip and tile begin at 0.
            callback_on_step_end_tensor_inputs: names among `latents` and `pred_original_sample`, (B, F, 3, H', W') in
                [-1, 1], padded; of one tile. Videos of a batch run together where their scenes are cut alike.
            return_dict: a [`SeeClearPipelineOutput`] or `(frames,)`.

        Raises:
            ValueError: the input or a setting can't be used; the message names it.
        """
        check_output_type(output_type)
        cut = (clip_length, clip_overlap, tile, tile_overlap, scene_detection)
        settings = RestorationSettings(*cut, vocabulary, num_inference_steps, sampler, noise, detail=detail)
        run = self._begin(settings, prior, callback_on_step_end, callback_on_step_end_tensor_inputs)
        batch = VideoBatch(video, self._layout(run.prior), settings)
        seeds = draw_seeds(generator, len(batch))
        with self.progress_bar(total=batch.count_tiles() * self.num_timesteps) as bar:
            run.report = bar.update
            for members, frames in batch.groups():
                parts = []
                for finished in self._restore(frames, run.of_videos([seeds[index] for index in members])):
                    parts.append(finished.frames)
                batch.put(members, parts)
        output = batch.output(output_type)
        return SeeClearPipelineOutput(frames=output) if return_dict else (output,)

    def _restore(
        self, frames: Iterable[Tensor], run: _Run, state: StreamState | None = None
    ) -> Iterator[FinishedFrames]:
        """Upscales frames (B, 3, H, W) in [0, 1] clip by clip: where all calls meet (Algorithm 1)."""
        stream = ClipStream(frames, self._layout(run.prior), run.settings, state)
        for clip in stream:
            with torch.no_grad():  # not around the generator: torch's decorator holds what was given out
                context = None if self.interrupt else self.encode_semantics(clip, run)
                for tile in clip.tiles():
                    if context is None or self.interrupt:
                        y = enlarge_tile(clip.frames.to(self._execution_device) * 2 - 1, tile, self.scale)
                        clip.paste(tile, y.add_(1).div_(2).clamp_(0, 1))
                        continue
                    low_res, prior_features = self.prepare_low_res(context, tile, run)
                    latents = self.prepare_latents(low_res, context, tile, run)
                    restored = self.denoise(latents, low_res, context, tile, run, prior_features).float()
                    if run.settings.detail != 1:
                        y = low_res.narrow(1, clip.first_frame, clip.num_frames)
                        restored = y + run.settings.detail * (restored - y)
                        del y
                    clip.paste(tile, restored.add(1).div_(2).clamp_(0, 1))
                    del low_res, prior_features, latents, restored
                ready = [stream.finish(clip, {} if context is None else self.write_memory(context))]
            del clip, context
            yield ready.pop()
        self.maybe_free_model_hooks()

    def encode_semantics(self, clip: Clip, run: _Run) -> ClipContext:
        """Distils the whole frames of a clip, once, and finds their optical flow where a network needs it."""
        low_res = clip.surroundings.to(self._execution_device) * 2 - 1
        multiple_of = self.pixel_condenser.size_requirement.multiple_of
        padded = pad_frames(low_res, multiple_of)
        height, width = padded.shape[-2:]
        clip_frames = padded.narrow(1, clip.first_frame, clip.num_frames)
        masks = isinstance(run.prior, SemanticLens) and run.prior.config.image
        distilled = self.semantic_distiller(clip_frames, run.vocabulary, masks=masks)
        features, cell = align_features(distilled.features, height, width, multiple_of)
        dtype, memory = self.pixel_condenser.dtype, clip.carried.get("memory")
        return ClipContext(
            clip,
            distilled,
            low_res,
            (height, width),
            distilled.tokens.to(dtype),
            features.to(dtype),
            cell,
            distilled.clip_tokens.to(dtype),
            flow=run.flow(padded, clip.start - clip.first_frame),
            prior_flow=None if run.prior_flow is None else run.prior_flow(low_res, clip.start),
            memory=None if memory is None else memory.to(low_res.device),
        )

    def prepare_low_res(self, context: ClipContext, tile: Tile, run: _Run) -> tuple[Tensor, Tensor | None]:
        """y of a tile and of the frames around the clip: bicubic, or what the prior makes of it; and the prior's
        features of the clip, where the condenser looks at them.

        Returns:
            (y (B, G, 3, s * height, s * width) of the tile, float32; features (B, F, C, height, width), or None);
            beyond the frame the edge is repeated.

        Raises:
            ValueError: the prior's result has another shape.
        """
        prior, low_res = run.prior, context.low_res
        if prior is None:
            return enlarge_tile(low_res, tile, self.scale), None
        if isinstance(prior, SemanticLens):
            semantics = semantics_of(context.distilled) if prior.needs_semantics else {}
            wanted = self.pixel_condenser.needs_prior_features
            output = upscale_tile(prior, low_res, semantics, tile, context.size, context.prior_flow, wanted)
            return output.sample, output.hidden_states
        height, width = low_res.shape[-2:]
        part = low_res[..., tile.top : min(height, tile.bottom), tile.left : min(width, tile.right)]
        y = prior(part.to(prior.dtype) if isinstance(prior, ModelMixin) else part)
        expected = (*part.shape[:3], self.scale * part.shape[3], self.scale * part.shape[4])
        if tuple(y.shape) != expected:
            raise ValueError(f"`prior` gave frames of shape {tuple(y.shape)}; they must be {expected}")
        return crop_tile(y.float(), Tile(0, tile.bottom - tile.top, 0, tile.right - tile.left), self.scale), None

    def prepare_latents(self, low_res: Tensor, context: ClipContext, tile: Tile, run: _Run) -> Tensor:
        """u_T ~ N(y, kappa^2 eta_T), eq. 6, of the clip's frames: (B, F, 3, s * height, s * width)."""
        clip = context.clip
        y = low_res.narrow(1, clip.first_frame, clip.num_frames)
        return y + run.scheduler.init_noise_sigma * run.noise.of_tile(0, clip, tile).to(y.device)

    def denoise(
        self,
        latents: Tensor,
        low_res: Tensor,
        context: ClipContext,
        tile: Tile,
        run: _Run,
        prior_features: Tensor | None = None,
    ) -> Tensor:
        """x0 of a tile (B, F, 3, s * height, s * width) in [-1, 1]: the loop over the timesteps.

        What CaTeGory writes after the clip goes into the context.
        """
        condenser, scheduler, clip = self.pixel_condenser, run.scheduler, context.clip
        estimate = y = low_res.narrow(1, clip.first_frame, clip.num_frames)
        known, whole = context.of_tile(tile), tile.weights is None
        for i, t in enumerate(run.timesteps):
            if self.interrupt:
                return estimate
            last = i + 1 == len(run.timesteps)
            output = condenser(
                scheduler.scale_model_input(latents, t),
                t,
                low_res,
                **known,
                prior_features=prior_features,
                first_frame=clip.first_frame,
                update_memory=last and whole,
                return_pyramid=last and not whole and condenser.memory is not None,
            )
            context.new_memory = output.memory
            if output.pyramid is not None:
                context.gather(output.pyramid, tile)
            stochastic = scheduler.config.sampler != "ddim" and not last
            drawn = run.noise.of_tile(i + 1, clip, tile).to(y.device) if stochastic else None
            step = partial(
                scheduler.step, timestep=t, sample=latents, low_res=y, variance_noise=drawn, return_dict=False
            )
            latents, estimate = step(output.sample.float())
            latents, estimate = run.callback(self, i, t, latents, estimate, step)
            run.report()
        return latents

    def write_memory(self, context: ClipContext) -> dict[str, Tensor]:
        """What is carried to the next clip: CaTeGory's memory T (B, J, D_t), one a video."""
        memory = context.new_memory
        if context.pooled:
            memory = self.pixel_condenser.write_memory(context.memory, context.pooled)
        return {} if memory is None else {"memory": memory}

    def stream(
        self,
        video: VideoInput | Iterable[Frame],
        *,
        generator: torch.Generator | None = None,
        prior: Prior | SemanticLens | None = None,
        output_type: str = "pt",
        **settings: Any,
    ) -> Iterator[Any]:
        """Upscales a video frame by frame as it comes; memory depends on clip and tile, not on the video's length.

        Args:
            video: as in the call, but no batch; or any iterable of PIL images, arrays (H, W, 3) or tensors (3, H, W),
                all of one size.
            generator, prior: as in the call. Without a `seed` one is drawn of the generator.
            output_type: "pt" gives tensors (3, sH, sW), "np" arrays (sH, sW, 3), both float32 in [0, 1] on the CPU;
                "pil" gives PIL images.
            settings: single settings of [`RestorationSettings`] by their names.

        Yields:
            As many frames as came in.

        Raises:
            ValueError: a setting (before the first frame is read) or a frame can't be used.
        """
        check_output_type(output_type)
        if "seed" not in settings:
            settings["seed"] = draw_seeds(generator, 1)[0]
        return single_frames(self.stream_clips(video, RestorationSettings(**settings), prior=prior), output_type)

    def stream_clips(
        self,
        video: VideoInput | Iterable[Frame],
        settings: RestorationSettings | None = None,
        state: StreamState | None = None,
        prior: Prior | SemanticLens | None = None,
    ) -> Iterator[FinishedFrames]:
        """As [`stream`], clip by clip and with the state after each, for runs that may be interrupted.

        Args:
            video: as for [`stream`]; with `state`, the frames from `state.next_frame` on.
            settings: of the restoration.
            state: where to go on, with the same settings; the bits are those of an undisturbed run.
            prior: as in the call.

        Yields:
            The frames (n, 3, sH, sW) that every clip finished.

        Raises:
            ValueError: as [`stream`].
        """
        settings = RestorationSettings() if settings is None else settings
        run = self._begin(settings, prior).of_videos([settings.seed])
        return without_batch(self._restore(one_video(video), run, state))

    def _begin(
        self,
        settings: RestorationSettings,
        prior: Prior | SemanticLens | None = None,
        callback: Callback | None = None,
        callback_inputs: Sequence[str] = (),
    ) -> _Run:
        """Checks all that a call was given and prepares the networks."""
        wrapped = StepCallback(callback, callback_inputs, self._callback_tensor_inputs)
        settings.clips(self.config.clip_length, self.config.clip_overlap)  # raises where the overlap does not fit
        prior = self.prior if prior is None else prior
        check_prior(prior, self.pixel_condenser, self.semantic_distiller)
        if prior is None:
            settings.refuse_detail("this model has no prior whose frames its own could be mixed with")
        scheduler = self._own_scheduler(settings)
        words = None
        if settings.vocabulary is not None:
            words = embed_vocabulary(settings.vocabulary, self.semantic_distiller, self.text_encoder, self.tokenizer)
        networks = [self.pixel_condenser, self.semantic_distiller]
        for network in [*networks, prior] if isinstance(prior, SemanticLens) else networks:
            network.to(memory_format=torch.channels_last)
        timesteps = scheduler.timesteps.tolist()  # numbers: no step waits for a device
        self._num_timesteps, self._interrupt = len(timesteps), False
        flow = SharedFlow(self.pixel_condenser.estimate_flow)
        prior_flow = SharedFlow(prior.estimate_flow) if isinstance(prior, SemanticLens) else None
        noise = VideoNoise([], settings.noise)
        return _Run(settings, scheduler, timesteps, prior, words, wrapped, flow, prior_flow, noise)

    def _own_scheduler(self, settings: RestorationSettings) -> BlurringResShiftScheduler:
        """A scheduler for one call, with its timesteps."""
        if not isinstance(self.scheduler, BlurringResShiftScheduler):
            raise ValueError(
                f"`scheduler` is a {type(self.scheduler).__name__}; SeeClear's diffusion process needs a "
                "BlurringResShiftScheduler"
            )
        changes = {} if settings.sampler is None else {"sampler": settings.sampler}
        scheduler = type(self.scheduler).from_config(self.scheduler.config, **changes)
        steps = settings.num_inference_steps
        scheduler.set_timesteps(self.config.default_num_inference_steps if steps is None else steps)
        if self.config.one_step and len(scheduler.timesteps) > 1:
            logger.warning(
                f"`num_inference_steps` is {len(scheduler.timesteps)}; these weights were trained for one step, and "
                "more take as many times longer and bring nothing"
            )
        return scheduler
