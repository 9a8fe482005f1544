# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Reading and writing videos; knows nothing of models."""

from seeclear.video.clips import iter_clips
from seeclear.video.inputs import VideoInput, read_input
from seeclear.video.reader import VideoReader
from seeclear.video.writer import FrameFolderWriter, FrameWriter, VideoWriter, open_writer

__all__ = [
    "FrameFolderWriter",
    "FrameWriter",
    "VideoInput",
    "VideoReader",
    "VideoWriter",
    "iter_clips",
    "open_writer",
    "read_input",
]
