# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Measures a SeeClear pipeline against bicubic on whole clips, for every combination of steps and sampler.

    python benchmarks/evaluate.py --model seeclear-tiny --clips CLIP_FOLDER VIDEO ... --steps 1 2 4
    python benchmarks/evaluate.py --model seeclear-tiny --split reference --data_dir DATA --lpips WEIGHTS

A clip is a video or a folder of frames. Its original frames are cut to a multiple of 4, reduced to a quarter by
MATLAB's bicubic, rounded to 8 bits and upscaled again. Prints the means over the clips as a table in markdown.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from seeclear import SeeClearPipeline
from seeclear.data import ValidationClips, reference_validation_paths
from seeclear.metrics.evaluation import BICUBIC, Upscaler, evaluate_clip, markdown_table, mean_over_clips
from seeclear.metrics.perceptual import DISTS, LPIPS
from seeclear.runtime import keep_freed_memory

SETTINGS = ("model", "split", "frames", "steps", "samplers", "noise", "seed", "device", "lpips_stride")
"""The arguments that are written beside the figures."""


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", default="seeclear-tiny", help="name, folder or Hub id of the pipeline")
    add("--clips", nargs="+", type=Path, default=[], help="videos and folders of frames")
    add("--split", choices=["reference"], help="measure the validation clips of the reference data, in --data_dir")
    add("--data_dir", type=Path, help="the folder of the reference data")
    add("--frames", type=int, default=15, help="use the first so many frames of each clip")
    add("--steps", nargs="+", type=int, default=[1, 2, 4], help="numbers of denoising steps")
    add("--samplers", nargs="+", default=["resshift", "ddim", "markov"], help="for more than one step")
    add("--noise", default="clip", choices=["video", "clip", "frame"], help="how far a draw of noise reaches")
    add("--seed", type=int, default=0)
    add("--device", default="cpu")
    add("--lpips", type=Path, help="the weights of LPIPS-VGG, a file or its folder")
    add("--dists", type=Path, help="the folder of the weights of DISTS")
    add("--lpips_stride", "--lpips-stride", type=int, default=5, help="LPIPS and DISTS of every so many frames")
    add("--output", type=Path, help="write all figures, clip by clip, to this JSON file")
    add(
        "--save_frames",
        type=Path,
        help="write pictures 'bicubic | ours | original' of the middle frames to this folder",
    )
    args = parser.parse_args(arguments)
    if (args.split is None) != (args.data_dir is None):
        parser.error("--split and --data_dir need each other")
    if not args.clips and args.split is None:
        parser.error("give --clips, or --split with --data_dir")
    if args.frames < 2:
        parser.error("--frames must be at least 2")
    return args


def make_upscaler(pipe: SeeClearPipeline, steps: int, sampler: str, noise: str, seed: int) -> Upscaler:
    """The pipeline with these settings, started anew with the same seed for every clip."""

    def upscale(frames: Tensor) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(seed)
        return pipe.stream(frames, num_inference_steps=steps, sampler=sampler, noise=noise, generator=generator)

    return upscale


def make_upscalers(pipe: SeeClearPipeline, args: argparse.Namespace) -> dict[str, Upscaler]:
    """Every number of steps with every sampler; with one step the samplers are the same, so that is measured once."""
    upscalers = {}
    for steps in dict.fromkeys(args.steps):
        for sampler in args.samplers[:1] if steps == 1 else args.samplers:
            name = "1 step" if steps == 1 else f"{steps} steps, {sampler}"
            upscalers[name] = make_upscaler(pipe, steps, sampler, args.noise, args.seed)
    return upscalers


def picture_writer(folder: Path, clip_name: str, ground_truth: Tensor) -> Callable[[str, str, Tensor], None]:
    """Writes the middle frame of each output beside bicubic's and the original's, a square of at most 480 pixels."""
    middle = len(ground_truth) // 2
    size = min(480, *ground_truth.shape[2:])
    top, left = ((n - size) // 2 for n in ground_truth.shape[2:])
    shown: dict[str, Tensor] = {}

    def crop(frames: Tensor) -> Tensor:
        return frames[middle, :, top : top + size, left : left + size]

    def write(_: str, name: str, frames: Tensor) -> None:
        shown[name] = crop(frames)
        if name != BICUBIC:
            picture = torch.cat([shown[BICUBIC], shown[name], crop(ground_truth)], dim=2)
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{clip_name}_{name.replace(', ', '_').replace(' ', '_')}.png"
            Image.fromarray(np.ascontiguousarray(picture.permute(1, 2, 0).numpy())).save(path)

    return write


def main(arguments: list[str] | None = None) -> None:
    args = parse_arguments(arguments)
    if args.device == "cpu":
        keep_freed_memory()
    paths = args.clips + (reference_validation_paths(args.data_dir) if args.split else [])
    clips = ValidationClips(paths, max_frames=args.frames)
    lpips = None if args.lpips is None else LPIPS(args.lpips).to(args.device)
    dists = None if args.dists is None else DISTS(args.dists).to(args.device)
    pipe = SeeClearPipeline.from_pretrained(args.model).to(args.device)
    pipe.set_progress_bar_config(disable=True)
    upscalers = make_upscalers(pipe, args)

    results = []
    for clip in clips:
        writer = None
        if args.save_frames is not None:
            writer = picture_writer(args.save_frames, clip["name"], clip["ground_truth"])
        result = evaluate_clip(clip, upscalers, lpips, dists, args.lpips_stride, writer)
        results.append(result)
        print(f"\n{result.name}, {result.frames} frames\n\n{markdown_table(result.measurements)}", flush=True)
    means = mean_over_clips(results)
    print(f"\nMean over the clips\n\n{markdown_table(means)}")

    if args.output is not None:
        figures = {
            "settings": {name: value for name, value in vars(args).items() if name in SETTINGS},
            "mean": {name: asdict(measurement) for name, measurement in means.items()},
            "clips": [asdict(result) for result in results],
        }
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
