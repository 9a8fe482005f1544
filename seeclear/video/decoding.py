# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The frames of a video file as they are decoded, each with the packet it comes from."""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import cast

import av
from av import VideoFrame
from av.container import InputContainer
from av.format import Flags
from av.packet import Packet
from av.video.stream import VideoStream

from seeclear.video.container import is_mp4, open_container, video_stream
from seeclear.video.deinterlacing import is_interlaced
from seeclear.video.demuxing import SteadyPackets
from seeclear.video.timestamps import REORDERED, Clock, Stamps, clock_of

# Of these, FFmpeg's own decoders drop the alpha, which is coded beside the colour.
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}

# One packet of these is one frame, or with two fields half of one: others have frames that are not shown.
_ALL_SHOWN = {"h264", "hevc", "vvc", "mpeg1video", "mpeg2video"}

_MOST_PER_SECOND = 1000

_IDR = 5
"""Type of an H.264 slice after which nothing refers to frames before it (ITU-T H.264, table 7-1)."""


class PacketLog:
    """What was fed to a decoder. Packets are numbered from 0, and frames come out with the number of their packet."""

    def __init__(self) -> None:
        self.packets = 0
        """Packets whose frames are to be shown."""
        self.without_frame: dict[int, Stamps] = {}
        """Those of which no frame has come."""
        self.empty_at_end = 0
        """AVI: how often the last frame is repeated."""
        self._key: tuple[int, Stamps] | None = None
        self._begins_anew = True
        self._first: int | None = None
        self._stamps: dict[int, Stamps] = {}
        self._number = 0

    @property
    def last(self) -> int:
        """The number of the packet that was fed last."""
        return self._number - 1

    def feed(self, packet: Packet, codec: VideoStream) -> None:
        """Notes a packet that is decoded next, and gives it its number in place of its time stamp."""
        stamps = Stamps(packet.pts, packet.dts)
        if self._key is None and packet.is_keyframe:
            self._key = self._number, stamps
            self._begins_anew = begins_anew(bytes(packet), codec)
        if not packet.is_discard:
            self.packets += 1
            self.without_frame[self._number] = stamps
        self._stamps[self._number] = stamps
        self._stamps.pop(self._number - 16 * REORDERED, None)
        packet.pts = self._number
        self._number += 1
        self.empty_at_end = 0

    def take(self, frame: VideoFrame) -> int | None:
        """The number of the packet that a frame comes from."""
        number = frame.pts
        if number is not None:
            self.without_frame.pop(number, None)
            self._first = number if self._first is None else self._first
        return number

    def stamps(self, number: int | None) -> Stamps:
        """What the container says of a packet that was fed not long ago."""
        return Stamps(None, None) if number is None else self._stamps.get(number, Stamps(None, None))

    def lost_at_start(self) -> set[int]:
        """The packets without a frame that refer to frames before the beginning of the file.

        A cut of open groups of pictures begins with a key frame whose leading pictures, decoded after it and shown
        before it, refer to frames that were cut away. A stream that is cut anywhere begins with such packets before
        the first key frame, and one that is refreshed bit by bit gives no frame until it is whole.
        """
        if self._key is None or self._first is None:
            return set()
        key, shown = self._key[0], self._key[1].pts
        return {
            number
            for number, stamps in self.without_frame.items()
            if number < key
            or (shown is not None and stamps.pts is not None and stamps.pts < shown)
            or (not self._begins_anew and number < self._first)
        }


@dataclass(frozen=True)
class Opening:
    """What the first frames of a video file tell."""

    frame: VideoFrame
    """The first one."""
    clock: Clock
    reorders: bool
    """Whether frames are shown in another order than they are decoded in."""
    lost: int
    """Packets at the start that cannot be decoded, see `PacketLog.lost_at_start`."""
    interlaced: bool
    """Whether the stream or one of the first frames says so."""


def decoded(
    packets: Iterable[Packet], stream: VideoStream, log: PacketLog, check: Callable[[Packet], None] = lambda _: None
) -> Generator[tuple[VideoFrame, int | None], None, None]:
    """The frames of a stream as they are decoded, each with the number of its packet; `check` sees packets before."""
    decode: Callable[[Packet], list[VideoFrame]] = stream.decode
    name = stream.codec_context.codec.canonical_name
    alpha = {value for key, value in stream.metadata.items() if key.lower() == "alpha_mode"}
    if name in _ALPHA_DECODERS and "1" in alpha:
        decoder = cast(av.VideoCodecContext, av.CodecContext.create(_ALPHA_DECODERS[name], "r"))

        def decode(packet: Packet) -> list[VideoFrame]:
            return decoder.decode(packet if packet.size else None)

    for packet in packets:
        if packet.dts is not None and not packet.size:  # AVI: the frame before is repeated
            log.empty_at_end += 1
            continue
        check(packet)
        if packet.size:
            log.feed(packet, stream)
        for frame in decode(packet):
            yield frame, log.take(frame)


