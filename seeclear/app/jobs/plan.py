# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What will be done with one video: sizes, clips, tile, memory; and how long it will take."""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from seeclear.pipelines.memory import choose_clips_and_tile, choose_tile, estimate_peak_bytes, shorter_clips
from seeclear.pipelines.streaming import count_clips
from seeclear.video.codecs import fitted_output
from seeclear.video.excerpt import format_time
from seeclear.video.grain import Grain
from seeclear.video.properties import VideoProperties
from seeclear.video.reader import VideoReader
from seeclear.wording import counted

from .loaded import LoadedModel
from .settings import AUTOMATIC, DEFAULT_MEMORY, LARGE_FRAMES_TILE, UpscaleSettings, output_size, parse_memory
from .survey import to_tensor


@dataclass(frozen=True)
class Plan:
    """The settings of a run, worked out for one video.

    Attributes:
        settings: with the clips and the tile that were chosen.
        properties: of the output.
        decisive: JSON-able, all that changes the output.
    """

    settings: UpscaleSettings
    properties: VideoProperties
    decisive: dict[str, Any]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the stored frames of the output."""
        return self.properties.height, self.properties.width

    @property
    def drop_unsupported(self) -> bool:
        """Whether sound may be left out: nobody looks for it in images."""
        return self.properties.kind != "video"

    def grain(self, strength: float, height: int, width: int) -> Grain | None:
        """What is added to the frames of the output; None for nothing.

        Args:
            strength: of the input's grain in grey levels.
            height, width: of the input's frames.
        """
        scale = math.sqrt(self.properties.height * self.properties.width / (height * width))
        strength *= self.settings.grain
        return Grain(strength, scale, self.settings.seed) if strength else None


def make_plan(source: VideoProperties, path_out: Path, settings: UpscaleSettings, model: LoadedModel) -> Plan:
    """Works out the settings for one video.

    Args:
        source: of the input.
        path_out: of the output; its ending chooses the container.
        settings: of the run.
        model: of the run.

    Raises:
        ValueError: the settings do not go together with each other, the video, the model or the output.
    """
    asked = (settings.width, settings.height)
    if source.rotation % 180 == 90:  # they are of the picture as it is shown
        asked = asked[::-1]
    width, height = output_size(source.width, source.height, settings.scale, *asked, model_scale=model.pipe.scale)
    free = (asked[1] is None, asked[0] is None)
    properties = fitted_output(source, path_out, (height, width), settings, free)
    settings = choose_clips(settings, model.pipe, source.height, source.width)
    for _ in model.pipe.stream_clips((), settings):  # it has nothing to do, but refuses what it cannot
        pass
    decisive = asdict(settings) | {
        "width": properties.width,
        "height": properties.height,
        "fps": str(properties.fps),
        "device": model.device.type,
        "dtype": str(model.dtype).removeprefix("torch."),
    }
    for name in ("model", "scale", "memory"):  # they have come to something above, or to weights
        del decisive[name]
    decisive |= _named_part(settings)
    return Plan(settings, properties, decisive)


def _named_part(settings: UpscaleSettings) -> dict[str, Any]:
    """What decides which frames there are, in one way however it was typed, and settings that outputs of before know
    nothing of; None where nothing was asked for.
    """
    excerpt = settings.excerpt
    return {
        "start": format_time(excerpt.start) if excerpt.start else None,
        "duration": None if excerpt.duration is None else format_time(excerpt.duration),
        "frames": excerpt.frames,
        "deinterlace": settings.deinterlace or None,
        "detail": None if settings.detail == 1 else settings.detail,
        "grain": settings.grain or None,
    }


def choose_clips(settings: UpscaleSettings, pipe: Any, height: int, width: int) -> UpscaleSettings:
    """Settings with the largest tile, and if need be shorter clips, that fit into the memory they allow. Where that is
    "auto", frames that are too large for the default have tiles of `LARGE_FRAMES_TILE` and clips as short as may be.

    Args:
        settings: returned with these, and with no memory to choose from any more.
        pipe: the pipeline.
        height, width: of LR frames.

    Raises:
        ValueError: no tile fits into the memory asked for, or the clips' overlap does not fit their length.
    """
    length, overlap = settings.clips(pipe.config.clip_length, pipe.config.clip_overlap)
    if settings.tile is not None or settings.memory is None:
        return replace(settings, memory=None)
    budget = parse_memory(DEFAULT_MEMORY if settings.memory == AUTOMATIC else settings.memory)
    clips = (settings.clip_length, settings.clip_overlap)
    try:
        if settings.clip_length is None:
            chosen = choose_clips_and_tile(pipe, height, width, budget, settings.clip_overlap)
            clips, tile = (chosen.clip_length, chosen.clip_overlap), chosen.tile
        else:
            tile = choose_tile(pipe, height, width, budget, length, overlap)
    except ValueError as error:
        if settings.memory != AUTOMATIC:
            raise ValueError(f"`memory` is too small: {error}") from error
        tile = LARGE_FRAMES_TILE
        if settings.clip_length is None:
            *_, clips = shorter_clips(pipe, settings.clip_overlap)
    return replace(settings, clip_length=clips[0], clip_overlap=clips[1], tile=tile, memory=None)


@dataclass(frozen=True)
class Forecast:
    """What `seeclear upscale --dry-run` says of a video.

    Attributes:
        path_in, path_out: input and output.
        size_in, size_out: (width, height) of stored frames.
        frames: of the video, or of the part of it that was asked for.
        part: which part that is; None is all of it.
        clips: at least; every scene cut adds up to one.
        clip_length, clip_overlap: frames.
        tile: (height, width) in LR pixels, None for the whole frame.
        memory: estimated peak in bytes.
        measured_clip: seconds that the first clip took, measured now.
        seconds: for all clips at that pace.
        notes: which model was chosen and why, and what the output cannot keep of the input.
    """

    path_in: Path
    path_out: Path
    size_in: tuple[int, int]
    size_out: tuple[int, int]
    frames: int
    part: str | None
    clips: int
    clip_length: int
    clip_overlap: int
    tile: tuple[int, int] | None
    memory: int
    measured_clip: float
    seconds: float
    notes: list[str]

    def describe(self) -> str:
        """One line for each of them."""
        tile = "the whole frame" if self.tile is None else f"{self.tile[0]}x{self.tile[1]} (height x width)"
        length = counted(self.clip_length, "frame")
        rows = [
            ("output", self.path_out),
            ("size", "{}x{} -> {}x{}".format(*self.size_in, *self.size_out)),
            ("frames", self.frames if self.part is None else f"{self.frames} ({self.part})"),
            ("clips", f"{self.clips} of {length}, {self.clip_overlap} shared; scene cuts add some"),
            ("tile", tile),
            ("memory", f"{self.memory / 1e9:.1f} GB at most, estimated"),
            ("time", f"{format_seconds(self.seconds)}, from {self.measured_clip:.1f} s measured for the first clip"),
            *(("note", note) for note in self.notes),
        ]
        return "\n".join([str(self.path_in), *(f"  {name:<8} {value}" for name, value in rows)])


def make_forecast(
    path_in: Path, path_out: Path, reader: VideoReader, plan: Plan, model: LoadedModel, notes: list[str]
) -> Forecast:
    """Restores the first clip, and says what all of them will take. Nothing is written.

    Args:
        path_in, path_out: input and output.
        reader: of the input.
        plan, model: of the job.
        notes: of the job.
    """
    num_frames = reader.count()
    length, overlap = plan.settings.clips(model.pipe.config.clip_length, model.pipe.config.clip_overlap)
    frames = (to_tensor(frame.rgb) for frame in itertools.islice(reader.frames(), length))
    start = time.perf_counter()
    for _ in model.pipe.stream_clips(frames, replace(plan.settings, scene_detection=False)):
        pass
    measured = time.perf_counter() - start
    clips = count_clips(num_frames, length, overlap)
    source, tile = reader.properties, plan.settings.tile
    return Forecast(
        path_in=path_in,
        path_out=path_out,
        size_in=(source.width, source.height),
        size_out=(plan.properties.width, plan.properties.height),
        frames=num_frames,
        part=None if reader.excerpt.is_whole else reader.excerpt.describe(),
        clips=clips,
        clip_length=length,
        clip_overlap=overlap,
        tile=(tile, tile) if isinstance(tile, int) else tile,
        memory=estimate_peak_bytes(model.pipe, source.height, source.width, length, tile, model.dtype, overlap),
        measured_clip=measured,
        seconds=clips * measured,
        notes=notes,
    )


def format_seconds(seconds: float) -> str:
    """ "42 s", "3 min 05 s" or "7 h 12 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
