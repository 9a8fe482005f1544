# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Files whose clock steps back, jumps ahead or overflows: time goes on, sound and pictures together, with a note."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from seeclear.video import VideoReader
from seeclear.video.flv import open_joined_flv

MakeVideo = Callable[..., Path]

FRAMES = 12
FRAME = Fraction(1, 25)
# The times of Flash and Matroska are rounded to milliseconds.
MILLISECOND = Fraction(1, 1000)

VOB = {"video_codec": "mpeg2video", "sound_codecs": ("mp2",), "container_format": "vob"}
MPEG1 = {"video_codec": "mpeg1video", "sound_codecs": ("mp2",), "container_format": "mpeg"}
TS = {"video_codec": "libx264", "sound_codecs": ("aac",)}
TS_AC3 = {"video_codec": "mpeg2video", "sound_codecs": ("ac3",)}
FLASH = {"video_codec": "flv", "sound_codecs": ("mp3",), "rate": 44100}
FLASH_H264 = {"video_codec": "libx264", "sound_codecs": ("aac",), "rate": 44100}
MKV = {"video_codec": "libx264", "sound_codecs": ("aac",)}

KINDS: dict[str, tuple[str, dict[str, Any], tuple[int, ...], str]] = {
    # name: (source, how its pieces are made, seconds at which their clocks begin, target)
    "VOB": ("a.vob", VOB, (0, 0), "out.mp4"),
    "VOB, many": ("a.vob", VOB, (0, 0, 0, 0), "out.mkv"),
    "MPEG-1": ("a.mpg", MPEG1, (0, 0), "out.mov"),
    "broadcast": ("a.ts", TS, (0, 0), "out.mp4"),
    "broadcast, AC-3": ("a.ts", TS_AC3, (0, 0, 0), "out.mkv"),
    "broadcast, back and ahead": ("a.ts", TS, (100, 0, 100), "out.mov"),
    "broadcast, ahead": ("a.ts", TS, (0, 500), "out.mp4"),
    "broadcast over midnight": ("a.ts", TS, (86399, 0), "out.mkv"),
    "broadcast over the overflow, and on": ("a.ts", TS, (95443, 20, 95000), "out.mp4"),
    "VOB, ahead": ("a.vob", VOB, (0, 3000), "out.mp4"),
    "Flash": ("a.flv", FLASH, (0, 0), "out.mp4"),
    "Flash, H.264": ("a.flv", FLASH_H264, (0, 0, 0), "out.mkv"),
    "Flash over midnight": ("a.flv", FLASH_H264, (86399, 0), "out.mp4"),
    "Flash, ahead": ("a.flv", FLASH_H264, (0, 3600), "out.mp4"),
    "Matroska": ("a.mkv", MKV, (0, 0), "out.mp4"),
    "Matroska over midnight": ("a.mkv", MKV, (86399, 0), "out.mov"),
}


def join(path: Path, make_video: MakeVideo, making: dict[str, Any], starts: tuple[int, ...]) -> list[Path]:
    """Pieces whose clocks begin at these seconds, one behind the other in one file."""
    pieces = []
    for start in starts:
        options = {"output_ts_offset": str(start)} if start else {}
        pieces.append(
            make_video(f"piece{len(pieces)}{path.suffix}", num_frames=FRAMES, size=(36, 64), options=options, **making)
        )
    path.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    assert path.stat().st_size < 200_000
    return pieces


def times_of(path: Path) -> tuple[list[Fraction], list[Fraction]]:
    """Seconds at which the pictures and the packets of the sound begin, in order."""
    found: tuple[list[Fraction], list[Fraction]] = ([], [])
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.size:
                found[packet.stream.type == "audio"].append(packet.pts * packet.time_base)
    return sorted(found[0]), sorted(found[1])


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_put_together(make_video: MakeVideo, upscale: Any, sounds: Any, tmp_path: Path, kind: str) -> None:
    name, making, starts, target = KINDS[kind]
    source = tmp_path / name
    pieces = join(source, make_video, making, starts)
    written, _ = upscale(source, tmp_path / target, scale=1)
    assert len(written) == FRAMES * len(starts)
    with VideoReader(source) as reader:
        reader.times()
        (note,) = reader.notes
    assert f"{name}: the clock of the file jumps" in note and "sound and pictures together" in note

    shown, heard_at = times_of(tmp_path / target)
    (first, *_), original = times_of(pieces[0])
    assert len(shown) == FRAMES * len(starts) and len(heard_at) == len(original) * len(starts)
    gaps = [b - a for a, b in zip(shown, shown[1:], strict=False)]
    assert min(gaps) > FRAME - 2 * MILLISECOND and max(gaps) <= 2 * FRAME + 3 * MILLISECOND
    assert sum(gap > FRAME + 2 * MILLISECOND for gap in gaps) < len(starts)  # only where the sound was longer
    for index in range(len(starts)):
        ahead = shown[index * FRAMES] - heard_at[index * len(original)]
        assert abs(ahead - (first - original[0])) <= 2 * MILLISECOND
    assert -FRAME < shown[0] < 3 * FRAME  # whatever the time of day was
    seen, heard = sounds(tmp_path / target)[0], sounds(pieces[0])[0]
    assert abs(seen.seconds - len(starts) * heard.seconds) <= FRAME
    whole = len(heard.samples) - 2048  # the last samples lap over into the next piece
    if seen.samples.dtype == heard.samples.dtype:  # else MPEG-1 Layer II, of which FFmpeg has two decoders
        assert (seen.samples[:whole] == heard.samples[:whole]).all()


