# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Takes transformers' segmentation models apart for [`SemanticDistiller.from_segmenter`]: the segmenter, and its class
head as a vocabulary.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .segmenters import transformers_class

TASKS = ("panoptic", "instance", "semantic")
# what transformers writes into a configuration beside the architecture
_NOT_STORED = {
    *("architectures", "transformers_version", "_name_or_path", "dtype", "torch_dtype"),
    *("id2label", "label2id", "num_labels", "problem_type"),
}
# weights that a segmenter does without
_UNUSED: dict[str, tuple[str, ...]] = {
    "mask2former": (),
    "oneformer": ("transformer_module.decoder.class_embed.", "task_encoder.", "text_mapper."),
    "videomt": ("class_predictor.", "criterion."),
}
_LEFT_OUT = [r"criterion\.", r"text_mapper\."]


@dataclass
class PretrainedSegmenter:
    """What a pretrained segmentation model brings.

    Attributes:
        config: the `segmenter_config` of the distiller.
        state: the segmenter's weights.
        class_weights: (V + 1, D_q + 1), weights and bias of every class, "no object" last; None without class head.
        vocabulary: the names of the V classes.
    """

    config: dict[str, Any]
    state: dict[str, Tensor]
    class_weights: Tensor | None
    vocabulary: tuple[str, ...]


def read_segmenter(
    model: str | os.PathLike[str] | nn.Module, task: str = "panoptic", tokenizer: Any = None
) -> PretrainedSegmenter:
    """Reads a pretrained Mask2Former, OneFormer or VideoMT.

    Args:
        model: Hub id, folder (safetensors only) or instance, which stays as it is.
        task: of OneFormer, one of `TASKS`.
        tokenizer: of OneFormer; the one in the model's folder or repository if None.

    Raises:
        ValueError: another kind of model, one that the installed transformers lacks, weights that are missing, an
            unknown task, or no tokenizer for it.
    """
    if not isinstance(model, nn.Module):
        model = _load(model)
    kind = _kind(getattr(model, "config", None))
    base: Any = model if kind == "videomt" else getattr(model, "model", model)
    projections = () if kind == "videomt" else base.transformer_module.input_projections
    if not isinstance(projections, nn.ModuleList) and any(layer.state_dict() for layer in projections):
        raise ValueError("`model` has input projections, which this version of transformers neither saves nor loads")
    state = {f"model.{name}": value for name, value in base.state_dict().items() if not name.startswith(_UNUSED[kind])}
    if kind == "oneformer":
        state["model.task_encoder.token"] = _task_token(base, task, tokenizer)
        head = base.transformer_module.decoder.class_embed
    else:
        head = getattr(model, "class_predictor", None)
    config = _architecture(base.config.to_diff_dict()) | {"model_type": kind}
    if kind == "oneformer":
        config["is_training"] = False
    if head is None:
        return PretrainedSegmenter(config, state, None, ())
    class_weights = torch.cat([head.weight, head.bias[:, None]], dim=1).detach()
    labels = base.config.id2label
    return PretrainedSegmenter(config, state, class_weights, _unique([labels[i] for i in range(len(labels))]))


def _architecture(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration of transformers, the backbone's within it alike, without what is not about the architecture."""
    return {
        name: _architecture(value) if isinstance(value, dict) else value
        for name, value in config.items()
        if name not in _NOT_STORED
    }


def _kind(config: Any) -> str:
    """The model's type.

    Raises:
        ValueError: not one of those that can be read.
    """
    kind = getattr(config, "model_type", None)
    if kind not in _UNUSED:
        raise ValueError(f"`model` is of type {kind!r}; it must be one of {sorted(_UNUSED)} of transformers")
    return kind


def _load(name: str | os.PathLike[str]) -> Any:
    """The model of a folder or Hub id: the parts of it that are needed."""
    config = transformers_class("AutoConfig").from_pretrained(name, trust_remote_code=False)
    kind = _kind(config)
    if kind == "mask2former":
        known = _mask2former_with_classes()
    elif kind == "oneformer":
        config.is_training = False
        known = transformers_class("OneFormerModel")
    else:
        known = transformers_class("VideomtForUniversalSegmentation")
    # the same class, but no report of the weights that are left out on purpose
    model_class: Any = type(known.__name__, (known,), {"_keys_to_ignore_on_load_unexpected": _LEFT_OUT})
    model, loading = model_class.from_pretrained(
        name, config=config, use_safetensors=True, dtype=torch.float32, output_loading_info=True
    )
    missing = {key for key in loading["missing_keys"] if not key.startswith("criterion.")}
    head = {key for key in missing if kind == "mask2former" and key.startswith("class_predictor.")}
    if missing - head:
        raise ValueError(f"`model` {str(name)!r} lacks the weights {sorted(missing - head)[:3]}")
    return model.model if head else model


def _mask2former_with_classes() -> Any:
    """transformers' Mask2Former and its class head, without the loss, which could not be made without scipy."""
    from transformers import Mask2FormerModel, Mask2FormerPreTrainedModel

    class Mask2FormerWithClasses(Mask2FormerPreTrainedModel):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.model = Mask2FormerModel(config)
            self.class_predictor = nn.Linear(config.hidden_dim, config.num_labels + 1)
            self.post_init()

    return Mask2FormerWithClasses


@torch.no_grad()
def _task_token(model: Any, task: str, tokenizer: Any) -> Tensor:
    """What the task encoder of `model`, a OneFormer, makes of the task: (D,)."""
    if task not in TASKS:
        raise ValueError(f"`task` is {task!r}; it must be one of {TASKS}")
    if tokenizer is None:
        name = model.config._name_or_path
        if not name:
            raise ValueError("`tokenizer` is None; a OneFormer that was not loaded from anywhere needs its tokenizer")
        tokenizer = transformers_class("CLIPTokenizer").from_pretrained(name)
        if len(tokenizer) <= 3:  # transformers makes up one of special tokens where there are no files
            raise ValueError(f"`tokenizer` is None, and {name!r} has none; give OneFormer's")
    length = model.config.task_seq_len
    encoded = tokenizer(f"the task is {task}", padding="max_length", max_length=length, truncation=True)
    tokens = torch.tensor([i * seen for i, seen in zip(encoded["input_ids"], encoded["attention_mask"], strict=True)])
    return model.task_encoder(tokens[None].to(model.device, model.dtype))[0]


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """Numbers the names that occur more than once: "screen", "screen (2)"."""
    counts: dict[str, int] = {}
    unique = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        unique.append(name if counts[name] == 1 else f"{name} ({counts[name]})")
    return tuple(unique)
