# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""How coarsely videos and images are quantised, by what their streams say, in one unit for all codecs.

The unit is the step between two values of a coefficient of luma, in grey levels (of 255), in a transform that keeps
lengths: a detail whose coefficient is smaller than about half a step is lost. FFmpeg's decoders of H.264, VP9 and the
MPEG family (with WMV, FLV and RealVideo 2) hand the quantisers over with a frame (its `export_side_data`); the headers
of HEVC, AV1 and VP8 are read by its filter `trace_headers`, which writes them to the log; JPEG has a table of steps.
Of other codecs nothing is known.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, cast

import av
import numpy as np
from av import VideoFrame
from av.bitstream import BitStreamFilterContext
from av.packet import Packet
from av.video.stream import VideoStream
from PIL import Image

# FFmpeg's AVVideoEncParams begins with: number of blocks, where they begin, bytes of each, kind, quantiser. A block is
# x, y, width, height and the difference of its quantiser, and what later versions add.
_HEAD = struct.Struct("@INNii")
_BLOCK_DIFFERENCE = 4
_VP9, _H264, _MPEG = 0, 1, 2

_BASE = 26
_TRACED = {
    "hevc": re.compile(r"\b(init_qp_minus26|slice_qp_delta)\b.*= (-?\d+)"),
    "av1": re.compile(r"\b(base_q_idx)\b.*= (\d+)"),
    "vp8": re.compile(r"\b(base_qindex)\b.*= (\d+)"),
}


class StepMeter:
    """The mean step of the frames of a video, while they are decoded.

    Args:
        stream: nothing of it decoded yet; its decoder is set to hand over what it knows.
    """

    def __init__(self, stream: VideoStream) -> None:
        stream.codec_context.options = {"export_side_data": "venc_params"}
        self._name = stream.codec_context.codec.canonical_name
        self._steps: list[float] = []
        self._packets: set[tuple[int | None, int | None]] = set()
        self._headers: BitStreamFilterContext | None = None
        self._base = _BASE
        if self._name in _TRACED:
            with _captured() as lines, suppress(av.FFmpegError, ValueError):  # an FFmpeg without the filter
                self._headers = BitStreamFilterContext("trace_headers", stream)
            self._read(lines)

    @property
    def step(self) -> float | None:
        """Grey levels; None where nothing is known."""
        return float(np.mean(self._steps)) if self._steps else None

    def add_frame(self, frame: VideoFrame) -> None:
        """Takes what the decoder tells with a frame."""
        side_data = cast(Any, frame.side_data)
        for data in (side_data[index] for index in range(len(side_data))):
            if data.type.name == "VIDEO_ENC_PARAMS":
                step = _exported_step(bytes(data), frame.format.components[0].bits)
                self._steps += [] if step is None else [step]

    def add_packet(self, packet: Packet) -> None:
        """Takes what the headers of a packet name, once of each. The packet has been decoded, and is used up."""
        place = (packet.pts, packet.dts)
        if not packet.size or (place != (None, None) and place in self._packets):
            return
        self._packets.add(place)
        if self._name == "mjpeg":
            with suppress(Exception), Image.open(io.BytesIO(bytes(packet)), formats=("JPEG",)) as image:
                step = jpeg_step(image)  # Pillow raises nearly every kind of error on damaged images
                self._steps += [] if step is None else [step]
        if self._headers is not None:
            with _captured() as lines, suppress(av.FFmpegError):
                self._headers.filter(packet)
            self._read(lines)

    def _read(self, lines: Sequence[tuple[int, str, str]]) -> None:
        for match in filter(None, (_TRACED[self._name].search(text) for _, _, text in lines)):
            if match[1] == "init_qp_minus26":
                self._base = _BASE + int(match[2])
            else:
                base = self._base if self._name == "hevc" else 0
                step = {"hevc": h264_step, "av1": vp9_step, "vp8": vp8_step}[self._name]
                self._steps.append(float(step(np.array(base + int(match[2])))))


@contextmanager
def _captured() -> Iterator[list[tuple[int, str, str]]]:
    """What FFmpeg logs in this thread meanwhile, `trace_headers` with the rest."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        with av.logging.Capture() as lines:
            yield lines
    finally:
        av.logging.set_level(level)


def _exported_step(data: bytes, bits: int) -> float | None:
    count, start, size, kind, quantiser = _HEAD.unpack_from(data)
    quantisers = np.array([quantiser])
    if count:
        blocks = np.frombuffer(data, np.int32, count * size // 4, start).reshape(count, -1)
        quantisers = quantiser + blocks[:, _BLOCK_DIFFERENCE]
    if kind == _H264:  # the decoder counts from the finest step of the bit depth
        return float(h264_step(quantisers - 6 * (bits - 8)).mean())
    if kind == _VP9:
        return float(vp9_step(quantisers).mean())
    return float(quantisers.mean()) if kind == _MPEG else None  # of MPEG-4 and its like already doubled


def jpeg_step(image: Image.Image) -> float | None:
    """The mean of the table of steps of luma in an opened image, None if it is not a JPEG. 6 is quality 95."""
    tables = getattr(image, "quantization", None)
    return float(np.mean(tables[min(tables)])) if tables else None


def h264_step(quantisers: np.ndarray) -> np.ndarray:
    """Steps of H.264's and HEVC's quantisers QP (ITU-T H.264, 8.5.9; ITU-T H.265, 8.6.4): QP 4 is 1, six more double.

    That of QP 0, by which H.264 codes without loss, counts as 0.6.
    """
    return 2.0 ** ((quantisers - 4) / 6)


def vp9_step(indices: np.ndarray) -> np.ndarray:
    """Steps of VP9's and AV1's base_q_idx, 0 to 255, by two curves through the tables of 8 bits, to within a tenth."""
    return np.where(indices <= 95, 7 + indices, 102 * np.exp(0.018 * (indices - 95))) / 8


def vp8_step(indices: np.ndarray) -> np.ndarray:
    """Steps of VP8's y_ac_qi, 0 to 127, by two curves through the table of RFC 6386 (14.1), to within a tenth."""
    return np.where(indices <= 54, 4 + indices, 58 * np.exp(0.0218 * (indices - 54))) / 2
