# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""How well semantic tokens find an annotated object, and keep it."""

import torch
import torch.nn.functional as F
from torch import Tensor


def mask_iou(masks: Tensor, target: Tensor) -> Tensor:
    """Intersection over union of `masks` bool (..., K, h, w) with `target` bool (..., h, w): (..., K), float.

    Where both are empty it is 1.
    """
    target = target[..., None, :, :]
    intersection = (masks & target).flatten(-2).sum(dim=-1)
    union = (masks | target).flatten(-2).sum(dim=-1)
    return torch.where(union > 0, intersection / union.clamp(min=1), 1.0)


def enlarge_masks(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Mask logits (..., K, h, w) -> bool (..., K, H, W): inside or not, of every LR pixel."""
    flat = logits.reshape(-1, 1, *logits.shape[-2:])
    enlarged = F.interpolate(flat.float(), size=size, mode="bilinear", align_corners=False) > 0
    return enlarged.reshape(*logits.shape[:-2], *size)


def best_token_iou(frame_ious: Tensor) -> Tensor:
    """`frame_ious` (frames, K) -> the mean over frames of the best token's IoU, which may be another in each frame."""
    return frame_ious.amax(dim=1).mean()


def fixed_token_iou(frame_ious: Tensor) -> Tensor:
    """`frame_ious` (frames, K) -> the best token's mean IoU over all frames: one token a clip, identity kept."""
    return frame_ious.mean(dim=0).amax()
