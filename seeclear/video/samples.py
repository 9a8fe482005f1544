# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The first and the last packets of the streams of a video file, to try an output with."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from seeclear.video.tracks import copy_packet

_FIRST, _LAST = 8, 4
"""Packets of each stream."""
_HEAD_BYTES = 8 << 20
"""Read for the first packets, or more until every sound has one."""
_TAIL_SECONDS, _TAIL_BYTES = 3, 64 << 20


@dataclass
class Samples:
    """Packets of every stream but the upscaled one, by its index."""

    first: dict[int, list[Packet]] = field(default_factory=dict)
    last: dict[int, list[Packet]] = field(default_factory=dict)

    def of(self, index: int) -> Iterator[Packet]:
        """Copies of the packets of one stream."""
        for packet in [*self.first.get(index, []), *self.last.get(index, [])]:
            yield copy_packet(packet)


def take_samples(container: InputContainer, upscaled: Stream) -> Samples:
    """Reads the beginning and the end of a file; of a sound that begins late, all up to its first packet.

    A sound without samples has no packets at all.

    Args:
        container: at its beginning; it is at any place afterwards.
        upscaled: the stream of which no packets are kept.
    """
    first: dict[int, list[Packet]] = defaultdict(list)
    last: dict[int, deque[Packet]] = defaultdict(lambda: deque(maxlen=_LAST))
    missing = {stream.index for stream in container.streams if _awaited(stream)} - {upscaled.index}
    read = 0
    try:
        for packet in container.demux():
            index = packet.stream.index
            read += packet.size
            if packet.size and index != upscaled.index and not packet.is_corrupt:
                missing.discard(index)
                if len(first[index]) < _FIRST:
                    first[index].append(packet)
                else:
                    last[index].append(packet)
            if read > _HEAD_BYTES and not missing:
                last = _tail(container, upscaled)
                break
    except av.FFmpegError:  # the first pass says what is wrong
        pass
    return Samples(dict(first), {index: list(packets) for index, packets in last.items()})


def _awaited(stream: Stream) -> bool:
    """Whether a stream without packets is to be known as one: sound and covers, not subtitles."""
    picture = stream.type == "video" and Disposition.attached_pic in stream.disposition
    return stream.type == "audio" or picture


def _tail(container: InputContainer, upscaled: Stream) -> dict[int, Any]:
    """The last packets of each stream, if the file can be read from a place near its end on."""
    last: dict[int, deque[Packet]] = defaultdict(lambda: deque(maxlen=_LAST))
    if not container.duration:
        return last
    end = container.duration + (container.start_time or 0)
    read = 0
    try:
        container.seek(end - _TAIL_SECONDS * av.time_base)
        for packet in container.demux():
            read += packet.size
            if packet.size and packet.stream.index != upscaled.index and not packet.is_corrupt:
                last[packet.stream.index].append(packet)
            if read > _TAIL_BYTES:  # far from the end: the file does not say truly how long it is
                return {}
    except av.FFmpegError:
        return {}
    return last
