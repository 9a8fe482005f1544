# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Frames coded into parts: files that stand alone and are later joined without coding anything again (`assemble`).

A part of a video is a Matroska file, one of images or of a GIF an uncompressed ZIP archive of them. Its bytes depend
on its frames, the properties and the settings only: not on the number of cores, the time or the name of the file.
"""

from __future__ import annotations

import contextlib
import io
import os
import zipfile
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import cast

import av
import numpy as np
from av.video.stream import VideoStream
from PIL import Image

from seeclear.files import Draft
from seeclear.video.codecs import EncodeSettings, encoder_options, encoder_threads
from seeclear.video.pixels import as_floats, make_frame
from seeclear.video.properties import VideoProperties

# Units of time in a part: a frame's time stamp is its number.
PART_TIME_BASE = Fraction(1, 1000)
# Frames of H.264 and H.265 are coded at most so many before they are shown.
_MOST_REORDERED = 16


def encode_part(
    path: str | os.PathLike[str],
    frames: Iterable[tuple[np.ndarray, np.ndarray | None]],
    properties: VideoProperties,
    settings: EncodeSettings | None = None,
) -> int:
    """Codes frames into one part, which is there when it is whole.

    Args:
        path: of the part; it is replaced if it is there.
        frames: (RGB (H, W, 3), alpha (H, W) or None), float32 in [0, 1] or uint16 with 65535 for 1, each of the size
            in `properties`.
        properties: of the output, from `output_properties`.
        settings: the same as given there.

    Returns:
        The number of frames.

    Raises:
        ValueError: there is no frame, one of another size, or `path` cannot be written.
    """
    with PartEncoder(path, properties, settings) as encoder:
        for rgb, alpha in frames:
            encoder.write(rgb, alpha)
    return encoder.frames_written


class PartEncoder:
    """What `encode_part` uses: a context manager that takes frames one by one and publishes on success only."""

    def __init__(
        self, path: str | os.PathLike[str], properties: VideoProperties, settings: EncodeSettings | None = None
    ) -> None:
        self.path = Path(path)
        self.properties = properties
        self.frames_written = 0
        self._draft = Draft(self.path)
        try:
            with self._explained():
                if properties.kind == "video":
                    self._sink: _VideoSink | _ImageSink = _VideoSink(
                        self._draft.path, properties, settings or EncodeSettings()
                    )
                else:
                    self._sink = _ImageSink(self._draft.path, properties)
        except BaseException:
            self._draft.discard()
            raise

    def __enter__(self) -> PartEncoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def write(self, rgb: np.ndarray, alpha: np.ndarray | None = None) -> None:
        """The next frame: RGB (H, W, 3) and alpha (H, W), float32 in [0, 1] or uint16 with 65535 for 1."""
        size = (self.properties.height, self.properties.width)
        if rgb.shape != (*size, 3) or (alpha is not None and alpha.shape != size):
            raise ValueError(
                f"{self.path}: `frames` must be of height and width {size}, but frame {self.frames_written} was of "
                f"shape {rgb.shape}" + ("." if alpha is None else f" with alpha {alpha.shape}.")
            )
        with self._explained():
            self._sink.write(rgb, alpha, self.frames_written)
        self.frames_written += 1

    def close(self) -> None:
        """Finishes the part and gives it its name."""
        try:
            if not self.frames_written:
                raise ValueError(f"{self.path}: no frame was written.")
            with self._explained():
                self._sink.close()
            self._draft.publish()
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Deletes what was written. Nothing happens after `close`."""
        with contextlib.suppress(av.FFmpegError, OSError, ValueError):  # what is deleted next need not end well
            self._sink.close()
        self._draft.discard()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            raise ValueError(f"{self.path}: cannot be written ({error.strerror}).") from error


