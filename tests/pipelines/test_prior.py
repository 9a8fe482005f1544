# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""A lens is the prior of a condenser that shares its distiller: the same pairs in use and in training."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from seeclear import SeeClearPipeline, SemanticDistiller, SemanticLens, SemanticLensPipeline
from seeclear.pipelines.prior import check_prior, distiller_digest
from seeclear.training.prior import set_prior

ANOTHER = "`prior` was trained with the Semantic Distiller [0-9a-f]{16}, and the pipeline's is [0-9a-f]{16}; lens and"


@pytest.fixture
def distiller(small_distiller_config: dict[str, Any]) -> SemanticDistiller:
    torch.manual_seed(1)
    return SemanticDistiller(**small_distiller_config).eval()


def test_a_digest_is_the_same_in_every_precision(distiller: SemanticDistiller) -> None:
    digests = {
        distiller_digest(copy.deepcopy(distiller).to(dtype))
        for dtype in (torch.float32, torch.float16, torch.bfloat16)
    }
    saved = copy.deepcopy(distiller).half()
    digests |= {distiller_digest(copy.deepcopy(saved).to(dtype)) for dtype in (torch.float32, torch.bfloat16)}
    assert len(digests) == 1 and len(digests.pop()) == 16


def test_a_digest_changes_with_one_step_of_training(distiller: SemanticDistiller) -> None:
    before = distiller_digest(distiller)
    optimizer = torch.optim.AdamW(distiller.parameters(), 1e-3)
    output = distiller(torch.rand(1, 2, 3, 16, 16), masks=False)
    (output.tokens.square().mean() + output.features.square().mean()).backward()
    optimizer.step()
    assert distiller_digest(distiller) != before


def test_use_and_training_accept_and_refuse_alike(
    small_components: dict[str, Any], distiller: SemanticDistiller, small_lens_config: dict[str, Any], tmp_path: Path
) -> None:
    """With the lens' own distiller, with another one, and where the lens does not say which it has."""
    pipe = SeeClearPipeline(**small_components, clip_length=2)
    pipe.set_progress_bar_config(disable=True)
    for name, digest, refused in (
        ("own", distiller_digest(pipe.semantic_distiller), False),
        ("other", distiller_digest(distiller), True),
        ("unknown", None, False),
    ):
        lens = SemanticLens(**small_lens_config, distiller_digest=digest).eval()
        SemanticLensPipeline(lens, pipe.semantic_distiller).save_pretrained(tmp_path / name)
        for way in (
            lambda lens=lens: pipe(torch.rand(2, 3, 8, 8), prior=lens),
            lambda lens=lens: SeeClearPipeline(**pipe.components | {"prior": lens})(torch.rand(2, 3, 8, 8)),
            lambda name=name: set_prior(pipe, tmp_path / name),
            lambda name=name: set_prior(pipe, tmp_path / name / "semantic_lens"),
        ):
            if refused:
                with pytest.raises(ValueError, match=ANOTHER):
                    way()
            else:
                way()


def test_a_lens_without_semantic_modules_goes_with_any_distiller(
    small_components: dict[str, Any], small_lens_config: dict[str, Any]
) -> None:
    plain = dict.fromkeys(("image", "gps", "isee"), False)
    lens = SemanticLens(**small_lens_config | plain, distiller_digest="0" * 16)
    assert not lens.needs_semantics
    check_prior(lens, small_components["pixel_condenser"], small_components["semantic_distiller"])


@pytest.mark.parametrize("name", ["semantic-lens-tiny", "seeclear-star-tiny"])
def test_shipped_lenses_say_which_distiller_they_were_trained_with(name: str) -> None:
    pipeline: Any = SemanticLensPipeline if name == "semantic-lens-tiny" else SeeClearPipeline
    pipe = pipeline.from_pretrained(name)
    lens = pipe.semantic_lens if name == "semantic-lens-tiny" else pipe.prior
    assert lens.config.distiller_digest == distiller_digest(pipe.semantic_distiller)


def test_shipped_pairs() -> None:
    set_prior(SeeClearPipeline.from_pretrained("seeclear-star-tiny"), "semantic-lens-tiny")
    with pytest.raises(ValueError, match=ANOTHER):
        set_prior(SeeClearPipeline.from_pretrained("seeclear-tiny"), "semantic-lens-tiny")
