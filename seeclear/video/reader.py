# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Frames of a video file or of a folder of images, one after the other."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream
from PIL import Image, ImageOps

from seeclear.video.color import to_rgb

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")

# A folder of images names no rate; this one is taken when it becomes a video.
IMAGE_FOLDER_FPS = Fraction(25)

# Top-level boxes of MP4 and QuickTime files (ISO/IEC 14496-12) that a cut file may end in.
_MP4_BOXES = {
    b"ftyp",
    b"moov",
    b"mdat",
    b"moof",
    b"mfra",
    b"free",
    b"skip",
    b"wide",
    b"sidx",
    b"styp",
    b"uuid",
    b"meta",
}


class VideoReader:
    """The frames of a video file or of a folder of images, as uint8 RGB arrays of shape (H, W, 3).

    Iterating starts at the first frame each time. Frames are decoded when they are asked for, so memory does not grow
    with the length of the video.

    Args:
        path: a video file, or a folder of PNG, JPEG, TIFF, BMP or WebP images of one size, taken in natural order of
            their names ("frame2" before "frame10").

    Raises:
        ValueError: `path` does not exist, is not a video, has no frames, is cut off, or its images differ in size.
            Faults that only decoding shows are raised while iterating. Every message names the file.
    """

    width: int
    """Width of every frame in pixels."""
    height: int
    """Height of every frame in pixels."""
    fps: Fraction
    """Frames per second, as the container states it; 25 for a folder of images."""
    num_frames: int | None
    """Number of frames, or None where the container does not declare it."""
    names: list[str] | None
    """File names of the images, None for a video file."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._running: list[Generator[np.ndarray, None, None]] = []
        if not self.path.exists():
            raise ValueError(f"{self.path}: there is no such file or folder.")
        if self.path.is_dir():
            self._open_folder()
        else:
            self._open_file()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[np.ndarray]:
        frames = self._decode_file() if self.names is None else self._decode_folder(self.names)
        self._running.append(frames)
        return frames

    def close(self) -> None:
        """Ends every iteration that is still running and closes its file."""
        while self._running:
            self._running.pop().close()

    # Video files

    def _open_file(self) -> None:
        check_complete(self.path)
        with open_container(self.path) as container:
            stream = _video_stream(container, self.path)
            rate = stream.average_rate or stream.guessed_rate
            if not rate:
                raise ValueError(f"{self.path}: the video does not say how many frames it has per second.")
            self.fps = Fraction(rate)
            self.names = None
            self.num_frames = self._declared(container, stream)
            try:
                first = next(container.decode(stream), None)
            except av.FFmpegError as error:
                raise self._broken(error) from error
            if first is None:
                raise ValueError(f"{self.path}: the video is empty or cut off: not one frame can be decoded.")
            self.width, self.height = first.width, first.height

    def _decode_file(self) -> Generator[np.ndarray, None, None]:
        with open_container(self.path) as container:
            stream = _video_stream(container, self.path)
            stream.thread_type = "AUTO"
            decoded = 0
            expected = self.num_frames or 0
            packets = 0
            try:
                for packet in container.demux(stream):
                    if packet.is_corrupt:
                        raise ValueError(f"{self.path}: the video is cut off or damaged after frame {decoded}.")
                    if packet.dts is not None and not packet.size:  # AVI: the frame before is repeated
                        continue
                    packets += packet.size > 0 and not packet.is_discard
                    for frame in packet.decode():
                        if frame.is_corrupt:
                            raise ValueError(f"{self.path}: the video is damaged: a frame cannot be decoded whole.")
                        if (frame.width, frame.height) != (self.width, self.height):
                            raise ValueError(
                                f"{self.path}: all frames must have one size, but it changes from "
                                f"{self.width}x{self.height} to {frame.width}x{frame.height}."
                            )
                        decoded += 1
                        yield to_rgb(frame)
            except av.FFmpegError as error:
                raise self._broken(error) from error
            if _is_mp4(container):  # one packet is one frame there
                expected = max(expected, packets)
        if decoded < expected:
            raise ValueError(
                f"{self.path}: the video is cut off or damaged: {decoded} of its {expected} frames can be decoded."
            )

    def _broken(self, error: av.FFmpegError) -> ValueError:
        return ValueError(f"{self.path}: the video is cut off or damaged ({error.strerror}).")

    @staticmethod
    def _declared(container: InputContainer, stream: VideoStream) -> int | None:
        """How many frames the file declares; only MP4 and QuickTime state it reliably, in the index of their samples.

        The index has the edit list applied, which `stream.frames` has not; what is decoded but not shown (the frames
        between a key frame and the start of an edit) is marked there.
        """
        if not _is_mp4(container) or not stream.frames:
            return None
        return sum(1 for entry in stream.index_entries if not entry.is_discard)

    # Folders of images

    def _open_folder(self) -> None:
        files = [file for file in self.path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES]
        self.names = sorted((file.name for file in files if not file.name.startswith(".")), key=_natural)
        if not self.names:
            raise ValueError(f"{self.path}: the folder has no images ({', '.join(IMAGE_SUFFIXES)}).")
        self.num_frames = len(self.names)
        self.fps = IMAGE_FOLDER_FPS
        sizes = [self._image_size(name) for name in self.names]
        self.width, self.height = sizes[0]
        for name, size in zip(self.names, sizes, strict=True):
            if size != sizes[0]:
                raise ValueError(
                    f"{self.path}: all images must have one size, but {self.names[0]} is {self.width}x{self.height} "
                    f"and {name} is {size[0]}x{size[1]}."
                )

    def _image_size(self, name: str) -> tuple[int, int]:
        """(width, height) as shown, from the header only."""
        file = self.path / name
        try:
            with Image.open(file) as image:
                if getattr(image, "n_frames", 1) > 1:
                    raise ValueError(f"{file}: the file holds several images; give one file for each frame.")
                turned = image.getexif().get(0x0112, 1) >= 5  # EXIF orientations with the axes swapped
                return (image.height, image.width) if turned else image.size
        except (OSError, SyntaxError) as error:
            raise ValueError(f"{file}: the image cannot be read ({error}).") from error

    def _decode_folder(self, names: list[str]) -> Generator[np.ndarray, None, None]:
        for name in names:
            file = self.path / name
            try:
                with Image.open(file) as image:
                    image.load()
            except (OSError, SyntaxError) as error:
                raise ValueError(f"{file}: the image cannot be read ({error}).") from error
            yield image_to_rgb(ImageOps.exif_transpose(image), str(file))


def image_to_rgb(image: Image.Image, name: str) -> np.ndarray:
    """A PIL image as uint8 RGB of shape (H, W, 3).

    Raises:
        ValueError: the image has more than 8 bits a channel, or pixels that are not opaque; `name` says which one.
    """
    if image.mode in ("F", "I") or ";" in image.mode:
        raise ValueError(f"{name}: images must have 8 bits a channel, but the mode of this one is {image.mode!r}.")
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        low, _ = image.getchannel("A").getextrema()
        if low != 255:
            raise ValueError(f"{name}: images must be opaque, but this one has transparent pixels.")
    return np.array(image.convert("RGB"))


def open_container(path: Path) -> InputContainer:
    """Opens a video file with PyAV; ValueError names the file if it is not a video."""
    try:
        # an absolute path, so that a colon in a name is never taken for a protocol
        container = av.open(os.path.abspath(path), mode="r", metadata_errors="replace")
    except av.FFmpegError as error:
        reason = "cut off or not a video" if isinstance(error, ValueError | EOFError) else "cannot be opened"
        raise ValueError(f"{path}: {reason} ({error.strerror}).") from error
    name = container.format.name
    if name in ("image2", "tty") or name.endswith("_pipe"):
        container.close()
        raise ValueError(f"{path}: not a video; for images, give the folder that holds them.")
    return container


def _is_mp4(container: InputContainer) -> bool:
    """Whether it is MP4 or QuickTime, which FFmpeg reads by one demuxer."""
    return "mp4" in container.format.name.split(",")


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    for stream in container.streams.video:
        if Disposition.attached_pic not in stream.disposition:  # such as the cover of a piece of music
            return stream
    raise ValueError(f"{path}: the file has no video stream.")


def count_frames(path: str | os.PathLike[str]) -> int:
    """Number of frames of a video file, by reading it once without decoding. For containers that do not declare it."""
    with open_container(Path(path)) as container:
        try:
            return sum(1 for packet in container.demux(_video_stream(container, Path(path))) if packet.size)
        except av.FFmpegError as error:
            raise ValueError(f"{path}: the video is cut off or damaged ({error.strerror}).") from error


def check_complete(path: Path) -> None:
    """Raises a ValueError if a video file ends before the end that its own structure states.

    FFmpeg reads a cut file up to the cut and reports its end as if it were whole. The outermost boxes of MP4 and
    QuickTime (ISO/IEC 14496-12, 4.2), the segment of Matroska and WebM (RFC 9559) and the chunks of AVI (RIFF) state
    their sizes, so that a cut shows before anything is decoded. Other kinds of file pass.
    """
    size = path.stat().st_size
    if size == 0:
        raise ValueError(f"{path}: the file is empty.")
    try:
        with path.open("rb") as file:
            head = file.read(12)
            if head[4:8] in _MP4_BOXES:
                end = _mp4_end(file, size)
            elif head[:4] == b"\x1a\x45\xdf\xa3":
                end = _matroska_end(file)
            elif head[:4] == b"RIFF" and head[8:] == b"AVI ":
                end = 8 + struct.unpack("<I", head[4:8])[0]
            else:
                end = 0
    except OSError as error:
        raise ValueError(f"{path}: cannot be opened ({error.strerror}).") from error
    if end > size:
        raise ValueError(f"{path}: the video is cut off: the file has {size} bytes of at least {end}.")


def _mp4_end(file: BinaryIO, size: int) -> int:
    """Where the last box begun in the file ends; 0 for a box that reaches to the end of the file whatever that is."""
    start = 0
    while start + 8 <= size:
        file.seek(start)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            extended = file.read(8)
            if len(extended) < 8:
                return start + 16
            length = struct.unpack(">Q", extended)[0]
        if kind not in _MP4_BOXES or length < 8:  # what follows the video, or a box up to the end of the file
            return 0
        start += length
    return start


def _matroska_end(file: BinaryIO) -> int:
    """Where the segment ends; 0 if it does not state its size, as in a live recording."""
    file.seek(4)
    header = _ebml_number(file)
    file.seek(header, os.SEEK_CUR)
    if file.read(4) != b"\x18\x53\x80\x67":
        return 0
    segment = _ebml_number(file)
    return file.tell() + segment


def _ebml_number(file: BinaryIO) -> int:
    """The next variable-length size of EBML (RFC 8794, 4); 0 if it says "unknown" (all bits set) or is cut off."""
    first = file.read(1)
    if not first or not first[0]:
        return 0
    length = 9 - first[0].bit_length()
    rest = file.read(length - 1)
    value = int.from_bytes(bytes([first[0] & (1 << (8 - length)) - 1]) + rest, "big")
    return 0 if len(rest) < length - 1 or value == (1 << 7 * length) - 1 else value


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key by which "frame2" comes before "frame10"."""
    parts = re.split(r"([0-9]+)", name)  # text and numbers in turn
    return [(int(part), "") if index % 2 else (-1, part) for index, part in enumerate(parts)] + [(-2, name)]
