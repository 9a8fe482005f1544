# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Sound that is coded anew: which encoder, and the way from the packets of the source to those of the output."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.codec.context import Flags
from av.container import OutputContainer
from av.filter import Graph
from av.packet import Packet
from av.stream import Stream

from seeclear.video.channel_layouts import layout_of, usual_layout
from seeclear.video.tracks import Order, describe_copy, name_layout

AUDIO = ("copy", "encode", "none")
"""What `EncodeSettings.audio` may be."""

_BITS_PER_CHANNEL = 96_000
"""Bits a second: stereo of AAC gets 192 kbit/s, of Opus more than it needs."""

_NAMES = {"aac": "AAC", "libopus": "Opus", "flac": "FLAC"}

# Samples as they are, by FFmpeg's name of their format.
_PCM = {"u8": "pcm_u8", "s16": "pcm_s16le", "s32": "pcm_s24le", "flt": "pcm_f32le", "dbl": "pcm_f64le"}
_LOSSY = {".webm": "libopus"}


def check_audio(audio: str) -> None:
    """Raises a ValueError if `audio` is none of `AUDIO`."""
    if audio not in AUDIO:
        raise ValueError(f"`audio` must be one of {', '.join(AUDIO)}, but was {audio!r}.")


def encoders_for(stream: Stream, suffix: str, audio: str) -> tuple[str, ...]:
    """Encoders of which the first that works is to be taken.

    Sound that was stored without loss stays so where it is coded anew only because the container cannot hold it: as
    FLAC in MP4, as plain samples in MOV and Matroska.

    Args:
        stream: of sound, with a decoder.
        suffix: ending of the output.
        audio: "encode" where all sound is to be coded.
    """
    lossy = _LOSSY.get(suffix, "aac")
    context = cast(Any, stream).codec_context
    if audio == "encode" or suffix == ".webm" or not _is_lossless(context.codec):
        return (lossy,)
    samples = context.format.name.removesuffix("p") if context.format is not None else ""
    if suffix in (".mov", ".mkv") and samples in _PCM:
        return (_PCM[samples], lossy)
    return ("flac", lossy) if samples in ("u8", "s16", "s32") else (lossy,)


def _is_lossless(codec: av.Codec) -> bool:
    """WavPack, which can be either, and samples of 8 bits on a curve are taken for it."""
    name = codec.canonical_name
    return name.startswith("pcm_") or name == "wavpack" or (codec.lossless and not codec.lossy)


def encoder_name(encoder: str) -> str:
    """The codec of an encoder, for a user to read."""
    return _NAMES.get(encoder, "PCM")


