# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What is drawn at random for a training clip besides its pixels: timestep, noise, the frame the perceptual loss sees.

Everything is drawn from a generator that belongs to the clip's index, so it depends neither on the number of processes
nor on the batch size nor on whether the run was interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler

TIMESTEP_SAMPLINGS = ("uniform", "final")


class ConsecutiveSampler(Sampler[int]):
    """Yields the clip indices `start, start + 1, ..., stop - 1`.

    The data set makes a random clip out of each index, so consecutive indices are already random clips, and a resumed
    run continues at an index instead of reading and dropping what was seen.
    """

    def __init__(self, start: int, stop: int) -> None:
        if not 0 <= start <= stop:
            raise ValueError(f"`start` is {start} and `stop` {stop}; 0 <= start <= stop must hold")
        self.start = start
        self.stop = stop

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.stop))

    def __len__(self) -> int:
        return self.stop - self.start


def clip_generator(seed: int, index: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on `device` that is a function of the run's seed and the clip's index alone."""
    state = np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0]
    return torch.Generator(device=device).manual_seed(int(state) >> 1)


def clip_generators(seed: int, indices: Sequence[int], device: torch.device | str = "cpu") -> list[torch.Generator]:
    """`clip_generator` for each clip of a batch."""
    return [clip_generator(seed, index, device) for index in indices]


def sample_timesteps(
    generators: Sequence[torch.Generator],
    num_train_timesteps: int,
    sampling: str = "uniform",
    final_probability: float = 0.5,
) -> Tensor:
    """Draws a timestep for every clip.

    Args:
        generators: one for each clip.
        num_train_timesteps: T; timesteps are 0..T-1.
        sampling: "uniform", or "final": T-1, from which sampling starts and which one-step inference uses alone, with
            `final_probability`, and uniform over all T otherwise.
        final_probability: in [0, 1]; used by "final" only.

    Returns:
        int64, (B,), on the generators' device.

    Raises:
        ValueError: for an unknown `sampling` or a `final_probability` outside [0, 1].
    """
    if sampling not in TIMESTEP_SAMPLINGS:
        raise ValueError(f"`sampling` is {sampling!r}; it may be one of {', '.join(TIMESTEP_SAMPLINGS)}")
    if not 0.0 <= final_probability <= 1.0:
        raise ValueError(f"`final_probability` is {final_probability}; it must be in [0, 1]")
    draw = (torch.randint(num_train_timesteps, (), generator=g, device=g.device) for g in generators)
    timesteps = torch.stack(tuple(draw))
    if sampling == "final":
        timesteps = torch.where(sample_flags(generators, final_probability), num_train_timesteps - 1, timesteps)
    return timesteps


def sample_noise(
    generators: Sequence[torch.Generator], clip_shape: Sequence[int], shared_probability: float = 0.5
) -> Tensor:
    """Draws white noise for every clip: new for each frame, or one frame's noise for all frames of the clip.

    Args:
        generators: one for each clip.
        clip_shape: (F, C, H, W).
        shared_probability: in [0, 1]; how often the frames of a clip share their noise.

    Returns:
        float32 (B, F, C, H, W), on the generators' device.

    Raises:
        ValueError: for a `shared_probability` outside [0, 1].
    """
    if not 0.0 <= shared_probability <= 1.0:
        raise ValueError(f"`shared_probability` is {shared_probability}; it must be in [0, 1]")
    frames, *frame_shape = clip_shape
    noise = []
    for generator, shared in zip(generators, sample_flags(generators, shared_probability).tolist(), strict=True):
        drawn = torch.randn((1 if shared else frames, *frame_shape), generator=generator, device=generator.device)
        noise.append(drawn.expand(frames, *frame_shape))
    return torch.stack(noise)


def sample_flags(generators: Sequence[torch.Generator], probability: float) -> Tensor:
    """Draws a yes or no for every clip: bool, (B,), true with `probability`, on the generators' device."""
    return torch.stack([torch.rand((), generator=g, device=g.device) < probability for g in generators])


def sample_frame_indices(generators: Sequence[torch.Generator], frames: int) -> Tensor:
    """Draws one frame of every clip: int64, (B,), in 0..frames-1, on the generators' device."""
    return torch.stack([torch.randint(frames, (), generator=g, device=g.device) for g in generators])


def sample_crops(
    generators: Sequence[torch.Generator], frames: Sequence[Tensor], size: int | None
) -> tuple[Tensor, ...]:
    """Cuts a square at a random place out of every frame, the same place out of the frames of all arguments.

    Args:
        generators: one for each frame.
        frames: each (B, C, H, W), all of the same height and width.
        size: side of the square in pixels, at least 1; None takes the frames whole. A frame that is smaller in a
            direction is taken whole in it.

    Returns:
        As `frames`, (B, C, min(size, H), min(size, W)).
    """
    if size is None:
        return tuple(frames)
    height, width = frames[0].shape[-2:]
    rows, columns = min(size, height), min(size, width)
    parts = []
    for i, generator in enumerate(generators):
        top, left = (
            int(torch.randint(n, (), generator=generator, device=generator.device))
            for n in (height - rows + 1, width - columns + 1)
        )
        parts.append([x[i, :, top : top + rows, left : left + columns] for x in frames])
    return tuple(torch.stack(part) for part in zip(*parts, strict=True))
