# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""From semantic tokens to objects with an identity: which tokens are instances, which clip-wise token each belongs to,
and which clip-wise tokens of one clip are those of the next.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from seeclear.models.matching import match

DUPLICATE_IOU = 0.5
"""Of two instances that share so much, only the one with the higher score stays."""
PART = 0.6
"""What lies so far inside a surer instance is a part of it."""
ABOUT_AS_WELL = 0.7
"""A clip-wise token that overlaps an instance so far as the best one does may be it as well."""
LEAST_AREA = 0.002
"""An instance covers at least this share of the frame."""
SAME_OBJECT = 0.4
"""Clip-wise tokens of consecutive clips that are less alike than this are different objects."""


def mask_overlap(masks: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of bool `masks` (n, ...) and `others` (m, ...): (n, m). An empty mask shares nothing."""
    first, second = masks.flatten(1).float(), others.flatten(1).float()
    intersection = first @ second.T
    union = first.sum(dim=1)[:, None] + second.sum(dim=1)[None] - intersection
    return intersection / union.clamp(min=1)


def choose_instances(scores: Tensor, masks: Tensor, threshold: float) -> list[int]:
    """The tokens of a frame that are instances, the surest first.

    Args:
        scores: (K,).
        masks: bool (K, h, w).
        threshold: the least score.

    Returns:
        Their indices: those with the score, an area of `LEAST_AREA` or more, and no surer one at the same place or
        around them.
    """
    overlap = mask_overlap(masks, masks)
    flat = masks.flatten(1).float()
    inside = flat @ flat.T / flat.sum(dim=1, keepdim=True).clamp(min=1)  # the share of the first in the second
    chosen: list[int] = []
    for token in scores.argsort(descending=True, stable=True).tolist():
        large = float(masks[token].float().mean()) >= LEAST_AREA
        apart = all(overlap[token, i] < DUPLICATE_IOU and inside[token, i] < PART for i in chosen)
        if float(scores[token]) >= threshold and large and apart:
            chosen.append(token)
    return chosen


def likeness(
    tokens: Tensor, earlier_tokens: Tensor, masks: Tensor | None = None, earlier_masks: Tensor | None = None
) -> Tensor:
    """How much the clip-wise tokens of a clip (n, D) are like those of the clip before (m, D): (n, m) in [-1, 1].

    Cosine similarity; where the clips share frames, its mean with the overlap of the masks bool (n, frames, h, w) and
    (m, frames, h, w) there.
    """
    alike = F.normalize(tokens, dim=-1) @ F.normalize(earlier_tokens, dim=-1).T
    if masks is None or earlier_masks is None:
        return alike
    return (alike + mask_overlap(masks, earlier_masks)) / 2


def link(alike: Tensor) -> list[int | None]:
    """For each of n tokens the one of m earlier ones that is the same object, None for a new one.

    Pairs are chosen such that the sum of what their `alike` (n, m) is above `SAME_OBJECT` is greatest.
    """
    num_tokens, num_earlier = alike.shape
    gain = (alike - SAME_OBJECT).clamp(min=0)
    side = max(num_tokens, num_earlier)
    earlier = match(-F.pad(gain, (0, side - num_earlier, 0, side - num_tokens)).T)[:num_tokens]
    return [j if j < num_earlier and gain[i, j] > 0 else None for i, j in enumerate(earlier)]


class IdentityTracker:
    """Numbers the objects of a video from 1 on, clip by clip."""

    def __init__(self) -> None:
        self.count = 0
        self._sightings: dict[int, int] = {}
        self._identities: list[int] = []
        self._tokens: Tensor | None = None
        self._masks: Tensor | None = None
        self._start = 0

    def __call__(self, start: int, tokens: Tensor, masks: Tensor) -> Tensor:
        """The identities of a clip's tokens.

        Args:
            start: index of the clip's first frame in the video. Clips come in order and are of one length.
            tokens: clip-wise tokens (K_c, D).
            masks: of them in every frame, bool (F, K_c, h, w).

        Returns:
            int64 (K_c,); those of earlier clips where the objects are the same, and new ones.
        """
        linked: list[int | None] = [None] * len(tokens)
        if self._tokens is not None and self._masks is not None:
            shared = self._start + len(self._masks) - start
            both = (masks[:shared], self._masks[-shared:]) if shared > 0 else ()
            linked = link(likeness(tokens, self._tokens, *(m.transpose(0, 1) for m in both)))
        identities = []
        for earlier in linked:
            if earlier is None:
                self.count += 1
            identities.append(self.count if earlier is None else self._identities[earlier])
        self._identities, self._tokens, self._masks, self._start = identities, tokens, masks, start
        return torch.tensor(identities, dtype=torch.int64)

    def identify(self, masks: Tensor, clip_masks: Tensor) -> list[int]:
        """The identities of the instances of a frame, one after the other.

        Each is that of a clip-wise token that overlaps the instance, no instance taking another's. Several tokens may
        follow one object; of those that fit about as well as the best, the one seen most often so far is taken, so
        that the object keeps its number.

        Args:
            masks: of the instances, the surest first, bool (n, h, w).
            clip_masks: of the tokens of the clip this tracker saw last, in this frame, bool (K_c, h, w).

        Returns:
            n identities; 0 for an instance that no token is left for.
        """
        found: list[int] = []
        for overlap in mask_overlap(masks, clip_masks).tolist():
            free = {i: value for i, value in zip(self._identities, overlap, strict=True) if value and i not in found}
            fitting = [i for i, value in free.items() if value >= ABOUT_AS_WELL * max(free.values())]
            best = max(fitting, key=lambda i: (self._sightings.get(i, 0), free[i]), default=0)
            found.append(best)
            if best:
                self._sightings[best] = self._sightings.get(best, 0) + 1
        return found
