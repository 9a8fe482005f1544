# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Which sound, subtitles and other streams of a video go along into the output, each tried with the container."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from seeclear.video.channel_layouts import layout_of
from seeclear.video.codecs import output_kind
from seeclear.video.container import open_container, video_stream
from seeclear.video.demuxing import arbitrary_start
from seeclear.video.samples import Samples, take_samples
from seeclear.video.sound import EncodedTrack, check_audio, encoder_name, encoders_for
from seeclear.video.tracks import COVER_TYPES, CopiedTrack, CoverTrack, Track, move, name_layout

# FFmpeg's name of the container for each ending.
FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}

_SKIP_MANUAL = 1 << 29
"""FFmpeg's flag with which a decoder gives all samples, also those that the container says are not to be played."""


_ROUNDING = 2**-12
"""Of samples, between decoders with whole numbers and with floats."""


@dataclass(frozen=True)
class StreamPlan:
    """What becomes of the streams beside the pictures."""

    copied: tuple[int, ...]
    """Indices of those that are copied."""
    encoded: tuple[tuple[int, str], ...]
    """Index and encoder of each sound that is coded anew."""
    covers: tuple[int, ...]
    """Indices of the attached pictures that are kept."""
    refused: tuple[str, ...]
    """A sentence for each sound or subtitle stream that the output cannot hold."""
    notes: tuple[str, ...]
    """A sentence for each stream that is changed or left out otherwise."""

    @property
    def indices(self) -> list[int]:
        """Of all streams that go along."""
        return sorted([*self.copied, *(index for index, _ in self.encoded), *self.covers])

    def tracks(self, container: InputContainer, samples: Samples) -> list[Track]:
        """The streams that go along, in their order in the source."""
        found: list[Track] = [CopiedTrack(container.streams[index]) for index in self.copied]
        found += [EncodedTrack(container.streams[index], encoder) for index, encoder in self.encoded]
        found += [CoverTrack(container.streams[index], next(samples.of(index))) for index in self.covers]
        return sorted(found, key=lambda track: track.index)


def plan_streams(source: Path, path: Path, audio: str = "copy") -> StreamPlan:
    """Which streams of the video file `source` the output `path` can hold, each tried with the container itself."""
    with open_container(source) as container:
        upscaled = video_stream(container, source)
        return plan_of_container(container, take_samples(container, upscaled), source, path, audio)


def plan_of_container(
    container: InputContainer, samples: Samples, source: Path, path: Path, audio: str = "copy"
) -> StreamPlan:
    """The same for a video file that is open.

    Args:
        container: of `source`.
        samples: of it.
        source: the video file.
        path: of the output.
        audio: see [`EncodeSettings`].

    Raises:
        ValueError: `audio` is none of its values.
    """
    check_audio(audio)
    planner = _Planner(container, samples, source, path, audio)
    upscaled = video_stream(container, source)
    for stream in container.streams:
        if stream.index != upscaled.index:
            planner.decide(stream)
    return StreamPlan(
        tuple(planner.copied),
        tuple(planner.encoded),
        tuple(planner.covers),
        tuple(planner.refused),
        tuple(planner.notes),
    )


@dataclass(frozen=True)
class _Sound:
    """What a sound is when it is decoded.

    Attributes:
        samples: (samples, channels).
        forms: sample format, number of channels and rate, several where they change.
    """

    samples: np.ndarray
    forms: frozenset[tuple[str, int, int]]


