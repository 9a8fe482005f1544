# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Parts joined into the finished output with the source's time stamps, sound and whatever else it has.

Nothing is coded here: packets are copied, so that joining takes little time and the result depends on nothing but the
parts and the source.
"""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import av

from seeclear.files import Draft
from seeclear.video.codecs import EncodeSettings
from seeclear.video.container import open_container
from seeclear.video.copying import SourceStreams
from seeclear.video.demuxing import arbitrary_start
from seeclear.video.excerpt import WHOLE, Cut, Excerpt
from seeclear.video.gif import write_gif
from seeclear.video.image_metadata import read_metadata
from seeclear.video.images import is_image, png_names
from seeclear.video.muxing import Pictures, write_video, write_what_fits
from seeclear.video.planning import plan_streams
from seeclear.video.png import with_chunks
from seeclear.video.properties import VideoProperties
from seeclear.video.stills import encode_still, still_format


def assemble(
    parts: Sequence[str | os.PathLike[str]],
    times: Sequence[tuple[int, int]],
    path: str | os.PathLike[str],
    source: str | os.PathLike[str] | None,
    properties: VideoProperties,
    settings: EncodeSettings | None = None,
    drop_unsupported: bool = False,
    names: Sequence[str] | None = None,
    excerpt: Excerpt = WHOLE,
) -> list[str]:
    """Joins parts into the output, which appears under its name when it is whole.

    Args:
        parts: made by `encode_part` with the same properties and settings, in order.
        times: (time stamp, duration) of every frame in units of `properties.time_base`, the stamps ascending.
        path: of the output; a file there is replaced, a folder must be empty.
        source: the video file whose sound, subtitles, chapters, attachments and metadata go along; None or a folder
            or image gives an output without. Images made from images keep the colours and the EXIF of theirs.
        properties: of the output, from `output_properties`.
        settings: as given to `encode_part`.
        drop_unsupported: leave out sound and subtitles that the output cannot hold, which is an error otherwise.
        names: of the images of a folder, whose endings become .png; None numbers them.
        excerpt: the part of the source that `times` are of, to which all else is cut.

    Returns:
        Sentences about what could not be written of the source against all expectation, for a user: packets that the
        container refused, or a stream that it refused at its end.

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
            return _assemble_video(
                files,
                times,
                path,
                None if source is None else Path(source),
                properties,
                settings or EncodeSettings(),
                drop_unsupported,
                excerpt,
            )
        if properties.kind == "gif":
            _assemble_gif(files, times, path, properties)
        else:
            _assemble_images(files, times, path, properties, names, None if source is None else Path(source))
    return []


def assemble_from_zero(
    part: Path, frames: int, path: Path, source: Path | None, properties: VideoProperties
) -> list[str]:
    """One part of frames at a constant rate from time 0 on; sound of the source moves by what its frames move."""
    times = [(index, 1) for index in range(frames)]
    with _explained(path):
        return _assemble_video([part], times, path, source, properties, EncodeSettings(), False, WHOLE, from_zero=True)


# Videos


def _assemble_video(
    parts: Sequence[Path],
    times: Sequence[tuple[int, int]],
    path: Path,
    source: Path | None,
    properties: VideoProperties,
    settings: EncodeSettings,
    drop_unsupported: bool,
    excerpt: Excerpt,
    from_zero: bool = False,
) -> list[str]:
    pictures = Pictures.survey(parts, times)
    if source is None or not source.is_file() or is_image(source):
        draft = Draft(path)
        try:
            write_video(draft.path, pictures, properties, None)
            draft.publish()
        finally:
            draft.discard()
        return []
    plan = plan_streams(source, path, settings.audio)
    if plan.refused and not drop_unsupported:
        raise ValueError(plan.refused[0])
    notes: list[str] = []
    draft = Draft(path)
    cut = _cut_of(source, times, properties, excerpt)

    def write(without: Collection[int]) -> None:
        with SourceStreams(source, plan, without, from_zero, cut=cut) as others:
            write_video(draft.path, pictures, properties, others)
            notes[:] = [
                f"{path}: {count} packets of the stream #{index} of {source} that the file cannot hold are left out."
                for index, count in sorted(others.refused.items())
            ]

    try:
        for index, reason in write_what_fits(write, plan.indices).items():
            notes.append(f"{path}: the stream #{index} of {source} is left out, it cannot be written ({reason}).")
        draft.publish()
    finally:
        draft.discard()
    return notes


def _cut_of(
    source: Path, times: Sequence[tuple[int, int]], properties: VideoProperties, excerpt: Excerpt
) -> Cut | None:
    """What of the other streams goes along with pictures of these times."""
    if excerpt.is_whole:
        return None
    with open_container(source) as container:
        zero = arbitrary_start(container)
    begin, end = (time * properties.time_base for time in (times[0][0], sum(times[-1])))
    return Cut.around(excerpt, begin, end, zero)


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
