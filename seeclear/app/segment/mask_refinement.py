# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Masks for people to look at: steady over time, as large as the object, their edges those of the frame.

What a segmenter gives for a blurred, small frame is coarse, flickers, and of objects it was not trained on covers too
little. None of this is learned; docs/distiller.md has what each part gives.
"""

from collections.abc import Callable, Sequence
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from seeclear.models import SemanticDistiller, SemanticDistillerOutput
from seeclear.models.optical_flow import clip_flow, flow_to_neighbor, warp

_SIZES = (1.0, 2.0)
"""Masks are the mean of those at sizes of so many times the pixels of the distiller's working size."""
_REACH = 2
_RADIUS = 2
_SMOOTHNESS = 1e-3
_THRESHOLD = 0.3


@torch.no_grad()
def distill_refined(distiller: SemanticDistiller, low_res: Tensor) -> SemanticDistillerOutput:
    """What a distiller gives of one clip, with refined masks: at the size of the frames, larger, steadier and with
    their edges. All else is the same; the networks take masks as they are without.

    Where masks are the products of tokens and pixel features, they are looked for at two sizes.

    Args:
        distiller: in evaluation mode.
        low_res: LR frames (B, F, 3, H, W) in [-1, 1].
    """
    segmented = distiller.segment(low_res)
    scores, labels, chosen = distiller.choose(segmented.queries)
    tokens, features = distiller.project_tokens(segmented.queries, chosen), distiller.project_features(segmented)
    clip_tokens, change = distiller.instances(tokens), distiller.motion_change(features, low_res)
    masks, clip_masks = distiller.token_masks(segmented, chosen, tokens, clip_tokens, features, change)
    readings = []  # at each size: tokens (B, F, K, P), pixels (B, F, P, h, w) and clip-wise masks (B, F, K_c, h, w)
    if distiller.segmenter.masks_are_products:
        readings.append((tokens, features if change is None else features + change, clip_masks))
        for factor in _SIZES[1:]:
            larger = distiller.segment(low_res, factor)
            pixels = distiller.project_features(larger)
            larger_change = distiller.motion_change(pixels, low_res)
            pixels = pixels if larger_change is None else pixels + larger_change
            their_tokens = distiller.project_tokens(larger.queries, chosen)
            readings.append((their_tokens, pixels, distiller.follow(their_tokens, pixels)[1]))

    def frame_wise(i: int, j: int) -> list[Tensor]:
        if not readings:
            return [masks[:, i]] if i == j else []
        return [
            torch.einsum("bkd,bdhw->bkhw", distiller.clip_token_to_pixel(asked[:, i]), pixels[:, j])
            for asked, pixels, _ in readings
        ]

    def clip_wise(_: int, j: int) -> list[Tensor]:
        return [seen[:, j] for *_, seen in readings] or [clip_masks[:, j]]

    flow = clip_flow(low_res)
    refined = refine_masks(frame_wise, low_res, flow), refine_masks(clip_wise, low_res, flow)
    return SemanticDistillerOutput(tokens, features, scores, refined[0], labels, clip_tokens, refined[1])


def guided_filter(maps: Tensor, guide: Tensor, radius: int = _RADIUS, smoothness: float = _SMOOTHNESS) -> Tensor:
    """Maps that are, around every pixel, the best linear function of the guide: its edges become theirs (He, Sun and
    Tang 2010, eq. 5, 6 and 8).

    Args:
        maps: (N, K, H, W).
        guide: (N, 1, H, W) in [0, 1].
        radius: of the square windows, in pixels.
        smoothness: edges of the guide whose variance in a window is below it are passed over.
    """

    def mean(x: Tensor) -> Tensor:
        side, padded = 2 * radius + 1, F.pad(x, (radius,) * 4, mode="replicate")
        # a third of avg_pool2d's time on a CPU
        rows = reduce(torch.add, [padded[..., k : k + x.shape[-2], :] for k in range(side)])
        return reduce(torch.add, [rows[..., k : k + x.shape[-1]] for k in range(side)]) / side**2

    mean_guide, mean_maps = mean(guide), mean(maps)
    slope = (mean(guide * maps) - mean_guide * mean_maps) / (mean(guide * guide) - mean_guide**2 + smoothness)
    return mean(slope) * guide + mean(mean_maps - slope * mean_guide)


def refine_masks(
    masks_in: Callable[[int, int], Sequence[Tensor]], low_res: Tensor, flow: Tensor, reach: int = _REACH
) -> Tensor:
    """Masks at the size of the LR frames: the mean, along the flow, of what a frame's tokens show in it and in the
    frames near it, then drawn to the frame's edges.

    Args:
        masks_in: of two frames' indices, the mask logits (B, K, h, w) in the second of what the tokens of the first
            stand for: one reading, several of any sizes, or none where they cannot be had of another frame.
        low_res: LR frames (B, F, 3, H, W) in [-1, 1].
        flow: their optical flow (B, 2, F - 1, 2, H, W), as [`clip_flow`] gives it.
        reach: how many frames before and after are looked at.

    Returns:
        Mask logits (B, F, K, H, W), float32; positive is inside, which is more than where `masks_in` are positive.
    """
    num_frames, size = low_res.shape[1], (low_res.shape[-2], low_res.shape[-1])
    guide = low_res.float().mean(dim=2, keepdim=True) / 2 + 0.5
    refined = []
    for i in range(num_frames):
        seen = []
        for j in range(max(0, i - reach), min(num_frames, i + reach + 1)):
            readings = [
                F.interpolate(masks.float(), size=size, mode="bilinear", align_corners=False)
                for masks in masks_in(i, j)
            ]
            if readings:
                masks = torch.stack(readings).mean(dim=0)
                seen.append(masks if i == j else warp(masks, flow_to_neighbor(flow, i, j - i)))
        inside = guided_filter(torch.stack(seen).mean(dim=0).sigmoid(), guide[:, i])
        refined.append(inside.clamp(1e-4, 1 - 1e-4).logit())
    return torch.stack(refined, dim=1) - torch.tensor(_THRESHOLD).logit().to(guide)
