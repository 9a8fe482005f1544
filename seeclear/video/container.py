# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Video files opened with PyAV, and what PyAV does not tell of them outright."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any, cast

import av
from av import VideoFrame
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream
from PIL import Image

from seeclear.video.flv import open_joined_flv
from seeclear.video.images import IMAGE_SUFFIXES
from seeclear.video.properties import DisplayMatrix

_IDENTITY: DisplayMatrix = (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)

# Data that FFmpeg hands over with a frame and that PyAV cannot write, by FFmpeg's name.
_SIDE_DATA = {
    "MASTERING_DISPLAY_METADATA": "the mastering display of HDR",
    "CONTENT_LIGHT_LEVEL": "the light level of HDR",
    "DYNAMIC_HDR_PLUS": "HDR10+ metadata",
    "DYNAMIC_HDR_VIVID": "HDR Vivid metadata",
    "DOVI_METADATA": "Dolby Vision metadata",
    "STEREO3D": "the arrangement of stereoscopic views",
    "SPHERICAL": "the mapping of spherical video",
    "A53_CC": "closed captions inside the pictures",
    "ICC_PROFILE": "the ICC profile",
}

# FFmpeg takes a GIF's delay below 2/100 s for 10/100 s, as browsers do; only the delay 0 needs another value.
_OPTIONS = {"min_delay": "1"}


def open_container(path: Path) -> InputContainer:
    """Opens a video file with PyAV; ValueError names the file if it is not a video."""
    try:
        # an absolute path, so that a colon in a name is never taken for a protocol
        file = open_joined_flv(path) or os.path.abspath(path)
        container = av.open(file, mode="r", metadata_errors="replace", container_options=_OPTIONS)
    except (av.FFmpegError, OSError) as error:
        reason = "cut off or not a video" if isinstance(error, ValueError | EOFError) else "cannot be opened"
        raise ValueError(f"{path}: {reason} ({error.strerror}).") from error
    name = container.format.name
    if name in ("image2", "tty") or name.endswith("_pipe"):
        container.close()
        raise ValueError(f"{path}: not a video; the name of an image must end in {', '.join(IMAGE_SUFFIXES)}.")
    return container


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The stream that is upscaled: the first one of moving pictures.

    Raises:
        ValueError: there is none, or FFmpeg has no decoder for it.
    """
    for stream in container.streams.video:
        if Disposition.attached_pic not in stream.disposition:  # such as the cover of a piece of music
            if stream.codec_context is None:
                raise ValueError(f"{path}: there is no decoder for the video stream.")
            return stream
    raise ValueError(f"{path}: the file has no video stream.")


def is_image(path: Path) -> bool:
    """Whether a file is one image by its name, and not an animation that its format admits as well."""
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        return False
    try:
        with Image.open(path) as image:
            return path.suffix.lower() != ".png" or getattr(image, "n_frames", 1) == 1
    except Exception:  # PIL raises nearly every kind of error on damaged images; reading it says which
        return True


def is_mp4(container: InputContainer) -> bool:
    """Whether it is MP4 or QuickTime, which FFmpeg reads by one demuxer."""
    return "mp4" in container.format.name.split(",")


def display_matrix(frame: VideoFrame) -> DisplayMatrix | None:
    """The display matrix that the container has for its frames, None where it changes nothing."""
    side_data = cast(Any, frame.side_data)
    for data in (side_data[index] for index in range(len(side_data))):
        if data.type.name == "DISPLAYMATRIX":
            matrix = cast(DisplayMatrix, struct.unpack("=9i", bytes(data)[:36]))
            return None if matrix == _IDENTITY else matrix
    return None


def lost_with_frame(frame: VideoFrame) -> tuple[str, ...]:
    """What a frame carries beside its picture, and that it is interlaced: none of it gets into an output."""
    side_data = cast(Any, frame.side_data)
    names = [side_data[index].type.name for index in range(len(side_data))]
    lost = [_SIDE_DATA[name] for name in dict.fromkeys(names) if name in _SIDE_DATA]
    return (*lost, *(["the fields of interlaced video"] if frame.interlaced_frame else []))


def gif_loop(path: Path) -> int | None:
    """How often an animation is repeated, 0 for without end; None where it does not say, and is shown once."""
    try:
        with Image.open(path) as image:
            loop = image.info.get("loop")
    except Exception:  # FFmpeg has opened it, so the frames are there whatever PIL says
        return None
    return loop if isinstance(loop, int) else None
