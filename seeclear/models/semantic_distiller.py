# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Semantic Distiller: LR frames and a vocabulary in, semantic tokens and segmentation features out (SeeClear, section
3.3, eq. 8 and 9).

The segmenter is transformers' Mask2Former (backbone, pixel decoder, query decoder) of any size. Once per clip, not per
step.
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.utils import BaseOutput
from einops import rearrange
from torch import Tensor, nn
from transformers import Mask2FormerConfig, Mask2FormerModel

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass
class SemanticDistillerOutput(BaseOutput):
    """Output of [`SemanticDistiller`].

    Attributes:
        tokens: frame-wise semantic tokens O (B, F, K, D), the most similar to the vocabulary first.
        features: segmentation features P of the pixel decoder (B, F, P, h, w).
        scores: cosine similarity of every token with its nearest vocabulary entry, (B, F, K), in [-1, 1].
        masks: mask logits of every token (B, F, K, h, w); positive is inside.
    """

    tokens: Tensor
    features: Tensor
    scores: Tensor
    masks: Tensor


class SemanticDistiller(ModelMixin, ConfigMixin):
    """A query-based segmenter whose K queries nearest to a vocabulary become semantic tokens.

    Args:
        segmenter_config: arguments of transformers' `Mask2FormerConfig`; `backbone_config` is a dictionary with
            `model_type`.
        num_tokens: K, at most the segmenter's number of queries.
        vocabulary: the names of the stored vocabulary entries.
        text_dim: width of the space in which queries and vocabulary are compared.
        input_scale: the LR frames are enlarged by this before they are segmented.

    Raises:
        ValueError: `num_tokens` exceeds the number of queries, or the vocabulary is empty.
    """

    _no_split_modules = ["Mask2FormerPixelLevelModule", "Mask2FormerTransformerModule"]

    @register_to_config
    def __init__(
        self,
        segmenter_config: dict[str, Any],
        num_tokens: int = 16,
        vocabulary: tuple[str, ...] = ("thing", "stuff"),
        text_dim: int = 64,
        input_scale: int = 2,
    ) -> None:
        super().__init__()
        # a copy: transformers 5.0 takes `model_type` out of the dictionary that it is given
        config = Mask2FormerConfig(**copy.deepcopy(segmenter_config))
        if not 1 <= num_tokens <= config.num_queries:
            raise ValueError(
                f"`num_tokens` is {num_tokens}; it must be 1 to the segmenter's {config.num_queries} queries"
            )
        if not vocabulary:
            raise ValueError("`vocabulary` is empty; it must name at least one entry")
        self.segmenter = Mask2FormerModel(config)
        self.query_to_text = nn.Linear(config.hidden_dim, text_dim, bias=False)
        self.vocabulary_embeddings = nn.Parameter(torch.randn(len(vocabulary), text_dim))

    @property
    def token_dim(self) -> int:
        """D, the width of the tokens."""
        return self.segmenter.config.hidden_dim

    @property
    def feature_dim(self) -> int:
        """P, the channels of the segmentation features."""
        return self.segmenter.config.mask_feature_size

    def forward(
        self, low_res: Tensor, vocabulary_embeddings: Tensor | None = None, return_dict: bool = True
    ) -> SemanticDistillerOutput | tuple[Tensor, ...]:
        """Distils one clip.

        Args:
            low_res: LR frames (B, F, 3, H, W) in [-1, 1].
            vocabulary_embeddings: F_txt (V, text_dim); the stored vocabulary if None.
            return_dict: a [`SemanticDistillerOutput`] or a tuple of its fields.

        Raises:
            ValueError: a shape that is not as above.
        """
        if low_res.ndim != 5 or low_res.shape[2] != 3:
            raise ValueError(f"`low_res` is {tuple(low_res.shape)}; it must be (B, F, 3, H, W)")
        text = self.vocabulary_embeddings if vocabulary_embeddings is None else vocabulary_embeddings
        if text.ndim != 2 or text.shape[1] != self.config.text_dim:
            raise ValueError(f"`vocabulary_embeddings` is {tuple(text.shape)}; it must be (V, {self.config.text_dim})")
        batch_size, num_frames = low_res.shape[:2]

        pixels = self._preprocess(low_res.flatten(0, 1))
        segmented = self.segmenter(pixels, output_hidden_states=False)
        queries = segmented.transformer_decoder_last_hidden_state  # F_img (B*F, Q, D)
        features = segmented.pixel_decoder_last_hidden_state  # (B*F, P, h, w)
        masks = segmented.masks_queries_logits[-1]  # (B*F, Q, h, w)

        # eq. 8, 9: the K queries most similar to the vocabulary
        similarity = F.normalize(self.query_to_text(queries), dim=-1) @ F.normalize(text.to(queries), dim=-1).T
        scores, chosen = similarity.amax(dim=-1).topk(self.config.num_tokens, dim=-1)  # (B*F, K)
        tokens = queries.gather(1, chosen[..., None].expand(-1, -1, queries.shape[-1]))
        masks = masks.gather(1, chosen[..., None, None].expand(-1, -1, *masks.shape[-2:]))

        tokens, features, scores, masks = (
            rearrange(x, "(b f) ... -> b f ...", b=batch_size, f=num_frames) for x in (tokens, features, scores, masks)
        )
        if not return_dict:
            return tokens, features, scores, masks
        return SemanticDistillerOutput(tokens=tokens, features=features, scores=scores, masks=masks)

    def _preprocess(self, frames: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] -> enlarged and normalised by ImageNet's statistics."""
        if self.config.input_scale != 1:
            frames = F.interpolate(frames, scale_factor=self.config.input_scale, mode="bicubic", align_corners=False)
        mean = torch.tensor(_IMAGENET_MEAN, device=frames.device, dtype=frames.dtype)[:, None, None]
        std = torch.tensor(_IMAGENET_STD, device=frames.device, dtype=frames.dtype)[:, None, None]
        return ((frames + 1) / 2 - mean) / std
