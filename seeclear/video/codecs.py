# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Encoders, containers, and which settings of them go together."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from seeclear.video.color import FULL_RANGE, LIMITED_RANGE, MATRICES, UNSPECIFIED, default_matrix
from seeclear.video.layouts import choose_layout, is_rgb, layout_notes
from seeclear.video.properties import Kind, PixelLayout, VideoProperties
from seeclear.video.stills import STILL_FORMATS, keeps_colors_of, still_format

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

# Primaries and transfer by the numbers of ISO/IEC 23091-2: none, BT.709, sRGB.
_LIKE_SRGB = ((2, 2), (1, 1), (1, 13))

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
    if not suffix or os.path.isdir(path):  # False for a name that is too long
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


def keeps_colors(path: Path, source: Path) -> bool:
    """Whether an output is of images, which name the same colours for their numbers as those they are made from."""
    return output_kind(path) in ("folder", "image") and (still_format(path) is None or keeps_colors_of(source))


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
    lossless = name == "ffv1" or settings.crf == 0
    layout = choose_layout(name, codec.encoder, source, size, settings.pix_fmt, lossless)
    rgb = is_rgb(source)
    matrix = source.matrix if source.matrix in MATRICES and not rgb else default_matrix(width, height)
    if not layout.is_yuv and not layout.is_grey:
        matrix = 0  # RGB
    color_range = source.color_range if source.color_range and not rgb else LIMITED_RANGE
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
        notes=tuple(_notes(source, path) + layout_notes(path, name, source, layout, size, lossless)),
    )


def fitted_output(
    source: VideoProperties,
    path: str | os.PathLike[str],
    size: tuple[int, int],
    settings: EncodeSettings | None = None,
    free: tuple[bool, bool] = (True, True),
) -> VideoProperties:
    """As `output_properties`, with odd sides rounded up where the pixel format of a video halves them.

    Where they stayed odd, H.264 and H.265 would need another pixel format, which phones and browsers do not play.

    Args:
        source, path, settings: as there; with `settings.exact_size` nothing is rounded.
        size: (height, width) of the output in pixels.
        free: whether height and width may change; not so a side that was asked for.

    Returns:
        The properties, whose size may be larger by a pixel; a note says so then.

    Raises:
        ValueError: as `output_properties`.
    """
    settings = settings or EncodeSettings()
    even = (size[0] + (size[0] % 2 and free[0]), size[1] + (size[1] % 2 and free[1]))
    if settings.exact_size or even == size or output_kind(Path(path)) != "video":
        return output_properties(source, path, size, settings)
    layout = PixelLayout.parse(output_properties(source, path, even, settings).pix_fmt)
    assert layout is not None  # `output_properties` admits no other
    rows, columns = layout.shrink
    fitted = (even[0] if rows > 1 else size[0], even[1] if columns > 1 else size[1])
    properties = output_properties(source, path, fitted, settings)
    if fitted == size:
        return properties
    note = (
        f"{path}: {size[1]}x{size[0]} becomes {fitted[1]}x{fitted[0]}, since players need even sides; `exact_size` "
        "keeps odd ones."
    )
    return replace(properties, notes=(*properties.notes, note))


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
        notes=tuple(_notes(source, path) if kind == "gif" or still is not None else []),
    )


def _notes(source: VideoProperties, path: Path) -> list[str]:
    """What an output other than PNG does not keep of images."""
    notes = []
    colors, metadata = source.image_colors, source.image_metadata
    still = still_format(path)
    if still is not None:
        colors = tuple(name for name in colors if not name.startswith("ICC profile"))
        metadata = tuple(name for name in metadata if name not in still.kept)
        if source.codec == "images" and (source.primaries, source.transfer) not in _LIKE_SRGB:
            colors += ("cICP",)
    if colors:
        notes.append(f"{path}: colours are not those that {source.path} names ({', '.join(colors)}).")
    if metadata:
        notes.append(f"{path}: {', '.join(metadata)} of the images cannot be kept; .png can.")
    if output_kind(path) != "image" and source.fps_is_assumed and source.num_frames != 1:
        notes.append(
            f"{path}: {source.path} does not say how many frames there are per second; {source.fps} are taken."
        )
    return notes
