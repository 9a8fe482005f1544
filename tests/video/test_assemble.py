# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Parts joined: what containers hold and what they cannot, and the same bytes every time."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from seeclear.video import (
    EncodeSettings,
    VideoReader,
    assemble,
    check_output,
    encode_part,
    output_properties,
)
from seeclear.video.codecs import CODECS

MakeVideo = Callable[..., Path]
Probe = Callable[[Path], Any]
TEXTS = [(40, 120, "Hello"), (150, 200, "and good bye")]


# What a container cannot hold


def test_streams_that_a_container_cannot_hold(
    make_video: MakeVideo, probe: Probe, tmp_path: Path, upscale: Any
) -> None:
    source = make_video("in.mkv", subtitles=TEXTS, sound_codecs=("flac", "aac"), attachment=b"letters")
    with VideoReader(source) as reader:
        properties = reader.properties
        with pytest.raises(ValueError, match=r"out\.mp4: .* subtitles #. \((srt|subrip), fra\) of .*; \.mkv can\."):
            check_output(tmp_path / "out.mp4", properties)
        with pytest.raises(ValueError, match=r"out\.webm: .* subtitles #. \((srt|subrip), fra\) of .*; \.mkv can\."):
            check_output(tmp_path / "out.webm", properties)
        notes = check_output(tmp_path / "out.mp4", properties, drop_unsupported=True)
    assert any("subtitles" in note for note in notes) and any("letters.ttf" in note for note in notes)
    upscale(source, tmp_path / "out.mp4", drop_unsupported=True)
    assert [stream.codec for stream in probe(tmp_path / "out.mp4").others] == ["flac", "aac"]
    with pytest.raises(ValueError, match=r"out\.webm"):
        upscale(source, tmp_path / "out.webm")
    assert not (tmp_path / "out.webm").exists()


def test_depth_that_the_codec_cannot_hold_is_noted(make_video: MakeVideo, tmp_path: Path) -> None:
    with VideoReader(make_video("in.mp4", pixel_format="yuv420p10le", sound_codecs=())) as reader:
        (note,) = check_output(tmp_path / "out.webm", reader.properties)
        assert "10 bits a channel become 8 (vp9)" in note
        assert check_output(tmp_path / "out.mp4", reader.properties) == []


def test_what_frames_carry_is_noted(make_video: MakeVideo, tmp_path: Path) -> None:
    hdr = "log-level=none:max-cll=1000,400:master-display=G(1,2)B(3,4)R(5,6)WP(7,8)L(9,10)"
    source = make_video("in.mkv", video_codec="libx265", codec_options={"x265-params": hdr}, sound_codecs=())
    with VideoReader(source) as reader:
        notes = check_output(tmp_path / "out.mkv", reader.properties)
    assert [note.partition(": ")[2] for note in notes] == [
        "the mastering display of HDR cannot be kept.",
        "the light level of HDR cannot be kept.",
    ]


def test_dispositions(make_video: MakeVideo, tmp_path: Path, upscale: Any) -> None:
    """Which sound is played by default, and which is a comment."""
    comment, default = 8, 1
    source = make_video("in.mkv", sound_codecs=("aac", "aac"), dispositions=(comment, default))
    upscale(source, tmp_path / "out.mkv")
    for path in (source, tmp_path / "out.mkv"):
        with av.open(str(path)) as container:
            assert [stream.disposition.value for stream in container.streams.audio] == [comment, default]


@pytest.mark.parametrize(
    ("codec", "suffix"), [(name, suffix) for name, codec in CODECS.items() for suffix in codec.suffixes]
)
def test_every_codec_in_every_container(
    tmp_path: Path, probe: Probe, codec: str, suffix: str, upscale: Any, read: Any, assert_close: Any
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for index in range(6):
        pixels = np.full((64, 64, 3), (40 * index, 128, 200 - 30 * index), np.uint8)
        Image.fromarray(pixels).save(source / f"{index}.png")
    preset = {"h264": "ultrafast", "h265": "ultrafast", "vp9": "8", "av1": "12"}.get(codec)
    written, properties = upscale(source, tmp_path / f"out{suffix}", EncodeSettings(codec, preset=preset), scale=1)
    found = probe(tmp_path / f"out{suffix}")
    assert (found.codec, found.times) == (properties.codec, [Fraction(index, 25) for index in range(6)])
    assert found.colors[:2] == ((2, 0) if codec == "ffv1" else (1, 6))  # full range and RGB, or limited and BT.601
    assert_close(read(tmp_path / f"out{suffix}"), written)


def test_sizes_an_encoder_does_not_take_are_known_before_any_work(make_video: MakeVideo, tmp_path: Path) -> None:
    with VideoReader(make_video("in.mp4", sound_codecs=())) as reader:
        with pytest.raises(ValueError, match=r"`codec` h265 needs sides of at least 32 pixels, but the output is 8x8"):
            check_output(tmp_path / "out.mkv", reader.properties, EncodeSettings("h265"), (8, 8))
        (note,) = check_output(tmp_path / "out.mkv", reader.properties, size=(1, 1))
        assert "1x1 has an odd side" in note


# Parts


@pytest.mark.parametrize(("target", "parts"), [("out.mp4", 3), ("out.mkv", 7), ("out.webm", 2), ("out.gif", 3)])
def test_same_bytes_every_time(make_video: MakeVideo, tmp_path: Path, target: str, parts: int, upscale: Any) -> None:
    source = make_video("in.mkv", sound_codecs=("libopus",))
    found = set()
    for _ in range(2):
        upscale(source, tmp_path / target, parts=parts)
        found.add((tmp_path / target).read_bytes())
        (tmp_path / target).unlink()
    assert len(found) == 1


def test_parts_and_times_must_agree(make_video: MakeVideo, tmp_path: Path) -> None:
    source = make_video("in.mp4")
    with VideoReader(source) as reader:
        properties = output_properties(reader.properties, tmp_path / "out.mp4", (24, 32))
        other = EncodeSettings(preset="ultrafast")
        frames = [(frame.rgb, None) for frame in reader.frames()]
        encode_part(tmp_path / "a", frames, properties)
        encode_part(tmp_path / "b", frames, properties, other)
        times = reader.times()
    final = tmp_path / "out.mp4"
    with pytest.raises(ValueError, match=r"`times` must have one entry for each of the 7 frames, but has 6"):
        assemble([tmp_path / "a"], times[:6], final, source, properties)
    with pytest.raises(ValueError, match="must ascend"):
        assemble([tmp_path / "a"], [*times[1:], times[0]], final, source, properties)
    with pytest.raises(ValueError, match=r"b: the part was coded by other settings than"):
        assemble(
            [tmp_path / "a", tmp_path / "b"], times * 2 and [(i, 1) for i in range(14)], final, source, properties
        )
    with pytest.raises(ValueError, match="at least one part"):
        assemble([], [], final, source, properties)
    with pytest.raises(ValueError, match=r"height and width \(24, 32\)"):
        encode_part(tmp_path / "c", [(np.zeros((3, 3, 3), np.float32), None)], properties)
    with pytest.raises(ValueError, match="no frame was written"):
        encode_part(tmp_path / "c", [], properties)
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:900])
    with pytest.raises(ValueError, match=r"out\.mp4|a: "):
        assemble([tmp_path / "a"], times, final, source, replace(properties))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "in.mp4"]
