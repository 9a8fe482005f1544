# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""JPEG and WebP: single images of 8 bits a channel, coded with losses that cannot be seen."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from seeclear.video.pixels import make_frame
from seeclear.video.properties import VideoProperties


@dataclass(frozen=True)
class StillFormat:
    """A kind of image that Pillow codes."""

    name: str
    """Pillow's name of it."""
    pix_fmts: tuple[str, ...]
    """What it holds."""
    longest_side: int
    """In pixels."""
    options: dict[str, Any]
    """For Pillow."""

    def pix_fmt(self, is_grey: bool, has_alpha: bool) -> str:
        """The nearest that it holds."""
        wanted = ("rgba",) * has_alpha + ("gray",) * is_grey
        return next((name for name in wanted if name in self.pix_fmts), "rgb24")


# Chroma is kept in full: what was upscaled is not to be spoilt.
_JPEG = StillFormat("JPEG", ("rgb24", "gray"), 65500, {"quality": 95, "subsampling": 0, "optimize": True})
_WEBP = StillFormat("WEBP", ("rgb24", "rgba"), 16383, {"quality": 95, "method": 4, "exact": True})
STILL_FORMATS = {".jpg": _JPEG, ".jpeg": _JPEG, ".webp": _WEBP}
"""By their endings."""


def still_format(path: Path) -> StillFormat | None:
    """That of an output by its ending; None for PNG, which is coded otherwise, and for all that is no image."""
    return STILL_FORMATS.get(path.suffix.lower())


def encode_still(rgb: np.ndarray, alpha: np.ndarray | None, properties: VideoProperties) -> bytes:
    """A file's content.

    Args:
        rgb: (H, W, 3), float32 in [0, 1] or uint16 with 65535 for 1.
        alpha: likewise (H, W), or None where the image is opaque.
        properties: of the output, whose path has the ending.
    """
    assert properties.path is not None
    chosen = STILL_FORMATS[properties.path.suffix.lower()]
    pixels = make_frame(rgb, alpha, properties).to_ndarray()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, chosen.name, **chosen.options)
    return buffer.getvalue()
