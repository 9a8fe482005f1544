# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Images as frames of a video: one file each, 8 or 16 bits a channel, with alpha or without."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from seeclear.video.image_colors import ImageColors, image_to_srgb
from seeclear.video.image_metadata import (
    FORMATS,
    GREY_MODES,
    metadata_of,
    profile_fits,
    read_colors,
    read_exif,
)
from seeclear.video.opening import is_video
from seeclear.video.pixels import read_pixels

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
"""Endings of the files in a folder that are taken for images; what they are is told by their content."""

_MOTION_JPEG_SUFFIXES = (".mjpeg", ".mjpg")

_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_BITS_PER_SAMPLE = 256, 257, 258
_TIFF_SUBFILE, _DNG_VERSION = 254, 50706


@dataclass(frozen=True)
class ImageInfo:
    """What the header of an image says."""

    width: int
    """Width as shown, in pixels: with the turn that EXIF asks for."""
    height: int
    """Height as shown, in pixels."""
    bits: int
    """8 or 16."""
    has_alpha: bool
    """Whether there may be transparent pixels."""
    is_grey: bool
    color_name: str | None = None
    """What the image names for its numbers if that is not sRGB, see `ImageColors.name`."""
    is_converted: bool = False
    """Whether the numbers are always converted to sRGB, see `ImageColors.can_be_kept`."""
    code_points: tuple[int, int, int, int] | None = None
    """The colours by numbers, see `ImageColors.code_points`."""
    metadata: tuple[str, ...] = ()
    """Names of what is kept beside the pixels in another image, such as "EXIF"."""
    notes: tuple[str, ...] = ()
    """What is passed over in the file: ends of sentences that begin with its name."""


def is_image(path: Path) -> bool:
    """Whether a file is one image, and no animation, by its content.

    One whose content is not known counts as the image that its name promises, unless FFmpeg knows a video in it.
    """
    suffix = path.suffix.lower()
    if suffix in _MOTION_JPEG_SUFFIXES:
        return False
    try:
        with Image.open(path, formats=(*FORMATS, "GIF")) as image:
            several = getattr(image, "n_frames", 1) > 1
            return image.format != "GIF" and not (image.format == "PNG" and several)
    except UnidentifiedImageError:
        return suffix in IMAGE_SUFFIXES and not is_video(path)
    except Exception:  # Pillow raises nearly every kind of error on damaged images; reading it says which
        return suffix in IMAGE_SUFFIXES


def list_images(folder: Path) -> list[str]:
    """Names of the images in a folder, "frame2" before "frame10".

    Raises:
        ValueError: there is none, or the folder cannot be read.
    """
    try:
        files = [file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES]
    except OSError as error:
        raise ValueError(f"{folder}: cannot be opened ({error.strerror}).") from error
    names = sorted((file.name for file in files if not file.name.startswith(".")), key=_natural)
    if not names:
        raise ValueError(f"{folder}: the folder has no images ({', '.join(IMAGE_SUFFIXES)}).")
    return names


def image_info(path: Path) -> ImageInfo:
    """Size and kind of an image, from its header only.

    Raises:
        ValueError: not an image, several images, or more than 16 bits a channel.
    """
    with _explained(path), Image.open(path, formats=FORMATS) as image:
        exif, notes = read_exif(image), []
        if getattr(image, "n_frames", 1) > 1:
            if image.format != "MPO":  # a JPEG with further pictures behind it, such as a preview
                raise ValueError(f"{path}: the file holds several images; give one file for each frame.")
            notes.append("holds further pictures behind the first one, which are left out.")
        tags = getattr(image, "tag_v2", {})
        if image.format == "TIFF" and (tags.get(_TIFF_SUBFILE, 0) & 1 or _DNG_VERSION in tags):
            raise ValueError(f"{path}: a raw photograph, of which only the preview could be read; develop it first.")
        width, height = image.size
        if tags:  # Pillow gives the size of a TIFF as shown, or as stored, by its version
            width, height = tags[_TIFF_WIDTH], tags[_TIFF_HEIGHT]
        if exif.orientation >= 5:  # those with the axes swapped
            width, height = height, width
        alpha = "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info
        colors = read_colors(image, path)
        if image.info.get("icc_profile") and not profile_fits(image):
            notes.append("has an ICC profile that is damaged or does not fit, and is left out.")
        if not exif.is_whole:
            notes.append("has damaged EXIF, which is not kept whole.")
        return ImageInfo(
            width,
            height,
            _bits(image, path),
            alpha,
            image.mode in GREY_MODES,
            colors.name,
            not colors.can_be_kept and colors.name is not None,
            colors.code_points,
            metadata_of(image, path, exif).names,
            tuple(notes),
        )


