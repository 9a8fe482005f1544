# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from seeclear.models import LENS_PRESETS, PRESETS, PixelCondenser, SemanticDistiller, SemanticLens


def _count(*models: nn.Module) -> int:
    return sum(p.numel() for model in models for p in model.parameters())


def test_tiny_has_at_most_8_million_parameters() -> None:
    with torch.device("meta"):
        parts = [
            PixelCondenser(**PRESETS["tiny"]["pixel_condenser"]),
            SemanticDistiller(**PRESETS["tiny"]["semantic_distiller"]),
        ]
    assert _count(*parts) <= 8_000_000


def test_base_is_of_the_papers_size_and_costs_no_more_than_resshift() -> None:
    """229.23 M parameters in all within 5 %; one step of one 512x512 frame at most 405 GFLOP."""
    with torch.device("meta"):
        condenser = PixelCondenser(**PRESETS["base"]["pixel_condenser"]).requires_grad_(False).eval()
        distiller = SemanticDistiller(**PRESETS["base"]["semantic_distiller"])
        assert abs(_count(condenser, distiller) / 229.23e6 - 1) < 0.05
        frame = torch.empty(1, 1, 3, 512, 512)
        tokens = torch.empty(1, 1, distiller.config.num_tokens, distiller.token_dim)
        features = torch.empty(1, 1, distiller.feature_dim, 64, 64)
        clip_tokens = torch.empty(1, distiller.config.num_clip_tokens, distiller.token_dim)
        with FlopCounterMode(display=False) as counter:
            condenser(frame, torch.zeros(()), frame, tokens, features, clip_tokens)
    assert 300e9 < counter.get_total_flops() <= 405e9


@pytest.mark.parametrize("preset", [*PRESETS, *LENS_PRESETS])
def test_networks_fit_together_and_words_choose(preset: str) -> None:
    """Where as many queries as there are become tokens, a vocabulary only labels them."""
    config = (PRESETS | LENS_PRESETS)[preset]
    with torch.device("meta"):
        distiller = SemanticDistiller(**config["semantic_distiller"])
        if preset in PRESETS:
            network: nn.Module = PixelCondenser(**config["pixel_condenser"])
        else:
            network = SemanticLens(**config["semantic_lens"])
    assert network.config.semantic_token_dim == distiller.token_dim
    assert network.config.semantic_feature_dim == distiller.feature_dim
    assert distiller.config.num_tokens < distiller.segmenter.num_queries


def test_the_lens_is_small_and_fast() -> None:
    """At most 4 M parameters beside the distiller, and 80 GFLOP a 320x180 frame, most of it in convolutions, even with
    every module on.
    """
    config = LENS_PRESETS["semantic-lens-tiny"]["semantic_lens"]
    with torch.device("meta"):
        switches = dict.fromkeys(("image", "gps", "isee", "multi_frame_attention"), True)
        lens = SemanticLens(**config | switches).requires_grad_(False)
        frames = torch.empty(1, 2, 3, 180, 320)
        features, masks = torch.empty(1, 2, 64, 45, 80), torch.empty(1, 2, 16, 45, 80)
        with FlopCounterMode(display=False) as counter:
            lens(frames, features, torch.empty(1, 16, 64), masks)
    assert _count(lens) <= 4_000_000
    assert counter.get_total_flops() <= 2 * 80e9
    convolutions = counter.get_flop_counts()["Global"][torch.ops.aten.convolution]
    assert convolutions >= 0.8 * counter.get_total_flops()
