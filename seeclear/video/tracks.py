# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Streams of the source on their way into the output: copied packet by packet, or as a cover."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal, Protocol, cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer, OutputContainer
from av.format import Flags
from av.packet import Packet
from av.stream import Disposition, Stream

from seeclear.video.channel_layouts import layout_of, usual_layout

# Of a file and of its streams, what the new one has of its own.
_OWN_TAGS = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration", "alpha_mode", "vendor_id"}
# What Matroska writers count of a stream; wrong for a new one.
_STATISTICS = ("bps", "number_of_", "_statistics_")

# Sound that Matroska and MOV have a number for, and players look for in broadcasts only.
_BROADCAST_ONLY = {"aac_latm"}

# Data with a packet from which on the codec has another header. FFmpeg spoils the head of Matroska with it.
_NEW_HEADER: Literal["new_extradata"] = "new_extradata"

_SKIPPED: Literal["skip_samples"] = "skip_samples"
"""Data with a packet that says how many of its first samples, and of its last ones, are not to be played."""

COVER_TYPES = {
    "mjpeg": ("jpg", "image/jpeg"),
    "png": ("png", "image/png"),
    "bmp": ("bmp", "image/bmp"),
    "gif": ("gif", "image/gif"),
    "webp": ("webp", "image/webp"),
    "tiff": ("tif", "image/tiff"),
}
"""Ending and type of the images that Matroska has as attachments, by FFmpeg's name of their codec."""


class Track(Protocol):
    """What becomes of one stream."""

    index: int
    """Of the stream in the source."""

    def add_to(self, output: OutputContainer) -> None:
        """Makes its stream in a new file."""
        ...

    def packets(self, packet: Packet | None) -> Iterator[Packet]:
        """What is to be written for the next packet of the source; None is the end of the stream."""
        ...


class CopiedTrack:
    """A stream that is copied as it is.

    Packets are put in ascending order where the source has them in another, as files that were joined by hand do: a
    container takes no others. Sound of unknown duration lasts until the next packet: players of MP4 leave out a last
    packet without duration.

    Attributes:
        delay: seconds at the beginning that are decoded but not played, where the container has to be told.
    """

    def __init__(self, stream: Stream) -> None:
        self.index = stream.index
        self.delay = Fraction(0)
        self._begun = self._is_delayed = self._may_change = False
        self._source = stream
        self._copy: Any = None
        self._order: Order | None = None
        self._held: Packet | None = None
        self._step = 0

    def add_to(self, output: OutputContainer) -> None:
        try:
            self._copy = output.add_stream_from_template(self._source)
        except ValueError:  # PyAV takes only what the container has a name of its own for, and needs a decoder
            codec = getattr(cast(Any, self._source).codec_context, "name", None)
            if self._source.type != "audio" or codec in _BROADCAST_ONLY:
                raise
            self._copy = _add_by_parameters(output, self._source)
        is_sound = self._source.type == "audio" and self._copy.codec_context is not None
        if is_sound and layout_of(self._source) == "unnamed":
            name_layout(self._copy.codec_context)
        describe_copy(self._source, self._copy)
        self._order = Order(output)
        # MP4 has the delay in its list of edits, which FFmpeg does not pass on; that of Opus it does.
        source = cast(Any, self._source)
        from_mp4 = "mp4" in source.container.format.name.split(",")
        is_opus = source.codec_context is not None and source.codec_context.codec.canonical_name == "opus"
        self._may_change = output.format.name in ("mp4", "mov")
        self._is_delayed = from_mp4 and not is_opus and output.format.name in ("matroska", "webm")

    def packets(self, packet: Packet | None) -> Iterator[Packet]:
        assert self._order is not None
        if packet is not None and not self._may_change and packet.has_sidedata(_NEW_HEADER):
            packet = copy_packet(packet, without=_NEW_HEADER)
        if packet is not None and not self._begun:
            self._begin(packet)
        if packet is not None:
            move(packet, self.delay)
        if packet is not None and not self._order.arrange(packet, self._copy):
            return
        held, self._held = self._held, None
        if held is not None:
            if packet is not None:
                self._step = cast(int, packet.dts) - cast(int, held.dts)
            held.duration = self._step
            yield held
        if packet is not None and self._source.type == "audio" and not packet.duration:
            self._held = packet
        elif packet is not None:
            yield packet

    def _begin(self, packet: Packet) -> None:
        """The first packet, of which some samples may not be played: it has to begin by so many before what is."""
        self._begun = True
        if packet.pts is None or not packet.has_sidedata(_SKIPPED):
            return
        begin = packet.pts * packet.time_base
        if self._is_delayed:
            self.delay = max(Fraction(0), -begin)
            return
        samples = int.from_bytes(bytes(cast(Any, packet.get_sidedata(_SKIPPED)))[:4], "little")
        rate = cast(Any, self._source).codec_context.sample_rate
        if rate and abs(begin + Fraction(samples, rate)) < packet.time_base:  # it was rounded, as Matroska does
            packet.time_base = Fraction(1, rate)
            packet.duration = round((packet.duration or 0) * Fraction(cast(Fraction, self._source.time_base)) * rate)
            packet.pts = packet.dts = -samples


