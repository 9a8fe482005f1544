# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""RGB to and from the YCbCr of video, without a shift of the colours.

Two defaults of libswscale shift colours: it takes BT.601 for every video that does not name its matrix, and its fast
path from 4:2:0 to RGB truncates where it should round, which darkens a picture by 1 to 1.5 grey levels. Both are
avoided here: the matrix is always given, and the accurate path is always asked for (mean error then below 0.1 grey
levels).
"""

from __future__ import annotations

import numpy as np
from av import VideoFrame

# Numbers of ISO/IEC 23091-2 (matrix coefficients), which FFmpeg uses as well.
BT709 = 1
UNSPECIFIED = 2
BT601 = 6

# FFmpeg's numbers of the colour ranges: 16..235 as in television, and 0..255.
LIMITED_RANGE = 1
FULL_RANGE = 2

# libswscale's number for BT.601 differs from the one in the stream; the others are the same.
_SWSCALE_BT601 = 5

# libswscale: bicubic | full chroma interpolation | full chroma input | accurate rounding
_ACCURATE = 4 | 1 << 13 | 1 << 14 | 1 << 18


def default_matrix(width: int, height: int) -> int:
    """The matrix that players take for a video which names none: BT.709 for high definition, BT.601 below it."""
    return BT709 if width >= 1280 or height > 576 else BT601


def to_rgb(frame: VideoFrame) -> np.ndarray:
    """A decoded frame as uint8 RGB of shape (H, W, 3), by what it names or players take for its size."""
    if frame.format.is_rgb or len(frame.format.components) < 3:  # no YCbCr, or without colour
        return frame.to_ndarray(format="rgb24")
    matrix = frame.colorspace if frame.colorspace != UNSPECIFIED else default_matrix(frame.width, frame.height)
    return frame.reformat(
        format="rgb24",
        src_colorspace=_SWSCALE_BT601 if matrix == BT601 else matrix,
        src_color_range=_color_range(frame),
        dst_color_range=FULL_RANGE,
        interpolation=_ACCURATE,
    ).to_ndarray()


def from_rgb(frame: np.ndarray, pixel_format: str, matrix: int, chroma_left: bool) -> VideoFrame:
    """A uint8 RGB frame (H, W, 3) as YCbCr of limited range, computed in float32 and rounded once.

    Args:
        frame: uint8 RGB; both sides even for "yuv420p".
        pixel_format: "yuv444p" or "yuv420p".
        matrix: BT709 or BT601.
        chroma_left: of 4:2:0, whether a chroma sample lies on the left column of its 2x2 pixels, as decoders take it
            for H.264, or in the middle, as FFmpeg takes it where nothing is said.
    """
    height, width, _ = frame.shape
    rgb = np.ascontiguousarray(frame.reshape(-1, 3).T, np.float32)  # (3, H W)
    planes = (_rgb_to_ycbcr(matrix) @ rgb + np.array([[16], [128], [128]], np.float32)).reshape(3, height, width)
    chroma = planes[1:] if pixel_format == "yuv444p" else _halve(planes[1:], chroma_left)
    packed = np.rint(np.concatenate([planes[0].ravel(), chroma.ravel()])).astype(np.uint8)
    shape = (3, height, width) if pixel_format == "yuv444p" else (height * 3 // 2, width)
    converted = VideoFrame.from_ndarray(packed.reshape(shape), format=pixel_format)
    converted.colorspace = matrix
    converted.color_range = LIMITED_RANGE
    return converted


def _rgb_to_ycbcr(matrix: int) -> np.ndarray:
    """(3, 3): this times a column of RGB in 0..255 is (Y - 16, Cb - 128, Cr - 128) of limited range.

    From the weights of red and blue in luma: ITU-R BT.709-6, 3.2 to 3.4, and BT.601-7, 2.5.1.
    """
    red, blue = (0.2126, 0.0722) if matrix == BT709 else (0.299, 0.114)
    luma = np.array([red, 1 - red - blue, blue])
    cb = (np.array([0, 0, 1]) - luma) / (2 - 2 * blue)
    cr = (np.array([1, 0, 0]) - luma) / (2 - 2 * red)
    return np.stack([219 * luma, 224 * cb, 224 * cr]).astype(np.float32) / 255


def _halve(chroma: np.ndarray, left: bool) -> np.ndarray:
    """(2, H, W) to (2, H/2, W/2): weights 1 2 1 around the left column or 1 1 over both, and 1 1 over the two rows."""
    rows = (chroma[:, 0::2] + chroma[:, 1::2]) / 2
    even, odd = rows[..., 0::2], rows[..., 1::2]
    if not left:
        return (even + odd) / 2
    before = np.concatenate([even[..., :1], odd[..., :-1]], axis=-1)
    return (before + 2 * even + odd) / 4


def _color_range(frame: VideoFrame) -> int:
    """The range the frame names, else what its pixel format implies ("yuvj..." is full, all others are limited)."""
    if frame.color_range in (LIMITED_RANGE, FULL_RANGE):
        return frame.color_range
    return FULL_RANGE if frame.format.name.startswith("yuvj") else LIMITED_RANGE
