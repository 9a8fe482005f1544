# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What the Semantic Distiller sees in a video, clip by clip, with identities that go on from clip to clip."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seeclear.models import SemanticDistiller

from .mask_refinement import distill_refined
from .tracking import IdentityTracker, choose_instances

THRESHOLD = 0.7


@dataclass(frozen=True)
class SegmentedClip:
    """What is new in a clip, on the CPU in float32: n frames that no clip before had.

    Attributes:
        start: index of the first frame of the clip in the video; the new frames are its last ones.
        frames: the new frames, n times uint8 (H, W, 3).
        tokens, scores, labels, masks: of the frame-wise tokens, (n, K, ...) as in `SemanticDistillerOutput`.
        clip_tokens: (K_c, D).
        clip_masks: mask logits (n, K_c, h, w).
        identities: int64 (K_c,), numbers from 1 on that an object keeps through the video.
        objects: int64 (n, K), the identity of every frame-wise token that is an instance of a clip-wise token, 0 for
            the others.
    """

    start: int
    frames: list[np.ndarray]
    tokens: Tensor
    scores: Tensor
    labels: Tensor
    masks: Tensor
    clip_tokens: Tensor
    clip_masks: Tensor
    identities: Tensor
    objects: Tensor


@torch.no_grad()
def segment_clips(
    distiller: SemanticDistiller, frames: Iterable[np.ndarray], clip_length: int, threshold: float = THRESHOLD
) -> Iterator[SegmentedClip]:
    """Segments a video clip by clip; consecutive clips share a frame, by which identities are carried on.

    Args:
        distiller: on its device, in evaluation mode.
        frames: uint8 (H, W, 3), all of one size.
        clip_length: frames in a clip. The last clip is filled up with frames of the one before; a shorter video is one
            shorter clip.
        threshold: the least score of an instance: a probability, or a cosine similarity with an open vocabulary.

    Yields:
        The clips in order; together their new frames are all frames.
    """
    tracker = IdentityTracker()
    for start, clip, num_new in _clips(frames, clip_length):
        pixels = torch.from_numpy(np.stack(clip)).permute(0, 3, 1, 2)
        low_res = pixels.to(distiller.device) / 127.5 - 1
        output = distill_refined(distiller, low_res[None])
        assert output.masks is not None and output.clip_masks is not None
        tokens, scores, masks = (value[0].float().cpu() for value in (output.tokens, output.scores, output.masks))
        clip_tokens, clip_masks = (value[0].float().cpu() for value in (output.clip_tokens, output.clip_masks))
        identities = tracker(start, clip_tokens, clip_masks > 0)
        objects = torch.zeros(scores.shape, dtype=torch.int64)
        for i in range(len(clip) - num_new, len(clip)):
            chosen = choose_instances(scores[i], masks[i] > 0, threshold)
            found = tracker.identify(masks[i, chosen] > 0, clip_masks[i] > 0)
            objects[i, chosen] = torch.tensor(found, dtype=torch.int64)
        yield SegmentedClip(
            start=start,
            frames=clip[-num_new:],
            tokens=tokens[-num_new:],
            scores=scores[-num_new:],
            labels=output.labels[0, -num_new:].cpu(),
            masks=masks[-num_new:],
            clip_tokens=clip_tokens,
            clip_masks=clip_masks[-num_new:],
            identities=identities,
            objects=objects[-num_new:],
        )


def _clips(frames: Iterable[np.ndarray], clip_length: int) -> Iterator[tuple[int, list[np.ndarray], int]]:
    """Clips that share one frame: (index of the first frame, frames, how many of the last of them are new)."""
    if clip_length < 1:
        raise ValueError(f"`clip_length` must be at least 1 frame, but was {clip_length}.")
    recent: deque[np.ndarray] = deque(maxlen=clip_length)
    count = num_new = 0
    for frame in frames:
        recent.append(frame)
        count, num_new = count + 1, num_new + 1
        first = count <= clip_length
        if num_new == (clip_length if first else max(1, clip_length - 1)):
            yield count - len(recent), list(recent), num_new
            num_new = 0
    if num_new:
        yield count - len(recent), list(recent), num_new
