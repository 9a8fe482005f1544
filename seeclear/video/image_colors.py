# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The colours that an image names for its numbers, by an ICC profile or by PNG's own chunks, and from them to sRGB.

Profiles of three primaries and their curves, as cameras, screens and phones have, are worked out in float32; profiles
that are tables go through Pillow's binding of Little CMS, in 8 bits.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

# x and y of white, red, green and blue.
Chromaticities = tuple[float, float, float, float, float, float, float, float]
SRGB: Chromaticities = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)  # IEC 61966-2-1

# White of the space in which ICC profiles meet (ICC.1:2022, 7.2.16).
_D50 = np.array([0.9642, 1.0, 0.8249])
# To cone responses and back: Bradford (ICC.1:2022, annex E).
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])

# PNG's gAMA of 1 / 2.2 stands for sRGB's curve; other numbers near it are rounded ones.
_SRGB_GAMMA, _GAMMA_TOLERANCE = 1 / 2.2, 0.05

# Less than this of a code of 8 bits, and an image may as well be taken for sRGB.
_INVISIBLE = 0.75 / 255


@dataclass(frozen=True)
class ImageColors:
    """What an image says of its colours. Of several, the first counts, as in PNG (third edition, 4.3)."""

    code_points: tuple[int, int, int, int] | None = None
    """Primaries, transfer, matrix and range by the numbers of ISO/IEC 23091-2 (PNG's cICP); kept as they are."""
    icc: bytes | None = None
    """An ICC profile."""
    gamma: float | None = None
    """Exponent from light to numbers: linear images have 1."""
    chromaticities: Chromaticities | None = None
    is_grey: bool = False
    """Whether the image has no colour, so that only what its profile says of grey counts."""

    @property
    def name(self) -> str | None:
        """Such as "ICC profile Display P3"; None where the numbers are those of sRGB, or are taken for them."""
        if self.code_points is not None or _is_srgb(self):
            return None
        if self.icc is not None:
            return f"ICC profile {_description(self.icc)}".strip()
        named = [f"gamma {self.gamma:g}"] if self.gamma is not None else []
        return " and ".join(named + (["chromaticities"] if self.chromaticities is not None else []))

    @property
    def space(self) -> str:
        """Of the numbers of the ICC profile: "RGB", "GRAY", "CMYK", "Lab", ...; "RGB" without one."""
        return "RGB" if self.icc is None else self.icc[16:20].decode("latin-1").strip()

    @property
    def can_be_kept(self) -> bool:
        """Whether a PNG in RGB can name the same colours: a profile of inks, Lab or grey fits no such image."""
        return self.icc is None or (self.space == "RGB" and not self.is_grey)

    def to_srgb(self, rgb: np.ndarray) -> np.ndarray:
        """(H, W, 3) float32 in [0, 1] as the image names it -> the same in sRGB; what sRGB has not is clipped."""
        if self.name is None:
            return rgb
        return _converted(self, rgb)


