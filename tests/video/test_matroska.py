# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from seeclear.video.matroska import complete_tracks, display_size
from seeclear.video.reader import VideoReader

MakeVideo = Callable[..., Path]


def packets(path: Path) -> list[tuple[int, int | None, int]]:
    with av.open(str(path)) as container:
        return [
            (packet.stream.index, packet.pts, zlib.crc32(bytes(packet))) for packet in container.demux() if packet.size
        ]


def checksums_hold(data: bytes, start: int, end: int) -> int:
    """Checks every CRC-32 of the first level (RFC 8794, 11.3.1) and returns how many there are."""
    found = 0
    while start < end:
        length = 9 - data[start].bit_length()
        start += length
        length = 9 - data[start].bit_length()
        size = int.from_bytes(data[start : start + length], "big") - (1 << 7 * length)
        start += length
        if data[start] == 0xBF and data[start + 1] == 0x84:
            found += 1
            assert int.from_bytes(data[start + 2 : start + 6], "little") == zlib.crc32(data[start + 6 : start + size])
        start += size
    return found


@pytest.mark.parametrize(
    ("name", "making"),
    [
        ("a.mkv", {}),
        ("a.mkv", {"video_codec": "ffv1", "sound_codecs": ("flac", "aac")}),
        ("a.mkv", {"chapters": [(0, 100, "One")], "attachment": b"letters", "metadata": {"title": "A title"}}),
        ("a.webm", {"video_codec": "libvpx-vp9", "sound_codecs": ("libopus",)}),
    ],
)
@pytest.mark.parametrize("bitexact", [True, False])
def test_everything_at_once(make_video: MakeVideo, name: str, making: dict, bitexact: bool) -> None:
    options = {"fflags": "+bitexact"} if bitexact else {}
    path = make_video(name, **making, options=options)
    before, size = packets(path), path.stat().st_size
    with VideoReader(path) as reader:
        frames = np.stack(list(reader))
    complete_tracks(path, Fraction(16, 11), {0: Fraction(1, 8)}, Fraction(24000, 1001))
    assert path.stat().st_size == size
    assert [(stream, checksum) for stream, _, checksum in packets(path)] == [(s, c) for s, _, c in before]
    with VideoReader(path) as reader:
        properties = reader.properties
        np.testing.assert_array_equal(np.stack(list(reader)), frames)
    if name == "a.webm" or "video_codec" in making:  # H.264 has a ratio of its own
        assert properties.sample_aspect_ratio == Fraction(16, 11)
    with av.open(str(path)) as container:  # places of chapters and index are still found
        assert len(container.chapters()) == len(making.get("chapters", []))
        assert [s.data for s in container.streams if s.type == "attachment"] == (
            [making["attachment"]] if "attachment" in making else []
        )
        container.seek(0)
        assert next(container.decode(video=0)).pts == 0
    data = path.read_bytes()
    segment = data.index(b"\x18\x53\x80\x67")
    checksums = checksums_hold(data, segment + 12, len(data))
    assert (checksums > 2) == (name == "a.mkv")


@pytest.mark.parametrize(
    ("size", "ratio", "shown"),
    [
        ((720, 576), Fraction(16, 11), (720, 396)),
        ((720, 480), Fraction(8, 9), (640, 480)),
        ((32, 24), Fraction(4, 3), (32, 18)),
        ((48, 24), Fraction(4, 3), (64, 24)),
        ((31, 23), Fraction(4, 3), (124, 69)),
        ((10, 10), Fraction(1), (10, 10)),
    ],
)
def test_display_size_is_exact(size: tuple[int, int], ratio: Fraction, shown: tuple[int, int]) -> None:
    assert display_size(*size, ratio) == shown
    assert Fraction(*shown) == Fraction(*size) * ratio


def test_what_is_no_matroska(make_video: MakeVideo, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.mp4: not a Matroska file"):
        complete_tracks(make_video("a.mp4"), Fraction(4, 3))
    with av.open(str(tmp_path / "a.mka"), "w", format="matroska") as container:
        sound = container.add_stream("aac", rate=8000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 8000
        container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
    with pytest.raises(ValueError, match=r"a\.mka: the file has no video track 0"):
        complete_tracks(tmp_path / "a.mka", Fraction(4, 3))
