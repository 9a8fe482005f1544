# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seeclear.video.clips import iter_clips


def test_last_clip_is_filled_with_the_frames_before() -> None:
    assert list(iter_clips(range(8), 3)) == [([0, 1, 2], 3), ([3, 4, 5], 3), ([5, 6, 7], 2)]


def test_short_video_is_one_short_clip() -> None:
    assert list(iter_clips("ab", 5)) == [(["a", "b"], 2)]


def test_empty_video_has_no_clip() -> None:
    assert list(iter_clips([], 5)) == []


@given(st.integers(0, 40), st.integers(1, 9))
def test_every_frame_is_new_once(num_frames: int, clip_length: int) -> None:
    clips = list(iter_clips(range(num_frames), clip_length))
    assert [frame for clip, new in clips for frame in clip[len(clip) - new :]] == list(range(num_frames))
    for clip, _ in clips:
        assert len(clip) == min(clip_length, num_frames)
        assert clip == list(range(clip[0], clip[0] + len(clip)))


def test_takes_no_more_frames_than_it_needs() -> None:
    taken = []

    def source() -> Iterator[int]:
        for index in range(100):
            taken.append(index)
            yield index

    clips = iter_clips(source(), 4)
    next(clips)
    assert len(taken) == 4
    next(clips)
    assert len(taken) == 8


@pytest.mark.parametrize("clip_length", [0, -1])
def test_length_must_be_positive(clip_length: int) -> None:
    with pytest.raises(ValueError, match=f"`clip_length` .* {clip_length}"):
        list(iter_clips([1], clip_length))
