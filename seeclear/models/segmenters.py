# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What the Semantic Distiller can segment with, behind one interface: frames in; queries, pixel features and masks
out.
"""

from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from .mobile_segmenter import MobileSegmenter

STRIDE = 32
"""Frames are brought to a height and width that are multiples of this."""


@dataclass
class Segmentation:
    """What a segmenter finds in a clip.

    Attributes:
        queries: (B, F, Q, D_q).
        features: pixel features (B, F, D_p, h, w).
        masks: mask logits (B, F, Q, h, w) after every layer of the query decoder; the last are those of `queries`.
    """

    queries: Tensor
    features: Tensor
    masks: list[Tensor]


class Segmenter(nn.Module):
    """Segments the frames of a clip (B, F, 3, H, W), normalised by ImageNet's statistics.

    Attributes:
        num_queries: Q.
        query_dim: D_q.
        feature_dim: D_p.
        size: the height and width that the frames must have; None: any multiples of `STRIDE`.
        masks_are_products: whether the masks are the products of queries and pixel features.
    """

    num_queries: int
    query_dim: int
    feature_dim: int
    size: tuple[int, int] | None = None
    masks_are_products: bool = False

    def forward(self, pixels: Tensor) -> Segmentation:
        raise TypeError(f"{type(self).__name__} does not define how it segments")


class Mobile(Segmenter):
    """[`MobileSegmenter`], the default's. Arguments: its own."""

    masks_are_products = True

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.model = MobileSegmenter(**arguments)
        self.num_queries, self.query_dim = self.model.queries.shape
        self.feature_dim = self.query_dim

    def forward(self, pixels: Tensor) -> Segmentation:
        queries, features, masks = self.model(pixels.flatten(0, 1))
        clip = pixels.shape[:2]
        return Segmentation(
            queries.unflatten(0, clip), features.unflatten(0, clip), [mask.unflatten(0, clip) for mask in masks]
        )


def _register_projections(module: nn.Module) -> None:
    """Some versions of transformers keep these layers in a plain list, where they are neither saved nor moved."""
    module.input_projections = nn.ModuleList(module.input_projections)  # type: ignore[arg-type]


class Mask2Former(Segmenter):
    """transformers' Mask2Former without its class head. Arguments: those of `Mask2FormerConfig`."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        config = transformers_class("Mask2FormerConfig")(**arguments)
        self.model = transformers_class("Mask2FormerModel")(config)
        _register_projections(self.model.transformer_module)
        self.num_queries, self.query_dim = config.num_queries, config.hidden_dim
        self.feature_dim = config.mask_feature_size

    def forward(self, pixels: Tensor) -> Segmentation:
        found = self.model(pixels.flatten(0, 1), output_hidden_states=False)
        queries = self.model.transformer_module.decoder.layernorm(found.transformer_decoder_last_hidden_state)
        features, masks = found.pixel_decoder_last_hidden_state, found.masks_queries_logits
        clip = pixels.shape[:2]
        return Segmentation(
            queries.unflatten(0, clip), features.unflatten(0, clip), [mask.unflatten(0, clip) for mask in masks]
        )


class TaskToken(nn.Module):
    """What OneFormer's task encoder makes of its task, which is the same for every frame."""

    def __init__(self, hidden_dim: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(hidden_dim))

    def forward(self, task_inputs: Tensor) -> Tensor:
        """`task_inputs` (N, any) -> (N, D)."""
        return self.token.expand(len(task_inputs), -1)


class OneFormer(Segmenter):
    """transformers' OneFormer for one task, without class head, task encoder and text mapper. Arguments: those of
    `OneFormerConfig`.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        config = transformers_class("OneFormerConfig")(**arguments)
        self.model = transformers_class("OneFormerModel")(config)
        _register_projections(self.model.transformer_module)
        self.model.task_encoder = TaskToken(config.hidden_dim)
        self.model.transformer_module.decoder.class_embed = nn.Identity()  # its "classes" are the normed queries
        self.num_queries, self.query_dim, self.feature_dim = config.num_queries, config.hidden_dim, config.mask_dim

    def forward(self, pixels: Tensor) -> Segmentation:
        frames = pixels.flatten(0, 1)
        found = self.model(frames, task_inputs=frames.new_zeros(len(frames), 1), output_hidden_states=True)
        earlier = found.transformer_decoder_auxiliary_predictions or ()
        masks = [prediction["masks_queries_logits"] for prediction in earlier]
        masks.append(found.transformer_decoder_mask_predictions)
        queries, features = found.transformer_decoder_class_predictions, found.pixel_decoder_hidden_states[0]
        clip = pixels.shape[:2]
        return Segmentation(
            queries.unflatten(0, clip), features.unflatten(0, clip), [mask.unflatten(0, clip) for mask in masks]
        )


class VideoMT(Segmenter):
    """transformers' VideoMT, which carries its queries from frame to frame, without its class head. transformers makes
    it only where scipy is installed. Arguments: those of `VideomtConfig`.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        config = transformers_class("VideomtConfig")(**arguments)
        self.model = transformers_class("VideomtForUniversalSegmentation")(config)
        self.model.class_predictor = nn.Identity()  # its "classes" are the normed queries
        del self.model.criterion
        self.num_queries, self.query_dim, self.feature_dim = config.num_queries, config.hidden_size, config.hidden_size
        self.size = (config.image_size, config.image_size)

    def forward(self, pixels: Tensor) -> Segmentation:
        features: list[Tensor] = []  # (B, D, h, w) of each frame
        hook = self.model.upscale_block.register_forward_hook(lambda module, inputs, output: features.append(output))
        try:
            found = self.model(pixels)
        finally:
            hook.remove()
        queries, masks = (  # the model puts the frames of the batch one after the other: (F*B, ...)
            value.unflatten(0, (pixels.shape[1], pixels.shape[0])).transpose(0, 1)
            for value in (found.class_queries_logits, found.masks_queries_logits)
        )
        return Segmentation(queries, torch.stack(features, dim=1), [masks])


SEGMENTERS: dict[str, type[Segmenter]] = {
    "mobile": Mobile,
    "mask2former": Mask2Former,
    "oneformer": OneFormer,
    "videomt": VideoMT,
}


def build_segmenter(config: dict[str, Any]) -> Segmenter:
    """The untrained segmenter that `config` describes: `model_type`, one of `SEGMENTERS`, and its arguments.

    Raises:
        ValueError: `model_type` is missing or unknown.
    """
    model_type = config.pop("model_type", None)
    if model_type not in SEGMENTERS:
        raise ValueError(f"`segmenter_config` has model_type {model_type!r}; it must be one of {sorted(SEGMENTERS)}")
    return SEGMENTERS[model_type](**config)


def transformers_class(name: str) -> Any:
    """The class of transformers with that name.

    Raises:
        ValueError: the installed version lacks it.
    """
    found = getattr(transformers, name, None)
    if found is None:
        raise ValueError(
            f"`segmenter_config` needs {name} of transformers, which version {transformers.__version__} lacks"
        )
    return found
