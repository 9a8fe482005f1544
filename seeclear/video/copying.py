# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Everything of a video file but its pictures, on its way into another one."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Collection, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from seeclear.video.container import open_container, video_stream
from seeclear.video.demuxing import SteadyPackets, arbitrary_start, first_time
from seeclear.video.planning import StreamPlan
from seeclear.video.samples import Samples, take_samples
from seeclear.video.tracks import CopiedTrack, Track, move, own_tags

# Of the video, what is written anew.
_VIDEO_TAGS = {"rotate"}


class SourceStreams:
    """The streams of the source that go along, its tags and chapters.

    Args:
        source: the video file.
        plan: what becomes of its streams.
        without: indices of streams that are left out all the same.
        from_zero: the first frame is at time 0, wherever the source has it.
        samples: give only some of the first and last packets.
    """

    def __init__(
        self,
        source: Path,
        plan: StreamPlan,
        without: Collection[int] = (),
        from_zero: bool = False,
        samples: bool = False,
    ) -> None:
        with contextlib.ExitStack() as stack:
            self._input = stack.enter_context(open_container(source))
            video = video_stream(self._input, source)
            taken = Samples()
            if samples or plan.covers:  # packets need their file to be open
                sampled = stack.enter_context(open_container(source))
                taken = take_samples(sampled, video_stream(sampled, source))
            self._files = stack.pop_all()
        try:
            tracks = [track for track in plan.tracks(self._input, taken) if track.index not in without]
            self._tracks: dict[int, Track] = {track.index: track for track in tracks}
            self.tags = own_tags(self._input.metadata)
            self.video_tags = {
                name: value for name, value in own_tags(video.metadata).items() if name.lower() not in _VIDEO_TAGS
            }
            code = timecode(self._input)
            if code is not None and not any(name.lower() == "timecode" for name in self.video_tags):
                self.video_tags["timecode"] = code
            self.video_disposition: Any = video.disposition.value
            self.shift = first_time([video]) if from_zero else arbitrary_start(self._input)
        except BaseException:
            self.close()
            raise
        self.refused: Counter[int] = Counter()
        self._packets: Iterator[Packet] = iter(
            itertools.chain.from_iterable(taken.of(index) for index in self._tracks) if samples else self._demux()
        )
        self._pending: Packet | None = None

    def __enter__(self) -> SourceStreams:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the source."""
        self._files.close()

    def add_to(self, output: OutputContainer) -> None:
        """Adds the streams, tags and chapters to a new file."""
        output.metadata.update(self.tags)
        output.set_chapters(cast(Any, self._chapters()))
        for track in self._tracks.values():
            track.add_to(output)

    def write(self, output: OutputContainer, time: Fraction | None) -> None:
        """Writes the next packets, up to those that begin at `time` in seconds; all that are left if it is None.

        A packet that the container refuses is left out, and counted in `refused`.
        """
        while True:
            packet = self._pending or next(self._packets, None)
            self._pending = packet
            if packet is None:
                break
            when = packet.pts if packet.dts is None else packet.dts
            if time is not None and when is not None and when * packet.time_base - self.shift > time:
                return
            self._pending = None
            move(packet, -self.shift)
            self._mux(output, self._tracks[packet.stream.index], packet)
        if time is None:
            for track in self._tracks.values():
                self._mux(output, track, None)

    @property
    def delays(self) -> dict[int, Fraction]:
        """Seconds at the beginning of each sound that are not to be played, by its number among the sounds."""
        sounds = [track for track in self._tracks.values() if self._input.streams[track.index].type == "audio"]
        copied = {number: track for number, track in enumerate(sounds) if isinstance(track, CopiedTrack)}
        return {number: track.delay for number, track in copied.items() if track.delay}

    def _mux(self, output: OutputContainer, track: Track, packet: Packet | None) -> None:
        for item in track.packets(packet):
            try:
                output.mux(item)
            except (av.error.InvalidDataError, av.error.ArgumentError):
                self.refused[track.index] += 1

    def _demux(self) -> Iterator[Packet]:
        streams = [self._input.streams[index] for index in self._tracks]
        if streams:
            try:
                yield from (packet for packet in SteadyPackets(self._input, streams) if packet.size)
            except av.FFmpegError:  # the file is cut off; what the pictures need of it was read
                return

    def _chapters(self) -> list[dict[str, Any]]:
        """Chapters on the clock of the output; what lies before its beginning or ends before it begins is cut."""
        chapters = []
        for chapter in self._input.chapters():
            moved = round(self.shift / Fraction(cast(Fraction, chapter["time_base"])))
            start = max(0, chapter["start"] - moved)
            chapters.append({**chapter, "start": start, "end": max(start, chapter["end"] - moved)})
        return chapters


def timecode(container: InputContainer) -> str | None:
    """The time code that a file or one of its streams begins with, None if it has none."""
    for metadata in (container.metadata, *(stream.metadata for stream in container.streams)):
        for name, value in metadata.items():
            if name.lower() == "timecode":
                return value
    return None
