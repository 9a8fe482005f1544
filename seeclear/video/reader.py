# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Frames of a video file, of a folder of images or of an image, one after the other, with their time stamps."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import cast

import av
import numpy as np
from av import VideoFrame
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from seeclear.video.completeness import check_complete
from seeclear.video.container import (
    display_matrix,
    gif_loop,
    is_image,
    is_mp4,
    lost_with_frame,
    open_container,
    video_stream,
)
from seeclear.video.demuxing import SteadyPackets
from seeclear.video.images import image_info, list_images, read_image
from seeclear.video.pixels import describe_format, frame_range, read_pixels
from seeclear.video.properties import Frame, Kind, VideoProperties

# Images name no rate; this one is taken when they become a video.
IMAGE_FOLDER_FPS = Fraction(25)

# Of these, FFmpeg's own decoders drop the alpha, which is coded beside the colour.
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


class VideoReader:
    """The frames of a video file, of a folder of images or of one image.

    Iterating gives uint8 RGB arrays of shape (H, W, 3) from the first frame on; `frames` gives float32 with alpha and
    time stamps from any frame on. Frames are decoded when they are asked for, so memory does not grow with the length
    of the video. Frames are as stored: a rotation is named in `properties`, not carried out (that of an image's EXIF
    is). Interlaced video is taken as whole frames.

    Args:
        path: a video file, an animated GIF, an image, or a folder of PNG, JPEG, TIFF, BMP or WebP images of one size,
            taken in natural order of their names ("frame2" before "frame10").

    Raises:
        ValueError: `path` does not exist, is not a video, has no frames, is cut off, or its images differ in size.
            Faults that only decoding shows are raised while iterating. Every message names the file.
    """

    width: int
    """Width of every frame in pixels."""
    height: int
    """Height of every frame in pixels."""
    fps: Fraction
    """Frames per second, as the container states it; 25 for images."""
    num_frames: int | None
    """Number of frames, or None where the container does not declare it."""
    names: list[str] | None
    """File names of the images, None for a video file."""
    properties: VideoProperties
    """All there is to know about the video."""
    notes: list[str]
    """Sentences about what was found in a video file, once all its frames were read: for a user."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._running: list[Generator[object, None, None]] = []
        self.notes = []
        if not self.path.exists():
            raise ValueError(f"{self.path}: there is no such file or folder.")
        self.names = None
        if self.path.is_dir():
            self.names = list_images(self.path)
            self.properties = self._open_images("folder", [self.path / name for name in self.names])
        elif is_image(self.path):
            self.names = [self.path.name]
            self.properties = self._open_images("image", [self.path])
        else:
            self.properties = self._open_file()
        self.width, self.height, self.fps = self.properties.width, self.properties.height, self.properties.fps

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[np.ndarray]:
        return self._run(np.rint(frame.rgb * 255).astype(np.uint8) for frame in self._frames(0))

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """The frames from index `start` on, exactly those an iteration from 0 gives.

        All frames before are decoded too, though not converted: what a container's index says of the place of a frame
        is not always true, and decoding takes little time beside upscaling.

        Raises:
            ValueError: `start` is negative or beyond the last frame; the video is damaged.
        """
        if start < 0:
            raise ValueError(f"`start` must be at least 0, but was {start}.")
        return self._run(self._frames(start))

    def times(self) -> list[tuple[int, int]]:
        """(time stamp, duration) of every frame in units of `properties.time_base`, by decoding the whole video."""
        if self.names is not None:
            return [(index, 1) for index in range(len(self.names))]
        return [(pts, duration) for _, pts, duration in self._run(self._timed())]

    def close(self) -> None:
        """Ends every iteration that is still running and closes its file."""
        while self._running:
            self._running.pop().close()

    def _run(self, frames: Generator) -> Generator:
        self._running.append(frames)
        return frames

    def _frames(self, start: int) -> Generator[Frame, None, None]:
        index = -1
        if self.names is not None:
            folder = self.path if self.path.is_dir() else self.path.parent
            for index, name in enumerate(self.names):
                if index >= start:
                    rgb, alpha = read_image(folder / name)
                    if rgb.shape[:2] != (self.height, self.width):
                        raise ValueError(f"{folder / name}: the image has changed since it was opened.")
                    yield self._frame(rgb, alpha, index, 1)
        else:
            for index, (frame, pts, duration) in enumerate(self._timed()):
                if index >= start:
                    yield self._frame(*self._pixels(frame), pts, duration)
        if index < start:
            raise ValueError(f"{self.path}: `start` must be below the number of frames, {index + 1}, but was {start}.")

    def _frame(self, rgb: np.ndarray, alpha: np.ndarray | None, pts: int, duration: int) -> Frame:
        if not self.properties.has_alpha:
            alpha = None
        elif alpha is None:
            alpha = np.ones(rgb.shape[:2], np.float32)
        return Frame(rgb, alpha, pts, duration)

    # Video files

    def _open_file(self) -> VideoProperties:
        check_complete(self.path)
        with open_container(self.path) as container:
            stream = video_stream(container, self.path)
            rate = stream.average_rate or stream.guessed_rate
            if not rate:
                raise ValueError(f"{self.path}: the video does not say how many frames it has per second.")
            self.num_frames = self._declared(container, stream)
            animation = container.format.name in ("gif", "apng")
            try:
                first = next(self._decoded(SteadyPackets(container, [stream]), stream), None)
            except av.FFmpegError as error:
                raise self._broken(error) from error
            if first is None:
                raise ValueError(f"{self.path}: the video is empty or cut off: not one frame can be decoded.")
            bits, alpha, grey = describe_format(first.format.name)
            ratio = stream.sample_aspect_ratio
            tagged = first.color_range or frame_range(first) == 2
            properties = VideoProperties(
                path=self.path,
                kind="gif" if animation else "video",
                codec=stream.codec_context.codec.canonical_name,
                width=first.width,
                height=first.height,
                pix_fmt=first.format.name,
                bit_depth=bits,
                has_alpha=alpha,
                is_grey=grey,
                time_base=Fraction(cast(Fraction, stream.time_base)),
                fps=Fraction(rate),
                sample_aspect_ratio=Fraction(ratio) if ratio else None,
                display_matrix=display_matrix(first),
                color_range=frame_range(first) if tagged else 0,
                matrix=int(first.colorspace),
                primaries=int(first.color_primaries),
                transfer=int(first.color_trc),
                not_copied=lost_with_frame(first),
                loop=gif_loop(self.path) if animation else None,
            )
        if not animation or not alpha:
            return properties
        # Every GIF is decoded with alpha: whether it has any shows only in its pixels.
        self.width, self.height = properties.width, properties.height
        self.properties = properties
        has_alpha = any((cast(np.ndarray, self._pixels(frame)[1]) < 1).any() for frame, _, _ in self._timed())
        return replace(properties, has_alpha=has_alpha)

    def _pixels(self, frame: VideoFrame) -> tuple[np.ndarray, np.ndarray | None]:
        try:
            return read_pixels(frame, self.properties.codec)
        except (ValueError, av.FFmpegError) as error:
            raise ValueError(f"{self.path}: the colours cannot be converted: {error}") from error

    def _timed(self) -> Generator[tuple[VideoFrame, int, int], None, None]:
        """(frame, time stamp, duration): each lasts until the next one begins.

        A missing time stamp is the end of the frame before, and one that is not later than the one before it is moved
        to the next unit of time, as a container needs them in order.
        """
        base = self.properties.time_base
        step = max(1, round(1 / (self.properties.fps * base)))
        previous: VideoFrame | None = None
        start = 0
        for frame in self._decode_file():
            pts = frame.pts
            if pts is not None and frame.time_base and frame.time_base != base:
                pts = round(pts * frame.time_base / base)
            if previous is None:
                start = 0 if pts is None else pts
            else:
                following = start + step if pts is None else max(pts, start + 1)
                yield previous, start, following - start
                start = following
            previous = frame
        if previous is not None:
            yield previous, start, previous.duration or step

    def _decode_file(self) -> Generator[VideoFrame, None, None]:
        with open_container(self.path) as container:
            stream = video_stream(container, self.path)
            stream.thread_type = "AUTO"
            packets = decoded = 0

            def count(packet: Packet) -> None:
                nonlocal packets
                if packet.is_corrupt:
                    raise ValueError(f"{self.path}: the video is cut off or damaged after frame {decoded}.")
                packets += packet.size > 0 and not packet.is_discard

            expected = self.num_frames or 0
            size = (self.properties.width, self.properties.height)
            steady = SteadyPackets(container, [stream])
            try:
                for frame in self._decoded(steady, stream, count):
                    if frame.is_corrupt:
                        raise ValueError(f"{self.path}: the video is damaged: a frame cannot be decoded whole.")
                    if (frame.width, frame.height) != size:
                        raise ValueError(
                            f"{self.path}: all frames must have one size, but it changes from "
                            f"{size[0]}x{size[1]} to {frame.width}x{frame.height}."
                        )
                    decoded += 1
                    yield frame
            except av.FFmpegError as error:
                raise self._broken(error) from error
            self.notes = steady.notes(self.path)
            if is_mp4(container):  # one packet is one frame there
                expected = max(expected, packets)
        if decoded < expected:
            raise ValueError(
                f"{self.path}: the video is cut off or damaged: {decoded} of its {expected} frames can be decoded."
            )

    @staticmethod
    def _decoded(
        packets: SteadyPackets, stream: VideoStream, seen: Callable[[Packet], None] | None = None
    ) -> Generator[VideoFrame, None, None]:
        """The frames of a stream as they are decoded; `seen` is called with every packet before."""
        decode: Callable[[Packet], list[VideoFrame]] = stream.decode
        name = stream.codec_context.codec.canonical_name
        alpha = {value for key, value in stream.metadata.items() if key.lower() == "alpha_mode"}
        if name in _ALPHA_DECODERS and "1" in alpha:
            decoder = cast(av.VideoCodecContext, av.CodecContext.create(_ALPHA_DECODERS[name], "r"))

            def decode(packet: Packet) -> list[VideoFrame]:
                return decoder.decode(packet if packet.size else None)

        for packet in packets:
            if packet.dts is not None and not packet.size:  # AVI: the frame before is repeated
                continue
            if seen is not None:
                seen(packet)
            yield from decode(packet)

    def _broken(self, error: av.FFmpegError) -> ValueError:
        return ValueError(f"{self.path}: the video is cut off or damaged ({error.strerror}).")

    @staticmethod
    def _declared(container: InputContainer, stream: VideoStream) -> int | None:
        """How many frames the file declares; only MP4 and QuickTime state it reliably, in the index of their samples.

        The index has the edit list applied, which `stream.frames` has not; what is decoded but not shown (the frames
        between a key frame and the start of an edit) is marked there.
        """
        if not is_mp4(container) or not stream.frames:
            return None
        return sum(1 for entry in stream.index_entries if not entry.is_discard)

    # Images

    def _open_images(self, kind: Kind, files: list[Path]) -> VideoProperties:
        infos = [image_info(file) for file in files]
        first = infos[0]
        for file, info in zip(files, infos, strict=True):
            if (info.width, info.height) != (first.width, first.height):
                raise ValueError(
                    f"{self.path}: all images must have one size, but {files[0].name} is "
                    f"{first.width}x{first.height} and {file.name} is {info.width}x{info.height}."
                )
        self.num_frames = len(files)
        bits, grey = max(info.bits for info in infos), all(info.is_grey for info in infos)
        # Many images have an alpha channel and no transparent pixel; only the pixels tell.
        candidates = (file for file, info in zip(files, infos, strict=True) if info.has_alpha)
        alpha = any(read_image(file)[1] is not None for file in candidates)
        names = {(8, False): "rgb24", (8, True): "rgba", (16, False): "rgb48be", (16, True): "rgba64be"}
        if grey:
            names = {(8, False): "gray", (8, True): "ya8", (16, False): "gray16be", (16, True): "ya16be"}
        return VideoProperties(
            path=self.path,
            kind=kind,
            codec="images",
            width=first.width,
            height=first.height,
            pix_fmt=names[bits, alpha],
            bit_depth=bits,
            has_alpha=alpha,
            is_grey=grey,
            time_base=1 / IMAGE_FOLDER_FPS,
            fps=IMAGE_FOLDER_FPS,
        )


def count_frames(path: str | os.PathLike[str]) -> int:
    """Number of frames of a video, read once without decoding. For containers that do not declare it."""
    path = Path(path)
    if path.is_dir():
        return len(list_images(path))
    if is_image(path):
        return 1
    with open_container(path) as container:
        try:
            return sum(1 for packet in container.demux(video_stream(container, path)) if packet.size)
        except av.FFmpegError as error:
            raise ValueError(f"{path}: the video is cut off or damaged ({error.strerror}).") from error
