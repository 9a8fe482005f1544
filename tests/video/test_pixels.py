# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from seeclear.video import pixels
from seeclear.video.color import FULL_RANGE, LIMITED_RANGE
from seeclear.video.pixels import (
    BAND,
    as_floats,
    describe_format,
    frame_range,
    make_frame,
    read_pixels,
    readable_layout,
)
from seeclear.video.properties import PixelLayout, VideoProperties


def picture(height: int, width: int, channels: int) -> np.ndarray:
    y, x, c = np.mgrid[:height, :width, :channels]
    return ((x / width + 0.5 * y / height + 0.2 * c) / 2).astype(np.float32)


def properties(pix_fmt: str, height: int, width: int, **changes: Any) -> VideoProperties:
    layout = PixelLayout.parse(pix_fmt)
    assert layout is not None
    values: dict[str, Any] = {
        "path": None,
        "kind": "video",
        "codec": "h264",
        "bit_depth": layout.bits,
        "has_alpha": layout.has_alpha,
        "is_grey": layout.is_grey,
        "time_base": Fraction(1, 25),
        "fps": Fraction(25),
        "color_range": LIMITED_RANGE,
        "matrix": 1,
    }
    return VideoProperties(pix_fmt=pix_fmt, height=height, width=width, **{**values, **changes})


@pytest.mark.parametrize("size", [(16, 24), (15, 23), (1, 1), (3, 70)])
@pytest.mark.parametrize(
    "pix_fmt",
    [
        *("yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuv420p10le", "yuv422p10le", "yuv444p12le", "yuv444p16le"),
        *("yuva420p", "yuva444p10le", "gbrp", "gbrap", "gbrp10le", "gbrap16le", "gray", "gray10le", "gray16le"),
        *("rgb24", "rgba", "rgb48be", "rgba64be", "bgr0", "bgra", "gray16be", "ya8", "ya16be"),
    ],
)
def test_there_and_back(pix_fmt: str, size: tuple[int, int]) -> None:
    layout = PixelLayout.parse(pix_fmt)
    assert layout is not None
    rgb, alpha = picture(*size, 3), picture(*size, 1)[..., 0]
    if layout.is_grey:
        rgb = np.repeat(rgb[..., :1], 3, axis=-1)
    full = {} if layout.is_yuv or pix_fmt.startswith("gray") and "be" not in pix_fmt else {"color_range": FULL_RANGE}
    frame = make_frame(rgb, alpha, properties(pix_fmt, *size, **full))
    assert (frame.format.name, frame.height, frame.width) == (pix_fmt, *size)
    seen, seen_alpha = read_pixels(frame, "h264")
    step = 1 / (219 << (layout.bits - 8))
    smooth = layout.chroma in (None, "444") or min(size) > 10
    if smooth:
        tolerance = 1.6 * step if layout.chroma in (None, "444") else 0.02
        np.testing.assert_allclose(seen, rgb, atol=tolerance + 1e-6)
    assert seen.shape == (*size, 3) and seen.dtype == np.float32
    if layout.has_alpha:
        assert seen_alpha is not None
        np.testing.assert_allclose(seen_alpha, alpha, atol=0.51 / ((1 << layout.bits) - 1) + 1e-6)
    else:
        assert seen_alpha is None or (seen_alpha == 1).all()


