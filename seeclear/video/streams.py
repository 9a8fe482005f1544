# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Which sound, subtitles and other streams of a video go along into the output, decided before any work."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition, Stream

from seeclear.video.codecs import EncodeSettings, output_kind, output_properties
from seeclear.video.container import open_container, video_stream
from seeclear.video.drafts import check_place
from seeclear.video.encode import encode_part
from seeclear.video.images import list_images
from seeclear.video.properties import VideoProperties

# FFmpeg's name of the container for each ending.
FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}


@dataclass(frozen=True)
class StreamPlan:
    """What becomes of the streams beside the pictures."""

    copied: tuple[int, ...]
    """Indices of those that are copied."""
    refused: tuple[str, ...]
    """A sentence for each sound, subtitle or picture stream that the output cannot hold."""
    notes: tuple[str, ...]
    """A sentence for each attachment or data stream that is left out."""


def check_output(
    path: str | os.PathLike[str],
    source: VideoProperties,
    settings: EncodeSettings | None = None,
    size: tuple[int, int] | None = None,
    drop_unsupported: bool = False,
    place: bool = True,
) -> list[str]:
    """Whether an output can be written, before any work is done.

    Args:
        path: of the output.
        source: properties of the video that is upscaled.
        settings: how it is to be coded.
        size: (height, width) of the output; None stands for four times the source's.
        drop_unsupported: leave out sound and subtitles that the output cannot hold, which is an error otherwise.
        place: also see whether it can be written where it is to be.

    Returns:
        Sentences about what the output cannot keep of the source, though it is written: for a user to read.

    Raises:
        ValueError: the place cannot be written to, ending and settings do not go together, or the output cannot hold
            a stream of the source. The message says what could.
    """
    path, settings = Path(path), settings or EncodeSettings()
    kind = output_kind(path)
    if kind == "folder" and path.exists() and not path.is_dir():
        raise ValueError(f"{path}: cannot be written as a folder, there is a file of that name.")
    if place:
        check_place(path, folder=kind == "folder")
    if source.path is not None and path.exists() and path.samefile(source.path):
        raise ValueError(f"{path}: the output must be another file than the input.")
    properties = output_properties(source, path, size or (4 * source.height, 4 * source.width), settings)
    _try_encoder(properties, settings)
    if kind == "folder" and source.path is not None and source.kind == "folder":
        png_names(list_images(source.path))
    if kind == "image" and source.num_frames != 1:
        count = "may have more" if source.num_frames is None else f"has {source.num_frames}"
        raise ValueError(
            f"{path}: an image holds one frame, but {source.path} {count}; for a video name a folder, without an "
            "ending."
        )
    notes = [*source.notes, *properties.notes]
    if properties.bit_depth < source.bit_depth:
        notes.append(f"{path}: {source.bit_depth} bits a channel become {properties.bit_depth} ({properties.codec}).")
    if source.has_alpha and not properties.has_alpha:
        notes.append(f"{path}: alpha is left out, as {properties.pix_fmt} has none.")
    notes += [f"{path}: {name} cannot be kept." for name in source.not_copied]
    if source.is_mirrored and path.suffix.lower() in (".mkv", ".webm"):
        notes.append(f"{path}: that the video is to be mirrored cannot be kept; .mp4 and .mov can.")
    if kind != "video" and source.display_matrix is not None:
        notes.append(f"{path}: images are as stored, not turned by the {source.rotation} degrees of the video.")
    if kind != "video" and source.sample_aspect_ratio not in (None, 1):
        notes.append(f"{path}: images have square pixels, the video has pixels of {source.sample_aspect_ratio}.")
    if kind == "gif":
        notes.append(f"{path}: a GIF has 256 colours a frame and times of 1/100 s.")
    if source.kind == "video" and source.path is not None:
        plan = plan_streams(source.path, path)
        if plan.refused and not drop_unsupported:
            raise ValueError(plan.refused[0])
        notes += [*plan.refused, *plan.notes]
    return notes


