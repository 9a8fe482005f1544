# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Trains SeeClear. `--help` lists the arguments, examples/README.md has commands."""

from __future__ import annotations

import argparse
import copy
import json
import logging
import time
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.logging import get_logger
from accelerate.utils import ProjectConfiguration, reduce, set_seed
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel
from huggingface_hub import create_repo, upload_folder
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from seeclear import BlurringResShiftScheduler, PixelCondenser, SeeClearPipeline, SemanticDistiller
from seeclear.metrics.perceptual import LPIPS
from seeclear.models.presets import PRESETS
from seeclear.resize import imresize
from seeclear.runtime import keep_freed_memory
from seeclear.training.arguments import parse_arguments
from seeclear.training.checkpoints import (
    TrainingLog,
    TrainingProgress,
    find_checkpoint,
    list_checkpoints,
    save_checkpoint,
)
from seeclear.training.losses import charbonnier_loss, frequency_loss
from seeclear.training.mixture import TrainingData, build_data
from seeclear.training.model import TrainingModel
from seeclear.training.model_card import save_model_card
from seeclear.training.sampling import (
    ConsecutiveSampler,
    clip_generators,
    sample_frame_indices,
    sample_noise,
    sample_timesteps,
)
from seeclear.training.semantics import SemanticsCache
from seeclear.training.validation import validate

logger = get_logger(__name__)


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