class _Planner:
    """Decides stream by stream."""

    def __init__(self, container: InputContainer, samples: Samples, source: Path, path: Path, audio: str) -> None:
        self.copied: list[int] = []
        self.encoded: list[tuple[int, str]] = []
        self.covers: list[int] = []
        self.refused: list[str] = []
        self.notes: list[str] = []
        self._sounds: dict[int, _Sound] = {}
        self._container, self._samples, self._source, self._path, self._audio = container, samples, source, path, audio
        self._suffix = path.suffix.lower() if output_kind(path) == "video" else ""

    def decide(self, stream: Stream) -> None:
        """Puts a stream into one of the lists."""
        what = _describe(stream)
        if stream.type == "audio" and self._audio == "none":
            return
        if stream.type == "video":
            self._decide_picture(stream, what)
        elif stream.type == "audio" and stream.index not in self._samples.first:
            self.notes.append(f"{self._path}: the sound {what} of {self._source} has no packets and is left out.")
        elif stream.type in ("audio", "subtitle") and not self._suffix:
            name = "sound" if stream.type == "audio" else "subtitles"
            self.notes.append(f"{self._path}: the {name} {what} of {self._source} is left out, as images have none.")
        elif stream.type == "audio":
            self._decide_sound(stream, what)
        elif _is_timecode(stream) or _is_chapter_text(self._container, stream):
            return  # kept as a tag and as chapters, of which the muxer makes such streams
        elif self._suffix and self._holds(self._suffix, stream):
            self.copied.append(stream.index)
        elif stream.type == "subtitle":
            others = [other for other in FORMATS if other != self._suffix and self._holds(other, stream)]
            advice = f"{' or '.join(others)} can" if others else "no container written here can"
            self.refused.append(
                f"{self._path}: a {self._suffix} file cannot hold the subtitles {what} of {self._source}; {advice}."
            )
        else:
            self.notes.append(f"{self._path}: the {stream.type} stream {what} of {self._source} is left out.")

    def _decide_picture(self, stream: Stream, what: str) -> None:
        if Disposition.attached_pic not in stream.disposition:
            self.notes.append(f"{self._path}: the further video stream {what} of {self._source} is left out.")
        elif self._suffix and self._keeps_cover(stream):
            self.covers.append(stream.index)
        else:
            self.notes.append(f"{self._path}: the cover image {what} of {self._source} is left out.")

    def _sound(self, stream: Stream) -> _Sound:
        """What a sound's first packets give, decoded once: a decoder that was used does not begin quite anew."""
        if stream.index not in self._sounds:
            if layout_of(stream) == "unnamed":
                name_layout(cast(Any, stream).codec_context)
            packets = list(self._samples.of(stream.index))
            count = len(self._samples.first[stream.index])
            sound, end = _decoded(stream, packets[:count]), _decoded(stream, packets[count:])
            self._sounds[stream.index] = _Sound(sound.samples, sound.forms | end.forms)
        return self._sounds[stream.index]

    def _decide_sound(self, stream: Stream, what: str) -> None:
        can_decode = _can_decode(stream)
        if can_decode:
            self._sound(stream)
        if self._audio == "copy" and self._holds(self._suffix, stream):
            self.copied.append(stream.index)
            return
        encoders = encoders_for(stream, self._suffix, self._audio) if can_decode else ()
        for encoder in encoders:
            if self._tried(FORMATS[self._suffix], EncodedTrack(stream, encoder)):
                self.encoded.append((stream.index, encoder))
                break
        else:
            self.refused.append(
                f"{self._path}: a {self._suffix} file cannot hold the sound {what} of {self._source}, and it cannot "
                'be coded anew; `audio` "none" leaves it out.'
            )
            return
        if self._audio == "copy":
            others = [other for other in FORMATS if other != self._suffix and self._holds(other, stream)]
            advice = f"; {' or '.join(others)} can" if others else ""
            self.notes.append(
                f"{self._path}: the sound {what} of {self._source} is coded anew ({encoder_name(encoder)}), as a "
                f"{self._suffix} file cannot hold it as it is{advice}."
            )

    def _holds(self, suffix: str, stream: Stream) -> bool:
        """Whether a container takes a stream as it is; asked by writing its first and last packets into memory."""
        if stream.type == "attachment":  # FFmpeg leaves them out of any other without a word
            return suffix == ".mkv"
        written = self._tried(FORMATS[suffix], CopiedTrack(stream))
        return written is not None and (stream.type == "subtitle" or self._is_same(stream, written))

    def _keeps_cover(self, stream: Stream) -> bool:
        """Whether the picture is in a file that is written with it; MOV takes it and leaves it out."""
        if stream.index not in self._samples.first or cast(Any, stream).codec_context is None:
            return False
        if self._suffix == ".mkv":  # an attachment, which makes no file alone
            return cast(Any, stream).codec_context.codec.canonical_name in COVER_TYPES
        picture = next(self._samples.of(stream.index))
        written = self._tried(FORMATS[self._suffix], CoverTrack(stream, picture))
        if written is None:
            return False
        with contextlib.suppress(av.FFmpegError), av.open(io.BytesIO(written), "r") as container:
            return [bytes(packet) for packet in container.demux() if packet.size] == [bytes(picture)]
        return False

    def _tried(self, container_format: str, track: Track) -> bytes | None:
        """A file with one stream: its head, its sampled packets and its end; None if it cannot be written."""
        file = io.BytesIO()
        output = av.open(file, "w", format=container_format, container_options={"fflags": "+bitexact"})
        written = failed = 0
        try:
            track.add_to(output)
            output.start_encoding()
            for packet in [*self._samples.of(track.index), None]:
                if packet is not None:
                    move(packet, -arbitrary_start(self._container))
                try:
                    for item in track.packets(packet):
                        output.mux(item)
                        written += 1
                except (av.error.InvalidDataError, av.error.ArgumentError):
                    failed += 1
            output.close()
        except (av.FFmpegError, ValueError):
            return None
        finally:
            with contextlib.suppress(av.FFmpegError, ValueError):  # an end without packets may be refused
                output.close()
        sound_is_missing = isinstance(track, EncodedTrack) and not written
        return None if failed > written // 2 or sound_is_missing else file.getvalue()

    def _is_same(self, stream: Stream, written: bytes) -> bool:
        """Whether what was written gives the same sound, or the same packets of data, as the source."""
        packets = list(self._samples.of(stream.index))
        with contextlib.suppress(av.FFmpegError), av.open(io.BytesIO(written), "r") as container:
            copies = [copy for copy in container.streams if copy.type == stream.type]
            if len(copies) != 1:
                return False
            after = [packet for packet in container.demux(copies) if packet.size]
            if stream.type == "data" and (stream.name is None or copies[0].name != stream.name):
                return False  # FFmpeg writes data of which it knows no name without saying what it is
            if stream.type != "audio" or not _can_decode(stream):
                return b"".join(map(bytes, after)) == b"".join(map(bytes, packets))
            if not _can_decode(copies[0]):
                return False
            before, found = self._sound(stream), _decoded(copies[0], after)
            return len(before.forms) < 2 and _sounds_equal(before.samples, found.samples)
        return False


