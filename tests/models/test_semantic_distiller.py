# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import math
from pathlib import Path
from typing import Any

import accelerate
import pytest
import torch

from seeclear.models import SemanticDistiller


@pytest.fixture
def distiller(small_distiller_config: dict[str, Any]) -> SemanticDistiller:
    torch.manual_seed(0)
    return SemanticDistiller(**small_distiller_config).eval()


@pytest.fixture
def open_distiller(small_distiller_config: dict[str, Any]) -> SemanticDistiller:
    torch.manual_seed(0)
    return SemanticDistiller(**small_distiller_config | {"open_vocabulary": True}).eval()


def _clip(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("size", [(8, 8), (17, 23), (40, 200)])
@torch.no_grad()
def test_shapes_and_ranges(distiller: SemanticDistiller, size: tuple[int, int]) -> None:
    output = distiller(_clip(2, 3, 3, *size))
    grid = tuple(n // 4 for n in distiller.working_size(*size))
    assert output.tokens.shape == (2, 3, 4, 32)
    assert output.features.shape == (2, 3, 32, *grid)
    assert output.masks.shape == (2, 3, 4, *grid)
    assert output.scores.shape == output.labels.shape == (2, 3, 4)
    assert output.clip_tokens.shape == (2, 4, 32)
    assert output.clip_masks.shape == (2, 3, 4, *grid)
    assert 0 <= output.scores.min() and output.scores.max() <= 1
    assert (output.scores.diff(dim=-1) <= 0).all()  # the most similar first
    assert output.labels.dtype == torch.int64 and set(output.labels.flatten().tolist()) <= {0, 1, 2}
    assert len(distiller(_clip(1, 1, 3, 8, 8), return_dict=False)) == 7


@torch.no_grad()
def test_kept_tokens_are_the_queries_nearest_to_the_vocabulary(open_distiller: SemanticDistiller) -> None:
    """Equations 8 and 9, worked again with every query."""
    frames = _clip(1, 1, 3, 32, 32)
    found = open_distiller.segment(frames)
    vocabulary = torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    text = open_distiller.query_to_text(found.queries[0, 0])
    similarity = torch.cosine_similarity(text[:, None], vocabulary[None], dim=-1)
    nearest = similarity.max(dim=1)
    order = nearest.values.argsort(descending=True)[:4]
    output = open_distiller(frames, vocabulary_embeddings=vocabulary)
    torch.testing.assert_close(output.tokens[0, 0], found.queries[0, 0, order])
    torch.testing.assert_close(output.scores[0, 0], nearest.values[order])
    torch.testing.assert_close(output.masks[0, 0], found.masks[-1][0, 0, order])
    assert torch.equal(output.labels[0, 0], nearest.indices[order])


@torch.no_grad()
def test_similarity_with_classes_leaves_a_rest_for_no_object(distiller: SemanticDistiller) -> None:
    queries = torch.randn(2, 6, 32, generator=torch.Generator().manual_seed(1))
    logits = distiller.class_logits(queries)
    assert logits.shape == (2, 6, 4)
    text = distiller.query_to_text(queries[1, 5])
    torch.testing.assert_close(logits[1, 5, 1], text @ distiller.vocabulary_embeddings[1])
    torch.testing.assert_close(logits[1, 5, 3], text @ distiller.no_object_embedding)
    similarity = distiller.similarity(queries)
    torch.testing.assert_close(similarity, logits.exp()[..., :3] / logits.exp().sum(dim=-1, keepdim=True))

    one = distiller.similarity(queries, distiller.embed_vocabulary(["stuff"]))
    torch.testing.assert_close(one[..., 0], (logits[..., 1] - logits[..., 3]).sigmoid())


@torch.no_grad()
def test_clip_masks_are_the_product_of_clip_tokens_and_pixels(distiller: SemanticDistiller) -> None:
    tokens, features = _clip(2, 3, 4, 32), _clip(2, 3, 32, 5, 6)
    clip_tokens, clip_masks = distiller.follow(tokens, features)
    torch.testing.assert_close(clip_tokens, distiller.instances(tokens))
    by_hand = (clip_tokens[1, 2] * features[1, 0, :, 4, 5]).sum()
    torch.testing.assert_close(clip_masks[1, 0, 2, 4, 5], by_hand)
    # a clip-wise token knows all frames, the order of the tokens within a frame does not matter
    changed, _ = distiller.follow(torch.cat([tokens[:, :2], tokens[:, 2:] + 1], dim=1), features)
    assert not torch.allclose(changed, clip_tokens, atol=1e-3)
    torch.testing.assert_close(distiller.follow(tokens.flip(2), features)[0], clip_tokens, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_frames_and_clips_are_segmented_apart(distiller: SemanticDistiller) -> None:
    clip = _clip(2, 2, 3, 32, 32)
    together, alone = distiller(clip), distiller(clip[1:, 1:])
    for name in ("tokens", "features", "masks"):
        torch.testing.assert_close(getattr(together, name)[1:, 1:], getattr(alone, name), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "size, expected",
    [
        ((180, 320), (224, 384)),  # the area, rounded to multiples of 32
        ((320, 180), (384, 224)),
        ((45, 80), (192, 320)),  # at most four times as large
        ((1080, 1920), (224, 384)),
        ((4, 4), (64, 64)),  # at least two strides
        ((224, 384), (224, 384)),
    ],
)
def test_working_size(distiller: SemanticDistiller, size: tuple[int, int], expected: tuple[int, int]) -> None:
    distiller.register_to_config(working_size=224 * 384)
    assert distiller.working_size(*size) == expected


def test_preprocessing(distiller: SemanticDistiller) -> None:
    grey = torch.zeros(1, 2, 3, 16, 16)
    pixels = distiller.preprocess(grey)
    assert pixels.shape == (1, 2, 3, 64, 64)
    expected = (torch.full((3,), 0.5) - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(pixels[0, 1].mean(dim=(1, 2)), expected, rtol=1e-4, atol=1e-5)
    same = _clip(1, 1, 3, 64, 64)
    restored = distiller.preprocess(same) * torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    restored = restored + torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    torch.testing.assert_close(restored * 2 - 1, same)


def test_stored_names_are_embedded(distiller: SemanticDistiller) -> None:
    embeddings = distiller.embed_vocabulary(["sky", "thing"])
    assert torch.equal(embeddings, distiller.vocabulary_embeddings[[2, 0]])


def test_a_new_vocabulary_is_saved_with_the_weights(open_distiller: SemanticDistiller, tmp_path: Path) -> None:
    embeddings = torch.randn(2, 8, generator=torch.Generator().manual_seed(1))
    open_distiller.set_vocabulary(["car", "tree"], embeddings)
    assert [name for name, _ in open_distiller.named_parameters()].count("vocabulary_embeddings") == 1
    open_distiller.save_pretrained(tmp_path)
    loaded = SemanticDistiller.from_pretrained(tmp_path)
    assert list(loaded.config.vocabulary) == ["car", "tree"]
    assert torch.equal(loaded.embed_vocabulary(["tree"]), embeddings[1:])
    with torch.no_grad():
        labels = loaded(_clip(1, 1, 3, 16, 16)).labels
    assert set(labels.flatten().tolist()) <= {0, 1}


@torch.no_grad()
def test_save_and_load(distiller: SemanticDistiller, tmp_path: Path) -> None:
    distiller.save_pretrained(tmp_path)
    clip = _clip(1, 2, 3, 16, 24)
    loaded = SemanticDistiller.from_pretrained(tmp_path)
    assert list(loaded.config.vocabulary) == ["thing", "stuff", "sky"]
    torch.testing.assert_close(loaded(clip).clip_tokens, distiller(clip).clip_tokens)


@torch.no_grad()
def test_offloaded_weights_come_back_for_the_vocabulary(distiller: SemanticDistiller) -> None:
    expected = distiller.vocabulary_embeddings[[1]].clone()
    accelerate.cpu_offload(distiller, execution_device=torch.device("cpu"), offload_buffers=True)
    assert distiller.vocabulary_embeddings.is_meta
    assert torch.equal(distiller.embed_vocabulary(["stuff"]), expected)


@pytest.mark.parametrize("motion", [False, True])
@pytest.mark.parametrize("given", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_half_precision(given: torch.dtype, motion: bool, small_distiller_config: dict[str, Any]) -> None:
    """Of frames that are made smaller, too, in float32 or in the dtype of the weights."""
    torch.manual_seed(0)
    distiller = SemanticDistiller(**small_distiller_config | {"motion": motion}).eval()
    for size in ((16, 16), (150, 210)):
        clip = _clip(1, 2, 3, *size)
        output = distiller.float()(clip)
        half = distiller.to(torch.bfloat16)(clip.to(given))
        assert half.tokens.dtype == half.clip_masks.dtype == torch.bfloat16
        assert (half.features.float() - output.features).abs().mean() < 0.1 * output.features.abs().mean()


def test_every_weight_learns(small_distiller_config: dict[str, Any]) -> None:
    torch.manual_seed(0)
    distiller = SemanticDistiller(**small_distiller_config, token_dim=24, feature_dim=12).train()
    output = distiller(_clip(1, 2, 3, 32, 32))
    fields = (output.tokens, output.features, output.scores, output.masks, output.clip_tokens, output.clip_masks)
    sum(value.square().sum() for value in fields).backward()
    without = {name for name, p in distiller.named_parameters() if p.grad is None}
    # of transformers: a last norm of Swin that no stage needs, and inputs that a decoder of one layer does not reach
    assert {name.rsplit(".", 2)[-2] for name in without} <= {"layernorm", "1", "2"}, without


def test_mobile_segmenter_in_the_distiller(small_distiller_config: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    segmenter = {"model_type": "mobile", "hidden_dim": 32, "num_queries": 6, "decoder_layers": 2}
    distiller = SemanticDistiller(**small_distiller_config | {"segmenter_config": segmenter}).eval()
    clip = _clip(1, 2, 3, 16, 24)
    with torch.no_grad():
        output = distiller(clip)
        distiller.save_pretrained(tmp_path)
        loaded = SemanticDistiller.from_pretrained(tmp_path)(clip)
    assert math.prod(output.masks.shape) == 2 * 4 * math.prod(distiller.working_size(16, 24)) // 16
    torch.testing.assert_close(loaded.clip_masks, output.clip_masks)
    # the masks are the product of tokens and pixels themselves
    products = torch.einsum("bfkd,bfdhw->bfkhw", output.tokens, output.features)
    torch.testing.assert_close(products, output.masks, rtol=1e-4, atol=1e-5)


def test_errors_name_the_argument(distiller: SemanticDistiller, small_distiller_config: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="`low_res`"):
        distiller(torch.zeros(2, 3, 16, 16))
    with pytest.raises(ValueError, match="`vocabulary_embeddings`.*8"):
        distiller(_clip(1, 1, 3, 16, 16), vocabulary_embeddings=torch.zeros(3, 7))
    with pytest.raises(ValueError, match="`num_tokens` is 7"):
        SemanticDistiller(**small_distiller_config | {"num_tokens": 7})
    for wrong in ((), ("a", "a"), "sky"):
        with pytest.raises(ValueError, match="`vocabulary` is .* none twice"):
            SemanticDistiller(**small_distiller_config | {"vocabulary": wrong})
        with pytest.raises(ValueError, match="`vocabulary` is .* none twice"):
            distiller.embed_vocabulary(wrong)
    message = (
        r"has \['car'\]; this distiller knows thing, stuff, sky, and .* an open vocabulary, and with a text encoder"
    )
    with pytest.raises(ValueError, match=message):
        distiller.embed_vocabulary(["sky", "car"])
    distiller.set_vocabulary([str(i) for i in range(15)], torch.zeros(15, 8))
    with pytest.raises(ValueError, match=r"10, 11 and 3 others, and other"):
        distiller.embed_vocabulary(["car"])
    with pytest.raises(ValueError, match=r"`embeddings` is \(2, 7\); it must be \(2, 8\)"):
        distiller.set_vocabulary(["car", "tree"], torch.zeros(2, 7))
    with pytest.raises(ValueError, match="`segmenter_config` has model_type None"):
        SemanticDistiller(**small_distiller_config | {"segmenter_config": {}})


@torch.no_grad()
def test_without_masks_all_else_is_the_same(small_distiller_config: dict[str, Any]) -> None:
    """And what moves is not looked for."""
    distiller = SemanticDistiller(**small_distiller_config | {"motion": True}).eval()
    frames = _clip(1, 3, 3, 40, 64)
    whole = distiller(frames)
    del distiller.motion_head
    less = distiller(frames, masks=False)
    assert less.masks is None and less.clip_masks is None
    for name in ("tokens", "features", "scores", "labels", "clip_tokens"):
        assert torch.equal(less[name], whole[name])


@torch.no_grad()
def test_motion_changes_masks_only(small_distiller_config: dict[str, Any]) -> None:
    torch.manual_seed(0)
    distiller = SemanticDistiller(**small_distiller_config | {"motion": True}).eval()
    frames = _clip(1, 3, 3, 40, 64)
    before = distiller(frames)
    torch.nn.init.normal_(distiller.motion_head.out.weight)
    after = distiller(frames)
    for name in ("tokens", "features", "scores", "labels", "clip_tokens"):
        assert torch.equal(before[name], after[name])
    torch.testing.assert_close(distiller.follow(after.tokens, after.features)[1], before.clip_masks)
    change = distiller.motion_head(after.features, frames / 2 + 0.5)
    expected = before.masks + torch.einsum("bfkd,bfdhw->bfkhw", after.tokens, change)
    torch.testing.assert_close(after.masks, expected, rtol=1e-4, atol=1e-4)
    expected = before.clip_masks + torch.einsum("bkd,bfdhw->bfkhw", after.clip_tokens, change)
    torch.testing.assert_close(after.clip_masks, expected, rtol=1e-4, atol=1e-4)
