# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import pytest
import torch

from seeclear import BlurringResShiftScheduler, PixelCondenser, SemanticDistiller, SemanticLens
from seeclear.pipelines.presets import build_components, build_lens_components


def test_the_parts_of_a_pipeline_are_of_the_named_size() -> None:
    with torch.device("meta"):
        parts = build_components("tiny")
        lens_parts = build_lens_components("semantic-lens-tiny")
    assert [type(part) for part in parts.values()] == [PixelCondenser, SemanticDistiller, BlurringResShiftScheduler]
    assert [type(part) for part in lens_parts.values()] == [SemanticLens, SemanticDistiller]
    assert parts["pixel_condenser"].config.motion_reach == 2
    assert lens_parts["semantic_lens"].config.hidden_channels == 32


def test_an_unknown_size_is_named() -> None:
    with pytest.raises(ValueError, match="`preset` is 'huge'; it must be one of .*base.*tiny"):
        build_components("huge")
    with pytest.raises(ValueError, match="`preset` is 'huge'; it must be one of .*semantic-lens-tiny"):
        build_lens_components("huge")
