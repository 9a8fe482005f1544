# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Reading and writing videos; knows nothing of models."""

from seeclear.video.assemble import assemble
from seeclear.video.codecs import EncodeSettings, output_properties
from seeclear.video.encode import PartEncoder, encode_part
from seeclear.video.excerpt import Excerpt
from seeclear.video.inputs import VideoInput, read_input
from seeclear.video.properties import Frame, VideoProperties
from seeclear.video.reader import VideoReader
from seeclear.video.streams import check_output
from seeclear.video.writer import FrameFolderWriter, FrameWriter, VideoWriter, open_writer

__all__ = [
    "EncodeSettings",
    "Excerpt",
    "Frame",
    "FrameFolderWriter",
    "FrameWriter",
    "PartEncoder",
    "VideoInput",
    "VideoProperties",
    "VideoReader",
    "VideoWriter",
    "assemble",
    "check_output",
    "encode_part",
    "open_writer",
    "output_properties",
    "read_input",
]
