# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Open vocabulary, with a very small random CLIP text encoder and a tokenizer that spells."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

from seeclear.models import SemanticDistiller
from seeclear.pipelines.vocabulary import embed_text, embed_vocabulary


@pytest.fixture(scope="module")
def tokenizer(tokenizer_folder: Path) -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(tokenizer_folder)


@pytest.fixture(scope="module")
def text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModelWithProjection:
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=40,
        projection_dim=8,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return CLIPTextModelWithProjection(config).eval()


@pytest.fixture
def distiller(small_distiller_config: dict[str, Any]) -> SemanticDistiller:
    torch.manual_seed(0)
    return SemanticDistiller(**small_distiller_config | {"open_vocabulary": True}).eval()


@torch.no_grad()
def test_text_is_embedded_one_name_like_many(text_encoder: Any, tokenizer: Any) -> None:
    names = ["person", "licence plate", "sky"]
    embeddings = embed_text(names, text_encoder, tokenizer)
    assert embeddings.shape == (3, 8)
    torch.testing.assert_close(embeddings.norm(dim=-1), torch.ones(3))
    for name, embedding in zip(names, embeddings, strict=True):  # what it is padded with does not count
        inputs = tokenizer(f"a photo of a {name}", return_tensors="pt")
        alone = text_encoder(**inputs).text_embeds[0]
        torch.testing.assert_close(embedding, alone / alone.norm(), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(embed_text(names, text_encoder, tokenizer, template="{}"), embeddings, atol=1e-3)


@torch.no_grad()
def test_any_words_choose_the_tokens(distiller: SemanticDistiller, text_encoder: Any, tokenizer: Any) -> None:
    """Equations 8 and 9 with words: the queries nearest to them are kept, and labelled in their order."""
    names = ["licence plate", "brick wall"]
    vocabulary = embed_vocabulary(names, distiller, text_encoder, tokenizer)
    torch.testing.assert_close(vocabulary, embed_text(names, text_encoder, tokenizer))
    frames = torch.rand(1, 1, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    output = distiller(frames, vocabulary_embeddings=vocabulary)
    queries = distiller.segment(frames).queries[0, 0]
    cosines = torch.cosine_similarity(distiller.query_to_text(queries)[:, None], vocabulary[None], dim=-1)
    best = cosines.max(dim=1).values.topk(4)
    torch.testing.assert_close(output.scores[0, 0], best.values)
    torch.testing.assert_close(output.tokens[0, 0], queries[best.indices])
    assert torch.equal(output.labels[0, 0], cosines[best.indices].argmax(dim=1))


@torch.no_grad()
def test_stored_names_need_no_text_encoder(distiller: SemanticDistiller, text_encoder: Any, tokenizer: Any) -> None:
    assert torch.equal(embed_vocabulary(["sky", "thing"], distiller), distiller.vocabulary_embeddings[[2, 0]])
    mixed = embed_vocabulary(["car", "sky"], distiller, text_encoder, tokenizer)
    torch.testing.assert_close(mixed[:1], embed_text(["car"], text_encoder, tokenizer))
    assert torch.equal(mixed[1], distiller.vocabulary_embeddings[2])


def test_precomputed_words_are_stored(
    distiller: SemanticDistiller, text_encoder: Any, tokenizer: Any, tmp_path: Path
) -> None:
    names = ["person", "licence plate"]
    embeddings = embed_text(names, text_encoder, tokenizer)
    distiller.set_vocabulary(names, embeddings)
    distiller.save_pretrained(tmp_path)
    loaded = SemanticDistiller.from_pretrained(tmp_path)
    torch.testing.assert_close(embed_vocabulary(names, loaded), embeddings)


def test_what_can_not_be_known_is_refused(
    distiller: SemanticDistiller, small_distiller_config: dict[str, Any], text_encoder: Any, tokenizer: Any
) -> None:
    with pytest.raises(
        ValueError, match=r"has \['car'\]; .* knows thing, stuff, sky, and other names need a text enc"
    ):
        embed_vocabulary(["car"], distiller)
    closed = SemanticDistiller(**small_distiller_config)
    with pytest.raises(ValueError, match=r"has \['car'\]; .* other names need a distiller with an open vocabulary"):
        embed_vocabulary(["car", "sky"], closed, text_encoder, tokenizer)
    for wrong in ([], ["car", "car"], "car"):
        with pytest.raises(ValueError, match=r"`vocabulary` is .*; it must be a list that names at least one entry"):
            embed_vocabulary(wrong, distiller, text_encoder, tokenizer)
    with pytest.raises(ValueError, match=r"`vocabulary` has 'z{60}' of 71 tokens; the text encoder reads at most 40"):
        embed_vocabulary(["car", "z" * 60], distiller, text_encoder, tokenizer)
    wide = SemanticDistiller(**small_distiller_config | {"open_vocabulary": True, "text_dim": 9})
    with pytest.raises(ValueError, match=r"`text_encoder` gives 8 numbers a name; this distiller needs 9"):
        embed_vocabulary(["car"], wide, text_encoder, tokenizer)
