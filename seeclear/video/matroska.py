# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What PyAV cannot have FFmpeg write into Matroska and WebM: the shape of pixels, and sound that is not to be played.

Before version 18.1 it does not pass the frame rate on either.

FFmpeg leaves unused space behind the list of contents at the head of its files. The elements missing from the track
are inserted by moving what lies between that space and the track into it, so that nothing behind moves.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

# Element ids of RFC 9559 and RFC 8794.
_SEGMENT, _SEEK_HEAD, _SEEK, _SEEK_ID, _SEEK_POSITION = 0x18538067, 0x114D9B74, 0x4DBB, 0x53AB, 0x53AC
_VOID, _CRC, _TRACKS, _TRACK, _TRACK_TYPE = 0xEC, 0xBF, 0x1654AE6B, 0xAE, 0x83
_DEFAULT_DURATION, _CODEC_DELAY = 0x23E383, 0x56AA
_VIDEO, _PIXEL_WIDTH, _PIXEL_HEIGHT = 0xE0, 0xB0, 0xBA
_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT = 0x54B0, 0x54BA, 0x54B2

_VIDEO_TYPE, _SOUND_TYPE = b"\x01", b"\x02"

_MASTERS = {_SEEK_HEAD, _SEEK, _TRACKS, _TRACK, _VIDEO}


@dataclass
class _Element:
    """An EBML element: of a master the children, of any other the data."""

    id: int
    data: bytes = b""
    children: list[_Element] = field(default_factory=list)

    def find(self, *ids: int) -> _Element | None:
        return next((child for child in self.children if child.id in ids), None)

    def drop(self, *ids: int) -> None:
        self.children = [child for child in self.children if child.id not in ids]

    def encode(self) -> bytes:
        """The element as bytes; a checksum among its children is set anew."""
        data = self.data
        if self.children:
            data = b"".join(child.encode() for child in self.children if child.id != _CRC)
            if self.find(_CRC) is not None:  # always the first child (RFC 8794, 11.3.1)
                data = _Element(_CRC, struct.pack("<I", zlib.crc32(data))).encode() + data
        return _id_bytes(self.id) + _size_bytes(len(data)) + data


def complete_tracks(
    path: Path,
    ratio: Fraction | None = None,
    delays: Mapping[int, Fraction] | None = None,
    fps: Fraction | None = None,
) -> None:
    """Adds to the tracks of a Matroska or WebM file written by FFmpeg.

    Args:
        path: the file.
        ratio: width of a pixel of the first video track over its height.
        delays: seconds at the beginning of sound that are decoded and not played, by which the time stamps of its
            packets are late; by the number of the sound among the sounds.
        fps: frames per second of the first video track, on average where they vary; left alone where there are any.

    Raises:
        ValueError: the file has no such track, or no space is left for what is to be added.
    """
    if ratio is None and not delays and fps is None:
        return
    with path.open("r+b") as file:
        head = file.read(1 << 20)
        start = _start_of_segment(head, path)
        elements = []  # (element id, start, start of the data, end) of the first ones in the segment
        place = start
        while place < len(head):
            element_id, data, end = _header(head, place)
            elements.append((element_id, place, data, end))
            if element_id == _TRACKS:
                break
            place = end
        ids = [element_id for element_id, *_ in elements]
        if ids[:2] != [_SEEK_HEAD, _VOID] or ids[-1] != _TRACKS:
            raise ValueError(f"{path}: not a Matroska file as FFmpeg writes it.")
        contents = _parse(head[elements[0][1] : elements[0][3]])
        tracks = _parse(head[elements[-1][1] : elements[-1][3]])
        if ratio is not None:
            _set_display_size(_find_track(tracks, _VIDEO_TYPE, 0, path), ratio)
        if fps is not None:
            _set_duration(_find_track(tracks, _VIDEO_TYPE, 0, path), 1 / fps)
        for number, delay in (delays or {}).items():
            _set_codec_delay(_find_track(tracks, _SOUND_TYPE, number, path), delay)
        encoded = tracks.encode()
        before, after = elements[1][3], elements[-1][1]  # what lies between moves forward
        end = elements[-1][3]
        growth = len(encoded) - (end - after)
        _move_entries(contents, elements[1][3] - start, end - start, growth)
        listing = contents.encode()
        free = end - elements[0][1] - len(listing) - (after - before) - len(encoded)
        if free < 9:
            raise ValueError(f"{path}: the head of the file has no space left for what is to be added.")
        void = _id_bytes(_VOID) + (1 << 56 | free - 9).to_bytes(8, "big") + bytes(free - 9)
        file.seek(elements[0][1])
        file.write(listing + void + head[before:after] + encoded)


