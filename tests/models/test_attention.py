# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from collections.abc import Callable

import pytest
import torch
from torch import nn

from seeclear.models.attention import (
    ChannelNorm,
    ChannelSelfAttention,
    PixelCrossAttention,
    ResidualBlock,
    WindowSelfAttention,
    sinusoidal_positions,
)


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_channel_norm_is_per_position() -> None:
    hidden = _random(2, 8, 3, 5)
    normed = ChannelNorm(8)(hidden)
    torch.testing.assert_close(normed.mean(dim=1), torch.zeros(2, 3, 5), atol=1e-6, rtol=0)
    torch.testing.assert_close(normed.var(dim=1, unbiased=False), torch.ones(2, 3, 5), atol=1e-3, rtol=0)


def test_untrained_blocks_are_the_identity() -> None:
    hidden = _random(4, 32, 9, 11)
    assert torch.equal(ResidualBlock(32, 16)(hidden, _random(4, 16)), hidden)
    assert torch.equal(WindowSelfAttention(32, 16, 4, True, True)(hidden, 2), hidden)
    assert torch.equal(ChannelSelfAttention(32, 16, 8)(hidden), hidden)
    assert not PixelCrossAttention(32, 24, 16)(hidden, _random(4, 5, 24)).any()


def test_residual_block_is_modulated_by_the_timestep(randomize: Callable[[nn.Module], nn.Module]) -> None:
    block = randomize(ResidualBlock(32, 16))
    hidden = _random(1, 32, 6, 6)
    assert not torch.allclose(block(hidden, torch.zeros(1, 16)), block(hidden, torch.ones(1, 16)))


@pytest.mark.parametrize("shift", [False, True])
@pytest.mark.parametrize("multi_frame", [False, True])
def test_a_window_sees_itself_and_all_frames_or_one(
    shift: bool, multi_frame: bool, randomize: Callable[[nn.Module], nn.Module]
) -> None:
    attention = randomize(WindowSelfAttention(32, 16, 4, shift, multi_frame))
    hidden = _random(3, 32, 12, 12)
    changed = hidden.clone()
    changed[1, :, 5, 5] += _random(32)  # inside the image: no padding reaches it
    difference = (attention(changed, 3) - attention(hidden, 3)).abs().amax(dim=1) > 1e-6  # (F, H, W)
    rows = slice(2, 6) if shift else slice(4, 8)
    expected = torch.zeros(3, 12, 12, dtype=torch.bool)
    expected[slice(None) if multi_frame else slice(1, 2), rows, rows] = True
    assert torch.equal(difference, expected)


def test_single_frame_attention_does_not_depend_on_how_frames_are_batched(
    randomize: Callable[[nn.Module], nn.Module],
) -> None:
    attention = randomize(WindowSelfAttention(32, 16, 4, False, False))
    hidden = _random(4, 32, 7, 10)
    torch.testing.assert_close(attention(hidden, 4), attention(hidden, 1))


def test_attention_of_one_token_by_hand(randomize: Callable[[nn.Module], nn.Module]) -> None:
    """A window of one pixel attends to itself with weight one: the output is the projected value."""
    attention = randomize(WindowSelfAttention(32, 16, 1, False, False))
    hidden = _random(1, 32, 2, 2)
    token = attention.norm(hidden).permute(0, 2, 3, 1) + attention.position(
        sinusoidal_positions((1, 1, 1), torch.device("cpu"))
    )
    expected = hidden + attention.to_out(attention.to_qkv(token)[..., 64:]).permute(0, 3, 1, 2)
    torch.testing.assert_close(attention(hidden, 1), expected)


def test_channel_attention_mixes_the_channels_of_a_head_within_its_window(
    randomize: Callable[[nn.Module], nn.Module],
) -> None:
    attention = randomize(ChannelSelfAttention(32, 16, 4))
    hidden = _random(1, 32, 8, 8)
    changed = hidden.clone()
    changed[:, :, 1, 1] += _random(1, 32)
    difference = (attention(changed) - attention(hidden)).abs().amax(dim=1)[0] > 1e-6
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[:4, :4] = True
    assert torch.equal(difference, expected)


def test_cross_attention_ignores_the_order_of_its_tokens(randomize: Callable[[nn.Module], nn.Module]) -> None:
    attention = randomize(PixelCrossAttention(32, 24, 16))
    hidden, context = _random(2, 32, 3, 4), _random(2, 5, 24)
    torch.testing.assert_close(attention(hidden, context), attention(hidden, context.flip(1)))


def test_positions_are_distinct_and_of_any_length() -> None:
    positions = sinusoidal_positions((7, 8, 8), torch.device("cpu"))
    assert positions.shape == (448, 24)
    assert torch.cdist(positions, positions).fill_diagonal_(1).min() > 0.1
