# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What each module of a trained SeeClear does for its results: the same weights, with one module after the other off.

    python benchmarks/ablation.py CLIPS --model seeclear-tiny --frames 10 --json ablation.json
    python benchmarks/ablation.py CLIPS --perceptual-weights WEIGHTS --stride 5
    python benchmarks/ablation.py CLIPS --model seeclear-real-tiny --crf 23

CLIPS are folders of clips, or clips, as `seeclear evaluate` takes them; LR is made by MATLAB's bicubic, and with
`--crf 23` an H.264 video after that.

"semantics off": the condenser gets neither tokens nor features, so InCAM is left with its attention, and CaTeGory,
which is read by clip-wise tokens, is silent as well. The network misses the constants that these branches add, too, so
this row is not what semantics are worth. "semantics averaged": tokens and features as they are on average over the
clip, the same for all pixels and tokens, so that the constants stay and what is seen goes. "memory off": CaTeGory is
neither read nor written. "MFSA off": every window of the multi-frame self-attention spans one frame instead of all
frames of the clip. "motion off": the neighbors that motion compensation moves are not seen. "prior's features off":
of a lens that is the prior, the frames alone are seen.

It shows how much the trained network leans on a module: one that changes nothing is not used. It does not show what
a module is worth: a network that was trained without it would have learned to do otherwise, and one whose module is
taken away meets inputs that it never saw in training. For that, train a network for each row (`--condenser_config`
with `frame_semantics`, `clip_semantics`, `texture_memory`, `multi_frame_attention` switched off as the row says).
"""

import argparse
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import seeclear
from seeclear import PixelCondenser, SeeClearPipeline
from seeclear.app.evaluate import EvaluationSettings, load_model
from seeclear.app.evaluate.clips import ClipSet
from seeclear.data.benchmark import find_clips
from seeclear.metrics.evaluation import (
    BICUBIC,
    Evaluator,
    Figures,
    aligned_table,
    bicubic_frames,
    figures_table,
    mean_figures,
)
from seeclear.metrics.perceptual import file_hash
from seeclear.models.attention import WindowSelfAttention
from seeclear.resize import to_uint8
from seeclear.runtime import keep_freed_memory

ALL_ON = "everything on"
Switch = tuple[torch.nn.Module, str, Any]
"""A module, the name of one of its attributes, and the value of it that turns something off."""


def switches(condenser: PixelCondenser) -> dict[str, list[Switch]]:
    """What to set for each row of the ablation; nothing where the network does not have the module."""
    config, looks = condenser.config, condenser.needs_prior_features
    attentions = [module for module in condenser.modules() if isinstance(module, WindowSelfAttention)]
    return {
        ALL_ON: [],
        "semantics off": [(condenser, "token_proj", None)] if config.frame_semantics else [],
        "semantics averaged": [(condenser, "forward", blind_forward(condenser))] if config.frame_semantics else [],
        "memory off": [(condenser, "memory", None)] if config.texture_memory else [],
        "MFSA off": [(module, "multi_frame", False) for module in attentions if module.multi_frame],
        "motion off": [(condenser, "conv_moved", None)] if config.motion_compensation else [],
        "propagation off": [(condenser, "propagation", None)] if config.propagation_blocks else [],
        "prior's features off": [(condenser, name, None) for name in ("conv_prior", "refine_prior") if looks],
    }


def blind_forward(condenser: PixelCondenser) -> Callable[..., Any]:
    """The condenser's forward pass with semantics that are the same everywhere: their means over frames, pixels and
    tokens.
    """
    forward = condenser.forward

    def averaged(value: Tensor, *axes: int) -> Tensor:
        return value.mean(dim=axes, keepdim=True).expand_as(value)

    def blind(*args: Any, **kwargs: Any) -> Any:
        given = inspect.signature(forward).bind(*args, **kwargs).arguments
        for name, axes in (("tokens", (1, 2)), ("features", (1, 3, 4)), ("clip_tokens", (1,))):
            if given.get(name) is not None:
                given[name] = averaged(given[name], *axes)
        return forward(**given)

    return blind


@contextmanager
def switched(off: Sequence[Switch]) -> Iterator[None]:
    """Sets attributes, and gives them their old values again."""
    before = [(module, name, getattr(module, name)) for module, name, _ in off]
    for module, name, value in off:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


@torch.no_grad()
def ablate(
    pipe: SeeClearPipeline, clips: ClipSet, evaluator: Evaluator, steps: int | None = None, seed: int = 0
) -> tuple[dict[str, Figures], dict[str, float]]:
    """Restores the clips with each module off.

    Returns:
        The figures of each row and of bicubic, means over the clips; and for each row how much its frames differ from
        those with everything on, mean absolute difference in grey levels.
    """
    rows = {name: off for name, off in switches(pipe.pixel_condenser).items() if off or name == ALL_ON}
    measured, changes = [], []
    for number, stored in enumerate(clips.stored):
        clip = clips.read(stored)
        low_res, original = clip.low_res, clip.ground_truth
        outputs: dict[str, Tensor] = {BICUBIC: bicubic_frames(low_res, (original.shape[-2], original.shape[-1]))}
        for name, off in rows.items():
            sys.stderr.write(f"clip {number + 1} of {len(clips.stored)}, {name}\n")
            generator = torch.Generator().manual_seed(seed)
            with switched(off):
                frames = pipe(low_res.float() / 255, steps, generator=generator, output_type="pt").frames[0]
            outputs[name] = to_uint8(frames).cpu()
        measured.append(evaluator.measure(outputs, original))
        whole = outputs[ALL_ON].float()
        changes.append({name: float((outputs[name].float() - whole).abs().mean()) for name in rows})
    return mean_figures(measured), {name: sum(c[name] for c in changes) / len(changes) for name in rows}


def effects_table(figures: dict[str, Figures], changes: dict[str, float], missing: Sequence[str]) -> str:
    """What each module does for PSNR and for steadiness, in words as well: a row for each that is there or missing."""
    rows = [["", "change of the frames, grey levels", "PSNR, dB", "frame-difference error", "the module"]]
    for name, change in changes.items():
        if name == ALL_ON:
            continue
        psnr, steadiness = (
            None if figures[name][metric] is None else figures[name][metric] - figures[ALL_ON][metric]  # type: ignore[operator]
            for metric in ("psnr", "frame-difference")
        )
        verdict = "changes nothing" if change == 0 else "helps" if psnr < 0 else "does not help"  # type: ignore[operator]
        steady = "" if steadiness is None else f"{steadiness:+.3f}"
        rows.append([name, f"{change:.4f}", f"{psnr:+.4f}", steady, verdict])
    rows += [[name, "", "", "", "is not in this model"] for name in missing]
    return aligned_table(rows)


def main(argv: Sequence[str] | None = None) -> None:
    """Measures, and prints the figures and what follows from them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", help="folders of clips, or clips")
    parser.add_argument("--model", default="seeclear-tiny", help="a shipped model, a folder or a Hub id")
    parser.add_argument("--frames", type=int, help="measure the first so many frames of each clip")
    parser.add_argument("--crf", type=float, help="make the low resolution an H.264 video of this quality")
    parser.add_argument("--steps", type=int, help="denoising steps; the model's own unless given")
    parser.add_argument("--seed", type=int, default=0, help="of the noise")
    parser.add_argument(
        "--perceptual-weights", help="the folder of the weights of LPIPS and DISTS, to take these, too"
    )
    parser.add_argument("--stride", type=int, default=1, help="LPIPS and DISTS of every so many frames")
    parser.add_argument("--json", type=Path, help="write figures and settings to this file")
    args = parser.parse_args(argv)

    keep_freed_memory()
    metrics = ["psnr", "ssim", "frame-difference"] + (["lpips-vgg", "dists"] if args.perceptual_weights else [])
    evaluator = Evaluator(metrics, "y", args.perceptual_weights, stride=args.stride)
    clips = ClipSet(find_clips(args.clips), EvaluationSettings(frames=args.frames, crf=args.crf))
    pipe, folder = load_model(args.model, torch.device("cpu"), torch.float32)
    if not isinstance(pipe, SeeClearPipeline):
        parser.error(f"--model is {args.model!r}, a {type(pipe).__name__}; it must be a SeeClearPipeline")
    pipe.set_progress_bar_config(disable=True)
    missing = [name for name, off in switches(pipe.pixel_condenser).items() if not off and name != ALL_ON]
    figures, changes = ablate(pipe, clips, evaluator, args.steps, args.seed)
    print(figures_table(figures, evaluator.protocol))
    print(f"\nWith the module off, against {ALL_ON}:\n")
    print(effects_table(figures, changes, missing))
    if args.json is not None:
        files = sorted(folder.rglob("*.safetensors"))
        report = {
            "model": args.model,
            "sha256": {path.relative_to(folder).as_posix(): file_hash(path) for path in files},
            "versions": {"seeclear": seeclear.__version__, "torch": torch.__version__},
            "settings": {
                "clips": [clip.name for clip in clips.stored],
                "frames": args.frames,
                "steps": args.steps or pipe.config.default_num_inference_steps,
                "seed": args.seed,
                "stride": args.stride,
                "degradation": "BI",
                "crf": args.crf,
                "threads": torch.get_num_threads(),
            },
            "metrics": evaluator.sources,
            "figures": figures,
            "change": changes,
            "not_in_this_model": missing,
        }
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
