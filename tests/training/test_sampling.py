# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import pytest
import torch
from torch import Tensor

from seeclear.training.sampling import (
    ConsecutiveSampler,
    clip_generator,
    clip_generators,
    sample_crops,
    sample_flags,
    sample_frame_indices,
    sample_noise,
    sample_timesteps,
)

T = 15


def test_consecutive_sampler_continues_where_it_is_told() -> None:
    sampler = ConsecutiveSampler(6, 9)
    assert list(sampler) == [6, 7, 8]
    assert len(sampler) == 3


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (4, 3)])
def test_consecutive_sampler_range(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="`start`"):
        ConsecutiveSampler(start, stop)


def test_generator_depends_on_seed_and_index() -> None:
    def draw(seed: int, index: int) -> Tensor:
        return torch.randn(4, generator=clip_generator(seed, index))

    assert torch.equal(draw(0, 5), draw(0, 5))
    assert not torch.equal(draw(0, 5), draw(0, 6))
    assert not torch.equal(draw(0, 5), draw(1, 5))


def test_uniform_timesteps_cover_all_steps_evenly() -> None:
    timesteps = sample_timesteps(clip_generators(0, range(3000)), T)
    assert timesteps.dtype == torch.int64
    counts = torch.bincount(timesteps, minlength=T)
    assert len(counts) == T
    assert (counts - 200).abs().max() < 60  # four standard deviations of a binomial are 55


def test_final_timesteps_come_with_the_given_probability() -> None:
    timesteps = sample_timesteps(clip_generators(0, range(3000)), T, "final", 0.4)
    share = (timesteps == T - 1).float().mean().item()
    assert share == pytest.approx(0.4 + 0.6 / T, abs=0.04)
    assert set(timesteps.tolist()) == set(range(T))


@pytest.mark.parametrize(("probability", "expected"), [(1.0, True), (0.0, False)])
def test_final_probability_limits(probability: float, expected: bool) -> None:
    timesteps = sample_timesteps(clip_generators(0, range(100)), T, "final", probability)
    assert bool((timesteps == T - 1).all()) is expected


def test_draws_of_a_clip_do_not_depend_on_its_batch() -> None:
    together, alone = clip_generators(3, [7, 8]), clip_generators(3, [8])
    assert sample_timesteps(together, T)[1] == sample_timesteps(alone, T)[0]
    shape = (2, 3, 8, 8)
    assert torch.equal(sample_noise(together, shape)[1], sample_noise(alone, shape)[0])
    assert sample_frame_indices(together, 5)[1] == sample_frame_indices(alone, 5)[0]


def test_noise_is_shared_by_frames_or_not() -> None:
    generators = clip_generators(0, range(4))
    shared = sample_noise(generators, (3, 3, 16, 16), shared_probability=1.0)
    assert shared.shape == (4, 3, 3, 16, 16)
    assert torch.equal(shared[:, :1].expand_as(shared), shared)
    assert not torch.equal(shared[0], shared[1])
    fresh = sample_noise(generators, (3, 3, 16, 16), shared_probability=0.0)
    assert not torch.equal(fresh[:, 0], fresh[:, 1])
    assert fresh.std().item() == pytest.approx(1.0, abs=0.03)


def test_frame_indices_are_in_range() -> None:
    indices = sample_frame_indices(clip_generators(0, range(200)), 5)
    assert set(indices.tolist()) == {0, 1, 2, 3, 4}


def test_crops_are_the_same_place_of_all_frames() -> None:
    frames = torch.arange(3 * 20 * 30, dtype=torch.float32).reshape(1, 3, 20, 30).repeat(50, 1, 1, 1)
    first, second = sample_crops(clip_generators(0, range(50)), (frames, -frames), 16)
    assert first.shape == (50, 3, 16, 16)
    assert torch.equal(first, -second)
    corners = first[:, 0, 0, 0].long()
    assert {int(corner) // 30 for corner in corners} == set(range(5))  # every row where a square of 16 may begin
    assert int((corners % 30).max()) <= 14
    assert torch.equal(first[:, 0, 1, 1], first[:, 0, 0, 0] + 31)


def test_crops_take_small_frames_whole() -> None:
    frames = torch.rand(2, 3, 12, 40)
    (cut,) = sample_crops(clip_generators(0, range(2)), (frames,), 16)
    assert cut.shape == (2, 3, 12, 16)
    (whole,) = sample_crops(clip_generators(0, range(2)), (frames,), None)
    assert torch.equal(whole, frames)


def test_errors_name_the_argument() -> None:
    generators = clip_generators(0, [0])
    with pytest.raises(ValueError, match="`sampling` is 'often'; it may be one of uniform, final"):
        sample_timesteps(generators, T, "often")
    with pytest.raises(ValueError, match=r"`final_probability` is 1.5; it must be in \[0, 1\]"):
        sample_timesteps(generators, T, "final", 1.5)
    with pytest.raises(ValueError, match=r"`shared_probability` is -0.1; it must be in \[0, 1\]"):
        sample_noise(generators, (1, 3, 4, 4), -0.1)


def test_flags_come_with_their_probability_and_from_the_clips_generators() -> None:
    flags = sample_flags(clip_generators(0, range(3000)), 0.3)
    assert flags.dtype == torch.bool and flags.float().mean().item() == pytest.approx(0.3, abs=0.04)
    assert torch.equal(flags[5:9], sample_flags(clip_generators(0, range(5, 9)), 0.3))
    assert not sample_flags(clip_generators(0, range(50)), 0).any()
    assert sample_flags(clip_generators(0, range(50)), 1).all()
