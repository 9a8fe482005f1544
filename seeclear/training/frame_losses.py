# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The losses between restored and true clips that a training script was asked for, the same for all scripts."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from seeclear.models.optical_flow import clip_flow
from seeclear.shipped import SCALE
from seeclear.training.adversarial import Adversary
from seeclear.training.losses import charbonnier_loss, color_loss, grid_loss, steadiness_loss
from seeclear.training.perceptual_loss import PerceptualLoss
from seeclear.training.sampling import sample_crops, sample_frame_indices

Autocast = Callable[[], AbstractContextManager[Any]]
WEIGHTS = {
    "LPIPS": "lpips_weight",
    "DISTS": "dists_weight",
    "adversarial": "adversarial_weight",
    "grid": "grid_weight",
    "color": "color_weight",
    "steadiness": "steadiness_weight",
}
"""The losses beside Charbonnier, as cards name them, and the arguments that give their weights."""


def add_loss_arguments(group: argparse._ArgumentGroup) -> None:
    """The losses beside Charbonnier's; the same for all scripts that train on frames."""
    add = group.add_argument
    add("--lpips_weight", type=float, default=0.0, help="weight of LPIPS-VGG on --lpips_frames of each clip")
    add("--dists_weight", type=float, default=0.0, help="weight of DISTS on the same frames")
    add(
        "--adversarial_weight",
        type=float,
        default=0.0,
        help="weight of an adversarial loss on the same frames, for the end of a training; not with fp16",
    )
    add("--discriminator_learning_rate", type=float, default=1e-4, help="of the network that this loss asks")
    add(
        "--lpips_frames",
        type=int,
        default=1,
        help="how many frames of each clip LPIPS, DISTS and the adversarial loss compare; at least 1",
    )
    add(
        "--lpips_crop_size",
        type=int,
        help="compare a random square of so many pixels of the frame only, which takes less time; at least 16",
    )
    add(
        "--grid_weight",
        type=float,
        default=0.0,
        help="weight of the loss of patterns that repeat every 8 pixels, a mesh that LPIPS rewards on fine texture; "
        "about 4 times the LPIPS weight undoes that",
    )
    add(
        "--color_weight",
        type=float,
        default=0.0,
        help="weight of the loss of mean colours, which LPIPS shifts; about 4 times the LPIPS weight undoes that",
    )
    add(
        "--steadiness_weight",
        type=float,
        default=0.0,
        help="weight of the loss of errors that change from frame to frame along the motion: flicker and crawling",
    )


