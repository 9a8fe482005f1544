# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""JPEG and WebP: single images of 8 bits a channel, coded with losses that cannot be seen."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from seeclear.video.image_metadata import FORMATS, LARGEST_IN_JPEG, read_colors


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
    kept: tuple[str, ...]
    """Names of what it keeps of an image that it is made from, see `ImageMetadata.names`."""

    def pix_fmt(self, is_grey: bool, has_alpha: bool) -> str:
        """The nearest that it holds."""
        wanted = ("rgba",) * has_alpha + ("gray",) * is_grey
        return next((name for name in wanted if name in self.pix_fmts), "rgb24")


# Chroma is kept in full: what was upscaled is not to be spoilt.
_JPEG = StillFormat(
    "JPEG", ("rgb24", "gray"), 65500, {"quality": 95, "subsampling": 0, "optimize": True}, ("EXIF", "XMP", "comment")
)
_WEBP = StillFormat(
    "WEBP",
    ("rgb24", "rgba"),
    16383,
    {"quality": 95, "method": 4, "exact": True},
    ("EXIF", "large EXIF", "XMP", "large XMP"),
)
STILL_FORMATS = {".jpg": _JPEG, ".jpeg": _JPEG, ".webp": _WEBP}
"""By their endings."""


def still_format(path: Path) -> StillFormat | None:
    """That of an output by its ending; None for PNG, which is coded otherwise, and for all that is no image."""
    return STILL_FORMATS.get(path.suffix.lower())


def encode_still(png: bytes, path: Path) -> bytes:
    """The content of a file of that ending: pixels, ICC profile, EXIF, XMP and comment of a PNG of 8 bits."""
    chosen = STILL_FORMATS[path.suffix.lower()]
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.load()
        kept = {"icc_profile": image.info.get("icc_profile"), "exif": image.getexif().tobytes()}
        kept |= {"xmp": image.info.get("xmp"), "comment": image.info.get("Comment")}
        if chosen is _JPEG:
            kept |= {name: None for name in ("exif", "xmp") if len(kept[name] or b"") > LARGEST_IN_JPEG}
            xmp = kept.pop("xmp")
            if xmp is not None:  # Pillow writes it from version 11 on
                segment = b"http://ns.adobe.com/xap/1.0/\x00" + xmp
                kept["extra"] = b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment
        image.save(buffer, chosen.name, **chosen.options, **{name: value for name, value in kept.items() if value})
    return buffer.getvalue()


def keeps_colors_of(source: Path) -> bool:
    """Whether the colours that an image names can be named in JPEG and WebP as well: by an ICC profile alone."""
    try:
        with Image.open(source, formats=FORMATS) as image:
            colors = read_colors(image, source)
    except Exception:  # no image, or one that Pillow cannot read: who opens it says what is wrong
        return True
    return colors.icc is not None or colors.name is None
