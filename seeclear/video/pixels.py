# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""FFmpeg's frames as float32 RGB and back, whatever their pixel format, without a detour over 8 bits."""

from __future__ import annotations

import numpy as np
from av import VideoFrame
from av.video.format import VideoFormat
from av.video.plane import VideoPlane

from seeclear.video.color import (
    FULL_RANGE,
    LIMITED_RANGE,
    UNSPECIFIED,
    chroma_is_left,
    default_matrix,
    luma_codes,
    rgb_to_ycbcr,
    round_codes,
    scaled_luma,
    ycbcr_to_rgb,
)
from seeclear.video.properties import PixelLayout, VideoProperties

BAND = 64
"""Rows of a frame that are turned into codes at a time; even, since two rows may share chroma."""


def readable_layout(pix_fmt: str) -> PixelLayout:
    """The layout a pixel format is read in: its own, or the one its samples fit in when only rearranged.

    Raises:
        ValueError: FFmpeg has no such format.
    """
    layout = PixelLayout.parse(pix_fmt)
    if layout is not None and layout.family in ("yuv", "yuva", "gbr", "gbra", "gray") and "be" not in pix_fmt:
        return layout
    video_format = VideoFormat(pix_fmt, 64, 64)
    components = video_format.components
    deepest = max(component.bits for component in components)
    alpha = any(component.is_alpha for component in components) or video_format.has_palette
    name = "gray" if deepest <= 8 else "gray16le"
    if video_format.is_rgb or video_format.has_palette or alpha or pix_fmt.startswith("xyz"):
        name = ("gbrap" if alpha else "gbrp") + ("" if deepest <= 8 else "16le")
    if len(components) >= 3 and not video_format.is_rgb and not video_format.has_palette and name[0] == "g":
        if not pix_fmt.startswith("xyz"):
            chroma = components[1]
            share = {(64, 64): "444", (32, 64): "422", (32, 32): "420", (64, 32): "440", (16, 64): "411"}
            bits = next(bits for bits in (8, 10, 12, 14, 16) if bits >= min(deepest, 16))
            depth = "" if bits == 8 else f"{bits}le"
            name = f"yuv{'a' if alpha else ''}{share.get((chroma.width, chroma.height), '444')}p{depth}"
    parsed = PixelLayout.parse(name)
    assert parsed is not None  # every name made above is of a planar format
    return parsed


def describe_format(pix_fmt: str) -> tuple[int, bool, bool]:
    """(bits of a sample from 8 to 16, whether there is alpha, whether there is no colour) of FFmpeg's format.

    A palette may hold alpha and counts as such.
    """
    video_format = VideoFormat(pix_fmt, 64, 64)
    components = video_format.components
    alpha = any(component.is_alpha for component in components) or video_format.has_palette
    grey = not video_format.is_rgb and not video_format.has_palette and len(components) < 3
    bits = 8 if video_format.has_palette else max(component.bits for component in components)
    return min(max(bits, 8), 16), alpha, grey


def frame_range(frame: VideoFrame) -> int:
    """The range the frame names, else what its format implies: "yuvj..." and grey are full, all others limited."""
    if frame.color_range in (LIMITED_RANGE, FULL_RANGE):
        return int(frame.color_range)
    return FULL_RANGE if frame.format.name.startswith(("yuvj", "gray", "ya", "mono")) else LIMITED_RANGE


def read_pixels(frame: VideoFrame, codec: str) -> tuple[np.ndarray, np.ndarray | None]:
    """A decoded frame as (RGB (H, W, 3), alpha (H, W) or None), float32 in [0, 1].

    Colours follow the matrix and the range that the frame names, else what players take for its size.

    Args:
        frame: as decoded.
        codec: FFmpeg's name of the codec, which says where chroma lies.

    Raises:
        ValueError: a colour matrix that is none of `color.MATRICES`.
    """
    layout = readable_layout(frame.format.name)
    color_range = frame_range(frame)
    matrix = int(frame.colorspace)
    peaks = _peaks(frame.format, layout)
    if frame.format.name != layout.name:
        frame = frame.reformat(format=layout.name, src_color_range=color_range, dst_color_range=color_range)
    planes = [_plane(frame, index, layout.bits) for index in range(len(frame.planes))]
    alpha = planes.pop().astype(np.float32) / ((1 << layout.bits) - 1) if layout.has_alpha else None
    if layout.family in ("gbr", "gbra"):
        green, blue, red = planes
        return np.stack([red, green, blue], axis=-1).astype(np.float32) / peaks, alpha
    if layout.is_grey:
        grey = scaled_luma(planes[0], color_range, layout.bits).clip(0, 1)
        return np.repeat(grey[..., None], 3, axis=-1), alpha
    if matrix == UNSPECIFIED:
        matrix = default_matrix(frame.width, frame.height)
    luma, blue, red = planes
    return ycbcr_to_rgb((luma, blue, red), matrix, color_range, layout.bits, chroma_is_left(codec)), alpha