def check_loss_arguments(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Ends the process with code 2 and one line where they do not go together."""
    for name in WEIGHTS.values():
        if not getattr(args, name) >= 0:
            parser.error(f"--{name} is {getattr(args, name)}; it must be at least 0")
    for name in ("lpips_weight", "dists_weight"):
        if getattr(args, name) > 0 and args.lpips_weights_path is None:
            parser.error(f"--{name} needs --lpips_weights_path")
    if args.adversarial_weight > 0 and args.mixed_precision == "fp16":
        parser.error("--adversarial_weight does not go with --mixed_precision fp16; bf16 and no do")
    if args.lpips_frames < 1:
        parser.error(f"--lpips_frames is {args.lpips_frames}; it must be at least 1")
    if args.lpips_crop_size is not None and args.lpips_crop_size < 16:
        parser.error(f"--lpips_crop_size is {args.lpips_crop_size}; it must be at least 16")


def describe_losses(args: argparse.Namespace) -> str:
    """The losses with their weights, for a card."""
    weights = {name: getattr(args, argument) for name, argument in WEIGHTS.items()}
    return " + ".join(["Charbonnier"] + [f"{weight} {name}" for name, weight in weights.items() if weight > 0])


class FrameLosses:
    """Charbonnier's loss and, by their weights, those of the arguments of [`add_loss_arguments`].

    Args:
        args: the script's arguments.
        accelerator: says where the networks of the losses compute, and its checkpoints hold what of them is trained;
            without one they compute on the CPU.

    Attributes:
        perceptual: LPIPS and DISTS; None without either.
        adversary: the discriminator with its optimiser; None without.

    Raises:
        ValueError: the weights of LPIPS or DISTS are missing or of another layout.
    """

    def __init__(self, args: argparse.Namespace, accelerator: Accelerator | None = None) -> None:
        self.args = args
        device = torch.device("cpu") if accelerator is None else accelerator.device
        self.perceptual: PerceptualLoss | None = None
        if args.lpips_weight > 0 or args.dists_weight > 0:
            self.perceptual = PerceptualLoss(args.lpips_weights_path, args.lpips_weight, args.dists_weight).to(device)
        self.adversary: Adversary | None = None
        if args.adversarial_weight > 0:
            self.adversary = Adversary(args.discriminator_learning_rate, device)
            if accelerator is not None:
                accelerator.register_for_checkpointing(self.adversary)

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """What the losses need beside the network that is trained, by names for people."""
        networks: dict[str, nn.Module] = {}
        if self.perceptual is not None:
            networks["perceptual loss"] = self.perceptual
        if self.adversary is not None:
            networks["discriminator"] = self.adversary.discriminator
        return networks

    def __call__(
        self, prediction: Tensor, x0: Tensor, y: Tensor, generators: Sequence[torch.Generator], autocast: Autocast
    ) -> Tensor:
        """The loss of a batch.

        Args:
            prediction, x0, y: restored, true and enlarged clips, (B, F, 3, H, W) in [-1, 1].
            generators: one a clip, for the choice of the frames and squares that networks compare.
            autocast: within what these networks compute.
        """
        loss = self.of_clips(prediction, x0)
        if self.networks:
            loss = loss + self.of_frames(self.compared_frames((prediction, x0, y), generators), autocast)
        return loss

    def of_clips(self, prediction: Tensor, x0: Tensor) -> Tensor:
        """The losses of whole clips (B, F, 3, H, W) in [-1, 1]."""
        args = self.args
        loss = charbonnier_loss(prediction, x0)
        if args.grid_weight > 0:
            loss = loss + args.grid_weight * grid_loss(prediction, x0)
        if args.color_weight > 0:
            loss = loss + args.color_weight * color_loss(prediction, x0)
        if args.steadiness_weight > 0:
            flow = clip_flow(x0, SCALE)
            loss = loss + args.steadiness_weight * steadiness_loss(prediction, x0, flow)
        return loss

    def of_frames(self, compared: tuple[Tensor, ...], autocast: Autocast) -> Tensor:
        """The losses of single frames: restored, true and enlarged, each (N, 3, H, W) in [-1, 1]. The discriminator is
        trained on them as well, before it is asked.
        """
        prediction, x0, y = compared
        loss = torch.zeros((), device=x0.device)
        if self.perceptual is not None:
            loss = loss + self.perceptual(prediction, x0, autocast)
        if self.adversary is not None:
            self.adversary.update(prediction, x0, y, autocast)
            loss = loss + self.args.adversarial_weight * self.adversary.loss(prediction, y, autocast)
        return loss

    def compared_frames(self, clips: tuple[Tensor, ...], generators: Sequence[torch.Generator]) -> tuple[Tensor, ...]:
        """`lpips_frames` frames of each clip (B, F, 3, H, W), from a random one on, the first following the last; of
        each a square, the same of all clips.
        """
        (num_clips, num_frames), device = clips[0].shape[:2], clips[0].device
        first = sample_frame_indices(generators, num_frames)
        count = min(self.args.lpips_frames, num_frames)
        rows = torch.arange(num_clips, device=device).repeat_interleave(count)
        chosen = (first[rows] + torch.arange(len(rows), device=device) % count) % num_frames
        frames = [clip[rows, chosen] for clip in clips]
        return sample_crops([generators[row] for row in rows.tolist()], frames, self.args.lpips_crop_size)


def planned_loss(losses: FrameLosses, clips: tuple[Tensor, ...], autocast: Autocast) -> Tensor:
    """The loss of restored, true and enlarged clips as `--dry_run` takes it: of the first frames and squares."""
    prediction, x0, _ = clips
    loss = losses.of_clips(prediction, x0)
    if losses.networks:
        size = min(losses.args.lpips_crop_size or x0.shape[-1], x0.shape[-1])
        compared = tuple(clip[:, : losses.args.lpips_frames, :, :size, :size].flatten(0, 1) for clip in clips)
        loss = loss + losses.of_frames(compared, autocast)
    return loss
