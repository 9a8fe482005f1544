# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Writes 8-bit frames to a video file or to a folder of images; what is not whole is never seen under its final name.

For time stamps, more than 8 bits, alpha and everything else a source may have, see `encode` and `assemble`.
"""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import numpy as np
from PIL import Image

from seeclear.files import Draft
from seeclear.video.assemble import assemble_from_zero
from seeclear.video.codecs import VIDEO_SUFFIXES, EncodeSettings, output_properties
from seeclear.video.encode import PartEncoder
from seeclear.video.images import png_names
from seeclear.video.planning import plan_streams
from seeclear.video.properties import VideoProperties

logger = logging.getLogger(__name__)

W = TypeVar("W", bound="FrameWriter")


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
            self._publish()
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Deletes what was written. Nothing happens after `close`."""
        self.closed = True
        self._release()
        self._draft.discard()

    def _publish(self) -> None:
        """Gives what `_finish` finished its final name."""
        self._draft.publish()

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

    The colour matrix is the one players expect at this size, and is named in the file. The sound of `source`, and what
    else it has, is copied packet by packet, as it is.

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
        if path.suffix.lower() not in VIDEO_SUFFIXES:
            raise ValueError(f"{path}: the ending of a video must be one of {', '.join(VIDEO_SUFFIXES)}.")
        self.fps = Fraction(fps)
        if self.fps <= 0:
            raise ValueError(f"`fps` must be positive, but was {fps}.")
        self._source = None if source is None or Path(source).is_dir() else Path(source)
        self._encoder: PartEncoder | None = None
        if self._source is not None:
            plan = plan_streams(self._source, path)
            if plan.refused:
                raise ValueError(plan.refused[0])
            for note in plan.notes:
                logger.warning(note)
        super().__init__(Draft(path))

    def _write(self, frame: np.ndarray) -> None:
        if self._encoder is None:
            self._encoder = PartEncoder(self._draft.path, self._properties(*frame.shape[:2]), EncodeSettings())
        self._encoder.write(frame.astype(np.float32) / 255)

    def _finish(self) -> None:
        assert self._encoder is not None  # there is a frame
        self._encoder.close()
        properties = self._encoder.properties
        final, part = self._draft.final, self._draft.path
        for note in assemble_from_zero(part, self.frames_written, final, self._source, properties):
            logger.warning(note)

    def _publish(self) -> None:
        self._draft.discard()  # that was the part

    def _release(self) -> None:
        if self._encoder is not None:
            self._encoder.abort()

    def _properties(self, height: int, width: int) -> VideoProperties:
        source = VideoProperties(
            path=self._source,
            kind="folder",
            codec="images",
            width=width,
            height=height,
            pix_fmt="rgb24",
            bit_depth=8,
            has_alpha=False,
            is_grey=False,
            time_base=1 / self.fps,
            fps=self.fps,
        )
        return output_properties(source, self._draft.final, (height, width))


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
        self._names = None if names is None else png_names(list(names))
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
