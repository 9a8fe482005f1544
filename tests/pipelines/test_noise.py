# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import pytest
import torch
from torch import Tensor

from seeclear.pipelines.noise import VideoNoise, draw_seeds

ALL = slice(0, 40), slice(0, 300)


def _draw(noise: VideoNoise, step: int = 0, start: int = 0, frames: int = 3) -> Tensor:
    return noise.draw(step, start, frames, *ALL)


def test_it_reaches_as_far_as_asked() -> None:
    for mode in ("frame", "clip", "video"):
        noise = VideoNoise([1], mode)
        first, second = _draw(noise), _draw(noise, start=3)
        assert first.shape == (1, 3, 3, 40, 300)
        assert torch.equal(first[:, 0], first[:, 2]) == (mode != "frame")
        assert torch.equal(first, second) == (mode == "video")
        assert not torch.equal(first, _draw(noise, step=1))


def test_noise_of_a_frame_is_the_same_in_every_clip() -> None:
    noise = VideoNoise([1], "frame")
    assert torch.equal(_draw(noise, start=4)[:, 1:], _draw(noise, start=5)[:, :2])


def test_a_part_is_cut_out_of_the_whole() -> None:
    noise = VideoNoise([7], "clip")
    whole = noise.draw(0, 0, 1, slice(0, 600), slice(0, 700))
    for rows, columns in [(slice(0, 10), slice(0, 10)), (slice(250, 520), slice(3, 700)), (slice(511, 513), ALL[1])]:
        assert torch.equal(noise.draw(0, 0, 1, rows, columns), whole[..., rows, columns])


def test_it_is_white() -> None:
    noise = VideoNoise([3], "clip").draw(0, 0, 1, slice(0, 768), slice(0, 768))[0, 0].double()
    assert abs(noise.mean()) < 5 / noise.numel() ** 0.5
    assert abs(noise.var() - 1) < 5 * (2 / noise.numel()) ** 0.5
    for shifted in (noise.roll(1, 2), noise.roll(256, 2), noise.roll(256, 1), noise.roll(1, 0)):
        assert abs((noise * shifted).mean()) < 5 / noise.numel() ** 0.5


def test_videos_have_their_own_noise() -> None:
    both = _draw(VideoNoise([1, 2], "clip"))
    for index, seed in enumerate((1, 2)):
        assert torch.equal(both[index : index + 1], _draw(VideoNoise([seed], "clip")))
    assert not torch.equal(both[0], both[1])


def test_seeds_come_from_the_generators() -> None:
    def seeded(seed: int) -> torch.Generator:
        return torch.Generator().manual_seed(seed)

    assert draw_seeds(seeded(1), 3) == draw_seeds(seeded(1), 3) != draw_seeds(seeded(2), 3)
    assert draw_seeds([seeded(1), seeded(2)], 2) == draw_seeds(seeded(1), 1) + draw_seeds(seeded(2), 1)
    torch.manual_seed(5)
    expected = draw_seeds(None, 1)
    torch.manual_seed(5)
    assert draw_seeds(None, 1) == expected
    with pytest.raises(ValueError, match="`generator` has 1"):
        draw_seeds([seeded(1)], 2)
    with pytest.raises(ValueError, match="`noise` is 'pink'"):
        VideoNoise([1], "pink")
