# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Parts joined into the finished output with the source's time stamps, sound and whatever else it has.

Nothing is coded here: packets are copied, so that joining takes little time and the result depends on nothing but the
parts and the source.
"""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from seeclear.video.codecs import EncodeSettings
from seeclear.video.copying import SourceStreams
from seeclear.video.drafts import Draft
from seeclear.video.encode import PART_TIME_BASE
from seeclear.video.gif import write_gif
from seeclear.video.image_metadata import read_metadata
from seeclear.video.images import is_image
from seeclear.video.matroska import complete_track
from seeclear.video.mp4 import set_display_matrix
from seeclear.video.png import with_chunks
from seeclear.video.properties import VideoProperties
from seeclear.video.stills import encode_still, still_format
from seeclear.video.streams import FORMATS, png_names

# Tags that MP4 has places of its own for; any other one needs the list of free keys, which fewer players read.
_MP4_TAGS = {
    *("title", "artist", "album_artist", "composer", "album", "date", "comment", "genre", "copyright", "grouping"),
    *("lyrics", "description", "synopsis", "show", "episode_id", "network", "keywords", "track", "disc", "tmpo"),
    *("creation_time", "location", "timecode", "encoded_by", "make", "model", "compilation", "media_type"),
}


@dataclass(frozen=True)
class _Survey:
    """What a first look at the parts tells."""

    frames: tuple[int, ...]
    """Frames of each part."""
    delay: int
    """By how many packets the order of decoding may run ahead of the order of showing."""


def assemble(
    parts: Sequence[str | os.PathLike[str]],
    times: Sequence[tuple[int, int]],
    path: str | os.PathLike[str],
    source: str | os.PathLike[str] | None,
    properties: VideoProperties,
    settings: EncodeSettings | None = None,
    drop_unsupported: bool = False,
    names: Sequence[str] | None = None,
) -> None:
    """Joins parts into the output, which appears under its name when it is whole.

    Args:
        parts: made by `encode_part` with the same properties and settings, in order.
        times: (time stamp, duration) of every frame in units of `properties.time_base`, the stamps ascending.
        path: of the output; a file there is replaced, a folder must be empty.
        source: the video file whose sound, subtitles, chapters, attachments and metadata are copied; None or a folder
            or image gives an output without. Images made from images keep the colours and the EXIF of theirs.
        properties: of the output, from `output_properties`.
        settings: as given to `encode_part`.
        drop_unsupported: leave out sound and subtitles that the output cannot hold, which is an error otherwise.
        names: of the images of a folder, whose endings become .png; None numbers them.

    MP4 and MOV keep every time stamp exactly; Matroska and WebM have milliseconds and no time before 0, so that there
    all streams move together where one begins earlier, as the sound of MP4 does by some hundredths of a second.

    Raises:
        ValueError: parts and times do not agree, parts are damaged or of different settings, the source is damaged, or
            the output cannot be written or cannot hold a stream.
    """
    path = Path(path)
    files = [Path(part) for part in parts]
    if not files:
        raise ValueError(f"{path}: `parts` must have at least one part, but is empty.")
    if any(later[0] <= earlier[0] for earlier, later in zip(times, times[1:], strict=False)):
        raise ValueError(f"{path}: the time stamps in `times` must ascend, but do not.")
    with _explained(path):
        if properties.kind == "video":
            _assemble_video(files, times, path, None if source is None else Path(source), properties, drop_unsupported)
        elif properties.kind == "gif":
            _assemble_gif(files, times, path, properties)
        else:
            _assemble_images(files, times, path, properties, names, None if source is None else Path(source))


def assemble_from_zero(part: Path, frames: int, path: Path, source: Path | None, properties: VideoProperties) -> None:
    """One part of frames at a constant rate from time 0 on; sound of the source moves by what its frames move."""
    times = [(index, 1) for index in range(frames)]
    with _explained(path):
        _assemble_video([part], times, path, source, properties, False, from_zero=True)


# Videos


def _assemble_video(
    parts: Sequence[Path],
    times: Sequence[tuple[int, int]],
    path: Path,
    source: Path | None,
    properties: VideoProperties,
    drop_unsupported: bool,
    from_zero: bool = False,
) -> None:
    survey = _survey(parts, times)
    suffix = path.suffix.lower()
    draft = Draft(path)
    with contextlib.ExitStack() as stack:
        stack.callback(draft.discard)
        others: SourceStreams | None = None
        if source is not None and source.is_file() and not is_image(source):
            others = stack.enter_context(SourceStreams(source, path, drop_unsupported, from_zero))
        template = stack.enter_context(av.open(os.path.abspath(parts[0])))
        output = av.open(
            os.path.abspath(draft.path),
            "w",
            format=FORMATS[suffix],
            container_options=_container_options(suffix, properties, others.tags if others else {}),
        )
        with output:
            video = _add_video(output, template.streams.video[0], suffix, properties, others)
            if others is not None:
                others.add_to(output)
            shift = others.shift if others is not None else Fraction(0)
            for packet in _video_packets(parts, times, survey, properties.time_base, shift):
                if others is not None:
                    for other in others.until(cast(int, packet.dts) * properties.time_base):
                        output.mux(other)
                packet.stream = video
                output.mux(packet)
            if others is not None:
                for other in others.until(None):
                    output.mux(other)
        _finish(draft.path, suffix, properties)
        draft.publish()


def _container_options(suffix: str, properties: VideoProperties, tags: dict[str, str]) -> dict[str, str]:
    options = {"fflags": "+bitexact"}  # no random numbers, no date
    if suffix in (".mp4", ".mov"):
        options["movflags"] = "+faststart"
        if not {tag.partition("-")[0] for tag in tags} <= _MP4_TAGS:
            options["movflags"] += "+use_metadata_tags"
        scale = properties.time_base.denominator
        if scale < 1 << 31:
            options["video_track_timescale"] = options["movie_timescale"] = str(scale)
    return options


def _add_video(
    output: OutputContainer,
    template: VideoStream,
    suffix: str,
    properties: VideoProperties,
    others: SourceStreams | None,
) -> VideoStream:
    video = output.add_stream_from_template(template, opaque=True)
    video.time_base = properties.time_base
    if properties.sample_aspect_ratio is not None:
        video.codec_context.sample_aspect_ratio = properties.sample_aspect_ratio
    if properties.codec == "hevc" and suffix in (".mp4", ".mov"):
        video.codec_context.codec_tag = "hvc1"  # the one Apple's players ask for
    if others is not None:
        video.metadata.update(others.video_tags)
        video.disposition = others.video_disposition
    if properties.has_alpha and properties.codec == "vp9":
        video.metadata["alpha_mode"] = "1"
    return video


def _finish(path: Path, suffix: str, properties: VideoProperties) -> None:
    """Adds what PyAV cannot write to the finished file."""
    if suffix in (".mp4", ".mov"):
        if properties.display_matrix is not None:
            set_display_matrix(path, properties.display_matrix)
        return
    complete_track(
        path,
        sample_aspect_ratio=properties.sample_aspect_ratio,
        fps=properties.fps,
        rotation=properties.rotation,
    )


def _survey(parts: Sequence[Path], times: Sequence[tuple[int, int]]) -> _Survey:
    """Looks through the packets of all parts, and compares them with each other and with the number of frames."""
    frames: list[int] = []
    delay = 0
    extradata: bytes | None = None
    for part in parts:
        with av.open(os.path.abspath(part)) as container:
            stream = container.streams.video[0]
            if not frames:
                extradata = stream.codec_context.extradata
            elif stream.codec_context.extradata != extradata:
                raise ValueError(f"{part}: the part was coded by other settings than {parts[0]}.")
            order = [_index(packet) for packet in container.demux(stream) if packet.size]
        if not order or sorted(order) != list(range(len(order))):
            raise ValueError(f"{part}: the part is damaged.")
        delay = max([delay, *(place - index for place, index in enumerate(order))])
        frames.append(len(order))
    if sum(frames) != len(times):
        raise ValueError(f"`times` must have one entry for each of the {sum(frames)} frames, but has {len(times)}.")
    return _Survey(tuple(frames), delay)


def _index(packet: Packet) -> int:
    """Number of a packet's frame in its part."""
    if packet.pts is None:
        return -1
    return round(packet.pts * packet.time_base / PART_TIME_BASE)


