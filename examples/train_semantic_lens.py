# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Trains Semantic Lens. `--help` lists the arguments, examples/README.md has commands."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from seeclear import SemanticDistiller, SemanticLens, SemanticLensPipeline
from seeclear.models import LENS_PRESETS
from seeclear.pipelines import load_pipeline
from seeclear.pipelines.prior import distiller_digest
from seeclear.resize import imresize
from seeclear.shipped import SCALE, locate
from seeclear.training.arguments import (
    add_data_arguments,
    add_optimisation_arguments,
    add_run_arguments,
    check_common_arguments,
    read_configuration,
)
from seeclear.training.dry_run import StepPlan, distilled_frame, print_dry_run
from seeclear.training.frame_losses import (
    FrameLosses,
    add_loss_arguments,
    check_loss_arguments,
    describe_losses,
    planned_loss,
)
from seeclear.training.lens_semantics import LensSemantics
from seeclear.training.loop import TrainingLoop, one_line_errors, run_training
from seeclear.training.losses import charbonnier_loss
from seeclear.training.mixture import build_data
from seeclear.training.model import take_over
from seeclear.training.model_card import SEMANTIC_LENS, save_model_card
from seeclear.training.sampling import clip_generators
from seeclear.training.semantics import check_widths, load_distiller
from seeclear.training.teacher import build_teacher

