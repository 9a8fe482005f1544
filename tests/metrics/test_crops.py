# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from seeclear.metrics.crops import most_different_crop, write_crops


def test_the_crop_is_where_clips_differ_most(tmp_path: Path) -> None:
    one = torch.full((3, 3, 64, 80), 50, dtype=torch.uint8)
    two = one.clone()
    two[0, :, :8, :8] += 30
    two[2, :, 40:56, 24:40] += 30
    frame, top, left = most_different_crop({"one": one, "two": two}, size=16)
    assert (frame, top, left) == (2, 40, 24)

    write_crops(tmp_path / "new" / "walk.png", {"one": one, "two": two}, one + 1, size=16)
    picture = np.asarray(Image.open(tmp_path / "new" / "walk.png"))
    assert picture.shape == (16 + 32, 3 * 32, 3)
    assert [int(picture[-1, x, 0]) for x in (5, 40, 80)] == [50, 80, 51]  # one, two, original, twice as large


def test_small_frames_are_shown_whole() -> None:
    clip = torch.zeros(1, 3, 10, 12, dtype=torch.uint8)
    assert most_different_crop({"one": clip, "two": clip + 1}) == (0, 0, 0)
    with pytest.raises(ValueError, match="at least two"):
        most_different_crop({"one": clip})
