# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Clips through real encoders and decoders, in memory: artefacts move and pulse as those of videos do.

Encoders and decoders are FFmpeg's by PyAV, those that this PyAV has. They run in one thread with fixed settings, so
that the same options give the same frames with the same libraries. docs/degradations.md says what is modelled.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from torch import Tensor

from ..video.color import BT601, BT709, FULL_RANGE, LIMITED_RANGE, chroma_is_left, rgb_to_ycbcr, ycbcr_to_rgb
from .steps import Image8, Range, Step, Transform, check_range, check_share, log_uniform, to_frames, to_images

if TYPE_CHECKING:
    from av.packet import Packet

MATRICES = {"bt601": BT601, "bt709": BT709}
"""From RGB to YCbCr."""
FRAME_RATE = 25


@dataclass(frozen=True)
class Codec:
    """An encoder, the decoder of its videos, and between which values its quality is drawn.

    Attributes:
        encoder, decoder: FFmpeg's names.
        fixed: options that every clip is coded with.
        smallest: the shortest side that the encoder takes; smaller frames repeat their edge.
        crf: range of the constant rate factor, None where the codec has none.
        quantiser: range of the whole numbers of a constant quantiser, None where it is not drawn.
        bits_per_pixel: range of the rate, where there is a bit rate.
    """

    encoder: str
    decoder: str
    fixed: Mapping[str, str]
    smallest: int
    crf: Range | None
    quantiser: tuple[int, int] | None
    bits_per_pixel: Range


CODECS = {
    "h264": Codec("libx264", "h264", {"threads": "1"}, 2, (18.0, 34.0), (20, 38), (0.3, 2.0)),
    "hevc": Codec(
        "libx265",
        "hevc",
        {"x265-params": "pools=none:frame-threads=1:wpp=0:log-level=none"},
        64,  # of a coding tree: between 32 and 64 pixels a side x265 writes beyond its buffers
        (20.0, 36.0),
        (20, 38),
        (0.2, 2.0),
    ),
    "vp9": Codec(
        "libvpx-vp9",
        "vp9",
        {"threads": "1", "deadline": "realtime", "cpu-used": "6"},
        2,
        (20.0, 52.0),
        None,
        (0.1, 1.0),
    ),
    "mpeg4": Codec("mpeg4", "mpeg4", {"threads": "1"}, 2, None, (2, 14), (0.1, 1.0)),
    "mpeg2": Codec("mpeg2video", "mpeg2video", {"threads": "1"}, 2, None, (2, 14), (0.1, 1.0)),
}
SHARES = {"h264": 0.6, "hevc": 0.12, "vp9": 0.12, "mpeg4": 0.08, "mpeg2": 0.08}
PRESETS = {
    "h264": ("ultrafast", "veryfast", "fast", "medium"),
    "hevc": ("ultrafast", "superfast", "veryfast"),
}


@lru_cache(maxsize=1)
def available_codecs() -> tuple[str, ...]:
    """The names in `CODECS` of those that this PyAV encodes and decodes."""
    import av

    def has(name: str, mode: Literal["r", "w"]) -> bool:
        try:
            av.codec.Codec(name, mode)
        except ValueError:  # PyAV's UnknownCodecError is one
            return False
        return True

    return tuple(name for name, codec in CODECS.items() if has(codec.encoder, "w") and has(codec.decoder, "r"))


def transcode(
    frames: Tensor,
    codec: str,
    options: Mapping[str, str],
    bits_per_pixel: float | None = None,
    matrix: str = "bt601",
    shown_matrix: str = "bt601",
    full_range: bool = False,
    lead_in: int = 0,
) -> Tensor:
    """The clip as a video (4:2:0, 25 frames a second), coded and decoded.

    Args:
        frames: (F, 3, H, W) in [0, 1], rounded to 8 bits. Odd sides repeat their edge, which is cut off again.
        codec: one of `CODECS`.
        options: of FFmpeg's encoder, beside those of `Codec.fixed`.
        bits_per_pixel: makes the bit rate, so many bits for each pixel of each frame.
        matrix: "bt601" or "bt709", from RGB to YCbCr.
        shown_matrix: the one that is undone: another one than `matrix` leaves the colours wrong.
        full_range: luma of 0 to 255, instead of 16 to 235; always undone rightly.
        lead_in: frames that are coded before the first one, the clip played backwards up to it, at most F - 1: the
            clip then begins between the key frames of a longer video.

    Returns:
        (F, 3, H, W) in [0, 1], of 8-bit values.

    Raises:
        ValueError: a codec or a matrix of another name, or a codec that this PyAV has not.
    """
    _check_choice("codec", codec, available_codecs())
    _check_choice("matrix", matrix, MATRICES)
    _check_choice("shown_matrix", shown_matrix, MATRICES)
    about, images = CODECS[codec], to_images(frames)
    height, width = images.shape[1:3]
    below, right = (max(n + n % 2, about.smallest) - n for n in (height, width))
    images = np.pad(images, ((0, 0), (0, below), (0, right), (0, 0)), mode="edge")
    images = np.concatenate([images[lead_in:0:-1], images])
    merged = _all_options(codec, options)
    if bits_per_pixel is not None:
        merged["b"] = str(max(1000, round(bits_per_pixel * images.shape[1] * images.shape[2] * FRAME_RATE)))
    color_range = FULL_RANGE if full_range else LIMITED_RANGE
    packets = _encode(images, about, merged, matrix, color_range)
    decoded = _decode(packets, about, shown_matrix, color_range)
    if len(decoded) != len(images):
        raise RuntimeError(f"{about.encoder} gave {len(decoded)} frames of {len(images)} with {merged}")
    return to_frames([image[:height, :width] for image in decoded[-len(frames) :]])


