# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Trains SeeClear. `--help` lists the arguments, examples/README.md has commands."""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from seeclear import BlurringResShiftScheduler, PixelCondenser, SeeClearPipeline, SemanticDistiller
from seeclear.metrics.perceptual import LPIPS
from seeclear.models.presets import PRESETS
from seeclear.resize import imresize
from seeclear.training.arguments import parse_arguments
from seeclear.training.loop import TrainingLoop, run_training
from seeclear.training.losses import charbonnier_loss, frequency_loss
from seeclear.training.mixture import build_data
from seeclear.training.model import TrainingModel
from seeclear.training.model_card import save_model_card
from seeclear.training.sampling import clip_generators, sample_frame_indices, sample_noise, sample_timesteps
from seeclear.training.semantics import SemanticsCache


def build_pipeline(args: argparse.Namespace) -> SeeClearPipeline:
    """The pipeline to train: a saved one, or an untrained one of a preset; with another distiller if one is given."""
    components = {}
    if args.distiller is not None:
        components["semantic_distiller"] = SemanticDistiller.from_pretrained(args.distiller, dtype=torch.float32)
    if args.pretrained_model_name_or_path is not None:
        path = args.pretrained_model_name_or_path
        return SeeClearPipeline.from_pretrained(path, dtype=torch.float32, **components)
    if args.preset not in PRESETS:
        raise ValueError(f"`preset` is {args.preset!r}; it may be one of {', '.join(PRESETS)}")
    preset = PRESETS[args.preset]

    def config(component: str, path: str | None) -> dict[str, Any]:
        overrides = {} if path is None else json.loads(Path(path).read_text(encoding="utf-8"))
        return preset[component] | overrides

    if not components:
        components["semantic_distiller"] = SemanticDistiller(**config("semantic_distiller", args.distiller_config))
    return SeeClearPipeline(
        **components,
        pixel_condenser=PixelCondenser(**config("pixel_condenser", args.condenser_config)),
        scheduler=BlurringResShiftScheduler(**preset["scheduler"]),
        clip_length=args.num_frames,
    )


class Trainer(TrainingLoop):
    """One training run of the condenser, and of the distiller if asked for."""

    def __init__(self, args: argparse.Namespace, accelerator: Accelerator) -> None:
        super().__init__(args, accelerator)
        self.pipeline = build_pipeline(args)
        self.scheduler = self.pipeline.scheduler
        model = TrainingModel(
            self.pipeline.pixel_condenser, self.pipeline.semantic_distiller, args.stage, args.train_distiller
        )
        if args.gradient_checkpointing:
            model.pixel_condenser.enable_gradient_checkpointing()
        self.data = build_data(args, num_clips=model.num_clips, num_samples=args.max_train_steps * self.clips_per_step)
        self.semantics = None
        if args.train_distiller == "nothing" and model.pixel_condenser.config.frame_semantics:
            self.semantics = SemanticsCache(model.semantic_distiller, self.data.dataset.clips.sources)
        self.lpips = LPIPS(args.lpips_weights_path).to(accelerator.device) if args.lpips_weight > 0 else None
        self.prepare(model)

    def compute_loss(self, batch: dict[str, Tensor]) -> Tensor:
        """The loss of one batch: `hr` uint8 (B, F, 3, sH, sW), `lr` uint8 (B, F, 3, H, W), `place` int64
        (B, 9), `index` int64 (B,).
        """
        args, device = self.args, self.accelerator.device
        x0 = batch["hr"].to(device).float() / 127.5 - 1
        lr = batch["lr"].to(device).float() / 127.5 - 1
        y = imresize(lr, scale=4)

        generators = clip_generators(args.seed, batch["index"].tolist(), device)
        timesteps = sample_timesteps(
            generators,
            self.scheduler.config.num_train_timesteps,
            args.timestep_sampling,
            args.final_timestep_probability,
        )
        noise = sample_noise(generators, x0.shape[1:], args.shared_noise_probability)
        noisy = self.scheduler.add_noise(x0, noise, timesteps, low_res=y)
        known = {}
        if self.semantics is not None:
            known["tokens"], known["features"] = self.semantics(lr, batch["place"])
        prediction = self.wrapped(self.scheduler.scale_model_input(noisy, timesteps), timesteps, y, lr, **known)

        loss = charbonnier_loss(prediction, x0)
        if args.frequency_weight > 0:
            loss = loss + args.frequency_weight * frequency_loss(prediction, x0)
        if self.lpips is not None:
            rows = torch.arange(len(x0), device=device)
            chosen = sample_frame_indices(generators, x0.shape[1])
            loss = loss + args.lpips_weight * self.lpips(prediction[rows, chosen], x0[rows, chosen]).mean()
        return loss

    def finished_pipeline(self) -> SeeClearPipeline:
        condenser, distiller = copy.deepcopy((self.model.pixel_condenser, self.model.semantic_distiller))
        self.copy_averaged_to(TrainingModel(condenser, distiller, self.args.stage, self.args.train_distiller))
        components = self.pipeline.components | {
            "pixel_condenser": condenser.eval(),
            "semantic_distiller": distiller.eval(),
        }
        return SeeClearPipeline(
            **components,
            clip_length=self.pipeline.config.clip_length,
            default_num_inference_steps=self.pipeline.config.default_num_inference_steps,
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
        )


def main(args: argparse.Namespace) -> None:
    """Runs the training that the arguments describe."""
    run_training(Trainer, args, "seeclear", find_unused_parameters=args.train_distiller != "nothing")


if __name__ == "__main__":
    main(parse_arguments())
