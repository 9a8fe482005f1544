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
from av.container import OutputContainer
from av.packet import Packet

from seeclear.video.container import open_container, timecode, video_stream
from seeclear.video.demuxing import SteadyPackets, arbitrary_start, first_time
from seeclear.video.excerpt import Cut
from seeclear.video.planning import StreamPlan
from seeclear.video.samples import Samples, take_samples
from seeclear.video.tracks import CopiedTrack, Track, move, own_tags

# Of the video, what is written anew.
_VIDEO_TAGS = {"rotate"}

_INTERLEAVED = 10
"""Seconds. No file has packets of one time so far from each other."""


class SourceStreams:
    """The streams of the source that go along, its tags and chapters.

    Args:
        source: the video file.
        plan: what becomes of its streams.
        without: indices of streams that are left out all the same.
        from_zero: the first frame is at time 0, wherever the source has it.
        samples: give only some of the first and last packets.
        cut: between which times the streams go along; None cuts nothing.
    """

    def __init__(
        self,
        source: Path,
        plan: StreamPlan,
        without: Collection[int] = (),
        from_zero: bool = False,
        samples: bool = False,
        cut: Cut | None = None,
    ) -> None:
        self._cut = cut or Cut(None, None)
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
            if self._cut.start is not None:  # it is of the first frame
                self.tags, self.video_tags = _without_timecode(self.tags), _without_timecode(self.video_tags)
            elif code is not None and not any(name.lower() == "timecode" for name in self.video_tags):
                self.video_tags["timecode"] = code
            self.video_disposition: Any = video.disposition.value
            self.shift = first_time([video]) if from_zero else arbitrary_start(self._input)
            self.shift = self.shift if self._cut.start is None else self._cut.start
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
        sounds = {stream.index for stream in streams if stream.type == "audio"}
        ended: set[int] = set()
        if streams:
            try:
                for packet in SteadyPackets(self._input, streams):
                    if packet.size and self._cut_to_size(packet):
                        yield packet
                    elif packet.size and self._is_long_after(packet):
                        ended.add(packet.stream.index)
                        if sounds and sounds <= ended:
                            return
            except av.FFmpegError:  # the file is cut off; what the pictures need of it was read
                return

    def _cut_to_size(self, packet: Packet) -> bool:
        """Whether a packet goes along; of text, which is shown for long, the part that is within the cut."""
        when = packet.dts if packet.pts is None else packet.pts
        if when is None or self._cut == Cut(None, None):
            return self._cut.start is None
        base = Fraction(packet.time_base)
        duration = (packet.duration or 0) * base if packet.stream.type == "subtitle" else Fraction(0)
        left = self._cut.of(when * base, duration)
        if left is not None and duration:
            packet.pts = packet.dts = round(left[0] / base)
            packet.duration = round(left[1] / base)
        return left is not None

    def _is_long_after(self, packet: Packet) -> bool:
        """Whether what follows in the file is after the cut, whichever stream it is of."""
        stop, when = self._cut.stop, packet.dts
        return stop is not None and when is not None and when * packet.time_base > stop + _INTERLEAVED

    def _chapters(self) -> list[dict[str, Any]]:
        """Chapters on the clock of the output; what lies before its beginning or ends before it begins is cut."""
        chapters = []
        for chapter in self._input.chapters():
            base = Fraction(cast(Fraction, chapter["time_base"]))
            left = self._cut.of(chapter["start"] * base, (chapter["end"] - chapter["start"]) * base)
            if left is not None:
                start, end = (round((time - self.shift) / base) for time in (left[0], sum(left)))
                chapters.append({**chapter, "start": max(0, start), "end": max(0, start, end)})
        return chapters


def _without_timecode(tags: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in tags.items() if name.lower() != "timecode"}
