# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Averages the weights of trainings that go on from one start: often better than each of them, at no cost in use.

    python examples/average_weights.py first:0.6 second:0.4 --output_dir average

`first` and `second` are folders of saved pipelines or networks of the same kind. All their weights are averaged in
float64 and saved in the first one's dtype; configurations and model card are the first one's.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from seeclear.training.loop import one_line_errors

LEFT_OUT = ("checkpoint-*", ".partial-*", "logs", "validation", "*.jsonl", "run.json")
"""What a training leaves beside the weights."""


def average(parts: Sequence[tuple[dict[str, Tensor], float]]) -> dict[str, Tensor]:
    """The weighted sum of tensors of the same names and shapes; whole numbers are the first one's.

    Raises:
        ValueError: names or shapes differ.
    """
    first = parts[0][0]
    for other, _ in parts[1:]:
        shapes = [{name: value.shape for name, value in tensors.items()} for tensors in (first, other)]
        differs = sorted(name for name, _ in shapes[0].items() ^ shapes[1].items())
        if differs:
            raise ValueError(f"{differs[0]!r} is not the same in all folders")
    result = {}
    for name, value in first.items():
        if value.is_floating_point():
            total = torch.stack([weight * tensors[name].double() for tensors, weight in parts]).sum(dim=0)
            result[name] = total.to(value.dtype).contiguous()
        else:
            result[name] = value
    return result


def average_folders(parts: Sequence[tuple[Path, float]], output_dir: Path) -> None:
    """Averages all safetensors files of saved pipelines or networks into a new folder.

    Raises:
        ValueError: the weights' sum is not 1, a folder is missing or has no weights, or networks differ.
        FileExistsError: `output_dir` is there already.
    """
    if abs(sum(weight for _, weight in parts) - 1) > 1e-6:
        raise ValueError(f"the weights are {[weight for _, weight in parts]}; their sum must be 1")
    first = parts[0][0]
    if output_dir.exists():
        raise FileExistsError(f"{str(output_dir)!r} is there already")
    ignore = shutil.ignore_patterns(*LEFT_OUT)
    left_out = ignore(str(first), [path.name for path in first.iterdir()]) if first.is_dir() else set()
    files = [path.relative_to(first) for path in sorted(first.rglob("*.safetensors"))]
    files = [file for file in files if file.parts[0] not in left_out]
    if not files:
        raise ValueError(f"{str(first)!r} is no folder with weights")
    missing = [folder / file for folder, _ in parts for file in files if not (folder / file).is_file()]
    if missing:
        raise ValueError(f"{str(missing[0])!r} is missing: all folders must hold the same networks")
    averages = {file: average([(load_file(folder / file), weight) for folder, weight in parts]) for file in files}
    shutil.copytree(first, output_dir, ignore=ignore)
    for file, tensors in averages.items():
        save_file(tensors, output_dir / file, metadata={"format": "pt"})


def parse_part(text: str) -> tuple[Path, float]:
    """`folder:0.6` -> the folder and its weight."""
    folder, _, weight = text.rpartition(":")
    try:
        return Path(folder), float(weight)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not FOLDER:WEIGHT") from error


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", type=parse_part, metavar="FOLDER:WEIGHT", help="what is averaged")
    parser.add_argument("--output_dir", type=Path, required=True, help="a new folder")
    args = parser.parse_args(argv)
    average_folders(args.parts, args.output_dir)


if __name__ == "__main__":
    with one_line_errors():
        main()
