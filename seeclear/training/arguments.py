# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The command-line arguments of the training script, with the names diffusers' scripts use."""

from __future__ import annotations

import argparse
import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seeclear.data.realworld import COMPRESSED_PROBABILITY
from seeclear.shipped import SCALE
from seeclear.training.frame_losses import add_loss_arguments, check_loss_arguments
from seeclear.training.mixture import DEGRADATIONS
from seeclear.training.model import DISTILLER_TRAININGS, PART_STAGES, STAGES, TWO_CLIP_STAGES
from seeclear.training.muon import OPTIMIZERS
from seeclear.training.sampling import TIMESTEP_SAMPLINGS


def build_parser() -> argparse.ArgumentParser:
    """The parser of `examples/train_seeclear.py`."""
    parser = argparse.ArgumentParser(
        description="Trains SeeClear: the Pixel Condenser, CaTeGory's memory, and if asked the Semantic Distiller.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    _add_model_arguments(parser.add_argument_group("model"))
    add_data_arguments(parser.add_argument_group("data"))
    _add_diffusion_arguments(parser.add_argument_group("diffusion and losses"))
    add_optimisation_arguments(parser.add_argument_group("optimisation"))
    add_run_arguments(parser.add_argument_group("run"))
    return parser


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses and checks the arguments; ends the process with code 2 and one line if they are wrong."""
    parser = build_parser()
    args = parser.parse_args(argv)
    check_common_arguments(parser, args)
    if args.preset is None and (args.condenser_config or args.distiller_config or args.start_from):
        parser.error(
            "--condenser_config, --distiller_config and --start_from change a --preset; a saved model has its own "
            "configuration and weights"
        )
    check_loss_arguments(parser, args)
    if args.train_distiller != "nothing" and args.stage in PART_STAGES:
        parser.error(
            f"--train_distiller does not go with --stage {args.stage}, which trains a part of the condenser alone"
        )
    if args.prior_frames is not None:
        trained_on = args.num_frames * (2 if args.stage in TWO_CLIP_STAGES else 1)
        more = args.prior_frames - trained_on
        if more < 0 or more % 2:
            parser.error(
                f"--prior_frames is {args.prior_frames}; it must be what is trained on, {trained_on}, or more by an "
                "even number"
            )
    for name in ("final_timestep_probability", "prior_probability"):
        if not 0.0 <= getattr(args, name) <= 1.0:
            parser.error(f"--{name} is {getattr(args, name)}; it must be in [0, 1]")
    return args


def check_common_arguments(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Checks what all training scripts take: data, model and run."""
    if not args.train_data_dir and args.data_config is None:
        parser.error("no training data: give --train_data_dir or --data_config")
    if args.data_config is not None and args.data_root is None:
        parser.error("--data_config needs --data_root, the folder its paths are in")
    if args.preset is None and args.pretrained_model_name_or_path is None:
        parser.error("no model: give --preset to start from nothing or --pretrained_model_name_or_path to go on")
    if args.preset is not None and args.pretrained_model_name_or_path is not None:
        parser.error("--preset and --pretrained_model_name_or_path exclude each other")
    for name in ("checkpoints_total_limit", "max_train_steps", "train_batch_size", "gradient_accumulation_steps"):
        value = getattr(args, name)
        if value is not None and value < 1:
            parser.error(f"--{name} is {value}; it must be at least 1")
    if args.compressed_probability is None:
        args.compressed_probability = COMPRESSED_PROBABILITY
    elif args.degradation != "compressed":
        parser.error(f"--compressed_probability is for --degradation compressed, but that is {args.degradation}")
    if not 0.0 <= args.compressed_probability <= 1.0:
        parser.error(f"--compressed_probability is {args.compressed_probability}; it must be in [0, 1]")


def read_configuration(network: type, preset: Mapping[str, Any], path: str | None) -> dict[str, Any]:
    """A network's arguments: those of a preset, replaced by the values in a JSON file if there is one. A saved
    network's `config.json` is such a file: what it says of itself (`_class_name`) is left out.

    Raises:
        ValueError: the file is missing, is no JSON object, or names an argument that the network does not have.
    """
    if path is None:
        return dict(preset)
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path!r} cannot be read as JSON: {error}") from error
    known = [name for name in inspect.signature(network.__init__).parameters if name != "self"]  # type: ignore[misc]
    unknown = values
    if isinstance(values, dict):
        values = {name: value for name, value in values.items() if not name.startswith("_")}
        unknown = sorted(set(values) - set(known))
    if unknown or not isinstance(values, dict):
        raise ValueError(f"{path!r} has {unknown}; it may have values for {', '.join(known)}")
    return {**preset, **values}