def _sounds_equal(expected: np.ndarray, found: np.ndarray) -> bool:
    """Whether samples begin with those that are expected; exactly so, unless another decoder of the codec was used."""
    if found.dtype == expected.dtype:
        return np.array_equal(found[: len(expected)], expected)
    found, expected = _as_floats(found), _as_floats(expected)
    return found.shape >= expected.shape and np.allclose(found[: len(expected)], expected, atol=_ROUNDING)


def _can_decode(stream: Stream) -> bool:
    """Whether PyAV decodes a sound, without harm."""
    return cast(Any, stream).codec_context is not None and layout_of(stream) != "own"


def _decoded(stream: Stream, packets: list[Packet]) -> _Sound:
    """All samples of some packets, whatever the container says of which are to be played."""
    context = cast(AudioCodecContext, cast(Any, stream).codec_context)
    flags = context.flags2
    context.flags2 = flags | _SKIP_MANUAL
    parts: list[np.ndarray] = []
    forms: set[tuple[str, int, int]] = set()
    for packet in packets:
        with contextlib.suppress(av.FFmpegError):
            for frame in context.decode(packet):
                forms.add((frame.format.name, frame.layout.nb_channels, frame.sample_rate))
                # one plane for all channels: PyAV 18 reads beyond the planes of eight
                for part in av.AudioResampler(format=frame.format.packed).resample(frame):
                    parts.append(part.to_ndarray().reshape(-1, part.layout.nb_channels))
    context.flush_buffers()
    context.flags2 = flags
    same = [part for part in parts if part.shape[1:] == parts[0].shape[1:]]
    return _Sound(np.concatenate(same) if same else np.empty((0, 0)), frozenset(forms))


def _as_floats(samples: np.ndarray) -> np.ndarray:
    """Samples in [-1, 1]."""
    if samples.dtype.kind != "i":
        return samples.astype(np.float32)
    return samples.astype(np.float32) / np.float32(-np.iinfo(samples.dtype).min)


def _is_timecode(stream: Stream) -> bool:
    """Whether it is the track in which MP4 and MOV keep the time code, which is also a tag."""
    return stream.type == "data" and "timecode" in stream.metadata


def _is_chapter_text(container: InputContainer, stream: Stream) -> bool:
    """Whether it is the text track in which MP4 keeps the chapters, which are copied as chapters."""
    return stream.type == "data" and bool(container.chapters()) and "mp4" in container.format.name.split(",")


def _describe(stream: Stream) -> str:
    """Such as "#2 (aac, deu)"."""
    context = getattr(stream, "codec_context", None)
    name = context.name if context is not None else getattr(stream, "name", None)
    words = [word for word in (name, stream.metadata.get("language")) if word and word != "und"]
    return f"#{stream.index}" + (f" ({', '.join(words)})" if words else "")
