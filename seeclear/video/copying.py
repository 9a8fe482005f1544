# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Everything of a video file but its pictures, copied packet by packet into another one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
from av.container import InputContainer, OutputContainer
from av.format import Flags
from av.packet import Packet
from av.stream import Stream

from seeclear.video.container import open_container, video_stream
from seeclear.video.streams import plan_of_container

# Of a file and of its streams, what the new one has of its own.
_OWN_TAGS = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration", "alpha_mode", "vendor_id"}
# What Matroska writers count of a stream; wrong for a new one.
_STATISTICS = ("bps", "number_of_", "_statistics_")


class SourceStreams:
    """All streams of the source but the upscaled one, its tags and chapters."""

    def __init__(self, source: Path, path: Path, drop_unsupported: bool, from_zero: bool) -> None:
        self._source, self._path = source, path
        self._input = open_container(source)
        try:
            plan = plan_of_container(self._input, source, path)
            if plan.refused and not drop_unsupported:
                raise ValueError(plan.refused[0])
            video = video_stream(self._input, source)
            self._copied = [self._input.streams[index] for index in plan.copied]
            self.tags = _tags(self._input.metadata)
            self.video_tags = {
                name: value for name, value in _tags(video.metadata).items() if name.lower() != "rotate"
            }
            self.video_disposition: Any = video.disposition.value
            self.shift = _first_time(self._input, [video]) if from_zero else _arbitrary_start(self._input)
        except BaseException:
            self.close()
            raise
        self._outputs: dict[int, Stream] = {}
        self._pending: Any = None
        self._packets: Iterator[Any] = iter(())

    def __enter__(self) -> SourceStreams:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the source."""
        self._input.close()

    def add_to(self, output: OutputContainer) -> None:
        """Adds the streams, tags and chapters to a new file."""
        output.metadata.update(self.tags)
        output.set_chapters(cast(Any, self._chapters()))
        for stream in self._copied:
            copy = output.add_stream_from_template(stream)
            copy.metadata.update(
                {name: value for name, value in stream.metadata.items() if name.lower() not in _OWN_TAGS}
            )
            copy.disposition = cast(Any, stream.disposition.value)
            self._outputs[stream.index] = copy
        self._packets = self._demux([stream for stream in self._copied if stream.type != "attachment"])

    def until(self, time: Fraction | None) -> Iterator[Packet]:
        """The next packets, up to those that begin at `time` in seconds; all that are left if it is None."""
        while True:
            packet = self._pending or next(self._packets, None)
            self._pending = packet
            if packet is None or (time is not None and packet.dts * packet.time_base > time):
                return
            self._pending = None
            packet.stream = self._outputs[packet.stream.index]
            yield packet

    def _demux(self, streams: list[Any]) -> Iterator[Any]:
        if not streams:
            return
        try:
            packet: Any
            for packet in self._input.demux(streams):
                if packet.dts is None:
                    if packet.pts is None:  # the end of a stream
                        continue
                    packet.dts = packet.pts
                if packet.is_corrupt:
                    raise ValueError(f"{self._source}: the {packet.stream.type} is cut off or damaged.")
                moved = round(self.shift / packet.time_base)
                packet.dts -= moved
                if packet.pts is not None:
                    packet.pts -= moved
                yield packet
        except av.FFmpegError as error:
            raise ValueError(f"{self._source}: the sound is cut off or damaged ({error.strerror}).") from error

    def _chapters(self) -> list[dict[str, Any]]:
        chapters = []
        for chapter in self._input.chapters():
            moved = round(self.shift / Fraction(cast(Fraction, chapter["time_base"])))
            chapters.append({**chapter, "start": chapter["start"] - moved, "end": chapter["end"] - moved})
        return chapters


def _tags(metadata: dict[str, str]) -> dict[str, str]:
    """Tags without those that describe the old file's coding."""
    return {
        name: value
        for name, value in metadata.items()
        if name.lower() not in _OWN_TAGS and not name.lower().startswith(_STATISTICS)
    }


def _arbitrary_start(container: InputContainer) -> Fraction:
    """Seconds by which a file begins late for no reason: the clock of a broadcast stream starts anywhere."""
    if not container.format.flags & cast(int, Flags.ts_discont.value):
        return Fraction(0)
    return _first_time(container, list(container.streams))


def _first_time(container: InputContainer, streams: Sequence[Stream]) -> Fraction:
    starts = [
        stream.start_time * Fraction(stream.time_base)
        for stream in streams
        if stream.start_time is not None and stream.time_base is not None
    ]
    return min(starts, default=Fraction(0))
