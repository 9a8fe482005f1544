# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The display matrix of an MP4 or QuickTime file, written into a finished file.

PyAV writes none before version 18, and 36 bytes of fixed place are easily replaced.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from seeclear.video.properties import DisplayMatrix


def set_display_matrix(path: Path, matrix: DisplayMatrix) -> None:
    """Writes `matrix` into the header of the first video track of an MP4 or QuickTime file.

    Raises:
        ValueError: the file is no MP4 with a `moov` box, or has no video track.
    """
    with path.open("r+b") as file:
        head, size = _find_moov(path)
        file.seek(head)
        moov = file.read(size)
        place = _matrix_place(moov)
        if place is None:
            raise ValueError(f"{path}: the file has no video track.")
        file.seek(head + place)
        file.write(struct.pack(">9i", *matrix))


def _find_moov(path: Path) -> tuple[int, int]:
    """(start, size) of what is inside the `moov` box."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = 0
        while start + 8 <= size:
            file.seek(start)
            length, kind = struct.unpack(">I4s", file.read(8))
            header = 8
            if length == 1:
                length, header = struct.unpack(">Q", file.read(8))[0], 16
            if kind == b"moov":
                return start + header, length - header
            if length < header:
                break
            start += length
    raise ValueError(f"{path}: not an MP4 file with a `moov` box.")


def _matrix_place(moov: bytes) -> int | None:
    """Where the matrix of the first video track stands in the inside of a `moov` box (ISO/IEC 14496-12, 8.3.2)."""
    for kind, start, end in _boxes(moov, 0, len(moov)):
        if kind != b"trak":
            continue
        header, video = None, False
        for inner, inner_start, inner_end in _boxes(moov, start, end):
            if inner == b"tkhd":
                header = inner_start
            if inner == b"mdia":
                handlers = [at for name, at, _ in _boxes(moov, inner_start, inner_end) if name == b"hdlr"]
                video = any(moov[at + 8 : at + 12] == b"vide" for at in handlers)
        if video and header is not None:
            # version and flags 4, times and track id 20 or 32, reserved 8, layer, group, volume, reserved 8
            return header + 4 + (32 if moov[header] == 1 else 20) + 16
    return None


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start, end) of the inside of each box in data[start:end]."""
    while start + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, start)
        if length < 8:
            return
        yield kind, start + 8, min(end, start + length)
        start += length