@pytest.mark.parametrize(("name", "making"), [("a.vob", VOB), ("a.ts", TS), ("a.flv", FLASH)])
def test_pictures_without_sound(
    make_video: MakeVideo, probe: Any, upscale: Any, tmp_path: Path, name: str, making: dict[str, Any]
) -> None:
    source = tmp_path / name
    join(source, make_video, {**making, "sound_codecs": ()}, (0, 0))
    upscale(source, tmp_path / "out.mp4", scale=1)
    times = probe(tmp_path / "out.mp4").times
    steps = {b - a for a, b in zip(times, times[1:], strict=False)}
    assert len(times) == 2 * FRAMES and steps == {FRAME}


@pytest.mark.parametrize("name", ["a.ts", "a.vob"])
@pytest.mark.parametrize("start", [95443, 95300])
def test_an_overflow_of_the_clock(make_video: MakeVideo, upscale: Any, tmp_path: Path, name: str, start: int) -> None:
    """33 bits of a clock of 90 kHz are full after 26.5 hours; FFmpeg goes on by itself."""
    making = TS if name == "a.ts" else VOB
    source = make_video(name, num_frames=40, size=(36, 64), options={"output_ts_offset": str(start)}, **making)
    upscale(source, tmp_path / "out.mp4", scale=1)
    (shown, heard), (before, heard_before) = times_of(tmp_path / "out.mp4"), times_of(source)
    assert [b - a for a, b in zip(shown, shown[1:], strict=False)] == [FRAME] * 39
    assert 0 <= shown[0] < Fraction(1, 10)
    assert abs((shown[0] - heard[0]) - (before[0] - heard_before[0])) <= MILLISECOND


def test_pauses_are_kept(make_video: MakeVideo, probe: Any, upscale: Any, tmp_path: Path) -> None:
    """12 s between two frames of Matroska: pictures stand still, no clock jumps."""
    times = [0, 40, 80, 12_080, 12_120, 24_000, 24_040]
    source = make_video("in.mkv", times=times, time_base=MILLISECOND, sound_codecs=())
    upscale(source, tmp_path / "out.mp4", scale=1)
    assert probe(tmp_path / "out.mp4").times == [time * MILLISECOND for time in times]
    with VideoReader(source) as reader:
        reader.times()
        assert reader.notes == []


# Flash video


def test_what_is_no_joined_flash_video(make_video: MakeVideo, tmp_path: Path) -> None:
    assert open_joined_flv(make_video("a.flv", **FLASH)) is None
    assert open_joined_flv(make_video("a.mkv")) is None
    (tmp_path / "damaged.flv").write_bytes((tmp_path / "a.flv").read_bytes()[:600] + bytes(100) + b"FLV\x01" * 9)
    assert open_joined_flv(tmp_path / "damaged.flv") is None


def test_joined_flash_video_is_read_without_the_headers_inside(make_video: MakeVideo, tmp_path: Path) -> None:
    data = make_video("a.flv", **FLASH).read_bytes()
    (tmp_path / "joined.flv").write_bytes(data * 3)
    expected = data + 2 * data[13:]
    with open_joined_flv(tmp_path / "joined.flv") as file:
        assert b"".join(iter(lambda: file.read(1000), b"")) == expected
        assert file.seek(-20, 2) == len(expected) - 20 and file.read() == expected[-20:]
        assert file.seek(len(data) - 5) == file.tell() and file.read(100) == expected[len(data) - 5 : len(data)]
        assert file.seek(2, 1) == len(data) + 2 and file.read(3) == expected[len(data) + 2 : len(data) + 5]
        assert file.read(0) == b"" and file.readable() and file.seekable()
