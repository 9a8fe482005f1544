# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from itertools import combinations

import numpy as np
import pytest
import torch

from seeclear.app.segment.overlay import (
    LEAST_WIDTH,
    OPACITY,
    colour_of,
    draw_objects,
    draw_partition,
    enlarge,
    enlargement,
    widest_place,
)

GREY = np.full((120, 320, 3), 100, np.uint8)


def box(top: int, bottom: int, left: int, right: int, size: tuple[int, int] = (120, 320)) -> torch.Tensor:
    mask = torch.zeros(size, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize(("width", "factor"), [(1, 640), (180, 4), (320, 2), (639, 2), (640, 1), (1920, 1)])
def test_enlargement(width: int, factor: int) -> None:
    assert enlargement(width) == factor and width * factor >= LEAST_WIDTH


def test_enlarged_frame() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (9, 320, 3), dtype=np.uint8)
    large = enlarge(frame)
    assert large.shape == (18, 640, 3) and large.dtype == np.uint8
    assert abs(large.mean() - frame.mean()) < 1
    assert enlarge(large) is large


def test_colours_belong_to_numbers_and_differ() -> None:
    colours = [np.array(colour_of(number)) for number in range(1, 17)]
    assert all(np.abs(one - other).sum() > 40 for one, other in combinations(colours, 2))
    assert colour_of(5) == colour_of(5)


def test_object_is_filled_and_has_a_rim() -> None:
    drawn = draw_objects(GREY, box(40, 100, 100, 200)[None], [3], ["3"])
    colour = np.array(colour_of(3))
    np.testing.assert_allclose(drawn[70, 150], 100 + OPACITY * (colour - 100), atol=1)
    for place in ((40, 120), (99, 150), (70, 100), (70, 199)):
        np.testing.assert_array_equal(drawn[place], colour)
    outside = drawn.copy()
    outside[20:100, 100:200] = 100
    np.testing.assert_array_equal(outside, GREY)
    assert (GREY == 100).all()  # the frame given is left as it was


def test_caption_stands_on_the_object_and_inside_the_frame() -> None:
    """Written above an object in the middle; moved in for one in the corner, and down where a caption is already."""
    one = box(60, 100, 100, 200)
    drawn = draw_objects(GREY, one[None], [2], ["2 animal 0.90"])
    changed = (drawn != 100).any(axis=2) & ~one.numpy()
    rows, columns = np.nonzero(changed)
    assert rows.max() == 59 and rows.min() > 30
    assert abs((columns.min() + columns.max()) / 2 - 150) < 6
    corner = box(0, 30, 0, 6)
    drawn = draw_objects(GREY, torch.stack([corner, corner]), [2, 4], ["2 animal 0.90", "4 person 0.80"])
    plates = [(drawn == colour_of(number)).all(axis=2).nonzero()[0] for number in (2, 4)]
    assert plates[0].min() == 0 and plates[0].max() < plates[1][plates[1] > 12].max()


def test_nothing_to_draw() -> None:
    np.testing.assert_array_equal(draw_objects(GREY, torch.zeros(0, 120, 320, dtype=torch.bool), [], []), GREY)
    empty = torch.zeros(1, 120, 320, dtype=torch.bool)
    np.testing.assert_array_equal(draw_objects(GREY, empty, [1], ["1"]), GREY)


def test_partition_covers_the_frame() -> None:
    numbers = torch.full((120, 320), 7)
    numbers[:, 160:] = 9
    drawn = draw_partition(GREY, numbers).astype(float)
    for number, column in ((7, 20), (9, 300)):
        np.testing.assert_allclose(drawn[10, column], 100 + OPACITY * (np.array(colour_of(number)) - 100), atol=1)
    np.testing.assert_array_equal(drawn[10, 159], colour_of(7))
    np.testing.assert_array_equal(drawn[10, 160], colour_of(9))
    assert (drawn[:, 160] == colour_of(9)).all()
    assert not (drawn[:, 161] == colour_of(9)).all(axis=1).all()  # one pixel wide on either side


def test_widest_place_is_deep_inside() -> None:
    mask = box(10, 110, 200, 300) | box(55, 60, 0, 200)
    row, column = widest_place(mask)
    assert 50 < row < 70 and 240 < column < 260
    assert widest_place(box(119, 120, 319, 320)) == (119, 319)
