# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What will be done with one video: sizes, clips, tile, memory; and how long it will take."""

from __future__ import annotations

import itertools
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seeclear.pipelines.memory import ClipsAndTile, choose_clips_and_tile, estimate_peak_bytes, shorter_clips
from seeclear.pipelines.settings import SAMPLING, RestorationSettings
from seeclear.pipelines.streaming import StreamState, count_clips
from seeclear.video.codecs import EncodeSettings, output_properties
from seeclear.video.properties import VideoProperties
from seeclear.video.reader import VideoReader, count_frames
from seeclear.video.streams import check_output

from .engine import Engine
from .settings import DEFAULT_MEMORY, LARGE_FRAMES_TILE, output_size, parse_memory
from .survey import to_tensor


@dataclass(frozen=True)
class Plan:
    """The settings of a run, worked out for one video.

    Attributes:
        width, height: of the stored frames of the output.
        stream: how the video is cut into clips and tiles.
        encode: how the output is encoded.
        properties: of the output.
        settings: JSON-able, all that changes the output.
    """

    width: int
    height: int
    stream: RestorationSettings
    encode: EncodeSettings
    properties: VideoProperties
    settings: dict[str, Any]

    @property
    def drop_unsupported(self) -> bool:
        """Whether sound may be left out: nobody looks for it in images."""
        return self.properties.kind != "video"


def make_plan(source: VideoProperties, path_out: Path, engine: Engine) -> Plan:
    """Works out the settings for one video.

    Args:
        source: of the input.
        path_out: of the output; its ending chooses the container.
        engine: the model and the settings.

    Raises:
        ValueError: the settings do not go together with each other, the video, the model or the output.
    """
    settings = engine.settings
    asked = (settings.width, settings.height)
    if source.rotation % 180 == 90:  # they are of the picture as it is shown
        asked = asked[::-1]
    width, height = output_size(source.width, source.height, settings.scale, *asked, model_scale=engine.scale)
    encode = EncodeSettings(settings.codec, settings.crf, settings.preset, settings.pix_fmt)
    properties = output_properties(source, path_out, (height, width), encode)
    stream = choose_stream_settings(engine, source.height, source.width)
    decisive = {
        "width": width,
        "height": height,
        **{name: getattr(settings, name) for name in SAMPLING},
        "device": engine.device.type,
        "dtype": str(engine.dtype).removeprefix("torch."),
        **{name: value for name, value in asdict(stream).items() if name not in SAMPLING},
        **asdict(encode),
    }
    return Plan(width, height, stream, encode, properties, decisive)


def choose_stream_settings(engine: Engine, height: int, width: int) -> RestorationSettings:
    """Tile and overlap as the settings say; else the largest tile, and if need be shorter clips, that fit into the
    memory they allow. Where they allow none in particular, frames that are too large for the default have tiles of
    `LARGE_FRAMES_TILE` and clips as short as they may be.

    Raises:
        ValueError: no tile fits into the memory asked for, or the pipeline does not take the settings.
    """
    settings = engine.settings
    chosen = ClipsAndTile(None, settings.clip_overlap, None)
    if settings.tile is None:
        RestorationSettings(clip_overlap=settings.clip_overlap).clips(engine.clip_length, engine.clip_overlap)
        budget = parse_memory(DEFAULT_MEMORY if settings.memory is None else settings.memory)
        try:
            chosen = choose_clips_and_tile(engine.pipe, height, width, budget, settings.clip_overlap)
        except ValueError as error:
            if settings.memory is not None:
                raise ValueError(f"`memory` is too small: {error}") from error
            *_, shortest = shorter_clips(engine.pipe, settings.clip_overlap)
            chosen = ClipsAndTile(*shortest, LARGE_FRAMES_TILE)
    stream = RestorationSettings(
        clip_length=chosen.clip_length,
        clip_overlap=chosen.clip_overlap,
        tile=chosen.tile if settings.tile is None else settings.tile or None,  # 0 is the whole frame
        tile_overlap=settings.tile_overlap,
        scene_detection=settings.scene_detection,
    )
    engine.check(stream)
    return stream


@dataclass(frozen=True)
class Forecast:
    """What `seeclear upscale --dry-run` says of a video.

    Attributes:
        path_in, path_out: input and output.
        size_in, size_out: (width, height) of stored frames.
        frames: of the video.
        clips: at least; every scene cut adds up to one.
        clip_length, clip_overlap: frames.
        tile: (height, width) in LR pixels, None for the whole frame.
        memory: estimated peak in bytes.
        measured_clip: seconds that the first clip took, measured now.
        seconds: for all clips at that pace.
        notes: what the output cannot keep of the input.
    """

    path_in: Path
    path_out: Path
    size_in: tuple[int, int]
    size_out: tuple[int, int]
    frames: int
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
        rows = [
            ("output", self.path_out),
            ("size", "{}x{} -> {}x{}".format(*self.size_in, *self.size_out)),
            ("frames", self.frames),
            ("clips", f"{self.clips} of {self.clip_length} frames, {self.clip_overlap} shared; scene cuts add some"),
            ("tile", tile),
            ("memory", f"{self.memory / 1e9:.1f} GB at most, estimated"),
            ("time", f"{format_seconds(self.seconds)}, from {self.measured_clip:.1f} s measured for the first clip"),
            *(("note", note) for note in self.notes),
        ]
        return "\n".join([str(self.path_in), *(f"  {name:<8} {value}" for name, value in rows)])


def make_forecast(
    engine: Engine, reader: VideoReader, plan: Plan, path_in: Path, path_out: Path, check_place: bool = True
) -> Forecast:
    """Restores the first clip, and says what the whole video will take. Nothing is written.

    Args:
        engine, reader, plan, path_in, path_out: of the video.
        check_place: raise a ValueError if the output could not be written now; False where its folder is still to be
            made, or has what an earlier run has made.
    """
    num_frames = reader.num_frames if reader.num_frames is not None else count_frames(path_in)
    length, overlap = plan.stream.clips(engine.clip_length, engine.clip_overlap)
    frames = (to_tensor(frame.rgb) for frame in itertools.islice(reader.frames(), length))
    start = time.perf_counter()
    for _ in engine.stream_clips(frames, plan.stream, StreamState()):
        pass
    measured = time.perf_counter() - start
    clips = count_clips(num_frames, length, overlap)
    properties = reader.properties
    tile = plan.stream.tile
    notes = []
    if check_place:
        size = (plan.height, plan.width)
        notes = check_output(path_out, reader.properties, plan.encode, size, plan.drop_unsupported)
    return Forecast(
        path_in=path_in,
        path_out=path_out,
        size_in=(properties.width, properties.height),
        size_out=(plan.width, plan.height),
        frames=num_frames,
        clips=clips,
        clip_length=length,
        clip_overlap=overlap,
        tile=(tile, tile) if isinstance(tile, int) else tile,
        memory=estimate_peak_bytes(
            engine.pipe, properties.height, properties.width, length, tile, engine.dtype, overlap
        ),
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
