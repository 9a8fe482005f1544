# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What a video is, apart from its pixels: sizes, clock, colours, orientation."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

Kind: TypeAlias = Literal["video", "gif", "folder", "image"]

# A display matrix as MP4 stores it (ISO/IEC 14496-12, 8.3.2): a b u, c d v, x y w, where u, v and w have 30 binary
# places and the others 16.
DisplayMatrix: TypeAlias = tuple[int, int, int, int, int, int, int, int, int]

_PLANAR = re.compile(r"(?P<family>yuva?|gbra?|gray)(?P<chroma>j?4[0-4][0-4])?p?(?P<bits>9|10|12|14|16)?(le)?")
_PACKED = {
    # name: (family, bits); what FFmpeg's PNG encoder takes and lossless RGB codecs want
    "rgb24": ("rgb", 8),
    "rgba": ("rgba", 8),
    "rgb48be": ("rgb", 16),
    "rgba64be": ("rgba", 16),
    "bgr0": ("rgb", 8),
    "bgra": ("rgba", 8),
    "gray16be": ("gray", 16),
    "ya8": ("graya", 8),
    "ya16be": ("graya", 16),
}


@dataclass(frozen=True)
class PixelLayout:
    """A pixel format taken apart."""

    name: str
    family: str
    """yuv, yuva, gbr, gbra, gray (one plane for each component), or rgb, rgba, graya (one plane for all)."""
    bits: int
    """Bits of a sample."""
    chroma: str | None
    """420, 422, 440, 444, 411 or 410 for yuv and yuva, None for all others."""

    @property
    def is_yuv(self) -> bool:
        return self.family in ("yuv", "yuva")

    @property
    def is_grey(self) -> bool:
        return self.family in ("gray", "graya")

    @property
    def has_alpha(self) -> bool:
        return self.family in ("yuva", "gbra", "rgba", "graya")

    @property
    def shrink(self) -> tuple[int, int]:
        """How many pixels in height and in width share a chroma sample."""
        table = {"420": (2, 2), "422": (1, 2), "440": (2, 1), "444": (1, 1), "411": (1, 4), "410": (4, 4)}
        return table[self.chroma] if self.chroma else (1, 1)

    @classmethod
    def parse(cls, name: str) -> PixelLayout | None:
        """The layout of the pixel format FFmpeg calls `name`; None for one that is not read or written directly."""
        if name in _PACKED:
            family, bits = _PACKED[name]
            return cls(name, family, bits, None)
        match = _PLANAR.fullmatch(name)
        if match is None:
            return None
        family, chroma = match["family"], match["chroma"]
        if (family in ("yuv", "yuva")) != (chroma is not None):
            return None
        chroma = chroma.lstrip("j") if chroma else None
        if chroma not in (None, "420", "422", "440", "444", "411", "410"):
            return None
        return cls(name, family, int(match["bits"] or 8), chroma)


@dataclass(frozen=True)
class Frame:
    """One frame of a video."""

    rgb: np.ndarray
    """(H, W, 3), float32 in [0, 1]; three equal channels where the video is grey."""
    alpha: np.ndarray | None
    """(H, W), float32 in [0, 1], not multiplied into the colour; None where the video has no alpha."""
    pts: int
    """When the frame is shown, in units of the video's time base."""
    duration: int
    """How long it is shown, up to the next frame, in units of the time base."""


@dataclass(frozen=True)
class VideoProperties:
    """What a video is, apart from its pixels. For one that is read, and for one that is to be written.

    The numbers of the colour fields are those of ISO/IEC 23091-2, which FFmpeg uses as well; 2 is "unspecified".
    """

    path: Path | None
    """The file or folder; None for an output without a place yet."""
    kind: Kind
    codec: str
    """h264, hevc, vp9, ...; "images" for images."""
    width: int
    """Width of a stored frame in pixels, before any rotation."""
    height: int
    """Height of a stored frame in pixels, before any rotation."""
    pix_fmt: str
    """FFmpeg's name of the pixel format; for images the one they would have in FFmpeg."""
    bit_depth: int
    """Bits of a sample, 8 to 16."""
    has_alpha: bool
    """Whether any pixel may be transparent."""
    is_grey: bool
    """Whether there is no colour."""
    time_base: Fraction
    """Seconds of one unit of the time stamps."""
    fps: Fraction
    """Frames per second on average; what is exact are the frames' time stamps."""
    fps_is_assumed: bool = False
    """Whether nothing says how many frames there are per second."""
    num_frames: int | None = None
    """Number of frames, where it is known before all of them are decoded."""
    sample_aspect_ratio: Fraction | None = None
    """Width of a pixel over its height; None where the video does not say."""
    display_matrix: DisplayMatrix | None = None
    """How frames are to be turned or mirrored when they are shown; None for not at all."""
    color_range: int = 0
    """1: limited ("tv", 16..235), 2: full ("pc", 0..255), 0: the video does not say."""
    matrix: int = 2
    """From RGB to YCbCr: 1 is BT.709, 5 and 6 BT.601, 9 BT.2020."""
    primaries: int = 2
    transfer: int = 2
    not_copied: tuple[str, ...] = ()
    """What the frames carry that no output gets, such as "mastering display"."""
    loop: int | None = None
    """Of a GIF, how often it is repeated, 0 for without end; None: it is shown once, or is no GIF."""
    image_colors: tuple[str, ...] = ()
    """What images name for their numbers where that is not sRGB, such as "ICC profile Display P3"; they are as stored
    then, and only images made from them name the same."""
    image_metadata: tuple[str, ...] = ()
    """Names of what images carry beside their pixels and images made from them keep, such as "EXIF"."""
    notes: tuple[str, ...] = ()
    """Sentences for a user to read, about what was taken for granted or left out in reading or will be in writing."""

    @property
    def rotation(self) -> int:
        """Degrees by which frames are turned counter-clockwise when they are shown, rounded: 0, 90, 180, -90, ..."""
        if self.display_matrix is None:
            return 0
        a, b, _, c, d, _, _, _, _ = self.display_matrix
        scale_a, scale_b = math.hypot(a, c), math.hypot(b, d)
        if not scale_a or not scale_b:
            return 0
        angle = -round(math.degrees(math.atan2(b / scale_b, a / scale_a)))
        return 180 if angle == -180 else angle
