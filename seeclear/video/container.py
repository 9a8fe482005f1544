# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What PyAV does not tell outright of the video files it opens."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, cast

from av import VideoFrame
from av.container import InputContainer
from PIL import Image

from seeclear.video.opening import open_container, video_stream
from seeclear.video.properties import DisplayMatrix

__all__ = ["display_matrix", "gif_loop", "is_mp4", "lost_with_frame", "open_container", "video_stream"]

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
    """What a frame carries beside its picture and no output gets."""
    side_data = cast(Any, frame.side_data)
    names = [side_data[index].type.name for index in range(len(side_data))]
    return tuple(_SIDE_DATA[name] for name in dict.fromkeys(names) if name in _SIDE_DATA)


def timecode(container: InputContainer) -> str | None:
    """The time code that a file or one of its streams begins with, None if it has none."""
    for metadata in (container.metadata, *(stream.metadata for stream in container.streams)):
        for name, value in metadata.items():
            if name.lower() == "timecode":
                return value
    return None


def gif_loop(path: Path) -> int | None:
    """How often an animation is repeated, 0 for without end; None where it does not say, and is shown once."""
    try:
        with Image.open(path) as image:
            loop = image.info.get("loop")
    except Exception:  # FFmpeg has opened it, so the frames are there whatever PIL says
        return None
    return loop if isinstance(loop, int) else None
