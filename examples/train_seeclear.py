# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Trains SeeClear. `--help` lists the arguments, examples/README.md has commands."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from seeclear import (
    BlurringResShiftScheduler,
    PixelCondenser,
    SeeClearPipeline,
    SemanticDistiller,
    SemanticLens,
    SemanticLensPipeline,
)
from seeclear.models.presets import PRESETS
from seeclear.pipelines.prior import check_prior
from seeclear.shipped import SCALE, locate
from seeclear.training.arguments import parse_arguments, read_configuration
from seeclear.training.dry_run import StepPlan, distilled_frame, print_dry_run
from seeclear.training.frame_losses import FrameLosses, planned_loss
from seeclear.training.lens_semantics import LensSemantics
from seeclear.training.loop import TrainingLoop, one_line_errors, run_training
from seeclear.training.mixture import build_data
from seeclear.training.model import TrainingModel, take_over
from seeclear.training.model_card import SEECLEAR, SEECLEAR_STAR, save_model_card
from seeclear.training.prior import TrainingPrior, middle_frames, middle_places, set_prior
from seeclear.training.prior_frames import PriorFrames
from seeclear.training.sampling import (
    clip_generators,
    sample_flags,
    sample_noise,
    sample_timesteps,
)
from seeclear.training.semantics import CELL, SemanticsCache, check_widths, load_distiller
from seeclear.training.sharding import shares_weights


def build_pipeline(args: argparse.Namespace, making: AbstractContextManager[Any] | None = None) -> SeeClearPipeline:
    """The pipeline to train: a saved one, or an untrained one of a preset, its networks made inside `making`; with
    another distiller if one is given.

    Raises:
        ValueError: there is no such model or preset, or the distiller does not go with the condenser.
    """
    components: dict[str, Any] = {}
    if args.distiller is not None:
        components["semantic_distiller"] = load_distiller(args.distiller)
    if args.pretrained_model_name_or_path is not None:
        path = args.pretrained_model_name_or_path
        saved = SeeClearPipeline.from_pretrained(path, dtype=torch.float32, **components)
        check_fit(args, saved.pixel_condenser, saved.semantic_distiller)
        return saved
    if args.preset not in PRESETS:
        raise ValueError(f"`preset` is {args.preset!r}; it may be one of {', '.join(PRESETS)}")
    preset = PRESETS[args.preset]
    use = {"clip_length": args.num_frames}

    with making or nullcontext():
        if args.distiller is None:
            config = read_configuration(SemanticDistiller, preset["semantic_distiller"], args.distiller_config)
            components["semantic_distiller"] = SemanticDistiller(**config)
        config = read_configuration(PixelCondenser, preset["pixel_condenser"], args.condenser_config)
        components["pixel_condenser"] = PixelCondenser(**config)
    check_fit(args, components["pixel_condenser"], components["semantic_distiller"])
    if args.start_from is not None and making is None:
        trained = SeeClearPipeline.from_pretrained(locate(args.start_from, "start_from"), dtype=torch.float32)
        take_over(components["pixel_condenser"], trained.pixel_condenser)
        use = {name: trained.config[name] for name in ("clip_length", "clip_overlap", "default_num_inference_steps")}
    scheduler = BlurringResShiftScheduler()
    return SeeClearPipeline(**components, scheduler=scheduler, **use)


def check_fit(args: argparse.Namespace, condenser: PixelCondenser, distiller: SemanticDistiller) -> None:
    """Refuses networks that do not go together, and crops that the condenser can't take."""
    check_widths(condenser, distiller)
    multiple = SCALE * condenser.size_requirement.multiple_of
    if args.resolution % multiple:
        raise ValueError(f"`resolution` is {args.resolution}; it must be a multiple of {multiple} for this condenser")


def find_prior(args: argparse.Namespace, pipeline: SeeClearPipeline) -> None:
    """Gives the pipeline the prior that was named, and refuses one that does not go with the condenser, or what would
    give a condenser that looks at the prior's features y without them.
    """
    if args.prior is not None:
        set_prior(pipeline, args.prior)
    check_prior(pipeline.prior, pipeline.pixel_condenser, pipeline.semantic_distiller)
    if not pipeline.pixel_condenser.needs_prior_features:
        return
    if args.prior_dir is not None:
        raise ValueError(
            "`prior_dir` was given; it keeps frames, and this condenser looks at the features of its prior, too"
        )
    if args.prior_probability < 1:
        raise ValueError(
            f"`prior_probability` is {args.prior_probability}; it must be 1 for this condenser, which looks at the "
            "features of its prior"
        )


