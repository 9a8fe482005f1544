# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The layers of a transformer against PyTorch's own, whose weights they take as they are."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from seeclear.models.transformer import (
    CrossAttention,
    SelfAttention,
    TransformerDecoderLayer,
    TransformerEncoderLayer,
)

Randomize = Callable[[nn.Module], nn.Module]
OPTIONS = {"dropout": 0.0, "batch_first": True, "norm_first": True}


def _random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("grad", [False, True])
def test_attention_is_torchs(grad: bool, randomize: Randomize) -> None:
    tokens, keys, values, mask = _random(3, 7, 16), _random(3, 5, 16), _random(3, 5, 17)[..., 1:], _random(3, 7, 5) > 0
    mask[..., 0] = True
    theirs = randomize(nn.MultiheadAttention(16, 2, batch_first=True)).eval()
    among, to_others = SelfAttention(16, 2), CrossAttention(16, 2)
    for ours in (among, to_others):
        ours.load_state_dict(theirs.state_dict())
    with torch.set_grad_enabled(grad):
        expected = theirs(tokens, tokens, tokens, need_weights=False)[0]
        torch.testing.assert_close(among(tokens), expected)
        expected = theirs(tokens, keys, values, need_weights=False)[0]
        torch.testing.assert_close(to_others(tokens, keys, values), expected)
        hidden = ~mask.repeat_interleave(2, dim=0)
        expected = theirs(tokens, keys, values, attn_mask=hidden, need_weights=False)[0]
        torch.testing.assert_close(to_others(tokens, keys, values, mask), expected)


@torch.no_grad()
def test_layers_are_torchs(randomize: Randomize) -> None:
    tokens, context = _random(3, 7, 16), _random(3, 5, 16)
    encoder = randomize(nn.TransformerEncoderLayer(16, 2, 24, **OPTIONS)).eval()
    ours = TransformerEncoderLayer(16, 2, 24)
    ours.load_state_dict(encoder.state_dict())
    torch.testing.assert_close(ours(tokens), encoder(tokens))
    decoder = randomize(nn.TransformerDecoderLayer(16, 2, 24, **OPTIONS)).eval()
    ours = TransformerDecoderLayer(16, 2, 24)
    ours.load_state_dict(decoder.state_dict())
    torch.testing.assert_close(ours(tokens, context), decoder(tokens, context))


def test_they_begin_as_torchs() -> None:
    """With the same weights from the same seed."""
    torch.manual_seed(0)
    theirs = nn.TransformerDecoderLayer(16, 2, 24, **OPTIONS).state_dict()
    torch.manual_seed(0)
    ours = TransformerDecoderLayer(16, 2, 24).state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
