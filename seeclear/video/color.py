# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""RGB to and from the YCbCr of video in float32, without a shift of the colours and at every bit depth.

libswscale is not used for it: it takes BT.601 for every video that does not name its matrix, its fast path from 4:2:0
truncates where it should round, and it goes through 8 bits where a video has more.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

# Numbers of ISO/IEC 23091-2 (matrix coefficients), which FFmpeg uses as well.
BT709 = 1
UNSPECIFIED = 2
BT601 = 6
BT2020 = 9

# FFmpeg's numbers of the colour ranges: 16..235 as in television, and 0..255.
LIMITED_RANGE = 1
FULL_RANGE = 2

# Weights of red and blue in luma: ITU-R BT.709-6 (3.2), FCC 73.682, BT.601-7 (2.5.1) twice, SMPTE 240M, BT.2020-2 (4).
_LUMA_WEIGHTS = {
    BT709: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    BT601: (0.299, 0.114),
    7: (0.212, 0.087),
    BT2020: (0.2627, 0.0593),
}
MATRICES = tuple(_LUMA_WEIGHTS)

# Decoders of these take a chroma sample to lie on the left column of its pixels where the video says nothing; for all
# others it lies in the middle.
_LEFT = {"h264", "hevc", "mpeg2video", "mpeg4", "prores", "dnxhd"}


def default_matrix(width: int, height: int) -> int:
    """The matrix that players take for a video which names none: BT.709 for high definition, BT.601 below it."""
    return BT709 if width >= 1280 or height > 576 else BT601


def chroma_is_left(codec: str) -> bool:
    """Whether a chroma sample shared by two pixels in a row lies on the left one, and not between them."""
    return codec in _LEFT


def ycbcr_to_rgb(
    planes: tuple[np.ndarray, np.ndarray, np.ndarray], matrix: int, color_range: int, bits: int, left: bool
) -> np.ndarray:
    """RGB of shape (H, W, 3), float32 in [0, 1], from the codes of Y (H, W), Cb and Cr (each of a whole fraction).

    Args:
        planes: Y, Cb, Cr, of any integer type; a side of Cb and Cr is that of Y, or a half or quarter, rounded up.
        matrix: one of `MATRICES`.
        color_range: LIMITED_RANGE or FULL_RANGE.
        bits: of a code.
        left: whether chroma lies on the left pixel of those that share it (`chroma_is_left`).

    Raises:
        ValueError: another matrix.
    """
    luma = scaled_luma(planes[0], color_range, bits)
    unit, zero = (224 << (bits - 8), 128 << (bits - 8)) if color_range == LIMITED_RANGE else _full(bits)
    chroma = []
    for plane in planes[1:]:
        values = (plane.astype(np.float32) - zero) / unit
        values = _enlarge(values, luma.shape[0], 0, left=False)
        chroma.append(_enlarge(values, luma.shape[1], 1, left))
    inverse = np.linalg.inv(_rgb_to_ycbcr(matrix).astype(np.float64)).astype(np.float32)
    return np.stack(_mixed(inverse, (luma, chroma[0], chroma[1])), axis=-1).clip(0, 1)


