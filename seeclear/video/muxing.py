# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Parts of a video and the streams of its source written into one file. Pictures are copied, not coded again."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from seeclear.video.copying import SourceStreams
from seeclear.video.encode import PART_TIME_BASE
from seeclear.video.matroska import complete_tracks
from seeclear.video.planning import FORMATS
from seeclear.video.properties import VideoProperties

# Tags that MP4 has places of its own for; any other one needs the list of free keys, which fewer players read.
_MP4_TAGS = {
    *("title", "artist", "album_artist", "composer", "album", "date", "comment", "genre", "copyright", "grouping"),
    *("lyrics", "description", "synopsis", "show", "episode_id", "network", "keywords", "track", "disc", "tmpo"),
    *("creation_time", "location", "timecode", "encoded_by", "make", "model", "compilation", "media_type"),
}


@dataclass(frozen=True)
class Pictures:
    """The coded frames of a video.

    Attributes:
        parts: made by `encode_part`, in order.
        times: (time stamp, duration) of every frame in units of the properties' time base.
        frames: of each part.
        delay: by how many packets the order of decoding may run ahead of the order of showing.
    """

    parts: Sequence[Path]
    times: Sequence[tuple[int, int]]
    frames: tuple[int, ...]
    delay: int

    @classmethod
    def survey(cls, parts: Sequence[Path], times: Sequence[tuple[int, int]]) -> Pictures:
        """Looks through the packets of all parts, and compares them with each other and with the number of frames.

        Raises:
            ValueError: a part is damaged or of other settings, or the times are not as many as the frames.
        """
        frames: list[int] = []
        delay = 0
        extradata: bytes | None = None
        for part in parts:
            with av.open(os.path.abspath(part)) as container:
                stream = container.streams.video[0]
                if not frames:
                    extradata = stream.codec_context.extradata
                elif stream.codec_context.extradata != extradata:
                    raise ValueError(f"{part}: the part was coded by other settings than {parts[0]}.")
                order = [_index(packet) for packet in container.demux(stream) if packet.size]
            if not order or sorted(order) != list(range(len(order))):
                raise ValueError(f"{part}: the part is damaged.")
            delay = max([delay, *(place - index for place, index in enumerate(order))])
            frames.append(len(order))
        if sum(frames) != len(times):
            raise ValueError(
                f"`times` must have one entry for each of the {sum(frames)} frames, but has {len(times)}."
            )
        return cls(parts, times, tuple(frames), delay)

    def packets(self, base: Fraction, shift: Fraction) -> Iterator[Packet]:
        """The packets of all parts with the time stamps of `times`, `shift` seconds earlier.

        Packet k in the order of decoding is decoded when frame k - delay is shown, which is never after its own time.
        The first ones, for which there is no such frame, are decoded at even steps before the first.
        """
        step = max(1, self.times[0][1])
        moved = round(shift / base)
        place = start = 0
        for part, frames in zip(self.parts, self.frames, strict=True):
            with av.open(os.path.abspath(part)) as container:
                for packet in container.demux(video=0):
                    if not packet.size:
                        continue
                    pts, duration = self.times[start + _index(packet)]
                    earlier = place - self.delay
                    dts = self.times[earlier][0] if earlier >= 0 else self.times[0][0] + earlier * step
                    packet.time_base = base
                    packet.pts, packet.dts, packet.duration = pts - moved, dts - moved, duration
                    yield packet
                    place += 1
            start += frames


def write_video(path: Path, pictures: Pictures, properties: VideoProperties, others: SourceStreams | None) -> None:
    """Writes a whole video file.

    Args:
        path: of the file; `properties.path` says by its ending of what kind it is.
        pictures: coded.
        properties: of the output.
        others: what else the source has, None for nothing.

    Raises:
        av.FFmpegError: the container refuses its head, the pictures or its end.
        OSError: the file cannot be written.
    """
    suffix = cast(Path, properties.path).suffix.lower()
    with contextlib.ExitStack() as stack:
        template = stack.enter_context(av.open(os.path.abspath(pictures.parts[0])))
        output = av.open(
            os.path.abspath(path),
            "w",
            format=FORMATS[suffix],
            container_options=_container_options(suffix, properties, others.tags if others else {}),
        )
        with output:
            video = _add_video(output, template.streams.video[0], suffix, properties, others)
            if others is not None:
                others.add_to(output)
            output.start_encoding()
            shift = others.shift if others is not None else Fraction(0)
            for packet in pictures.packets(properties.time_base, shift):
                if others is not None:
                    others.write(output, cast(int, packet.dts) * properties.time_base)
                packet.stream = video
                output.mux(packet)
            if others is not None:
                others.write(output, None)
    if suffix in (".mkv", ".webm"):
        delays = others.delays if others is not None else None
        complete_tracks(path, properties.sample_aspect_ratio, delays, properties.fps)


def write_what_fits(write: Callable[[Collection[int]], None], streams: Sequence[int]) -> dict[int, str]:
    """Writes a file with as many streams as the container takes together.

    Args:
        write: writes it without the streams of these indices.
        streams: indices of all streams beside the pictures.

    Returns:
        Why streams were left out, by their indices; nothing where all went well.

    Raises:
        OSError: the disk refuses the file.
        av.FFmpegError, ValueError: the container refuses it without any other stream, too.
    """
    together = _refusal(write, ())
    if together is None:
        return {}
    alone = {index: _refusal(write, set(streams) - {index}) for index in streams}
    refused = {index: reason for index, reason in alone.items() if reason is not None}
    if refused and _refusal(write, set(refused)) is None:
        return refused
    write(set(streams))
    return dict.fromkeys(streams, together) | refused


def _refusal(write: Callable[[Collection[int]], None], without: Collection[int]) -> str | None:
    """Why a container refuses a file; None if it does not."""
    try:
        write(without)
    except OSError:
        raise
    except (av.FFmpegError, ValueError) as error:
        return str(getattr(error, "strerror", None) or error)
    return None


def _container_options(suffix: str, properties: VideoProperties, tags: dict[str, str]) -> dict[str, str]:
    options = {"fflags": "+bitexact"}  # no random numbers, no date
    if suffix in (".mp4", ".mov"):
        options["movflags"] = "+faststart"
        if not {tag.partition("-")[0] for tag in tags} <= _MP4_TAGS:
            options["movflags"] += "+use_metadata_tags"
        scale = properties.time_base.denominator
        if scale < 1 << 31:
            options["video_track_timescale"] = options["movie_timescale"] = str(scale)
    return options


def _add_video(
    output: OutputContainer,
    template: VideoStream,
    suffix: str,
    properties: VideoProperties,
    others: SourceStreams | None,
) -> VideoStream:
    video = output.add_stream_from_template(template, opaque=True)
    video.time_base = properties.time_base
    video.codec_context.framerate = properties.fps.limit_denominator(1 << 16)
    if properties.sample_aspect_ratio is not None:
        video.codec_context.sample_aspect_ratio = properties.sample_aspect_ratio
    if properties.display_matrix is not None:
        video.set_display_matrix(properties.display_matrix)
    if properties.codec == "hevc" and suffix in (".mp4", ".mov"):
        video.codec_context.codec_tag = "hvc1"  # the one Apple's players ask for
    if others is not None:
        video.metadata.update(others.video_tags)
        video.disposition = others.video_disposition
    if properties.has_alpha and properties.codec == "vp9":
        video.metadata["alpha_mode"] = "1"
    return video


def _index(packet: Packet) -> int:
    """Number of a packet's frame in its part."""
    if packet.pts is None:
        return -1
    return round(packet.pts * packet.time_base / PART_TIME_BASE)
