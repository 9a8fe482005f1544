# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Frames of a video file, of a folder of images or of an image, one after the other, with their time stamps."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np

from seeclear.video.excerpt import WHOLE, Excerpt
from seeclear.video.image_sequence import ImageSequence
from seeclear.video.images import is_image, list_images
from seeclear.video.opening import check_local, open_container, video_stream
from seeclear.video.properties import Frame, VideoProperties
from seeclear.video.video_file import VideoFile


class VideoReader:
    """The frames of a video file, of a folder of images or of one image.

    Iterating gives uint8 RGB arrays of shape (H, W, 3) from the first frame on; `frames` gives float32 with alpha and
    time stamps from any frame on. Frames are decoded when they are asked for, so memory does not grow with the length
    of the video. Frames are as stored: a rotation is named in `properties`, not carried out (that of an image's EXIF
    is). Interlaced video is taken as whole frames, unless `deinterlace` is given. What a file is, is told by its
    content and not by its name, and nothing but the named file is opened.

    Args:
        path: a video file, an animated GIF, an image, or a folder of PNG, JPEG, TIFF, BMP or WebP images of one size,
            taken in natural order of their names ("frame2" before "frame10").
        fps: frames per second of images, and of raw streams that state none; None is 25.
        srgb: convert images that name other colours (an ICC profile, PNG's gamma or chromaticities) to sRGB; else
            their numbers are as stored, which is right where images are made from them that name the same colours.
        excerpt: the part of the video that is read, as if the video had no other frames; time stamps are those of the
            whole. Frames before it are skipped by the index of MP4 and Matroska where that is sure to give the same
            frames, and are decoded otherwise. Of images only its number of frames counts.
        deinterlace: make one picture of the two fields of each frame that says it is interlaced, by FFmpeg's `bwdif`;
            others stay as they are. Film that was telecined is not put together again.

    Raises:
        ValueError: `path` does not exist, is not a video, has no frames, is cut off, or its images differ in size;
            `fps` is not positive, or the video states another; no frame begins within `excerpt`, or it has times and
            `path` is of images. Faults that only decoding shows are raised while iterating. Every message names the
            file.
    """

    width: int
    """Width of every frame in pixels."""
    height: int
    """Height of every frame in pixels."""
    fps: Fraction
    """Frames per second on average, as container or codec state it."""
    num_frames: int | None
    """Number of frames, or None where the container does not declare it."""
    names: list[str] | None
    """File names of the images, None for a video file."""
    properties: VideoProperties
    """All there is to know about the video."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        fps: Fraction | int | None = None,
        srgb: bool = False,
        excerpt: Excerpt = WHOLE,
        deinterlace: bool = False,
    ) -> None:
        check_local(path)
        self.path = Path(path)
        self.excerpt, self.deinterlace = excerpt, deinterlace
        self._running: list[Generator[object, None, None]] = []
        if fps is not None and fps <= 0:
            raise ValueError(f"`fps` must be positive, but was {fps}.")
        rate = None if fps is None else Fraction(fps)
        if not self.path.exists():
            raise ValueError(f"{self.path}: there is no such file or folder.")
        self.names = None
        self._source: ImageSequence | VideoFile
        if self.path.is_dir() or is_image(self.path):
            given = [f"`{name}`" for name in ("start", "duration") if getattr(excerpt, name)]
            if given:
                raise ValueError(
                    f"{self.path}: {' and '.join(given)} {'is' if len(given) == 1 else 'are'} for videos, but this is "
                    "of images, which have no times; `frames` takes the first ones."
                )
            if deinterlace:
                raise ValueError(f"{self.path}: `deinterlace` is for videos, but this is of images.")
            is_folder = self.path.is_dir()
            self.names = (list_images(self.path) if is_folder else [self.path.name])[: excerpt.frames]
            files = [self.path / name for name in self.names] if is_folder else [self.path]
            self._source = ImageSequence(self.path, files, rate, srgb)
        else:
            self._source = VideoFile(self.path, rate, excerpt, deinterlace)
        self.properties = self._source.properties
        self.num_frames = self.properties.num_frames
        self.width, self.height, self.fps = self.properties.width, self.properties.height, self.properties.fps

    @property
    def notes(self) -> list[str]:
        """Sentences for a user about what was found in a video file, once all its frames were read."""
        return self._source.notes if isinstance(self._source, VideoFile) else []

    def count(self) -> int:
        """Number of frames; read once where it is not known, without decoding where possible."""
        if self.num_frames is not None:
            return self.num_frames
        if self.excerpt.is_whole or not isinstance(self._source, VideoFile):
            return count_frames(self.path)
        return self._source.count()

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
        return [(pts, duration) for _, pts, duration in self._run(self._source.timed())]

    def close(self) -> None:
        """Ends every iteration that is still running and closes its file."""
        while self._running:
            self._running.pop().close()

    def _run(self, frames: Generator) -> Generator:
        self._running.append(frames)
        return frames

    def _frames(self, start: int) -> Generator[Frame, None, None]:
        index = -1
        for index, (stored, pts, duration) in enumerate(self._source.timed()):
            if index >= start:
                rgb, alpha = self._source.pixels(stored)  # type: ignore[arg-type]  # it is of that source
                if not self.properties.has_alpha:
                    alpha = None
                elif alpha is None:
                    alpha = np.ones(rgb.shape[:2], np.float32)
                yield Frame(rgb, alpha, pts, duration)
        if index < start:
            raise ValueError(f"{self.path}: `start` must be below the number of frames, {index + 1}, but was {start}.")


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