class Trainer(TrainingLoop):
    """One training run of the condenser, and of the distiller if asked for."""

    def __init__(self, args: argparse.Namespace, accelerator: Accelerator) -> None:
        super().__init__(args, accelerator)
        self.pipeline = build_pipeline(args)
        find_prior(args, self.pipeline)
        self.scheduler = self.pipeline.scheduler
        model = TrainingModel(
            self.pipeline.pixel_condenser, self.pipeline.semantic_distiller, args.stage, args.train_distiller
        )
        model.skip_silent_memory()
        if args.gradient_checkpointing:
            model.pixel_condenser.enable_gradient_checkpointing()
        self.num_frames = model.num_clips * args.num_frames
        num_frames = self.num_frames if args.prior_frames is None else args.prior_frames
        self.data = build_data(args, num_frames, num_samples=args.max_train_steps * self.clips_per_step)
        self._build_semantics(model)
        self.losses = FrameLosses(args, accelerator)
        self.prepare(model)

    def _build_semantics(self, model: TrainingModel) -> None:
        """What a frozen distiller gives the condenser, and the prior, which shares it.

        Raises:
            ValueError: the distiller of a prior is to be trained.
        """
        prior, sources = self.pipeline.prior, self.data.dataset.clips.sources
        frozen = self.args.train_distiller == "nothing"
        distiller = model.semantic_distiller
        if shares_weights(self.accelerator):  # a distiller that is asked apart from the model must be whole
            distiller = copy.deepcopy(distiller)
        if isinstance(prior, SemanticLens) and prior.needs_semantics:
            if not frozen:
                raise ValueError(
                    f"`train_distiller` is {self.args.train_distiller!r}; it must be 'nothing' where the prior works "
                    "with the distiller's semantics"
                )
            cache: SemanticsCache = LensSemantics.for_lens(
                prior, distiller, sources, self.args.semantics_dir, self.accelerator.autocast
            )
        else:
            cache = SemanticsCache(distiller, sources, self.args.semantics_dir)
        self.semantics = cache if frozen and model.pixel_condenser.config.frame_semantics else None
        num_clips = model.num_clips if self.args.prior_frames is None else 1
        looks = model.pixel_condenser.needs_prior_features
        frames = None if self.args.prior_dir is None else self._prior_frames(distiller)
        device, autocast = self.accelerator.device, self.accelerator.autocast
        self.prior = TrainingPrior(prior, cache, num_clips, device, autocast, frames, looks)

    def _prior_frames(self, distiller: SemanticDistiller) -> PriorFrames:
        """The training videos as the prior restores them whole.

        Raises:
            ValueError: there is no prior, or none that can be asked so.
        """
        prior, clips = self.pipeline.prior, self.data.dataset.clips
        if not isinstance(prior, SemanticLens):
            raise ValueError("`prior_dir` needs a Semantic Lens as `prior`")
        config = self.pipeline.config
        pipe = SemanticLensPipeline(prior, distiller, config.clip_length, config.clip_overlap)
        pipe.to(self.accelerator.device)
        folder, autocast = self.args.prior_dir, self.accelerator.autocast
        frames = PriorFrames(folder, pipe, clips.sources, clips.degradation, autocast)
        with self.accelerator.main_process_first():
            frames.restore()
        return frames

    def compute_loss(self, batch: dict[str, Tensor]) -> Tensor:
        """The loss of one batch: `hr` uint8 (B, F, 3, sH, sW), `lr` uint8 (B, F, 3, H, W), `place` int64
        (B, 9), `index` int64 (B,); F is `prior_frames` where these are given.
        """
        args, device = self.args, self.accelerator.device
        x0 = batch["hr"].to(device).float() / 127.5 - 1
        lr = batch["lr"].to(device).float() / 127.5 - 1
        place = batch["place"]
        generators = clip_generators(args.seed, batch["index"].tolist(), device)
        uses_prior = sample_flags(generators, args.prior_probability) if args.prior_probability < 1 else None
        y, prior_features = self.prior(lr, place, uses_prior)
        if args.prior_frames is not None:
            x0, lr = (middle_frames(frames, self.num_frames) for frames in (x0, lr))
            place = middle_places(place, args.prior_frames, self.num_frames)
        clip_y = middle_frames(y, self.num_frames)
        if self.pipeline.prior is not None:  # in use y is not known of other frames
            y = clip_y

        timesteps = sample_timesteps(
            generators,
            self.scheduler.config.num_train_timesteps,
            args.timestep_sampling,
            args.final_timestep_probability,
        )
        noise = sample_noise(generators, x0.shape[1:])
        noisy = self.scheduler.add_noise(x0, noise, timesteps, low_res=clip_y)
        known = {}
        if prior_features is not None:
            known["prior_features"] = middle_frames(prior_features, self.num_frames)
        if self.semantics is not None:
            known["tokens"], known["features"] = self.semantics(lr, place)
        prediction = self.wrapped(self.scheduler.scale_model_input(noisy, timesteps), timesteps, y, lr, **known)

        return self.losses(prediction, x0, clip_y, generators, self.accelerator.autocast)

    def finished_pipeline(self) -> SeeClearPipeline:
        args = self.args
        model = self.averaged_model().eval()
        components = self.pipeline.components | {
            "pixel_condenser": model.pixel_condenser,
            "semantic_distiller": model.semantic_distiller,
            "prior": copy.deepcopy(self.pipeline.prior),
        }
        return SeeClearPipeline(
            **components,
            clip_length=self.pipeline.config.clip_length,
            clip_overlap=self.pipeline.config.clip_overlap,
            default_num_inference_steps=self.pipeline.config.default_num_inference_steps,
            one_step=args.timestep_sampling == "final" and args.final_timestep_probability > 0.5,
        )

    def validation_upscaler(self, pipeline: SeeClearPipeline) -> tuple[Callable[[Tensor, int], Tensor], list[int]]:
        def upscale(lr: Tensor, num_inference_steps: int) -> Tensor:
            generator = torch.Generator().manual_seed(self.args.seed)  # every validation sees the same noise
            return pipeline(lr, num_inference_steps, generator=generator, output_type="pt").frames[0]

        default = sorted({1, pipeline.config.default_num_inference_steps})
        return upscale, self.args.validation_inference_steps or default

    def save_card(self, figures: Mapping[str, float] | None, parameters: Mapping[str, tuple[int, int]]) -> None:
        save_model_card(
            self.output_dir,
            self.args,
            self.progress,
            parameters,
            self.data.sources,
            self.data.validation_names,
            figures,
            self.accelerator.num_processes,
            SEECLEAR if self.pipeline.prior is None else SEECLEAR_STAR,
        )


