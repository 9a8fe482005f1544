# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""From what a container says of its packets to the times at which frames are shown: plain functions on numbers.

Three kinds of containers are met. Most say when a packet's frame is shown. Some, such as AVI, only count packets in
the order in which they are decoded. Raw streams say nothing, so that frames last as long as the codec's header says.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias, TypeVar

T = TypeVar("T")

Clock: TypeAlias = Literal["shown", "swapped", "decoded", "none"]
"""What the time stamps of packets stand for: when their frames are shown; the same, but for those of neighbours, which
are swapped where MPEG-4 packs two frames into a packet; the order of decoding; or there are none."""

REORDERED = 17
"""A frame is shown after at most so many that are decoded after it: 16 is the most that H.264 and H.265 hold back."""

_DELAY = 3
"""So many places an encoder may leave empty after the first frame, until it gives the frames that it holds back."""

_NANOSECONDS = Fraction(1, 10**6)
"""Relative error of rates up to 1000 worked out from a step in nanoseconds."""


@dataclass(frozen=True)
class Stamps:
    """What a container says of a packet, in units of the stream's time base; None where it says nothing."""

    pts: int | None
    """When its frame is shown."""
    dts: int | None
    """When it is decoded."""


def frame_rate(average: Fraction | None, base: Fraction | None, ticks: Fraction) -> Fraction | None:
    """Frames per second of a stream whose container has time stamps; None if nothing is known.

    Args:
        average: frames over duration, from a header or from the first time stamps, which are rounded to `ticks`.
        base: the least rate at whose ticks all of the first frames begin.
        ticks: units of the clock per second, which are taken for frames where nothing else is known (DV, GXF).
    """
    rate = average or base
    if average is not None and base is not None:
        is_clock = average == ticks and average >= 2 * base
        is_rounded = not _is_common(average) and abs(1 / average - 1 / base) <= 1 / ticks
        rate = base if is_clock or is_rounded else average
    if rate is None:
        return None
    television = Fraction(round(rate * Fraction(1001, 1000)) * 1000, 1001)  # Matroska rounds to nanoseconds
    return television if abs(rate / television - 1) < _NANOSECONDS else rate


def _is_common(rate: Fraction) -> bool:
    """Whether a rate is a whole number, or that of television by 1000/1001."""
    return 1 in (rate.denominator, (rate * Fraction(1001, 1000)).denominator)


def clock_of(stamps: Sequence[Stamps], reorders: bool) -> Clock:
    """What time stamps stand for, from those of the first packets in the order of decoding, none filled in.

    Args:
        stamps: of at least one packet.
        reorders: whether the codec shows frames in another order than it decodes them in.
    """
    if all(item.pts is None and item.dts is None for item in stamps):
        return "none"
    dts = [item.dts for item in stamps if item.dts is not None]
    ascending = len(dts) == len(stamps) and all(a < b for a, b in zip(dts, dts[1:], strict=False))
    if ascending and (
        all(item.pts is None for item in stamps) or (reorders and all(item.pts == item.dts for item in stamps))
    ):
        return "decoded"
    return "shown"


def places(frames: Iterable[tuple[T, int]], depth: int = REORDERED) -> Iterator[tuple[T, int]]:
    """Where packets are only counted: the n-th frame shown has the place of the n-th packet that gives a frame.

    Frames 0 2 3 1 (by the number of their packet) get the places 0 1 2 3. A packet without a frame (a "not coded" one
    of MPEG-4) keeps its place empty: 0 4 3 becomes 0 3 4.

    Args:
        frames: each with the number of its packet, in the order in which they are shown.
        depth: a packet whose frame has not come after so many others has none.
    """
    held: deque[T] = deque()
    numbers: list[int] = []  # a heap
    following = 0
    for frame, number in frames:
        held.append(frame)
        heapq.heappush(numbers, number)
        while held and (numbers[0] <= following or len(held) > depth):
            following = numbers[0] + 1
            yield held.popleft(), heapq.heappop(numbers)
    while held:
        yield held.popleft(), heapq.heappop(numbers)


def sorted_times(frames: Iterable[tuple[T, int | None]], depth: int = REORDERED) -> Iterator[tuple[T, int | None]]:
    """Where frames have each other's times: the n-th frame shown has the n-th time.

    Args:
        frames: each with its time, in the order in which they are shown.
        depth: so many frames a time may be away from its frame.
    """
    held: deque[T] = deque()
    times: list[int] = []  # a heap
    for frame, time in frames:
        if time is None:
            yield frame, None
            continue
        held.append(frame)
        heapq.heappush(times, time)
        if len(held) > depth:
            yield held.popleft(), heapq.heappop(times)
    while held:
        yield held.popleft(), heapq.heappop(times)


def close_first_gap(
    frames: Iterable[tuple[T, int | None]], step: int, lost: int = 0
) -> Iterator[tuple[T, int | None]]:
    """Moves the first frame up to the second one where what lies between is the delay of an encoder, and no pause.

    Args:
        frames: each with its time, of a codec that reorders frames.
        step: how long a frame is shown.
        lost: packets after the first one that cannot be decoded.
    """
    stream = iter(frames)
    opening = [item for _, item in zip(range(2), stream, strict=False)]
    if len(opening) == 2:
        (frame, first), (_, second) = opening
        if first is not None and second is not None and step < second - first <= (1 + _DELAY + lost) * step:
            opening[0] = (frame, second - step)
    yield from opening
    yield from stream


def until_next(
    frames: Iterable[tuple[T, int | None]], step: int, last: Callable[[T], int]
) -> Iterator[tuple[T, int, int]]:
    """(frame, time, duration): each frame lasts until the next one begins.

    A missing time is the end of the frame before. One that is not later than the one before it is moved to the next
    unit of time, as a container needs them in order.

    Args:
        frames: each with its time.
        step: how long a frame is shown where that is not known.
        last: how long a frame is shown that is the last one.
    """
    previous: tuple[T, int] | None = None
    for frame, time in frames:
        if previous is None:
            start = 0 if time is None else time
        else:
            before = previous[1]
            start = before + step if time is None else max(time, before + 1)
            yield previous[0], before, start - before
        previous = (frame, start)
    if previous is not None:
        yield *previous, last(previous[0])


def one_after_the_other(frames: Iterable[tuple[T, int]]) -> Iterator[tuple[T, int, int]]:
    """(frame, time, duration) of frames that come with their durations: the first one begins at 0."""
    time = 0
    for frame, duration in frames:
        yield frame, time, duration
        time += duration


def half_frames(duration: int | None, time_base: Fraction, rate: Fraction) -> int:
    """How many halves of a frame at `rate` a frame lasts, at least two: the fields of telecined film last three.

    Args:
        duration: in units of `time_base`; None or 0 where it is not known.
        time_base: seconds.
        rate: frames per second.
    """
    return max(2, round((duration or 0) * time_base * 2 * rate))
