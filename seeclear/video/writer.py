# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Writes frames to a video file or to a folder of images; what is not whole is never seen under its final name."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TypeVar, cast

import av
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream
from PIL import Image

from seeclear.video.color import LIMITED_RANGE, default_matrix, from_rgb
from seeclear.video.reader import open_container

# By suffix: FFmpeg's container, encoder, encoder options, container options. The quality is set so that coding adds
# nothing that can be seen: what was upscaled is not to be spoilt by the encoder.
_H264 = ("libx264", {"crf": "14", "preset": "medium"})
_VP9 = ("libvpx-vp9", {"crf": "20", "deadline": "good", "cpu-used": "3", "row-mt": "1"})
_FORMATS: dict[str, tuple[str, tuple[str, dict[str, str]], dict[str, str]]] = {
    ".mp4": ("mp4", _H264, {"movflags": "+faststart"}),
    ".mov": ("mov", _H264, {"movflags": "+faststart"}),
    ".mkv": ("matroska", _H264, {}),
    ".webm": ("webm", _VP9, {}),
}
VIDEO_SUFFIXES = tuple(_FORMATS)

W = TypeVar("W", bound="FrameWriter")


class Draft:
    """A file or folder under a temporary name beside its final place, until `publish` or `discard`.

    A draft that is forgotten is deleted when it is garbage-collected or when Python ends.

    Raises:
        ValueError: the place cannot be written to.
    """

    def __init__(self, path: Path, folder: bool = False) -> None:
        self.final = path
        self.path = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")
        if not path.parent.is_dir():
            raise ValueError(f"{path}: cannot be written, there is no folder {path.parent}.")
        try:
            if folder:
                if path.exists() and any(path.iterdir()):
                    raise ValueError(f"{path}: the folder is not empty; name one that is, or a new one.")
                self.path.mkdir()
            else:
                if path.is_dir():
                    raise ValueError(f"{path}: cannot be written, it is a folder.")
                if path.exists() and not os.access(path, os.W_OK):
                    raise ValueError(f"{path}: cannot be written, the file is read-only.")
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except OSError as error:
            raise ValueError(f"{path}: cannot be written ({error.strerror}).") from error
        self._delete = weakref.finalize(self, _delete, self.path)

    def publish(self) -> None:
        """Gives the draft its final name; a file or an empty folder of that name is replaced."""
        try:
            os.replace(self.path, self.final)
        except OSError as error:
            raise ValueError(f"{self.final}: cannot be written ({error.strerror}).") from error
        self._delete.detach()

    def discard(self) -> None:
        """Deletes the draft. Nothing happens if it was published or discarded before."""
        self._delete()


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


class FrameWriter(ABC):
    """What `open_writer` returns: a context manager that takes frames and publishes its output on success only."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._size: tuple[int, int] | None = None
        self.frames_written = 0
        self.closed = False

    def __enter__(self: W) -> W:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def write(self, frame: np.ndarray) -> None:
        """Takes the next frame, uint8 RGB of shape (H, W, 3); all frames must have one size."""
        if self.closed:
            raise ValueError(f"{self._draft.final}: the writer is closed.")
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
            raise ValueError(
                f"`frame` must be uint8 of shape (H, W, 3), but was {frame.dtype} of shape {frame.shape}."
            )
        height, width, _ = frame.shape
        if self._size not in (None, (width, height)):
            raise ValueError(f"`frame` must be of the size of the first one, {self._size}, but was {(width, height)}.")
        self._size = (width, height)
        self._write(frame)
        self.frames_written += 1

    def close(self) -> None:
        """Finishes the output and gives it its final name.

        Raises:
            ValueError: no frame was written, or the output cannot be finished; nothing of it is left then.
        """
        if self.closed:
            return
        try:
            if not self.frames_written:
                raise ValueError(f"{self._draft.final}: no frame was written.")
            self._finish()
            self.closed = True
            self._draft.publish()
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Deletes what was written. Nothing happens after `close`."""
        self.closed = True
        self._release()
        self._draft.discard()

    @abstractmethod
    def _write(self, frame: np.ndarray) -> None:
        """Writes a frame that was checked."""

    @abstractmethod
    def _finish(self) -> None:
        """Writes what is still held back and closes the files."""

    @abstractmethod
    def _release(self) -> None:
        """Closes the files, whatever state they are in."""


