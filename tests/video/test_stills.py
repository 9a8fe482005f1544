# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""JPEG and WebP: what they hold, and that coding them cannot be seen."""

import io
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seeclear.video.codecs import EncodeSettings, output_kind, output_properties
from seeclear.video.properties import VideoProperties
from seeclear.video.stills import encode_still

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


@pytest.mark.parametrize(
    ("name", "grey", "alpha", "bits", "pix_fmt", "mode"),
    [
        ("a.jpg", False, False, 8, "rgb24", "RGB"),
        ("a.JPEG", True, False, 16, "gray", "L"),
        ("a.jpg", False, True, 8, "rgb24", "RGB"),
        ("a.jpg", True, True, 8, "gray", "L"),
        ("a.webp", False, True, 16, "rgba", "RGBA"),
        ("a.webp", True, False, 8, "rgb24", "RGB"),
        ("a.webp", True, True, 8, "rgba", "RGBA"),
    ],
)
def test_kinds(name: str, grey: bool, alpha: bool, bits: int, pix_fmt: str, mode: str) -> None:
    source = replace(SOURCE, is_grey=grey, has_alpha=alpha, bit_depth=bits)
    properties = output_properties(source, Path(name), (12, 16))
    assert output_kind(Path(name)) == properties.kind == "image"
    assert (properties.pix_fmt, properties.bit_depth) == (pix_fmt, 8)
    y, x = np.mgrid[:12, :16].astype(np.float32)
    rgb = np.stack([x / 16, x / 16 if grey else y / 12, x / 16 if grey else (x + y) / 28], axis=-1)
    opacity = y / 12
    with Image.open(io.BytesIO(encode_still(rgb, opacity if alpha else None, properties))) as image:
        assert (image.mode, image.size) == (mode, (16, 12))
        seen = np.asarray(image.convert("RGBA")).astype(float)
    assert np.abs(seen[..., :3] - 255 * rgb).mean() < 3
    assert np.abs(seen[..., 3] - (255 * opacity if mode == "RGBA" and alpha else 255)).max() < 1


def test_limits() -> None:
    for name, side in (("a.webp", 16383), ("a.jpg", 65500)):
        assert output_properties(SOURCE, Path(name), (1, side)).width == side
        with pytest.raises(ValueError, match=f"has at most {side} pixels a side, .*; PNG has no such limit"):
            output_properties(SOURCE, Path(name), (side + 1, 1))
    with pytest.raises(ValueError, match="`pix_fmt` must be one of rgb24, gray, but was 'rgba'"):
        output_properties(SOURCE, Path("a.jpg"), (12, 16), EncodeSettings(pix_fmt="rgba"))
