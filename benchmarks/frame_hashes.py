# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Whether the shipped models still give the frames that they gave: 12 frames of the demo clip, float32, one thread.

    python benchmarks/frame_hashes.py docs/figures/frame_hashes.json           # compares; exit code 1 if they differ
    python benchmarks/frame_hashes.py docs/figures/frame_hashes.json --write   # writes them anew

Bits depend on the processor and on torch, so hashes are compared on a machine of the kind that wrote them; the means
of 4 x 4 fields of every frame beside them hold everywhere, to some millionths (`tests/test_frame_hashes.py`).
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from seeclear import load_pipeline
from seeclear.shipped import shipped_models
from seeclear.video.reader import VideoReader

CLIP = Path(__file__).parent.parent / "examples/assets/bunny_lr.mp4"
FRAMES, FIRST = 12, 20
WAYS: dict[str, dict[str, Any]] = {
    "whole": {"height": 48, "width": 64},
    "tiles": {"height": 48, "width": 64, "tile": 32, "tile_overlap": 8},
    "steps": {"height": 32, "width": 32, "num_inference_steps": 2, "sampler": "resshift"},
}
"""What part of the frames is upscaled, and with which settings; steps are for models that sample."""


def restore(model: str, height: int, width: int, **settings: Any) -> np.ndarray:
    """12 frames (12, 3, 4 height, 4 width) of the middle of the clip, float32."""
    with VideoReader(CLIP) as reader:
        frames = [frame.rgb for frame in itertools.islice(reader.frames(), FIRST, FIRST + FRAMES)]
    top, left = (frames[0].shape[0] - height) // 2, (frames[0].shape[1] - width) // 2
    video = np.stack([frame[top : top + height, left : left + width] for frame in frames])
    pipe = load_pipeline(model, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    if hasattr(pipe, "scheduler"):
        settings["generator"] = torch.Generator().manual_seed(0)
    return pipe(video, output_type="pt", **settings).frames[0].numpy()


def describe(frames: np.ndarray) -> dict[str, Any]:
    """SHA-256 of the bytes, and the means of 4 x 4 fields of every frame, row by row."""
    fields = F.adaptive_avg_pool2d(torch.from_numpy(frames).double().mean(dim=1), 4).flatten(1)
    return {
        "sha256": hashlib.sha256(frames.tobytes()).hexdigest(),
        "fields": [[round(v, 6) for v in f] for f in fields.tolist()],
    }


def all_frames() -> dict[str, Any]:
    """Of every model in every way that it knows."""
    torch.set_num_threads(1)
    found = {}
    for model in shipped_models():
        for way, settings in WAYS.items():
            if way != "steps" or not model.startswith("semantic-lens"):
                found[f"{model} {way}"] = describe(restore(model, **settings))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    found = {"cpu": torch.backends.cpu.get_cpu_capability(), "torch": torch.__version__, "frames": all_frames()}
    if arguments.write:
        arguments.path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        return
    known = json.loads(arguments.path.read_text(encoding="utf-8"))["frames"]
    same = known.keys() == found["frames"].keys()
    for name, frames in found["frames"].items():
        if name not in known:
            print(f"{name:<28} not in the file")
            continue
        equal = known[name]["sha256"] == frames["sha256"]
        difference = np.abs(np.subtract(known[name]["fields"], frames["fields"])).max()
        print(f"{name:<28} {'same bits' if equal else 'other bits'}, fields differ by at most {difference:.6f}")
        same = same and equal
    if not same:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