def plan_streams(source: Path, path: Path) -> StreamPlan:
    """Which streams of the video file `source` the output `path` can hold, each tried with the container itself."""
    with open_container(source) as container:
        return plan_of_container(container, source, path)


def plan_of_container(container: InputContainer, source: Path, path: Path) -> StreamPlan:
    """The same for a video file that is open."""
    suffix = path.suffix.lower() if output_kind(path) == "video" else ""
    upscaled = video_stream(container, source)
    copied, refused, notes = [], [], []
    for stream in container.streams:
        if stream.index == upscaled.index:
            continue
        what = _describe(stream)
        if stream.type == "video":
            kind = "cover image" if Disposition.attached_pic in stream.disposition else "further video stream"
            notes.append(f"{path}: the {kind} {what} of {source} is left out.")
        elif suffix and _holds(FORMATS[suffix], stream):
            copied.append(stream.index)
        elif stream.type in ("audio", "subtitle") and not suffix:
            notes.append(f"{path}: the {stream.type} {what} of {source} is left out, as images have none.")
        elif stream.type in ("audio", "subtitle"):
            others = [other for other in FORMATS if other != suffix and _holds(FORMATS[other], stream)]
            advice = f"{' or '.join(others)} can" if others else "no container written here can"
            name = "sound" if stream.type == "audio" else "subtitles"
            refused.append(f"{path}: a {suffix} file cannot hold the {name} {what} of {source}; {advice}.")
        elif not _is_chapter_text(container, stream):
            notes.append(f"{path}: the {stream.type} stream {what} of {source} is left out.")
    return StreamPlan(tuple(copied), tuple(refused), tuple(notes))


def png_names(names: list[str]) -> list[str]:
    """Names of images with the ending .png in place of their own.

    Raises:
        ValueError: two become one.
    """
    changed = [f"{Path(name).stem}.png" for name in names]
    if len(set(changed)) < len(changed):
        twice = next(name for name in changed if changed.count(name) > 1)
        raise ValueError(f"`names` must differ without their endings, but two of them would become {twice}.")
    return changed


def _try_encoder(properties: VideoProperties, settings: EncodeSettings) -> None:
    """Codes one black frame, since encoders have limits of size of their own.

    x265 refuses about one video in a thousand and takes it the next time, so a refusal counts when it is repeated.

    Raises:
        ValueError: the encoder does not take it.
    """
    if properties.kind != "video":
        return
    black = np.zeros((properties.height, properties.width, 3), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        try:
            with contextlib.suppress(ValueError):
                encode_part(Path(folder) / "trial", [(black, None)], properties, settings)
                return
            encode_part(Path(folder) / "trial", [(black, None)], properties, settings)
        except ValueError as error:
            raise ValueError(
                f"{properties.path}: the encoder of {properties.codec} does not take frames of "
                f"{properties.width}x{properties.height} in {properties.pix_fmt}; choose another `codec`."
            ) from error


def _holds(container_format: str, stream: Stream) -> bool:
    """Whether a container takes a stream as it is; asked by writing the head of a file into memory."""
    if stream.type == "attachment":  # FFmpeg leaves them out of any other without a word
        return container_format == "matroska"
    scratch = av.open(io.BytesIO(), "w", format=container_format)
    try:
        scratch.add_stream_from_template(stream)
        scratch.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    finally:
        with contextlib.suppress(av.FFmpegError, ValueError):  # an end without packets may be refused
            scratch.close()
    return True


def _is_chapter_text(container: InputContainer, stream: Stream) -> bool:
    """Whether it is the text track in which MP4 keeps the chapters, which are copied as chapters."""
    return stream.type == "data" and bool(container.chapters()) and "mp4" in container.format.name.split(",")


def _describe(stream: Stream) -> str:
    """Such as "#2 (aac, deu)"."""
    context = getattr(stream, "codec_context", None)
    name = context.name if context is not None else getattr(stream, "name", None)
    words = [word for word in (name, stream.metadata.get("language")) if word and word != "und"]
    return f"#{stream.index}" + (f" ({', '.join(words)})" if words else "")