def read_image(path: Path, srgb: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
    """An image as (RGB (H, W, 3), alpha (H, W) or None where it is opaque), float32 in [0, 1], turned as EXIF asks.

    Args:
        path: of the image.
        srgb: convert the numbers to sRGB; else they are as stored, except those of inks, of Lab and of a grey that
            has a profile of its own, which no colour image can keep.

    Raises:
        ValueError: it is damaged or cut off, or has more than 16 bits a channel.
    """
    with _explained(path), Image.open(path, formats=FORMATS) as image:
        bits = _bits(image, path)
        turn = read_exif(image).orientation  # loading turns a TIFF, and forgets it
        image.load()  # of 16 bits as well: this shows a cut file and false checksums, which FFmpeg passes over
        colors = read_colors(image, path)
        if bits == 16:
            rgb, alpha = _read_deep(path, image.format == "PNG")
            rgb, alpha = _turned(rgb, turn), None if alpha is None else _turned(alpha, turn)
        else:
            upright = image if turn == 1 else ImageOps.exif_transpose(image)
            alpha = None
            if colors.icc is not None and colors.space not in ("RGB", "GRAY"):
                upright, colors = image_to_srgb(upright, colors.icc), ImageColors()
            if "A" in upright.getbands() or "a" in upright.getbands() or "transparency" in upright.info:
                upright = upright.convert("RGBA")
                alpha = np.asarray(upright.getchannel("A"), np.float32) / 255
            rgb = np.asarray(upright.convert("RGB"), np.float32) / 255
    if srgb or not colors.can_be_kept:
        rgb = colors.to_srgb(rgb)
    return rgb, None if alpha is None or (alpha == 1).all() else alpha


def _bits(image: Image.Image, path: Path) -> int:
    """Bits a channel, 8 or 16: PIL reads colour of 16 bits as if it had 8, so that its mode does not tell."""
    if image.format == "PNG":
        with path.open("rb") as file:
            head = file.read(25)
        return 16 if head[24:] == b"\x10" else 8
    if image.format == "TIFF":
        bits = max(getattr(image, "tag_v2", {}).get(_TIFF_BITS_PER_SAMPLE, (8,)))
        if bits > 16 or image.mode == "F":
            raise ValueError(f"{path}: images must have 8 or 16 bits a channel, but this one has {bits}.")
        return 16 if bits > 8 else 8
    if image.mode in ("F", "I") or ";" in image.mode:
        raise ValueError(f"{path}: images must have 8 or 16 bits a channel, but the mode of this one is {image.mode}.")
    return 8


def _read_deep(path: Path, is_png: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """A PNG, or else a TIFF, of 16 bits a channel, by FFmpeg, as stored."""
    demuxer = "png_pipe" if is_png else "tiff_pipe"
    with av.open(os.path.abspath(path), format=demuxer) as container:
        frame = next(container.decode(video=0))
        if frame.is_corrupt:
            raise ValueError("damaged")
        return read_pixels(frame, demuxer)


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Stored pixels as they are to be shown (EXIF 2.3, tag 274)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Any fault of a decoder as a ValueError that names the file: on damaged input PIL raises nearly every kind."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith(str(path)):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: the image cannot be read ({reason}).") from error


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key by which "frame2" comes before "frame10"."""
    parts = re.split(r"([0-9]+)", name)  # text and numbers in turn
    return [(int(part), "") if index % 2 else (-1, part) for index, part in enumerate(parts)] + [(-2, name)]


def png_names(names: list[str]) -> list[str]:
    """Names of images with the ending .png in place of their own.

    Raises:
        ValueError: two become one.
    """
    changed = [f"{Path(name).stem}.png" for name in names]
    if len(set(changed)) < len(changed):
        twice = next(name for name in changed if changed.count(name) > 1)
        raise ValueError(f"`names` must differ without their endings, but two of them would become {twice}.")
    return changed
