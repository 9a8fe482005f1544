# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Interlaced video: whether it is, and one picture of each frame's two fields.

The rows of an interlaced frame are of two moments in turn, and what moves has combs for edges. FFmpeg's filter `bwdif`
(Bob Weaver deinterlacing) keeps the rows of the first moment, and works out the others from rows above and below and
from the frames before and after.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from fractions import Fraction
from typing import cast

import av
from av import VideoFrame
from av.filter import Graph
from av.video.stream import VideoStream

_SMALLEST = (4, 3)
"""Rows and columns that the filter needs."""

_STORED_IN_PASSES = {"png", "apng"}
"""FFmpeg calls these interlaced where pixels are stored in another order, though they are of one moment."""

_PROGRESSIVE = 1
"""FFmpeg's number of that order of fields; 0 is unknown, and higher ones say which field comes first."""


def has_fields(stream: VideoStream) -> bool:
    """Whether "interlaced" means fields of two moments in the codec of a stream."""
    return stream.codec_context.codec.canonical_name not in _STORED_IN_PASSES


def is_interlaced(stream: VideoStream, frame: VideoFrame) -> bool:
    """Whether a stream, or a frame of it, says that it is interlaced."""
    order = getattr(stream.codec_context, "field_order", 0)  # PyAV has it from 18 on
    return (order > _PROGRESSIVE or bool(frame.interlaced_frame)) and has_fields(stream)


def deinterlaced(
    frames: Iterable[tuple[VideoFrame, int | None]],
) -> Generator[tuple[VideoFrame, int | None], None, None]:
    """As many frames, each with the number it came with: those that say they are interlaced as one picture each.

    Others are given as they are, and so is the only frame of a video, which has no neighbors. A frame is given when
    the next one has come.

    Raises:
        ValueError: frames are too small.
        av.FFmpegError: the filter refuses a frame.
    """
    waiting: deque[tuple[VideoFrame, int | None]] = deque()
    graph: Graph | None = None
    form: tuple[str, int, int] | None = None
    for frame, number in frames:
        seen = (frame.format.name, frame.height, frame.width)
        if graph is not None and seen != form:
            yield from _given(graph, None, waiting)
            graph = None
        if graph is None:
            graph, form = _new_graph(frame), seen
        waiting.append((frame, number))
        yield from _given(graph, frame, waiting)
    if graph is not None:
        yield from _given(graph, None, waiting)


def _given(
    graph: Graph, frame: VideoFrame | None, waiting: deque[tuple[VideoFrame, int | None]]
) -> Generator[tuple[VideoFrame, int | None], None, None]:
    """What the filter gives for one more frame, or at the end for None: one frame for each that waits, in order."""
    graph.push(frame)
    while waiting:
        try:
            picture = cast(VideoFrame, graph.pull())
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        original, number = waiting.popleft()
        if not original.interlaced_frame:
            yield original, number
            continue
        picture.pts, picture.time_base, picture.duration = original.pts, original.time_base, original.duration
        yield picture, number


def _new_graph(frame: VideoFrame) -> Graph:
    if frame.height < _SMALLEST[0] or frame.width < _SMALLEST[1]:
        raise ValueError(
            f"`deinterlace` needs frames of at least {_SMALLEST[1]}x{_SMALLEST[0]}, but they are "
            f"{frame.width}x{frame.height}."
        )
    graph = Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000))
    weaver = graph.add("bwdif", mode="send_frame", parity="auto", deint="interlaced")
    form = graph.add("format", pix_fmts=frame.format.name)
    graph.link_nodes(source, weaver, form, graph.add("buffersink")).configure()
    return graph
