# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Encoders, containers, and which settings of them go together."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import av
import torch

from seeclear.video.color import FULL_RANGE, LIMITED_RANGE, MATRICES, UNSPECIFIED, default_matrix
from seeclear.video.pixels import readable_layout
from seeclear.video.properties import Kind, PixelLayout, VideoProperties
from seeclear.video.stills import STILL_FORMATS, still_format

_X264_PRESETS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
)


@dataclass(frozen=True)
class Codec:
    """An encoder, with a quality at which coding adds nothing that can be seen: what was upscaled is not to be spoilt.

    The number of threads is fixed, since encoders give other bytes for another number.
    """

    name: str
    """FFmpeg's name of the codec."""
    encoder: str
    """FFmpeg's name of the encoder."""
    suffixes: tuple[str, ...]
    """Endings of the containers it goes into."""
    crf: tuple[int, int, int] | None = None
    """Default, smallest and largest quality number, of which less is better; None: it has none."""
    presets: tuple[str, ...] = ()
    preset: str | None = None
    preset_option: str = "preset"
    options: tuple[tuple[str, str], ...] = ()


CODECS = {
    "h264": Codec("h264", "libx264", (".mp4", ".mov", ".mkv"), (14, 0, 51), _X264_PRESETS, "medium"),
    "h265": Codec(
        "hevc",
        "libx265",
        (".mp4", ".mov", ".mkv"),
        (16, 0, 51),
        _X264_PRESETS,
        "medium",
        options=(("x265-params", "log-level=none:frame-threads=1:pools=4:open-gop=0:ctu=32"),),
    ),
    "vp9": Codec(
        "vp9",
        "libvpx-vp9",
        (".webm", ".mkv", ".mp4"),
        (20, 0, 63),
        tuple(str(speed) for speed in range(9)),
        "3",
        "cpu-used",
        (("b", "0"), ("deadline", "good"), ("tile-columns", "2")),
    ),
    "av1": Codec(
        "av1", "libsvtav1", (".mp4", ".mkv", ".webm"), (20, 1, 63), tuple(str(speed) for speed in range(14)), "6"
    ),
    "ffv1": Codec("ffv1", "ffv1", (".mkv",), options=(("level", "3"), ("slices", "4"), ("slicecrc", "1"))),
    "prores": Codec("prores", "prores_ks", (".mov", ".mkv")),
}
"""What `EncodeSettings.codec` may be, for a video."""

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm")
IMAGE_OUTPUT_SUFFIXES = (".png", *STILL_FORMATS)
OUTPUT_SUFFIXES = (*VIDEO_SUFFIXES, ".gif", *IMAGE_OUTPUT_SUFFIXES)
"""Endings an output may have; a name without one is a folder of images."""

LEAST_SIDES = {"av1": 64, "h265": 32}
"""SVT-AV1 may stop for ever on smaller frames. All of x265's encoders in a process must have one size of block, which
is fixed to 32 here; for smaller frames it would take a smaller one, and spoil the process's memory."""

LARGE_FRAME = 3840 * 2160
"""Pixels. H.264 frames of more are coded by one thread that looks 6 frames ahead: x264 then takes 1.8 GB for frames of
7680x4320, 55 bytes a pixel. Of the 40 frames that it looks ahead by itself each takes 0.1 GB."""
_LARGE_FRAME_LOOKAHEAD = 6
_THREADS = 4

PNG_FORMATS = ("rgb24", "rgba", "rgb48be", "rgba64be", "gray", "ya8", "gray16be", "ya16be")
GIF_FORMATS = ("rgb24", "rgba")


@dataclass(frozen=True)
class EncodeSettings:
    """How the output is coded; None everywhere is what suits the container and the source."""

    codec: str | None = None
    """One of `CODECS`; None is h264, and vp9 for .webm (for a source with alpha also for .mkv, prores for .mov)."""
    crf: int | None = None
    """Quality, less is better; its range depends on the codec."""
    preset: str | None = None
    """Speed against size, by the encoder's own names."""
    pix_fmt: str | None = None
    """FFmpeg's name of the pixel format; None keeps bit depth, chroma and alpha of the source as far as it goes."""
    audio: str = "copy"
    """"copy" copies sound that the container can hold and encodes other sound, "encode" encodes all, "none" leaves it
    out."""
    exact_size: bool = False
    """Keep odd sides; else they are rounded to even ones where the pixel format halves them."""


def output_kind(path: Path) -> Kind:
    """What a name stands for by its ending.

    Raises:
        ValueError: an ending that is not one of `OUTPUT_SUFFIXES`.
    """
    suffix = path.suffix.lower()
    if not suffix or path.is_dir():
        return "folder"
    if suffix in VIDEO_SUFFIXES:
        return "video"
    if suffix == ".gif":
        return "gif"
    if suffix in IMAGE_OUTPUT_SUFFIXES:
        return "image"
    raise ValueError(
        f"{path}: the ending of an output must be one of {', '.join(OUTPUT_SUFFIXES)}, or none for a folder of images."
    )


