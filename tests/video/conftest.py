# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Small synthetic videos of many kinds, and a probe that tells what is in a file without the code under test."""

import io
import json
import shutil
import subprocess
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from seeclear.video import (
    EncodeSettings,
    VideoProperties,
    VideoReader,
    assemble,
    check_output,
    encode_part,
    output_properties,
)
from seeclear.video.excerpt import WHOLE, Excerpt

MakeVideo = Callable[..., Path]

# ISO/IEC 23091-2: numbers of the names that ffprobe prints.
_MATRICES = {"bt709": 1, "bt470bg": 5, "smpte170m": 6, "bt2020nc": 9, "gbr": 0}
_PRIMARIES = {"bt709": 1, "bt470bg": 5, "smpte170m": 6, "bt2020": 9}
_TRANSFERS = {"bt709": 1, "smpte170m": 6, "iec61966-2-1": 13, "bt2020-10": 14, "smpte2084": 16}
_RANGES = {"tv": 1, "pc": 2}


def gradients(num_frames: int, height: int, width: int) -> np.ndarray:
    """Moving gradients, uint8 (F, H, W, 3): brightness goes to the right, colour downwards."""
    f, y, x = np.mgrid[:num_frames, :height, :width]
    bright = x * 90 / width + 9 * f
    frames = np.stack([bright + y * 60 / height, bright + 90 - y * 50 / height, bright + 40], axis=-1)
    return (frames + 16).clip(0, 255).astype(np.uint8)


def write_video(
    path: Path,
    num_frames: int = 7,
    size: tuple[int, int] = (24, 32),
    fps: Fraction = Fraction(25),
    video_codec: str = "libx264",
    sound_codecs: tuple[str, ...] = ("aac",),
    options: dict[str, str] | None = None,
    tags: dict[str, int] | None = None,
    pixel_format: str = "yuv420p",
    codec_options: dict[str, str] | None = None,
    times: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    stream_tags: dict[str, str] | None = None,
    sound_tags: Sequence[dict[str, str]] = (),
    subtitles: Sequence[tuple[int, int, str]] = (),
    chapters: Sequence[tuple[int, int, str]] = (),
    metadata: dict[str, str] | None = None,
    attachment: bytes | None = None,
    alpha: bool = False,
    dispositions: Sequence[int] = (),
    display_matrix: Sequence[int] | None = None,
    layout: str = "mono",
    rate: int = 48000,
    container_format: str | None = None,
) -> Path:
    """A video of `gradients` (height, width = `size`) and a sine of the video's length for each sound codec.

    Times of subtitles and chapters are in milliseconds; subtitles are mov_text in .mp4 and .mov, else SubRip. With
    `alpha` the left half of each frame is transparent.
    """
    base = time_base or 1 / fps
    with av.open(str(path), "w", container_format, container_options=options or {}) as container:
        container.metadata.update(metadata or {})
        video = container.add_stream(video_codec, rate=fps, options=codec_options or {})
        video.height, video.width, video.pix_fmt = *size, pixel_format
        video.metadata.update(stream_tags or {})
        if time_base is not None:
            video.codec_context.time_base = time_base
        for name, value in (tags or {}).items():
            setattr(video.codec_context, name, value)
        video.set_display_matrix(display_matrix)
        needs = {"wmav1": {"bit_rate": 128_000}, "wmav2": {"bit_rate": 128_000}}
        sounds = [
            container.add_stream(codec, rate=rate, layout=layout, **needs.get(codec, {})) for codec in sound_codecs
        ]
        for sound, own in zip(sounds, sound_tags, strict=False):
            sound.metadata.update(own)
        for sound, disposition in zip(sounds, dispositions, strict=False):
            sound.disposition = disposition
        texts = _subtitle_stream(container, path, subtitles) if subtitles else None
        if attachment is not None:
            container.add_attachment("letters.ttf", "application/x-truetype-font", attachment)
        if chapters:
            container.set_chapters(
                [
                    {"id": index, "start": a, "end": b, "time_base": Fraction(1, 1000), "metadata": {"title": title}}
                    for index, (a, b, title) in enumerate(chapters)
                ]
            )
        samples = round(num_frames / fps * rate)
        tone = (0.3 * np.sin(np.arange(samples) * 2 * np.pi * 440 / rate)).astype(np.float32)
        for index, pixels in enumerate(gradients(num_frames, *size)):
            frame = _picture(pixels, pixel_format, alpha)
            for name, value in (tags or {}).items():
                if name.startswith("color"):
                    setattr(frame, name, value)
            frame.pts, frame.time_base = index if times is None else times[index], base
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for start, end, text in subtitles:
            data = text.encode()
            packet = av.Packet(data if path.suffix == ".mkv" else len(data).to_bytes(2, "big") + data)
            packet.pts = packet.dts = start
            packet.duration, packet.time_base, packet.stream = end - start, Fraction(1, 1000), texts
            container.mux(packet)
        for sound in sounds:
            block = av.AudioFrame.from_ndarray(tone[None], format="flt", layout="mono")
            block.sample_rate, block.pts, block.time_base = rate, 0, Fraction(1, rate)
            fifo = av.AudioFifo()
            resampler = av.AudioResampler(format=sound.codec_context.format, layout=layout, rate=rate)
            for converted in resampler.resample(block):
                fifo.write(converted)
            for part in fifo.read_many(sound.codec_context.frame_size or 1024, partial=True):
                container.mux(sound.encode(part))
            container.mux(sound.encode(None))
    return path