def display_size(width: int, height: int, ratio: Fraction) -> tuple[int, int]:
    """Size in square pixels of exactly the shape that `width` x `height` pixels of that ratio have."""
    if width * ratio.numerator % ratio.denominator == 0:
        return width * ratio.numerator // ratio.denominator, height
    if height * ratio.denominator % ratio.numerator == 0:
        return width, height * ratio.denominator // ratio.numerator
    return width * ratio.numerator, height * ratio.denominator


def _find_track(tracks: _Element, kind: bytes, number: int, path: Path) -> _Element:
    found = []
    for track in tracks.children:
        kind_of_track = track.find(_TRACK_TYPE)
        if kind_of_track is not None and kind_of_track.data[-1:] == kind:
            found.append(track)
    if len(found) <= number:
        raise ValueError(f"{path}: the file has no {'video' if kind == _VIDEO_TYPE else 'sound'} track {number}.")
    return found[number]


def _set_display_size(track: _Element, ratio: Fraction) -> None:
    video = track.find(_VIDEO)
    assert video is not None  # it is mandatory
    width, height = (int.from_bytes(_data(video, element_id), "big") for element_id in (_PIXEL_WIDTH, _PIXEL_HEIGHT))
    shown = display_size(width, height, ratio)
    video.drop(_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT)
    video.children += [_Element(_DISPLAY_WIDTH, _number(shown[0])), _Element(_DISPLAY_HEIGHT, _number(shown[1]))]


def _set_duration(track: _Element, duration: Fraction) -> None:
    if track.find(_DEFAULT_DURATION) is None:
        track.children.append(_Element(_DEFAULT_DURATION, _number(round(duration * 10**9))))


def _set_codec_delay(track: _Element, delay: Fraction) -> None:
    track.drop(_CODEC_DELAY)
    track.children.append(_Element(_CODEC_DELAY, _number(round(delay * 10**9))))


def _move_entries(contents: _Element, first: int, end: int, growth: int) -> None:
    """Moves the places named in the list of contents for elements in [first, end) of the segment by -growth."""
    for seek in contents.children:
        position = seek.find(_SEEK_POSITION)
        if position is not None:
            value = int.from_bytes(position.data, "big")
            if first <= value < end:
                moved = _number(value - growth)
                position.data = moved.rjust(len(position.data), b"\0")


def _data(parent: _Element, element_id: int) -> bytes:
    element = parent.find(element_id)
    return b"" if element is None else element.data


def _start_of_segment(head: bytes, path: Path) -> int:
    if head[:4] != b"\x1a\x45\xdf\xa3":
        raise ValueError(f"{path}: not a Matroska file.")
    _, _, end = _header(head, 0)
    element_id, data, _ = _header(head, end)
    if element_id != _SEGMENT:
        raise ValueError(f"{path}: not a Matroska file.")
    return data


def _parse(data: bytes) -> _Element:
    element_id, start, end = _header(data, 0)
    if element_id not in _MASTERS:
        return _Element(element_id, data[start:end])
    children = []
    while start < end:
        _, _, after = _header(data, start)
        children.append(_parse(data[start:after]))
        start = after
    return _Element(element_id, children=children)


def _header(data: bytes, start: int) -> tuple[int, int, int]:
    """(id, start of the data, end) of the element at `start`."""
    length = 9 - data[start].bit_length()
    element_id = int.from_bytes(data[start : start + length], "big")
    start += length
    length = 9 - data[start].bit_length()
    size = int.from_bytes(data[start : start + length], "big") - (1 << 7 * length)
    return element_id, start + length, start + length + size


def _number(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def _id_bytes(element_id: int) -> bytes:
    return element_id.to_bytes((element_id.bit_length() + 7) // 8, "big")


def _size_bytes(size: int) -> bytes:
    length = next(length for length in range(1, 9) if size < (1 << 7 * length) - 1)
    return (size | 1 << 7 * length).to_bytes(length, "big")
