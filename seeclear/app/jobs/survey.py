# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""A first pass over the LR frames: their number, times, scenes and grain, and whether all of them can be read.

It takes little beside the work that follows, and it shows a damaged file before that work and not after days of it.
The scenes are the pieces that processes can share, and parts are cut at fixed frames in them, so that the bytes do not
depend on who did what and how often the work was interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seeclear.files import write_json
from seeclear.video.grain import GrainMeter

# Frames of a part: about two seconds between key frames, and a few gigabytes of finished frames at 3840x2160.
PART_LENGTH = 60


@dataclass(frozen=True)
class Scene:
    """Frames `start` to `stop` - 1 of a video, between two cuts."""

    start: int
    stop: int

    def parts(self) -> list[tuple[int, int]]:
        """(first frame, last frame + 1) of the parts of the output that the scene is encoded in."""
        starts = range(self.start, self.stop, PART_LENGTH)
        return [(start, min(start + PART_LENGTH, self.stop)) for start in starts]


@dataclass(frozen=True)
class Survey:
    """What the first pass found.

    Attributes:
        times: (time stamp, duration) of every frame, in units of the video's time base.
        cuts: the first frame of every scene; the first one is 0.
        grain: its strength in grey levels; 0 where there is none, or where nobody asked for it.
    """

    times: list[tuple[int, int]]
    cuts: list[int]
    grain: float = 0.0

    @property
    def num_frames(self) -> int:
        return len(self.times)

    @property
    def scenes(self) -> list[Scene]:
        stops = [*self.cuts[1:], self.num_frames]
        return [Scene(start, stop) for start, stop in zip(self.cuts, stops, strict=True)]

    def save(self, path: Path) -> None:
        """Writes it as JSON."""
        write_json(path, {"times": self.times, "cuts": self.cuts, "grain": self.grain})

    @classmethod
    def load(cls, path: Path) -> Survey:
        """Reads what `save` wrote."""
        content = json.loads(path.read_text(encoding="utf-8"))
        times = [(time, duration) for time, duration in content["times"]]
        return cls(times, content["cuts"], content.get("grain", 0.0))  # jobs begun before knew of no grain


def take_survey(
    frames: Iterable[Any],
    begins_scene: Callable[[Tensor], bool] | None,
    report: Callable[[], object],
    meter: GrainMeter | None = None,
) -> Survey:
    """Reads a video once.

    Args:
        frames: of `VideoReader.frames`.
        begins_scene: a `SceneDetector`; None takes the whole video for one scene.
        report: called after each frame.
        meter: measures the grain; None where none is to be kept.

    Raises:
        ValueError: there are no frames, or one cannot be read.
    """
    times: list[tuple[int, int]] = []
    cuts = [0]
    for index, frame in enumerate(frames):
        if begins_scene is not None and begins_scene(to_tensor(frame.rgb)) and index:
            cuts.append(index)
        if meter is not None:
            meter.add(to_tensor(frame.rgb))
        times.append((frame.pts, frame.duration))
        report()
    if not times:
        raise ValueError("the video has no frames.")
    return Survey(times, cuts, 0.0 if meter is None else meter.strength())


def to_tensor(rgb: np.ndarray) -> Tensor:
    """(H, W, 3) uint8, uint16 or float in [0, 1] -> (3, H, W) float32 in [0, 1]."""
    if rgb.dtype != np.float32:
        rgb = rgb.astype(np.float32) / np.float32(np.iinfo(rgb.dtype).max)
    return torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))