def output_properties(
    source: VideoProperties,
    path: str | os.PathLike[str],
    size: tuple[int, int],
    settings: EncodeSettings | None = None,
) -> VideoProperties:
    """What a video will be when it is written: everything the settings leave open decided by the source.

    Clock, pixel aspect ratio, orientation and colours are the source's. The matrix is BT.709 or BT.601, by the
    output's size, where the source has none.

    Args:
        source: of the video that is upscaled.
        path: of the output; its ending chooses the container.
        size: (height, width) of the output in pixels.
        settings: how it is to be coded.

    Raises:
        ValueError: the ending, or settings that do not go together with it or with the source.
    """
    path, settings = Path(path), settings or EncodeSettings()
    kind = output_kind(path)
    height, width = size
    if kind != "video":
        return _image_properties(source, path, kind, size, settings)
    name = settings.codec or default_codec(path, source.has_alpha)
    codec = CODECS.get(name)
    suffix = path.suffix.lower()
    if codec is None:
        raise ValueError(f"`codec` must be one of {', '.join(CODECS)}, but was {name!r}.")
    if suffix not in codec.suffixes:
        fitting = ", ".join(key for key, value in CODECS.items() if suffix in value.suffixes)
        raise ValueError(f"{path}: `codec` for {suffix} must be one of {fitting}, but was {name!r}.")
    least = LEAST_SIDES.get(name, 1)
    if min(size) < least:
        raise ValueError(
            f"`codec` {name} needs sides of at least {least} pixels, but the output is {width}x{height}; "
            "try h264 or vp9."
        )
    _check_quality(name, codec, settings)
    layout = _pixel_layout(name, codec, source, size, settings.pix_fmt)
    matrix = source.matrix if source.matrix in MATRICES and not _is_rgb(source) else default_matrix(width, height)
    if not layout.is_yuv and not layout.is_grey:
        matrix = 0  # RGB
    color_range = source.color_range if source.color_range and not _is_rgb(source) else LIMITED_RANGE
    return replace(
        source,
        path=path,
        kind=kind,
        codec=codec.name,
        width=width,
        height=height,
        pix_fmt=layout.name,
        bit_depth=layout.bits,
        has_alpha=layout.has_alpha,
        is_grey=layout.is_grey,
        color_range=color_range if layout.is_yuv or layout.is_grey else FULL_RANGE,
        matrix=matrix,
        loop=None,
    )


def default_codec(path: Path, has_alpha: bool) -> str:
    """The codec for an ending where none is asked for."""
    with_alpha = {".mkv": "vp9", ".mov": "prores"}
    suffix = path.suffix.lower()
    if has_alpha and suffix in with_alpha:
        return with_alpha[suffix]
    return "vp9" if suffix == ".webm" else "h264"


def encoder_options(properties: VideoProperties, settings: EncodeSettings) -> tuple[Codec, dict[str, str]]:
    """The encoder of a resolved output and its options, threads excepted (`encoder_threads`)."""
    codec = next(codec for codec in CODECS.values() if codec.name == properties.codec)
    options = dict(codec.options)
    if codec.crf is not None:
        options["crf"] = str(codec.crf[0] if settings.crf is None else settings.crf)
    if codec.preset is not None:
        options[codec.preset_option] = settings.preset or codec.preset
    if codec.name == "vp9" and properties.has_alpha:
        options["auto-alt-ref"] = "0"  # libvpx cannot have both
    if codec.name == "h264":
        options |= repeatable_x264()
        if _is_large(properties):
            options["rc-lookahead"] = str(_LARGE_FRAME_LOOKAHEAD)
    if codec.name == "prores":
        options["profile"] = "4444" if properties.pix_fmt.startswith(("yuv444", "yuva444")) else "hq"
    return codec, options


def repeatable_x264() -> dict[str, str]:
    """Options with which libx264 codes the same frames to the same bytes. Its routines for AVX-512 (core 165) weigh
    blocks by memory that was never written where a row has no multiple of 16 of them, so those for AVX2 are used.
    """
    return {"x264-params": "asm=avx2"} if torch.backends.cpu.get_cpu_capability() == "AVX512" else {}


def encoder_threads(properties: VideoProperties) -> int:
    """Threads of the encoder: a fixed number, since encoders give other bytes for another."""
    return 1 if properties.codec == "h264" and _is_large(properties) else _THREADS


def _is_large(properties: VideoProperties) -> bool:
    return properties.width * properties.height > LARGE_FRAME


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


def _check_quality(name: str, codec: Codec, settings: EncodeSettings) -> None:
    if settings.crf is not None:
        if codec.crf is None:
            raise ValueError(f"`crf` must be left out for {name}, which has none, but was {settings.crf}.")
        _, low, high = codec.crf
        if not low <= settings.crf <= high:
            raise ValueError(f"`crf` for {name} must be in {low}..{high}, but was {settings.crf}.")
    if settings.preset is not None and settings.preset not in codec.presets:
        what = f"one of {', '.join(codec.presets)}" if codec.presets else "left out, as it has none"
        raise ValueError(f"`preset` for {name} must be {what}, but was {settings.preset!r}.")