def make_frame(rgb: np.ndarray, alpha: np.ndarray | None, properties: VideoProperties) -> VideoFrame:
    """A frame in the pixel format, matrix and range of `properties`, rounded once.

    It is made `BAND` rows at a time, so that a frame of 7680x4320 takes no memory beside itself.

    Args:
        rgb: (H, W, 3), float32 in [0, 1], or uint16 with 65535 for 1.
        alpha: (H, W), of either kind; None is opaque. Left out where the pixel format has none.
        properties: `pix_fmt` must be one that `PixelLayout.parse` knows, `matrix` one of `color.MATRICES` for YCbCr.
    """
    layout = PixelLayout.parse(properties.pix_fmt)
    assert layout is not None  # `output_properties` admits no other
    height, width, _ = rgb.shape
    packed = layout.family in ("rgb", "rgba", "graya") or layout.name == "gray16be"
    frame = VideoFrame(width, height, layout.name)
    targets = [_rows(plane, np.dtype(np.uint8 if packed or layout.bits == 8 else "<u2")) for plane in frame.planes]
    for top in range(0, height, BAND):
        band = slice(top, min(top + BAND, height))
        colors = as_floats(rgb[band])
        opaque = np.ones(colors.shape[:2], np.float32) if alpha is None else as_floats(alpha[band])
        planes = [_pack(colors, opaque, layout)] if packed else _planes(colors, opaque, layout, properties)
        for plane, target, codes in zip(frame.planes, targets, planes, strict=True):
            start = top * plane.height // height
            target[start : start + len(codes), : codes.shape[1]] = codes
            target[start : start + len(codes), codes.shape[1] :] = 0  # encoders may read them: they are not left open
    for plane, target in zip(frame.planes, targets, strict=True):
        target[plane.height :] = 0
    return _tag(frame, properties)


def as_floats(values: np.ndarray) -> np.ndarray:
    """float32 in [0, 1] of either kind of numbers that `make_frame` takes; floats are given back as they are."""
    return values.astype(np.float32) / np.float32(65535) if values.dtype == np.uint16 else values


def _planes(rgb: np.ndarray, alpha: np.ndarray, layout: PixelLayout, properties: VideoProperties) -> list[np.ndarray]:
    """The codes of each plane, of all rows given."""
    peak = (1 << layout.bits) - 1
    planes: list[np.ndarray]
    if layout.is_grey:
        planes = [luma_codes(_grey(rgb), properties.color_range, layout.bits)]
    elif layout.is_yuv:
        left = chroma_is_left(properties.codec)
        planes = list(rgb_to_ycbcr(rgb, properties.matrix, properties.color_range, layout.bits, layout.shrink, left))
    else:
        planes = [round_codes(rgb[..., channel] * peak, layout.bits) for channel in (1, 2, 0)]
    if layout.has_alpha:
        planes.append(round_codes(alpha * peak, layout.bits))
    return planes


def _peaks(video_format: VideoFormat, layout: PixelLayout) -> np.ndarray:
    """Codes of full red, green and blue: FFmpeg fills up RGB of 4, 5 or 6 bits with zeros."""
    bits = [component.bits for component in video_format.components[:3]]
    if video_format.is_rgb and all(4 <= own <= 6 for own in bits):
        return np.array([256 - (1 << 8 - own) for own in bits], np.float32)
    return np.full(3, (1 << layout.bits) - 1, np.float32)


def _pack(rgb: np.ndarray, alpha: np.ndarray, layout: PixelLayout) -> np.ndarray:
    """The bytes (H, n) of a format with all components in one plane, as PNG and lossless RGB codecs take it."""
    color = _grey(rgb)[..., None] if layout.is_grey else rgb
    if layout.name.startswith("bgr"):
        color = np.concatenate([color[..., ::-1], alpha[..., None]], axis=-1)
    elif layout.has_alpha:
        color = np.concatenate([color, alpha[..., None]], axis=-1)
    codes = round_codes(color * ((1 << layout.bits) - 1), layout.bits)
    if layout.bits == 16:
        codes = codes.astype(">u2")
    return np.ascontiguousarray(codes).view(np.uint8).reshape(len(rgb), -1)


def _rows(plane: VideoPlane, dtype: np.dtype) -> np.ndarray:
    """The plane's own memory, every row with what pads it."""
    return np.frombuffer(memoryview(plane), dtype).reshape(-1, plane.line_size // dtype.itemsize)


def _grey(rgb: np.ndarray) -> np.ndarray:
    """The mean of the three channels, which are equal, or nearly so, in a grey video."""
    return rgb.mean(axis=-1, dtype=np.float32)


def _tag(frame: VideoFrame, properties: VideoProperties) -> VideoFrame:
    frame.color_range = properties.color_range
    frame.colorspace = properties.matrix
    frame.color_primaries = properties.primaries
    frame.color_trc = properties.transfer
    return frame


def _plane(frame: VideoFrame, index: int, bits: int) -> np.ndarray:
    """The codes of one plane, (height, width) of the plane; a view of the frame's memory."""
    plane = frame.planes[index]
    return _rows(plane, np.dtype(np.uint8 if bits == 8 else "<u2"))[: plane.height, : plane.width]
