# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""transformers' segmentation models inside the Semantic Distiller: small random ones, instances and from folders."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn

from seeclear.models import SemanticDistiller, segmenters
from seeclear.models.segmenters import SEGMENTERS, build_segmenter

LABELS = {0: "dog", 1: "screen", 2: "screen", 3: "licence plate"}
SMALL = {"num_tokens": 4, "num_clip_tokens": 4, "instance_layers": 1, "heads": 2, "working_size": 64 * 96}
KINDS = ["mask2former", "oneformer", "videomt"]

needs_videomt = pytest.mark.skipif(
    not hasattr(transformers, "VideomtConfig"), reason="this version of transformers has no VideoMT"
)
PARAMETERS = [pytest.param(kind, marks=needs_videomt if kind == "videomt" else ()) for kind in KINDS]


def small_model(kind: str, swin: dict[str, Any], mask2former: dict[str, Any]) -> nn.Module:
    """A random model of transformers with every weight off its start."""
    torch.manual_seed(0)
    swin, mask2former = copy.deepcopy((swin, mask2former))  # transformers may change what it is given
    if kind == "mask2former":
        config = transformers.Mask2FormerConfig(**mask2former, id2label=LABELS)
        model = transformers.Mask2FormerForUniversalSegmentation(config)
    elif kind == "oneformer":
        config = transformers.OneFormerConfig(
            backbone_config=swin,
            num_queries=7,
            hidden_dim=32,
            conv_dim=32,
            mask_dim=32,
            encoder_feedforward_dim=16,
            encoder_layers=1,
            decoder_layers=3,
            num_attention_heads=2,
            dim_feedforward=16,
            query_dec_layers=1,
            task_seq_len=30,
            is_training=True,
            text_encoder_width=64,  # 64 for each head
            text_encoder_num_layers=1,
            text_encoder_vocab_size=60,
            id2label=LABELS,
        )
        model = transformers.OneFormerForUniversalSegmentation(config)
        for module in model.modules():  # as trained, with text mapper; but used
            if hasattr(module, "is_training"):
                module.is_training = False
    else:
        config = transformers.VideomtConfig(
            hidden_size=32,
            num_hidden_layers=3,
            num_blocks=2,
            num_attention_heads=2,
            image_size=64,
            num_queries=6,
            num_register_tokens=1,
            id2label=LABELS,
        )
        model = transformers.VideomtForUniversalSegmentation(config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def own_output(kind: str, model: Any, pixels: Tensor, tokenizer: Any, task: str = "panoptic") -> tuple[Tensor, Tensor]:
    """What the model itself gives for normalised frames (B, F, 3, H, W): masks and class logits, each (B, F, ...)."""
    clip = pixels.shape[:2]
    if kind == "videomt":
        output = model(pixels)
        frames_first = (output.masks_queries_logits, output.class_queries_logits)
        return tuple(value.unflatten(0, (clip[1], clip[0])).transpose(0, 1) for value in frames_first)
    inputs = {"pixel_values": pixels.flatten(0, 1)}
    if kind == "oneformer":
        encoded = tokenizer(f"the task is {task}", padding="max_length", max_length=30, return_tensors="pt")
        inputs["task_inputs"] = (encoded.input_ids * encoded.attention_mask).expand(clip[0] * clip[1], -1)
    output = model(**inputs)
    return output.masks_queries_logits.unflatten(0, clip), output.class_queries_logits.unflatten(0, clip)


@pytest.fixture(scope="module", autouse=True)
def losses_without_scipy() -> Iterator[None]:
    """transformers' models make their losses at once and refuse to without scipy; no loss is computed here."""
    with pytest.MonkeyPatch.context() as patch:
        for kind in KINDS:
            if kind != "videomt" or hasattr(transformers, "VideomtConfig"):
                patch.setattr(f"transformers.models.{kind}.modeling_{kind}.requires_backends", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def models(small_mask2former_config: dict[str, Any]) -> dict[str, nn.Module]:
    kinds = [kind for kind in KINDS if kind != "videomt" or hasattr(transformers, "VideomtConfig")]
    swin = small_mask2former_config["backbone_config"]
    return {kind: small_model(kind, swin, small_mask2former_config) for kind in kinds}


@pytest.fixture(scope="module")
def tokenizer(tokenizer_folder: Path) -> Any:
    return transformers.CLIPTokenizer.from_pretrained(tokenizer_folder)


def _clip(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("kind", PARAMETERS)
@torch.no_grad()
def test_masks_and_classes_are_the_models_own(kind: str, models: dict[str, nn.Module], tokenizer: Any) -> None:
    distiller = SemanticDistiller.from_segmenter(models[kind], tokenizer=tokenizer, **SMALL)
    assert list(distiller.config.vocabulary) == ["dog", "screen", "screen (2)", "licence plate"]
    frames = _clip(2, 3, 3, 24, 36)
    masks, classes = own_output(kind, models[kind], distiller.preprocess(frames), tokenizer)
    found = distiller.segment(frames)
    torch.testing.assert_close(found.masks[-1], masks, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(distiller.class_logits(found.queries), classes, rtol=1e-5, atol=1e-5)
    output = distiller(frames)
    best = classes.softmax(dim=-1)[..., :-1].amax(dim=-1).topk(4, dim=-1)
    torch.testing.assert_close(output.scores, best.values)
    torch.testing.assert_close(output.masks[1, 2], masks[1, 2, best.indices[1, 2]], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", PARAMETERS)
@torch.no_grad()
def test_pixels_and_embedded_queries_give_the_masks(kind: str, models: dict[str, nn.Module], tokenizer: Any) -> None:
    """The features are those whose product with the model's mask embedding is the mask."""
    distiller = SemanticDistiller.from_segmenter(models[kind], tokenizer=tokenizer, **SMALL)
    found = distiller.segment(_clip(1, 2, 3, 24, 36))
    model: Any = distiller.segmenter.model
    if kind == "videomt":
        embed = model.mask_head
    elif kind == "oneformer":
        embed = model.transformer_module.decoder.mask_embed
    else:
        embed = model.transformer_module.decoder.mask_predictor.mask_embedder
    products = torch.einsum("bfqd,bfdhw->bfqhw", embed(found.queries), found.features)
    torch.testing.assert_close(products, found.masks[-1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", PARAMETERS)
@torch.no_grad()
def test_from_a_folder_and_through_one(
    kind: str, models: dict[str, nn.Module], tokenizer: Any, tmp_path: Path
) -> None:
    """A folder gives what the instance gives; the saved distiller needs the folder no more."""
    models[kind].save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    distiller = SemanticDistiller.from_segmenter(tmp_path / "model", **SMALL)
    frames = _clip(1, 2, 3, 24, 36)
    masks, _ = own_output(kind, models[kind], distiller.preprocess(frames), tokenizer)
    torch.testing.assert_close(distiller.segment(frames).masks[-1], masks, rtol=1e-5, atol=1e-5)

    distiller.save_pretrained(tmp_path / "distiller")
    (tmp_path / "model").rename(tmp_path / "gone")
    loaded = SemanticDistiller.from_pretrained(tmp_path / "distiller")
    ours, theirs = distiller(frames), loaded(frames)
    for name in ("tokens", "features", "scores", "masks", "clip_tokens"):
        torch.testing.assert_close(getattr(theirs, name), getattr(ours, name), msg=name)
    assert torch.equal(theirs.labels, ours.labels)
    assert list(loaded.config.vocabulary) == ["dog", "screen", "screen (2)", "licence plate"]


@torch.no_grad()
def test_the_task_changes_what_oneformer_finds(models: dict[str, nn.Module], tokenizer: Any) -> None:
    frames = _clip(1, 1, 3, 24, 36)
    found = {}
    for task in ("panoptic", "semantic"):
        distiller = SemanticDistiller.from_segmenter(models["oneformer"], task=task, tokenizer=tokenizer, **SMALL)
        masks, _ = own_output("oneformer", models["oneformer"], distiller.preprocess(frames), tokenizer, task)
        found[task] = distiller.segment(frames).masks[-1]
        torch.testing.assert_close(found[task], masks, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(found["panoptic"], found["semantic"])


def test_what_only_training_and_classes_need_is_dropped(models: dict[str, nn.Module], tokenizer: Any) -> None:
    for kind, model in models.items():
        distiller = SemanticDistiller.from_segmenter(model, tokenizer=tokenizer, **SMALL)
        names = [name for name, _ in distiller.segmenter.named_parameters()]
        for part in ("text_mapper", "class_predictor", "class_embed", "criterion", "task_mlp"):
            assert not any(part in name for name in names), (kind, part)


@torch.no_grad()
def test_other_widths_give_one_projection_each(models: dict[str, nn.Module]) -> None:
    widths = {"token_dim": 24, "feature_dim": 12}
    distiller = SemanticDistiller.from_segmenter(models["mask2former"], **SMALL, **widths)
    output = distiller(_clip(1, 2, 3, 24, 36))
    assert output.tokens.shape == (1, 2, 4, 24) and output.clip_tokens.shape == (1, 4, 24)
    assert output.features.shape[:3] == (1, 2, 12)
    learned = {id(parameter) for parameter in distiller.projection_parameters()}
    names = {name.split(".")[0] for name, p in distiller.named_parameters() if id(p) in learned}
    assert names == {"token_projection", "feature_projection", "instances", "clip_token_to_pixel"}


@torch.no_grad()
def test_videomt_gets_the_size_it_was_made_for(models: dict[str, nn.Module]) -> None:
    if "videomt" not in models:
        pytest.skip("this version of transformers has no VideoMT")
    distiller = SemanticDistiller.from_segmenter(models["videomt"], **SMALL)
    assert distiller.working_size(180, 320) == (64, 64)
    output = distiller(_clip(1, 2, 3, 18, 50))
    assert output.features.shape == (1, 2, 32, 16, 16)  # patches of 16, enlarged by 4
    first_alone = distiller.segment(_clip(1, 2, 3, 18, 50)[:, :1])
    torch.testing.assert_close(distiller.segment(_clip(1, 2, 3, 18, 50)).queries[:, :1], first_alone.queries)


@torch.no_grad()
def test_plain_mask2former(models: dict[str, nn.Module], tmp_path: Path) -> None:
    """Without class head there is no vocabulary to take; one may be named, and stored later."""
    plain: Any = models["mask2former"].model
    plain.save_pretrained(tmp_path)
    frames = _clip(1, 1, 3, 24, 36)
    for model in (plain, tmp_path):
        distiller = SemanticDistiller.from_segmenter(model, vocabulary=("cat", "dog"), text_dim=5, **SMALL)
        masks = plain(distiller.preprocess(frames).flatten(0, 1)).masks_queries_logits[-1]
        torch.testing.assert_close(distiller.segment(frames).masks[-1][0], masks, rtol=1e-5, atol=1e-5)
        assert list(distiller.config.vocabulary) == ["cat", "dog"]


def test_open_vocabulary_around_a_pretrained_segmenter(models: dict[str, nn.Module]) -> None:
    options = {"open_vocabulary": True, "vocabulary": ("cat",), "text_dim": 8}
    distiller = SemanticDistiller.from_segmenter(models["mask2former"], **SMALL, **options)
    scores = distiller(_clip(1, 1, 3, 24, 36)).scores
    assert distiller.config.open_vocabulary and scores.abs().max() <= 1 + 1e-6


def test_what_can_not_be_read_is_refused(
    models: dict[str, nn.Module], tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"`vocabulary` was given; without `open_vocabulary`"):
        SemanticDistiller.from_segmenter(models["mask2former"], vocabulary=("cat",))
    with pytest.raises(ValueError, match=r"`task` is 'detection'"):
        SemanticDistiller.from_segmenter(models["oneformer"], task="detection", tokenizer=tokenizer)
    with pytest.raises(ValueError, match=r"`tokenizer` is None"):
        SemanticDistiller.from_segmenter(models["oneformer"])
    models["oneformer"].save_pretrained(tmp_path / "oneformer")
    with pytest.raises(ValueError, match=r"`tokenizer` is None, and '.*oneformer' has none"):
        SemanticDistiller.from_segmenter(tmp_path / "oneformer")
    projected = copy.deepcopy(models["oneformer"])
    projected.model.transformer_module.input_projections = [nn.Conv2d(32, 32, 1)]  # where the widths differ
    with pytest.raises(ValueError, match=r"`model` has input projections, which this version of transformers neither"):
        SemanticDistiller.from_segmenter(projected, tokenizer=tokenizer)
    with pytest.raises(ValueError, match=r"`model` is of type None"):
        SemanticDistiller.from_segmenter(nn.Linear(1, 1))
    clip = transformers.CLIPTextConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    clip.save_pretrained(tmp_path / "clip")
    with pytest.raises(ValueError, match=r"`model` is of type 'clip_text_model'; .*'mask2former', 'oneformer'"):
        SemanticDistiller.from_segmenter(tmp_path / "clip")
    with pytest.raises(ValueError, match=r"`segmenter_config` has model_type 'sam'"):
        build_segmenter({"model_type": "sam"})
    assert set(SEGMENTERS) == {"mobile", *KINDS}
    monkeypatch.setattr(segmenters.transformers, "VideomtConfig", None, raising=False)
    with pytest.raises(ValueError, match=r"needs VideomtConfig of transformers, which version .* lacks"):
        build_segmenter({"model_type": "videomt"})


def test_pickled_weights_are_refused(models: dict[str, nn.Module], tmp_path: Path) -> None:
    models["mask2former"].save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(models["mask2former"].state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(OSError, match=r"safetensors"):
        SemanticDistiller.from_segmenter(tmp_path)


def test_missing_weights_are_refused(models: dict[str, nn.Module], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    models["mask2former"].save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    state.pop("model.transformer_module.queries_features.weight")
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks the weights \['model.transformer_module.queries_features.weight'\]"):
        SemanticDistiller.from_segmenter(tmp_path)
