# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""SeeClear as a diffusers pipeline (Algorithm 1; with a prior, SeeClear*).

LR clip -> distiller -> tokens, features                      once a clip
LR clip -> bicubic or prior -> y, u_T ~ N(y, kappa^2 eta_T)    once a clip
u_T -> [condenser -> scheduler] x steps -> x0                  CaTeGory's memory is read
memory <- decoder features of the last step                    carried to the next clip
"""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
import torch.nn.functional as F
from diffusers import DiffusionPipeline, ModelMixin
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from seeclear.models import PixelCondenser, SemanticDistiller
from seeclear.resize import imresize, to_uint8
from seeclear.schedulers import BlurringResShiftScheduler
from seeclear.video.clips import iter_clips
from seeclear.video.inputs import VideoInput, read_input

from .pipeline_output import SeeClearPipelineOutput

SHIPPED_WEIGHTS = Path(__file__).parent.parent / "weights"
PIPELINE_FILE = "from seeclear import SeeClearPipeline  # noqa: F401\n"
NOISE_MODES = ("video", "clip", "frame")
OUTPUT_TYPES = ("pil", "np", "pt")

Generators = torch.Generator | list[torch.Generator] | None


class SeeClearPipeline(DiffusionPipeline):
    """Upscales videos with SeeClear.

    Args:
        pixel_condenser: the denoising U-Net.
        semantic_distiller: gives it the semantics of a clip.
        scheduler: the diffusion process; its configuration's `sampler` is the default one.
        prior: SeeClear*: a model that maps LR clips (B, F, 3, H, W) in [-1, 1] to HR clips (B, F, 3, sH, sW), from
            which sampling starts; None is bicubic. For a plain function use the `prior` argument of the call.
        clip_length: F, frames that are restored together.
        default_num_inference_steps: steps of a call that does not say how many.
    """

    model_cpu_offload_seq = "prior->semantic_distiller->pixel_condenser"
    _optional_components = ["prior"]
    _callback_tensor_inputs = ["latents", "pred_original_sample"]

    def __init__(
        self,
        pixel_condenser: PixelCondenser,
        semantic_distiller: SemanticDistiller,
        scheduler: BlurringResShiftScheduler,
        prior: ModelMixin | None = None,
        clip_length: int = 5,
        default_num_inference_steps: int = 1,
    ) -> None:
        super().__init__()
        self.register_modules(
            pixel_condenser=pixel_condenser, semantic_distiller=semantic_distiller, scheduler=scheduler, prior=prior
        )
        self.register_to_config(clip_length=clip_length, default_num_inference_steps=default_num_inference_steps)

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> "SeeClearPipeline":
        """As `DiffusionPipeline.from_pretrained`; besides folders and Hub ids it knows the names of the shipped
        weights.

        Raises:
            ValueError: there is no such folder, and the name is neither a shipped model nor of the form of a Hub id.
        """
        name = str(pretrained_model_name_or_path)
        if not os.path.isdir(name):
            shipped = sorted(path.name for path in SHIPPED_WEIGHTS.iterdir() if path.is_dir())
            if name in shipped:
                name = str(SHIPPED_WEIGHTS / name)
            elif name.count("/") != 1 or name.startswith((".", "/", "~")):
                raise ValueError(
                    f"`pretrained_model_name_or_path` is {name!r}; "
                    f"it must be a folder, a Hub id (owner/name) or one of {shipped}"
                )
        return super().from_pretrained(name, **kwargs)

    def save_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        """As `DiffusionPipeline.save_pretrained`; also writes `pipeline.py`, through which diffusers finds the class.

        `DiffusionPipeline.from_pretrained(folder, custom_pipeline="pipeline", trust_remote_code=True)` needs it.
        """
        super().save_pretrained(save_directory, **kwargs)
        (Path(save_directory) / "pipeline.py").write_text(PIPELINE_FILE, encoding="utf-8")

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
        noise: str = "clip",
        generator: Generators = None,
        prior: Callable[[Tensor], Tensor] | None = None,
        output_type: str = "pil",
        callback_on_step_end: Callable[["SeeClearPipeline", int, int, dict[str, Tensor]], dict[str, Tensor]]
        | None = None,
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
                clip, "video" once.
            generator: one generator, or one for each video of the batch. The same seed gives the same bits.
            prior: a callable LR clip -> HR clip as in the class's description, for this call only.
            output_type: "pil", "np" or "pt", see [`SeeClearPipelineOutput`].
            callback_on_step_end: called after every step with (pipeline, step of the clip, timestep, tensors); what it
                returns replaces them.
            callback_on_step_end_tensor_inputs: names among `latents` and `pred_original_sample`, (B, F, 3, H', W') in
                [-1, 1], padded.
            return_dict: a [`SeeClearPipelineOutput`] or `(frames,)`.

        Raises:
            ValueError: the input or a setting can't be used; the message names it.
        """
        if output_type not in OUTPUT_TYPES:
            raise ValueError(f"`output_type` is {output_type!r}; it must be one of {OUTPUT_TYPES}")
        unknown = [name for name in callback_on_step_end_tensor_inputs if name not in self._callback_tensor_inputs]
        if unknown:
            raise ValueError(
                f"`callback_on_step_end_tensor_inputs` has {unknown}; it may name {self._callback_tensor_inputs}"
            )
        frames, _ = read_input(video)
        if isinstance(generator, list) and len(generator) != frames.shape[0]:
            raise ValueError(f"`generator` has {len(generator)} entries; there are {frames.shape[0]} videos")
        num_clips = -(-frames.shape[1] // self.config.clip_length)
        scheduler, timesteps = self._prepare(num_inference_steps, sampler, noise)
        with self.progress_bar(total=num_clips * len(timesteps)) as bar:
            clips = self._restore(
                frames.unbind(dim=1),
                scheduler,
                timesteps,
                noise,
                generator,
                prior,
                callback_on_step_end,
                callback_on_step_end_tensor_inputs,
                bar.update,
            )
            restored = torch.cat(list(clips), dim=1)  # (B, F, 3, sH, sW)
        self.maybe_free_model_hooks()

        output: list[list[PIL.Image.Image]] | np.ndarray | Tensor = restored
        if output_type == "np":
            output = restored.permute(0, 1, 3, 4, 2).numpy()
        elif output_type == "pil":
            images = to_uint8(restored).permute(0, 1, 3, 4, 2).numpy()
            output = [[PIL.Image.fromarray(image) for image in one_video] for one_video in images]
        return SeeClearPipelineOutput(frames=output) if return_dict else (output,)

    @torch.no_grad()
    def stream(
        self,
        frames: Iterable[np.ndarray | Tensor],
        num_inference_steps: int | None = None,
        sampler: str | None = None,
        noise: str = "clip",
        generator: torch.Generator | None = None,
        prior: Callable[[Tensor], Tensor] | None = None,
    ) -> Iterator[Tensor]:
        """Upscales a video frame by frame as it comes; memory depends on the clip, not on the video's length.

        Args:
            frames: arrays (H, W, 3), uint8 or float in [0, 1], or tensors (3, H, W), all of one size.
            num_inference_steps, sampler, noise, generator, prior: as in the call.

        Yields:
            As many frames as came in, (3, sH, sW) float32 in [0, 1] on the CPU.

        Raises:
            ValueError: a setting (before the first frame is read) or a frame can't be used.
        """
        scheduler, timesteps = self._prepare(num_inference_steps, sampler, noise)

        def restore() -> Iterator[Tensor]:
            singles = (read_input([frame])[0][:, 0] for frame in frames)  # (1, 3, H, W)
            with torch.no_grad():
                for clip in self._restore(singles, scheduler, timesteps, noise, generator, prior):
                    yield from clip[0]
            self.maybe_free_model_hooks()

        return restore()

    def _prepare(
        self, num_inference_steps: int | None, sampler: str | None, noise: str
    ) -> tuple[BlurringResShiftScheduler, Tensor]:
        """Checks the settings; a scheduler with that sampler and its timesteps."""
        if noise not in NOISE_MODES:
            raise ValueError(f"`noise` is {noise!r}; it must be one of {NOISE_MODES}")
        scheduler = self.scheduler
        if sampler is not None and sampler != scheduler.config.sampler:
            scheduler = BlurringResShiftScheduler.from_config(scheduler.config, sampler=sampler)
        steps = self.config.default_num_inference_steps if num_inference_steps is None else num_inference_steps
        scheduler.set_timesteps(steps, device=self._execution_device)
        self._num_timesteps = len(scheduler.timesteps)
        return scheduler, scheduler.timesteps

    def _restore(
        self,
        frames: Iterable[Tensor],
        scheduler: BlurringResShiftScheduler,
        timesteps: Tensor,
        noise: str,
        generator: Generators,
        prior: Callable[[Tensor], Tensor] | None,
        callback: Callable[..., dict[str, Tensor]] | None = None,
        callback_inputs: Iterable[str] = (),
        report: Callable[[], object] = lambda: None,
    ) -> Iterator[Tensor]:
        """The core: LR frames (B, 3, H, W) in [0, 1] in, the new HR frames of every clip (B, n, 3, sH, sW) in [0, 1]
        out.
        """
        device = self._execution_device
        self.pixel_condenser.to(memory_format=torch.channels_last)
        self.semantic_distiller.to(memory_format=torch.channels_last)
        draws = NoiseSource(noise, generator, device)
        memory = None
        for clip, num_new in iter_clips(frames, self.config.clip_length):
            low_res = torch.stack(clip, dim=1).to(device) * 2 - 1  # (B, F, 3, H, W) in [-1, 1]
            height, width = low_res.shape[-2:]
            padding = self.pixel_condenser.size_requirement.padding(height, width)
            y = _pad(self._enlarge(low_res, prior), [self.scale * p for p in padding])
            padded = _pad(low_res, padding).to(self.semantic_distiller.dtype)
            tokens, features, _, _ = self.semantic_distiller(padded, return_dict=False)
            tokens, features = tokens.to(self.pixel_condenser.dtype), features.to(self.pixel_condenser.dtype)

            draws.next_clip()
            latents = y + scheduler.init_noise_sigma * draws(y)  # eq. 6
            clip_tokens = None
            for i, t in enumerate(timesteps):
                last = i + 1 == len(timesteps)
                output = self.pixel_condenser(
                    scheduler.scale_model_input(latents, t).to(self.pixel_condenser.dtype),
                    t,
                    y.to(self.pixel_condenser.dtype),
                    tokens=tokens,
                    features=features,
                    clip_tokens=clip_tokens,
                    memory=memory,
                    update_memory=last,
                )
                clip_tokens = output.clip_tokens
                stochastic = scheduler.config.sampler != "ddim" and not last
                latents, pred_original_sample = scheduler.step(
                    output.sample.float(),
                    t,
                    latents,
                    low_res=y,
                    variance_noise=draws(y) if stochastic else None,
                    return_dict=False,
                )
                if callback is not None:
                    values = {"latents": latents, "pred_original_sample": pred_original_sample}
                    chosen = {name: values[name] for name in callback_inputs}
                    latents = callback(self, i, int(t), chosen).get("latents", latents)
                report()
            memory = output.memory

            restored = latents[:, -num_new:, :, : self.scale * height, : self.scale * width]
            yield ((restored.float() + 1) / 2).clamp(0, 1).cpu()

    def _enlarge(self, low_res: Tensor, prior: Callable[[Tensor], Tensor] | None) -> Tensor:
        """y: bicubic or what the prior makes of the LR clip, (B, F, 3, sH, sW), float32.

        Raises:
            ValueError: the prior's result has another shape.
        """
        if prior is not None:
            y = prior(low_res)
        elif self.prior is not None:
            y = self.prior(low_res.to(self.prior.dtype))
        else:
            return imresize(low_res, scale=self.scale)
        expected = (*low_res.shape[:3], self.scale * low_res.shape[3], self.scale * low_res.shape[4])
        if tuple(y.shape) != expected:
            raise ValueError(f"`prior` gave frames of shape {tuple(y.shape)}; they must be {expected}")
        return y.float()


class NoiseSource:
    """Draws the noise of a video's clips, shared as `mode` says: within a frame, a clip or the whole video."""

    def __init__(self, mode: str, generator: Generators, device: torch.device) -> None:
        self.mode, self.generator, self.device = mode, generator, device
        self.kept: list[Tensor] = []
        self.position = 0

    def next_clip(self) -> None:
        """The next draw is the first of a clip."""
        self.position = 0

    def __call__(self, like: Tensor) -> Tensor:
        """White noise of the shape of `like` (B, F, 3, H, W)."""
        if self.mode == "video" and self.position < len(self.kept):
            noise = self.kept[self.position]
        else:
            frames = like.shape[1] if self.mode == "frame" else 1
            shape = (like.shape[0], frames, *like.shape[2:])
            noise = randn_tensor(shape, generator=self.generator, device=self.device, dtype=torch.float32)
            if self.mode == "video":
                self.kept.append(noise)
        self.position += 1
        return noise.expand_as(like)


def _pad(frames: Tensor, padding: Iterable[int]) -> Tensor:
    """(B, F, 3, H, W): rows below and columns to the right, by repeating the edge."""
    rows, columns = padding
    if not rows and not columns:
        return frames
    return F.pad(frames.flatten(0, 1), (0, columns, 0, rows), mode="replicate").unflatten(0, frames.shape[:2])
