# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Where the channels of a sound stand, told without PyAV's objects for it.

An `AudioLayout` of PyAV (17 and 18) frees memory that belongs to the stream where the channels stand in an order of
their own, as in MOV with eight channels, and every decoded frame has one. Such sound can be copied but not decoded.
"""

from __future__ import annotations

import re
from typing import Any, Literal, cast

import av
from av.stream import Stream

Layout = Literal["named", "unnamed", "own"]

# "Audio: pcm_s16le, 48000 Hz, 2 channels, s16", "8 channels (FL+FR+...)", or a name such as "stereo"
_SOUND = re.compile(r"Stream #\d+:(\d+)\b.*?: Audio: .*? Hz, (\d+ channels(?: \([^)]*\))?)?")

_USUAL = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


def layout_of(stream: Stream) -> Layout:
    """Whether the places of the channels have a usual name, are unknown, or are in an order of their own."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        described = cast(Any, stream).container.dumps_format()
    finally:
        av.logging.set_level(level)
    for match in _SOUND.finditer(described):
        if int(match[1]) == stream.index and match[2]:
            return "own" if "(" in match[2] else "unnamed"
    return "named"


def usual_layout(channels: int) -> str:
    """FFmpeg's name of the usual layout of so many channels."""
    return _USUAL.get(channels, f"{channels} channels")
