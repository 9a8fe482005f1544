# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Trains the Semantic Distiller on clips with instance masks. `--help` lists the arguments, examples/README.md has
commands.

Tokens are matched with annotated and pasted objects over whole clips, and all tokens together explain the features of
a frozen ImageNet backbone. Afterwards the distiller is frozen, and `train_seeclear.py --distiller` trains the
condenser against it.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.logging import get_logger
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from seeclear import SemanticDistiller
from seeclear.data.instance_list import read_instance_list
from seeclear.data.instances import PASTED_SHARES, AnnotatedClip, InstanceClips, read_annotated_clip
from seeclear.models.presets import PRESETS
from seeclear.training.backbones import load_mobilenet_v2
from seeclear.training.checkpoints import (
    TrainingLog,
    TrainingProgress,
    checkpoint_to_resume,
    save_checkpoint,
)
from seeclear.training.distillation import Teacher, distillation_losses, total_loss
from seeclear.training.loop import begin_run, one_line_errors
from seeclear.training.sampling import ConsecutiveSampler
from seeclear.training.segmentation import segmentation_figures
from seeclear.training.semantics import load_distiller

logger = get_logger(__name__)


def build_parser() -> argparse.ArgumentParser:
    """The parser of this script; names as in diffusers' scripts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--preset", default="tiny", help="whose distiller is trained: tiny or base")
    add("--distiller_config", help="JSON file with values that replace the preset's")
    add("--pretrained_model_name_or_path", help="go on with a saved distiller instead: the folder of one or of a "
        "pipeline, a Hub id or a shipped name")  # fmt: skip
    add("--projections_only", action="store_true", help="keep the segmenter, train the projections and the instance "
        "encoder and decoder: for pretrained segmenters")  # fmt: skip
    add("--backbone_weights", help="ImageNet weights of MobileNetV2 to start from and to be taught by")
    add("--frozen_layers", type=int, default=6, help="the backbone's stem and so many of its blocks stay as they are")
    add("--instance_list", required=True, help="JSON file of annotated clips; see examples/configs")
    add("--data_root", required=True, help="the folder the paths in --instance_list are in")
    add("--validation_clips", nargs="*", default=[], help="names of annotated clips to validate on, never trained on")
    add("--num_frames", type=int, default=3, help="frames in a clip")
    add("--max_frame_step", type=int, default=2, help="frames of a training clip are up to so many frames apart")
    add("--pasted_shares", type=float, nargs="+", default=PASTED_SHARES, help="of the samples, those with 0, 1, ... "
        "pasted objects")  # fmt: skip
    add("--alike_share", type=float, default=0.5, help="of the samples with pasted objects, those whose objects "
        "are all of one kind")  # fmt: skip
    add("--height", type=int, default=120, help="of the LR frames in pixels")
    add("--width", type=int, default=208, help="of the LR frames in pixels")
    add("--working_size", type=int, nargs=2, metavar=("H", "W"), help="segment frames at about H x W pixels; the "
        "model's own size unless given")  # fmt: skip
    add("--train_batch_size", type=int, default=4, help="clips in a batch, on each process")
    add("--max_train_steps", type=int, default=1000, help="optimiser steps in all; the learning rate follows them")
    add("--max_train_minutes", type=float, help="stop, save and export after so many minutes of this run")
    add("--learning_rate", type=float, default=1e-3, help="the peak learning rate")
    add("--backbone_learning_rate", type=float, default=2e-4, help="the peak learning rate of the backbone")
    add("--lr_scheduler", default="cosine", help="a schedule of diffusers")
    add("--lr_warmup_steps", type=int, default=50, help="steps until the learning rate is at its peak")
    add("--adam_weight_decay", type=float, default=0.02, help="AdamW's weight decay")
    add("--max_grad_norm", type=float, default=1.0, help="the gradient's norm is clipped to this")
    add("--ema_decay", type=float, default=0.995, help="of the moving average that is validated and exported")
    add("--mixed_precision", choices=("no", "fp16", "bf16"), help="what accelerate's configuration says unless given")
    add("--dataloader_num_workers", type=int, default=0, help="processes that load data")
    add("--output_dir", required=True, help="where checkpoints, log and the finished distiller go")
    add("--seed", type=int, default=0, help="the same seed gives the same run")
    add("--checkpointing_minutes", type=float, default=5.0, help="write a checkpoint so many minutes after the last")
    add("--checkpoints_total_limit", type=int, default=2, help="keep only so many checkpoints, the newest")
    add("--resume_from_checkpoint", help="'latest' or a checkpoint folder")
    add("--validation_steps", type=int, default=250, help="validate every so many steps, and at the end")
    add("--logging_steps", type=int, default=10, help="write the losses every so many steps")
    add("--report_to", help="a tracker of accelerate: tensorboard, wandb, ... or all")
    return parser


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses and checks the arguments; ends the process with code 2 and one line if they are wrong."""
    parser = build_parser()
    args = parser.parse_args(argv)
    for name in ("num_frames", "train_batch_size", "max_train_steps", "max_frame_step",
                 "checkpoints_total_limit", "height", "width"):  # fmt: skip
        if getattr(args, name) < 1:
            parser.error(f"--{name} is {getattr(args, name)}; it must be at least 1")
    if args.preset not in PRESETS:
        parser.error(f"--preset is {args.preset!r}; it may be one of {', '.join(PRESETS)}")
    if args.pretrained_model_name_or_path is not None and args.distiller_config is not None:
        parser.error("--distiller_config changes a --preset; a saved distiller has its own")
    if args.projections_only and args.pretrained_model_name_or_path is None:
        parser.error("--projections_only keeps a trained segmenter; give --pretrained_model_name_or_path")
    return args


