# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Images that name their colours, and what else they carry: kept in images, converted for videos, or noted."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from seeclear.video import VideoReader, check_output, output_properties
from seeclear.video.image_colors import ImageColors, linear_to_srgb
from seeclear.video.inputs import read_input
from seeclear.video.png import read_chunks, with_chunks

Upscale = Callable[..., Any]

# Profiles, written by the tables of ICC.1:2022: primaries and curves, as cameras and screens have them.

DISPLAY_P3 = ((0.3127, 0.3290), (0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE_RGB = ((0.3127, 0.3290), (0.640, 0.330), (0.210, 0.710), (0.150, 0.060))

_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def gamma_curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


def table_curve(gamma: float) -> bytes:
    points = np.round(65535 * np.linspace(0, 1, 1024) ** gamma).astype(">u2").tobytes()
    return b"curv" + bytes(4) + struct.pack(">I", 1024) + points


def parametric_curve(kind: int, *numbers: float) -> bytes:
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + b"".join(map(_fixed, numbers))


SRGB_CURVE = parametric_curve(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def profile(name: str, curve: bytes, points: tuple[tuple[float, float], ...] | None) -> bytes:
    """Of white, red, green and blue (x and y each) and a curve; of grey without points."""
    text = b"desc" + bytes(4) + struct.pack(">I", len(name) + 1) + name.encode() + bytes(79)
    tags = [(b"desc", text), (b"wtpt", _xyz(_D50)), (b"cprt", b"text" + bytes(4) + b"none\0")]
    if points is None:
        tags.append((b"kTRC", curve))
    else:
        white, *primaries = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in points)
        columns = np.stack(primaries, axis=1)
        scale = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
        adapted = np.linalg.inv(_BRADFORD) @ scale @ _BRADFORD @ (columns * np.linalg.solve(columns, white))
        tags += [(tag, _xyz(column)) for tag, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), adapted.T, strict=True)]
        tags += [(tag, curve) for tag in (b"rTRC", b"gTRC", b"bTRC")]
    table, body = struct.pack(">I", len(tags)), b""
    for tag, data in tags:
        table += tag + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    space = b"GRAY" if points is None else b"RGB "
    head = struct.pack(">I4xI", 128 + len(table) + len(body), 0x02400000) + b"mntr" + space + b"XYZ " + bytes(12)
    head += b"acsp" + bytes(28) + b"".join(map(_fixed, _D50))
    return head.ljust(128, b"\0") + table + body


def _xyz(values: np.ndarray) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(map(_fixed, values))


P3 = profile("Display P3", SRGB_CURVE, DISPLAY_P3)
ADOBE = profile("Adobe RGB", gamma_curve(563 / 256), ADOBE_RGB)
GREY = profile("Dark grey", gamma_curve(1.8), None)

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)


def by_little_cms(pixels: np.ndarray, icc: bytes) -> np.ndarray:
    """8 bits in sRGB, by another implementation."""
    profiles = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    converted = ImageCms.profileToProfile(Image.fromarray(pixels), *profiles, renderingIntent=intent, outputMode="RGB")
    return np.asarray(converted)


@pytest.mark.parametrize(
    ("name", "curve", "points"),
    [
        ("Display P3", SRGB_CURVE, DISPLAY_P3),
        ("Adobe RGB", gamma_curve(563 / 256), ADOBE_RGB),
        ("table", table_curve(1.8), DISPLAY_P3),
        ("gamma", parametric_curve(0, 2.2), ADOBE_RGB),
        ("offset", parametric_curve(2, 2.4, 0.9, 0.1, 0.0), ADOBE_RGB),
        ("five", parametric_curve(4, 2.2, 0.95, 0.05, 0.1, 0.05, 0.0, 0.0), ADOBE_RGB),
    ],
)
def test_profiles_as_little_cms_has_them(name: str, curve: bytes, points: Any) -> None:
    colors = ImageColors(icc=profile(name, curve, points))
    assert (colors.name, colors.space) == (f"ICC profile {name}", "RGB")
    seen = colors.to_srgb(PIXELS.astype(np.float32) / 255) * 255
    assert np.abs(seen - PIXELS).max() > 20
    np.testing.assert_allclose(seen, by_little_cms(PIXELS, colors.icc or b""), atol=1.6)