class VideoWriter(FrameWriter):
    """Writes a video: H.264 for .mp4, .mov and .mkv, VP9 for .webm, 4:2:0 where both sides are even, else 4:4:4.

    The colour matrix is the one players expect at this size, and is named in the file. The sound of `source` is copied
    packet by packet, as it is, every sound stream of it.

    Args:
        path: the file, with one of the suffixes above. It appears, or is replaced, when the writer is closed.
        fps: frames per second, kept as the exact fraction (30000/1001).
        source: a video file whose sound is to be copied; a folder or None gives a video without sound.

    Raises:
        ValueError: unknown suffix, `path` cannot be written, `fps` is not positive, or the container cannot hold the
            sound.
    """

    def __init__(
        self, path: str | os.PathLike[str], fps: Fraction | int, source: str | os.PathLike[str] | None = None
    ) -> None:
        path = Path(path)
        if path.suffix.lower() not in _FORMATS:
            raise ValueError(f"{path}: the ending of a video must be one of {', '.join(VIDEO_SUFFIXES)}.")
        self.fps = Fraction(fps)
        if self.fps <= 0:
            raise ValueError(f"`fps` must be positive, but was {fps}.")
        super().__init__(Draft(path))
        container_format, (encoder, options), container_options = _FORMATS[path.suffix.lower()]
        self._sound: _SoundCopy | None = None
        self._container = av.open(
            os.path.abspath(self._draft.path), mode="w", format=container_format, container_options=container_options
        )
        try:
            self._stream = cast(VideoStream, self._container.add_stream(encoder, rate=self.fps, options=options))
            self._stream.codec_context.time_base = 1 / self.fps
            if source is not None and not Path(source).is_dir():
                self._sound = _SoundCopy(Path(source), self._container, path)
        except BaseException:
            self.abort()
            raise

    def _write(self, frame: np.ndarray) -> None:
        height, width, _ = frame.shape
        matrix = default_matrix(width, height)
        pixel_format = "yuv444p" if width % 2 or height % 2 else "yuv420p"
        if not self.frames_written:
            self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, pixel_format
            self._stream.codec_context.colorspace = matrix
            self._stream.codec_context.color_range = LIMITED_RANGE
        picture = from_rgb(frame, pixel_format, matrix, chroma_left=self._stream.codec_context.name == _H264[0])
        picture.pts, picture.time_base = self.frames_written, 1 / self.fps
        with self._explained():
            for packet in self._stream.encode(picture):
                self._mux(packet)

    def _mux(self, packet: Packet) -> None:
        """A packet of video, after the sound that is heard before it."""
        if self._sound is not None:
            for sound in self._sound.until(_seconds(packet)):
                self._container.mux(sound)
        self._container.mux(packet)

    def _finish(self) -> None:
        with self._explained():
            for packet in self._stream.encode(None):
                self._mux(packet)
            if self._sound is not None:
                for packet in self._sound.until(None):
                    self._container.mux(packet)
                self._sound.close()
            self._container.close()

    def _release(self) -> None:
        if self._sound is not None:
            self._sound.close()
        with contextlib.suppress(av.FFmpegError):  # a file that is deleted next need not end well
            self._container.close()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except av.FFmpegError as error:
            raise ValueError(f"{self._draft.final}: cannot be written ({error.strerror}).") from error


