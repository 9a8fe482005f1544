# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Whether frames at the ends of clips are restored as well, and as steadily, as those in the middle.

    python benchmarks/clip_ends.py CLIPS --model seeclear-tiny --frames 20

Every video is restored once for each place at which a frame can lie in a clip, with the cuts into clips moved by one
frame each time, so that the same frames are measured at all places. Frames of the first and of the last clip of each
run are left out: there the video itself ends. For each place: PSNR (Y) of its frames, and the frame-difference error
of their step to the next frame, which for the last place leads to another clip. CLIPS are folders of clips, or clips,
as `seeclear evaluate` takes them; LR is made by MATLAB's bicubic.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from seeclear.app.evaluate import load_model
from seeclear.data import ValidationClips
from seeclear.data.benchmark import find_clips
from seeclear.metrics import frame_difference_error, psnr
from seeclear.metrics.evaluation import aligned_table
from seeclear.pipelines import SeeClearPipeline, SemanticLensPipeline
from seeclear.resize import to_uint8
from seeclear.runtime import keep_freed_memory


def measured_frames(num_frames: int, clip_length: int) -> range:
    """The frames of a video that lie in a clip with clips before and after it, however the cuts are moved."""
    return range(2 * clip_length - 1, num_frames - 2 * clip_length + 1)


@torch.no_grad()
def by_place(pipe: SeeClearPipeline | SemanticLensPipeline, low_res: Tensor, original: Tensor) -> Tensor:
    """PSNR in dB and frame-difference error in grey levels for each place in a clip, (2, F), means over the frames.

    Args:
        pipe: whose clips of F frames do not overlap.
        low_res: uint8 (N, 3, H, W).
        original: uint8 (N, 3, sH, sW).
    """
    length = pipe.config.clip_length
    frames = measured_frames(len(low_res), length)
    found: list[list[tuple[float, float]]] = [[] for _ in range(length)]
    for offset in range(length):
        sys.stderr.write(f"cuts moved by {offset}\n")
        options = {} if isinstance(pipe, SemanticLensPipeline) else {"generator": torch.Generator().manual_seed(0)}
        restored = pipe(low_res[offset:].float() / 255, clip_overlap=0, output_type="pt", **options).frames[0]
        restored = to_uint8(restored).cpu()
        for t in frames:
            pair, truth = restored[t - offset : t - offset + 2], original[t : t + 2]
            figures = float(psnr(pair[0], truth[0])), float(frame_difference_error(pair, truth))
            found[(t - offset) % length].append(figures)
    return torch.tensor([[sum(values) / len(values) for values in zip(*place, strict=True)] for place in found]).T


def main(argv: Sequence[str] | None = None) -> None:
    """Measures, and prints a row for each place, against the mean of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", help="folders of clips, or clips")
    parser.add_argument("--model", default="seeclear-tiny", help="a shipped model, a folder or a Hub id")
    parser.add_argument("--frames", type=int, help="use the first so many frames of each clip")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args(argv)

    keep_freed_memory()
    pipe, _ = load_model(args.model, torch.device("cpu"), torch.float32)
    pipe.set_progress_bar_config(disable=True)
    clips = ValidationClips([clip.path for clip in find_clips(args.clips)], args.frames)
    length, places = pipe.config.clip_length, []
    for number, clip in enumerate(clips):
        sys.stderr.write(f"clip {number + 1} of {len(clips)}\n")
        if not measured_frames(len(clip["low_res"]), length):
            parser.error(f"clips must have at least {4 * length - 1} frames, and one has {len(clip['low_res'])}")
        places.append(by_place(pipe, clip["low_res"], clip["ground_truth"]))
    figures = torch.stack(places).mean(dim=0)
    means = figures.mean(dim=1, keepdim=True)
    against = figures - means
    rows = [["place in the clip", "PSNR-Y, dB", "against the mean", "frame-difference error", "against the mean"]]
    for place in range(length):
        rows.append(
            [
                f"{place + 1} of {length}",
                f"{float(figures[0, place]):.3f}",
                f"{float(against[0, place]):+.3f}",
                f"{float(figures[1, place]):.3f}",
                f"{100 * float(against[1, place] / means[1]):+.2f} %",
            ]
        )
    print(aligned_table(rows))
    if args.json is not None:
        report = {"model": args.model, "psnr": figures[0].tolist(), "frame-difference": figures[1].tolist()}
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