def test_grey_profile() -> None:
    ramp = np.arange(256, dtype=np.uint8)[None]
    colors = ImageColors(icc=GREY)
    seen = colors.to_srgb(ramp[..., None].repeat(3, -1).astype(np.float32) / 255) * 255
    assert (colors.space, colors.can_be_kept) == ("GRAY", False)
    np.testing.assert_allclose(seen[0, 8:], by_little_cms(ramp, GREY)[0, 8:], atol=1.6)


def test_what_is_srgb_by_another_name() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    rounded = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
    for colors in (
        ImageColors(),
        ImageColors(icc=srgb),
        ImageColors(gamma=0.45455),
        ImageColors(gamma=0.45455, chromaticities=rounded),
        ImageColors(code_points=(1, 13, 0, 1)),
    ):
        assert colors.name is None and colors.to_srgb(PIXELS) is PIXELS


def test_gamma_by_hand() -> None:
    """Numbers that are light itself: 0.5 is 0.7354 in sRGB; and a file for a display of gamma 1.8."""
    half = np.full((1, 1, 3), 0.5, np.float32)
    np.testing.assert_allclose(ImageColors(gamma=1.0).to_srgb(half), 0.7354, atol=1e-4)
    np.testing.assert_allclose(
        ImageColors(gamma=1 / 1.8).to_srgb(half), linear_to_srgb(np.float32(0.5**1.8)), atol=1e-5
    )
    assert ImageColors(gamma=1.0).name == "gamma 1"


def test_chromaticities_by_hand() -> None:
    """White stays white, and the red of Display P3 is more than sRGB has."""
    colors = ImageColors(gamma=1 / 2.2, chromaticities=(0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06))
    samples = np.array([[[1, 1, 1], [0.5, 0.5, 0.5], [0.5, 0, 0], [0.5, 0.2, 0.2]]], np.float32)
    white, grey, red, pink = colors.to_srgb(samples)[0]
    np.testing.assert_allclose([white, grey], samples[0, :2], atol=2e-3)
    assert red[0] > 0.53 and red[1] == red[2] == 0  # clipped
    assert pink[0] > 0.53 and pink[1] < 0.2


# Through reading and writing


def save(path: Path, form: str = "PNG", pixels: np.ndarray = PIXELS, **extra: Any) -> Path:
    Image.fromarray(pixels).save(path, form, **({"lossless": True} if form == "WEBP" else {}), **extra)
    return path


def png_with(*chunks: tuple[bytes, bytes]) -> PngInfo:
    info = PngInfo()
    for kind, data in chunks:
        info.add(kind, data)
    return info


@pytest.mark.parametrize("icc", [P3, ADOBE])
@pytest.mark.parametrize(
    ("name", "form"), [("a.png", "PNG"), ("a.jpg", "JPEG"), ("a.tif", "TIFF"), ("a.webp", "WEBP")]
)
def test_profile_is_kept_in_images(tmp_path: Path, upscale: Upscale, name: str, form: str, icc: bytes) -> None:
    source = save(tmp_path / name, form, icc_profile=icc)
    upscale(source, tmp_path / "out.png", parts=1, scale=2)
    with Image.open(source) as old, Image.open(tmp_path / "out.png") as new:
        assert new.info["icc_profile"] == icc
        np.testing.assert_array_equal(np.asarray(new)[::2, ::2], np.asarray(old.convert("RGB")))


def test_every_image_of_a_folder_keeps_its_own(tmp_path: Path, upscale: Upscale) -> None:
    (tmp_path / "in").mkdir()
    for name, icc in (("1", P3), ("2", None), ("3", ADOBE)):
        save(tmp_path / "in" / f"{name}.png", icc_profile=icc)
    upscale(tmp_path / "in", tmp_path / "out", scale=1)
    profiles = [Image.open(tmp_path / "out" / f"{name}.png").info.get("icc_profile") for name in "123"]
    assert profiles == [P3, None, ADOBE]


