# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""A lens that cleans its frames before it propagates anything from them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seeclear.models import SemanticLens
from seeclear.models.cleaning import FrameCleaning
from seeclear.pipelines.pipeline_semantic_lens import TILE_MARGIN, tile_margin

PLAIN = dict.fromkeys(("image", "gps", "isee", "multi_frame_attention"), False)


def lens(randomize: Callable[..., nn.Module], **config: Any) -> SemanticLens:
    torch.manual_seed(0)
    made = randomize(SemanticLens(channels=16, head_dim=8, **PLAIN, motion_compensation=True, **config)).eval()
    assert isinstance(made, SemanticLens)
    return made


def frames(seed: int = 0) -> Tensor:
    return torch.rand(1, 3, 3, 12, 20, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@torch.no_grad()
def test_untrained_it_changes_nothing_and_trained_it_comes_before_all_else(
    randomize: Callable[..., nn.Module],
) -> None:
    plain, cleaning = lens(randomize), lens(randomize, cleaning_blocks=2)
    assert cleaning.cleaning is not None and plain.cleaning is None
    missing, unexpected = cleaning.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected and all(name.startswith("cleaning.") for name in missing)
    with torch.no_grad():
        cleaning.cleaning.conv_out.weight.zero_()
        cleaning.cleaning.conv_out.bias.zero_()
    output = cleaning(frames())
    torch.testing.assert_close(output.sample, plain(frames()).sample)
    torch.testing.assert_close(output.cleaned, frames())
    assert plain(frames()).cleaned is None and len(plain(frames(), return_dict=False)) == 1

    cleaning.cleaning.conv_out.bias.add_(0.1)
    output = cleaning(frames())
    torch.testing.assert_close(output.cleaned, frames() + 0.1)
    flow = plain.estimate_flow(frames())  # of the frames as they came
    torch.testing.assert_close(output.sample, plain(frames() + 0.1, flow=flow).sample)
    sample, cleaned = cleaning(frames(), return_dict=False)
    assert torch.equal(sample, output.sample) and torch.equal(cleaned, output.cleaned)


def test_each_frame_is_cleaned_by_itself_and_both_results_have_gradients(randomize: Callable[..., nn.Module]) -> None:
    made = lens(randomize, cleaning_blocks=1)
    alone = torch.cat([made(frames()[:, i : i + 1]).cleaned for i in range(3)], dim=1)
    torch.testing.assert_close(made(frames()).cleaned, alone)
    for name in ("sample", "cleaned"):
        made.zero_grad()
        made(frames())[name].sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in made.cleaning.parameters())  # type: ignore[union-attr]


@torch.no_grad()
def test_frames_keep_their_bits_where_weights_have_fewer(randomize: Callable[..., nn.Module]) -> None:
    made = lens(randomize, cleaning_blocks=1)
    assert made.cleaning is not None
    made.cleaning.conv_out.weight.zero_()
    made.cleaning.conv_out.bias.zero_()
    cleaned = made.to(torch.bfloat16)(frames()).cleaned
    assert cleaned.dtype == torch.float32 and torch.equal(cleaned, frames())


def test_tiles_see_as_much_more(randomize: Callable[..., nn.Module]) -> None:
    shallow = {"backward_blocks": 3, "forward_blocks": 3}
    assert tile_margin(lens(randomize, **shallow)) == TILE_MARGIN
    assert tile_margin(lens(randomize, **shallow, cleaning_blocks=3)) == 2 * (3 + 3) + 2


def test_untrained_cleaning_adds_zero() -> None:
    assert FrameCleaning(2, 16)(torch.rand(2, 3, 5, 6)).abs().max() == 0


def test_there_is_a_block_at_least() -> None:
    with pytest.raises(ValueError, match="`cleaning_blocks` is 0; it must be at least 1, or None"):
        SemanticLens(cleaning_blocks=0)
