# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The model card of a trained pipeline: what was trained, on what, how long, by which command, and its figures."""

from __future__ import annotations

import argparse
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import diffusers
import torch
from diffusers.utils.hub_utils import load_or_create_model_card, populate_model_card
from huggingface_hub import ModelCard, ModelCardData

import seeclear
from seeclear.shipped import SCALE
from seeclear.training.checkpoints import TrainingProgress
from seeclear.training.frame_losses import describe_losses
from seeclear.training.muon import OPTIMIZERS

TAGS = ["video-super-resolution", "diffusion", "seeclear", "diffusers-training"]
SHOWN_SOURCES = 20

TEMPLATE = """# {name}

Video super-resolution by a factor of {scale} with [{subject.method}]({subject.paper}), trained with
`{subject.script}` of the `seeclear` package.

```python
from seeclear import {subject.pipeline}

pipe = {subject.pipeline}.from_pretrained("{name}")
frames = pipe("video.mp4").frames[0]
```

## Figures

{figures}

## Training

| | |
|---|---|
{facts}

Command:

```bash
{command}
```

## Data

{data}

The weights may be used only as the terms of these data allow. The code is under the Apache License 2.0.
"""


@dataclass(frozen=True)
class CardSubject:
    """What a card is about: the method, its paper, the script that trained it, the class of the pipeline."""

    method: str
    paper: str
    script: str
    pipeline: str


SEECLEAR = CardSubject(
    "SeeClear", "https://arxiv.org/abs/2410.05799", "examples/train_seeclear.py", "SeeClearPipeline"
)
SEECLEAR_STAR = replace(SEECLEAR, method="SeeClear\\*")
SEMANTIC_LENS = CardSubject(
    "Semantic Lens", "https://arxiv.org/abs/2312.07823", "examples/train_semantic_lens.py", "SemanticLensPipeline"
)


def save_model_card(
    output_dir: Path,
    args: argparse.Namespace,
    progress: TrainingProgress,
    parameters: Mapping[str, tuple[int, int]],
    sources: Sequence[tuple[str, float]],
    validation_names: Sequence[str],
    figures: Mapping[str, float] | None,
    num_processes: int,
    subject: CardSubject = SEECLEAR,
    method_facts: Mapping[str, str] | None = None,
) -> Path:
    """Writes `output_dir/README.md` with diffusers' metadata.

    Args:
        output_dir: the saved pipeline's folder.
        args: the training script's arguments.
        progress: steps, clips and seconds of the run.
        parameters: for every component, all parameters and those that were trained.
        sources: names and shares of the training sources.
        validation_names: names of the validation clips.
        figures: what `seeclear.training.validation.validate` gave; None if nothing was validated.
        num_processes: processes the run was on.
        subject: what the card is about.
        method_facts: what was trained and by which losses; None reads SeeClear's from `args`.

    Returns:
        The card's path.
    """
    path = output_dir / "README.md"
    text = TEMPLATE.format(
        name=args.hub_model_id or output_dir.name,
        figures=_figures(figures, validation_names, args),
        facts=_facts(args, progress, parameters, num_processes, method_facts),
        command=_command(subject),
        subject=subject,
        data=_data(sources),
        scale=SCALE,
    )
    data = ModelCardData(license="other", library_name="diffusers", pipeline_tag="video-to-video")
    ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}").save(path)
    card = populate_model_card(load_or_create_model_card(str(path), from_training=True), tags=TAGS)
    card.save(path)
    return path


