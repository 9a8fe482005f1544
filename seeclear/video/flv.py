# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Flash video files that were put one behind the other: FFmpeg ends at the header of the second without a word."""

from __future__ import annotations

import io
import os
from pathlib import Path

_SIGNATURE = b"FLV\x01"
_TAG_HEADER = 11
_SIZE_BEHIND = 4
# Of sound, pictures and scripts.
_TAG_TYPES = (8, 9, 18)


class JoinedFlv(io.RawIOBase):
    """The file without the headers inside it, for reading.

    Args:
        path: the file.
        ranges: (start, end) of what is to be read, in bytes.
    """

    def __init__(self, path: Path, ranges: list[tuple[int, int]]) -> None:
        super().__init__()
        self.name = os.path.abspath(path)
        self._file = path.open("rb", buffering=0)
        self._ranges = ranges
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place}.get(whence)
        self._place = offset + (sum(end - begin for begin, end in self._ranges) if start is None else start)
        return self._place

    def read(self, size: int = -1) -> bytes:
        passed = 0
        for begin, end in self._ranges:
            inside = self._place - passed
            if inside < end - begin:
                self._file.seek(begin + inside)
                left = end - begin - inside
                data = self._file.read(left if size < 0 else min(size, left))
                self._place += len(data)
                return data
            passed += end - begin
        return b""

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def open_joined_flv(path: Path) -> JoinedFlv | None:
    """The files that `path` was put together from as one; None if it is one file, or no Flash video.

    The headers are found by going from tag to tag (Adobe Flash Video File Format Specification 10.1, annex E).

    Raises:
        OSError: it cannot be read.
    """
    ranges: list[tuple[int, int]] = []
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(4) != _SIGNATURE:
            return None
        begin = place = 0
        while place + _TAG_HEADER <= size:
            file.seek(place)
            head = file.read(_TAG_HEADER)
            if head[:4] == _SIGNATURE:
                after = place + int.from_bytes(head[5:9], "big") + _SIZE_BEHIND
                if place:
                    ranges.append((begin, place))
                    begin = after
                place = after
            elif head[0] & 0x1F in _TAG_TYPES:
                place += _TAG_HEADER + int.from_bytes(head[1:4], "big") + _SIZE_BEHIND
            else:
                break
    return JoinedFlv(path, [*ranges, (begin, size)]) if ranges else None
