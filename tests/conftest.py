# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Settings for the whole suite: no network, the same examples on every run; networks small enough for every test."""

import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import settings
from torch import nn

os.environ["HF_HUB_OFFLINE"] = "1"

settings.register_profile("seeclear", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("seeclear")

SMALL_CONDENSER = {
    "channels": (16, 16, 32),
    "head_dim": 8,
    "window_size": 4,
    "self_attention": (False, True, True),
    "time_embed_dim": 16,
    "semantic_token_dim": 32,
    "semantic_feature_dim": 32,
    "token_dim": 16,
    "num_clip_tokens": 4,
    "num_groups": 6,
    "texture_dim": 16,
}
SMALL_DISTILLER = {
    "segmenter_config": {
        "backbone_config": {
            "model_type": "swin",
            "embed_dim": 8,
            "depths": [1, 1, 1, 1],
            "num_heads": [1, 1, 2, 2],
            "window_size": 4,
            "out_features": ["stage1", "stage2", "stage3", "stage4"],
        },
        "feature_size": 64,
        "mask_feature_size": 32,
        "hidden_dim": 32,
        "encoder_feedforward_dim": 16,
        "encoder_layers": 1,
        "decoder_layers": 2,
        "num_attention_heads": 2,
        "dim_feedforward": 16,
        "num_queries": 6,
        "dropout": 0.0,
    },
    "num_tokens": 4,
    "vocabulary": ("thing", "stuff", "sky"),
    "text_dim": 8,
}


def _randomize(module: nn.Module, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return module


@pytest.fixture(scope="session")
def randomize() -> Callable[..., nn.Module]:
    """Moves all parameters off their start: many layers start at zero and would hide what a test looks for."""
    return _randomize


@pytest.fixture(scope="session")
def small_condenser_config() -> dict[str, Any]:
    """A Pixel Condenser with everything on, of 3 levels."""
    return dict(SMALL_CONDENSER)


@pytest.fixture(scope="session")
def small_distiller_config() -> dict[str, Any]:
    """A Semantic Distiller whose tokens and features fit `small_condenser_config`."""
    return dict(SMALL_DISTILLER)


@pytest.fixture
def small_components() -> dict[str, Any]:
    """The parts of a small pipeline, with random weights everywhere."""
    from seeclear import BlurringResShiftScheduler, PixelCondenser, SemanticDistiller

    torch.manual_seed(0)
    return {
        "pixel_condenser": _randomize(PixelCondenser(**SMALL_CONDENSER)).eval(),
        "semantic_distiller": SemanticDistiller(**SMALL_DISTILLER).eval(),
        "scheduler": BlurringResShiftScheduler(sampler="resshift"),
    }