class _SoundCopy:
    """The sound packets of `source`, in order, addressed to streams of the same kind in `container`."""

    def __init__(self, source: Path, container: OutputContainer, path: Path) -> None:
        self._source = source
        self._input = open_container(source)
        self._pending: Packet | None = None
        # Frames are written from time 0 on, so the sound moves by what the frames move.
        self._shift = Fraction(0)
        for video in self._input.streams.video[:1]:
            if video.start_time is not None and video.time_base is not None:
                self._shift = video.start_time * video.time_base
        self._outputs = {}
        try:
            for stream in self._input.streams.audio:
                try:
                    output = container.add_stream_from_template(stream)
                except (ValueError, av.FFmpegError) as error:
                    raise ValueError(
                        f"{path}: a {path.suffix} file cannot hold the sound of {source} "
                        f"({stream.codec_context.name}); try .mkv."
                    ) from error
                for tag in ("language", "title"):
                    if tag in stream.metadata:
                        output.metadata[tag] = stream.metadata[tag]
                self._outputs[stream.index] = output
        except BaseException:
            self.close()
            raise
        self._packets = self._demux()

    def until(self, time: Fraction | None) -> Iterator[Packet]:
        """The next packets, up to those that begin at `time` in seconds; all that are left if it is None."""
        while True:
            packet = self._pending or next(self._packets, None)
            self._pending = packet
            if packet is None or (time is not None and _seconds(packet) > time):
                return
            self._pending = None
            packet.stream = self._outputs[packet.stream.index]
            yield packet

    def close(self) -> None:
        """Closes the source."""
        self._input.close()

    def _demux(self) -> Iterator[Packet]:
        if not self._outputs:
            return
        try:
            for packet in self._input.demux(*self._input.streams.audio):
                if packet.dts is None:  # the end of a stream
                    continue
                if packet.is_corrupt:
                    raise ValueError(f"{self._source}: the sound is cut off or damaged.")
                shift = round(self._shift / packet.time_base)
                packet.dts -= shift
                if packet.pts is not None:
                    packet.pts -= shift
                yield packet
        except av.FFmpegError as error:
            raise ValueError(f"{self._source}: the sound is cut off or damaged ({error.strerror}).") from error


def _seconds(packet: Packet) -> Fraction:
    """When a packet is decoded."""
    if packet.dts is None or packet.time_base is None:
        return Fraction(0)
    return packet.dts * packet.time_base


class FrameFolderWriter(FrameWriter):
    """Writes a folder of PNG images.

    Args:
        path: the folder; it must not exist or be empty, and appears when the writer is closed.
        names: file names of the frames, of which the stem is kept ("a.jpg" becomes "a.png"); None numbers them from
            "000000.png" on.

    Raises:
        ValueError: `path` cannot be written or is not empty, two names have one stem, or there are more frames than
            names.
    """

    def __init__(self, path: str | os.PathLike[str], names: Sequence[str] | None = None) -> None:
        path = Path(path)
        if path.exists() and not path.is_dir():
            raise ValueError(f"{path}: cannot be written as a folder, there is a file of that name.")
        self._names = None if names is None else [f"{Path(name).stem}.png" for name in names]
        if self._names is not None and len(set(self._names)) < len(self._names):
            twice = next(name for name in self._names if self._names.count(name) > 1)
            raise ValueError(f"`names` must differ without their endings, but two of them would become {twice}.")
        super().__init__(Draft(path, folder=True))

    def _write(self, frame: np.ndarray) -> None:
        index = self.frames_written
        if self._names is None:
            name = f"{index:06d}.png"
        elif index < len(self._names):
            name = self._names[index]
        else:
            raise ValueError(f"{self._draft.final}: there are more frames than the {len(self._names)} `names`.")
        try:
            Image.fromarray(frame).save(self._draft.path / name)
        except OSError as error:
            raise ValueError(f"{self._draft.final}: cannot be written ({error.strerror}).") from error

    def _finish(self) -> None:
        if self._names is not None and self.frames_written < len(self._names):
            raise ValueError(
                f"{self._draft.final}: there are {self.frames_written} frames for {len(self._names)} `names`."
            )

    def _release(self) -> None:
        """There is nothing open."""


def open_writer(
    path: str | os.PathLike[str],
    fps: Fraction | int,
    names: Sequence[str] | None = None,
    source: str | os.PathLike[str] | None = None,
) -> VideoWriter | FrameFolderWriter:
    """A `VideoWriter` where `path` ends in .mp4, .mov, .mkv or .webm, a `FrameFolderWriter` where it has no ending.

    Raises:
        ValueError: any other ending, and what the two raise.
    """
    if Path(path).suffix and not Path(path).is_dir():
        return VideoWriter(path, fps, source)
    return FrameFolderWriter(path, names)
