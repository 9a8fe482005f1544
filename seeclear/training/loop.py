# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The loop that the training scripts share: optimiser, moving average, log, checkpoints, exact resume, validation and
export. A script says what it trains, its loss and its pipeline.
"""

from __future__ import annotations

import argparse
import copy
import logging
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.logging import get_logger
from accelerate.utils import ProjectConfiguration, reduce, set_seed
from diffusers import DiffusionPipeline
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel
from huggingface_hub import create_repo, upload_folder
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from seeclear.runtime import keep_freed_memory
from seeclear.training.checkpoints import (
    TrainingLog,
    TrainingProgress,
    checkpoint_to_resume,
    save_checkpoint,
)
from seeclear.training.mixture import TrainingData
from seeclear.training.muon import Muon
from seeclear.training.sampling import ConsecutiveSampler
from seeclear.training.sharding import SharedEMA, shares_weights, whole_state
from seeclear.training.validation import validate, validation_evaluator

logger = get_logger(__name__)


class TrainingLoop(ABC):
    """One training run: what it is made of, and its loop.

    A script derives from it, builds its networks and `self.data` in `__init__` and calls `prepare` at the end of that.
    """

    data: TrainingData

    def __init__(self, args: argparse.Namespace, accelerator: Accelerator) -> None:
        self.args = args
        self.accelerator = accelerator
        self.output_dir = Path(args.output_dir)
        self.resume_from = checkpoint_to_resume(self.output_dir, args.resume_from_checkpoint)
        self.evaluator = validation_evaluator(args.lpips_weights_path, accelerator.device)

    @abstractmethod
    def compute_loss(self, batch: dict[str, Tensor]) -> Tensor:
        """The loss of one batch of the data set; `self.wrapped` is the network to call."""

    @abstractmethod
    def finished_pipeline(self) -> DiffusionPipeline:
        """A pipeline of copies of the networks, with the averaged weights if there are any, in evaluation mode; all
        processes must call it.
        """

    @abstractmethod
    def validation_upscaler(self, pipeline: Any) -> tuple[Callable[[Tensor, int], Tensor], list[int]]:
        """How validation calls the pipeline, and with which numbers of steps, see `validation.validate`."""

    @abstractmethod
    def save_card(self, figures: Mapping[str, float] | None, parameters: Mapping[str, tuple[int, int]]) -> None:
        """Writes the model card."""

    def prepare(self, model: nn.Module) -> None:
        """Optimiser, schedule, moving average and states for `model`, whose parameters that want a gradient are
        trained; then the states of the checkpoint to resume from, if there is one.
        """
        args, accelerator = self.args, self.accelerator
        self.model = model
        if args.channels_last:
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        shared = shares_weights(accelerator)
        self.unshared = copy.deepcopy(model) if shared else None
        optimizer = self._build_optimizer(model, shared)
        self.lr_scheduler = get_scheduler(
            args.lr_scheduler,
            optimizer=optimizer,
            num_warmup_steps=args.lr_warmup_steps,
            num_training_steps=args.max_train_steps,
        )
        self.progress = TrainingProgress()
        self.wrapped, self.optimizer = accelerator.prepare(model, optimizer)
        # sharing weights out replaces them, so they are looked up again
        self.trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        average = SharedEMA if shared else EMAModel
        self.ema = average(self.trainable, decay=args.ema_decay, foreach=True) if args.use_ema else None
        states = [self.lr_scheduler, self.progress] + ([self.ema] if self.ema is not None else [])
        accelerator.register_for_checkpointing(*states)
        if self.resume_from is not None:
            accelerator.load_state(str(self.resume_from))
            logger.info(f"Resumed from {self.resume_from} at step {self.progress.step}")
        if self.ema is not None:
            self.ema.to(accelerator.device)

    def _build_optimizer(self, model: nn.Module, shared: bool) -> torch.optim.Optimizer:
        args = self.args
        options: dict[str, Any] = {
            "lr": args.learning_rate,
            "betas": (args.adam_beta1, args.adam_beta2),
            "weight_decay": args.adam_weight_decay,
            "eps": args.adam_epsilon,
        }
        if args.optimizer == "muon":
            if shared:
                raise ValueError("`optimizer` is 'muon'; where FSDP shares weights out it must be 'adamw'")
            return Muon(model, **options)
        # fused: one pass over the weights and their states instead of a dozen
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        return torch.optim.AdamW(trained, **options, fused=True)

    @property
    def clips_per_step(self) -> int:
        """Clips in an optimiser step, of all processes."""
        args = self.args
        return args.train_batch_size * args.gradient_accumulation_steps * self.accelerator.num_processes

    def _dataloader(self) -> DataLoader:
        """Batches from the next unseen clip to the last of the run."""
        args = self.args
        remaining = (args.max_train_steps - self.progress.step) * self.clips_per_step
        loader = DataLoader(
            self.data.dataset,
            batch_size=args.train_batch_size,
            sampler=ConsecutiveSampler(self.progress.clips, self.progress.clips + remaining),
            num_workers=args.dataloader_num_workers,
            generator=torch.Generator(),  # its own, so that making the iterator draws nothing from the global one
            drop_last=True,
        )
        return self.accelerator.prepare(loader)

    def train(self) -> None:
        """Trains up to `max_train_steps` or for `max_train_minutes`, then exports the pipeline and validates it."""
        args, accelerator, progress = self.args, self.accelerator, self.progress
        log = TrainingLog(self.output_dir / "train_log.jsonl", progress.step) if accelerator.is_main_process else None
        started = saved_at = step_started = time.monotonic()
        saved_step = progress.step
        stop = progress.step >= args.max_train_steps
        loss_sum, loss_count = torch.zeros((), device=accelerator.device), 0

        bar = tqdm(
            total=args.max_train_steps,
            initial=progress.step,
            desc="Steps",
            disable=not accelerator.is_local_main_process,
        )
        batches = iter(self._dataloader())
        with bar:
            while not stop:
                batch = next(batches)
                with accelerator.accumulate(self.wrapped):
                    loss = self.compute_loss(batch)
                    accelerator.backward(loss)
                    if accelerator.sync_gradients:
                        accelerator.clip_grad_norm_(self.wrapped.parameters(), args.max_grad_norm)
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
                if progress.step % args.validation_steps == 0 and not stop:
                    self.validate()
                step_started = time.monotonic()

        logger.info(f"Stopped at step {progress.step}; the last checkpoint is of step {saved_step}")
        self.finish()

    def _agreed(self, flag: bool) -> bool:
        """Whether `flag`, which depends on the clock, is set on any process."""
        if self.accelerator.num_processes == 1:
            return flag
        return bool(reduce(torch.tensor(float(flag), device=self.accelerator.device), "sum"))

    def validate(self, pipeline: DiffusionPipeline | None = None) -> dict[str, float] | None:
        """Upscales the validation clips with the averaged weights, logs how well; None if there are no such clips.

        Args:
            pipeline: the finished pipeline; made here if not given.
        """
        accelerator, step = self.accelerator, self.progress.step
        figures = None
        if self.data.validation:
            pipeline = pipeline or self.finished_pipeline()
            if accelerator.is_main_process:
                pipeline.set_progress_bar_config(disable=True)
                upscale, steps = self.validation_upscaler(pipeline)
                picture = self.output_dir / "validation" / f"{step:08d}.png"
                figures = validate(upscale, self.data.validation, steps, picture, self.evaluator)
                logger.info(f"Validation at step {step}: " + ", ".join(f"{k} {v:.3f}" for k, v in figures.items()))
                accelerator.log({f"validation/{name}": value for name, value in figures.items()}, step=step)
                TrainingLog(self.output_dir / "validation_log.jsonl", step - 1).write(step=step, **figures)
        accelerator.wait_for_everyone()
        return figures

    def averaged_model(self) -> nn.Module:
        """A copy of the model, with the averaged weights if there are any; all processes must call it."""
        if self.unshared is None:
            model = copy.deepcopy(self.model)
        else:
            model = copy.deepcopy(self.unshared)
            model.load_state_dict(whole_state(self.model))
        if self.ema is not None:
            self.ema.copy_to([parameter for parameter in model.parameters() if parameter.requires_grad])
        return model

    def finish(self) -> None:
        """Writes the finished pipeline in fp16, validates it, writes its model card and uploads both if asked to.

        Validation may take minutes: whoever ends it early has the pipeline, and a card that says what is missing.
        """
        args, accelerator = self.args, self.accelerator
        accelerator.wait_for_everyone()
        pipeline = self.finished_pipeline()
        parameters = {
            name: (
                sum(parameter.numel() for parameter in component.parameters()),
                sum(parameter.numel() for parameter in component.parameters() if parameter.requires_grad),
            )
            for name, component in pipeline.components.items()
            if isinstance(component, nn.Module)
        }
        if accelerator.is_main_process:
            copy.deepcopy(pipeline).to(dtype=torch.float16).save_pretrained(self.output_dir, safe_serialization=True)
            self.save_card(None, parameters)
            logger.info(f"Wrote the pipeline to {self.output_dir}")
        figures = self.validate(pipeline)
        if not accelerator.is_main_process:
            return
        if figures is not None:
            self.save_card(figures, parameters)
        if args.push_to_hub:
            repository = create_repo(args.hub_model_id or self.output_dir.name, exist_ok=True, token=args.hub_token)
            upload_folder(
                repo_id=repository.repo_id,
                folder_path=self.output_dir,
                commit_message=f"Training, step {self.progress.step}",
                ignore_patterns=["checkpoint-*", ".partial-*", "logs/*"],
                token=args.hub_token,
            )


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Ends a script with code 2 and one line on stderr where data, a setting, a checkpoint or the disk is at fault."""
    try:
        yield
    except (ValueError, OSError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        # a worker that loads data puts its own traceback before the message
        message = lines[-1].removeprefix("ValueError: ") if "worker process" in lines[0] else " ".join(lines)
        sys.stderr.write(f"{Path(sys.argv[0]).name}: error: {message}\n")
        raise SystemExit(2) from error


def start_accelerator(args: argparse.Namespace, **options: Any) -> Accelerator:
    """Sets up accelerate, for the mixed precision of the arguments; `options` are what else [`Accelerator`] takes.

    Raises:
        ValueError: several processes were started that accelerate does not join, as `accelerate launch --multi_gpu`
            does where there is no GPU: each would train by itself, all into the same folder.
    """
    accelerator = Accelerator(mixed_precision=args.mixed_precision, **options)
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started > 1 and accelerator.num_processes == 1:
        raise ValueError(
            f"{started} processes were started and accelerate joins none of them, so each would train by itself; on "
            f"CPUs the command is ACCELERATE_USE_CPU=true accelerate launch --multi_gpu --num_processes {started} ..."
        )
    return accelerator


def begin_run(args: argparse.Namespace, **options: Any) -> Accelerator:
    """Sets up accelerate, logging and seeds, and makes the output folder.

    Args:
        args: of them `mixed_precision`, `report_to`, `output_dir`, `seed`.
        options: what else [`Accelerator`] takes.

    Raises:
        ValueError: see [`start_accelerator`].
    """
    output_dir = Path(args.output_dir)
    folders = ProjectConfiguration(project_dir=str(output_dir), logging_dir=str(output_dir / "logs"))
    accelerator = start_accelerator(args, log_with=args.report_to, project_config=folders, **options)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    logging.getLogger("accelerate").setLevel(logging.WARNING)  # it reports every file of a checkpoint
    set_seed(args.seed)
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    if accelerator.is_main_process:
        output_dir.mkdir(parents=True, exist_ok=True)
    accelerator.wait_for_everyone()
    return accelerator


def run_training(
    build: Callable[[argparse.Namespace, Accelerator], TrainingLoop],
    args: argparse.Namespace,
    tracker: str,
    find_unused_parameters: bool = False,
) -> None:
    """Runs the loop that `build` makes.

    Args:
        tracker: the project's name for `--report_to`.
        find_unused_parameters: whether some trained parameters may get no gradient in a step.

    Raises:
        ValueError: see [`start_accelerator`], and what `build` and the loop raise.
    """
    accelerator = begin_run(
        args,
        gradient_accumulation_steps=args.gradient_accumulation_steps,
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=find_unused_parameters)],
    )
    trainer = build(args, accelerator)
    accelerator.init_trackers(tracker, config={k: str(v) for k, v in vars(args).items() if k != "hub_token"})
    trainer.train()
    accelerator.end_training()