def _video_packets(
    parts: Sequence[Path], times: Sequence[tuple[int, int]], survey: _Survey, base: Fraction, shift: Fraction
) -> Iterator[Packet]:
    """The packets of all parts with the time stamps of `times`, `shift` seconds earlier.

    Packet k in the order of decoding is decoded when frame k - delay is shown, which is never after its own time. The
    first ones, for which there is no such frame, are decoded at even steps before the first.
    """
    step = max(1, times[0][1])
    moved = round(shift / base)
    place = start = 0
    for part, frames in zip(parts, survey.frames, strict=True):
        with av.open(os.path.abspath(part)) as container:
            for packet in container.demux(video=0):
                if not packet.size:
                    continue
                pts, duration = times[start + _index(packet)]
                earlier = place - survey.delay
                dts = times[earlier][0] if earlier >= 0 else times[0][0] + earlier * step
                packet.time_base = base
                packet.pts, packet.dts, packet.duration = pts - moved, dts - moved, duration
                yield packet
                place += 1
        start += frames


# Images


def _assemble_images(
    parts: Sequence[Path],
    times: Sequence[tuple[int, int]],
    path: Path,
    properties: VideoProperties,
    names: Sequence[str] | None,
    source: Path | None,
) -> None:
    if properties.kind == "image":
        if len(times) != 1:
            raise ValueError(f"{path}: an image holds one frame, but there are {len(times)}.")
        images = [""]
    elif names is None:
        images = [f"{index:06d}.png" for index in range(len(times))]
    else:
        images = png_names(list(names))
    originals: list[Path] = []  # of which the images are made, if they are made of images
    if names is not None and source is not None:
        originals = [source / name for name in names] if source.is_dir() else [source]
    draft = Draft(path, folder=properties.kind == "folder")
    try:
        place = 0
        for archive, entry in _entries(parts):
            if place < len(images):
                target = draft.path / images[place] if images[place] else draft.path
                chunks = read_metadata(originals[place]).as_chunks() if place < len(originals) else []
                png = with_chunks(archive.read(entry), chunks)
                target.write_bytes(png if still_format(path) is None else encode_still(png, path))
            place += 1
        if place != len(images) or place != len(times):
            raise ValueError(f"{path}: there are {place} frames for {len(images)} `names` and {len(times)} `times`.")
        draft.publish()
    finally:
        draft.discard()


def _assemble_gif(
    parts: Sequence[Path], times: Sequence[tuple[int, int]], path: Path, properties: VideoProperties
) -> None:
    ends = [round((pts + duration - times[0][0]) * properties.time_base * 100) for pts, duration in times]
    delays = [max(1, end - start) for start, end in zip([0, *ends], ends, strict=False)]
    draft = Draft(path)
    try:
        data = (archive.read(entry) for archive, entry in _entries(parts))
        with draft.path.open("wb") as file:
            size = (properties.height, properties.width)
            write_gif(file, zip(data, delays, strict=True), size, properties.loop)
        draft.publish()
    except ValueError as error:
        raise ValueError(f"{path}: cannot be written: {error}") from error
    finally:
        draft.discard()


def _entries(parts: Sequence[Path]) -> Iterator[tuple[zipfile.ZipFile, zipfile.ZipInfo]]:
    """Each image of each part."""
    for part in parts:
        try:
            with zipfile.ZipFile(part) as archive:
                for entry in archive.infolist():
                    yield archive, entry
        except (zipfile.BadZipFile, EOFError) as error:
            raise ValueError(f"{part}: the part is damaged ({error}).") from error


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        raise ValueError(f"{path}: cannot be written ({error.strerror}).") from error
