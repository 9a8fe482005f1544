# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Whether a Semantic Lens made of a checkpoint of BasicVSR gives BasicVSR's frames.

    python benchmarks/basicvsr.py BasicVSR_Vimeo90K_BIx4.pth DATA/clip --frames 3

Frames of the clip are made smaller by MATLAB's bicubic and enlarged twice: by `SemanticLens.from_basicvsr`, and by
another reading of the checkpoint, below, which shares no code with the package: functions of the weights alone, plain
and slow. The lens is to give the same frames within 1e-4, grey levels being from 0 to 1; else the exit code is 1. It
has the semantic modules, too, which begin as identities, and random semantics.
"""

import argparse
import sys
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from seeclear import SemanticLens
from seeclear.data.benchmark import find_clips
from seeclear.resize import imresize, to_uint8

TOLERANCE = 1e-4

Weights = dict[str, Tensor]


def convolve(weights: Weights, name: str, maps: Tensor) -> Tensor:
    """A convolution whose output is as large as its input."""
    weight = weights[f"{name}.weight"]
    return F.conv2d(maps, weight, weights[f"{name}.bias"], padding=weight.shape[-1] // 2)


def move(maps: Tensor, flow: Tensor, beyond: str) -> Tensor:
    """Maps (1, C, h, w) at every place plus the flow (1, 2, h, w) there; corners are places -1 and 1."""
    height, width = maps.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack(
        [2 * (x + flow[0, 0]) / max(width - 1, 1) - 1, 2 * (y + flow[0, 1]) / max(height - 1, 1) - 1], dim=-1
    )
    return F.grid_sample(maps, places[None], mode="bilinear", padding_mode=beyond, align_corners=True)


def spynet(weights: Weights, reference: Tensor, support: Tensor) -> Tensor:
    """The flow (1, 2, h, w) from one frame (1, 3, h, w) in [0, 1] to another."""
    height, width = reference.shape[-2:]
    rows, columns = (height + 31) // 32 * 32, (width + 31) // 32 * 32
    mean, deviation = weights["spynet.mean"], weights["spynet.std"]

    def pyramid(frame: Tensor) -> list[Tensor]:
        frame = F.interpolate((frame - mean) / deviation, (rows, columns), mode="bilinear", align_corners=False)
        sizes = [frame]
        for _ in range(5):
            sizes.insert(0, F.avg_pool2d(sizes[0], kernel_size=2, stride=2))
        return sizes

    flow = torch.zeros(1, 2, rows // 64, columns // 64)
    for level, (one, other) in enumerate(zip(pyramid(reference), pyramid(support), strict=True)):
        if flow.numel() > 0:
            flow = F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=True) * 2
        missing = (one.shape[-1] - flow.shape[-1], one.shape[-2] - flow.shape[-2])
        if flow.numel() > 0:
            flow = F.pad(flow, (0, missing[0], 0, missing[1]), mode="replicate")
        else:
            flow = torch.zeros(1, 2, *one.shape[-2:])
        found = torch.cat([one, move(other, flow, "border"), flow], dim=1)
        for layer in (0, 2, 4, 6, 8):
            found = convolve(weights, f"spynet.basic_module.{level}.basic_module.{layer}", found)
            if layer < 8:
                found = F.relu(found)
        flow = flow + found
    flow = F.interpolate(flow, (height, width), mode="bilinear", align_corners=False)
    return torch.stack([flow[:, 0] * (width / columns), flow[:, 1] * (height / rows)], dim=1)


def trunk(weights: Weights, name: str, frame: Tensor, state: Tensor) -> Tensor:
    """A step of a branch: frame (1, 3, h, w) and what was carried to it (1, C, h, w) -> (1, C, h, w)."""
    maps = F.leaky_relu(convolve(weights, f"{name}.main.0", torch.cat([frame, state], dim=1)), 0.1)
    block = 0
    while f"{name}.main.2.{block}.conv1.weight" in weights:
        inner = F.relu(convolve(weights, f"{name}.main.2.{block}.conv1", maps))
        maps = maps + convolve(weights, f"{name}.main.2.{block}.conv2", inner)
        block += 1
    return maps


def basicvsr(weights: Weights, frames: Tensor) -> Tensor:
    """LR frames (F, 3, h, w) in [0, 1] -> HR frames (F, 3, 4h, 4w)."""
    count, _, height, width = frames.shape
    made: dict[str, dict[int, Tensor]] = {"backward_trunk": {}, "forward_trunk": {}}
    for name, order, before in (
        ("backward_trunk", range(count - 1, -1, -1), 1),
        ("forward_trunk", range(count), -1),
    ):
        state = torch.zeros(1, weights["fusion.weight"].shape[0], height, width)
        for t in order:
            if t != order[0]:
                flow = spynet(weights, frames[t : t + 1], frames[t + before : t + before + 1])
                state = move(state, flow, "zeros")
            state = made[name][t] = trunk(weights, name, frames[t : t + 1], state)
    shown = []
    for t in range(count):
        maps = torch.cat([made["backward_trunk"][t], made["forward_trunk"][t]], dim=1)
        maps = F.leaky_relu(convolve(weights, "fusion", maps), 0.1)
        for name in ("upconv1", "upconv2"):
            maps = F.leaky_relu(F.pixel_shuffle(convolve(weights, name, maps), 2), 0.1)
        maps = convolve(weights, "conv_last", F.leaky_relu(convolve(weights, "conv_hr", maps), 0.1))
        enlarged = F.interpolate(frames[t : t + 1], scale_factor=4, mode="bilinear", align_corners=False)
        shown.append(maps + enlarged)
    return torch.cat(shown)


@torch.no_grad()
def largest_difference(file: str, clip: Tensor) -> float:
    """Of both readings on LR frames (F, 3, h, w) in [0, 1]."""
    lens = SemanticLens.from_basicvsr(file).eval()
    semantics = {
        "features": torch.randn(1, len(clip), lens.config.semantic_feature_dim, 8, 8),
        "clip_tokens": torch.randn(1, 16, lens.config.semantic_token_dim),
    }
    restored = lens(clip[None] * 2 - 1, **semantics).sample[0] / 2 + 0.5
    expected = basicvsr(torch.load(file, weights_only=True)["params"], clip)
    return float((restored - expected).abs().max())


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="the checkpoint")
    parser.add_argument("clip", help="a folder of frames or a video, of any size")
    parser.add_argument("--frames", type=int, default=3, help="the first so many frames of the clip")
    args = parser.parse_args(argv)
    frames = find_clips([args.clip])[0].read(args.frames)
    height, width = (side // 4 * 4 for side in frames.shape[-2:])
    low_res = to_uint8(imresize(frames[..., :height, :width] / 255, scale=1 / 4)) / 255
    difference = largest_difference(args.file, low_res)
    sys.stdout.write(f"largest difference {difference:.1e}, allowed {TOLERANCE:.0e}\n")
    if difference > TOLERANCE:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
