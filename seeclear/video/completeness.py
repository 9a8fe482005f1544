# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Whether a video file reaches to the end that its own structure states."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

# Top-level boxes of MP4 and QuickTime files (ISO/IEC 14496-12) that a cut file may end in.
_MP4_BOXES = {
    b"ftyp",
    b"moov",
    b"mdat",
    b"moof",
    b"mfra",
    b"free",
    b"skip",
    b"wide",
    b"sidx",
    b"styp",
    b"uuid",
    b"meta",
}


def check_complete(path: Path) -> None:
    """Raises a ValueError if a video file ends before the end that its own structure states.

    FFmpeg reads a cut file up to the cut and reports its end as if it were whole. The outermost boxes of MP4 and
    QuickTime (ISO/IEC 14496-12, 4.2), the segment of Matroska and WebM (RFC 9559) and the chunks of AVI (RIFF) state
    their sizes, and the blocks of a GIF (GIF89a, 18 to 27) lead to a last one, so that a cut shows before anything is
    decoded. Other kinds of file pass.
    """
    size = path.stat().st_size
    if size == 0:
        raise ValueError(f"{path}: the file is empty.")
    try:
        with path.open("rb") as file:
            head = file.read(12)
            if head[4:8] in _MP4_BOXES:
                end = _mp4_end(file, size)
            elif head[:4] == b"\x1a\x45\xdf\xa3":
                end = _matroska_end(file)
            elif head[:4] == b"RIFF" and head[8:] == b"AVI ":
                end = 8 + struct.unpack("<I", head[4:8])[0]
            elif head[:6] in (b"GIF87a", b"GIF89a"):
                file.seek(0)
                end = _gif_end(file.read())
            else:
                end = 0
    except OSError as error:
        raise ValueError(f"{path}: cannot be opened ({error.strerror}).") from error
    if end > size:
        raise ValueError(f"{path}: the video is cut off: the file has {size} bytes of at least {end}.")


def _mp4_end(file: BinaryIO, size: int) -> int:
    """Where the last box begun in the file ends; 0 for a box that reaches to the end of the file whatever that is."""
    start = 0
    while start + 8 <= size:
        file.seek(start)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            extended = file.read(8)
            if len(extended) < 8:
                return start + 16
            length = struct.unpack(">Q", extended)[0]
        if kind not in _MP4_BOXES or length < 8:  # what follows the video, or a box up to the end of the file
            return 0
        start += length
    return start


def _matroska_end(file: BinaryIO) -> int:
    """Where the segment ends; 0 if it does not state its size, as in a live recording."""
    file.seek(4)
    header = _ebml_number(file)
    file.seek(header, os.SEEK_CUR)
    if file.read(4) != b"\x18\x53\x80\x67":
        return 0
    segment = _ebml_number(file)
    return file.tell() + segment


def _gif_end(data: bytes) -> int:
    """How long the file must be at least: up to the trailer, or beyond its end if a block leads there."""
    if len(data) < 13:
        return 13
    place = 13 + (3 * (2 << (data[10] & 7)) if data[10] & 0x80 else 0)
    while place < len(data):
        kind = data[place]
        if kind == 0x2C and place + 10 < len(data):  # an image: its own colours, the code size, blocks
            flags = data[place + 9]
            place += 11 + (3 * (2 << (flags & 7)) if flags & 0x80 else 0)
        elif kind == 0x21:  # an extension: its label, blocks
            place += 2
        else:  # the trailer, or nothing that can be followed
            return place + 1
        while place < len(data) and data[place]:
            place += data[place] + 1
        place += 1
    return place + 1


def _ebml_number(file: BinaryIO) -> int:
    """The next variable-length size of EBML (RFC 8794, 4); 0 if it says "unknown" (all bits set) or is cut off."""
    first = file.read(1)
    if not first or not first[0]:
        return 0
    length = 9 - first[0].bit_length()
    rest = file.read(length - 1)
    value = int.from_bytes(bytes([first[0] & (1 << (8 - length)) - 1]) + rest, "big")
    return 0 if len(rest) < length - 1 or value == (1 << 7 * length) - 1 else value
