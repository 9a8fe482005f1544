# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from typing import Any

import torch
import torch.nn.functional as F

from seeclear.app.segment.mask_refinement import distill_refined, guided_filter, refine_masks
from seeclear.models import SemanticDistiller
from seeclear.models.optical_flow import clip_flow


def moving_square(frames: int = 5, height: int = 48, width: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """A bright square that goes right by 2 pixels a frame over a dark texture: frames (1, F, 3, H, W) in [-1, 1], and
    where it is, bool (F, H, W).
    """
    ground = 0.3 * torch.rand(1, 1, 1, height, width, generator=torch.Generator().manual_seed(0)) - 0.9
    clip, inside = ground.repeat(1, frames, 3, 1, 1), torch.zeros(frames, height, width, dtype=torch.bool)
    for f in range(frames):
        inside[f, 14:34, 12 + 2 * f : 32 + 2 * f] = True
    clip[0].masked_fill_(inside[:, None], 0.8)
    return clip, inside


def iou(logits: torch.Tensor, inside: torch.Tensor) -> float:
    return float(((logits > 0) & inside).sum() / ((logits > 0) | inside).sum())


def test_what_depends_on_the_guide_alone_is_kept() -> None:
    guide = torch.rand(2, 1, 12, 20, generator=torch.Generator().manual_seed(0))
    maps = torch.cat([0.5 * guide - 0.2, torch.full_like(guide, 0.7)], dim=1)
    torch.testing.assert_close(guided_filter(maps, guide, radius=2, smoothness=1e-9), maps)


def test_without_edges_it_is_the_mean_of_means() -> None:
    maps = torch.rand(1, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    found = guided_filter(maps, torch.full_like(maps, 0.5), radius=1)
    mean = F.avg_pool2d(maps, 3, stride=1)
    torch.testing.assert_close(found[..., 2:-2, 2:-2], F.avg_pool2d(mean, 3, stride=1))


def test_masks_become_steady_and_get_the_frames_edges() -> None:
    """Coarse masks that are too small, and one of which is empty, against the square itself."""
    clip, inside = moving_square()
    coarse = F.interpolate(inside[None].float(), scale_factor=1 / 4, mode="area").movedim(1, 0)[None]
    logits = 8 * coarse - 5.5  # positive from 0.69 on
    logits[:, 2] = -1.0
    flow = clip_flow(clip)
    refined = refine_masks(lambda i, j: [logits[:, j]], clip, flow)
    alone = refine_masks(lambda i, j: [logits[:, j]] if i == j else [], clip, flow)
    assert refined.shape == (1, 5, 1, 48, 64) and refined.dtype == torch.float32
    before = F.interpolate(logits[0], size=(48, 64), mode="bilinear", align_corners=False)
    for f in range(5):
        assert iou(refined[0, f, 0], inside[f]) > iou(before[f, 0], inside[f]) + 0.05, f
    assert iou(refined[0, 2, 0], inside[2]) > 0.8
    assert iou(alone[0, 2, 0], inside[2]) < 0.6
    finer = F.interpolate(logits[0], scale_factor=2, mode="nearest")[None]
    both = refine_masks(lambda i, j: [logits[:, j], finer[:, j] - 100], clip, flow)
    assert (both < 0).all()  # the mean of readings of two sizes


@torch.no_grad()
def test_masks_alone_are_refined(small_distiller_config: dict[str, Any]) -> None:
    torch.manual_seed(0)
    for config in (small_distiller_config, {"segmenter_config": {"model_type": "mobile"}, "motion": True}):
        distiller = SemanticDistiller(**config).eval()
        clip, _ = moving_square()
        for dtype in (torch.float32, torch.bfloat16):
            plain, refined = distiller.to(dtype)(clip), distill_refined(distiller, clip)
            for name in ("tokens", "features", "scores", "labels", "clip_tokens"):
                assert torch.equal(plain[name], refined[name])
            assert refined.masks.shape == (*plain.masks.shape[:3], 48, 64)
            assert refined.clip_masks.shape == (*plain.clip_masks.shape[:3], 48, 64)
            assert refined.masks.isfinite().all() and refined.clip_masks.isfinite().all()