class CoverTrack:
    """An attached picture.

    Args:
        stream: of the picture.
        picture: its only packet.
    """

    def __init__(self, stream: Stream, picture: Packet) -> None:
        self.index = stream.index
        self._source, self._picture = stream, picture

    def add_to(self, output: OutputContainer) -> None:
        """Of Matroska it is an attachment, of MP4 a stream of one packet, which is written now.

        Raises:
            ValueError: Matroska has no type for it.
        """
        codec = cast(Any, self._source).codec_context.name
        if output.format.name == "matroska":
            if codec not in COVER_TYPES:
                raise ValueError(f"no attachment can be a {codec} picture")
            ending, mimetype = COVER_TYPES[codec]
            name = self._source.metadata.get("filename", f"cover.{ending}")
            output.add_attachment(name, mimetype, bytes(self._picture))
            return
        copy = cast(Any, output.add_stream_from_template(self._source, opaque=True))
        describe_copy(self._source, copy)
        copy.disposition = Disposition.attached_pic.value
        self._copy = copy

    def packets(self, packet: Packet | None) -> Iterator[Packet]:
        """The picture, at the end: MP4 has it in its header, which is written last."""
        copy = getattr(self, "_copy", None)
        if packet is None and copy is not None:
            self._picture.stream = copy
            self._picture.pts = self._picture.dts = 0
            yield self._picture


class Order:
    """The last time of decoding of a stream of a file that is written."""

    def __init__(self, output: OutputContainer) -> None:
        self._step = 0 if output.format.flags & cast(int, Flags.ts_nonstrict.value) else 1
        self._last: int | None = None

    def arrange(self, packet: Packet, stream: Stream) -> bool:
        """Gives a packet to a stream of the output, in its units of time and after the packet before.

        Returns:
            False where it has no time, so that it cannot be written.
        """
        if packet.dts is None:
            packet.dts = packet.pts
        if packet.dts is None:
            return False
        base = Fraction(cast(Fraction, stream.time_base))
        ratio = packet.time_base / base
        dts = round(packet.dts * ratio)
        pts = dts if packet.pts is None else round(packet.pts * ratio)
        if self._last is not None:
            dts = max(dts, self._last + self._step)
        self._last = dts
        duration = round((packet.duration or 0) * ratio)
        packet.duration = duration if 0 <= duration < 1 << 31 else 0  # FFmpeg gives impossible ones for joined Ogg
        packet.pts, packet.dts, packet.time_base = max(pts, dts), dts, base
        packet.stream = stream
        return True


def _add_by_parameters(output: OutputContainer, source: Stream) -> Stream:
    """A new stream of all parameters of a sound, by a filter of packets that changes nothing.

    Matroska has sound by the numbers that Windows gave the codecs, for one. Whether the container takes it shows when
    its head is written.
    """
    stream = cast(Any, output.add_stream_from_template(_plain_sound().streams.audio[0]))
    BitStreamFilterContext("null", source, stream)
    stream.codec_context.codec_tag = "\0\0\0\0"  # the container has its own
    stream.time_base = source.time_base
    return stream


@lru_cache
def _plain_sound() -> InputContainer:
    """A file with a sound, of which a stream can be made whose parameters are then replaced."""
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48000)
        file.writeframes(bytes(2))
    data.seek(0)
    return av.open(data, "r")


def name_layout(context: AudioCodecContext) -> None:
    """Takes channels without names for the usual ones of that number, as all players do; MP4 must name them."""
    context.layout = cast(Any, usual_layout(context.layout.nb_channels))


def describe_copy(source: Stream, copy: Stream) -> None:
    """Gives a new stream the tags and the disposition of its source."""
    copy.metadata.update({name: value for name, value in source.metadata.items() if name.lower() not in _OWN_TAGS})
    copy.disposition = cast(Any, source.disposition.value)


def move(packet: Packet, seconds: Fraction) -> None:
    """Adds to the times of a packet."""
    if seconds:
        moved = round(seconds / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts + moved
        packet.dts = None if packet.dts is None else packet.dts + moved


def copy_packet(packet: Packet, without: str | None = None) -> Packet:
    """A packet of the same content and times, which is not marked as corrupt; without side data of a kind."""
    copy = Packet(bytes(packet))
    copy.stream = packet.stream
    copy.time_base = packet.time_base
    copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
    copy.is_keyframe = packet.is_keyframe
    for data in packet.iter_sidedata():
        if data.data_type != without:
            copy.set_sidedata(data)
    return cast(Packet, copy)


def own_tags(metadata: dict[str, str]) -> dict[str, str]:
    """Tags without those that describe the old file's coding."""
    return {
        name: value
        for name, value in metadata.items()
        if name.lower() not in _OWN_TAGS and not name.lower().startswith(_STATISTICS)
    }
