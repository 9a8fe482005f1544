# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""One clock that goes on, for files whose own clock steps back or jumps ahead.

Files that were put together from several (DVD, broadcast and Flash video), recordings over midnight and counters of 33
bits that overflow begin a new count in the middle. The packets between two such places are an epoch. All streams of an
epoch are moved by one offset, so that sound and pictures stay together, and as little as is needed for no stream to
begin before its last packet of the epoch before has ended.

Streams enter an epoch one after the other: a demuxer that has to see the next packet before it gives out the last one
mixes both epochs for some packets. So packets are held back there, until all streams have entered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

SECOND = 10**9
"""All times are in nanoseconds, so that they are whole numbers."""

_STEP_BACK = SECOND // 10
"""Less than this is unevenness."""
_REORDERED = 17
"""At most 16 frames of H.264 and H.265 wait to be shown, so that of 17 the earliest is shown before any other."""
_REORDERED_KEYS = 5
"""Not so many frames wait where all of them are marked as key frames, as some programs do by mistake."""
_LEAP = 10 * SECOND
"""A gap of more, in all streams at once, is a jump where the format has a clock that may jump."""
_DAY = 24 * 3600 * SECOND
"""A gap of more is a jump in every format."""
_LONGEST_WAIT = 3 * SECOND
_MOST_WAITING = 4096
_FIRST_PACKETS = 16
"""Of an epoch, among which is the one that is shown first."""
_GOES_ON = SECOND
"""If the others go on for so long, a stream has stepped back alone."""


@dataclass(frozen=True)
class Stamp:
    """When a packet is shown, by the file's own clock."""

    track: int
    start: int | None
    """Nanoseconds; None where it is unknown."""
    duration: int
    """Nanoseconds; 0 where it is unknown."""
    is_key: bool = True
    """Whether nothing that is shown later stands before it in the file: true of sound and of key frames."""


@dataclass(frozen=True)
class Jump:
    """A place where the file's own clock jumps: it says `after` instead of `before`, nanoseconds, and we `time`."""

    time: int
    before: int
    after: int


@dataclass
class _Track:
    steady: bool
    frame: int
    epoch: int = 0
    newest: int | None = None
    """The latest start in the epoch."""
    recent: deque[int] = field(default_factory=lambda: deque(maxlen=_REORDERED))
    """The starts of its last packets in the epoch."""
    end: int = 0
    """The latest end in the epoch."""
    end_before: int | None = None
    """The same of the epoch before, moved by its offset."""


@dataclass
class _Epoch:
    offset: int | None
    """What is added to the file's own clock; None until it is decided."""
    opened: int
    """The first start that was seen."""
    front: int
    """The latest start of a steady track."""
    starts: dict[int, int] = field(default_factory=dict)
    """The earliest start of each track, among its first packets."""
    front_before: int = 0
    """The front of the epoch before, when this one was opened."""
    packets: int = 0


@dataclass
class _Waiting(Generic[T]):
    item: T
    track: int
    epoch: int