def read_opening(path: Path, container: InputContainer, stream: VideoStream) -> Opening | None:
    """Decodes the first frames of a video, as few as will do; None if there is not one.

    Raises:
        av.FFmpegError: the first frame is damaged.
    """
    log = PacketLog()
    first: VideoFrame | None = None
    numbers: list[int] = []
    broken = interlaced = False
    try:
        for frame, number in decoded(SteadyPackets(container, [stream]), stream, log):
            first = frame if first is None else first
            interlaced = interlaced or is_interlaced(stream, frame)
            numbers += [] if number is None else [number]
            settled = len(numbers) > 1 and min(log.without_frame, default=numbers[1]) >= numbers[1]
            if settled or number is None or len(numbers) > REORDERED:
                break
    except av.FFmpegError:  # of a later frame: decoding the whole will say so
        if first is None:
            raise
        broken = True
    if first is None:
        return None
    reorders = bool(stream.codec_context.has_b_frames) or numbers != sorted(numbers)
    lost = log.lost_at_start()
    if stream.codec_context.codec.canonical_name in _ALL_SHOWN and not (first.interlaced_frame or broken):
        lost = set(log.without_frame)
    second = numbers[1] if len(numbers) > 1 else log.packets
    lost = {number for number in lost if number < second}
    clock = _clock(path, container, stream, reorders)
    shown = [log.stamps(number).pts for number in numbers]
    if clock == "shown" and stream.codec_context.codec.canonical_name == "mpeg4" and None not in shown:
        clock = "shown" if shown == sorted(cast(list[int], shown)) else "swapped"
    return Opening(first, clock, reorders, len(lost), interlaced)


def _clock(path: Path, container: InputContainer, stream: VideoStream, reorders: bool) -> Clock:
    """What the time stamps of a file stand for, by reading some packets without what FFmpeg fills in."""
    if is_mp4(container) or container.format.name in ("gif", "apng"):
        return "shown"
    if container.format.flags & cast(int, Flags.no_timestamps.value):
        return "none"
    with open_container(path, {"fflags": "nofillin"}) as plain:
        packets = (packet for packet in plain.demux(video_stream(plain, path)) if packet.size)
        return clock_of([Stamps(packet.pts, packet.dts) for packet in islice(packets, 2 * REORDERED)], reorders)


def declared_frames(container: InputContainer, stream: VideoStream) -> int | None:
    """How many frames the file declares; only MP4 and QuickTime state it reliably, in the index of their samples.

    The index has the edit list applied, which `stream.frames` has not; what is decoded but not shown (the frames
    between a key frame and the start of an edit) is marked there.
    """
    if not is_mp4(container) or not stream.frames:
        return None
    return sum(1 for entry in stream.index_entries if not entry.is_discard)


def coded_rate(stream: VideoStream) -> Fraction | None:
    """Frames per second by the headers of the codec; None if they do not say."""
    rate: Fraction | None = stream.codec_context.framerate
    if rate and rate > _MOST_PER_SECOND:  # the ticks of a clock (MPEG-4), by which FFmpeg has found the frames' steps
        rate = stream.base_rate
    return Fraction(rate) if rate and 0 < rate <= _MOST_PER_SECOND else None


def begins_anew(packet: bytes, stream: VideoStream) -> bool:
    """Whether nothing behind a key frame refers to frames before it; of codecs other than H.264 that is taken for so.

    H.264 may begin at a recovery point, from which on pictures become whole bit by bit (ITU-T H.264, D.2.8).
    """
    if stream.codec_context.codec.canonical_name != "h264":
        return True
    head = stream.codec_context.extradata or b""
    if head[:1] != b"\x01":  # start codes between the units (annex B)
        return any(unit[:1] and unit[0] & 31 == _IDR for unit in packet.split(b"\x00\x00\x01")[1:])
    place, length = 0, (head[4] & 3) + 1  # their lengths before them (ISO/IEC 14496-15, 5.3)
    while place + length < len(packet):
        if packet[place + length] & 31 == _IDR:
            return True
        (size,) = struct.unpack(">I", packet[place : place + length].rjust(4, b"\x00"))
        place += length + size
    return False
