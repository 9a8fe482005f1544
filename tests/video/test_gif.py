# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from seeclear.video.encode import gif_of_frame
from seeclear.video.gif import write_gif

Frames = Callable[..., np.ndarray]


def joined(frames: list[tuple[bytes, int]], size: tuple[int, int], loop: int | None = 0) -> Image.Image:
    buffer = io.BytesIO()
    write_gif(buffer, frames, size, loop)
    buffer.seek(0)
    return Image.open(buffer)


def test_frames_and_delays_and_pixels(frames: Frames) -> None:
    parts = [gif_of_frame(frame.astype(np.float32) / 255, None) for frame in frames(5, 24, 32)]
    delays = [4, 12, 1, 30, 65535]
    with joined(list(zip(parts, delays, strict=True)), (24, 32), loop=7) as animation:
        assert (animation.n_frames, animation.size, animation.info["loop"]) == (5, (32, 24), 7)
        for index, (part, delay) in enumerate(zip(parts, delays, strict=True)):
            animation.seek(index)
            assert animation.info["duration"] == 10 * delay
            single = Image.open(io.BytesIO(part)).convert("RGB")
            np.testing.assert_array_equal(np.asarray(animation.convert("RGB")), np.asarray(single))


def test_equal_frames_stay_two(frames: Frames) -> None:
    part = gif_of_frame(np.zeros((8, 8, 3), np.float32), None)
    with joined([(part, 5)] * 3, (8, 8), loop=None) as animation:
        assert animation.n_frames == 3 and "loop" not in animation.info


def test_few_colours_are_exact() -> None:
    picture = np.zeros((6, 8, 3), np.float32)
    picture[:, 2:] = (1, 0.2, 0)
    picture[3:] = (0, 0.4, 1)
    with joined([(gif_of_frame(picture, None), 5)], (6, 8)) as animation:
        np.testing.assert_array_equal(np.asarray(animation.convert("RGB")), np.rint(picture * 255))


def test_transparent_pixels(frames: Frames) -> None:
    parts = []
    for index, frame in enumerate(frames(3, 12, 16).astype(np.float32) / 255):
        alpha = np.ones((12, 16), np.float32)
        alpha[:, : 4 + index] = 0.4
        parts.append((gif_of_frame(frame, alpha), 5))
    with joined(parts, (12, 16)) as animation:
        for index in range(3):
            animation.seek(index)
            seen = np.asarray(animation.convert("RGBA"))[..., 3]
            assert (seen[:, : 4 + index] == 0).all() and (seen[:, 4 + index :] == 255).all()


def test_wrong_input() -> None:
    part = gif_of_frame(np.zeros((8, 8, 3), np.float32), None)
    with pytest.raises(ValueError, match="lasts 65535/100 s at most"):
        joined([(part, 65536)], (8, 8))
    with pytest.raises(ValueError, match="no GIF"):
        joined([(b"\x89PNG, and not a GIF", 5)], (8, 8))
