# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from seeclear.video.inputs import read_input

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 3), np.uint8)
EXPECTED = torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float() / 255
IMAGES = [Image.fromarray(frame) for frame in PIXELS]


@pytest.mark.parametrize(
    "video",
    [
        PIXELS,
        PIXELS / 255,
        (PIXELS / 255).astype(np.float32),
        EXPECTED,
        EXPECTED.double(),
        torch.from_numpy(PIXELS).permute(0, 3, 1, 2),
        IMAGES,
        tuple(IMAGES),
        list(PIXELS),
        list(EXPECTED),
    ],
)
def test_one_video(video: Any) -> None:
    read, batched = read_input(video)
    assert not batched
    assert read.dtype == torch.float32 and read.is_contiguous()
    torch.testing.assert_close(read, EXPECTED[None], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "video", [[IMAGES, IMAGES], np.stack([PIXELS] * 2), EXPECTED.repeat(2, 1, 1, 1, 1), [PIXELS] * 2]
)
def test_batch(video: Any) -> None:
    read, batched = read_input(video)
    assert batched
    torch.testing.assert_close(read, EXPECTED.repeat(2, 1, 1, 1, 1), rtol=0, atol=1e-6)


def test_batch_of_one_is_a_batch() -> None:
    assert read_input([IMAGES])[1] and read_input(PIXELS[None])[1]


def test_half_precision() -> None:
    torch.testing.assert_close(read_input(EXPECTED.half())[0][0], EXPECTED, rtol=0, atol=1e-3)


def test_paths(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    (tmp_path / "frames").mkdir()
    for index, image in enumerate(IMAGES):
        image.save(tmp_path / "frames" / f"{index}.png")
    for path in (tmp_path / "frames", str(tmp_path / "frames")):
        read, batched = read_input(path)
        assert not batched
        torch.testing.assert_close(read[0], EXPECTED)
    assert read_input(make_video())[0].shape == (1, 7, 3, 24, 32)
    assert read_input([tmp_path / "frames"] * 2)[0].shape == (2, 3, 3, 4, 6)


def test_input_is_not_changed() -> None:
    before = PIXELS.copy()
    read_input(PIXELS)[0].zero_()
    read_input(IMAGES)[0].zero_()
    np.testing.assert_array_equal(PIXELS, before)


@pytest.mark.filterwarnings("error")
def test_array_that_cannot_be_written_to() -> None:
    frozen = PIXELS.copy()
    frozen.flags.writeable = False
    torch.testing.assert_close(read_input(frozen)[0][0], EXPECTED)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 1.1])
@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_values(value: float, kind: Callable[[Any], Any]) -> None:
    video = np.full((2, 3, 3, 3), 0.5)
    video[1, 1, 1, 1] = value
    with pytest.raises(ValueError, match=r"`video`.*(NaN|\[0, 1\])"):
        read_input(kind(video))


@pytest.mark.parametrize(
    "video",
    [
        [],
        (),
        [[]],
        np.zeros((0, 4, 6, 3), np.uint8),
        np.zeros((0, 2, 4, 6, 3), np.uint8),
        np.zeros((2, 0, 6, 3)),
        np.zeros((4, 6, 3)),
        np.zeros((2, 3, 4, 6)),
        torch.zeros(2, 4, 6, 3),
        torch.zeros(3, 4, 6),
        np.zeros((2, 4, 6, 3), np.int64),
        torch.zeros(2, 3, 4, 6, dtype=torch.int32),
        np.zeros((2, 4, 6, 3), bool),
        None,
        3,
        [3],
        [IMAGES[0], Image.new("RGB", (5, 5))],
        [IMAGES, IMAGES[:2]],
        [Image.new("RGBA", (4, 4), (0, 0, 0, 0))],
        [Image.new("I;16", (4, 4))],
        "/there/is/no/such/file.mp4",
    ],
)
def test_what_is_no_video(video: Any) -> None:
    with pytest.raises(ValueError, match=r"`video`|no such file") as caught:
        read_input(video)
    assert "\n" not in str(caught.value)
