# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Semantic Distiller: LR frames and a vocabulary in; semantic tokens, segmentation features and the instances of the
clip out (SeeClear, section 3.3, eq. 8, 9 and 14; the Semantic Extractor of Semantic Lens).

Frozen while the condenser is trained, and run once per clip, on whole frames.
"""

import copy
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.utils import BaseOutput
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor, nn

from seeclear.loading import FromShipped

from .instance_tokens import InstanceEncoderDecoder
from .moving_objects import MotionHead
from .pretrained_segmenters import read_segmenter
from .segmenters import STRIDE, Segmentation, Segmenter, build_segmenter

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_LARGEST_SCALE = 4
_NAMES_SHOWN = 12


@dataclass
class SemanticDistillerOutput(BaseOutput):
    """Output of [`SemanticDistiller`].

    Attributes:
        tokens: frame-wise semantic tokens O (B, F, K, D), the most similar to the vocabulary first.
        features: segmentation features P of the pixel decoder (B, F, P, h, w).
        scores: (B, F, K), how well a token fits its nearest vocabulary entry: a probability in [0, 1], or the cosine
            similarity in [-1, 1] where the vocabulary is open.
        masks: mask logits of every token (B, F, K, h, w); positive is inside. None if no masks were wanted.
        labels: (B, F, K), index of a token's nearest vocabulary entry.
        clip_tokens: clip-wise tokens O_c (B, K_c, D), one for each instance of the clip.
        clip_masks: mask logits of the clip-wise tokens in every frame (B, F, K_c, h, w), their dot product with the
            pixels. None as `masks`.
    """

    tokens: Tensor
    # accelerate's hooks rebuild outputs from a dictionary as the first field, and all others must have a default then
    features: Tensor = None  # type: ignore[assignment]
    scores: Tensor = None  # type: ignore[assignment]
    masks: Tensor | None = None
    labels: Tensor = None  # type: ignore[assignment]
    clip_tokens: Tensor = None  # type: ignore[assignment]
    clip_masks: Tensor | None = None


class SemanticDistiller(FromShipped, ModelMixin, ConfigMixin):
    """A query-based segmenter whose K queries nearest to a vocabulary become semantic tokens, and an instance encoder
    and decoder that follow the instances through the clip.

    Args:
        segmenter_config: `model_type` names the segmenter (`SEGMENTERS` in `models/segmenters.py`), the rest are its
            arguments.
        num_tokens: K, how many of the segmenter's queries become tokens. The words decide which where K is less than
            the number of queries; where it equals that, all of them do, and the vocabulary only labels and orders
            them.
        num_clip_tokens: K_c.
        instance_layers: layers of the instance encoder and of the decoder.
        heads: attention heads there.
        token_dim: D; one learned projection where the segmenter's queries have another width. None is theirs.
        feature_dim: P, likewise for the pixel features.
        vocabulary: the names of the stored vocabulary entries.
        text_dim: width of the space in which queries and vocabulary are compared.
        open_vocabulary: that space is a text encoder's, so that any words can be compared (cosine similarity, eq. 8);
            else the stored entries are classes, beside one for "no object".
        working_size: frames are brought to about this many pixels (height x width) before they are segmented, and are
            enlarged at most four times; a segmenter that takes one size only (VideoMT) gets that.
        motion: what moves against the background, and the frames' colours, add to the pixels that masks are made of.
            Tokens and features stay those of single frames.

    Raises:
        ValueError: `num_tokens` exceeds the number of queries, the vocabulary is empty or names an entry twice, or the
            segmenter is unknown.
    """

    # transformers' query decoders take weights of their layers without calling these
    _skip_layerwise_casting_patterns = ["transformer_module"]

    @register_to_config
    def __init__(
        self,
        segmenter_config: dict[str, Any],
        num_tokens: int = 16,
        num_clip_tokens: int = 16,
        instance_layers: int = 2,
        heads: int = 4,
        token_dim: int | None = None,
        feature_dim: int | None = None,
        vocabulary: tuple[str, ...] = ("thing",),
        text_dim: int = 64,
        open_vocabulary: bool = False,
        working_size: int = 224 * 384,
        motion: bool = False,
    ) -> None:
        super().__init__()
        _check_names(vocabulary)
        self.segmenter: Segmenter = build_segmenter(copy.deepcopy(dict(segmenter_config)))
        if not 1 <= num_tokens <= self.segmenter.num_queries:
            raise ValueError(
                f"`num_tokens` is {num_tokens}; it must be 1 to the segmenter's {self.segmenter.num_queries} queries"
            )
        query_dim, pixel_dim = self.segmenter.query_dim, self.segmenter.feature_dim
        self.token_dim = query_dim if token_dim is None else token_dim
        self.feature_dim = pixel_dim if feature_dim is None else feature_dim
        same = self.token_dim == query_dim
        self.token_projection = nn.Identity() if same else nn.Linear(query_dim, self.token_dim)
        same = self.feature_dim == pixel_dim
        self.feature_projection = nn.Identity() if same else nn.Conv2d(pixel_dim, self.feature_dim, 1)

        self.query_to_text = nn.Linear(query_dim, text_dim)
        self.vocabulary_embeddings = nn.Parameter(torch.randn(len(vocabulary), text_dim) / text_dim**0.5)
        self.no_object_embedding = nn.Parameter(torch.randn(text_dim) / text_dim**0.5)

        self.instances = InstanceEncoderDecoder(self.token_dim, num_clip_tokens, heads, instance_layers)
        same = self.token_dim == self.feature_dim
        self.clip_token_to_pixel = nn.Identity() if same else nn.Linear(self.token_dim, self.feature_dim)
        self.motion_head = MotionHead(self.feature_dim) if motion else None

    @classmethod
    def from_segmenter(
        cls,
        model: str | os.PathLike[str] | nn.Module,
        task: str = "panoptic",
        tokenizer: Any = None,
        working_size: int = 480 * 832,
        **kwargs: Any,
    ) -> "SemanticDistiller":
        """A distiller around a pretrained segmenter of transformers: Mask2Former, OneFormer or VideoMT.

        Its queries become the tokens, its pixel embedding the features, and its class head the vocabulary, so that
        masks and class logits are the model's own. The instance encoder and decoder, and the projections where
        `token_dim` or `feature_dim` ask for other widths, are untrained (`projection_parameters`).

        Args:
            model: Hub id, folder (safetensors only) or instance, which stays as it is.
            task: what OneFormer is asked for: "panoptic", "instance" or "semantic".
            tokenizer: OneFormer's; the one beside the model's weights if None.
            working_size: as in the class's description; nearer to what these models were trained at.
            kwargs: further arguments of the class. `vocabulary` and `text_dim` come from the class head, unless
                `open_vocabulary` is asked for or the model has none (a plain `Mask2FormerModel`); the embeddings are
                untrained then.

        Returns:
            The distiller in float32, in evaluation mode.

        Raises:
            ValueError: the model can't be read (`read_segmenter`), or an argument does not go with it.
        """
        pretrained = read_segmenter(model, task, tokenizer)
        classes = None if kwargs.get("open_vocabulary", False) else pretrained.class_weights
        if classes is not None:
            given = sorted({"vocabulary", "text_dim"} & set(kwargs))
            if given:
                raise ValueError(
                    f"`{given[0]}` was given; without `open_vocabulary` it is that of the model's classes"
                )
            kwargs |= {"vocabulary": pretrained.vocabulary, "text_dim": classes.shape[1]}
        distiller = cls(segmenter_config=pretrained.config, working_size=working_size, **kwargs)
        distiller.segmenter.load_state_dict(pretrained.state)
        if classes is not None:
            with torch.no_grad():  # (query, 1) . (weights, bias) of every class
                distiller.query_to_text.weight.copy_(torch.eye(*distiller.query_to_text.weight.shape))
                distiller.query_to_text.bias.zero_()[-1] = 1
                distiller.vocabulary_embeddings.copy_(classes[:-1])
                distiller.no_object_embedding.copy_(classes[-1])
        return distiller.eval()

    def forward(
        self,
        low_res: Tensor,
        vocabulary_embeddings: Tensor | None = None,
        return_dict: bool = True,
        masks: bool = True,
    ) -> SemanticDistillerOutput | tuple[Tensor | None, ...]:
        """Distils one clip.

        Args:
            low_res: LR frames (B, F, 3, H, W) in [-1, 1], whole frames of any size; float32 is best, whatever the
                dtype of the weights.
            vocabulary_embeddings: F_txt (V, text_dim), of an open vocabulary or of the stored entries wanted
                (`embed_vocabulary`); all stored entries if None.
            return_dict: a [`SemanticDistillerOutput`] or a tuple of its fields.
            masks: False gives no masks, and spares what only they need, such as looking for what moves.

        Raises:
            ValueError: a shape that is not as above.
        """
        segmented = self.segment(low_res)
        scores, labels, chosen = self.choose(segmented.queries, vocabulary_embeddings)  # (B, F, K)
        tokens = self.project_tokens(segmented.queries, chosen)  # (B, F, K, D)
        features = self.project_features(segmented)  # (B, F, P, h, w)
        clip_tokens = self.instances(tokens)  # (B, K_c, D)
        of_frames = of_clip = None
        if masks:
            change = self.motion_change(features, low_res)
            of_frames, of_clip = self.token_masks(segmented, chosen, tokens, clip_tokens, features, change)
        fields = (tokens, features, scores, of_frames, labels, clip_tokens, of_clip)
        return SemanticDistillerOutput(*fields) if return_dict else fields

    def choose(self, queries: Tensor, vocabulary_embeddings: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """The K queries most similar to the vocabulary, eq. 8 and 9: of the `queries` (B, F, Q, D_q) their scores, the
        entries that they are most similar to, and which they are, (B, F, K) each, the most similar first.
        """
        best, labels = self.similarity(queries, vocabulary_embeddings).max(dim=-1)  # (B, F, Q)
        scores, chosen = best.topk(self.config.num_tokens, dim=-1)
        return scores, labels.gather(2, chosen), chosen

    def project_tokens(self, queries: Tensor, chosen: Tensor) -> Tensor:
        """Of the `queries` (B, F, Q, D_q) those `chosen` (B, F, K), projected: (B, F, K, D)."""
        return self.token_projection(queries.gather(2, chosen[..., None].expand(-1, -1, -1, queries.shape[-1])))

    def token_masks(
        self,
        segmented: Segmentation,
        chosen: Tensor,
        tokens: Tensor,
        clip_tokens: Tensor,
        features: Tensor,
        change: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Mask logits of the frame-wise tokens (B, F, K, h, w) and of the clip-wise ones (B, F, K_c, h, w), of all
        that [`forward`] has by then; `change` is what [`motion_change`] gives.
        """
        masks = segmented.masks[-1]
        of_frames = masks.gather(2, chosen[..., None, None].expand(-1, -1, -1, *masks.shape[-2:]))
        of_clip = self.clip_masks(clip_tokens, features)
        if change is None:
            return of_frames, of_clip
        frame_wise, over_time = self.masks_by_motion(tokens, clip_tokens, change)
        return of_frames + frame_wise, of_clip + over_time

    def project_features(self, segmented: Segmentation) -> Tensor:
        """The segmenter's pixel features, projected: P (B, F, P, h, w)."""
        return self.feature_projection(segmented.features.flatten(0, 1)).unflatten(0, segmented.features.shape[:2])

    def segment(self, low_res: Tensor, factor: float = 1.0) -> Segmentation:
        """All the segmenter finds in the LR frames (B, F, 3, H, W) in [-1, 1] at the working size, or at one of
        `factor` times its pixels: before tokens are chosen and projected.

        Raises:
            ValueError: another shape.
        """
        if low_res.ndim != 5 or low_res.shape[2] != 3:
            raise ValueError(f"`low_res` is {tuple(low_res.shape)}; it must be (B, F, 3, H, W)")
        return self.segmenter(self.preprocess(low_res, factor))

    def follow(self, tokens: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """eq. 14: `tokens` (B, F, K, D) -> clip-wise tokens (B, K_c, D); and with `features` (B, F, P, h, w) their
        mask logits (B, F, K_c, h, w).
        """
        clip_tokens = self.instances(tokens)
        return clip_tokens, self.clip_masks(clip_tokens, features)

    def clip_masks(self, clip_tokens: Tensor, features: Tensor) -> Tensor:
        """Mask logits (B, F, K_c, h, w) of clip-wise tokens (B, K_c, D) on `features` (B, F, P, h, w)."""
        return torch.einsum("bkd,bfdhw->bfkhw", self.clip_token_to_pixel(clip_tokens), features)

    def motion_change(self, features: Tensor, low_res: Tensor, of_pairs: Tensor | None = None) -> Tensor | None:
        """What motion and colours add to the pixels that masks are made of, (B, F, P, h, w); None for a distiller
        without `motion`. Arguments as everywhere in this class, and the motion of pairs of frames where it is known
        already, as `motion_maps` takes it.
        """
        return None if self.motion_head is None else self.motion_head(features, low_res / 2 + 0.5, of_pairs)

    def masks_by_motion(self, tokens: Tensor, clip_tokens: Tensor, change: Tensor) -> tuple[Tensor, Tensor]:
        """What [`motion_change`] adds to the mask logits of the frame-wise tokens (B, F, K, h, w) and of the clip-wise
        ones (B, F, K_c, h, w).
        """
        one_by_one, over_time = self.clip_token_to_pixel(tokens), self.clip_token_to_pixel(clip_tokens)
        frame_wise = torch.einsum("bfkd,bfdhw->bfkhw", one_by_one, change)
        return frame_wise, torch.einsum("bkd,bfdhw->bfkhw", over_time, change)

    def similarity(self, queries: Tensor, vocabulary_embeddings: Tensor | None = None) -> Tensor:
        """`queries` (..., D_q) -> (..., V): cosine similarities (eq. 8) where the vocabulary is open, else the
        probabilities of the classes, which leave a rest for "no object".

        Raises:
            ValueError: `vocabulary_embeddings` is not (V, text_dim).
        """
        text = self.vocabulary_embeddings if vocabulary_embeddings is None else vocabulary_embeddings
        if text.ndim != 2 or text.shape[1] != self.config.text_dim:
            raise ValueError(f"`vocabulary_embeddings` is {tuple(text.shape)}; it must be (V, {self.config.text_dim})")
        if self.config.open_vocabulary:
            return F.normalize(self.query_to_text(queries), dim=-1) @ F.normalize(text.to(queries), dim=-1).T
        return self.class_logits(queries, text).softmax(dim=-1)[..., :-1]

    def class_logits(self, queries: Tensor, vocabulary_embeddings: Tensor | None = None) -> Tensor:
        """`queries` (..., D_q) -> logits (..., V + 1) of the vocabulary's entries as classes, and of "no object"
        last.
        """
        text = self.vocabulary_embeddings if vocabulary_embeddings is None else vocabulary_embeddings.to(queries)
        return self.query_to_text(queries) @ torch.cat([text, self.no_object_embedding[None]]).T

    @apply_forward_hook
    def embed_vocabulary(self, names: Sequence[str]) -> Tensor:
        """The stored embeddings (V, text_dim) of `names`, which must be among the stored vocabulary.

        Raises:
            ValueError: no names, one given twice, or some that are not stored.
        """
        _check_names(names)
        stored = list(self.config.vocabulary)
        missing = [name for name in names if name not in stored]
        if missing:
            more = f" and {len(stored) - _NAMES_SHOWN} others" if len(stored) > _NAMES_SHOWN else ""
            needed = "" if self.config.open_vocabulary else "a distiller with an open vocabulary, and with "
            raise ValueError(
                f"`vocabulary` has {missing}; this distiller knows {', '.join(stored[:_NAMES_SHOWN])}{more}, "
                f"and other names need {needed}a text encoder and its tokenizer"
            )
        return self.vocabulary_embeddings[[stored.index(name) for name in names]]

    def set_vocabulary(self, names: Sequence[str], embeddings: Tensor) -> None:
        """Stores another vocabulary, which is saved with the weights.

        Args:
            names: V names.
            embeddings: (V, text_dim): a text encoder's where the vocabulary is open, else the rows of a class head.

        Raises:
            ValueError: no names, one given twice, or embeddings of another shape.
        """
        _check_names(names)
        if tuple(embeddings.shape) != (len(names), self.config.text_dim):
            raise ValueError(
                f"`embeddings` is {tuple(embeddings.shape)}; it must be {(len(names), self.config.text_dim)}"
            )
        learned = self.vocabulary_embeddings.requires_grad
        embeddings = embeddings.detach().to(self.vocabulary_embeddings, copy=True)
        self.vocabulary_embeddings = nn.Parameter(embeddings, requires_grad=learned)
        self.register_to_config(vocabulary=tuple(names))

    def projection_parameters(self) -> Iterator[nn.Parameter]:
        """What is learned where a pretrained segmenter is kept as it is: the projections to D and P, and the instance
        encoder and decoder.
        """
        for part in (self.token_projection, self.feature_projection, self.instances, self.clip_token_to_pixel):
            yield from part.parameters()

    def working_size(self, height: int, width: int, factor: float = 1.0) -> tuple[int, int]:
        """The size at which frames of `height` x `width` are segmented, or one of `factor` times its pixels."""
        if self.segmenter.size is not None:
            return self.segmenter.size
        scale = min((factor * self.config.working_size / (height * width)) ** 0.5, _LARGEST_SCALE)
        rows, columns = (max(2, round(n * scale / STRIDE)) * STRIDE for n in (height, width))
        return rows, columns

    def preprocess(self, low_res: Tensor, factor: float = 1.0) -> Tensor:
        """(B, F, 3, H, W) in [-1, 1] -> at the working size, or one of `factor` times its pixels, and normalised by
        ImageNet's statistics, in the weights' dtype. On the way it is float32: PyTorch has no antialiased resizing in
        bfloat16 on CPUs.
        """
        frames = low_res.flatten(0, 1).float()
        size = self.working_size(frames.shape[-2], frames.shape[-1], factor)
        if size != tuple(frames.shape[-2:]):
            shrinks = size[0] * size[1] < frames.shape[-2] * frames.shape[-1]
            frames = F.interpolate(frames, size=size, mode="bicubic", align_corners=False, antialias=shrinks)
        mean = torch.tensor(_IMAGENET_MEAN, device=frames.device, dtype=frames.dtype)[:, None, None]
        std = torch.tensor(_IMAGENET_STD, device=frames.device, dtype=frames.dtype)[:, None, None]
        return (((frames + 1) / 2 - mean) / std).unflatten(0, low_res.shape[:2]).to(self.dtype)


def _check_names(names: Sequence[str]) -> None:
    """Raises a ValueError unless `names` are different names, at least one."""
    if isinstance(names, str) or not names or len(set(names)) != len(names):
        shown = names if isinstance(names, str) else tuple(names)
        raise ValueError(f"`vocabulary` is {shown!r}; it must be a list that names at least one entry, and none twice")
