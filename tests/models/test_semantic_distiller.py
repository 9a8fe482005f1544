# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from pathlib import Path
from typing import Any

import pytest
import torch

from seeclear.models import SemanticDistiller


@pytest.fixture
def distiller(small_distiller_config: dict[str, Any]) -> SemanticDistiller:
    torch.manual_seed(0)
    return SemanticDistiller(**small_distiller_config).eval()


def _clip(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("size", [(8, 8), (16, 24), (40, 56)])
@torch.no_grad()
def test_shapes_and_ranges(distiller: SemanticDistiller, size: tuple[int, int]) -> None:
    output = distiller(_clip(2, 3, 3, *size))
    assert output.tokens.shape == (2, 3, 4, 32)
    assert output.features.shape == (2, 3, 32, size[0] // 2, size[1] // 2)  # stride 4 of frames enlarged by 2
    assert output.masks.shape == (2, 3, 4, *output.features.shape[-2:])
    assert output.scores.shape == (2, 3, 4)
    assert output.scores.abs().max() <= 1 + 1e-6
    assert (output.scores.diff(dim=-1) <= 0).all()  # the most similar first


@torch.no_grad()
def test_kept_tokens_are_the_queries_nearest_to_the_vocabulary(distiller: SemanticDistiller) -> None:
    """Equations 8 and 9, worked again with every query."""
    frames = _clip(1, 1, 3, 32, 32)
    queries = distiller.segmenter(distiller._preprocess(frames[0])).transformer_decoder_last_hidden_state[0]
    vocabulary = torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    similarity = torch.cosine_similarity(distiller.query_to_text(queries)[:, None], vocabulary[None], dim=-1)
    nearest = similarity.max(dim=1).values
    order = nearest.argsort(descending=True)[:4]
    output = distiller(frames, vocabulary_embeddings=vocabulary)
    torch.testing.assert_close(output.tokens[0, 0], queries[order])
    torch.testing.assert_close(output.scores[0, 0], nearest[order])


@torch.no_grad()
def test_frames_and_clips_are_distilled_apart(distiller: SemanticDistiller) -> None:
    clip = _clip(2, 2, 3, 32, 32)
    together, alone = distiller(clip), distiller(clip[1:, 1:])
    torch.testing.assert_close(together.tokens[1:, 1:], alone.tokens, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together.features[1:, 1:], alone.features, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_save_and_load(distiller: SemanticDistiller, tmp_path: Path) -> None:
    distiller.save_pretrained(tmp_path)
    clip = _clip(1, 2, 3, 16, 24)
    loaded = SemanticDistiller.from_pretrained(tmp_path)
    assert loaded.config.vocabulary == ["thing", "stuff", "sky"]
    torch.testing.assert_close(loaded(clip).tokens, distiller(clip).tokens)


def test_every_weight_learns(distiller: SemanticDistiller) -> None:
    output = distiller.train()(_clip(1, 2, 3, 32, 32))
    outputs = (output.tokens, output.features, output.scores, output.masks)
    sum(value.square().sum() for value in outputs).backward()
    without = {name for name, p in distiller.named_parameters() if p.grad is None}
    # of transformers: a last norm of Swin that no stage needs, and inputs that a decoder of one layer does not reach
    assert {name.rsplit(".", 2)[-2] for name in without} <= {"layernorm", "1", "2"}, without


def test_errors_name_the_argument(distiller: SemanticDistiller, small_distiller_config: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="`low_res`"):
        distiller(torch.zeros(2, 3, 16, 16))
    with pytest.raises(ValueError, match="`vocabulary_embeddings`.*8"):
        distiller(_clip(1, 1, 3, 16, 16), vocabulary_embeddings=torch.zeros(3, 7))
    with pytest.raises(ValueError, match="`num_tokens` is 7"):
        SemanticDistiller(**small_distiller_config | {"num_tokens": 7})
    with pytest.raises(ValueError, match="`vocabulary`"):
        SemanticDistiller(**small_distiller_config | {"vocabulary": ()})