class EncodedTrack:
    """Sound that is decoded and coded anew, at the time it had: gaps are filled with silence."""

    def __init__(self, stream: Stream, encoder: str) -> None:
        self.index = stream.index
        self._source: Any = stream
        self._encoder_name = encoder
        self._encoder: Any = None
        self._order: Order | None = None
        self._graph: Graph | None = None
        self._form: tuple[str, str, int] | None = None
        self._next: int | None = None

    def add_to(self, output: OutputContainer) -> None:
        decoder = self._source.codec_context
        if not decoder.is_open and layout_of(self._source) == "unnamed":
            name_layout(decoder)
        encoder = av.Codec(self._encoder_name, "w")
        rate = _nearest_rate(decoder.sample_rate, encoder.audio_rates)
        stream = cast(Any, output.add_stream(self._encoder_name, rate=rate))
        context = stream.codec_context
        context.format = _nearest_format(decoder.format.name, [item.name for item in encoder.audio_formats or []])
        context.layout = _layout(self._encoder_name, decoder.layout, context.format.name, rate)
        context.time_base = Fraction(1, rate)
        if encoder.lossy:
            context.bit_rate = _BITS_PER_CHANNEL * context.layout.nb_channels
        context.flags |= Flags.bitexact
        context.thread_count = 1
        describe_copy(self._source, stream)
        self._encoder = stream
        self._order = Order(output)

    def packets(self, packet: Packet | None) -> Iterator[Packet]:
        """The packets of the output; what cannot be decoded becomes silence."""
        frames: list[AudioFrame | None] = []
        try:
            for frame in self._source.codec_context.decode(packet):
                frames += self._resampled(frame)
        except av.FFmpegError:
            pass
        if packet is None:
            frames += [*self._drained(), None]
            self._source.codec_context.flush_buffers()
        for frame in frames:
            for coded in self._encoder.encode(frame):
                assert self._order is not None
                if self._order.arrange(coded, self._encoder):
                    yield coded

    def _resampled(self, frame: AudioFrame) -> list[AudioFrame]:
        """Samples as the encoder takes them, without gaps."""
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        drained: list[AudioFrame] = []
        if form != self._form:
            drained = self._drained()
            self._graph, self._form = self._new_graph(frame), form
        assert self._graph is not None
        self._graph.push(frame)
        return [*drained, *self._pulled()]

    def _new_graph(self, frame: AudioFrame) -> Graph:
        context = self._encoder.codec_context
        graph = Graph()
        source = graph.add_abuffer(
            format=frame.format,
            sample_rate=frame.sample_rate,
            layout=frame.layout,
            time_base=frame.time_base,
        )
        options = {"async": "1"}  # gaps of a tenth of a second and more are filled, sound over sound is cut
        if self._next is not None:  # counted in samples of the input
            options["first_pts"] = str(round(Fraction(self._next * frame.sample_rate, context.sample_rate)))
        resample = graph.add("aresample", sample_rate=str(context.sample_rate), **options)
        form = graph.add("aformat", sample_fmts=context.format.name, channel_layouts=context.layout.name)
        graph.link_nodes(source, resample, form, graph.add("abuffersink")).configure()
        return graph

    def _pulled(self) -> list[AudioFrame]:
        assert self._graph is not None
        frames: list[AudioFrame] = []
        while True:
            try:
                frame = cast(AudioFrame, self._graph.pull())
            except (av.error.BlockingIOError, av.error.EOFError):
                return frames
            # samples follow each other; what a decoder or the resampler held back has no time, or a wrong one
            frame.pts = (frame.pts or 0) if self._next is None else self._next
            self._next = frame.pts + frame.samples
            frames.append(frame)

    def _drained(self) -> list[AudioFrame]:
        """What the resampler holds back."""
        if self._graph is None:
            return []
        self._graph.push(None)
        frames = self._pulled()
        self._graph = self._form = None
        return frames


def _nearest_rate(rate: int, rates: list[int] | None) -> int:
    """The rate itself, else the next one above, else the highest."""
    if not rates or rate in rates:
        return rate
    return min((other for other in rates if other > rate), default=max(rates))


def _nearest_format(name: str, formats: list[str]) -> str:
    """Of an encoder's sample formats the source's, planar or not, else the next one that is finer, else the finest."""
    order = ["u8", "s16", "s32", "flt", "dbl"]
    ranks = {
        order.index(item.removesuffix("p")): item for item in reversed(formats) if item.removesuffix("p") in order
    }
    plain = name.removesuffix("p")
    finer = [rank for rank in ranks if plain not in order or rank >= order.index(plain)]
    return ranks[min(finer, default=max(ranks))]


def _layout(encoder: str, layout: Any, samples: str, rate: int) -> str:
    """The layout of the source, else the usual one of as many channels, else stereo: what the encoder takes."""
    for name in (layout.name, usual_layout(layout.nb_channels)):
        context = cast(AudioCodecContext, av.CodecContext.create(encoder, "w"))
        context.sample_rate, context.time_base = rate, Fraction(1, rate)
        context.format, context.layout = cast(Any, samples), cast(Any, name)
        try:
            context.open()
        except (av.FFmpegError, ValueError):
            continue
        return name
    return "stereo"