@pytest.mark.parametrize(
    ("pix_fmt", "read_as"),
    [
        ("nv12", "yuv420p"),
        ("nv16", "yuv422p"),
        ("yuyv422", "yuv422p"),
        ("uyvy422", "yuv422p"),
        ("p010le", "yuv420p10le"),
        ("yuv420p10be", "yuv420p10le"),
        ("yuvj444p", "yuvj444p"),
        ("rgb24", "gbrp"),
        ("bgra", "gbrap"),
        ("rgb48le", "gbrp16le"),
        ("rgba64be", "gbrap16le"),
        ("x2rgb10le", "gbrp16le"),
        ("pal8", "gbrap"),
        ("rgb565le", "gbrp"),
        ("rgb555be", "gbrp"),
        ("gray", "gray"),
        ("monow", "gray"),
        ("gray16be", "gray16le"),
        ("ya8", "gbrap"),
    ],
)
def test_other_formats_are_rearranged(pix_fmt: str, read_as: str) -> None:
    assert readable_layout(pix_fmt).name == read_as
    source = np.full((16, 16, 3), 128, np.uint8)
    source[:, 8:] = 255
    if pix_fmt == "pal8":
        return
    frame = av.VideoFrame.from_ndarray(source, format="rgb24").reformat(format=pix_fmt)
    seen, _ = read_pixels(frame, "rawvideo")
    assert np.abs(seen[:, 10:] - 1).max() < 2 / 255
    if pix_fmt != "monow":
        assert np.abs(seen[:, :6] - 128 / 255).max() < 6 / 255


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_nothing_goes_through_8_bits(bits: int) -> None:
    """A slope finer than 8 bits keeps its steps."""
    ramp = (0.4 + np.arange(64, dtype=np.float32) / 64 / 50)[None, :, None].repeat(8, 0).repeat(3, 2)
    frame = make_frame(ramp, None, properties(f"yuv444p{bits}le", 8, 64))
    seen, _ = read_pixels(frame, "h264")
    assert np.abs(seen - ramp).max() < 1.1 / (219 << (bits - 8))
    assert len(np.unique(seen[0, :, 0])) > 15


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "yuva444p", "gray", "rgb48be"])
@pytest.mark.parametrize("size", [(2 * BAND, 6), (3 * BAND - 1, 7), (BAND + 1, 66)])
def test_bands_and_levels_change_nothing(pix_fmt: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame made in one piece of floats, in bands, and of the 16-bit numbers that stand for the same floats."""
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 65536, (4, *size), np.uint16)
    rgb, alpha = levels[:3].transpose(1, 2, 0), levels[3]
    target = properties(pix_fmt, *size)
    frames = [make_frame(rgb, alpha, target), make_frame(as_floats(rgb), as_floats(alpha), target)]
    monkeypatch.setattr(pixels, "BAND", 1 << 20)
    frames.append(make_frame(as_floats(rgb), as_floats(alpha), target))
    first, *others = [[bytes(plane) for plane in frame.planes] for frame in frames]
    assert others == [first, first]


def test_alpha_that_is_not_given_is_opaque() -> None:
    frame = make_frame(picture(4, 6, 3), None, properties("yuva444p", 4, 6))
    _, alpha = read_pixels(frame, "vp9")
    assert alpha is not None and (alpha == 1).all()


def test_tags_of_a_frame() -> None:
    colors = {"color_range": 2, "matrix": 9, "primaries": 9, "transfer": 16}
    frame = make_frame(picture(4, 6, 3), None, properties("yuv444p10le", 4, 6, **colors))
    assert (frame.color_range, frame.colorspace, frame.color_primaries, frame.color_trc) == (2, 9, 9, 16)


def test_range_that_is_not_named() -> None:
    for name, expected in (("yuv420p", 1), ("yuvj420p", 2), ("gray", 2)):
        assert frame_range(av.VideoFrame(4, 4, name)) == expected


@pytest.mark.parametrize(
    ("pix_fmt", "expected"),
    [
        ("yuv420p", (8, False, False)),
        ("yuva444p10le", (10, True, False)),
        ("gray12le", (12, False, True)),
        ("ya16be", (16, True, True)),
        ("monob", (8, False, True)),
        ("pal8", (8, True, False)),
        ("rgb48be", (16, False, False)),
    ],
)
def test_description(pix_fmt: str, expected: tuple[int, bool, bool]) -> None:
    assert describe_format(pix_fmt) == expected


def test_layouts_that_are_not_read_directly() -> None:
    for name in ("nv12", "yuyv422", "yuv", "gray420", "gbrp420", "", "rgb565le"):
        assert PixelLayout.parse(name) is None
