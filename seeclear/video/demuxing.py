# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The packets of a video file on a clock that goes on, the same for who shows them and for who copies them."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
from av.codec.context import CodecContext
from av.container import InputContainer
from av.format import Flags
from av.packet import Packet
from av.stream import Disposition, Stream

from seeclear.video.channel_layouts import layout_of
from seeclear.video.clock import SECOND, Clock, Jump, Stamp
from seeclear.video.container import is_mp4
from seeclear.video.tracks import copy_packet, move

_MARKED_EARLY = 2
"""Where another recording begins, FFmpeg marks the last packet before, or the one before that, as corrupt."""
_MOST_HELD = 256
_LATE = 10
"""Seconds. So long nobody lets a film wait before it begins."""

_NAMES = {"audio": "sound", "subtitle": "subtitles", "video": "pictures"}


class SteadyPackets:
    """Iterating gives the packets of some streams in the order of the file, their times on one clock (see `clock`).

    Packets that were not stored whole are left out; those of pictures are given, marked as corrupt. FFmpeg marks some
    others as well, which are given without the mark: the last ones before another recording begins, and sound that was
    stored in one piece with sound that is damaged.

    Args:
        container: open, at its beginning.
        streams: whose packets are wanted; the clock looks at all streams.
    """

    def __init__(self, container: InputContainer, streams: Collection[Stream]) -> None:
        self._container = container
        self._wanted = {stream.index for stream in streams}
        self._clock: Clock[Packet] = Clock(_steady_tracks(container), _leaps(container))
        self._held: deque[tuple[Packet, int, int]] = deque()
        self._damaged: Counter[int] = Counter()
        self._doubtful: set[int] = set()
        self._decoders: dict[int, CodecContext | None] = {}

    @property
    def jumps(self) -> list[Jump]:
        """Where the file's own clock jumps, as far as it was read."""
        return self._clock.jumps

    def __iter__(self) -> Iterator[Packet]:
        ends = []
        for packet in self._container.demux():
            if not packet.size and packet.dts is None:
                ends.append(packet)
                continue
            self._held += self._clock.put(packet, _stamp(packet))
            yield from self._finished()
        self._held += self._clock.finish()
        yield from self._finished(end=True)
        yield from (packet for packet in ends if packet.stream.index in self._wanted)

    def notes(self, path: Path) -> list[str]:
        """Sentences about what was found in the packets read so far, for a user."""
        notes = []
        if self.jumps:
            first = self.jumps[0]
            times = f"{len(self.jumps)} times, first" if len(self.jumps) > 1 else "once,"
            notes.append(
                f"{path}: the clock of the file jumps {times} from {first.before / SECOND:.2f} s to "
                f"{first.after / SECOND:.2f} s; time goes on there, for sound and pictures together."
            )
        for index, count in sorted(self._damaged.items()):
            stream = self._container.streams[index]
            what = "packet" if count == 1 else "packets"
            notes.append(
                f"{path}: {count} damaged {what} of the {_NAMES.get(stream.type, stream.type)} #{index} "
                f"{'is' if count == 1 else 'are'} left out."
            )
        return notes

    def _finished(self, end: bool = False) -> Iterator[Packet]:
        """Packets with their new times. A corrupt one waits for the next of its stream, which may be after a jump."""
        while self._held:
            packet, offset, epoch = self._held[0]
            index, kind = packet.stream.index, packet.stream.type
            if packet.is_corrupt:
                others = itertools.islice(self._held, 1, None)
                following = [number for other, _, number in others if other.stream.index == index][:_MARKED_EARLY]
                steady = kind in ("audio", "video")
                if len(following) < _MARKED_EARLY and not end and steady and len(self._held) < _MOST_HELD:
                    return
                if any(number != epoch for number in following):
                    packet = copy_packet(packet)
            self._held.popleft()
            if kind == "video" or self._is_whole(packet):
                if index in self._wanted:
                    packet = copy_packet(packet) if kind != "video" and packet.is_corrupt else packet
                    move(packet, Fraction(offset, SECOND))
                    yield packet
            else:
                self._damaged[index] += 1

    def _is_whole(self, packet: Packet) -> bool:
        """Whether a packet is not marked, or can be decoded all the same.

        What is left of a damaged piece comes behind it without a mark, so that packets are doubted until one is whole.
        """
        stream: Any = packet.stream
        if not packet.is_corrupt and stream.index not in self._doubtful:
            return True
        self._doubtful.add(stream.index)
        if stream.type != "audio":
            return not packet.is_corrupt
        if stream.index not in self._decoders:
            self._decoders[stream.index] = _new_decoder(stream)
        decoder = self._decoders[stream.index]
        whole = decoder is not None and _decodes(decoder, copy_packet(packet))
        if whole and not packet.is_corrupt:
            self._doubtful.discard(stream.index)
        return whole


def arbitrary_start(container: InputContainer) -> Fraction:
    """Seconds by which a file begins late for no reason.

    The clock of a broadcast stream starts anywhere, and that of a recording may say the time of day.
    """
    start = first_time(list(container.streams))
    if container.format.flags & cast(int, Flags.ts_discont.value):
        return start
    return start if start > _LATE and not is_mp4(container) else Fraction(0)


def first_time(streams: Sequence[Stream]) -> Fraction:
    """Seconds at which the first of some streams begins, 0 if that is unknown."""
    starts = [
        stream.start_time * Fraction(stream.time_base)
        for stream in streams
        if stream.start_time is not None and stream.time_base is not None
    ]
    return min(starts, default=Fraction(0))


def _new_decoder(stream: Any) -> CodecContext | None:
    """A decoder of its own for a sound, as that of the stream is for who wants to hear it."""
    if stream.codec_context is None or layout_of(stream) == "own":
        return None
    decoder = av.CodecContext.create(stream.codec_context.name, "r")
    decoder.extradata = stream.codec_context.extradata
    return decoder


def _decodes(decoder: CodecContext, packet: Packet) -> bool:
    """Whether a packet can be decoded without a complaint; of some, FFmpeg's decoders do no more than complain."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture() as complaints:
            frames = cast(Any, decoder).decode(packet)
    except av.FFmpegError:
        return False
    finally:
        av.logging.set_level(level)
    return bool(frames) and not complaints


def _stamp(packet: Packet) -> Stamp:
    time = packet.dts if packet.pts is None else packet.pts
    stream: Any = packet.stream
    return Stamp(
        stream.index,
        None if time is None else _nanoseconds(time, packet.time_base),
        _nanoseconds(packet.duration or 0, packet.time_base),
        packet.is_keyframe or stream.type != "video",
    )


def _nanoseconds(time: int, base: Fraction) -> int:
    return time * base.numerator * SECOND // base.denominator


def _steady_tracks(container: InputContainer) -> dict[int, int]:
    """Sound and moving pictures, with the duration of a frame in nanoseconds."""
    tracks = {}
    for stream in container.streams:
        if stream.type == "audio":
            tracks[stream.index] = 0
        elif stream.type == "video" and Disposition.attached_pic not in stream.disposition:
            rate = stream.average_rate or stream.guessed_rate
            tracks[stream.index] = round(SECOND / rate) if rate else 0
    return tracks


def _leaps(container: InputContainer) -> int:
    """Whether a gap is a jump of the clock, as `Clock` is told: in broadcast, DVD and Ogg, and of Flash with sound."""
    if container.format.flags & cast(int, Flags.ts_discont.value):
        return 1
    return 2 if "flv" in container.format.name.split(",") else 0
