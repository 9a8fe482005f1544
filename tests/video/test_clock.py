# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Clocks that jump, worked by hand: packets are (track, milliseconds, whether a key frame), pictures 0 and sound 1."""

from seeclear.video.clock import SECOND, Clock, Jump, Stamp

MS = SECOND // 1000
FRAME = 40 * MS
BLOCK = 20 * MS

Packet = tuple[int, int, bool]


def pictures(start: int, count: int, key_every: int = 12) -> list[Packet]:
    return [(0, start + 40 * index, index % key_every == 0) for index in range(count)]


def sound(start: int, count: int) -> list[Packet]:
    return [(1, start + 20 * index, True) for index in range(count)]


def interleaved(start: int, frames: int, blocks: int | None = None) -> list[Packet]:
    """Pictures and sound, in the order of their times."""
    packets = pictures(start, frames) + sound(start, 2 * frames if blocks is None else blocks)
    return sorted(packets, key=lambda packet: (packet[1], packet[0]))


def run(packets: list[Packet], leaps: int = 1, with_sound: bool = True) -> tuple[list[tuple[int, int]], list[Jump]]:
    """(track, milliseconds on the steady clock) of every packet, and the jumps."""
    clock: Clock[Packet] = Clock({0: FRAME, 1: 0} if with_sound else {0: FRAME}, leaps)
    found = []
    for packet in packets:
        track, time, is_key = packet
        stamp = Stamp(track, time * MS, {0: FRAME, 1: BLOCK}.get(track, 0), is_key)
        found += list(clock.put(packet, stamp))
    found += list(clock.finish())
    assert [item for item, _, _ in found] == packets  # in order, nothing lost
    return [(item[0], item[1] + offset // MS) for item, offset, _ in found], clock.jumps


def times(found: list[tuple[int, int]], track: int) -> list[int]:
    return [time for number, time in found if number == track]


def test_a_clock_that_goes_on_is_left_alone() -> None:
    packets = interleaved(500, 100)
    found, jumps = run(packets)
    assert found == [(track, time) for track, time, _ in packets] and jumps == []


def test_a_step_back_of_pictures_alone() -> None:
    """Twelve frames twice: the second twelve go on where the first have ended."""
    found, jumps = run(pictures(540, 12) * 2, with_sound=False)
    assert times(found, 0) == [540 + 40 * index for index in range(24)]
    assert jumps == [Jump(1020 * MS, 980 * MS, 540 * MS)]


def test_times_before_zero() -> None:
    """FFmpeg counts up to the overflow of a clock from below 0."""
    found, _ = run(interleaved(-700, 12) + interleaved(20_000, 12))
    assert times(found, 0) == [-700 + 40 * index for index in range(24)]


def test_a_step_back_of_pictures_and_sound() -> None:
    found, jumps = run(interleaved(500, 12) * 3)
    assert times(found, 0) == [500 + 40 * index for index in range(36)]
    assert times(found, 1) == [500 + 20 * index for index in range(72)]
    assert [jump.time // MS for jump in jumps] == [980, 1460]


def test_streams_that_enter_one_after_the_other() -> None:
    """A demuxer gives the last packet of a stream when its next begins: old and new packets of the streams mix."""
    first, second = interleaved(500, 12), interleaved(500, 12)
    late = [packet for packet in first if packet[0] == 1][-4:]
    packets = [packet for packet in first if packet not in late] + pictures(500, 7) + late
    packets += [packet for packet in second if packet not in pictures(500, 7)]
    found, jumps = run(packets)
    assert times(found, 0) == [500 + 40 * index for index in range(24)]
    assert times(found, 1) == [500 + 20 * index for index in range(48)]
    assert len(jumps) == 1


def test_all_streams_move_by_as_much_as_the_longest_needs() -> None:
    """60 ms more of sound: the pictures wait for it, and both stay together."""
    found, _ = run(interleaved(0, 12, blocks=27) + interleaved(0, 12))
    assert times(found, 0) == [40 * index for index in range(12)] + [540 + 40 * index for index in range(12)]
    assert times(found, 1) == [20 * index for index in range(27)] + [540 + 20 * index for index in range(24)]


def test_sound_that_ended_long_before() -> None:
    """2 s of sound beside 20 s of pictures, then both again from 0 on."""
    found, jumps = run(interleaved(0, 500, blocks=100) + interleaved(0, 50))
    assert times(found, 0)[500:] == [20000 + 40 * index for index in range(50)]
    assert times(found, 1)[100:] == [20000 + 20 * index for index in range(100)]
    assert len(jumps) == 1


def test_reordered_frames() -> None:
    """I P B B of H.264, twice; in the second the leading pictures of the key frame are shown before it."""
    first = [(0, time, index == 0) for index, time in enumerate([80, 200, 120, 160, 320, 240, 280])]
    second = [(0, time, index == 0) for index, time in enumerate([120, 40, 80, 240, 160, 200])]
    found, _ = run(first + second, with_sound=False)
    assert times(found, 0) == [80, 200, 120, 160, 320, 240, 280, 440, 360, 400, 560, 480, 520]


def test_key_frames_marked_by_mistake() -> None:
    """Where every frame is marked, one that is shown before four others is none of a new recording."""
    order = [0, 320, 160, 80, 40, 120, 240, 200, 280]
    packets = [(0, 360 * group + time, True) for group in range(6) for time in order]
    found, jumps = run(packets, with_sound=False)
    assert found == [(0, time) for _, time, _ in packets] and jumps == []


def test_a_long_frame_is_no_step_back() -> None:
    """A frame that lasts 2 s is decoded before those that are shown earlier."""
    packets = [(0, time, index == 0) for index, time in enumerate([0, 2400, 100, 200, 300, 400, 4800, 2500])]
    found, jumps = run(packets, with_sound=False)
    assert found == [(0, time) for _, time, _ in packets] and jumps == []


def test_a_step_back_in_the_middle_of_a_group() -> None:
    """No key frame: what counts is that all of the last 17 frames are later."""
    found, jumps = run(pictures(5000, 20, 99) + [(0, time, False) for _, time, _ in pictures(0, 20)], with_sound=False)
    assert times(found, 0) == [5000 + 40 * index for index in range(40)] and len(jumps) == 1


def test_a_leap_of_all_streams() -> None:
    """From 2 s to 100 s; where the format has no such clock it is a pause."""
    packets = interleaved(0, 50) + interleaved(100_000, 50)
    found, jumps = run(packets)
    assert times(found, 0) == [40 * index for index in range(100)]
    assert times(found, 1) == [20 * index for index in range(200)]
    assert jumps == [Jump(2000 * MS, 1980 * MS, 100_000 * MS)]
    assert run(packets, leaps=0) == ([(track, time) for track, time, _ in packets], [])


def test_flash_leaps_where_sound_leaps_too() -> None:
    packets = pictures(0, 50) + pictures(100_000, 50)
    assert run(packets, leaps=2, with_sound=False)[1] == []
    assert len(run(interleaved(0, 50) + interleaved(100_000, 50), leaps=2)[1]) == 1


def test_a_picture_that_stands_still_is_no_leap() -> None:
    """15 s without a new picture while the sound goes on."""
    packets = sorted(pictures(0, 10) + pictures(15_400, 10) + sound(0, 790), key=lambda packet: packet[1])
    found, jumps = run(packets)
    assert found == [(track, time) for track, time, _ in packets] and jumps == []


def test_a_leap_of_more_than_a_day_is_one_in_every_format() -> None:
    day = 24 * 3600 * 1000
    found, _ = run(pictures(day - 1000, 25) + pictures(2 * day + 10, 25), leaps=0, with_sound=False)
    assert times(found, 0) == [day - 1000 + 40 * index for index in range(50)]


def test_a_wrong_time_stamp_moves_nothing_behind_it() -> None:
    """One packet that says 1000 s: time goes on at it and behind it."""
    packets = pictures(0, 25) + [(0, 1_000_000, True)] + pictures(1040, 25)
    found, jumps = run(packets, with_sound=False)
    assert times(found, 0) == [40 * index for index in range(51)] and len(jumps) == 2


def test_a_stream_that_steps_back_alone() -> None:
    """By 300 ms, while the pictures go on: it keeps its times. What copies it puts them in order."""
    packets = sound(0, 50) + sound(700, 100)
    mixed = sorted(
        [(time, 0, packet) for packet in pictures(0, 75) for time in [packet[1]]]
        + [(20 * index, 1, packet) for index, packet in enumerate(packets)],
        key=lambda item: item[:2],
    )
    found, jumps = run([packet for _, _, packet in mixed])
    assert times(found, 1) == [time for _, time, _ in packets]
    assert times(found, 0) == [40 * index for index in range(75)] and jumps == []


def test_unevenness_is_no_step_back() -> None:
    packets = interleaved(0, 10) + [(1, 310, True), (1, 400, True)]
    assert run(packets) == ([(track, time) for track, time, _ in packets], [])


def test_subtitles_move_with_what_they_stand_between() -> None:
    first = [*interleaved(0, 25), (2, 200, True)]
    second = interleaved(0, 25)
    found, _ = run([*first, *second[:6], (2, 100, True), *second[6:], (2, 900, True)])
    assert times(found, 2) == [200, 1100, 1900]


def test_packets_without_times_stay_in_their_place() -> None:
    clock: Clock[str] = Clock({0: FRAME})
    assert list(clock.put("a", Stamp(0, None, 0))) == [("a", 0, 0)]
    assert list(clock.put("b", Stamp(0, 5 * SECOND, FRAME))) == [("b", 0, 0)]
    assert list(clock.put("c", Stamp(0, None, 0))) == [("c", 0, 0)] and list(clock.finish()) == []
