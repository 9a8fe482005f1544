# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What the Semantic Distiller sees: IoU of its tokens with annotated objects of clips given as LR, and what it costs.

    python benchmarks/segmentation.py --data_root DATA --clips cows dance-twirl parkour car-roundabout \
        --distillers seeclear/weights/seeclear-tiny/semantic_distiller random --output figures.json

`DATA` is in the layout that `examples/configs/reference_instances.json` names. "best" takes the best frame-wise token
of every frame, "clipwise" the best clip-wise one, "fixed" one clip-wise token for a whole clip. With `--several` the
last quarters of the list's static cameras, which trainings leave out, show whether each of several objects has a token
of its own: "apart" is the mean IoU with that, "found" the share of objects that have one with half or more, "shared"
the mean IoU with the best token, whoever else has it. With `--condenser` the time of distilling a clip of five
320x180 frames is compared with that of its condensation at the pipeline's default steps, in one run.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from seeclear import SeeClearPipeline, SemanticDistiller
from seeclear.app.segment import distill_refined
from seeclear.data.found_instances import read_static_video
from seeclear.data.instance_list import TRAINED_SHARE
from seeclear.data.instances import read_annotated_clip
from seeclear.models.presets import PRESETS
from seeclear.runtime import keep_freed_memory
from seeclear.training.segmentation import as_they_are, segmentation_figures, separation_figures


def load(name: str) -> SemanticDistiller:
    """A saved distiller, or an untrained one of the preset tiny by the name "random"."""
    if name != "random":
        return SemanticDistiller.from_pretrained(name, dtype=torch.float32).eval()
    torch.manual_seed(0)
    return SemanticDistiller(**PRESETS["tiny"]["semantic_distiller"]).eval()


def fastest(call: Callable[[], object], times: int = 5) -> float:
    """Seconds of the fastest of some calls, after one to warm up."""
    call()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


@torch.no_grad()
def shares(model: str) -> dict[str, float]:
    """Seconds of distilling and of condensing five frames of 320x180, and their ratio."""
    pipe = SeeClearPipeline.from_pretrained(model, dtype=torch.float32)
    condenser = pipe.pixel_condenser.to(memory_format=torch.channels_last)
    distiller = pipe.semantic_distiller.to(memory_format=torch.channels_last)
    low_res = torch.rand(1, 5, 3, 184, 320) * 2 - 1
    y = torch.rand(1, 5, 3, 736, 1280) * 2 - 1
    semantics = distiller(low_res)
    distilling = fastest(lambda: distiller(low_res))
    one_step = fastest(
        lambda: condenser(
            y,
            14,
            y,
            tokens=semantics.tokens,
            features=semantics.features,
            clip_tokens=semantics.clip_tokens,
            update_memory=True,
        ),
        times=3,
    )
    condensing = one_step * pipe.config.default_num_inference_steps
    return {"distilling": distilling, "condensing": condensing, "share": distilling / condensing}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_root", type=Path, help="the folder with frames and masks")
    parser.add_argument("--instance_list", type=Path, default="examples/configs/reference_instances.json")
    parser.add_argument("--clips", nargs="*", default=[], help="names of annotated clips")
    parser.add_argument("--distillers", nargs="*", default=[], help="folders of saved distillers, or 'random'")
    parser.add_argument("--several", action="store_true", help="measure how far several objects are apart, too")
    parser.add_argument("--refine", action="store_true", help="refine the masks, as `seeclear segment` does")
    parser.add_argument("--condenser", help="a pipeline whose times are measured")
    parser.add_argument("--output", type=Path, help="write the figures to this JSON file")
    args = parser.parse_args(argv)
    if (args.clips or args.several) and args.data_root is None:
        parser.error("--clips and --several need --data_root")
    keep_freed_memory()

    result: dict[str, dict[str, float]] = {}
    folders = json.loads(args.instance_list.read_text(encoding="utf-8"))
    clips = [
        read_annotated_clip(*(args.data_root / folders[kind] / name for kind in ("frames", "masks")))
        for name in args.clips
    ]
    several = [
        clip
        for video in (folders.get("static_cameras", {}) if args.several else [])
        for clip in read_static_video(args.data_root / video, clip_length=5, num_clips=10, since=TRAINED_SHARE)
    ]
    distill = distill_refined if args.refine else as_they_are
    for name in args.distillers if clips or several else []:
        distiller = load(name)
        result[name] = segmentation_figures(distiller, clips, distill) if clips else {}
        result[name] |= separation_figures(distiller, several)
        print(f"| {name} |", " | ".join(f"{key} {value:.3f}" for key, value in result[name].items()), "|")
    if args.condenser is not None:
        result["seconds"] = shares(args.condenser)
        print(", ".join(f"{key} {value:.3f}" for key, value in result["seconds"].items()))
    if args.output is not None:
        args.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
