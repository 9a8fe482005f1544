# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""A pipeline that is fast and exact, and small videos for it; also for processes that a test starts."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from diffusers.configuration_utils import FrozenDict
from torch import Tensor

from seeclear.pipelines.settings import RestorationSettings
from seeclear.pipelines.streaming import Clip, ClipStream, FinishedFrames, Layout, StreamState
from seeclear.pipelines.tiles import Tile, crop_tile

SAMPLERS = (None, "markov", "resshift", "ddim")


@dataclass
class NearestRestorer:
    """Every pixel four times in each direction; with `carry`, mixed with the mean of all clips of the scene before."""

    carry: float = 0.0
    scale: int = 4
    clip_length: int = 5
    clip_overlap: int = 0
    reach: int = 0
    multiple_of: int = 1
    alignment: int = 1

    def begin_clip(self, clip: Clip) -> Clip:
        return clip

    def restore_tile(self, clip: Clip, tile: Tile) -> Tensor:
        frames = crop_tile(clip.frames, tile)
        mean = clip.carried.get("mean", torch.full((), 0.5))
        frames = (1 - self.carry) * frames + self.carry * mean
        return frames.repeat_interleave(self.scale, dim=-1).repeat_interleave(self.scale, dim=-2)

    def end_clip(self, clip: Clip) -> dict[str, Tensor]:
        mean = clip.carried.get("mean", torch.full((), 0.5))
        return {"mean": 0.5 * mean + 0.5 * clip.frames.mean()} if self.carry else {}


class Nearest:
    """Stands in for a pipeline, with the checks of its settings and the real streaming core."""

    def __init__(self, carry: float = 0.0) -> None:
        self.calls: list[dict[str, Any]] = []
        self.components = {"pixel_condenser": torch.nn.Linear(3, 4), "scheduler": object()}
        torch.nn.init.constant_(self.components["pixel_condenser"].weight, carry)
        torch.nn.init.zeros_(self.components["pixel_condenser"].bias)
        self.config = FrozenDict({"clip_length": 5, "clip_overlap": 0})
        self.scale = 4
        self.restorer = NearestRestorer(carry)

    def stream_clips(
        self, frames: Iterable[Tensor], settings: RestorationSettings, state: StreamState | None = None
    ) -> Iterator[FinishedFrames]:
        steps = settings.num_inference_steps
        if steps is not None and not 1 <= steps <= 15:
            raise ValueError(f"`num_inference_steps` must be from 1 to 15, but was {steps}.")
        if settings.sampler not in SAMPLERS:
            raise ValueError(f"`sampler` must be one of {SAMPLERS}, but was {settings.sampler!r}.")
        settings.clips(5)
        self.calls.append(asdict(settings))
        return self._restore(frames, settings, state)

    def _restore(
        self, frames: Iterable[Tensor], settings: RestorationSettings, state: StreamState | None
    ) -> Iterator[FinishedFrames]:
        model = self.restorer
        sizes = (model.scale, model.clip_length, model.clip_overlap, model.reach, model.multiple_of, model.alignment)
        stream = ClipStream((frame[None] for frame in frames), Layout(*sizes), settings, state)
        for clip in stream:
            context = model.begin_clip(clip)
            for tile in clip.tiles():
                clip.paste(tile, model.restore_tile(context, tile))
            finished = stream.finish(clip, model.end_clip(context))
            yield replace(finished, frames=finished.frames[0])


def moving_gradients(num_frames: int, height: int = 24, width: int = 32, first: int = 0) -> np.ndarray:
    """uint8 (F, H, W, 3): brightness goes to the right, colour downwards."""
    f, y, x = np.mgrid[first : first + num_frames, :height, :width]
    bright = 3 * x + 3 * f
    return np.stack([bright + 3 * y, bright + 90 - 2 * y, bright + 40], axis=-1).clip(0, 255).astype(np.uint8)


def scenes(*lengths: int, height: int = 24, width: int = 32) -> np.ndarray:
    """uint8 (F, H, W, 3): gradients, dark and bright in turn, so that there is a cut after each length."""
    parts = [moving_gradients(length, height, width, first=3 * index) for index, length in enumerate(lengths)]
    return np.concatenate([part // 4 if index % 2 else 255 - part // 4 for index, part in enumerate(parts)])


def write_video(
    path: Path,
    frames: np.ndarray | None = None,
    fps: Fraction = Fraction(30000, 1001),
    sound: bool = True,
    crf: int = 8,
) -> Path:
    """A video of `frames` (6 moving gradients of 32x24), with AAC sound; clean with the default `crf`."""
    frames = moving_gradients(6) if frames is None else frames
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=fps, options={"crf": str(crf), "threads": "1"})
        video.height, video.width = frames.shape[1:3]
        video.pix_fmt = "yuv444p" if video.height % 2 or video.width % 2 else "yuv420p"
        voice = container.add_stream("aac", rate=48000, layout="mono") if sound else None
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, 1 / fps
            container.mux(video.encode(frame))
            if voice is not None:
                tone = (0.3 * np.sin(np.arange(1024) / 9)).astype(np.float32)[None]
                block = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
                block.sample_rate, block.pts, block.time_base = 48000, 1024 * index, Fraction(1, 48000)
                container.mux(voice.encode(block))
        container.mux(video.encode(None))
        if voice is not None:
            container.mux(voice.encode(None))
    return path