def test_16_bits_with_a_profile(tmp_path: Path, upscale: Upscale) -> None:
    """Kept in PNG and converted without a detour over 8 bits."""
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 64, 4, "rgb48be", Fraction(1, 25)
    levels = (np.arange(64) * 20 + 20000).astype(np.uint16)[None, :, None].repeat(4, 0).repeat(3, 2)
    levels[..., 1:] //= 2
    frame = av.VideoFrame.from_ndarray(levels, format="rgb48be")
    frame.pts = 0
    data = b"".join(bytes(packet) for packet in encoder.encode(frame))
    (tmp_path / "a.png").write_bytes(with_chunks(data, [(b"iCCP", b"P3\0\0" + zlib.compress(P3))]))
    upscale(tmp_path / "a.png", tmp_path / "out.png", parts=1, scale=1)
    assert Image.open(tmp_path / "out.png").info["icc_profile"] == P3
    with VideoReader(tmp_path / "a.png", srgb=True) as reader:
        seen = next(reader.frames()).rgb
    np.testing.assert_allclose(seen, ImageColors(icc=P3).to_srgb(levels.astype(np.float32) / 65535), atol=1e-6)
    assert len(np.unique(seen[0, :, 0])) == 64


@pytest.mark.parametrize("target", ["out.mp4", "out.mkv", "out.webm", "out.gif"])
def test_videos_get_srgb(tmp_path: Path, target: str) -> None:
    flat = np.full((32, 32, 3), (200, 80, 80), np.uint8)
    source = save(tmp_path / "a.png", pixels=flat, icc_profile=ADOBE)
    with VideoReader(source, srgb=True) as reader:
        (note,) = reader.properties.notes
        assert "a.png has colours of its own (ICC profile Adobe RGB), which become sRGB." in note
        assert np.abs(next(iter(reader)).astype(int) - by_little_cms(flat, ADOBE)).max() <= 1
        assert not any("colours" in text for text in output_properties(reader.properties, target, (32, 32)).notes)
    with VideoReader(source) as reader:  # whoever does not ask for it is told
        assert reader.properties.notes == ()
        np.testing.assert_array_equal(next(iter(reader)), flat)
        notes = output_properties(reader.properties, target, (32, 32)).notes
        assert any("not those that" in text and "ICC profile Adobe RGB" in text for text in notes)
        assert not output_properties(reader.properties, "out.png", (32, 32)).notes
    torch_frames, _ = read_input(source)  # frames without a name for their colours
    assert np.abs(torch_frames[0, 0].permute(1, 2, 0).numpy() * 255 - by_little_cms(flat, ADOBE)).max() <= 1


def test_chunks_of_png_are_kept(tmp_path: Path, upscale: Upscale) -> None:
    linear = (b"gAMA", struct.pack(">I", 100000))
    wide = (b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))
    title = (b"tEXt", b"Title\0A name")
    source = save(tmp_path / "a.png", pnginfo=png_with(linear, wide, title))
    upscale(source, tmp_path / "out.png", parts=1, scale=1)
    assert {linear, wide, title} <= set(read_chunks(tmp_path / "out.png"))
    with VideoReader(source, srgb=True) as reader:
        assert "gamma 1 and chromaticities" in reader.properties.notes[0]
        assert np.abs(next(iter(reader)).astype(int) - PIXELS).max() > 40
        assert (
            "out.mp4: text of the images cannot be kept"
            in output_properties(reader.properties, "out.mp4", (12, 16)).notes[0]
        )


def test_colours_by_numbers_become_those_of_the_video(tmp_path: Path, upscale: Upscale) -> None:
    """PNG's cICP, as FFmpeg writes it for HDR: a video names the same, and nothing is converted."""
    source = save(tmp_path / "a.png")
    source.write_bytes(with_chunks(source.read_bytes(), [(b"cICP", bytes((9, 16, 0, 1)))]))
    with VideoReader(source, srgb=True) as reader:
        properties = output_properties(reader.properties, "a.mkv", (12, 16))
        assert (properties.primaries, properties.transfer) == (9, 16)
        np.testing.assert_array_equal(next(iter(reader)), PIXELS)
    upscale(source, tmp_path / "out.png", parts=1, scale=1)
    assert [chunk for chunk in read_chunks(tmp_path / "out.png") if chunk[0] == b"cICP"] == [
        (b"cICP", bytes((9, 16, 0, 1)))
    ]


