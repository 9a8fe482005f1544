# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""From where a video file may be decoded to get its frames from some time on, the same as by decoding all of it."""

from __future__ import annotations

from pathlib import Path

import av
from av.container import InputContainer

from seeclear.video.container import is_mp4, open_container, video_stream
from seeclear.video.decoding import Opening, begins_anew

_STEPS = (0, 2, 20)
"""Seconds before the time that is wanted, tried one after the other: there may be a key frame at that time itself."""


def find_entry(path: Path, time: int, opening: Opening) -> int | None:
    """A time to seek to, behind which all frames from `time` on are decoded whole; None: decode from the beginning.

    MP4 and Matroska have an index, and say of every packet when its frame is shown. So the first packet after the seek
    tells whether it will do: nothing behind it refers to frames before it, and it is shown before `time`. A frame
    before the first one that is wanted is decoded too, as deinterlacing looks at it.

    Args:
        path: of the video file.
        time: in units of the stream's time base.
        opening: what its first frames tell.
    """
    with open_container(path) as container:
        stream = video_stream(container, path)
        assert stream.time_base is not None
        if opening.clock != "shown" or not _has_index(container):
            return None
        for step in _STEPS:
            entry = time - round(step / stream.time_base)
            try:
                container.seek(entry, stream=stream)
                packet = next(packet for packet in container.demux(stream) if packet.size)
            except (av.FFmpegError, StopIteration):
                return None
            is_before = packet.pts is not None and packet.pts < time
            if packet.is_keyframe and is_before and not packet.is_corrupt and begins_anew(bytes(packet), stream):
                return entry
    return None


def _has_index(container: InputContainer) -> bool:
    return is_mp4(container) or "matroska" in container.format.name.split(",")
