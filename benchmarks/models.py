# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Which model to use when: size, speed and quality of models, and of bicubic, in one table.

    python benchmarks/models.py DATA/clip DATA/other.mp4 --frames 10 --stride 5 --perceptual_weights WEIGHTS \
        --json models.json --picture models.png

Quality is what `seeclear evaluate` measures on the given originals, made smaller by MATLAB's bicubic; every model runs
at its default steps. In brackets PSNR minus bicubic's, LPIPS and DISTS over bicubic's. Speed is that of a video of
320x180 that becomes 1280x720, models loaded and warm, nothing read or written; frames that clips share
are restored twice, and count. Nothing else should run meanwhile.

The measure of speed is BasicVSR (Chan et al., CVPR 2021): 3x3 convolutions of 64 channels at the size of the
low-resolution frames, and nothing is faster on most machines. How fast this one computes them is measured, in the same
dtype; "of BasicVSR's time" is a model's time over that of BasicVSR's convolutions at that rate, and "of the
convolutions' rate" the arithmetic that a model does in a second over theirs.
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
from torch.utils.flop_counter import FlopCounterMode

from seeclear.app.evaluate import Evaluation, evaluate, load_model
from seeclear.app.models import parameter_counts
from seeclear.metrics.evaluation import BICUBIC, aligned_table, bicubic_frames, figures_table
from seeclear.metrics.protocols import get_protocol
from seeclear.runtime import choose_device, keep_freed_memory, parse_dtype

SHIPPED = [
    "semantic-lens-tiny",
    "semantic-lens",
    "seeclear-tiny",
    "seeclear-star-tiny",
    "seeclear-star",
    "seeclear-real-tiny",
    "seeclear-real",
]
PROTOCOL = "y"
WIDTH = 64
"""Channels of BasicVSR."""
BASICVSR_PRODUCTS = (
    9
    * (
        2 * (3 + WIDTH) * WIDTH  # the first convolution of each trunk
        + 2 * 60 * WIDTH**2  # thirty residual blocks of each
        + (1 + 4) * 4 * WIDTH**2  # two pixel shuffles
        + 16 * (WIDTH + 3) * WIDTH  # two convolutions at the size of the result
    )
    + 2 * WIDTH**2
)
"""Of numbers, for each low-resolution pixel, in BasicVSR's convolutions without those of its flow network."""


def seconds_and_flops(
    call: Callable[[torch.Tensor], object], height: int, width: int, num_frames: int
) -> tuple[float, float]:
    """Seconds a frame of upscaling noise of that size, 8-bit (F, 3, H, W), and floating-point operations a frame in
    convolutions, matrix products and attention. The operations are counted in a call before the one that is timed:
    the first clip takes longer, since the memory for its frames is new.
    """
    video = torch.randint(256, (num_frames, 3, height, width), dtype=torch.uint8)
    with FlopCounterMode(display=False) as counter:
        call(video)
    start = time.perf_counter()
    call(video)
    return (time.perf_counter() - start) / num_frames, counter.get_total_flops() / num_frames


def convolution_rate(height: int, width: int, device: torch.device, dtype: torch.dtype, seconds: float = 2.0) -> float:
    """Floating-point operations a second in 3x3 convolutions of `WIDTH` channels on one frame of that size."""
    conv = torch.nn.Conv2d(WIDTH, WIDTH, 3, padding=1).to(device, dtype, memory_format=torch.channels_last)
    maps = torch.randn(1, WIDTH, height, width).to(device, dtype, memory_format=torch.channels_last)

    def run(times: int) -> float:
        start = time.perf_counter()
        for _ in range(times):
            conv(maps)
        if device.type != "cpu":
            torch.accelerator.synchronize()
        return time.perf_counter() - start

    with torch.inference_mode():
        one = run(5) / 5
        times = max(5, round(seconds / one))
        return times * 2 * 9 * WIDTH**2 * height * width / run(times)


def costs(models: list[str], args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Of bicubic and every model: parameters of its parts and seconds a frame; of models besides operations a frame,
    the time as a multiple of that of BasicVSR's convolutions, and the rate of operations as one of theirs.
    """
    size = (args.height, args.width)
    target = (4 * args.height, 4 * args.width)
    bicubic, _ = seconds_and_flops(lambda video: bicubic_frames(video, target), *size, args.timed_frames)
    found: dict[str, dict[str, Any]] = {BICUBIC: {"parameters": {}, "seconds": bicubic}}
    device = choose_device(args.device)
    dtype, _ = parse_dtype(args.dtype, device)
    rate = convolution_rate(*size, device, dtype)
    basicvsr = 2 * BASICVSR_PRODUCTS * args.height * args.width / rate
    for model in models:
        pipe, _ = load_model(model, device, dtype)
        pipe.set_progress_bar_config(disable=True)

        def call(video: torch.Tensor, pipe: Any = pipe) -> None:
            pipe(video.float() / 255, scene_detection=False, output_type="pt")

        name = Path(model).name if Path(model).is_dir() else model  # as `evaluate` calls it
        for part in pipe.components.values():
            if isinstance(part, torch.nn.Module):
                part.requires_grad_(False)  # the counter fails where a weight that wants a gradient is an argument
        seconds, flops = seconds_and_flops(call, *size, args.timed_frames)
        found[name] = {
            "parameters": parameter_counts(pipe),
            "seconds": seconds,
            "flops": flops,
            "of_basicvsr": seconds / basicvsr,
            "of_convolutions": flops / seconds / rate,
        }
    return found


def table(evaluation: Evaluation, cost: dict[str, dict[str, Any]], size: str) -> str:
    """The markdown table of `seeclear evaluate` with a column of parameters and the speeds measured here."""
    seconds = {name: values["seconds"] for name, values in cost.items()}
    lines = figures_table(evaluation.report["mean"], get_protocol(PROTOCOL), seconds).splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not line.startswith("| -")]
    rows[0][-1] = f"s per frame of {size}"
    rows[0] += ["GFLOP", "of BasicVSR's time", "of the convolutions' rate"]
    for row, values in zip(rows[1:], cost.values(), strict=True):
        row += [""] * 3  # of bicubic
        if "flops" in values:
            speed = (values["flops"] / 1e9, values["of_basicvsr"], values["of_convolutions"])
            row[-3:] = [f"{speed[0]:.0f}", f"{speed[1]:.2f}", f"{speed[2]:.2f}"]
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
