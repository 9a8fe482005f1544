# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from seeclear.resize import imresize, to_uint8
from seeclear.video.compare import LINE_WIDTH, CompareWriter, side_by_side
from seeclear.video.reader import VideoReader

Frames = Callable[..., np.ndarray]


def test_bicubic_left_ours_right(frames: Frames) -> None:
    lr, sr = frames(1, 24, 32)[0], frames(2, 96, 128)[1]
    picture = side_by_side(lr, sr)
    assert picture.shape == (96, 2 * 128 + LINE_WIDTH, 3) and picture.dtype == np.uint8
    bicubic = to_uint8(imresize(torch.from_numpy(lr).permute(2, 0, 1) / 255, scale=4)).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(picture[:70, :128], bicubic[:70])  # the labels are below
    np.testing.assert_array_equal(picture[:70, 128 + LINE_WIDTH :], sr[:70])
    assert (picture[:70, 128 : 128 + LINE_WIDTH] == 255).all()
    assert (picture[70:, :128] != bicubic[70:]).any() and (picture[70:, 128 + LINE_WIDTH :] != sr[70:]).any()


def test_smallest_frame() -> None:
    assert side_by_side(np.zeros((1, 1, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)).shape == (4, 10, 3)


def test_picture_of_the_middle_frame(tmp_path: Path, frames: Frames) -> None:
    lr, sr = frames(5, 24, 32), frames(5, 96, 128)
    with CompareWriter(tmp_path / "a.png", Fraction(25), 5) as writer:
        for pair in zip(lr, sr, strict=True):
            writer.write(*pair)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), side_by_side(lr[2], sr[2]))
    assert os.listdir(tmp_path) == ["a.png"]


def test_video_of_all_frames(tmp_path: Path, frames: Frames) -> None:
    with CompareWriter(tmp_path / "a.mp4", Fraction(30), 3) as writer:
        for pair in zip(frames(3, 24, 32), frames(3, 96, 128), strict=True):
            writer.write(*pair)
    with VideoReader(tmp_path / "a.mp4") as reader:
        assert (reader.width, reader.height, reader.fps, len(list(reader))) == (258, 96, 30, 3)


@pytest.mark.parametrize("name", ["a.png", "a.mp4"])
def test_nothing_is_left_by_an_error(tmp_path: Path, frames: Frames, name: str) -> None:
    with pytest.raises(RuntimeError), CompareWriter(tmp_path / name, Fraction(25), 5) as writer:
        writer.write(frames(1, 24, 32)[0], frames(1, 96, 128)[0])
        raise RuntimeError
    with pytest.raises(ValueError, match="no frame"), CompareWriter(tmp_path / name, Fraction(25), 5):
        pass
    assert os.listdir(tmp_path) == []


def test_other_endings(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.jpg: .* \.png"):
        CompareWriter(tmp_path / "a.jpg", Fraction(25), 5)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ValueError, match="cannot be written"):
        CompareWriter(tmp_path / "file" / "a.png", Fraction(25), 5)
