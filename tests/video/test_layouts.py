# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""RGB stays RGB where nothing is to be lost, and sides become even where players need that."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from seeclear.video import EncodeSettings, VideoReader, check_output, output_properties
from seeclear.video.codecs import fitted_output
from seeclear.video.properties import VideoProperties

PIXELS = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)


def rgb_source(path: Path, codec: str, pix_fmt: str) -> Path:
    """Two frames of coloured noise, stored without loss as RGB."""
    with av.open(str(path), "w") as container:
        options = {"crf": "0"} if codec == "libx264rgb" else {}
        stream = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = 32, 48, pix_fmt
        for index in range(2):
            frame = av.VideoFrame.from_ndarray(PIXELS[::1, :: 1 - 2 * index], format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


RGB = [
    ("a.mkv", "libx264rgb", "rgb24"),
    ("a.mp4", "libx264rgb", "bgr24"),
    ("a.mkv", "ffv1", "bgr0"),
    ("a.mov", "png", "rgb24"),
    ("a.avi", "huffyuv", "rgb24"),
    ("a.mov", "qtrle", "rgb24"),
]


@pytest.mark.parametrize(("name", "codec", "pix_fmt"), RGB)
def test_rgb_without_loss(tmp_path: Path, upscale: Any, read: Any, name: str, codec: str, pix_fmt: str) -> None:
    source = rgb_source(tmp_path / name, codec, pix_fmt)
    _, properties = upscale(source, tmp_path / "out.mkv", EncodeSettings("ffv1"), scale=1, parts=1)
    assert (properties.matrix, properties.color_range, properties.notes) == (0, 2, ())
    np.testing.assert_array_equal(read(tmp_path / "out.mkv"), read(source))
    np.testing.assert_array_equal(np.rint(read(source)[0] * 255), PIXELS)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("alpha", [False, True])
def test_rgb_of_every_depth_without_loss(tmp_path: Path, upscale: Any, read: Any, bits: int, alpha: bool) -> None:
    pix_fmt = ("gbrap" if alpha else "gbrp") + f"{bits}le"
    if bits == 8:
        pix_fmt = "bgra" if alpha else "bgr0"
    levels = np.random.default_rng(0).integers(0, 65536, (32, 48, 4), np.uint16)
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 32, 48, pix_fmt
        frame = av.VideoFrame.from_ndarray(levels, format="rgba64le").reformat(format=pix_fmt)
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux([*stream.encode(frame), *stream.encode(None)])
    _, properties = upscale(tmp_path / "a.mkv", tmp_path / "out.mkv", EncodeSettings("ffv1"), scale=1, parts=1)
    assert (properties.pix_fmt, properties.bit_depth, properties.has_alpha) == (pix_fmt, bits, alpha)
    np.testing.assert_array_equal(read(tmp_path / "out.mkv"), read(tmp_path / "a.mkv"))


def test_images_without_loss(tmp_path: Path, upscale: Any, read: Any) -> None:
    for kind, pixels in (("colour", PIXELS), ("grey", PIXELS[..., 0])):
        (tmp_path / kind).mkdir()
        for index in range(2):
            Image.fromarray(pixels[:: 1 - 2 * index]).save(tmp_path / kind / f"{index}.png")
        target = tmp_path / f"{kind}.mkv"
        _, properties = upscale(tmp_path / kind, target, EncodeSettings("ffv1"), scale=1, parts=1)
        assert properties.pix_fmt == {"colour": "bgr0", "grey": "gray"}[kind]
        if kind == "colour":
            np.testing.assert_array_equal(read(target), read(tmp_path / kind))


@pytest.mark.parametrize(
    ("target", "settings", "pix_fmt", "noted"),
    [
        ("out.mkv", {"crf": 0}, "yuv444p", False),
        ("out.mkv", {"codec": "h265", "crf": 0}, "yuv444p", False),
        ("out.webm", {"crf": 0}, "yuv444p", False),
        ("out.mov", {"codec": "prores"}, "yuv444p10le", False),
        ("out.mp4", {}, "yuv420p", True),
        ("out.mkv", {"codec": "ffv1", "pix_fmt": "yuv420p"}, "yuv420p", True),
        ("frames", {}, "rgb24", False),
    ],
)
def test_rgb_that_becomes_something_else(
    tmp_path: Path, target: str, settings: dict, pix_fmt: str, noted: bool
) -> None:
    source = rgb_source(tmp_path / "a.mkv", "ffv1", "bgr0")
    with VideoReader(source) as reader:
        properties = output_properties(reader.properties, tmp_path / target, (64, 64), EncodeSettings(**settings))
        notes = check_output(tmp_path / target, reader.properties, EncodeSettings(**settings), (64, 64))
    assert properties.pix_fmt == pix_fmt
    assert any(f"RGB becomes {pix_fmt}" in note for note in notes) == noted


# Odd sides


def plain(pix_fmt: str = "yuv420p", **changes: Any) -> VideoProperties:
    values: dict[str, Any] = {
        "path": Path("in.mp4"),
        "kind": "video",
        "codec": "h264",
        "width": 31,
        "height": 23,
        "bit_depth": 8,
        "has_alpha": False,
        "is_grey": False,
        "time_base": Fraction(1, 25),
        "fps": Fraction(25),
    }
    return VideoProperties(pix_fmt=pix_fmt, **{**values, **changes})


@pytest.mark.parametrize(
    ("target", "settings", "source", "size", "expected", "pix_fmt"),
    [
        ("a.mp4", {}, plain(), (23, 31), (24, 32), "yuv420p"),
        ("a.mp4", {}, plain(), (24, 31), (24, 32), "yuv420p"),
        ("a.mp4", {}, plain(), (23, 32), (24, 32), "yuv420p"),
        ("a.mov", {"codec": "h265"}, plain(), (47, 63), (48, 64), "yuv420p"),
        ("a.mp4", {"codec": "av1"}, plain(), (65, 127), (66, 128), "yuv420p"),
        ("a.webm", {}, plain(), (23, 31), (24, 32), "yuv420p"),
        ("a.mkv", {"codec": "ffv1"}, plain(), (23, 31), (24, 32), "yuv420p"),
        ("a.mp4", {}, plain("yuv422p"), (23, 31), (23, 32), "yuv422p"),  # rows are not halved
        ("a.mkv", {"codec": "ffv1"}, plain("yuv422p"), (23, 31), (23, 32), "yuv422p"),
        ("a.mp4", {}, plain("yuv444p"), (23, 31), (23, 31), "yuv444p"),
        ("a.mkv", {"codec": "ffv1"}, plain("bgr0"), (23, 31), (23, 31), "bgr0"),
        ("a.mp4", {"exact_size": True}, plain(), (23, 31), (23, 31), "yuv444p"),
        ("a.webm", {"exact_size": True}, plain(), (23, 31), (23, 31), "yuv420p"),
        ("a.mp4", {}, plain(), (24, 32), (24, 32), "yuv420p"),
        ("frames", {}, plain(), (23, 31), (23, 31), "rgb24"),
        ("a.gif", {}, plain(), (23, 31), (23, 31), "rgb24"),
        ("a.png", {}, plain(), (23, 31), (23, 31), "rgb24"),
    ],
)
def test_odd_sides(
    target: str,
    settings: dict,
    source: VideoProperties,
    size: tuple[int, int],
    expected: tuple[int, int],
    pix_fmt: str,
) -> None:
    properties = fitted_output(source, target, size, EncodeSettings(**settings))
    assert (properties.height, properties.width, properties.pix_fmt) == (*expected, pix_fmt)
    rounded = f"{target}: {size[1]}x{size[0]} becomes {expected[1]}x{expected[0]}"
    assert any(note.startswith(rounded) for note in properties.notes) == (size != expected)


def test_sides_that_were_asked_for_stay() -> None:
    free = {(True, False): (24, 31), (False, True): (23, 32), (False, False): (23, 31)}
    for which, expected in free.items():
        properties = fitted_output(plain(), "a.webm", (23, 31), None, which)
        assert (properties.height, properties.width) == expected
    for source in (plain(), plain("bgra"), plain("rgb24", codec="images", kind="image", num_frames=1)):
        properties = fitted_output(source, "a.mp4", (24, 31), None, (True, False))
        assert properties.pix_fmt == "yuv444p"
        assert "31x24 has an odd side, so that the video becomes yuv444p" in properties.notes[0]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.mov"])
def test_odd_video_at_its_own_size(
    make_video: Callable[..., Path], tmp_path: Path, upscale: Any, read: Any, assert_close: Any, name: str
) -> None:
    """`exact_size` keeps it in every container."""
    source = make_video("in.mp4", size=(23, 31), pixel_format="yuv444p", sound_codecs=())
    written, properties = upscale(source, tmp_path / name, EncodeSettings(exact_size=True), scale=1)
    assert (properties.height, properties.width) == (23, 31)
    assert_close(read(tmp_path / name), written)