def _pixel_layout(
    name: str, codec: Codec, source: VideoProperties, size: tuple[int, int], asked: str | None
) -> PixelLayout:
    """The pixel format asked for, or the one nearest to the source's that the encoder takes."""
    formats = encoder_formats(codec.encoder)
    odd = size[0] % 2 or size[1] % 2
    halves_need_even = codec.name in ("h264", "hevc", "av1")
    if asked is not None:
        layout = PixelLayout.parse(asked)
        if layout is None or asked not in formats:
            raise ValueError(f"`pix_fmt` for {name} must be one of {', '.join(formats)}, but was {asked!r}.")
        (rows, columns) = layout.shrink
        if halves_need_even and (size[0] % rows or size[1] % columns):
            raise ValueError(
                f"`pix_fmt` {asked} of {name} needs even sides, but the output is {size[1]}x{size[0]}; "
                f"{asked.replace(layout.chroma or '', '444')} takes any."
            )
        return layout
    if source.has_alpha and not any("yuva" in other for other in formats):
        raise ValueError(
            f"{source.path}: the video has alpha, which {name} cannot hold; write .webm or .mkv (vp9, ffv1), .mov "
            "(prores), .gif or a folder of images, or name a `pix_fmt` without alpha."
        )
    chroma = readable_layout(source.pix_fmt).chroma
    chroma = chroma if chroma in ("420", "422", "444") else "420"
    chromas = ["444"] if odd else [chroma, "420", "422", "444"]
    family = "yuva" if source.has_alpha else "yuv"
    depths = [bits for bits in (16, 14, 12, 10, 9) if bits <= source.bit_depth] + [8, 10]
    if source.is_grey and source.kind == "video" and not source.has_alpha:
        for bits in depths:
            if (grey := "gray" if bits == 8 else f"gray{bits}le") in formats:
                return PixelLayout(grey, "gray", bits, None)
    for bits in depths:
        for sampling in chromas:
            candidate = PixelLayout.parse(f"{family}{sampling}p" + ("" if bits == 8 else f"{bits}le"))
            if candidate is not None and candidate.name in formats:
                return candidate
    raise ValueError(f"`codec` {name} has no pixel format for an output of {size[1]}x{size[0]}; try h264.")


def _image_properties(
    source: VideoProperties, path: Path, kind: Kind, size: tuple[int, int], settings: EncodeSettings
) -> VideoProperties:
    """For images and GIF."""
    for name in ("codec", "crf", "preset"):
        if getattr(settings, name) is not None:
            raise ValueError(f"{path}: `{name}` must be left out for images, but was {getattr(settings, name)!r}.")
    if kind == "gif" and max(size) > 0xFFFF:
        raise ValueError(f"{path}: a GIF has at most 65535 pixels a side, but this one was to have {max(size)}.")
    still = still_format(path) if kind == "image" else None
    if still is not None and max(size) > still.longest_side:
        raise ValueError(
            f"{path}: a {still.name} has at most {still.longest_side} pixels a side, but this one was to have "
            f"{max(size)}; PNG has no such limit."
        )
    formats = GIF_FORMATS if kind == "gif" else PNG_FORMATS if still is None else still.pix_fmts
    if settings.pix_fmt is not None and settings.pix_fmt not in formats:
        raise ValueError(f"{path}: `pix_fmt` must be one of {', '.join(formats)}, but was {settings.pix_fmt!r}.")
    deep = source.bit_depth > 8 and kind != "gif"
    by_kind = {
        (False, False): "rgb48be" if deep else "rgb24",
        (False, True): "rgba64be" if deep else "rgba",
        (True, False): "gray16be" if deep else "gray",
        (True, True): "ya16be" if deep else "ya8",
    }
    nearest = by_kind[source.is_grey and kind != "gif", source.has_alpha]
    if still is not None:
        nearest = still.pix_fmt(source.is_grey, source.has_alpha)
    layout = PixelLayout.parse(settings.pix_fmt or nearest)
    assert layout is not None
    return replace(
        source,
        path=path,
        kind=kind,
        codec="gif" if kind == "gif" else "images",
        height=size[0],
        width=size[1],
        pix_fmt=layout.name,
        bit_depth=layout.bits,
        has_alpha=layout.has_alpha,
        is_grey=layout.is_grey,
        color_range=FULL_RANGE,
        matrix=UNSPECIFIED if layout.is_grey else 0,
        loop=source.loop if source.kind == "gif" else 0,
    )


def _is_rgb(properties: VideoProperties) -> bool:
    """Whether a video is stored as RGB, so that it has neither a matrix nor a range to copy."""
    return properties.codec == "images" or readable_layout(properties.pix_fmt).family in ("gbr", "gbra")
