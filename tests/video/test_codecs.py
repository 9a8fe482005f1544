# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seeclear.video.codecs import (
    CODECS,
    EncodeSettings,
    encoder_options,
    encoder_threads,
    output_kind,
    output_properties,
)
from seeclear.video.encode import encode_part
from seeclear.video.layouts import encoder_formats
from seeclear.video.properties import VideoProperties
from seeclear.video.reader import VideoReader


def source(pix_fmt: str = "yuv420p", bits: int = 8, **changes: Any) -> VideoProperties:
    values: dict[str, Any] = {
        "path": Path("in.mp4"),
        "kind": "video",
        "codec": "h264",
        "width": 16,
        "height": 12,
        "has_alpha": "a" in pix_fmt.replace("gray", ""),
        "is_grey": pix_fmt.startswith("gray"),
        "time_base": Fraction(1, 12800),
        "fps": Fraction(25),
        "color_range": 1,
        "matrix": 6,
    }
    return VideoProperties(pix_fmt=pix_fmt, bit_depth=bits, **{**values, **changes})


IMAGES = {"codec": "images", "kind": "folder", "color_range": 0, "matrix": 2}


@pytest.mark.parametrize(
    ("target", "settings", "given", "codec", "pix_fmt"),
    [
        ("a.mp4", {}, source(), "h264", "yuv420p"),
        ("a.MOV", {}, source(), "h264", "yuv420p"),
        ("a.webm", {}, source(), "vp9", "yuv420p"),
        ("a.mkv", {}, source("yuv420p10le", 10), "h264", "yuv420p10le"),
        ("a.mkv", {"codec": "h265"}, source("yuv444p12le", 12), "hevc", "yuv444p12le"),
        ("a.mkv", {}, source("yuv444p12le", 12), "h264", "yuv444p10le"),
        ("a.mkv", {}, source("nv12"), "h264", "yuv420p"),
        ("a.mkv", {}, source("p010le", 10), "h264", "yuv420p10le"),
        ("a.mp4", {}, source("yuvj422p"), "h264", "yuv422p"),
        ("a.mp4", {}, source("yuv411p"), "h264", "yuv420p"),
        ("a.mp4", {}, source("gray"), "h264", "gray"),
        ("a.webm", {}, source("gray"), "vp9", "yuv420p"),
        ("a.mp4", {}, source("gray", **IMAGES), "h264", "yuv420p"),
        ("a.mp4", {}, source("rgb24", **IMAGES), "h264", "yuv420p"),
        ("a.mp4", {"pix_fmt": "yuv444p10le"}, source(), "h264", "yuv444p10le"),
        ("a.mkv", {}, source("yuva420p"), "vp9", "yuva420p"),
        ("a.mov", {}, source("yuva420p"), "prores", "yuva444p10le"),
        ("a.mov", {"codec": "prores"}, source(), "prores", "yuv422p10le"),
        ("a.mkv", {"codec": "ffv1"}, source("yuva444p10le", 10), "ffv1", "yuva444p10le"),
        ("a.mkv", {"codec": "ffv1"}, source("rgb48be", 16, **IMAGES), "ffv1", "gbrp16le"),
        ("frames", {}, source(), "images", "rgb24"),
        ("frames", {}, source("yuv420p10le", 10), "images", "rgb48be"),
        ("frames", {}, source("gray"), "images", "gray"),
        ("frames", {"pix_fmt": "rgb48be"}, source(), "images", "rgb48be"),
        ("a.png", {}, source("ya16be", 16, is_grey=True, has_alpha=True, **IMAGES), "images", "ya16be"),
        ("a.gif", {}, source("yuv420p10le", 10), "gif", "rgb24"),
        ("a.gif", {}, source("yuva420p"), "gif", "rgba"),
    ],
)
def test_what_is_left_open_is_decided(
    target: str, settings: dict, given: VideoProperties, codec: str, pix_fmt: str
) -> None:
    properties = output_properties(given, target, (48, 64), EncodeSettings(**settings))
    assert (properties.codec, properties.pix_fmt) == (codec, pix_fmt)
    assert (properties.width, properties.height, properties.time_base) == (64, 48, given.time_base)


def test_odd_sides_get_full_chroma() -> None:
    assert output_properties(source(), "a.mp4", (47, 64)).pix_fmt == "yuv444p"
    assert output_properties(source(), "a.webm", (47, 64)).pix_fmt == "yuv420p"  # VP9 has half a sample there
    with pytest.raises(ValueError, match=r"`pix_fmt` yuv420p of h264 needs even sides, but .* 64x47; yuv444p takes"):
        output_properties(source(), "a.mp4", (47, 64), EncodeSettings(pix_fmt="yuv420p"))
    with pytest.raises(ValueError, match="`codec` av1 has no pixel format for an output of 65x64"):
        output_properties(source(), "a.mp4", (64, 65), EncodeSettings("av1"))
    with pytest.raises(ValueError, match="`codec` av1 needs sides of at least 64 pixels, but the output is 64x4;"):
        output_properties(source(), "a.mp4", (4, 64), EncodeSettings("av1"))


@pytest.mark.parametrize(
    ("given", "size", "matrix", "color_range"),
    [
        (source(), (720, 1280), 6, 1),
        (source(matrix=2), (720, 1280), 1, 1),
        (source(matrix=2, color_range=0), (480, 640), 6, 1),
        (source(color_range=2), (480, 640), 6, 2),
        (source("gbrp", matrix=0, color_range=2), (480, 640), 6, 1),
        (source("rgb24", **IMAGES), (720, 1280), 1, 1),
    ],
)
def test_colours(given: VideoProperties, size: tuple[int, int], matrix: int, color_range: int) -> None:
    properties = output_properties(given, "a.mp4", size)
    assert (properties.matrix, properties.color_range) == (matrix, color_range)