class Trainer:
    """One training run: what it is made of, and its loop."""

    def __init__(self, args: argparse.Namespace, accelerator: Accelerator) -> None:
        self.args = args
        self.accelerator = accelerator
        self.output_dir = Path(args.output_dir)
        self.resume_from = self._checkpoint_to_resume()

        self.pipeline = build_pipeline(args)
        self.scheduler = self.pipeline.scheduler
        model = TrainingModel(
            self.pipeline.pixel_condenser, self.pipeline.semantic_distiller, args.stage, args.train_distiller
        )
        if args.gradient_checkpointing:
            model.pixel_condenser.enable_gradient_checkpointing()
        if args.channels_last:
            model.to(memory_format=torch.channels_last)
        self.model = model
        self.trainable = list(model.trainable_parameters())

        optimizer = torch.optim.AdamW(
            self.trainable,
            lr=args.learning_rate,
            betas=(args.adam_beta1, args.adam_beta2),
            weight_decay=args.adam_weight_decay,
            eps=args.adam_epsilon,
        )
        self.lr_scheduler = get_scheduler(
            args.lr_scheduler,
            optimizer=optimizer,
            num_warmup_steps=args.lr_warmup_steps,
            num_training_steps=args.max_train_steps,
        )
        self.data: TrainingData = build_data(
            args, num_clips=model.num_clips, num_samples=args.max_train_steps * self._clips_per_step
        )
        self.semantics = None
        if args.train_distiller == "nothing" and model.pixel_condenser.config.frame_semantics:
            self.semantics = SemanticsCache(model.semantic_distiller, self.data.dataset.clips.sources)
        self.lpips = LPIPS(args.lpips_weights_path).to(accelerator.device) if args.lpips_weight > 0 else None

        self.progress = TrainingProgress()
        self.wrapped, self.optimizer = accelerator.prepare(model, optimizer)
        self.ema = EMAModel(self.trainable, decay=args.ema_decay, foreach=True) if args.use_ema else None
        states = [self.lr_scheduler, self.progress] + ([self.ema] if self.ema is not None else [])
        accelerator.register_for_checkpointing(*states)
        if self.resume_from is not None:
            accelerator.load_state(str(self.resume_from))
            logger.info(f"Resumed from {self.resume_from} at step {self.progress.step}")
        if self.ema is not None:
            self.ema.to(accelerator.device)

    def _checkpoint_to_resume(self) -> Path | None:
        if self.args.resume_from_checkpoint is not None:
            return find_checkpoint(self.output_dir, self.args.resume_from_checkpoint)
        existing = list_checkpoints(self.output_dir)
        if existing:
            raise ValueError(
                f"`output_dir` {str(self.output_dir)!r} holds {existing[-1].name} of an earlier run; give "
                "--resume_from_checkpoint latest to go on with it, or another --output_dir"
            )
        return None

    @property
    def _clips_per_step(self) -> int:
        args = self.args
        return args.train_batch_size * args.gradient_accumulation_steps * self.accelerator.num_processes

    def _dataloader(self) -> DataLoader:
        """Batches from the next unseen clip to the last of the run."""
        args = self.args
        remaining = (args.max_train_steps - self.progress.step) * self._clips_per_step
        loader = DataLoader(
            self.data.dataset,
            batch_size=args.train_batch_size,
            sampler=ConsecutiveSampler(self.progress.clips, self.progress.clips + remaining),
            num_workers=args.dataloader_num_workers,
            generator=torch.Generator(),  # its own, so that making the iterator draws nothing from the global one
            drop_last=True,
        )
        return self.accelerator.prepare(loader)

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

    def train(self) -> None:
        """Trains up to `max_train_steps` or for `max_train_minutes`, then validates and exports the pipeline."""
        args, accelerator, progress = self.args, self.accelerator, self.progress
        log = TrainingLog(self.output_dir / "train_log.jsonl", progress.step) if accelerator.is_main_process else None
        bar = tqdm(
            total=args.max_train_steps,
            initial=progress.step,
            desc="Steps",
            disable=not accelerator.is_local_main_process,
        )
        started = saved_at = step_started = time.monotonic()
        saved_step = progress.step
        stop = progress.step >= args.max_train_steps
        validated_step, figures = -1, None
        loss_sum, loss_count = torch.zeros((), device=accelerator.device), 0

        batches = iter(self._dataloader())
        while not stop:
            batch = next(batches)
            with accelerator.accumulate(self.wrapped):
                loss = self.compute_loss(batch)
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(self.trainable, args.max_grad_norm)
                self.optimizer.step()
                self.optimizer.zero_grad()
            progress.clips += args.train_batch_size * accelerator.num_processes
            loss_sum += loss.detach()
            loss_count += 1
            if not accelerator.sync_gradients:
                continue

            learning_rate = self.lr_scheduler.get_last_lr()[0]
            self.lr_scheduler.step()
            if self.ema is not None:
                self.ema.step(self.trainable)
            progress.step += 1
            bar.update()
            now = time.monotonic()
            progress.seconds += now - step_started

            if progress.step % args.logging_steps == 0:
                mean_loss = float(reduce(loss_sum / loss_count, "mean"))
                values = {"loss": mean_loss, "lr": learning_rate}
                bar.set_postfix(values)
                accelerator.log(values, step=progress.step)
                if log is not None:
                    log.write(step=progress.step, **values, seconds=progress.seconds)
                loss_sum, loss_count = torch.zeros((), device=accelerator.device), 0

            minutes_up = args.max_train_minutes is not None and now - started >= 60 * args.max_train_minutes
            stop = progress.step >= args.max_train_steps or self._agreed(minutes_up)
            checkpoint_due = self._agreed(now - saved_at >= 60 * args.checkpointing_minutes)
            if stop or checkpoint_due or progress.step % args.checkpointing_steps == 0:
                save_checkpoint(accelerator, self.output_dir, progress.step, args.checkpoints_total_limit)
                saved_at, saved_step = time.monotonic(), progress.step
            if progress.step % args.validation_steps == 0:
                figures = self.validate()
                validated_step = progress.step
            step_started = time.monotonic()
        bar.close()

        logger.info(f"Stopped at step {progress.step}; the last checkpoint is of step {saved_step}")
        if validated_step != progress.step:
            figures = self.validate()
        self.export(figures)

    def _agreed(self, flag: bool) -> bool:
        """Whether `flag`, which depends on the clock, is set on any process."""
        if self.accelerator.num_processes == 1:
            return flag
        return bool(reduce(torch.tensor(float(flag), device=self.accelerator.device), "sum"))

    def validate(self) -> dict[str, float] | None:
        """Upscales the validation clips with the averaged weights and logs PSNR; None if there are no such clips."""
        accelerator, step = self.accelerator, self.progress.step
        figures = None
        if self.data.validation and accelerator.is_main_process:
            pipeline = self.finished_pipeline()
            pipeline.set_progress_bar_config(disable=True)

            def upscale(lr: Tensor, num_inference_steps: int) -> Tensor:
                generator = torch.Generator().manual_seed(self.args.seed)  # every validation sees the same noise
                return pipeline(lr, num_inference_steps, generator=generator, output_type="pt").frames[0]

            steps = self.args.validation_inference_steps or sorted({1, pipeline.config.default_num_inference_steps})
            figures = validate(
                upscale, self.data.validation, steps, self.output_dir / "validation" / f"{step:08d}.png"
            )
            logger.info(f"Validation at step {step}: " + ", ".join(f"{k} {v:.3f}" for k, v in figures.items()))
            accelerator.log({f"validation/{name}": value for name, value in figures.items()}, step=step)
            TrainingLog(self.output_dir / "validation_log.jsonl", step - 1).write(step=step, **figures)
        accelerator.wait_for_everyone()
        return figures

    def finished_pipeline(self) -> SeeClearPipeline:
        """A pipeline of copies of the modules, with the averaged weights if there are any, in evaluation mode."""
        condenser, distiller = copy.deepcopy((self.model.pixel_condenser, self.model.semantic_distiller))
        if self.ema is not None:
            copied = TrainingModel(condenser, distiller, self.args.stage, self.args.train_distiller)
            self.ema.copy_to(copied.trainable_parameters())
        components = self.pipeline.components | {
            "pixel_condenser": condenser.eval(),
            "semantic_distiller": distiller.eval(),
        }
        return SeeClearPipeline(
            **components,
            clip_length=self.pipeline.config.clip_length,
            default_num_inference_steps=self.pipeline.config.default_num_inference_steps,
        )

    def export(self, figures: dict[str, float] | None) -> None:
        """Writes the finished pipeline in fp16 with its model card, and uploads it if asked to."""
        args, accelerator = self.args, self.accelerator
        accelerator.wait_for_everyone()
        if not accelerator.is_main_process:
            return
        self.finished_pipeline().to(dtype=torch.float16).save_pretrained(self.output_dir, safe_serialization=True)
        save_model_card(
            self.output_dir,
            args,
            self.progress,
            self._parameter_counts(),
            self.data.sources,
            self.data.validation_names,
            figures,
            accelerator.num_processes,
        )
        logger.info(f"Wrote the pipeline to {self.output_dir}")
        if args.push_to_hub:
            repository = create_repo(args.hub_model_id or self.output_dir.name, exist_ok=True, token=args.hub_token)
            upload_folder(
                repo_id=repository.repo_id,
                folder_path=self.output_dir,
                commit_message=f"Training, step {self.progress.step}",
                ignore_patterns=["checkpoint-*", ".partial-*", "logs/*"],
                token=args.hub_token,
            )

    def _parameter_counts(self) -> dict[str, tuple[int, int]]:
        """For every component, how many parameters it has and how many are trained."""
        return {
            name: (
                sum(parameter.numel() for parameter in component.parameters()),
                sum(parameter.numel() for parameter in component.parameters() if parameter.requires_grad),
            )
            for name, component in self.pipeline.components.items()
            if isinstance(component, nn.Module)
        }


def main(args: argparse.Namespace) -> None:
    """Runs the training that the arguments describe."""
    output_dir = Path(args.output_dir)
    accelerator = Accelerator(
        mixed_precision=args.mixed_precision,
        gradient_accumulation_steps=args.gradient_accumulation_steps,
        log_with=args.report_to,
        project_config=ProjectConfiguration(project_dir=str(output_dir), logging_dir=str(output_dir / "logs")),
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=args.train_distiller != "nothing")],
    )
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    logging.getLogger("accelerate").setLevel(logging.WARNING)  # it reports every file of a checkpoint
    set_seed(args.seed)
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    if accelerator.is_main_process:
        output_dir.mkdir(parents=True, exist_ok=True)
    accelerator.wait_for_everyone()
    trainer = Trainer(args, accelerator)
    accelerator.init_trackers("seeclear", config={k: str(v) for k, v in vars(args).items() if k != "hub_token"})
    trainer.train()
    accelerator.end_training()


if __name__ == "__main__":
    main(parse_arguments())