def _check_choice(name: str, value: str, choices: Collection[str]) -> None:
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {list(choices)}, but is {value!r}.")


def _all_options(codec: str, options: Mapping[str, str]) -> dict[str, str]:
    """With those that every clip is coded with."""
    from seeclear.video.codecs import repeatable_x264

    return _merge(options, CODECS[codec].fixed, repeatable_x264() if codec == "h264" else {})


def _merge(*parts: Mapping[str, str]) -> dict[str, str]:
    """The options of all parts; of two of the same name the later one, but parameters of x264 and x265 are joined."""
    merged: dict[str, str] = {}
    for part in parts:
        for name, value in part.items():
            merged[name] = f"{merged[name]}:{value}" if name.endswith("-params") and name in merged else value
    return merged


def _encode(images: Image8, codec: Codec, options: dict[str, str], matrix: str, color_range: int) -> "list[Packet]":
    """(F, H, W, 3) with even sides to packets; chroma lies where decoders take it to lie."""
    import av

    encoder = cast(av.VideoCodecContext, av.CodecContext.create(codec.encoder, "w"))
    encoder.height, encoder.width = images.shape[1:3]
    encoder.pix_fmt, encoder.options = "yuv420p", options
    encoder.framerate, encoder.time_base = Fraction(FRAME_RATE), Fraction(1, FRAME_RATE)
    packets: list[Packet] = []
    for i, image in enumerate(images):
        rgb, left = image.astype(np.float32) / 255, chroma_is_left(codec.decoder)
        planes = rgb_to_ycbcr(rgb, MATRICES[matrix], color_range, 8, (2, 2), left)
        codes = np.concatenate([plane.reshape(-1) for plane in planes]).reshape(-1, image.shape[1])
        frame = av.VideoFrame.from_ndarray(codes, format="yuv420p")
        frame.pts, frame.time_base = i, encoder.time_base
        packets += encoder.encode(frame)
    return packets + encoder.encode(None)


