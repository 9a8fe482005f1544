# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""JPEG and WebP: what they hold, that coding them cannot be seen, and what they keep beside the pixels."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from seeclear.video.codecs import EncodeSettings, keeps_colors, output_kind, output_properties
from seeclear.video.properties import VideoProperties

Upscale = Callable[..., tuple[list[np.ndarray], VideoProperties]]

SOURCE = VideoProperties(
    path=None,
    kind="image",
    codec="images",
    width=16,
    height=12,
    pix_fmt="rgb24",
    bit_depth=8,
    has_alpha=False,
    is_grey=False,
    time_base=Fraction(1, 25),
    fps=Fraction(25),
)


def picture(channels: int) -> Image.Image:
    """16x12, smooth: L, LA, RGB or RGBA."""
    y, x = np.mgrid[:12, :16]
    planes = [40 + 12 * x, 250 - 15 * y, 90 + 5 * x + 4 * y][: 1 if channels < 3 else 3]
    planes += [20 * y] * (channels in (2, 4))
    return Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8).squeeze())


@pytest.mark.parametrize(
    ("name", "channels", "mode"),
    [
        ("a.jpg", 3, "RGB"),
        ("a.JPEG", 1, "L"),
        ("a.jpg", 4, "RGB"),
        ("a.jpg", 2, "L"),
        ("a.webp", 4, "RGBA"),
        ("a.webp", 3, "RGB"),
        ("a.webp", 1, "RGB"),
        ("a.webp", 2, "RGBA"),
    ],
)
def test_kinds(tmp_path: Path, upscale: Upscale, name: str, channels: int, mode: str) -> None:
    source = tmp_path / "in.png"
    picture(channels).save(source)
    _, properties = upscale(source, tmp_path / name, parts=1)
    assert output_kind(tmp_path / name) == properties.kind == "image" and properties.bit_depth == 8
    with Image.open(tmp_path / name) as image:
        assert (image.format, image.mode, image.size) == ("WEBP" if "webp" in name else "JPEG", mode, (64, 48))
        seen = np.asarray(image.convert("RGBA")).astype(float)
    expected = np.asarray(picture(channels).convert("RGBA")).astype(float).repeat(4, 0).repeat(4, 1)
    assert np.abs(seen[..., :3] - expected[..., :3]).mean() < 2
    assert np.abs(seen[..., 3] - (expected[..., 3] if mode == "RGBA" else 255)).max() < 1


def test_limits() -> None:
    for name, side in (("a.webp", 16383), ("a.jpg", 65500)):
        assert output_properties(SOURCE, Path(name), (1, side)).width == side
        with pytest.raises(ValueError, match=f"has at most {side} pixels a side, .*; PNG has no such limit"):
            output_properties(SOURCE, Path(name), (side + 1, 1))
    with pytest.raises(ValueError, match="`pix_fmt` must be one of rgb24, gray, but was 'rgba'"):
        output_properties(SOURCE, Path("a.jpg"), (12, 16), EncodeSettings(pix_fmt="rgba"))
    deep = output_properties(replace(SOURCE, bit_depth=16, pix_fmt="rgb48be"), Path("a.jpg"), (12, 16))
    assert (deep.bit_depth, deep.pix_fmt) == (8, "rgb24")


@pytest.mark.parametrize("source", ["in.jpg", "in.webp", "in.png"])
@pytest.mark.parametrize("target", ["out.jpg", "out.webp"])
def test_what_a_photograph_carries_is_kept(tmp_path: Path, upscale: Upscale, source: str, target: str) -> None:
    """When and by whom it was taken, and its colours; the turn is carried out."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0132] = 6, "Maker", "2024:05:01 10:00:00"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture(3).save(tmp_path / source, exif=exif, icc_profile=profile)
    upscale(tmp_path / source, tmp_path / target, parts=1)
    with Image.open(tmp_path / target) as image:
        assert image.size == (48, 64)
        found = image.getexif()
        assert (found.get(0x0112, 1), found[0x010F], found[0x0132]) == (1, "Maker", "2024:05:01 10:00:00")
        assert image.info["icc_profile"] == profile


def test_colours_that_only_png_can_name_become_srgb(tmp_path: Path) -> None:
    light = PngInfo()
    light.add(b"gAMA", (100000).to_bytes(4, "big"))
    picture(3).save(tmp_path / "light.png", pnginfo=light)
    profile: Any = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture(3).save(tmp_path / "icc.png", icc_profile=profile)
    picture(3).save(tmp_path / "plain.png")
    for name, kept in (("light", False), ("icc", True), ("plain", True), ("absent", True)):
        assert keeps_colors(Path("out.jpg"), tmp_path / f"{name}.png") == kept
        assert keeps_colors(Path("out.png"), tmp_path / f"{name}.png")
        assert not keeps_colors(Path("out.mp4"), tmp_path / f"{name}.png")
