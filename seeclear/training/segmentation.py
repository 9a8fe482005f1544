# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Validates the Semantic Distiller: does a token cover the annotated object, and the same one through the clip?"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from seeclear.data.instances import AnnotatedClip
from seeclear.metrics.segmentation import best_token_iou, enlarge_masks, fixed_token_iou, mask_iou
from seeclear.models import SemanticDistiller


@torch.no_grad()
def token_ious(
    distiller: SemanticDistiller, clip: AnnotatedClip, clip_length: int = 5, refine: bool = False
) -> tuple[torch.Tensor, ...]:
    """IoU of every token with the clip's object: frame-wise tokens (N, K), and clip-wise tokens (N, K_c) of clips of
    `clip_length` frames in a row; of masks as they are, or refined.
    """
    frame_wise, clip_wise = [], []
    for start in range(0, len(clip.frames), clip_length):
        first = max(0, min(start, len(clip.frames) - clip_length))  # the last clip is filled up backwards
        new = slice(start - first, None)
        low_res = clip.frames[first : first + clip_length].to(distiller.device) / 127.5 - 1
        target = clip.masks[first : first + clip_length, 0].float() > 0.5
        output = distiller(low_res[None], refine=refine)
        size = (target.shape[-2], target.shape[-1])
        frame_wise.append(mask_iou(enlarge_masks(output.masks[0], size).cpu(), target)[new])
        clip_wise.append(mask_iou(enlarge_masks(output.clip_masks[0], size).cpu(), target)[new])
    return torch.cat(frame_wise), torch.cat(clip_wise)


def segmentation_figures(
    distiller: SemanticDistiller, clips: Sequence[AnnotatedClip], refine: bool = False
) -> dict[str, float]:
    """Mean over clips, and each clip's: `best` with the best frame-wise token of every frame, `fixed` with the one
    clip-wise token that fits the whole clip best; of masks as they are, or refined.
    """
    figures: dict[str, float] = {}
    for clip in clips:
        frame_wise, clip_wise = token_ious(distiller, clip, refine=refine)
        figures[f"best_{clip.name}"] = float(best_token_iou(frame_wise))
        figures[f"fixed_{clip.name}"] = float(fixed_token_iou(clip_wise))
    means = {
        kind: sum(value for name, value in figures.items() if name.startswith(f"{kind}_")) / len(clips)
        for kind in ("best", "fixed")
    }
    return means | figures
