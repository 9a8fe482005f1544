# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from seeclear.models.attention import (
    ChannelSelfAttention,
    PixelCrossAttention,
    WindowSelfAttention,
    sinusoidal_positions,
)
from seeclear.models.blocks import ChannelNorm, ResidualBlock


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


def _padded(images: Tensor, size: int, offset: int) -> Tensor:
    """Images (N, C, H, W) with the edge repeated: by `offset` above and at the left, up to whole windows elsewhere."""
    bottom, right = (-(n + offset) % size for n in images.shape[-2:])
    return F.pad(images, (offset, right, offset, bottom), mode="replicate")


def _cropped(windows: Tensor, like: Tensor, size: int, offset: int, num_frames: int) -> Tensor:
    """Windows (B*i*j, F*size*size, C) of the padded images, back as images of the shape of `like`."""
    height, width = like.shape[-2:]
    rows, frames = -(-(height + offset) // size), num_frames
    pattern = "(b i j) (f p q) c -> (b f) c (i p) (j q)"
    images = rearrange(windows, pattern, b=len(like) // frames, i=rows, f=frames, p=size, q=size)
    return images[:, :, offset : offset + height, offset : offset + width]


SIZES = [(8, 8), (4, 4), (3, 1), (9, 14), (12, 8), (2, 17)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shift", [False, True])
@pytest.mark.parametrize("multi_frame", [False, True])
def test_window_attention_is_attention_in_padded_windows(
    size: tuple[int, int], shift: bool, multi_frame: bool, randomize: Callable[[nn.Module], nn.Module]
) -> None:
    attention = randomize(WindowSelfAttention(32, 16, 4, shift, multi_frame))
    hidden = _random(6, 32, *size).contiguous(memory_format=torch.channels_last).requires_grad_()
    frames, offset = (3 if multi_frame else 1), (2 if shift else 0)
    padded = _padded(attention.norm(hidden), 4, offset)
    tokens = rearrange(padded, "(b f) c (i p) (j q) -> (b i j) (f p q) c", f=frames, p=4, q=4)
    tokens = tokens + attention.position(sinusoidal_positions((frames, 4, 4), torch.device("cpu")))
    query, key, value = rearrange(attention.to_qkv(tokens), "n l (three h d) -> three n h l d", three=3, h=2)
    attended = (query @ key.transpose(-1, -2) / 4).softmax(dim=-1) @ value
    projected = attention.to_out(rearrange(attended, "n h l d -> n l (h d)"))
    expected = hidden + _cropped(projected, hidden, 4, offset, frames)
    _same_with_gradients(attention(hidden, 3), expected, hidden, attention)


@pytest.mark.parametrize("size", SIZES)
def test_channel_attention_is_attention_in_padded_windows(
    size: tuple[int, int], randomize: Callable[[nn.Module], nn.Module]
) -> None:
    attention = randomize(ChannelSelfAttention(32, 16, 8))
    hidden = _random(2, 32, *size).contiguous(memory_format=torch.channels_last).requires_grad_()
    tokens = rearrange(_padded(attention.norm(hidden), 8, 0), "n c (i p) (j q) -> (n i j) (p q) c", p=8, q=8)
    query, key, value = rearrange(attention.to_qkv(tokens), "n l (three h d) -> three n h d l", three=3, h=2)
    cosines = F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).transpose(-1, -2)
    attended = (cosines * attention.temperature).softmax(dim=-1) @ value
    projected = attention.to_out(rearrange(attended, "n h d l -> n l (h d)"))
    expected = hidden + _cropped(projected, hidden, 8, 0, 1)
    _same_with_gradients(attention(hidden), expected, hidden, attention)


def _same_with_gradients(made: Tensor, expected: Tensor, hidden: Tensor, module: nn.Module) -> None:
    """Values agree, and the gradients of the input and of all parameters."""
    torch.testing.assert_close(made, expected)
    wanted, weights = [hidden, *module.parameters()], _random(*made.shape)
    for ours, theirs in zip(
        torch.autograd.grad(made, wanted, weights), torch.autograd.grad(expected, wanted, weights), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_channel_attention_holds_in_half_precision(randomize: Callable[[nn.Module], nn.Module]) -> None:
    """Sums over a window's pixels would leave half precision's range; means do not."""
    attention = randomize(ChannelSelfAttention(32, 16, 16))
    with torch.no_grad():
        attention.to_qkv.weight.mul_(100)
        hidden = _random(1, 32, 16, 16)
        half = copy.deepcopy(attention).half()(hidden.half())
        torch.testing.assert_close(half.float(), attention(hidden), rtol=0.02, atol=0.3)


def test_attention_trains_in_half_precision_as_in_full(randomize: Callable[[nn.Module], nn.Module]) -> None:
    """Within bfloat16's precision, and in its dtype outside."""
    attention = randomize(WindowSelfAttention(32, 16, 4, shift=True, multi_frame=True))
    hidden = _random(2, 32, 8, 8).requires_grad_()
    expected = attention(hidden, 2)
    wanted = torch.autograd.grad(expected.square().sum(), hidden)[0]
    half = copy.deepcopy(attention).bfloat16()
    result = half(hidden.bfloat16(), 2)
    assert result.dtype == torch.bfloat16
    made = torch.autograd.grad(result.float().square().sum(), hidden)[0]
    assert (result.float() - expected).abs().mean() < 0.02 * expected.abs().mean()
    assert (made - wanted).abs().mean() < 0.05 * wanted.abs().mean()


def test_cross_attention_ignores_the_order_of_its_tokens(randomize: Callable[[nn.Module], nn.Module]) -> None:
    attention = randomize(PixelCrossAttention(32, 24, 16))
    hidden, context = _random(2, 32, 3, 4), _random(2, 5, 24)
    torch.testing.assert_close(attention(hidden, context), attention(hidden, context.flip(1)))


def test_positions_are_distinct_and_of_any_length() -> None:
    positions = sinusoidal_positions((7, 8, 8), torch.device("cpu"))
    assert positions.shape == (448, 24)
    assert torch.cdist(positions, positions).fill_diagonal_(1).min() > 0.1