class Losses(nn.Module):
    """What is trained, in one forward pass: the distiller and the layer that reads the teacher's features."""

    def __init__(
        self,
        distiller: SemanticDistiller,
        teacher: Teacher | None = None,
        frozen_layers: int | None = None,
        projections_only: bool = False,
    ) -> None:
        super().__init__()
        self.distiller, self.teacher = distiller, teacher
        self.frozen_layers, self.projections_only = frozen_layers, projections_only
        self.train()

    def train(self, mode: bool = True) -> Losses:
        """A backbone that starts from ImageNet's weights keeps their statistics; a segmenter that is kept as it is
        works as it will be used.
        """
        super().train(mode)
        if self.frozen_layers is not None:
            self.distiller.segmenter.model.backbone.eval()
        if self.projections_only:
            self.distiller.segmenter.eval()
        return self

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return distillation_losses(
            self.distiller,
            self.teacher,
            batch["low_res"].float() / 127.5 - 1,
            batch["clean"].float() / 127.5 - 1,
            batch["masks"],
            batch["labels"],
            batch["count"],
        )


def build_model(args: argparse.Namespace) -> Losses:
    """The distiller to train and its teacher, with what is to stay as it is frozen."""
    if args.pretrained_model_name_or_path is not None:
        distiller = load_distiller(args.pretrained_model_name_or_path, "pretrained_model_name_or_path")
    else:
        config = PRESETS[args.preset]["semantic_distiller"]
        if args.distiller_config is not None:
            config = config | json.loads(Path(args.distiller_config).read_text(encoding="utf-8"))
        distiller = SemanticDistiller(**config)
    if args.working_size is not None:
        distiller.register_to_config(working_size=args.working_size[0] * args.working_size[1])
    distiller.requires_grad_(not args.projections_only)
    for parameter in distiller.projection_parameters():
        parameter.requires_grad_(True)
    backbone = getattr(getattr(distiller.segmenter, "model", None), "backbone", None)
    if args.backbone_weights is None or args.projections_only or backbone is None:
        return Losses(distiller, projections_only=args.projections_only)
    if args.pretrained_model_name_or_path is None:
        load_mobilenet_v2(backbone, args.backbone_weights)
    frozen = copy.deepcopy(backbone)
    load_mobilenet_v2(frozen, args.backbone_weights)
    for module in (backbone.conv_stem, *backbone.layer[: args.frozen_layers]):
        module.requires_grad_(False)
    return Losses(distiller, Teacher(frozen, distiller.token_dim), args.frozen_layers)


