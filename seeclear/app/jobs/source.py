# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The LR frames of one scene after the other, decoding the video once."""

from __future__ import annotations

from collections.abc import Iterator

from seeclear.video.properties import Frame
from seeclear.video.reader import VideoReader


class FrameSource:
    """Gives frames from any place on; going forwards, the decoding goes on where it is.

    Args:
        reader: of the video.
    """

    def __init__(self, reader: VideoReader) -> None:
        self._reader = reader
        self._frames: Iterator[Frame] = iter(())
        self._next: int | None = None  # index of the next frame of `_frames`; None: there is no such iteration

    def frames(self, start: int, stop: int) -> Iterator[tuple[int, Frame]]:
        """(index, frame) from `start` to `stop` - 1; fewer where the video ends before.

        One such iteration ends before the next one begins.
        """
        if self._next is None or self._next > start:
            self._frames, self._next = self._reader.frames(start), start
        while self._next < stop:
            frame = next(self._frames, None)
            if frame is None:
                self._next = None
                return
            self._next += 1
            if self._next > start:
                yield self._next - 1, frame
