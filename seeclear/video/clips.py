# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""A video cut into clips of equal length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def iter_clips(frames: Iterable[T], clip_length: int) -> Iterator[tuple[list[T], int]]:
    """Cuts a video into clips that follow each other without overlap.

    Args:
        frames: the frames in order; they are taken one by one, and at most two clips are held at a time.
        clip_length: frames in a clip, at least 1.

    Yields:
        (frames of the clip, how many of its last frames are new). All frames of a clip are new, except in the last
        one: where the video's length is no multiple of `clip_length`, it begins with frames of the clip before, so
        that it is of full length too. A video shorter than `clip_length` is one shorter clip; an empty one gives no
        clip.

    Raises:
        ValueError: `clip_length` is below 1 (when the first clip is asked for).
    """
    if clip_length < 1:
        raise ValueError(f"`clip_length` must be at least 1 frame, but was {clip_length}.")
    previous: list[T] = []
    clip: list[T] = []
    for frame in frames:
        clip.append(frame)
        if len(clip) == clip_length:
            yield list(clip), clip_length
            previous, clip = clip, []
    if clip:
        yield previous[len(clip) :] + clip, len(clip)
