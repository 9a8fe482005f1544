# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The chunks of PNG files (ISO/IEC 15948): read, and put into files that FFmpeg has written."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import TypeAlias

Chunk: TypeAlias = tuple[bytes, bytes]
"""Type and data."""

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_TEXTS = {b"tEXt", b"zTXt", b"iTXt"}  # there may be several
_LARGEST = 1 << 26
"""Bytes of a chunk that is read before the pixels."""


def read_chunks(path: Path) -> list[Chunk]:
    """All chunks of a file but the pixels; of one that is damaged those before the damage."""
    chunks = []
    with path.open("rb") as file:
        if file.read(8) != SIGNATURE:
            return []
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind in (b"IDAT", b"fdAT"):
                file.seek(length + 4, 1)
                continue
            if kind == b"IEND" or length > _LARGEST:
                break
            data, checksum = file.read(length), file.read(4)
            if checksum != struct.pack(">I", zlib.crc32(kind + data)):
                break
            chunks.append((kind, data))
    return chunks


def with_chunks(png: bytes, chunks: list[Chunk]) -> bytes:
    """A PNG file with more chunks behind its header, but none of a type that it has and may have only once."""
    head = len(SIGNATURE) + 25  # IHDR: 13 bytes with length, type and checksum
    present = set()
    place = len(SIGNATURE)
    while place + 8 <= len(png):
        length, kind = struct.unpack_from(">I4s", png, place)
        present.add(kind)
        place += 12 + length
    added = [encode_chunk(kind, data) for kind, data in chunks if kind in _TEXTS or kind not in present]
    return png[:head] + b"".join(added) + png[head:]


def encode_chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
