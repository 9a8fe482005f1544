# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Validates the Semantic Distiller: does a token cover the annotated object, the same one through the clip, and does
each of several objects have a token of its own?
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from seeclear.data.instances import AnnotatedClip
from seeclear.metrics.segmentation import best_token_iou, enlarge_masks, fixed_token_iou, mask_iou
from seeclear.models import SemanticDistiller, SemanticDistillerOutput
from seeclear.models.matching import match

Distill = Callable[[SemanticDistiller, Tensor], SemanticDistillerOutput]
"""What asks a distiller for the tokens of LR frames (B, F, 3, H, W) in [-1, 1]."""


def as_they_are(distiller: SemanticDistiller, low_res: Tensor) -> SemanticDistillerOutput:
    """With the masks that the networks take."""
    return distiller(low_res)


@torch.no_grad()
def token_ious(
    distiller: SemanticDistiller, clip: AnnotatedClip, clip_length: int = 5, distill: Distill = as_they_are
) -> tuple[torch.Tensor, ...]:
    """IoU of every token with the clip's object: frame-wise tokens (N, K), and clip-wise tokens (N, K_c) of clips of
    `clip_length` frames in a row; of the masks that `distill` gives.
    """
    frame_wise, clip_wise = [], []
    for start in range(0, len(clip.frames), clip_length):
        first = max(0, min(start, len(clip.frames) - clip_length))  # the last clip is filled up backwards
        new = slice(start - first, None)
        low_res = clip.frames[first : first + clip_length].to(distiller.device) / 127.5 - 1
        target = clip.masks[first : first + clip_length, 0].float() > 0.5
        output = distill(distiller, low_res[None])
        assert output.masks is not None and output.clip_masks is not None
        size = (target.shape[-2], target.shape[-1])
        frame_wise.append(mask_iou(enlarge_masks(output.masks[0], size).cpu(), target)[new])
        clip_wise.append(mask_iou(enlarge_masks(output.clip_masks[0], size).cpu(), target)[new])
    return torch.cat(frame_wise), torch.cat(clip_wise)


def segmentation_figures(
    distiller: SemanticDistiller, clips: Sequence[AnnotatedClip], distill: Distill = as_they_are
) -> dict[str, float]:
    """Mean over clips, and each clip's: `best` with the best frame-wise token of every frame, `clipwise` with the best
    clip-wise one, `fixed` with the clip-wise token that fits the whole clip best; of the masks that `distill` gives.
    """
    figures: dict[str, float] = {}
    for clip in clips:
        frame_wise, clip_wise = token_ious(distiller, clip, distill=distill)
        figures[f"best_{clip.name}"] = float(best_token_iou(frame_wise))
        figures[f"clipwise_{clip.name}"] = float(best_token_iou(clip_wise))
        figures[f"fixed_{clip.name}"] = float(fixed_token_iou(clip_wise))
    means = {
        kind: sum(value for name, value in figures.items() if name.startswith(f"{kind}_")) / len(clips)
        for kind in ("best", "clipwise", "fixed")
    }
    return means | figures


def matched_ious(ious: torch.Tensor) -> torch.Tensor:
    """`ious` (K, N) of tokens with instances, N <= K -> of every instance with a token of its own (N,): no token
    counts twice, and the mean is the largest there is.
    """
    return ious[match(-ious), torch.arange(ious.shape[1])]


@torch.no_grad()
def separation_figures(distiller: SemanticDistiller, clips: Sequence[AnnotatedClip]) -> dict[str, float]:
    """Of the clips with several instances: `apart`, the mean IoU of every instance with a clip-wise token of its own,
    over all frames of the clip, and `found`, the share of instances with which it is at least a half; `shared`, the
    mean of each instance's best token, which others may have, too.
    """
    apart, shared = [], []
    for clip in clips:
        if clip.masks.shape[1] < 2:
            continue
        low_res = clip.frames.to(distiller.device) / 127.5 - 1
        size = (low_res.shape[-2], low_res.shape[-1])
        masks = enlarge_masks(distiller(low_res[None]).clip_masks[0], size).cpu()  # (F, K, h, w)
        targets = clip.masks.float() > 0.5
        ious = torch.stack([mask_iou(masks, target).mean(dim=0) for target in targets.unbind(dim=1)], dim=1)
        apart.append(matched_ious(ious))
        shared.append(ious.amax(dim=0))
    if not apart:
        return {}
    own = torch.cat(apart)
    return {
        "apart": float(own.mean()),
        "found": float((own >= 0.5).float().mean()),
        "shared": float(torch.cat(shared).mean()),
    }
