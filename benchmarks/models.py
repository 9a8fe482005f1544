# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Which model to use when: size, speed and quality of models, and of bicubic, in one table.

    python benchmarks/models.py DATA/clip DATA/other.mp4 --models semantic-lens-tiny seeclear-tiny seeclear-star-tiny \
        --frames 10 --stride 5 --perceptual_weights WEIGHTS --json models.json --picture models.png

Quality is what `seeclear evaluate` measures on the given originals, made smaller by MATLAB's bicubic; every model runs
at its default steps. In brackets PSNR minus bicubic's, LPIPS and DISTS over bicubic's. Speed is that of a video of
320x180 that becomes 1280x720, models loaded and warm, nothing read or written; frames that clips share
are restored twice, and count. Nothing else should run meanwhile.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from seeclear.app.evaluate import Evaluation, evaluate, load_model
from seeclear.app.models import parameter_counts
from seeclear.metrics.evaluation import BICUBIC, aligned_table, bicubic_frames, figures_table
from seeclear.metrics.protocols import get_protocol
from seeclear.runtime import choose_device, keep_freed_memory, parse_dtype

SHIPPED = ["semantic-lens-tiny", "seeclear-tiny", "seeclear-star-tiny"]
PROTOCOL = "y"


def seconds_per_frame(call: Callable[[torch.Tensor], object], height: int, width: int, num_frames: int) -> float:
    """Seconds a frame of upscaling noise of that size, 8-bit (F, 3, H, W), after the same once to warm up: the first
    clip takes longer, since the memory for its frames is new.
    """
    video = torch.randint(256, (num_frames, 3, height, width), dtype=torch.uint8)
    call(video)
    start = time.perf_counter()
    call(video)
    return (time.perf_counter() - start) / num_frames


def costs(models: list[str], args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Of bicubic and every model: parameters of its parts, and seconds a frame."""
    size = (args.height, args.width)
    target = (4 * args.height, 4 * args.width)
    bicubic = seconds_per_frame(lambda video: bicubic_frames(video, target), *size, args.timed_frames)
    found: dict[str, dict[str, Any]] = {BICUBIC: {"parameters": {}, "seconds": bicubic}}
    device = choose_device(args.device)
    dtype, _ = parse_dtype(args.dtype, device)
    for model in models:
        pipe, _ = load_model(model, device, dtype)
        pipe.set_progress_bar_config(disable=True)

        def call(video: torch.Tensor, pipe: Any = pipe) -> None:
            pipe(video.float() / 255, scene_detection=False, output_type="pt")

        name = Path(model).name if Path(model).is_dir() else model  # as `evaluate` calls it
        seconds = seconds_per_frame(call, *size, args.timed_frames)
        found[name] = {"parameters": parameter_counts(pipe), "seconds": seconds}
    return found


def table(evaluation: Evaluation, cost: dict[str, dict[str, Any]], size: str) -> str:
    """The markdown table of `seeclear evaluate` with a column of parameters and the speeds measured here."""
    seconds = {name: values["seconds"] for name, values in cost.items()}
    lines = figures_table(evaluation.report["mean"], get_protocol(PROTOCOL), seconds).splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not line.startswith("| -")]
    rows[0][-1] = f"s per frame of {size}"
    for row, values in zip(rows[1:], cost.values(), strict=True):
        parameters = sum(values["parameters"].values())
        row.insert(1, f"{parameters / 1e6:.1f} M" if parameters else "")
    rows[0].insert(1, "parameters")
    return aligned_table(rows)


def stack(folder: Path, names: list[str], path: Path) -> None:
    """Puts the pictures of the clips below one another."""
    pictures = [Image.open(folder / f"{name}.png") for name in names]
    canvas = Image.new("RGB", (max(p.width for p in pictures), sum(p.height for p in pictures)))
    top = 0
    for picture in pictures:
        canvas.paste(picture, (0, top))
        top += picture.height
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path)


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", help="originals: folders of clips, folders of frames, or videos")
    parser.add_argument("--models", nargs="+", default=SHIPPED, help="shipped names, folders or Hub ids")
    parser.add_argument("--perceptual_weights", type=Path, help="the weights of LPIPS and DISTS; left out without")
    parser.add_argument("--frames", type=int, help="measure the first so many frames of each clip")
    parser.add_argument("--stride", type=int, default=1, help="LPIPS and DISTS of every so many frames")
    parser.add_argument("--height", type=int, default=180, help="of the low-resolution frames that are timed")
    parser.add_argument("--width", type=int, default=320, help="of the low-resolution frames that are timed")
    parser.add_argument("--timed_frames", type=int, default=40, help="how many frames are timed")
    parser.add_argument("--device", help="cpu, cuda, mps, ...; the fastest unless given")
    parser.add_argument("--dtype", default="auto", help="auto, fp32, bf16 or fp16")
    parser.add_argument("--json", type=Path, help="write the figures, parameters and times to this file")
    parser.add_argument("--picture", type=Path, help="write a PNG: a crop of each clip by all models side by side")
    args = parser.parse_args()
    if choose_device(args.device).type == "cpu":
        keep_freed_memory()

    cost = costs(args.models, args)
    perceptual = [] if args.perceptual_weights is None else ["lpips-vgg", "dists"]
    with tempfile.TemporaryDirectory() as crops:
        evaluation = evaluate(
            args.clips,
            models=args.models,
            protocol=PROTOCOL,
            metrics=["psnr", *perceptual, "frame-difference"],
            perceptual_weights=args.perceptual_weights,
            stride=args.stride,
            frames=args.frames,
            device=args.device,
            dtype=args.dtype,
            crops=None if args.picture is None else crops,
        )
        if args.picture is not None:
            stack(Path(crops), [clip["name"] for clip in evaluation.report["clips"]], args.picture)
    size = f"{4 * args.width}x{4 * args.height}"
    print(table(evaluation, cost, size))
    if args.json is not None:
        settings = {"size": size, "frames": args.timed_frames, "command": ["benchmarks/models.py", *sys.argv[1:]]}
        report = {"timing": settings, "cost": cost, "evaluation": evaluation.report}
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