class Clock(Generic[T]):
    """Takes the packets of a file in order, and gives them back in order with the offset of each.

    Args:
        steady: tracks that have packets all the time: of pictures with the duration of a frame, of sound with 0.
        leaps: whether a gap in all tracks at once is a jump of the clock: 0 for never (but for one of a day), 1 for
            always, 2 where there are at least two steady tracks.
    """

    def __init__(self, steady: dict[int, int], leaps: int = 0) -> None:
        self.jumps: list[Jump] = []
        self._tracks = {track: _Track(True, frame) for track, frame in steady.items()}
        self._leaps = leaps
        self._epochs = [_Epoch(0, 0, 0)]
        self._queue: deque[_Waiting[T]] = deque()

    def put(self, item: T, stamp: Stamp) -> Iterator[tuple[T, int, int]]:
        """The next packet.

        Returns:
            (packet, nanoseconds to add to its times, number of its epoch) of those that are decided.
        """
        track = self._tracks.setdefault(stamp.track, _Track(False, 0))
        if stamp.start is not None:
            self._place(track, stamp, stamp.start)
        self._queue.append(_Waiting(item, stamp.track, track.epoch))
        self._decide()
        return self._decided()

    def finish(self) -> Iterator[tuple[T, int, int]]:
        """The packets that are left, at the end of the file."""
        if self._epochs[-1].offset is None:
            self._accept()
        return self._decided()

    def _decided(self) -> Iterator[tuple[T, int, int]]:
        while self._queue:
            offset = self._epochs[self._queue[0].epoch].offset
            if offset is None:
                return
            waiting = self._queue.popleft()
            yield waiting.item, offset, waiting.epoch

    # Which epoch

    def _place(self, track: _Track, stamp: Stamp, start: int) -> None:
        """Finds the epoch of a packet, opens it if there is none, and notes how far it has come."""
        last = len(self._epochs) - 1
        if not track.steady or track.newest is None:
            epoch = self._nearest(start, last)
        elif track.epoch < last:
            if self._steps_back(track, stamp, start):
                epoch = last
            elif abs(start - track.end) < _STEP_BACK:
                epoch = track.epoch
            else:
                epoch = self._nearest(start, last, track.epoch)
        elif self._steps_back(track, stamp, start) or self._leaps_ahead(track, start):
            epoch = self._open(start)
        else:
            epoch = last
        if epoch != track.epoch:
            offset = self._epochs[track.epoch].offset
            track.end_before = None if track.newest is None or offset is None else track.end + offset
            track.epoch, track.newest = epoch, None
            track.recent.clear()
        track.recent.append(start)
        end = start + (stamp.duration or track.frame)
        track.end = end if track.newest is None else max(track.end, end)
        track.newest = start if track.newest is None else max(track.newest, start)
        if track.steady:
            self._note(self._epochs[epoch], stamp.track, start)

    def _note(self, epoch: _Epoch, track: int, start: int) -> None:
        if not epoch.packets:
            epoch.opened = epoch.front = start
        epoch.packets += 1
        epoch.front = max(epoch.front, start)
        if epoch.offset is None:
            epoch.starts[track] = min(start, epoch.starts.get(track, start))

    def _nearest(self, start: int, last: int, before: int | None = None) -> int:
        """The last epoch or, if that is young, the one before: whichever is at that time now."""
        new = self._epochs[last]
        before = last - 1 if before is None else before
        if before < 0 or (new.offset is not None and new.front - new.opened > _LONGEST_WAIT):
            return last
        return before if abs(start - self._epochs[before].front) < abs(start - new.front) else last

    def _steps_back(self, track: _Track, stamp: Stamp, start: int) -> bool:
        """Whether a packet begins before one that is shown before it."""
        assert track.newest is not None
        if stamp.is_key:
            step = track.newest - start
            later = sum(other >= start for other in track.recent)
            return step > _LEAP or (step > _STEP_BACK and (not track.frame or later >= _REORDERED_KEYS))
        return len(track.recent) == _REORDERED and start < min(track.recent) - _STEP_BACK

    def _leaps_ahead(self, track: _Track, start: int) -> bool:
        gap = start - max(track.end, self._epochs[-1].front)
        seen = sum(other.steady and other.newest is not None for other in self._tracks.values())
        return gap > (_LEAP if 0 < self._leaps <= seen else _DAY)

    # Where an epoch begins

    def _open(self, start: int) -> int:
        before = self._epochs[-1]
        if before.offset is None:
            self._accept()
        self._epochs.append(_Epoch(None, start, start, front_before=before.front))
        return len(self._epochs) - 1

    def _decide(self) -> None:
        """Decides an epoch, when enough is known of it."""
        epoch = self._epochs[-1]
        if epoch.offset is not None:
            return
        last, before = len(self._epochs) - 1, self._epochs[-2]
        small = abs(epoch.opened - epoch.front_before) < _LEAP
        if small and before.front > epoch.front_before + _GOES_ON:
            self._reject()
            return
        behind = before.front - _LEAP
        missing = [
            track
            for track in self._tracks.values()
            if track.steady and track.newest is not None and track.epoch < last and track.end > behind
        ]
        waited = epoch.front - epoch.opened > _LONGEST_WAIT or len(self._queue) > _MOST_WAITING
        if waited or (not missing and epoch.packets >= _FIRST_PACKETS):
            self._accept()

    def _accept(self) -> None:
        """The offset by which every stream that has entered begins at its end in the epoch before, or later."""
        epoch = self._epochs[-1]
        ends = {number: track.end_before for number, track in self._tracks.items()}
        epoch.offset = max(end - start for number, start in epoch.starts.items() if (end := ends[number]) is not None)
        time = epoch.offset + min(epoch.starts.values())
        self.jumps.append(Jump(time, epoch.front_before, epoch.opened))

    def _reject(self) -> None:
        """A stream has stepped back alone: its packets stay in the epoch before, with the times that they have."""
        last = len(self._epochs) - 1
        self._epochs.pop()
        for waiting in self._queue:
            waiting.epoch = min(waiting.epoch, last - 1)
        for track in self._tracks.values():
            track.epoch = min(track.epoch, last - 1)