def check_profile(icc: bytes) -> bool:
    """Whether an ICC profile can be read."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile
    except (OSError, ValueError, TypeError):
        return False
    return icc[36:40] == b"acsp" and bool(profile.xcolor_space)


def image_to_srgb(image: Image.Image, icc: bytes) -> Image.Image:
    """An image of inks or of Lab, which are no RGB, by its profile: 8 bits a channel, in sRGB.

    Raises:
        ValueError: the profile does not fit the image.
    """
    try:
        converted = ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except ImageCms.PyCMSError as error:
        raise ValueError(f"its ICC profile does not fit: {error}") from error
    assert converted is not None  # it is not converted in place
    return converted


@lru_cache(maxsize=64)
def _is_srgb(colors: ImageColors) -> bool:
    """Whether numbers change too little to be seen when they are converted."""
    if colors.icc is None and colors.gamma is None and colors.chromaticities is None:
        return True
    if colors.space not in ("RGB", "GRAY"):
        return False
    grid = np.linspace(0, 1, 9, dtype=np.float32)
    samples = np.stack(np.meshgrid(grid, grid, grid, indexing="ij"), axis=-1).reshape(1, -1, 3)
    if colors.space == "GRAY" or colors.is_grey:
        samples = samples[..., :1].repeat(3, -1)
    return bool(np.abs(_converted(colors, samples) - samples).max() < _INVISIBLE)


def _converted(colors: ImageColors, rgb: np.ndarray) -> np.ndarray:
    if colors.icc is None:
        if colors.gamma is None or abs(colors.gamma / _SRGB_GAMMA - 1) < _GAMMA_TOLERANCE:
            linear = srgb_to_linear(rgb)
        else:
            linear = rgb ** np.float32(1 / colors.gamma)
        return _from_linear(linear, _primaries_to_d50(colors.chromaticities or SRGB))
    curves = _curves(colors.icc)
    if curves is None:
        image = Image.fromarray(np.rint(rgb * 255).astype(np.uint8))
        if colors.space == "GRAY":
            image = image.getchannel(0)
        return np.asarray(image_to_srgb(image, colors.icc), np.float32) / 255
    if colors.space == "GRAY":
        return linear_to_srgb(_curved(rgb, curves[0]))
    profile: Any = ImageCms.ImageCmsProfile(io.BytesIO(colors.icc)).profile
    colorants = [profile.red_colorant, profile.green_colorant, profile.blue_colorant]
    linear = np.stack([_curved(rgb[..., channel], curve) for channel, curve in enumerate(curves)], axis=-1)
    return _from_linear(linear, np.array([colorant[0] for colorant in colorants]).T)


def srgb_to_linear(rgb: np.ndarray) -> np.ndarray:
    """Light in [0, 1] of numbers of sRGB (IEC 61966-2-1, 5.2)."""
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4).astype(np.float32)


def linear_to_srgb(linear: np.ndarray) -> np.ndarray:
    """The way back (IEC 61966-2-1, 5.3)."""
    linear = linear.clip(0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055).astype(np.float32)


def _from_linear(linear: np.ndarray, to_d50: np.ndarray) -> np.ndarray:
    """Numbers of sRGB from light of the primaries whose (3, 3) matrix to XYZ is given."""
    matrix = (np.linalg.inv(_primaries_to_d50(SRGB)) @ to_d50).astype(np.float32)
    red, green, blue = (linear[..., channel] for channel in range(3))
    # not as a matrix product, which rounds by the number of threads
    return linear_to_srgb(np.stack([row[0] * red + row[1] * green + row[2] * blue for row in matrix], axis=-1))


def _primaries_to_d50(chromaticities: Chromaticities) -> np.ndarray:
    """(3, 3): linear RGB to the XYZ in which profiles meet."""
    points = np.array(chromaticities).reshape(4, 2)
    white, *primaries = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in points)
    columns = np.stack(primaries, axis=1)
    matrix = columns * np.linalg.solve(columns, white)
    scale = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
    return np.linalg.inv(_BRADFORD) @ scale @ _BRADFORD @ matrix


# ICC profiles


@lru_cache(maxsize=64)
def _curves(icc: bytes) -> tuple[bytes, ...] | None:
    """The curve of each channel of a profile that consists of these and of primaries; None if it has tables."""
    tags = {}
    (count,) = struct.unpack_from(">I", icc, 128)
    for index in range(min(count, (len(icc) - 132) // 12)):
        name, start, size = struct.unpack_from(">4sII", icc, 132 + 12 * index)
        tags[name] = icc[start : start + size]
    names = {b"RGB ": (b"rTRC", b"gTRC", b"bTRC"), b"GRAY": (b"kTRC",)}.get(icc[16:20], ())
    curves = tuple(tags[name] for name in names if name in tags)
    tables = any(name in tags for name in (b"A2B0", b"A2B1", b"D2B0", b"D2B1")) or icc[20:24] != b"XYZ "
    if tables or not curves or len(curves) < len(names) or any(data[:4] not in (b"curv", b"para") for data in curves):
        return None
    return curves


def _curved(values: np.ndarray, curve: bytes) -> np.ndarray:
    """Light in [0, 1] of numbers by a curve of a profile (ICC.1:2022, 10.6 and 10.18)."""
    if curve[:4] == b"curv":
        (count,) = struct.unpack_from(">I", curve, 8)
        if not count:
            return values
        points = np.frombuffer(curve, ">u2", count, 12)
        if count == 1:
            return values ** np.float32(points[0] / 256)
        return np.interp(values, np.linspace(0, 1, count), points / 65535).astype(np.float32)
    kind = struct.unpack_from(">H", curve, 8)[0]
    numbers = np.zeros(7)
    numbers[1] = 1
    count = (1, 3, 4, 5, 7)[kind]
    numbers[:count] = np.frombuffer(curve, ">i4", count, 12) / 65536
    gamma, a, b, c, d, e, f = numbers
    if kind in (1, 2):
        power, offset = np.maximum(a * values + b, 0) ** gamma, c
        return (np.where(values >= -b / a, power, 0) + offset).astype(np.float32)
    power = np.maximum(a * values + b, 0) ** gamma
    return np.where(values >= d, power + e, c * values + f).astype(np.float32)


def _description(icc: bytes) -> str:
    text = ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile.profile_description
    return " ".join((text or "").split())