def test_grey_that_has_its_own_profile_becomes_srgb(tmp_path: Path, upscale: Upscale) -> None:
    ramp = np.linspace(40, 255, 12 * 16).astype(np.uint8).reshape(12, 16)
    source = save(tmp_path / "a.png", pixels=ramp, icc_profile=GREY)
    _, properties = upscale(source, tmp_path / "out.png", parts=1, scale=1)
    assert properties.is_grey
    with Image.open(tmp_path / "out.png") as image, VideoReader(source) as reader:
        assert "icc_profile" not in image.info
        assert np.abs(np.asarray(image).astype(int) - by_little_cms(ramp, GREY)[..., 0]).max() <= 1
        assert "ICC profile Dark grey" in reader.properties.notes[0]


def test_profile_that_does_not_fit_is_noted(tmp_path: Path, upscale: Upscale) -> None:
    for name, icc in (("a.png", b"no profile" * 20), ("b.png", GREY), ("c.jpg", P3[:200])):
        source = save(tmp_path / name, "JPEG" if name == "c.jpg" else "PNG", icc_profile=icc)
        with VideoReader(source, srgb=True) as reader:
            assert "has an ICC profile that is damaged or does not fit" in reader.properties.notes[0]
            list(reader)
        upscale(source, tmp_path / f"out_{name[0]}.png", parts=1, scale=1)
        assert "icc_profile" not in Image.open(tmp_path / f"out_{name[0]}.png").info


# EXIF and other texts


def exif() -> Image.Exif:
    data = Image.Exif()
    data[0x010F], data[0x0110], data[0x0132], data[0x0112] = "Maker", "Camera 1", "2020:01:02 03:04:05", 6
    return data


@pytest.mark.parametrize(
    ("name", "form"), [("a.png", "PNG"), ("a.jpg", "JPEG"), ("a.tif", "TIFF"), ("a.webp", "WEBP")]
)
def test_exif_is_kept_but_for_the_turn(tmp_path: Path, upscale: Upscale, name: str, form: str) -> None:
    data = exif()
    if form != "TIFF":  # Pillow cannot write it there
        data[0x8769] = {0x9003: "2019:12:31 23:59:59", 0x829A: 1 / 50, 0xA002: 16, 0xA003: 12, 0x927C: b"own form"}
        data[0x8825] = {1: "N", 2: (50.0, 30.0, 1.5)}
    source = save(tmp_path / name, form, exif=data)
    written, _ = upscale(source, tmp_path / "out.png", parts=1, scale=2)
    assert written[0].shape == (32, 24, 3)
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == (24, 32)
        seen = image.getexif()
        assert (seen[0x010F], seen[0x0110], seen[0x0132]) == ("Maker", "Camera 1", "2020:01:02 03:04:05")
        assert seen.get(0x0112, 1) == 1
        if form != "TIFF":
            assert seen.get_ifd(0x8769) == {0x9003: "2019:12:31 23:59:59", 0x829A: pytest.approx(1 / 50)}
            assert seen.get_ifd(0x8825)[2] == (50.0, 30.0, 1.5)
    with VideoReader(source) as reader:
        assert "EXIF of the images cannot be kept" in output_properties(reader.properties, "a.mp4", (32, 24)).notes[0]
        assert check_output(tmp_path / "new.png", reader.properties, size=(32, 24)) == []


def test_dates_of_the_images_of_a_folder(tmp_path: Path, upscale: Upscale) -> None:
    (tmp_path / "in").mkdir()
    for index in range(3):
        data = exif()
        data[0x0132] = f"2020:01:02 03:04:0{index}"
        save(tmp_path / "in" / f"{index}.jpg", "JPEG", exif=data)
    upscale(tmp_path / "in", tmp_path / "out", scale=1)
    dates = [Image.open(tmp_path / "out" / f"{index}.png").getexif()[0x0132] for index in range(3)]
    assert dates == [f"2020:01:02 03:04:0{index}" for index in range(3)]


