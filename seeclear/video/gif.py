# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""GIFs of one frame each joined into an animation, their coded pixels as they are."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True)
class _Picture:
    """The parts of a GIF of one frame (GIF89a, 18 to 23)."""

    palette: bytes
    """Red, green and blue of 2 to 256 colours."""
    clear: int | None
    """Number of the colour that stands for transparent."""
    interlaced: bool
    pixels: bytes
    """The coded pixels: LZW code size, sub-blocks and terminator."""


def write_gif(file: BinaryIO, frames: Iterable[tuple[bytes, int]], size: tuple[int, int], loop: int | None) -> None:
    """Joins GIFs of one frame into an animation. Every frame covers the one before and has its own palette.

    Args:
        file: open for writing.
        frames: (a GIF of one frame, how long it is shown in 1/100 s, up to 65535).
        size: (height, width) of every frame, at most 65535.
        loop: how often the animation is repeated, 0 for without end; None: it is shown once.

    Raises:
        ValueError: a frame is no GIF, or longer than 65535.
    """
    height, width = size
    file.write(b"GIF89a" + struct.pack("<HHBBB", width, height, 0x70, 0, 0))
    if loop is not None:
        file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", loop) + b"\x00")
    for data, delay in frames:
        if not 0 <= delay <= 0xFFFF:
            raise ValueError(f"a frame of a GIF lasts 65535/100 s at most, but one was to last {delay}/100 s.")
        picture = _take_apart(data)
        # clear the frame before where pixels may be transparent (disposal 2), else leave it (1)
        flags = 2 << 2 | 1 if picture.clear is not None else 1 << 2
        file.write(b"\x21\xf9\x04" + struct.pack("<BHB", flags, delay, picture.clear or 0) + b"\x00")
        depth = (len(picture.palette) // 3).bit_length() - 2
        packed = 0x80 | picture.interlaced << 6 | depth
        file.write(b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, packed) + picture.palette + picture.pixels)
    file.write(b"\x3b")


def _take_apart(data: bytes) -> _Picture:
    if data[:3] != b"GIF" or len(data) < 14:
        raise ValueError("a part of the animation is no GIF.")
    flags, place = data[10], 13
    palette = b""
    if flags & 0x80:
        palette = data[place : place + 3 * (2 << (flags & 7))]
        place += len(palette)
    clear = None
    while data[place] == 0x21:  # an extension
        if data[place + 1] == 0xF9 and data[place + 3] & 1:
            clear = data[place + 6]
        place = _after_blocks(data, place + 2)
    if data[place] != 0x2C:
        raise ValueError("a part of the animation is no GIF of one frame.")
    flags = data[place + 9]
    place += 10
    if flags & 0x80:
        palette = data[place : place + 3 * (2 << (flags & 7))]
        place += len(palette)
    return _Picture(palette, clear, bool(flags & 0x40), data[place : _after_blocks(data, place + 1)])


def _after_blocks(data: bytes, place: int) -> int:
    """Where the sub-blocks that begin at `place` end."""
    while data[place]:
        place += data[place] + 1
    return place + 1