class _VideoSink:
    """One video stream in a Matroska file."""

    def __init__(self, path: Path, properties: VideoProperties, settings: EncodeSettings) -> None:
        codec, options = encoder_options(properties, settings)
        self._properties = properties
        self._container = av.open(
            os.path.abspath(path), "w", format="matroska", container_options={"fflags": "+bitexact"}
        )
        # The rate is for the encoder only. Very odd ones are rounded: H.264 and others have 32 bits for each half.
        rate = properties.fps.limit_denominator(1 << 16)
        if codec.encoder == "libsvtav1":
            os.environ.setdefault("SVT_LOG", "1")  # it writes to the standard error stream otherwise
        self._stream = cast(VideoStream, self._container.add_stream(codec.encoder, rate=rate, options=options))
        self._stream.width, self._stream.height = properties.width, properties.height
        self._stream.pix_fmt = properties.pix_fmt
        context = self._stream.codec_context
        context.time_base = 1 / rate
        context.thread_count = encoder_threads(properties)
        if codec.encoder == "libx264":
            context.thread_type = "FRAME"  # PyAV asks for slices otherwise, which code worse
        context.color_range, context.colorspace = properties.color_range, properties.matrix
        context.color_primaries, context.color_trc = properties.primaries, properties.transfer
        if properties.sample_aspect_ratio is not None:
            context.sample_aspect_ratio = properties.sample_aspect_ratio
        if properties.has_alpha and codec.name == "vp9":
            self._stream.metadata["alpha_mode"] = "1"
        self._tick = 1 / rate
        self._packets = 0

    def write(self, rgb: np.ndarray, alpha: np.ndarray | None, index: int) -> None:
        frame = make_frame(rgb, alpha, self._properties)
        frame.pts, frame.time_base = index, self._tick
        self._mux(frame)

    def close(self) -> None:
        if self._stream is not None:
            self._mux(None)
        self._container.close()

    def _mux(self, frame: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(frame):
            # One unit a frame, so that the rounding of Matroska's clock cannot mix up any order. The encoder's time of
            # decoding is not used (Matroska stores none): for one or two frames x265 gives memory it never wrote.
            packet.pts = round((packet.pts or 0) * packet.time_base / self._tick)
            packet.dts = self._packets - _MOST_REORDERED
            packet.duration = 1
            packet.time_base = PART_TIME_BASE
            self._container.mux(packet)
            self._packets += 1


class _ImageSink:
    """Images in a ZIP archive, in order: PNG, or GIF of one frame each."""

    def __init__(self, path: Path, properties: VideoProperties) -> None:
        self._properties = properties
        self._archive = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)
        self._encoder: av.VideoCodecContext | None = None
        if properties.kind != "gif":
            self._encoder = av.CodecContext.create("png", "w")
            self._encoder.width, self._encoder.height = properties.width, properties.height
            self._encoder.pix_fmt = properties.pix_fmt
            self._encoder.time_base = Fraction(1, 25)
            self._encoder.thread_count = 1

    def write(self, rgb: np.ndarray, alpha: np.ndarray | None, index: int) -> None:
        if self._encoder is None:
            opacity = as_floats(alpha) if alpha is not None and self._properties.has_alpha else None
            data = gif_of_frame(as_floats(rgb), opacity)
        else:
            frame = make_frame(rgb, alpha, self._properties)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            data = b"".join(bytes(packet) for packet in self._encoder.encode(frame))
        entry = zipfile.ZipInfo(f"{index:08d}")  # dated 1980, whatever the time is
        entry.external_attr = 0o644 << 16
        entry.create_system = 3
        self._archive.writestr(entry, data)

    def close(self) -> None:
        self._archive.close()


def gif_of_frame(rgb: np.ndarray, alpha: np.ndarray | None) -> bytes:
    """A GIF of one frame with its own palette of 256 colours, dithered; pixels of alpha below a half are left out."""
    image = Image.fromarray(np.rint(rgb * 255).clip(0, 255).astype(np.uint8))
    clear = None if alpha is None else alpha < 0.5
    colors = 256 if clear is None or not clear.any() else 255
    palette = image.quantize(colors, method=Image.Quantize.MEDIANCUT)
    picture = image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    buffer = io.BytesIO()
    if colors == 255:
        codes = np.array(picture)
        codes[clear] = 255
        table = (picture.getpalette() or []) + [0] * 768
        picture = Image.fromarray(codes, "P")
        picture.putpalette(table[:765] + [0, 0, 0])
        picture.save(buffer, "GIF", transparency=255, optimize=False)
    else:
        picture.save(buffer, "GIF", optimize=False)
    return buffer.getvalue()
