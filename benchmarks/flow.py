# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""How well ways to estimate motion from LR frames bring the next HR frame to where it is in the frame.

    python benchmarks/flow.py CLIPS --frames 10

CLIPS are folders of clips, or clips, as `seeclear evaluate` takes them; LR is made by MATLAB's bicubic. Flow is found
on LR frames alone, enlarged by bilinear interpolation, and the next HR frame moved along it: the figure is its mean
absolute difference from the frame, in grey levels, and what is new in the frame is part of it. The last row is what
networks with `motion_compensation` use. Choose settings on clips that are trained on, not on those of validation.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor

from seeclear.data import ValidationClips
from seeclear.data.benchmark import find_clips
from seeclear.metrics.evaluation import aligned_table
from seeclear.models.moving_objects import lucas_kanade_flow
from seeclear.models.optical_flow import clip_flow, warp
from seeclear.resize import imresize


def unmoved(frames: Tensor) -> Tensor:
    """No motion: LR frames (F, 3, h, w) in [-1, 1] -> flow (F - 1, 2, h, w) from every frame to the next one."""
    return frames.new_zeros(len(frames) - 1, 2, *frames.shape[-2:])


def lucas_kanade(frames: Tensor) -> Tensor:
    """As [`unmoved`], by the method that the segmenter's maps of motion use."""
    grey = frames.mean(dim=1, keepdim=True) / 2 + 0.5
    return lucas_kanade_flow(grey[:-1], grey[1:])


def medium_preset(frames: Tensor, scale: int) -> Tensor:
    """As [`unmoved`], by DIS as OpenCV has it, on frames `scale` times as large."""
    grey = frames.mean(dim=1, keepdim=True)
    pictures = (imresize(grey, scale=scale)[:, 0] * 127.5 + 127.5).round().clamp(0, 255).byte().numpy()
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flows = [torch.from_numpy(search.calc(a, b, None)) for a, b in zip(pictures[:-1], pictures[1:], strict=True)]
    return F.avg_pool2d(torch.stack(flows).permute(0, 3, 1, 2), scale) / scale


WAYS: dict[str, Callable[[Tensor], Tensor]] = {
    "not moved": unmoved,
    "Lucas and Kanade": lucas_kanade,
    "DIS, medium preset": lambda frames: medium_preset(frames, 1),
    "DIS, medium preset, at twice the size": lambda frames: medium_preset(frames, 2),
    "DIS, medium preset, at four times the size": lambda frames: medium_preset(frames, 4),
    "clip_flow": lambda frames: clip_flow(frames[None])[0, 0],
}


def differences(clips: ValidationClips) -> dict[str, tuple[float, float]]:
    """For each way the mean difference over the clips, in grey levels, and the milliseconds it takes for a flow."""
    sums = {name: [0.0, 0.0] for name in WAYS}
    for number, clip in enumerate(clips):
        sys.stderr.write(f"clip {number + 1} of {len(clips)}\n")
        low_res, original = clip["low_res"].float() / 127.5 - 1, clip["ground_truth"].float()
        size = (original.shape[-2], original.shape[-1])
        for name, way in WAYS.items():
            start = time.perf_counter()
            flow = way(low_res)
            seconds = time.perf_counter() - start
            larger = F.interpolate(flow, size=size, mode="bilinear", align_corners=False)
            moved = warp(original[1:], larger * (size[1] / flow.shape[-1]))
            sums[name][0] += float((moved - original[:-1]).abs().mean()) / len(clips)
            sums[name][1] += 1000 * seconds / len(flow) / len(clips)
    return {name: (difference, milliseconds) for name, (difference, milliseconds) in sums.items()}


def main(argv: Sequence[str] | None = None) -> None:
    """Measures, and prints a row for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", help="folders of clips, or clips")
    parser.add_argument("--frames", type=int, default=10, help="the first so many frames of each clip, at least two")
    args = parser.parse_args(argv)
    if args.frames < 2:
        parser.error(f"--frames is {args.frames}; motion takes at least 2")
    measured = differences(ValidationClips([clip.path for clip in find_clips(args.clips)], args.frames))
    rows = [["", "difference, grey levels", "ms a flow"]]
    rows += [[name, f"{difference:.2f}", f"{ms:.0f}"] for name, (difference, ms) in measured.items()]
    print(aligned_table(rows))


if __name__ == "__main__":
    main()