@pytest.mark.parametrize(
    ("target", "settings", "message"),
    [
        ("a.mp4", {"codec": "h263"}, "`codec` must be one of h264, h265, vp9, av1, ffv1, prores, but was 'h263'"),
        ("a.webm", {"codec": "h264"}, r"a\.webm: `codec` for \.webm must be one of vp9, av1, but was 'h264'"),
        ("a.mp4", {"crf": 52}, r"`crf` for h264 must be in 0\.\.51, but was 52"),
        ("a.mov", {"codec": "prores", "crf": 3}, "`crf` must be left out for prores"),
        ("a.mp4", {"preset": "quick"}, "`preset` for h264 must be one of ultrafast, .*, but was 'quick'"),
        ("a.mkv", {"codec": "ffv1", "preset": "fast"}, "`preset` for ffv1 must be left out"),
        ("a.mp4", {"pix_fmt": "pal8"}, "`pix_fmt` for h264 must be one of yuv420p, .*, but was 'pal8'"),
        ("frames", {"codec": "h264"}, "frames: `codec` must be left out for images, but was 'h264'"),
        ("frames", {"pix_fmt": "yuv420p"}, "`pix_fmt` must be one of rgb24, .*, but was 'yuv420p'"),
        ("a.gif", {"crf": 3}, "`crf` must be left out for images"),
        ("a.bmp", {}, r"a\.bmp: the ending of an output must be one of \.mp4, \.mov"),
    ],
)
def test_settings_that_do_not_go_together(target: str, settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        output_properties(source(), target, (48, 64), EncodeSettings(**settings))


def test_kinds() -> None:
    names = {"a.mp4": "video", "b.WEBM": "video", "c.gif": "gif", "d.png": "image", "e": "folder"}
    assert {name: output_kind(Path(name)) for name in names} == names


def test_large_frames_are_coded_in_less_memory() -> None:
    for size, lookahead, threads in (((2160, 3840), None, 4), ((2162, 3840), "6", 1)):
        properties = output_properties(source(), Path("a.mp4"), size)
        assert encoder_options(properties, EncodeSettings())[1].get("rc-lookahead") == lookahead
        assert encoder_threads(properties) == threads
        other = output_properties(source(), Path("a.webm"), size)
        assert encoder_threads(other) == 4 and "rc-lookahead" not in encoder_options(other, EncodeSettings())[1]


@pytest.mark.parametrize("name", [name for name in CODECS if name != "av1"])
def test_every_format_an_encoder_is_said_to_take(tmp_path: Path, name: str) -> None:
    """Two frames in each format; what comes out is what went in."""
    ramp = np.mgrid[:32, :32, :3].sum(0).astype(np.float32) / 80
    suffix = CODECS[name].suffixes[0]
    crf = None if CODECS[name].crf is None else 2
    for pix_fmt in encoder_formats(CODECS[name].encoder):
        settings = EncodeSettings(name, crf=crf, pix_fmt=pix_fmt)
        properties = output_properties(source(), tmp_path / f"a{suffix}", (32, 32), settings)
        grey = ramp[..., :1].repeat(3, -1) if properties.is_grey else ramp
        encode_part(tmp_path / "part", [(grey, None)] * 2, properties, settings)
        with VideoReader(tmp_path / "part") as reader:
            depth = 12 if pix_fmt == "yuv444p10le" and name == "prores" else properties.bit_depth
            # FFmpeg decodes ProRes 4444 to 12 bits
            depth = 12 if name == "prores" and "444" in pix_fmt else properties.bit_depth
            assert reader.properties.bit_depth == depth
            for frame in reader.frames():
                assert np.abs(frame.rgb - grey).mean() < 0.02, pix_fmt


@pytest.mark.parametrize(("codec", "num_frames"), [("h264", 6), ("h265", 1), ("h265", 2), ("h265", 6)])
def test_the_same_frames_give_the_same_bytes(tmp_path: Path, codec: str, num_frames: int) -> None:
    """Whatever the memory held before: x264 for AVX-512 and x265 for few frames read some that was never written."""
    numbers = np.random.default_rng(0)
    picture = numbers.random((8, 41, 3), np.float32).repeat(12, 0).repeat(8, 1)
    frames = [picture[:, index : index + 320] for index in range(num_frames)]
    properties = output_properties(source(), tmp_path / "a.mkv", (96, 320), EncodeSettings(codec))
    seen, garbage = set(), []
    for _ in range(16):
        garbage[:] = [np.full(numbers.integers(1, 1 << 18), numbers.integers(256), np.uint8) for _ in range(16)]
        encode_part(tmp_path / "part", [(frame, None) for frame in frames], properties, EncodeSettings(codec))
        seen.add((tmp_path / "part").read_bytes())
    assert len(seen) == 1


def test_x264_does_without_avx512(monkeypatch: pytest.MonkeyPatch) -> None:
    properties = output_properties(source(), Path("a.mp4"), (96, 320))
    for capability, expected in (("AVX512", "asm=avx2"), ("AVX2", None), ("DEFAULT", None)):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda capability=capability: capability)
        assert encoder_options(properties, EncodeSettings())[1].get("x264-params") == expected