def rgb_to_ycbcr(
    rgb: np.ndarray, matrix: int, color_range: int, bits: int, shrink: tuple[int, int], left: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes of Y, Cb and Cr, rounded once: uint8 for 8 bits, else uint16.

    Args:
        rgb: (H, W, 3), float32 in [0, 1].
        matrix: one of `MATRICES`.
        color_range: LIMITED_RANGE or FULL_RANGE.
        bits: of a code, 8 to 16.
        shrink: how many pixels share a chroma sample in height and width, each 1 or 2.
        left: whether chroma lies on the left pixel of those that share it.

    Raises:
        ValueError: another matrix.
    """
    luma, *chroma = _mixed(_rgb_to_ycbcr(matrix), (rgb[..., 0], rgb[..., 1], rgb[..., 2]))
    unit, zero = (224 << (bits - 8), 128 << (bits - 8)) if color_range == LIMITED_RANGE else _full(bits)
    halved = (_halve(_halve(plane, shrink[0], 0, left=False), shrink[1], 1, left) for plane in chroma)
    blue, red = (round_codes(plane * unit + zero, bits) for plane in halved)
    return luma_codes(luma, color_range, bits), blue, red


def scaled_luma(codes: np.ndarray, color_range: int, bits: int) -> np.ndarray:
    """Codes of luma as float32, black at 0 and white at 1."""
    if color_range == LIMITED_RANGE:
        return (codes.astype(np.float32) - (16 << (bits - 8))) / (219 << (bits - 8))
    return codes.astype(np.float32) / ((1 << bits) - 1)


def luma_codes(luma: np.ndarray, color_range: int, bits: int) -> np.ndarray:
    """What `scaled_luma` takes back."""
    if color_range == LIMITED_RANGE:
        return round_codes(luma * (219 << (bits - 8)) + (16 << (bits - 8)), bits)
    return round_codes(luma * ((1 << bits) - 1), bits)


def round_codes(values: np.ndarray, bits: int) -> np.ndarray:
    """Rounded to integers of `bits` bits: uint8 for 8, else uint16."""
    return np.rint(values).clip(0, (1 << bits) - 1).astype(np.uint8 if bits == 8 else np.uint16)


def _full(bits: int) -> tuple[int, int]:
    """Code difference of a chroma of 1, and the code of 0, in full range."""
    return (1 << bits) - 1, 1 << (bits - 1)


@lru_cache
def _rgb_to_ycbcr(matrix: int) -> np.ndarray:
    """(3, 3) float32: this times a column of RGB in [0, 1] is Y in [0, 1], Cb and Cr in [-0.5, 0.5]."""
    if matrix not in _LUMA_WEIGHTS:
        raise ValueError(f"the colour matrix {matrix} (ISO/IEC 23091-2) is not one of {MATRICES}.")
    red, blue = _LUMA_WEIGHTS[matrix]
    luma = np.array([red, 1 - red - blue, blue])
    cb = (np.array([0, 0, 1]) - luma) / (2 - 2 * blue)
    cr = (np.array([1, 0, 0]) - luma) / (2 - 2 * red)
    return np.stack([luma, cb, cr]).astype(np.float32)


def _mixed(matrix: np.ndarray, planes: tuple[np.ndarray, np.ndarray, np.ndarray]) -> list[np.ndarray]:
    """`matrix` (3, 3) times three planes, pixel by pixel: a matrix product rounds by the number of threads."""
    first, second, third = planes
    return [row[0] * first + row[1] * second + row[2] * third for row in matrix]


def _enlarge(plane: np.ndarray, size: int, axis: int, left: bool) -> np.ndarray:
    """A chroma plane interpolated to `size` along one axis by Keys' cubic (a = -0.5), the edges repeated.

    Sample i of the result lies at i / f of the plane where `left`, else at (i + 0.5) / f - 0.5, f being 1, 2 or 4.
    """
    factor = next(f for f in (1, 2, 4) if plane.shape[axis] * f >= size)
    if factor == 1:
        return plane
    padding = [(0, 0), (0, 0)]
    padding[axis] = (2, 3)
    padded = np.pad(plane, padding, mode="edge")
    length = plane.shape[axis]
    shape = list(plane.shape)
    shape[axis] = length * factor
    enlarged = np.empty(shape, np.float32)
    for phase in range(factor):
        position = phase / factor if left else (phase + 0.5) / factor - 0.5
        first = int(np.floor(position)) - 1
        total: np.ndarray | float = 0.0
        for tap in range(first, first + 4):
            weight = _cubic(abs(position - tap))
            if weight:
                total = total + np.float32(weight) * padded[_slice(axis, 2 + tap, 2 + tap + length)]
        enlarged[_slice(axis, phase, None, factor)] = total
    return enlarged[_slice(axis, 0, size)]


def _cubic(x: float) -> float:
    """Keys' cubic convolution kernel with a = -0.5."""
    if x >= 2:
        return 0.0
    return 1.5 * x**3 - 2.5 * x**2 + 1 if x <= 1 else -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2


def _halve(plane: np.ndarray, factor: int, axis: int, left: bool) -> np.ndarray:
    """Half the samples along one axis: weights 1 2 1 around the left of two where `left`, else 1 1 over both."""
    if factor == 1:
        return plane
    if plane.shape[axis] % 2:
        plane = np.concatenate([plane, plane[_slice(axis, -1, None)]], axis=axis)
    even, odd = plane[_slice(axis, 0, None, 2)], plane[_slice(axis, 1, None, 2)]
    if not left:
        return (even + odd) / 2
    before = np.concatenate([even[_slice(axis, 0, 1)], odd[_slice(axis, 0, -1)]], axis=axis)
    return (before + 2 * even + odd) / 4


def _slice(axis: int, start: int, stop: int | None, step: int = 1) -> tuple[slice, ...]:
    return (slice(None),) * axis + (slice(start, stop, step),)
