# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Videos of many kinds upscaled by repeating pixels: what is not the picture must come out as it went in.

What is in a file is told by ffprobe where it is installed, else by PyAV, never by the code under test.
"""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from seeclear.video import (
    EncodeSettings,
    VideoReader,
    check_output,
)

MakeVideo = Callable[..., Path]
Probe = Callable[[Path], Any]

# Turned by 90 degrees clockwise, by 180, and mirrored left to right: ISO/IEC 14496-12, 8.3.2.
CLOCKWISE = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
UPSIDE_DOWN = (-65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30)
MIRRORED = (-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)

MILLISECOND = Fraction(1, 1000)


def assert_same_times(after: Any, before: Any, unit: Fraction) -> None:
    """To half a unit. Matroska has no time before 0: all moves by what the first sound comes earlier (to a unit)."""
    assert len(after.times) == len(before.times)
    early = -min([time for stream in before.others for time, _ in stream.packets] + [Fraction(0)])
    moved = after.times[0] - before.times[0]
    assert abs(moved) <= unit / 2 or (unit and abs(moved - early) <= 2 * unit)
    shifts = [a - b - moved for a, b in zip(after.times, before.times, strict=True)]
    assert max(map(abs, shifts)) <= unit


def assert_same_streams(after: Any, before: Any, unit: Fraction) -> None:
    """Sound, subtitles and attachments packet by packet; their places against the pictures to `unit`."""
    assert [(s.type, s.codec) for s in after.others] == [(s.type, s.codec) for s in before.others]
    for new, old in zip(after.others, before.others, strict=True):
        for name in ("language", "title", "filename", "mimetype"):
            assert new.tags.get(name, "und") == old.tags.get(name, "und")
        texts = [[packet for packet in s.packets if packet[1] != EMPTY_TEXT] for s in (new, old)]
        assert [checksum for _, checksum in texts[0]] == [checksum for _, checksum in texts[1]]
        shifts = [(a - after.times[0]) - (b - before.times[0]) for (a, _), (b, _) in zip(*texts, strict=True)]
        assert max(map(abs, shifts), default=0) <= unit


# MP4 fills the time between subtitles with empty ones: two bytes of length.
EMPTY_TEXT = 0x41D912FF

BT2020_PQ = {"color_range": 1, "colorspace": 9, "color_primaries": 9, "color_trc": 16}
BT709_LIMITED = {"color_range": 1, "colorspace": 1, "color_primaries": 1, "color_trc": 1}
BT601_FULL = {"color_range": 2, "colorspace": 5, "color_primaries": 5, "color_trc": 6}
VFR = {"times": [0, 7, 9, 30, 31, 60, 90, 95, 180], "num_frames": 9, "time_base": Fraction(1, 90)}
SOUNDS = ({"language": "deu", "title": "Ton"}, {"language": "eng"})
TEXTS = [(40, 120, "Hello"), (150, 200, "and good bye")]
CHAPTERS = [(0, 120, "One"), (120, 280, "Two")]

KINDS: dict[str, tuple[str, dict[str, Any], str, EncodeSettings | None]] = {
    # name: (source, how it is made, target, settings)
    "variable rate, MP4": ("in.mp4", VFR, "out.mp4", None),
    "variable rate, MP4 to MKV": ("in.mp4", VFR, "out.mkv", None),
    "variable rate, MKV": ("in.mkv", {**VFR, "sound_codecs": ("libopus",)}, "out.mkv", EncodeSettings("h265")),
    "variable rate, MKV to MP4": ("in.mkv", VFR, "out.mp4", EncodeSettings(preset="ultrafast")),
    "30000/1001": ("in.mov", {"fps": Fraction(30000, 1001), "num_frames": 9}, "out.mkv", None),
    "24000/1001 to WebM": (
        "in.mkv",
        {"fps": Fraction(24000, 1001), "sound_codecs": ("libopus",)},
        "out.webm",
        EncodeSettings(preset="8"),
    ),
    "10 bits, HDR": (
        "in.mkv",
        {
            "video_codec": "libx265",
            "pixel_format": "yuv420p10le",
            "tags": BT2020_PQ,
            "codec_options": {"x265-params": "log-level=none"},
        },
        "out.mp4",
        EncodeSettings("h265"),
    ),
    "10 bits to H.264": ("in.mp4", {"pixel_format": "yuv422p10le", "tags": BT709_LIMITED}, "out.mkv", None),
    "10 bits to AV1 in WebM": (
        "in.mp4",
        {"pixel_format": "yuv420p10le", "tags": BT2020_PQ, "sound_codecs": (), "size": (32, 48)},
        "out.webm",
        EncodeSettings("av1"),
    ),
    "10 bits, ProRes": (
        "in.mov",
        {
            "video_codec": "prores_ks",
            "pixel_format": "yuv422p10le",
            "tags": BT709_LIMITED,
            "sound_codecs": ("pcm_s16le",),
        },
        "out.mov",
        EncodeSettings("prores"),
    ),
    "12 bits, FFV1": (
        "in.mkv",
        {"video_codec": "ffv1", "pixel_format": "yuv444p12le", "sound_codecs": ("flac",)},
        "out.mkv",
        EncodeSettings("ffv1"),
    ),
    "two sounds": ("in.mp4", {"sound_codecs": ("aac", "libopus"), "sound_tags": SOUNDS}, "out.mp4", None),
    "two sounds to MKV": ("in.mp4", {"sound_codecs": ("aac", "libmp3lame"), "sound_tags": SOUNDS}, "out.mkv", None),
    "sound of AVI": ("in.avi", {"video_codec": "mpeg4", "sound_codecs": ("mp3",)}, "out.mp4", None),
    "subtitles, MKV": ("in.mkv", {"subtitles": TEXTS}, "out.mkv", None),
    "subtitles, MP4": ("in.mp4", {"subtitles": TEXTS}, "out.mp4", None),
    "chapters and tags, MP4": (
        "in.mp4",
        {
            "chapters": CHAPTERS,
            "metadata": {"title": "A title", "artist": "Somebody", "creation_time": "2020-01-02T03:04:05.000000Z"},
        },
        "out.mp4",
        None,
    ),
    "free tags to MOV": ("in.mkv", {"metadata": {"title": "A title", "com.example.key": "value"}}, "out.mov", None),
    "chapters, tags and attachment, MKV": (
        "in.mkv",
        {"chapters": CHAPTERS, "metadata": {"title": "A title", "mood": "fine"}, "attachment": b"letters"},
        "out.mkv",
        None,
    ),
    "no sound, MOV": ("in.mov", {"sound_codecs": ()}, "out.mov", None),
    "odd size": ("in.mp4", {"size": (23, 31), "pixel_format": "yuv444p"}, "out.mp4", None),
    "WebM": ("in.webm", {"video_codec": "libvpx-vp9", "sound_codecs": ("libopus",)}, "out.webm", None),
    "grey": ("in.mp4", {"pixel_format": "gray"}, "out.mp4", None),
    "grey, 10 bits": ("in.mkv", {"pixel_format": "gray10le", "sound_codecs": ()}, "out.mkv", None),
    "full range, BT.601": ("in.mp4", {"pixel_format": "yuvj420p", "tags": BT601_FULL}, "out.mp4", None),
    "full range to VP9": (
        "in.mp4",
        {"pixel_format": "yuvj420p", "tags": BT601_FULL, "sound_codecs": ()},
        "out.webm",
        None,
    ),
    "BT.709": ("in.mp4", {"tags": BT709_LIMITED}, "out.mp4", None),
    "BT.709 to VP9": ("in.mp4", {"tags": BT709_LIMITED, "sound_codecs": ()}, "out.webm", None),
    "4:4:4": ("in.mp4", {"pixel_format": "yuv444p"}, "out.mp4", None),
    "pixels of 4:3": ("in.mp4", {"tags": {"sample_aspect_ratio": Fraction(4, 3)}}, "out.mp4", None),
    "pixels of 16:11 to VP9": (
        "in.mp4",
        {"tags": {"sample_aspect_ratio": Fraction(16, 11)}, "sound_codecs": ()},
        "out.webm",
        None,
    ),
    "pixels of 10:11 to FFV1": (
        "in.mp4",
        {"tags": {"sample_aspect_ratio": Fraction(10, 11)}},
        "out.mkv",
        EncodeSettings("ffv1"),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_the_picture_is_kept(
    make_video: MakeVideo, probe: Probe, tmp_path: Path, kind: str, upscale: Any, read: Any, assert_close: Any
) -> None:
    name, making, target, settings = KINDS[kind]
    source = make_video(name, **making)
    written, properties = upscale(source, tmp_path / target, settings)
    before, after = probe(source), probe(tmp_path / target)
    assert_close(read(tmp_path / target), written)
    assert after.size == (4 * before.size[0], 4 * before.size[1])
    # MP4 and MOV have any clock, Matroska milliseconds; MKV to MP4 keeps these
    exact = target.endswith((".mp4", ".mov"))
    assert_same_times(after, before, Fraction(0) if exact else MILLISECOND)
    assert_same_streams(after, before, MILLISECOND)
    assert after.rotation == before.rotation == 0
    assert after.ratio in ((before.ratio,) if before.ratio not in (None, 1) else (None, 1))
    given = making.get("tags", {})
    if "colorspace" in given:
        named = tuple(given[key] for key in ("color_range", "colorspace", "color_primaries", "color_trc"))
        assert after.colors == before.colors == named
    assert after.pix_fmt == properties.pix_fmt
    if target != "out.webm" or settings and settings.codec == "av1":  # VP9 is of 8 bits and 4:2:0 here
        assert after.pix_fmt == before.pix_fmt
    assert after.chapters == before.chapters
    assert {name: after.tags.get(name) for name in making.get("metadata", {})} == making.get("metadata", {})
    assert {p.name for p in tmp_path.iterdir()} == {name, target}


@pytest.mark.parametrize("target", ["out.mp4", "out.mov", "out.mkv", "out.webm"])
@pytest.mark.parametrize(("matrix", "rotation"), [(CLOCKWISE, -90), (UPSIDE_DOWN, 180)])
def test_rotation(
    make_video: MakeVideo,
    probe: Probe,
    tmp_path: Path,
    target: str,
    matrix: tuple[int, ...],
    rotation: int,
    upscale: Any,
    read: Any,
    assert_close: Any,
) -> None:
    source = make_video("in.mp4", sound_codecs=(), num_frames=5, display_matrix=matrix)
    written, _ = upscale(source, tmp_path / target)
    before, after = probe(source), probe(tmp_path / target)
    assert abs(before.rotation) == abs(after.rotation) == abs(rotation)
    assert (before.rotation - after.rotation) % 360 == 0
    assert after.size == (4 * before.size[0], 4 * before.size[1])  # pixels are as they were
    assert_close(read(tmp_path / target), written)
    with VideoReader(tmp_path / target) as reader:
        assert reader.properties.rotation == rotation


@pytest.mark.parametrize("target", ["out.mp4", "out.mov", "out.mkv", "out.webm"])
def test_mirroring(make_video: MakeVideo, tmp_path: Path, upscale: Any, target: str) -> None:
    source = make_video("in.mp4", sound_codecs=(), num_frames=5, display_matrix=MIRRORED)
    upscale(source, tmp_path / target)
    with VideoReader(tmp_path / target) as reader:
        assert reader.properties.display_matrix == MIRRORED


def test_rotation_of_mkv(make_video: MakeVideo, probe: Probe, tmp_path: Path, upscale: Any) -> None:
    first = make_video("in.mp4", sound_codecs=(), num_frames=5, display_matrix=CLOCKWISE)
    upscale(first, tmp_path / "turned.mkv", scale=1)
    upscale(tmp_path / "turned.mkv", tmp_path / "out.mp4")
    assert probe(tmp_path / "turned.mkv").rotation == probe(tmp_path / "out.mp4").rotation == -90


def test_broadcast_stream_begins_at_zero(
    make_video: MakeVideo, probe: Probe, tmp_path: Path, upscale: Any, read: Any, assert_close: Any
) -> None:
    """Its clock starts anywhere; sound and pictures move together."""
    making = {"video_codec": "mpeg2video", "sound_codecs": ("mp2",), "options": {"output_ts_offset": "10"}}
    source = make_video("in.ts", num_frames=20, **making)
    written, _ = upscale(source, tmp_path / "out.mp4")
    before, after = probe(source), probe(tmp_path / "out.mp4")
    assert before.times[0] >= 10 and 0 <= after.times[0] < Fraction(1, 10)
    assert [a - after.times[0] for a in after.times] == [b - before.times[0] for b in before.times]
    (old,), (new,) = before.others, after.others
    assert [c for _, c in new.packets] == [c for _, c in old.packets]
    shifts = {
        (a - after.times[0]) - (b - before.times[0]) for (a, _), (b, _) in zip(new.packets, old.packets, strict=True)
    }
    assert max(map(abs, shifts)) <= MILLISECOND
    assert_close(read(tmp_path / "out.mp4"), written)


def test_pictures_that_begin_late(make_video: MakeVideo, probe: Probe, tmp_path: Path, upscale: Any) -> None:
    times = [500, 540, 580, 700, 720, 760, 800]
    source = make_video("in.mp4", times=times, time_base=MILLISECOND)
    for target in ("out.mp4", "out.mkv"):
        upscale(source, tmp_path / target)
        before, after = probe(source), probe(tmp_path / target)
        assert before.times == [t * MILLISECOND for t in times]
        assert_same_streams(after, before, MILLISECOND)
    assert probe(tmp_path / "out.mp4").times == before.times


@pytest.mark.parametrize(
    ("target", "settings", "pix_fmt"),
    [
        ("out.webm", None, "yuva420p"),
        ("out.mkv", None, "yuva420p"),
        ("out.mkv", EncodeSettings("ffv1"), "yuva420p"),
        ("out.mov", None, "yuva444p10le"),
    ],
)
def test_alpha(
    make_video: MakeVideo,
    tmp_path: Path,
    target: str,
    settings: Any,
    pix_fmt: str,
    upscale: Any,
    read: Any,
    assert_close: Any,
) -> None:
    making = {"video_codec": "libvpx-vp9", "pixel_format": "yuva420p", "codec_options": {"auto-alt-ref": "0"}}
    making |= {"sound_codecs": (), "size": (32, 48)}
    source = make_video("in.webm", **making, alpha=True, stream_tags={"alpha_mode": "1"})
    with VideoReader(source) as reader:
        assert reader.properties.has_alpha and reader.properties.pix_fmt == "yuva420p"
        alpha = next(reader.frames()).alpha
        assert alpha is not None and alpha[:, :16].max() < 0.1 and alpha[:, 32:].min() > 0.9
    written, properties = upscale(source, tmp_path / target, settings)
    assert properties.pix_fmt == pix_fmt and properties.has_alpha
    assert_close(read(tmp_path / target), written)


def test_alpha_of_prores_and_what_cannot_hold_it(
    make_video: MakeVideo, tmp_path: Path, upscale: Any, read: Any, assert_close: Any
) -> None:
    making = {"video_codec": "prores_ks", "pixel_format": "yuva444p10le", "codec_options": {"profile": "4444"}}
    source = make_video("in.mov", **making, alpha=True, sound_codecs=(), size=(32, 48))
    with VideoReader(source) as reader:
        assert reader.properties.has_alpha and reader.properties.bit_depth >= 10
        with pytest.raises(ValueError, match=r"in\.mov: the video has alpha, which h264 cannot hold; write \.webm"):
            check_output(tmp_path / "out.mp4", reader.properties)
        notes = check_output(tmp_path / "out.mp4", reader.properties, EncodeSettings(pix_fmt="yuv420p"))
        assert any("alpha is left out" in note for note in notes)
    written, _ = upscale(source, tmp_path / "frames")
    assert_close(read(tmp_path / "frames"), written, 1e-4)
    assert Image.open(tmp_path / "frames" / "000000.png").mode == "RGBA"
