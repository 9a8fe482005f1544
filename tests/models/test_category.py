# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from collections.abc import Callable

import torch
from torch import nn

from seeclear.models.category import CaTeGory


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def _memory(randomize: Callable[[nn.Module], nn.Module]) -> CaTeGory:
    memory = randomize(CaTeGory(4, 6, 16, (8, 12), heads=2)).eval()
    assert isinstance(memory, CaTeGory)
    return memory


def test_read_is_equation_19(randomize: Callable[[nn.Module], nn.Module]) -> None:
    memory = _memory(randomize)
    clip_tokens, state = _random(2, 4, 5), _random(2, 6, 16)
    read = memory.read(clip_tokens, state)
    assert read.shape == (2, 5, 16)
    channel = clip_tokens[1, :, 3] @ memory.semantics / 4**0.5  # (J,): what channel 3 of the semantics calls for
    torch.testing.assert_close(read[1, 3], channel.softmax(dim=0) @ state[1])


def test_a_channel_that_matches_one_group_reads_that_group(randomize: Callable[[nn.Module], nn.Module]) -> None:
    memory = _memory(randomize)
    with torch.no_grad():
        memory.semantics.copy_(100 * torch.eye(4, 6))
    read = memory.read(torch.eye(4)[None], _random(1, 6, 16))
    torch.testing.assert_close(read[0], _random(1, 6, 16)[0, :4])


def test_memory_stays_bounded_over_a_thousand_clips(randomize: Callable[[nn.Module], nn.Module]) -> None:
    memory = _memory(randomize)
    generator = torch.Generator().manual_seed(0)
    state = memory.initial_state(1)
    scales = {}
    with torch.no_grad():
        for clip in range(1, 1001):
            pyramid = [10 * torch.randn(2, c, 8, 8, generator=generator) for c in (8, 12)]
            state = memory.write(state, pyramid, num_frames=2)
            scales[clip] = state.std().item()
    assert abs(scales[1000] / scales[10] - 1) < 0.01


def test_write_takes_in_every_level_and_keeps_videos_apart(randomize: Callable[[nn.Module], nn.Module]) -> None:
    memory = _memory(randomize)
    state = memory.initial_state(2)
    pyramid = [_random(6, 8, 8, 8), _random(6, 12, 4, 4)]
    written = memory.write(state, pyramid, num_frames=3)
    for level in range(2):
        changed = [features.clone() for features in pyramid]
        changed[level][:3] += 1  # the first video of the batch
        moved = (memory.write(state, changed, num_frames=3) - written).abs().amax(dim=(1, 2))
        assert moved[0] > 1e-4
        assert moved[1] < 1e-6