def plan_step(args: argparse.Namespace, mode: FakeTensorMode) -> StepPlan:
    """A training step without data, for `--dry_run`; all clips have the perceptual loss, if there is one."""
    pipeline = build_pipeline(args, mode)
    model = TrainingModel(pipeline.pixel_condenser, pipeline.semantic_distiller, args.stage, args.train_distiller)
    find_prior(args, pipeline)
    components: dict[str, nn.Module] = {
        name: component for name, component in pipeline.components.items() if isinstance(component, nn.Module)
    }
    losses = FrameLosses(args)
    components.update(losses.networks)
    if args.gradient_checkpointing:
        model.pixel_condenser.enable_gradient_checkpointing()

    def step(network: Callable[..., Any], autocast: Callable[[], AbstractContextManager[Any]]) -> Tensor:
        clips, side = (args.train_batch_size, model.num_clips * args.num_frames), args.resolution
        x0, noisy = (torch.rand(*clips, 3, side, side) for _ in range(2))
        seen = clips[1] if args.prior_frames is None or pipeline.prior is not None else args.prior_frames
        y = torch.rand(clips[0], seen, 3, side, side)
        known = {}
        if args.train_distiller == "nothing" and model.pixel_condenser.config.frame_semantics:
            distilled = distilled_frame(model.semantic_distiller)
            known["tokens"] = torch.rand(*clips, *distilled.tokens.shape[2:])
            known["features"] = torch.rand(
                *clips, distilled.features.shape[2], side // SCALE // CELL, side // SCALE // CELL
            )
            del distilled
        features = model.pixel_condenser.config.prior_feature_channels
        if features is not None:
            known["prior_features"] = torch.rand(*clips, features, side // SCALE, side // SCALE)
        low_res = torch.rand(*clips, 3, side // SCALE, side // SCALE)
        prediction = network(noisy, torch.zeros(clips[0], dtype=torch.int64), y, low_res, **known)
        shown = (prediction, x0, middle_frames(y, clips[1]))
        return planned_loss(losses, shown, autocast)

    return StepPlan(components, model, step)


def main(args: argparse.Namespace) -> None:
    """Runs the training that the arguments describe, or prints what it would take."""
    if args.dry_run:
        print_dry_run(args, plan_step)
    else:
        run_training(Trainer, args, "seeclear", find_unused_parameters=args.train_distiller != "nothing")


if __name__ == "__main__":
    with one_line_errors():
        main(parse_arguments())