def _figures(figures: Mapping[str, float] | None, names: Sequence[str], args: argparse.Namespace) -> str:
    if figures is None and names:
        return f"Nothing was measured: the run ended before it had validated on {', '.join(names)}."
    if figures is None:
        return "The run had no validation clips, so nothing was measured."
    ways = {"bicubic": "MATLAB bicubic"}
    for name in figures:
        if name.startswith("gain_"):
            way = name.removeprefix("gain_")
            ways[way] = f"{way.removesuffix('_steps')} step(s)"
    others = [name for name in ("ssim", "lpips") if f"{name}_bicubic" in figures]
    head = ["", "PSNR-Y", "over bicubic", *({"ssim": "SSIM-Y", "lpips": "LPIPS (VGG)"}[name] for name in others)]
    rows = []
    for way, title in ways.items():
        gain = f"{figures[f'gain_{way}']:+.3f} dB" if f"gain_{way}" in figures else ""
        more = [f"{figures[f'{name}_{way}']:.4f}" for name in others]
        rows.append([title, f"{figures[f'psnr_{way}']:.3f} dB", gain, *more])
    lines = [f"| {' | '.join(row)} |".replace("|  |", "| |") for row in [head, *rows]]
    return (
        f"Mean of {len(names)} clip(s) ({', '.join(names)}), first {args.validation_frames} frames of each, 8 bit, "
        "full frame, PSNR and SSIM of the Y channel, measured in fp32 at the end of the training:\n\n"
        + "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])
    )


def _facts(
    args: argparse.Namespace,
    progress: TrainingProgress,
    parameters: Mapping[str, tuple[int, int]],
    num_processes: int,
    method_facts: Mapping[str, str] | None,
) -> str:
    if method_facts is None:
        prior = {}
        if "prior" in parameters:
            share = "" if args.prior_probability == 1 else f", for {args.prior_probability:.0%} of the clips"
            seen = "" if args.prior_frames is None else f", which saw {args.prior_frames} frames"
            prior["prior"] = _shorten(args.prior or "that of the start") + seen + share
        method_facts = {**prior, "stage": args.stage, "loss": describe_losses(args)}
    batch = args.train_batch_size * args.gradient_accumulation_steps * num_processes
    weights = f"moving average, decay {args.ema_decay}" if args.use_ema else "last step"
    rows = {
        "start": args.pretrained_model_name_or_path or f"untrained, preset `{args.preset}`",
        **method_facts,
        **{
            f"parameters of `{name}`": f"{total:,}, of which {trained:,} trained"
            for name, (total, trained) in parameters.items()
        },
        "steps": f"{progress.step:,} of {args.max_train_steps:,} planned",
        "clips": f"{progress.clips:,}, {batch} a step, {args.num_frames} frames, crops of {args.resolution} HR pixels",
        "time": f"{progress.seconds / 60:.1f} minutes, without validation and checkpoints",
        "speed": f"{progress.clips / max(progress.seconds, 1e-9):.2f} clips a second",
        "hardware": f"{num_processes} process(es), {_hardware()}",
        "optimiser": f"{OPTIMIZERS[args.optimizer]}, betas {args.adam_beta1} and {args.adam_beta2}",
        "learning rate": f"{args.learning_rate}, {args.lr_scheduler}, {args.lr_warmup_steps} steps of warm-up",
        "weights": f"{weights}; saved in fp16",
        "versions": f"seeclear {seeclear.__version__}, torch {torch.__version__}, diffusers {diffusers.__version__}, "
        f"Python {platform.python_version()}",
        "seed": str(args.seed),
    }
    return "\n".join(f"| {name} | {value} |" for name, value in rows.items())


def _hardware() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {torch.get_num_threads()} threads"


def _command(subject: CardSubject) -> str:
    """The command line, with paths shortened to their last part and without the token."""
    words = ["accelerate", "launch", subject.script]
    hide_next = False
    for word in sys.argv[1:]:
        name, _, value = word.partition("=")
        if name == "--hub_token":
            hide_next = not value
            continue
        if hide_next:
            hide_next = False
            continue
        words.append(_shorten(word))
    return shlex.join(words)


def _shorten(word: str) -> str:
    return Path(word).name if word.startswith("/") else word


def _data(sources: Sequence[tuple[str, float]]) -> str:
    lines = [f"* {name}: {100 * share:.1f} % of the clips" for name, share in sources[:SHOWN_SOURCES]]
    rest = sources[SHOWN_SOURCES:]
    if rest:
        lines.append(f"* {len(rest)} more: {100 * sum(share for _, share in rest):.1f} % of the clips")
    return "\n".join(lines)