def _picture(pixels: np.ndarray, pixel_format: str, alpha: bool) -> av.VideoFrame:
    if not alpha:
        return av.VideoFrame.from_ndarray(pixels, format="rgb24")
    opaque = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    opaque[:, : pixels.shape[1] // 2] = 0
    frame = av.VideoFrame.from_ndarray(np.concatenate([pixels, opaque], axis=-1), format="rgba")
    return frame.reformat(format=pixel_format)


def _subtitle_stream(container: Any, path: Path, subtitles: Sequence[tuple[int, int, str]]) -> Any:
    if path.suffix == ".mkv":
        text = io.BytesIO(b"1\n00:00:00,000 --> 00:00:00,001\nnone\n\n")
        with av.open(text, format="srt") as template:
            stream = container.add_stream_from_template(template.streams.subtitles[0])
    else:
        stream = container.add_mux_stream("mov_text", time_base=Fraction(1, 1000))
    stream.metadata["language"] = "fra"
    return stream


@pytest.fixture
def make_video(tmp_path: Path) -> MakeVideo:
    """`make_video("a.mp4", num_frames=7, ...)` writes a video into the test's folder and returns its path."""
    return lambda name="in.mp4", **settings: write_video(tmp_path / name, **settings)


@pytest.fixture
def frames() -> Callable[..., np.ndarray]:
    """`frames(num_frames, height, width)`: moving colour gradients, uint8 (F, H, W, 3)."""
    return gradients


def upscale_file(
    source: Path,
    target: Path,
    settings: EncodeSettings | None = None,
    scale: int = 4,
    parts: int = 2,
    excerpt: Excerpt = WHOLE,
    **options: Any,
) -> tuple[list[np.ndarray], VideoProperties]:
    """Repeats every pixel, in several parts. Returns the frames written, (H, W, 3) or with alpha (H, W, 4)."""
    with VideoReader(source, excerpt=excerpt) as reader:
        size = (scale * reader.height, scale * reader.width)
        check_output(target, reader.properties, settings, size, **options)
        properties = output_properties(reader.properties, target, size, settings)
        frames = list(reader.frames())
        enlarged = [(_repeat(frame.rgb, scale), _repeat(frame.alpha, scale)) for frame in frames]
        bounds = [len(frames) * part // parts for part in range(parts + 1)]
        files = []
        for index, (start, end) in enumerate(zip(bounds, bounds[1:], strict=False)):
            if start < end:
                files.append(target.parent / f"part{index}")
                assert encode_part(files[-1], enlarged[start:end], properties, settings) == end - start
        times = [(frame.pts, frame.duration) for frame in frames]
        assemble(files, times, target, source, properties, settings, names=reader.names, excerpt=excerpt, **options)
        for file in files:
            file.unlink()
    return [rgb if alpha is None else np.dstack([rgb, alpha]) for rgb, alpha in enlarged], properties


def _repeat(pixels: np.ndarray | None, scale: int) -> np.ndarray | None:
    return None if pixels is None else pixels.repeat(scale, 0).repeat(scale, 1)


@dataclass
class Sound:
    """A sound as it is decoded."""

    codec: str
    samples: np.ndarray
    """(samples, channels)"""
    start: Fraction
    """Seconds."""
    rate: int

    @property
    def seconds(self) -> Fraction:
        return Fraction(len(self.samples), self.rate)


def decode_sounds(path: Path) -> list[Sound]:
    """Every sound of a file, decoded by PyAV."""
    sounds = []
    with av.open(str(path)) as container:
        count = len(container.streams.audio)
    for index in range(count):
        with av.open(str(path)) as container:
            stream = container.streams.audio[index]
            parts, start = [], None
            for frame in container.decode(stream):
                if start is None and frame.pts is not None:
                    start = frame.pts * frame.time_base
                for part in av.AudioResampler(format=frame.format.packed).resample(frame):
                    parts.append(part.to_ndarray().reshape(-1, part.layout.nb_channels))
            context = stream.codec_context
            sounds.append(Sound(context.codec.canonical_name, np.concatenate(parts), start or 0, context.sample_rate))
    return sounds


@pytest.fixture
def sounds() -> Callable[[Path], list[Sound]]:
    """`sounds(path)`: see `decode_sounds`."""
    return decode_sounds


def read_file(path: Path) -> list[np.ndarray]:
    with VideoReader(path) as reader:
        frames = list(reader.frames())
    return [frame.rgb if frame.alpha is None else np.dstack([frame.rgb, frame.alpha]) for frame in frames]


def check_close(seen: list[np.ndarray], expected: list[np.ndarray], tolerance: float = 2 / 255) -> None:
    """As many frames, each near to the one written at its place and nearest to that one, the mean colour kept."""
    assert [frame.shape for frame in seen] == [frame.shape for frame in expected]
    errors = np.array([[np.abs(a - b).mean() for b in expected] for a in seen])
    assert errors.diagonal().max() < tolerance
    assert errors.argmin(1).tolist() == list(range(len(seen)))
    assert np.abs(np.mean(seen, (0, 1, 2)) - np.mean(expected, (0, 1, 2))).max() < 0.6 / 255


@pytest.fixture
def upscale() -> Callable[..., tuple[list[np.ndarray], VideoProperties]]:
    """`upscale(source, target, settings, scale=4, parts=2)`: see `upscale_file`."""
    return upscale_file


@pytest.fixture
def read() -> Callable[[Path], list[np.ndarray]]:
    """`read(path)`: all frames, (H, W, 3) or with alpha (H, W, 4)."""
    return read_file


@pytest.fixture
def assert_close() -> Callable[..., None]:
    """`assert_close(seen, expected, tolerance=2 / 255)`: see `check_close`."""
    return check_close


@dataclass
class ProbedStream:
    """A stream as a probe sees it."""

    type: str
    codec: str
    tags: dict[str, str]
    packets: list[tuple[Fraction, int]] = field(default_factory=list)
    """(time in seconds, CRC-32) of every packet."""


@dataclass
class Probe:
    """A video file as a probe sees it."""

    size: tuple[int, int]
    """(width, height)"""
    codec: str
    pix_fmt: str
    ratio: Fraction | None
    rotation: int
    colors: tuple[int, int, int, int]
    """Range, matrix, primaries, transfer."""
    times: list[Fraction]
    """Time of every frame in seconds."""
    others: list[ProbedStream]
    """Sound, subtitles and attachments, in order."""
    chapters: list[tuple[Fraction, Fraction, str]]
    tags: dict[str, str]


def probe_file(path: Path) -> Probe:
    """What is in a file: by ffprobe where it is installed, else by PyAV alone."""
    return _by_ffprobe(path) if shutil.which("ffprobe") else _by_pyav(path)


@pytest.fixture
def probe() -> Callable[[Path], Probe]:
    """`probe(path)` tells what is in a video file, without the code under test."""
    return probe_file


def _by_ffprobe(path: Path) -> Probe:
    arguments = ["-show_streams", "-show_packets", "-show_frames", "-show_chapters", "-show_format"]
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_data_hash", "crc32", *arguments, str(path)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    streams = found["streams"]
    video = next(stream for stream in streams if stream["codec_type"] == "video")
    base = Fraction(video["time_base"])
    mixed = found.get("packets_and_frames", [])
    frames = [item for item in mixed if item["type"] == "frame" and item["stream_index"] == video["index"]]
    others = {}
    for stream in streams:
        if stream["codec_type"] in ("audio", "subtitle", "attachment"):
            others[stream["index"]] = ProbedStream(
                stream["codec_type"], stream.get("codec_name", ""), _plain(stream.get("tags", {}))
            )
    for item in mixed:
        if item["type"] == "packet" and item["stream_index"] in others:
            time = int(item["pts"]) * Fraction(streams[item["stream_index"]]["time_base"])
            others[item["stream_index"]].packets.append((time, int(item["data_hash"].partition(":")[2], 16)))
    ratio = Fraction(video.get("sample_aspect_ratio", "0:1").replace(":", "/"))
    first = frames[0]
    return Probe(
        size=(video["width"], video["height"]),
        codec=video["codec_name"],
        pix_fmt=first["pix_fmt"].replace("yuvj", "yuv"),
        ratio=ratio or None,
        rotation=next((int(data["rotation"]) for data in video.get("side_data_list", []) if "rotation" in data), 0),
        colors=(
            _RANGES.get(first.get("color_range", ""), 0),
            _MATRICES.get(first.get("color_space", ""), 2),
            _PRIMARIES.get(first.get("color_primaries", ""), 2),
            _TRANSFERS.get(first.get("color_transfer", ""), 2),
        ),
        times=[int(frame["pts"]) * base for frame in frames],
        others=list(others.values()),
        chapters=[
            (
                chapter["start"] * Fraction(chapter["time_base"]),
                chapter["end"] * Fraction(chapter["time_base"]),
                chapter["tags"]["title"],
            )
            for chapter in found["chapters"]
        ],
        tags=_plain(found["format"].get("tags", {})),
    )


def _by_pyav(path: Path) -> Probe:
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        streams = [stream for stream in container.streams if stream.type in ("audio", "subtitle", "attachment")]
        others = {
            stream.index: ProbedStream(
                stream.type,
                stream.codec_context.codec.canonical_name if stream.codec_context else "",
                _plain(stream.metadata),
            )
            for stream in streams
        }
        for packet in container.demux([stream for stream in streams if stream.type != "attachment"] or [video]):
            if packet.size and packet.stream.index in others:
                others[packet.stream.index].packets.append((packet.pts * packet.time_base, zlib.crc32(bytes(packet))))
        chapters = [
            (
                chapter["start"] * chapter["time_base"],
                chapter["end"] * chapter["time_base"],
                chapter["metadata"]["title"],
            )
            for chapter in container.chapters()
        ]
        tags = _plain(container.metadata)
        ratio = video.sample_aspect_ratio
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    first = frames[0]
    return Probe(
        size=(first.width, first.height),
        codec=video.codec_context.codec.canonical_name,
        pix_fmt=first.format.name.replace("yuvj", "yuv"),
        ratio=ratio or None,
        rotation=first.rotation,
        colors=(int(first.color_range), int(first.colorspace), int(first.color_primaries), int(first.color_trc)),
        times=[frame.pts * frame.time_base for frame in frames],
        others=list(others.values()),
        chapters=chapters,
        tags=tags,
    )


def _plain(tags: dict[str, str]) -> dict[str, str]:
    """Tags by lower-case names, as Matroska writes them in upper case, without those of the writing program."""
    own = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration", "handler_name", "vendor_id"}
    return {name.lower(): value for name, value in tags.items() if name.lower() not in own}