CLIP_LENGTH, CLIP_OVERLAP = 20, 4
"""Frames that a new lens restores together, and those of them that two clips share: frames that lack a side to learn
from lose up to half a dB.
"""
MODULES = ("image", "gps", "isee", "multi_frame_attention")


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses and checks the arguments; ends the process with code 2 and one line if they are wrong."""
    parser = argparse.ArgumentParser(
        description="Trains Semantic Lens. The Semantic Distiller stays frozen.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    model = parser.add_argument_group("model").add_argument
    model("--preset", help=f"start an untrained lens of this size: {', '.join(LENS_PRESETS)}")
    model("--pretrained_model_name_or_path", help="start from a saved pipeline: a folder, a Hub id or a shipped name")
    model("--lens_config", help="JSON file, like a saved config.json, with values that replace the preset's")
    model("--distiller_config", help="JSON file with values that replace the preset's for the Semantic Distiller")
    model("--distiller", help="the trained Semantic Distiller to take: the folder of one or of a pipeline, a Hub id "
        "or a shipped name")  # fmt: skip
    model("--start_from", help="a saved pipeline, whose lens' weights the preset's lens takes over")
    model("--freeze_flow", action="store_true", help="leave the network that finds the optical flow as it is")
    model("--train_only", nargs="*", help="leave all weights as they are but those whose names begin so, such as "
        "second_pass")  # fmt: skip
    model("--without", nargs="*", choices=MODULES, default=[], help="modules to switch off, for the ablation")
    teacher = parser.add_argument_group("distillation").add_argument
    teacher("--teacher", help="a larger lens, frozen, whose frames are learned from beside the true ones: a folder, a "
        "Hub id or a shipped name")  # fmt: skip
    teacher(
        "--teacher_weight", type=float, default=0.5, help="how much its frames count, 0 to 1; the true ones the rest"
    )
    teacher("--teacher_dir", help="have it restore whole training videos, once, keep them in this folder, and cut its "
        "frames out of them; takes 3 bytes a pixel and frame")  # fmt: skip
    add_data_arguments(parser.add_argument_group("data"))
    losses = parser.add_argument_group("losses")
    losses.add_argument("--cleaning_weight", type=float, default=1.0, help="weight of the loss of the cleaned frames "
        "against clean ones, for a lens with `cleaning_blocks`")  # fmt: skip
    add_loss_arguments(losses)
    add_optimisation_arguments(parser.add_argument_group("optimisation"))
    add_run_arguments(parser.add_argument_group("run"))
    parser.set_defaults(num_frames=7)
    args = parser.parse_args(argv)
    check_common_arguments(parser, args)
    check_loss_arguments(parser, args)
    if args.preset is None and (args.lens_config or args.distiller_config or args.without or args.start_from):
        parser.error(
            "--lens_config, --distiller_config, --without and --start_from change a --preset; a saved model has its "
            "own configuration and weights"
        )
    if args.teacher is None and args.teacher_dir is not None:
        parser.error("--teacher_dir needs --teacher")
    if not 0 <= args.teacher_weight <= 1:
        parser.error(f"--teacher_weight is {args.teacher_weight}; it must be in [0, 1]")
    return args


def build_pipeline(
    args: argparse.Namespace, making: AbstractContextManager[Any] | None = None
) -> SemanticLensPipeline:
    """The pipeline to train: a saved one, or an untrained lens of a preset, made inside `making`; with another
    distiller if one is given.

    Raises:
        ValueError: there is no such model or preset, or the distiller does not go with the lens.
    """
    if args.pretrained_model_name_or_path is not None:
        given = {} if args.distiller is None else {"semantic_distiller": load_distiller(args.distiller)}
        path = args.pretrained_model_name_or_path
        saved = SemanticLensPipeline.from_pretrained(path, dtype=torch.float32, **given)
        if saved.semantic_distiller is not None:
            check_widths(saved.semantic_lens, saved.semantic_distiller)
        return saved
    if args.preset not in LENS_PRESETS:
        raise ValueError(f"`preset` is {args.preset!r}; it may be one of {', '.join(LENS_PRESETS)}")
    preset = LENS_PRESETS[args.preset]
    config = read_configuration(SemanticLens, preset["semantic_lens"], args.lens_config)
    with making or nullcontext():
        lens = SemanticLens(**config | dict.fromkeys(args.without, False))
    if args.start_from is not None and making is None:
        trained = SemanticLensPipeline.from_pretrained(locate(args.start_from, "start_from"), dtype=torch.float32)
        take_over(lens, trained.semantic_lens)
    if not lens.needs_semantics:
        return SemanticLensPipeline(lens, None, CLIP_LENGTH, CLIP_OVERLAP)
    if args.distiller is None:
        config = read_configuration(SemanticDistiller, preset["semantic_distiller"], args.distiller_config)
        with making or nullcontext():
            distiller = SemanticDistiller(**config)
    else:
        distiller = load_distiller(args.distiller)
    check_widths(lens, distiller)
    return SemanticLensPipeline(lens, distiller, CLIP_LENGTH, CLIP_OVERLAP)


def prepare_lens(lens: SemanticLens, args: argparse.Namespace) -> None:
    """Sets up a lens for training as the arguments say.

    Raises:
        ValueError: no weight has a name that begins as one of `train_only` does.
    """
    if args.gradient_checkpointing:
        lens.enable_gradient_checkpointing()
    if args.freeze_flow and lens.flow_network is not None:
        lens.flow_network.requires_grad_(False)
    if args.train_only is None:
        return
    names = [name for name, _ in lens.named_parameters()]
    for start in args.train_only:
        if not any(name.startswith(start) for name in names):
            parts = sorted({name.partition(".")[0] for name in names})
            raise ValueError(f"`train_only` is {start!r}; the lens has weights of {', '.join(parts)}")
    for name, parameter in lens.named_parameters():
        parameter.requires_grad_(parameter.requires_grad and name.startswith(tuple(args.train_only)))


def cleaning_loss(args: argparse.Namespace, cleaned: Sequence[Tensor], x0: Tensor) -> Tensor | float:
    """Charbonnier's loss of the cleaned frames (B, F, 3, H, W), the only element if there are any, against MATLAB's
    bicubic of the true frames x0 (B, F, 3, sH, sW), by its weight.
    """
    return sum(args.cleaning_weight * charbonnier_loss(frames, imresize(x0, scale=1 / SCALE)) for frames in cleaned)


class Trainer(TrainingLoop):
    """One training run of the lens; the distiller is frozen and apart."""

    def __init__(self, args: argparse.Namespace, accelerator: Accelerator) -> None:
        super().__init__(args, accelerator)
        self.pipeline = build_pipeline(args)
        lens, distiller = self.pipeline.semantic_lens, self.pipeline.semantic_distiller
        prepare_lens(lens, args)
        self.data = build_data(args, args.num_frames, num_samples=args.max_train_steps * self.clips_per_step)
        self.semantics = None
        if lens.needs_semantics:
            distiller.requires_grad_(False).eval().to(accelerator.device)
            sources = self.data.dataset.clips.sources
            self.semantics = LensSemantics.for_lens(lens, distiller, sources, args.semantics_dir, accelerator.autocast)
        self.teacher = None
        if args.teacher is not None:
            clips = self.data.dataset.clips
            self.teacher = build_teacher(args.teacher, clips, accelerator, args.semantics_dir, args.teacher_dir)
        self.losses = FrameLosses(args, accelerator)
        self.prepare(lens.train())

    def compute_loss(self, batch: dict[str, Tensor]) -> Tensor:
        """The loss of one batch: `hr` uint8 (B, F, 3, sH, sW), `lr` uint8 (B, F, 3, H, W), `place` int64 (B, 9),
        `index` int64 (B,).
        """
        args, device = self.args, self.accelerator.device
        x0, low_res = (batch[name].to(device).float() / 127.5 - 1 for name in ("hr", "lr"))
        semantics = {} if self.semantics is None else self.semantics.semantics(low_res, batch["place"])
        prediction, *cleaned = self.wrapped(low_res, **semantics, return_dict=False)
        generators = clip_generators(args.seed, batch["index"].tolist(), device)
        y = imresize(low_res, scale=SCALE)
        loss = self.losses(prediction, x0, y, generators, self.accelerator.autocast) + cleaning_loss(args, cleaned, x0)
        if self.teacher is not None:
            taught = charbonnier_loss(prediction, self.teacher(low_res, batch["place"])[0])
            loss = loss + args.teacher_weight * (taught - charbonnier_loss(prediction, x0))
        return loss

    def finished_pipeline(self) -> SemanticLensPipeline:
        lens = cast(SemanticLens, self.averaged_model())
        distiller = copy.deepcopy(self.pipeline.semantic_distiller)
        lens.register_to_config(distiller_digest=distiller_digest(distiller) if lens.needs_semantics else None)
        config = self.pipeline.config
        return SemanticLensPipeline(lens.eval(), distiller, config.clip_length, config.clip_overlap)

    def validation_upscaler(self, pipeline: SemanticLensPipeline) -> tuple[Callable[[Tensor, int], Tensor], list[int]]:
        def upscale(low_res: Tensor, _: int) -> Tensor:
            return pipeline(low_res, output_type="pt").frames[0]

        return upscale, [1]  # a regression network takes one step

    def _loss_in_words(self) -> str:
        args, text = self.args, describe_losses(self.args)
        if self.model.config.cleaning_blocks is not None:
            text += f" + {args.cleaning_weight} of the cleaned frames"
        return (
            text if args.teacher is None else f"{text}; Charbonnier's {args.teacher_weight:.0%} to a teacher's frames"
        )

    def save_card(self, figures: Mapping[str, float] | None, parameters: Mapping[str, tuple[int, int]]) -> None:
        modules = [name for name in MODULES if self.model.config[name]]
        save_model_card(
            self.output_dir,
            self.args,
            self.progress,
            parameters,
            self.data.sources,
            self.data.validation_names,
            figures,
            self.accelerator.num_processes,
            SEMANTIC_LENS,
            {"modules": ", ".join(modules) or "none", "loss": self._loss_in_words()},
        )


def plan_step(args: argparse.Namespace, mode: FakeTensorMode) -> StepPlan:
    """A training step without data, for `--dry_run`."""
    pipeline = build_pipeline(args, mode)
    lens, distiller = pipeline.semantic_lens.train(), pipeline.semantic_distiller
    components: dict[str, nn.Module] = {"semantic_lens": lens}
    if lens.needs_semantics:
        components["semantic_distiller"] = distiller.requires_grad_(False).eval()
    if args.teacher is not None:  # what it takes to run is less than a training step
        components["teacher"] = load_pipeline(locate(args.teacher, "teacher"), dtype=torch.float32).semantic_lens
    losses = FrameLosses(args)
    components.update(losses.networks)
    prepare_lens(lens, args)

    def step(network: Callable[..., Any], autocast: Callable[[], AbstractContextManager[Any]]) -> Tensor:
        clips, side = (args.train_batch_size, args.num_frames), args.resolution
        x0, low_res = torch.rand(*clips, 3, side, side), torch.rand(*clips, 3, side // SCALE, side // SCALE)
        semantics = {}
        if lens.needs_semantics:
            known, grid = distilled_frame(distiller), lens.config.global_grid
            semantics = {
                "features": torch.rand(*clips, known.features.shape[2], grid, grid),
                "clip_tokens": torch.rand(clips[0], *known.clip_tokens.shape[1:]),
                "clip_masks": torch.rand(*clips, *known.clip_masks.shape[2:]),
                "region": torch.rand(clips[0], 4),
            }
            del known
        prediction, *cleaned = network(low_res, **semantics, return_dict=False)
        shown = (prediction, x0, imresize(low_res, scale=SCALE))
        return planned_loss(losses, shown, autocast) + cleaning_loss(args, cleaned, x0)

    return StepPlan(components, lens, step)


def main(args: argparse.Namespace) -> None:
    """Runs the training that the arguments describe, or prints what it would take."""
    if args.dry_run:
        print_dry_run(args, plan_step)
    else:
        run_training(Trainer, args, "semantic-lens")


if __name__ == "__main__":
    with one_line_errors():
        main(parse_arguments())
