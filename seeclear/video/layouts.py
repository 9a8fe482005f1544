# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The pixel format of an output: the one asked for, or the one nearest to the source's that the encoder takes."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import av

from seeclear.video.pixels import readable_layout
from seeclear.video.properties import PixelLayout, VideoProperties

# Encoders that take no odd side where chroma is halved.
_NEED_EVEN = ("libx264", "libx265", "libsvtav1")


@lru_cache
def encoder_formats(encoder: str) -> tuple[str, ...]:
    """Pixel formats that an encoder takes and `make_frame` makes.

    Raises:
        ValueError: this build of FFmpeg has no such encoder.
    """
    try:
        formats = av.Codec(encoder, "w").video_formats or []
    except (av.FFmpegError, ValueError) as error:
        raise ValueError(f"this installation of PyAV has no encoder {encoder}; choose another `codec`.") from error
    names = [video_format.name for video_format in formats]
    layouts = [(name, PixelLayout.parse(name)) for name in names if not name.startswith("yuvj")]
    writable = [name for name, layout in layouts if layout and max(layout.shrink) <= 2 and layout.chroma != "410"]
    # x265 drops alpha without a word, and libvpx refuses it beside any other chroma though it lists them
    with_alpha: dict[str, tuple[str, ...]] = {"libx265": (), "libvpx-vp9": ("yuva420p",)}
    if encoder in with_alpha:
        writable = [name for name in writable if name[:4] not in ("yuva", "gbra") or name in with_alpha[encoder]]
    return tuple(writable)


def is_rgb(properties: VideoProperties) -> bool:
    """Whether a video is stored as RGB, so that it has neither a matrix nor a range to copy."""
    return properties.codec == "images" or readable_layout(properties.pix_fmt).family in ("gbr", "gbra")


def choose_layout(
    name: str, encoder: str, source: VideoProperties, size: tuple[int, int], asked: str | None, lossless: bool
) -> PixelLayout:
    """The pixel format asked for, or the one nearest to the source's that the encoder takes.

    Args:
        name, encoder: ours and FFmpeg's name of the codec.
        source: of the video that is upscaled.
        size: (height, width) of the output in pixels.
        asked: FFmpeg's name of a pixel format; None chooses one.
        lossless: whether nothing is lost in coding, so that nothing is to be lost before it either.

    Raises:
        ValueError: the encoder does not take what was asked for, or nothing that holds the source.
    """
    formats = encoder_formats(encoder)
    if asked is not None:
        return _checked(name, encoder, formats, size, asked)
    if source.has_alpha and not any("yuva" in other for other in formats):
        raise ValueError(
            f"{source.path}: the video has alpha, which {name} cannot hold; write .webm or .mkv (vp9, ffv1), .mov "
            "(prores), .gif or a folder of images, or name a `pix_fmt` without alpha."
        )
    for pix_fmt in _candidates(name, encoder, source, size, lossless):
        candidate = PixelLayout.parse(pix_fmt)
        if candidate is not None and candidate.name in formats:
            return candidate
    raise ValueError(f"`codec` {name} has no pixel format for an output of {size[1]}x{size[0]}; try h264.")


def layout_notes(
    path: Path, name: str, source: VideoProperties, layout: PixelLayout, size: tuple[int, int], lossless: bool
) -> list[str]:
    """What a user should know of the pixel format of a video."""
    notes = []
    fewer = layout.chroma not in (None, "444") and _chroma(source) == "444"
    if fewer and (lossless or source.kind == "video"):
        kind = "RGB" if is_rgb(source) else "4:4:4"
        notes.append(
            f"{path}: {kind} becomes {layout.name}, with fewer samples of colour than of brightness; another "
            "`pix_fmt` or `codec` (ffv1) keeps all."
        )
    odd = size[0] % 2 or size[1] % 2
    if odd and layout.chroma == "444" and _wanted_chroma(name, source, lossless) != "444":
        notes.append(
            f"{path}: {size[1]}x{size[0]} has an odd side, so that the video becomes {layout.name}, which many phones "
            "and browsers do not play."
        )
    return notes


def _checked(name: str, encoder: str, formats: tuple[str, ...], size: tuple[int, int], asked: str) -> PixelLayout:
    """The pixel format asked for."""
    layout = PixelLayout.parse(asked)
    if layout is None or asked not in formats:
        raise ValueError(f"`pix_fmt` for {name} must be one of {', '.join(formats)}, but was {asked!r}.")
    (rows, columns) = layout.shrink
    if encoder in _NEED_EVEN and (size[0] % rows or size[1] % columns):
        raise ValueError(
            f"`pix_fmt` {asked} of {name} needs even sides, but the output is {size[1]}x{size[0]}; "
            f"{asked.replace(layout.chroma or '', '444')} takes any."
        )
    return layout


def _candidates(name: str, encoder: str, source: VideoProperties, size: tuple[int, int], lossless: bool) -> list[str]:
    """Pixel formats that suit a source, the best one first, whether the encoder takes them or not."""
    alpha = "a" if source.has_alpha else ""
    depths = [bits for bits in (16, 14, 12, 10, 9) if bits <= source.bit_depth] + [8, 10]
    found: list[str] = []
    if source.is_grey and (source.kind == "video" or lossless) and not alpha:
        found += [_with_depth("gray", bits) for bits in depths if bits <= source.bit_depth]
    if name == "ffv1" and is_rgb(source):
        found += ["bgra" if alpha else "bgr0"] if source.bit_depth == 8 else []
        found += [_with_depth(f"gbr{alpha}p", bits) for bits in (9, 10, 12, 14, 16) if bits >= source.bit_depth]
    chroma = _wanted_chroma(name, source, lossless)
    chromas = [chroma, "420", "422", "444"]
    if encoder in _NEED_EVEN and (size[0] % 2 or size[1] % 2):
        chromas = [chroma, "444"] if chroma == "422" and not size[1] % 2 else ["444"]
    return found + [_with_depth(f"yuv{alpha}{sampling}p", bits) for bits in depths for sampling in chromas]


def _with_depth(pix_fmt: str, bits: int) -> str:
    return pix_fmt if bits == 8 else f"{pix_fmt}{bits}le"


def _wanted_chroma(name: str, source: VideoProperties, lossless: bool) -> str:
    """How an output is to sample colour if its sides admit it: as the source, but RGB as players ask for it."""
    if is_rgb(source) and not (lossless or name == "prores"):
        return "420"
    return _chroma(source)


def _chroma(source: VideoProperties) -> str:
    """How the source samples colour, as far as outputs can: 420, 422, or 444, which RGB has as well."""
    if source.is_grey:
        return "420"
    if is_rgb(source):
        return "444"
    chroma = readable_layout(source.pix_fmt).chroma
    return chroma if chroma in ("420", "422", "444") else "420"
