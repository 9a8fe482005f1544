# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from seeclear.video.windows import Window, blend_weights, cover, share


@st.composite
def lines(draw: st.DrawFn) -> tuple[int, int, int, int]:
    """(length, size, overlap, alignment) that fit each other."""
    size = draw(st.integers(1, 70))
    alignment = draw(st.integers(1, size))
    return draw(st.integers(1, 90)), size, draw(st.integers(0, size - alignment)), alignment


def test_last_window_is_shifted_back() -> None:
    assert cover(8, 3, 0) == [Window(0, 3), Window(3, 6), Window(5, 8)]
    assert cover(11, 5, 1) == [Window(0, 5), Window(4, 9), Window(6, 11)]
    assert cover(9, 5, 1) == [Window(0, 5), Window(4, 9)]


def test_a_short_line_is_one_window() -> None:
    assert cover(3, 5, 4) == [Window(0, 3)]


def test_starts_keep_to_the_alignment() -> None:
    assert cover(320, 160, 32, 64) == [Window(0, 160), Window(128, 288), Window(192, 320)]
    assert cover(200, 96, 32, 64) == [Window(0, 96), Window(64, 160), Window(128, 200)]


def test_shares_by_hand() -> None:
    assert share(Window(4, 9), 6, 2).tolist() == [0.25, 0.75, 1, 1, 1]
    assert share(Window(6, 11), 9, 1).tolist() == [0, 0, 0.5, 1, 1]
    assert share(Window(5, 8), 6, 0).tolist() == [0, 1, 1]
    assert share(Window(0, 3), None, 2).tolist() == [1, 1, 1]


@given(lines())
def test_windows_cover_the_line_with_the_overlap(line: tuple[int, int, int, int]) -> None:
    length, size, overlap, alignment = line
    windows = cover(length, size, overlap, alignment)
    assert windows[0].start == 0 and windows[-1].stop == length
    for before, after in zip(windows, windows[1:], strict=False):
        assert before.start < after.start <= before.stop - overlap
        assert len(before) == size
    assert all(window.start % alignment == 0 for window in windows)
    assert len(windows) == 1 or size - alignment < len(windows[-1]) <= size


@given(lines(), st.integers(1, 4))
def test_weights_sum_to_one_everywhere(line: tuple[int, int, int, int], scale: int) -> None:
    length, size, overlap, alignment = line
    windows = cover(length, size, overlap, alignment)
    total = torch.zeros(scale * length)
    for window, weight in zip(windows, blend_weights(windows, overlap, scale), strict=True):
        assert len(weight) == scale * len(window) and weight.min() >= 0
        total[scale * window.start : scale * window.stop] += weight
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-6)


@given(lines())
def test_blending_as_a_stream_is_the_sum_with_the_weights(line: tuple[int, int, int, int]) -> None:
    """In time, what a window adds is blended into what is there; in space, windows are summed with their weights."""
    length, size, overlap, alignment = line
    windows = cover(length, size, overlap, alignment)
    values = [torch.rand(len(window), generator=torch.Generator().manual_seed(i)) for i, window in enumerate(windows)]
    stream, total = torch.zeros(length), torch.zeros(length)
    previous_stop = None
    for window, value, weight in zip(windows, values, blend_weights(windows, overlap), strict=True):
        part: Tensor = stream[window.start : window.stop]
        part.lerp_(value, share(window, previous_stop, overlap))
        total[window.start : window.stop] += weight * value
        previous_stop = window.stop
    torch.testing.assert_close(stream, total, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [((0, 4, 1), "length"), ((9, 0, 0), "size"), ((9, 4, 4), "overlap"), ((9, 4, -1), "overlap")],
)
def test_wrong_values_are_named(arguments: tuple[int, int, int], name: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}`"):
        cover(*arguments)
    with pytest.raises(ValueError, match="`overlap` is 3"):
        cover(9, 4, 3, alignment=2)