class Trainer:
    """One training run: what it is made of, and its loop."""

    def __init__(self, args: argparse.Namespace, accelerator: Accelerator) -> None:
        self.args, self.accelerator = args, accelerator
        self.output_dir = Path(args.output_dir)
        resume_from = checkpoint_to_resume(self.output_dir, args.resume_from_checkpoint)
        self.model = build_model(args)
        clips, backgrounds = read_instance_list(args.instance_list, args.data_root)
        spec = json.loads(Path(args.instance_list).read_text(encoding="utf-8"))
        self.validation: list[AnnotatedClip] = [
            read_annotated_clip(*(Path(args.data_root) / spec[kind] / name for kind in ("frames", "masks")))
            for name in args.validation_clips
        ]
        self.dataset = InstanceClips(
            [clip for clip in clips if clip.name not in args.validation_clips],
            backgrounds,
            self.model.distiller.config.vocabulary,
            clip_length=args.num_frames,
            size=(args.height, args.width),
            num_samples=args.max_train_steps * self._clips_per_step,
            seed=args.seed,
            max_frame_step=args.max_frame_step,
            pasted_shares=args.pasted_shares,
            alike_share=args.alike_share,
        )
        backbone: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                (backbone if ".backbone." in name else others).append(parameter)
        self.trainable = others + backbone
        groups = [{"params": others, "lr": args.learning_rate}]
        if backbone:
            pretrained = self.model.frozen_layers is not None
            groups.append(
                {"params": backbone, "lr": args.backbone_learning_rate if pretrained else args.learning_rate}
            )
        optimizer = torch.optim.AdamW(groups, weight_decay=args.adam_weight_decay)
        self.lr_scheduler = get_scheduler(
            args.lr_scheduler,
            optimizer,
            num_warmup_steps=args.lr_warmup_steps,
            num_training_steps=args.max_train_steps,
        )
        self.progress = TrainingProgress()
        self.wrapped, self.optimizer = accelerator.prepare(self.model, optimizer)
        self.ema = EMAModel(self.trainable, decay=args.ema_decay, foreach=True)
        accelerator.register_for_checkpointing(self.lr_scheduler, self.progress, self.ema)
        if resume_from is not None:
            accelerator.load_state(str(resume_from))
        self.ema.to(accelerator.device)

    @property
    def _clips_per_step(self) -> int:
        return self.args.train_batch_size * self.accelerator.num_processes

    def train(self) -> None:
        """Trains up to `max_train_steps` or for `max_train_minutes`, then validates and exports the distiller."""
        args, accelerator, progress = self.args, self.accelerator, self.progress
        remaining = (args.max_train_steps - progress.step) * self._clips_per_step
        loader = DataLoader(
            self.dataset,
            batch_size=args.train_batch_size,
            sampler=ConsecutiveSampler(progress.clips, progress.clips + remaining),
            num_workers=args.dataloader_num_workers,
            generator=torch.Generator(),
            drop_last=True,
        )
        log = TrainingLog(self.output_dir / "train_log.jsonl", progress.step)
        bar = tqdm(total=args.max_train_steps, initial=progress.step, desc="Steps", disable=None)
        started = saved_at = time.monotonic()
        step_started = started
        for batch in accelerator.prepare(loader):
            losses = self.wrapped(batch)
            accelerator.backward(total_loss(losses))
            accelerator.clip_grad_norm_(self.trainable, args.max_grad_norm)
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.lr_scheduler.step()
            self.ema.step(self.trainable)
            progress.step += 1
            progress.clips += self._clips_per_step
            now = time.monotonic()
            progress.seconds, step_started = progress.seconds + now - step_started, now
            bar.update()
            if progress.step % args.logging_steps == 0 and accelerator.is_main_process:
                values = {name: round(float(value.detach()), 5) for name, value in losses.items()}
                log.write(step=progress.step, **values, seconds=progress.seconds)
                accelerator.log(values, step=progress.step)
            stop = args.max_train_minutes is not None and now - started >= 60 * args.max_train_minutes
            stop = stop or progress.step >= args.max_train_steps
            if stop or now - saved_at >= 60 * args.checkpointing_minutes:
                save_checkpoint(accelerator, self.output_dir, progress.step, args.checkpoints_total_limit)
                saved_at = time.monotonic()
            if progress.step % args.validation_steps == 0 and not stop:
                self.validate()
            if stop:
                break
        bar.close()
        self.export(self.validate())

    def finished_distiller(self) -> SemanticDistiller:
        """A copy with the averaged weights, in evaluation mode."""
        copied = copy.deepcopy(self.model)
        by_name = dict(copied.named_parameters())
        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        self.ema.copy_to([by_name[names[id(parameter)]] for parameter in self.trainable])
        return copied.distiller.eval()

    def validate(self) -> dict[str, float]:
        """IoU of the tokens with the objects of the validation clips, logged."""
        if not self.validation or not self.accelerator.is_main_process:
            return {}
        figures = segmentation_figures(self.finished_distiller(), self.validation)
        logger.info(f"Step {self.progress.step}: " + ", ".join(f"{k} {v:.3f}" for k, v in figures.items()))
        TrainingLog(self.output_dir / "validation_log.jsonl", self.progress.step - 1).write(
            step=self.progress.step, **figures
        )
        self.accelerator.log({f"validation/{k}": v for k, v in figures.items()}, step=self.progress.step)
        return figures

    def export(self, figures: dict[str, float]) -> None:
        """Writes the finished distiller in fp16, and what was run and reached beside it."""
        self.accelerator.wait_for_everyone()
        if not self.accelerator.is_main_process:
            return
        self.finished_distiller().to(dtype=torch.float16).save_pretrained(self.output_dir)
        run: dict[str, Any] = {
            "steps": self.progress.step,
            "minutes": round(self.progress.seconds / 60, 1),
            "figures": figures,
            "arguments": {k: v for k, v in vars(self.args).items() if k not in ("output_dir", "data_root")},
        }
        (self.output_dir / "run.json").write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")


def main(args: argparse.Namespace) -> None:
    """Runs the training that the arguments describe."""
    accelerator = begin_run(args)
    trainer = Trainer(args, accelerator)
    accelerator.init_trackers("seeclear-distiller", config={k: str(v) for k, v in vars(args).items()})
    trainer.train()
    accelerator.end_training()


if __name__ == "__main__":
    with one_line_errors():
        main(parse_arguments())
