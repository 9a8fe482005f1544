# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from fractions import Fraction

import pytest

from seeclear.video.timestamps import (
    Stamps,
    clock_of,
    close_first_gap,
    frame_rate,
    half_frames,
    one_after_the_other,
    places,
    sorted_times,
    until_next,
)

NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("average", "base", "ticks", "expected"),
    [
        (Fraction(25), Fraction(25), 12800, 25),
        (Fraction(25), Fraction(25), 25, 25),
        (Fraction(45), Fraction(60), 90000, 45),  # variable
        (Fraction(45), Fraction(30), 90000, 45),  # the first frames, from which the base comes, were slower
        (Fraction(15), Fraction(1), 90000, 15),
        (Fraction(60000), Fraction(25), 60000, 25),  # ticks of the clock: DV
        (Fraction(50), Fraction(25), 50, 25),  # fields: GXF
        (None, Fraction(50), 1000, 50),
        (Fraction(24), None, 1000, 24),
        (None, None, 1000, None),
        (Fraction(983, 41), Fraction(24000, 1001), 1000, Fraction(24000, 1001)),  # from milliseconds
        (Fraction(125, 2), Fraction(60000, 1001), 1000, Fraction(60000, 1001)),  # from 16 milliseconds, not 16.7
        (Fraction(1000, 33), Fraction(30), 1000, 30),
        (Fraction(2997, 101), Fraction(30), 90000, Fraction(2997, 101)),  # variable
        (Fraction(24), Fraction(24000, 1001), 1000, 24),
        (Fraction(19001, 317), Fraction(19001, 317), 1000, Fraction(60000, 1001)),  # from nanoseconds
        (Fraction(1000, 33), Fraction(1000, 33), 1000, Fraction(1000, 33)),
    ],
)
def test_rate(average: Fraction | None, base: Fraction | None, ticks: int, expected: Fraction | None) -> None:
    assert frame_rate(average, base, Fraction(ticks)) == expected


@pytest.mark.parametrize(
    ("stamps", "reorders", "expected"),
    [
        ([(None, None), (None, None)], True, "none"),
        ([(None, 0), (None, 1), (None, 2)], True, "decoded"),  # AVI
        ([(None, 0), (None, 1), (None, 2)], False, "decoded"),
        ([(0, 0), (1, 1), (2, 2)], True, "decoded"),  # cannot be, as frames are shown in another order
        ([(0, 0), (1, 1), (2, 2)], False, "shown"),
        ([(0, None), (3, None), (1, None), (2, None)], True, "shown"),  # Matroska
        ([(2, 0), (5, 1), (3, 2), (4, 3)], True, "shown"),
        ([(2, 0), (None, None), (None, None)], True, "shown"),  # MPEG-PS: one for several
        ([(None, 0), (None, 3), (None, 1)], True, "shown"),  # times of showing by another name
    ],
)
def test_clock(stamps: list[tuple[int | None, int | None]], reorders: bool, expected: str) -> None:
    assert clock_of([Stamps(*pair) for pair in stamps], reorders) == expected


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([0, 1, 2, 3], [0, 1, 2, 3]),
        ([0, 2, 3, 1, 5, 6, 4], [0, 1, 2, 3, 4, 5, 6]),  # I P B B P B B
        ([0, 3, 2, 4, 1], [0, 1, 2, 3, 4]),  # a pyramid
        ([0, 3, 4], [0, 3, 4]),  # two packets without a frame
        ([0, 4, 5, 3], [0, 3, 4, 5]),  # the leading pictures 1 and 2 cannot be decoded
        ([], []),
    ],
)
def test_places(numbers: list[int], expected: list[int]) -> None:
    assert list(places((f"frame {number}", number) for number in numbers)) == [
        (f"frame {number}", place) for number, place in zip(numbers, expected, strict=True)
    ]


def test_places_are_given_as_soon_as_they_are_known() -> None:
    seen = []

    def numbers() -> object:
        for number in (0, 1, 4, 2, 3, 9, 10, 11, 12):
            seen.append(number)
            yield number, number

    given = places(numbers(), depth=2)  # type: ignore[arg-type]
    assert [(next(given)[1], len(seen)) for _ in range(5)] == [(0, 1), (1, 2), (2, 4), (3, 5), (4, 5)]
    assert [(next(given)[1], len(seen)) for _ in range(2)] == [(9, 8), (10, 8)]  # 5 to 8 have not come


def test_sorted_times() -> None:
    """Two frames in a packet, the second one shown before: DivX in Matroska."""
    frames = [("I", 120), ("B", 160), ("B", 240), ("P", 200), ("B", 280), ("B", 360), ("P", 320)]
    assert list(sorted_times(frames, depth=2)) == list(
        zip("IBBPBBP", [120, 160, 200, 240, 280, 320, 360], strict=True)
    )


@pytest.mark.parametrize(
    ("times", "lost", "expected"),
    [
        ([0, 1, 2], 0, [0, 1, 2]),
        ([0, 3, 4], 0, [2, 3, 4]),  # the delay of an encoder
        ([0, 4, 5], 0, [3, 4, 5]),
        ([0, 5, 6], 0, [0, 5, 6]),  # a pause
        ([0, 5, 6], 2, [4, 5, 6]),  # two leading pictures were lost
        ([7], 0, [7]),
        ([None, 5], 0, [None, 5]),
        ([], 0, []),
    ],
)
def test_first_gap(times: list[int | None], lost: int, expected: list[int | None]) -> None:
    assert [time for _, time in close_first_gap(((None, time) for time in times), 1, lost)] == expected


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0, 7, 9], [(0, 7), (7, 2), (9, 5)]),
        ([3, None, 20], [(3, 4), (7, 13), (20, 5)]),  # a missing one is the end of the frame before
        ([None, 4], [(0, 4), (4, 5)]),
        ([0, 4, 4, 2, 9], [(0, 4), (4, 1), (5, 1), (6, 3), (9, 5)]),
        ([], []),
    ],
)
def test_until_next(times: list[int | None], expected: list[tuple[int, int]]) -> None:
    timed = until_next(((index, time) for index, time in enumerate(times)), 4, lambda index: 5)
    assert list(timed) == [(index, *pair) for index, pair in enumerate(expected)]


def test_durations_of_raw_streams() -> None:
    """Telecined film: fields last 2 3 2 3 for four frames that fill five, at 30000/1001."""
    base = Fraction(1, 1200000)
    lengths = [half_frames(duration, base, NTSC) for duration in (40040, 60060, 40040, 60060)]
    assert lengths == [2, 3, 2, 3]
    timed = list(one_after_the_other(zip("abcd", lengths, strict=True)))
    assert timed == [("a", 0, 2), ("b", 2, 3), ("c", 5, 2), ("d", 7, 3)]
    assert sum(lengths) / 2 == 5
    assert half_frames(None, base, NTSC) == half_frames(0, base, NTSC) == half_frames(20020, base, NTSC) == 2