def _decode(packets: "list[Packet]", codec: Codec, matrix: str, color_range: int) -> list[Image8]:
    """Packets to images (H, W, 3), in the order in which they are shown."""
    import av

    decoder = cast(av.VideoCodecContext, av.CodecContext.create(codec.decoder, "r"))
    decoder.thread_count = 1
    decoded = [frame for packet in packets for frame in decoder.decode(packet)] + decoder.decode(None)
    images = []
    for frame in decoded:
        codes, height, half = frame.to_ndarray(format="yuv420p"), frame.height, (frame.height // 2, frame.width // 2)
        blue, red = (plane.reshape(half) for plane in np.split(codes[height:].reshape(-1), 2))
        left = chroma_is_left(codec.decoder)
        rgb = ycbcr_to_rgb((codes[:height], blue, red), MATRICES[matrix], color_range, 8, left)
        images.append(np.floor(rgb * 255 + 0.5).astype(np.uint8))
    return images


@dataclass(frozen=True)
class H264Compression(Transform):
    """The clip as an H.264 video of libx264's preset "fast", with its own deblocking and B-frames.

    Args:
        crf: range of the constant rate factor from 0 to 51, larger is worse; drawn uniformly.
        keyframe_interval: range of the distance of key frames; drawn uniformly among the whole numbers.
    """

    crf: Range = (18.0, 32.0)
    keyframe_interval: tuple[int, int] = (4, 250)

    def __post_init__(self) -> None:
        check_range("crf", self.crf, 0, 51)
        check_range("keyframe_interval", self.keyframe_interval, 1)

    def draw(self, rng: np.random.Generator) -> list[Step]:
        crf = rng.uniform(*self.crf)
        interval = int(rng.integers(self.keyframe_interval[0], self.keyframe_interval[1], endpoint=True))
        options = {"crf": f"{crf:.2f}", "preset": "fast", "g": str(interval)}
        return [partial(transcode, codec="h264", options=options)]


@dataclass(frozen=True)
class VideoCompression(Transform):
    """The clip as a video of any codec, coded once or twice, as files are that were edited or uploaded.

    Args:
        shares: how often each codec is taken, in any unit; those that this PyAV lacks are left out.
        second_generation: the share of the clips that are coded twice, each time as drawn anew.
        keyframe_interval: range of the distance of key frames, drawn uniformly on a logarithmic scale. The clip
            begins with one of the first eight frames after a key frame, each as often.
        bit_rate: the share of the encodings that have a bit rate; the others have a quality.
        bt709: the share of the encodings with the matrix of HD, which is the wrong one for their size.
        untagged: the share of those whose file does not say so; players show them by the matrix of their size.
        full_range: the share of H.264, HEVC and VP9 encodings whose luma is of 0 to 255, as cameras of phones do.

    Raises:
        ValueError: a share or a range is none; a codec of another name, or none that this PyAV has.
    """

    shares: Mapping[str, float] = field(default_factory=lambda: dict(SHARES))
    second_generation: float = 0.25
    keyframe_interval: tuple[int, int] = (1, 250)
    bit_rate: float = 0.25
    bt709: float = 0.15
    untagged: float = 0.2
    full_range: float = 0.05

    def __post_init__(self) -> None:
        for name in ("second_generation", "bit_rate", "bt709", "untagged", "full_range"):
            check_share(name, getattr(self, name))
        check_range("keyframe_interval", self.keyframe_interval, 1)
        unknown = sorted(set(self.shares) - set(CODECS))
        if unknown or any(share < 0 for share in self.shares.values()):
            raise ValueError(f"`shares` must give shares of {list(CODECS)}, none negative, but is {self.shares}.")
        if not any(self.shares.get(name, 0) for name in available_codecs()):
            raise ValueError(f"`shares` must name one of {list(available_codecs())}, but is {self.shares}.")

    def draw(self, rng: np.random.Generator) -> list[Step]:
        generations = 2 if rng.random() < self.second_generation else 1
        return [self._draw_encoding(rng) for _ in range(generations)]

    def _draw_encoding(self, rng: np.random.Generator) -> Step:
        names = [name for name in available_codecs() if self.shares.get(name, 0) > 0]
        weights = np.array([self.shares[name] for name in names])
        codec = names[int(rng.choice(len(names), p=weights / weights.sum()))]
        interval = round(log_uniform(self.keyframe_interval, rng))
        options = {"g": str(interval)}
        if codec != "vp9":
            options["bf"] = str(rng.integers(1, 4)) if rng.random() < 0.5 else "0"
        bits_per_pixel = None
        if rng.random() < self.bit_rate:
            bits_per_pixel = log_uniform(CODECS[codec].bits_per_pixel, rng)
        else:
            options = _merge(options, _draw_quality(codec, rng))
        options = _merge(options, _draw_tools(codec, rng))
        matrix = "bt709" if rng.random() < self.bt709 else "bt601"
        shown = "bt601" if rng.random() < self.untagged else matrix
        full_range = bool(rng.random() < self.full_range) and not codec.startswith("mpeg")
        return partial(
            transcode,
            codec=codec,
            options=options,
            bits_per_pixel=bits_per_pixel,
            matrix=matrix,
            shown_matrix=shown,
            full_range=full_range,
            lead_in=int(rng.integers(min(interval, 8))),
        )


def _draw_quality(codec: str, rng: np.random.Generator) -> dict[str, str]:
    """A constant rate factor, or a constant quantiser for one in five where there are both."""
    crf, quantiser = CODECS[codec].crf, CODECS[codec].quantiser
    if crf is not None and (quantiser is None or rng.random() < 0.8):
        value = rng.uniform(*crf)
        return {"crf": str(round(value)), "b": "0"} if codec == "vp9" else {"crf": f"{value:.2f}"}
    assert quantiser is not None
    number = int(rng.integers(quantiser[0], quantiser[1], endpoint=True))
    if codec.startswith("mpeg"):
        return {"qmin": str(number), "qmax": str(number)}
    return {"x265-params": f"qp={number}"} if codec == "hevc" else {"qp": str(number)}


def _draw_tools(codec: str, rng: np.random.Generator) -> dict[str, str]:
    """What an encoder may do or leave: speed, deblocking, adaptive quantisers, other matrices of quantisers."""
    if codec == "mpeg4":
        return {"mpeg_quant": "1"} if rng.random() < 0.3 else {}
    if codec not in PRESETS:
        return {}
    options = {"preset": PRESETS[codec][rng.integers(len(PRESETS[codec]))]}
    parameters = []
    kind = rng.random()
    if kind < 0.15:
        parameters.append("no-deblock=1")
    elif kind < 0.35:
        parameters.append("deblock={},{}".format(*rng.integers(-3, 3, size=2, endpoint=True)))
    if rng.random() < 0.2:
        parameters.append("aq-mode=0")
    if codec == "h264" and rng.random() < 0.1:
        parameters.append("cqm=jvt")
    if parameters:
        options[f"{'x264' if codec == 'h264' else 'x265'}-params"] = ":".join(parameters)
    return options
