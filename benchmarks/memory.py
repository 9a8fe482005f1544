# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Peak memory of `seeclear.upscale_video` on the CPU for videos of several lengths, each in a process of its own.

python benchmarks/memory.py --frames 60 600 --height 180 --width 320
python benchmarks/memory.py --frames 13 --height 1080 --width 1920 --memory 6GB --every 30
python benchmarks/memory.py --frames 60 600 --height 24 --width 32 --untrained

The whole job is measured, from the first frame that is read to the finished file. `--every 30` saves time: the
condenser sees every 30th tile only, in turn over all clips, and the others become bicubic frames. All tiles take the
same memory, and the rest of the job runs as always. `--untrained` takes small networks with random weights: their
results are worthless and their memory is not that of the shipped model, but whether it grows with the video shows too.
"""

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

SMALL_CONDENSER = {"channels": (16, 16, 32), "head_dim": 8, "window_size": 4, "self_attention": (False, True, True)}


def write_video(path: Path, num_frames: int, height: int, width: int) -> None:
    """A picture of noise that moves, cut never."""
    picture = np.random.default_rng(0).integers(0, 256, (height + 16, width + 16, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25), options={"preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for index in range(num_frames):
            shift = index % 16
            pixels = np.ascontiguousarray(picture[shift : shift + height, shift : shift + width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))


def save_untrained(folder: Path) -> None:
    """A pipeline of small networks with random weights."""
    from seeclear import BlurringResShiftScheduler, PixelCondenser, SeeClearPipeline
    from seeclear.pipelines.presets import build_components

    distiller = build_components("tiny")["semantic_distiller"]
    SeeClearPipeline(PixelCondenser(**SMALL_CONDENSER), distiller, BlurringResShiftScheduler()).save_pretrained(folder)


def restore_few_tiles(every: int) -> None:
    """From now on the condenser of SeeClear sees one tile in `every` only."""
    from seeclear import SeeClearPipeline

    tiles = itertools.count()
    denoise = SeeClearPipeline.denoise

    def denoise_some(self: Any, latents: Any, low_res: Any, context: Any, *others: Any) -> Any:
        if next(tiles) % every == 0:
            return denoise(self, latents, low_res, context, *others)
        clip = context.clip  # of whose frames the condenser sees more than it restores
        return low_res.narrow(1, clip.first_frame, clip.num_frames)

    SeeClearPipeline.denoise = denoise_some


def measure(path_in: str, path_out: str, settings: dict[str, str | int | None], every: int) -> None:
    """Upscales, and prints megabytes of this process before and at the peak, the estimate, and seconds."""
    from seeclear.app.jobs import job
    from seeclear.app.upscale import upscale_video
    from seeclear.pipelines.memory import estimate_peak_bytes

    estimates = []
    make_plan = job.make_plan

    def estimated_plan(source: Any, path: Any, asked: Any, model: Any) -> Any:
        plan = make_plan(source, path, asked, model)
        length, overlap = plan.settings.clips(model.pipe.config.clip_length, model.pipe.config.clip_overlap)
        size, tile = (source.height, source.width), plan.settings.tile
        estimates.append(estimate_peak_bytes(model.pipe, *size, length, tile, model.dtype, overlap))
        return plan

    job.make_plan = estimated_plan
    if every > 1:
        restore_few_tiles(every)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    upscale_video(path_in, path_out, device="cpu", progress=False, **settings)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 2**20 if sys.platform == "darwin" else 2**10
    print(json.dumps([before / unit, peak / unit, estimates[0] / 2**20, time.perf_counter() - start]))


def main() -> None:
    """Measures one length after the other, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[60, 600])
    parser.add_argument("--height", type=int, default=180, help="of the low-resolution frames, even")
    parser.add_argument("--width", type=int, default=320, help="of the low-resolution frames, even")
    parser.add_argument("--model", default="seeclear-tiny", help="a shipped model or a folder")
    parser.add_argument("--untrained", action="store_true", help="small networks with random weights instead")
    parser.add_argument("--memory", default="auto", help="choose the tile that fits into this, such as 4GB")
    parser.add_argument("--tile", type=int, help="instead: side of a tile in input pixels; 0: whole frames")
    parser.add_argument("--clip_length", type=int, help="frames of a clip; the pipeline's unless given")
    parser.add_argument("--every", type=int, default=1, help="let the condenser see one tile in so many, for speed")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure is not None:
        measure(args.measure[0], args.measure[1], json.loads(args.measure[2]), args.every)
        return
    with tempfile.TemporaryDirectory() as folder:
        model = args.model
        if args.untrained:
            model = f"{folder}/model"
            save_untrained(Path(model))
        cut = {"memory": args.memory} if args.tile is None else {"tile": args.tile or None, "memory": None}
        settings = json.dumps({"model": model, "dtype": args.dtype, "clip_length": args.clip_length, **cut})
        print("| frames | MB before | peak MB | peak over that of the first row | estimated MB | over the peak | s |")
        print("|---|---|---|---|---|---|---|")
        first = 0.0
        for frames in args.frames:
            path_in, path_out = Path(folder) / f"{frames}.mp4", Path(folder) / f"{frames}_x4.mp4"
            write_video(path_in, frames, args.height, args.width)
            command = [sys.executable, __file__, "--measure", str(path_in), str(path_out), settings]
            command += ["--every", str(args.every)]
            before, peak, estimate, seconds = json.loads(subprocess.check_output(command, text=True).splitlines()[-1])
            first = first or peak
            growth, error = 100 * peak / first - 100, 100 * estimate / peak - 100
            row = (f"{before:.0f}", f"{peak:.0f}", f"{growth:+.1f} %", f"{estimate:.0f}", f"{error:+.0f} %")
            print(f"| {frames} | {' | '.join(row)} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
