# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The part of a video that is asked for."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from seeclear.values import as_written, is_number, shown, whole_number
from seeclear.wording import counted

Time: TypeAlias = str | float | Fraction
"""Seconds as a number, or text: "90", "1:30", "01:02:03.5"."""

_TIME = re.compile(r"(?:(?:([0-9]+):)?([0-9]+):)?([0-9]+(?:\.[0-9]+)?)", re.ASCII)
_SECONDS = 60


@dataclass(frozen=True)
class Excerpt:
    """The part of a video that is asked for; the default is all of it.

    Times are those of the output if it had all of the video: seconds from the beginning, and of a file that begins
    late for no reason (`seeclear.video.demuxing.arbitrary_start`) from there.

    Attributes:
        start: seconds; frames that begin earlier are left out. 0 leaves out none.
        duration: seconds; frames that begin at `start + duration` or later are left out. None leaves out none.
        frames: at most so many frames; None is all.
    """

    start: Fraction = Fraction(0)
    duration: Fraction | None = None
    frames: int | None = None

    @classmethod
    def parse(cls, start: Time | None = None, duration: Time | None = None, frames: int | None = None) -> Excerpt:
        """The part that is named by times as they are typed.

        Raises:
            ValueError: a time has another form or is negative, `duration` is 0, `frames` is no whole number of at
                least 1, or both of these are given.
        """
        if duration is not None and frames is not None:
            raise ValueError(f"give `duration` or `frames`, not both: they were {duration} and {frames}.")
        count = None if frames is None else whole_number("frames", frames, 1)
        length = None if duration is None else parse_time("duration", duration)
        if length == 0:
            raise ValueError(f"`duration` must be above 0, but was {duration}.")
        return cls(Fraction(0) if start is None else parse_time("start", start), length, count)

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the video."""
        return self == Excerpt()

    def bounds(self, base: Fraction, zero: Fraction) -> tuple[int | None, int | None]:
        """(the first time stamp, the first one after the end) in units of `base` seconds; None where nothing is cut.

        Args:
            base: seconds of a unit.
            zero: what the file's clock says at time 0, in seconds.
        """
        first = math.ceil((self.start + zero) / base) if self.start else None
        return first, None if self.duration is None else math.ceil((self.start + self.duration + zero) / base)

    def describe(self) -> str:
        """Such as "from 90 s, 10 s"."""
        words = [f"from {format_time(self.start)}"]
        if self.duration is not None:
            words.append(format_time(self.duration))
        if self.frames is not None:
            words.append(f"{counted(self.frames, 'frame')} at most")
        return ", ".join(words)


WHOLE = Excerpt()
"""All of a video."""


@dataclass(frozen=True)
class Cut:
    """Between which times of a source's clock its streams go along.

    Attributes:
        start: seconds, the time of the first frame; None leaves out nothing before.
        stop: seconds; None leaves out nothing after.
    """

    start: Fraction | None
    stop: Fraction | None

    @classmethod
    def around(cls, excerpt: Excerpt, begin: Fraction, end: Fraction, zero: Fraction) -> Cut:
        """For an excerpt whose first frame begins at `begin` and whose last one ends at `end`, in seconds.

        Args:
            excerpt: what was asked for.
            begin, end: by the clock of the source.
            zero: what that clock says at time 0, in seconds.
        """
        stop = None if excerpt.frames is None else end
        if excerpt.duration is not None:
            stop = max(end, excerpt.start + excerpt.duration + zero)
        return cls(begin if excerpt.start else None, stop)

    def of(self, time: Fraction, duration: Fraction) -> tuple[Fraction, Fraction] | None:
        """(time, duration) in seconds of what is left of something that is shown; None where that is nothing."""
        start = time if self.start is None else max(time, self.start)
        end = time + duration if self.stop is None else min(time + duration, self.stop)
        is_within = (self.start is None or time >= self.start) and (self.stop is None or time < self.stop)
        return (start, max(Fraction(0), end - start)) if is_within or end > start else None


def parse_time(name: str, time: Time) -> Fraction:
    """Seconds, exactly as they are written.

    Args:
        name: of the argument, for the message.
        time: seconds, or [HH:]MM:SS[.fff].

    Raises:
        ValueError: another form, negative, or not finite.
    """
    match = _TIME.fullmatch(time.strip() if isinstance(time, str) else "")
    if match is not None:
        hours, minutes, seconds = int(match[1] or 0), int(match[2] or 0), Fraction(match[3])
        if (match[1] is None or minutes < _SECONDS) and (match[2] is None or seconds < _SECONDS):
            return (_SECONDS * hours + minutes) * _SECONDS + seconds
    elif is_number(time) and 0 <= time < math.inf:
        return as_written(time)
    raise ValueError(f"`{name}` must be seconds or [HH:]MM:SS, such as 90 or 1:30.5, but was {shown(time)}.")


def format_time(seconds: Fraction) -> str:
    """Such as "12.5 s", to the nanosecond."""
    whole, rest = divmod(round(seconds * 10**9), 10**9)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".") + " s"