def _add_model_arguments(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--stage",
        choices=STAGES,
        default="condenser",
        help="what is trained: all but CaTeGory, CaTeGory alone, all, or what follows the U-Net alone",
    )
    add("--preset", help="start an untrained model of this size: tiny or base")
    add("--pretrained_model_name_or_path", help="start from a saved pipeline: a folder, a Hub id or 'seeclear-tiny'")
    add("--condenser_config", help="JSON file, like a saved config.json, with values that replace the preset's")
    add("--distiller_config", help="the same for the Semantic Distiller")
    add("--start_from", help="a saved pipeline, whose condenser's weights the preset's condenser takes over")
    add(
        "--distiller",
        help="a trained Semantic Distiller to take instead: the folder of one or of a pipeline, a Hub id or a shipped "
        "name",
    )
    add(
        "--prior",
        help="SeeClear*: the Semantic Lens, frozen, whose output is y: the folder of a lens, or a pipeline's folder, "
        "Hub id or shipped name; a saved pipeline keeps its own unless another is given",
    )
    add(
        "--prior_dir",
        help="have the prior restore whole training videos, once, keep them in this folder, and cut y out of them, "
        "which is y as in use; takes 3 bytes a pixel and frame",
    )
    add(
        "--prior_probability",
        type=float,
        default=1.0,
        help="how often y is the prior's output and not bicubic; below 1 the condenser learns to do without as well",
    )
    add(
        "--prior_frames",
        type=int,
        help="frames that the prior sees, or at which motion compensation may look; those that are trained on are in "
        "their middle; as many unless given",
    )
    add(
        "--train_distiller",
        choices=DISTILLER_TRAININGS,
        default="nothing",
        help="what of the Semantic Distiller is trained as well; a pretrained segmenter needs its projections trained",
    )


def add_data_arguments(group: argparse._ArgumentGroup) -> None:
    """What is trained and validated on; the same for all training scripts."""
    add = group.add_argument
    add(
        "--train_data_dir",
        action="append",
        default=[],
        help="a folder of videos, of folders of frames, or of photographs; may be given several times",
    )
    add("--data_config", help="JSON file that describes a weighted mixture of data; see examples/configs")
    add("--data_root", help="the folder the paths in --data_config are in")
    add("--cache_data", action="store_true", help="keep all decoded frames in memory; videos need it, or are slow")
    add(
        "--semantics_dir",
        help="a folder for what the frozen distiller gave of whole frames, for later runs and other processes; "
        "0.7 MB a frame with the tiny distiller, for Semantic Lens 1.1 MB",
    )
    add(
        "--degradation",
        choices=tuple(DEGRADATIONS),
        default="BI",
        help="how LR frames are made: MATLAB's bicubic; Gaussian and every 4th pixel; bicubic, a share of the "
        "clips then as H.264 videos; what happens to real videos, docs/degradations.md; or that, videos of any codec "
        "and bicubic, mixed",
    )
    add(
        "--compressed_probability",
        type=float,
        help="the share of the clips that --degradation compressed makes H.264 videos; unless given "
        f"{COMPRESSED_PROBABILITY}",
    )
    add("--max_frame_step", type=int, default=1, help="frames of a clip are 1 to so many frames of the source apart")
    add(
        "--texture_candidates",
        type=int,
        default=1,
        help="draw so many crops and take the one with most detail; 1 takes any",
    )
    add("--texture_probability", type=float, default=1.0, help="how often crops are so chosen")
    add(
        "--still_probability",
        type=float,
        default=0.0,
        help="the share of the clips that show one frame all through, as a camera on a tripod does",
    )
    add(
        "--resolution",
        type=int,
        default=192,
        help=f"height and width of the HR crops in pixels, a multiple of {SCALE}, and of what the condenser needs",
    )
    add(
        "--num_frames",
        type=int,
        default=5,
        help="frames in a clip; stages memory and joint train on two clips in a row",
    )
    add(
        "--dataloader_num_workers",
        type=int,
        default=1,
        help="processes that load data; 0 loads in the training process",
    )
    add("--validation_data", nargs="*", default=[], help="videos or folders of frames to validate on")
    add("--validation_frames", type=int, default=5, help="how many frames of each validation clip are used")
    add(
        "--lpips_weights_path",
        help="the file or folder with the weights of LPIPS-VGG, the folder with those of "
        "DISTS, too; validation gives LPIPS",
    )


