# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What images carry beside their pixels - colours, EXIF, XMP, texts - and how a PNG made from them keeps it."""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from PIL import Image

from seeclear.video.image_colors import Chromaticities, ImageColors, check_profile
from seeclear.video.png import Chunk, read_chunks

# Pillow's names of the formats that are read; others of its many readers start programs, or are little tried.
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
GREY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B")

_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_COLOR_CHUNKS = (b"cICP", b"sRGB", b"gAMA", b"cHRM")

# Tags of EXIF 3.0 and TIFF that say something of the picture and nothing of how it is stored: description, maker,
# model, software, date, artist, host, copyright, and those that Windows writes; then the lists of the exposure and of
# the place, without size and format of what was stored, notes in the maker's own form (which hold places in the file)
# and the list of further tags.
_TAGS = (270, 271, 272, 305, 306, 315, 316, 33432, 0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F)
_LISTS = (0x8769, 0x8825)
_ORIENTATION = 0x0112
_STORED = (0xA002, 0xA003, 0x9101, 0x9102, 0x927C, 0xA005)

LARGEST_IN_JPEG = 65502
"""Bytes of EXIF or XMP that a JPEG holds in one piece."""

_XMP = b"XML:com.adobe.xmp"
_XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|>))[2-8]""")
# How ImageMagick keeps EXIF and others in texts.
_RAW_PROFILE = b"Raw profile type "


def read_colors(image: Image.Image, path: Path) -> ImageColors:
    """The colours that an opened image names; a profile that does not fit is passed over."""
    chunks = dict(read_chunks(path)) if image.format == "PNG" else {}
    if len(chunks.get(b"cICP", b"")) == 4:
        return ImageColors(code_points=cast(tuple[int, int, int, int], tuple(chunks[b"cICP"])))
    if profile_fits(image):
        return ImageColors(icc=image.info["icc_profile"], is_grey=image.mode in GREY_MODES)
    if b"sRGB" in chunks:
        return ImageColors()
    gamma = int.from_bytes(chunks.get(b"gAMA", b""), "big") / 100000
    chromaticities = None
    if len(chunks.get(b"cHRM", b"")) == 32:
        points = tuple(value / 100000 for value in struct.unpack(">8I", chunks[b"cHRM"]))
        if all(points[1::2]):
            chromaticities = cast(Chromaticities, points)
    return ImageColors(gamma=gamma or None, chromaticities=chromaticities)


def profile_fits(image: Image.Image) -> bool:
    """Whether an opened image has an ICC profile that can be read and is of its kind of numbers."""
    icc = image.info.get("icc_profile")
    if not icc or not check_profile(icc):
        return False
    space = ImageColors(icc=icc).space
    if image.mode in ("CMYK", "LAB"):
        return space == {"CMYK": "CMYK", "LAB": "Lab"}[image.mode]
    return space == "RGB" or (space == "GRAY" and image.mode in GREY_MODES)


@dataclass(frozen=True)
class Exif:
    """What the EXIF of an image comes to."""

    orientation: int = 1
    """How the image is to be turned, 1 to 8 (EXIF 3.0, tag 274); 1 is not at all."""
    kept: bytes | None = None
    """EXIF without what was true of the old file only; None if nothing is left."""
    is_whole: bool = True
    """Whether all of it could be read."""


def read_exif(image: Image.Image) -> Exif:
    """The EXIF of an image that was just opened: Pillow forgets about damage once it has read it."""
    try:
        with warnings.catch_warnings(record=True) as damage:
            warnings.simplefilter("always", UserWarning)
            found = image.getexif()
            kept = Image.Exif()
            for tag in _TAGS:
                if tag in found:
                    kept[tag] = found[tag]
            for tag in _LISTS:
                entries = {name: value for name, value in found.get_ifd(tag).items() if name not in _STORED}
                if entries:
                    kept[tag] = entries
            turn = found.get(_ORIENTATION, 1)
            data = kept.tobytes().removeprefix(b"Exif\x00\x00") if len(kept) else None
    except Exception:  # Pillow raises nearly every kind of error on damaged EXIF, or warns of it
        return Exif(is_whole=False)
    return Exif(turn if turn in range(1, 9) else 1, data, not damage)


@dataclass(frozen=True)
class ImageMetadata:
    """What an image made from another one keeps of it; the turn that EXIF and XMP ask for is carried out."""

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    comment: bytes | None = None
    """Of a JPEG."""
    chunks: tuple[Chunk, ...] = ()
    """Colours and texts of a PNG, as they are."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of what there is beside the colours."""
        texts = any(kind in _TEXTS for kind, _ in self.chunks)
        found = [
            name if len(data) <= LARGEST_IN_JPEG else f"large {name}"
            for name, data in (("EXIF", self.exif), ("XMP", self.xmp), ("comment", self.comment))
            if data is not None
        ]
        return tuple(found + ["text"] * texts)

    def as_chunks(self) -> list[Chunk]:
        """All of it for a PNG."""
        chunks = list(self.chunks)
        if self.icc is not None:
            chunks = [item for item in chunks if item[0] != b"sRGB"]
            chunks.append((b"iCCP", b"ICC profile\x00\x00" + zlib.compress(self.icc)))
        if self.exif is not None:
            chunks.append((b"eXIf", self.exif))
        if self.xmp is not None:
            chunks.append((b"iTXt", _XMP + bytes(5) + self.xmp))
        if self.comment is not None:
            chunks.append((b"tEXt", b"Comment\x00" + self.comment))
        return chunks


def read_metadata(path: Path) -> ImageMetadata:
    """What another image keeps of the one in a file."""
    with Image.open(path, formats=FORMATS) as image:
        return metadata_of(image, path, read_exif(image))


def metadata_of(image: Image.Image, path: Path, exif: Exif) -> ImageMetadata:
    """The same of an image that was opened."""
    colors = read_colors(image, path)
    icc = colors.icc if colors.can_be_kept else None
    xmp, comment = image.info.get("xmp"), image.info.get("comment")
    chunks: list[Chunk] = []
    if image.format == "PNG":
        texts = [item for item in read_chunks(path) if item[0] in (*_COLOR_CHUNKS, *_TEXTS)]
        xmp = next((data[len(_XMP) + 5 :] for _, data in texts if data.startswith(_XMP + bytes(5))), None)
        chunks = [item for item in texts if not item[1].startswith((_XMP + bytes(5), _RAW_PROFILE))]
    return ImageMetadata(
        icc,
        exif.kept,
        _upright(xmp) if isinstance(xmp, bytes) else None,
        comment if isinstance(comment, bytes) and b"\x00" not in comment else None,
        tuple(chunks),
    )


def _upright(xmp: bytes) -> bytes:
    """XMP of a picture that is no longer to be turned."""
    return _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)