def test_xmp_and_comments(tmp_path: Path, upscale: Upscale) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6" dc:title="A name"/></x:xmpmeta>'
    save(tmp_path / "a.webp", "WEBP", xmp=xmp)
    save(tmp_path / "b.jpg", "JPEG", comment=b"a comment")
    for name in ("a.webp", "b.jpg"):
        upscale(tmp_path / name, tmp_path / f"out_{name[0]}.png", parts=1, scale=1)
    first, second = Image.open(tmp_path / "out_a.png"), Image.open(tmp_path / "out_b.png")
    assert first.info["xmp"] == xmp.replace(b'tiff:Orientation="6"', b'tiff:Orientation="1"')
    assert first.getexif().get(0x0112, 1) == 1
    assert second.info["Comment"] == "a comment"


@pytest.mark.parametrize("target", ["out.jpg", "out.webp", "out.JPEG"])
@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG"])
def test_jpeg_and_webp_keep_what_png_keeps(tmp_path: Path, upscale: Upscale, form: str, target: str) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6" dc:title="A name"/></x:xmpmeta>'
    extra: dict[str, Any] = {"xmp": xmp} if form == "WEBP" else {}
    if form == "PNG":
        extra["pnginfo"] = png_with((b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + xmp))
    if form == "JPEG":
        segment = b"http://ns.adobe.com/xap/1.0/\0" + xmp
        extra["extra"] = b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment
    source = save(tmp_path / "in.image", form, icc_profile=P3, exif=exif(), **extra)
    upscale(source, tmp_path / target, parts=1, scale=2)
    with Image.open(tmp_path / target) as image, VideoReader(tmp_path / target) as reader:
        assert image.info["icc_profile"] == P3
        assert image.getexif()[0x0110] == "Camera 1" and image.getexif().get(0x0112, 1) == 1
        assert image.info["xmp"].strip(b"\0") == xmp.replace(b'"6"', b'"1"')
        assert image.size == (24, 32) == (reader.width, reader.height)
    with VideoReader(source) as reader:
        assert check_output(tmp_path / "new.webp", reader.properties, size=(32, 24)) == []


def test_jpeg_cannot_keep_all_of_a_png(tmp_path: Path, upscale: Upscale) -> None:
    xmp = b"XML:com.adobe.xmp" + bytes(5) + b"<x/>" + b" " * 70000
    chunks = ((b"gAMA", struct.pack(">I", 100000)), (b"tEXt", b"a\0b"), (b"iTXt", xmp))
    source = save(tmp_path / "a.png", pnginfo=png_with(*chunks))
    with VideoReader(source) as reader:
        first, second = output_properties(reader.properties, "out.jpg", (12, 16)).notes
        (only,) = output_properties(reader.properties, "out.webp", (12, 16)).notes[1:]
    assert first.startswith("out.jpg: colours are not those that") and "gamma 1" in first
    assert second == "out.jpg: large XMP, text of the images cannot be kept; .png can."
    assert only == "out.webp: text of the images cannot be kept; .png can."
    upscale(source, tmp_path / "out.jpg", parts=1, scale=1)
    assert "xmp" not in Image.open(tmp_path / "out.jpg").info


@pytest.mark.parametrize("data", [b"XXjunk", b"II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0\xff\0\0\0\xff\xff\0\0"])
@pytest.mark.filterwarnings("error::UserWarning")
def test_damaged_exif_is_noted_and_does_no_harm(tmp_path: Path, upscale: Upscale, data: bytes) -> None:
    source = save(tmp_path / "a.webp", "WEBP", exif=b"Exif\0\0" + data)
    with VideoReader(source) as reader:
        assert "a.webp has damaged EXIF" in reader.properties.notes[0]
        np.testing.assert_array_equal(next(iter(reader)), PIXELS)
    upscale(source, tmp_path / "out.png", parts=1, scale=1)
    assert "exif" not in Image.open(tmp_path / "out.png").info