def _add_diffusion_arguments(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--validation_inference_steps",
        type=int,
        nargs="*",
        help="numbers of denoising steps to validate with; 1 and the pipeline's default unless given",
    )
    add("--timestep_sampling", choices=TIMESTEP_SAMPLINGS, default="uniform", help="how a clip's timestep is drawn")
    add(
        "--final_timestep_probability",
        type=float,
        default=0.5,
        help="with --timestep_sampling final: how often the timestep is the last, which one-step inference uses",
    )
    add_loss_arguments(group)


def add_optimisation_arguments(group: argparse._ArgumentGroup) -> None:
    """How the optimiser works; the same for all training scripts."""
    add = group.add_argument
    add("--train_batch_size", type=int, default=4, help="clips in a batch, on each process")
    add("--max_train_steps", type=int, default=100_000, help="optimiser steps in all; the learning rate follows them")
    add("--max_train_minutes", type=float, help="stop, save and export after so many minutes of this run")
    add("--gradient_accumulation_steps", type=int, default=1, help="batches in an optimiser step")
    add("--gradient_checkpointing", action="store_true", help="less memory for more time")
    add("--learning_rate", type=float, default=5e-4, help="the peak learning rate")
    add("--lr_scheduler", default="cosine", help="a schedule of diffusers: cosine, constant_with_warmup, ...")
    add("--lr_warmup_steps", type=int, default=100, help="steps until the learning rate is at its peak")
    add(
        "--optimizer",
        choices=OPTIMIZERS,
        default="adamw",
        help="muon trains the matrices and kernels of the blocks by orthogonal updates and the rest by AdamW: fewer "
        "steps for the same loss, with the same learning rates",
    )
    add("--adam_beta1", type=float, default=0.5, help="AdamW's beta1 (the paper's 0.5)")
    add("--adam_beta2", type=float, default=0.999, help="AdamW's beta2")
    add("--adam_weight_decay", type=float, default=0.0, help="AdamW's weight decay")
    add("--adam_epsilon", type=float, default=1e-8, help="AdamW's epsilon")
    add("--max_grad_norm", type=float, default=1.0, help="the gradient's norm is clipped to this")
    add("--use_ema", action="store_true", help="validate and export a moving average of the weights")
    add("--ema_decay", type=float, default=0.999, help="its decay; at step n at most (1 + n) / (10 + n)")
    add("--mixed_precision", choices=("no", "fp16", "bf16"), help="what accelerate's configuration says unless given")
    add("--channels_last", action="store_true", help="store weights channels last, which convolutions on CPUs want")


def add_run_arguments(group: argparse._ArgumentGroup) -> None:
    """What a run writes, where and when; the same for all training scripts."""
    add = group.add_argument
    add("--output_dir", required=True, help="where checkpoints, log, pictures and the finished pipeline go")
    add("--dry_run", action="store_true", help="print what a step takes in parameters and memory, and do nothing else")
    add("--seed", type=int, default=0, help="the same seed gives the same run")
    add("--checkpointing_steps", type=int, default=1000, help="write a checkpoint every so many steps")
    add("--checkpointing_minutes", type=float, default=5.0, help="and so many minutes after the last one")
    add("--checkpoints_total_limit", type=int, help="keep only so many checkpoints, the newest")
    add("--resume_from_checkpoint", help="'latest' or a checkpoint folder: go on exactly as if never interrupted")
    add("--validation_steps", type=int, default=1000, help="validate every so many steps, and at the end")
    add("--logging_steps", type=int, default=10, help="write the loss every so many steps to train_log.jsonl")
    add("--report_to", help="a tracker of accelerate: tensorboard, wandb, ... or all")
    add("--push_to_hub", action="store_true", help="upload the finished pipeline")
    add("--hub_model_id", help="the repository to upload to; the name of --output_dir unless given")
    add("--hub_token", help="the token for the upload unless logged in")
