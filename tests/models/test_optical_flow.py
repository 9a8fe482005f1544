# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from seeclear.models.optical_flow import clip_flow, flow_to_neighbor, moved_neighbor, warp


def texture(*size: int, seed: int = 0) -> torch.Tensor:
    """A smooth random picture (1, 1, *size) in [0, 1]."""
    coarse = torch.rand(1, 1, size[0] // 4, size[1] // 4, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, size=size, mode="bicubic", align_corners=False).clamp(0, 1)


def constant_flow(x: float, y: float, *size: int) -> torch.Tensor:
    return torch.tensor([x, y])[None, :, None, None].expand(1, 2, *size)


def test_warp_looks_where_the_flow_points() -> None:
    picture = torch.arange(12.0).reshape(1, 1, 3, 4)
    torch.testing.assert_close(warp(picture, constant_flow(0, 0, 3, 4)), picture)
    moved = warp(picture, constant_flow(1, 0, 3, 4))
    torch.testing.assert_close(moved[0, 0, 1], torch.tensor([5.0, 6.0, 7.0, 7.0]))  # the edge is repeated
    torch.testing.assert_close(warp(picture, constant_flow(0, -0.5, 3, 4))[0, 0, 1], picture[0, 0, 1] - 2)


@pytest.mark.parametrize("scale", [1, 4])
def test_clip_flows_lead_to_the_frame_after_and_to_the_one_before(
    scale: int, moving_clip: Callable[..., torch.Tensor]
) -> None:
    clip = moving_clip(3, 2, -1)
    flow = clip_flow(clip)
    enlarged = F.interpolate(clip, scale_factor=(1, scale, scale))
    for t, step in ((0, 1), (1, 1), (1, -1), (2, -1)):
        _, there = moved_neighbor(enlarged, flow, t, step, scale)
        assert there is not None and there.shape == (1, 2, 48 * scale, 64 * scale)
        expected = step * scale * torch.tensor([2.0, -1.0])[None, :, None, None]
        inside = there[..., 8 * scale : -8 * scale, 8 * scale : -8 * scale]
        assert float((inside - expected).abs().mean()) < 0.25 * scale
    for t, step in ((0, -1), (2, 1)):
        assert moved_neighbor(enlarged, flow, t, step, scale) == (None, None)
    still = moving_clip(1, 0, 0)
    assert clip_flow(still).shape == (1, 2, 0, 2, 48, 64)
    assert moved_neighbor(still, clip_flow(still), 0, 1) == (None, None)


def test_clip_flow_of_frames_at_hr_size_and_of_tiny_ones(moving_clip: Callable[..., torch.Tensor]) -> None:
    clip = F.interpolate(moving_clip(3, 2, -1), scale_factor=(1, 4, 4))
    flow = clip_flow(clip, 4)
    assert flow.shape == (1, 2, 2, 2, 48, 64)
    assert flow.dtype == torch.float32
    for side, sign in enumerate((1, -1)):
        expected = sign * torch.tensor([2.0, -1.0])[:, None, None]
        assert float((flow[0, side, :, :, 8:-8, 8:-8] - expected).abs().mean()) < 0.25
    assert clip_flow(clip[..., :6, :5]).shape == (1, 2, 2, 2, 6, 5)
    assert float((clip_flow(clip.half()) - clip_flow(clip)).abs().mean()) < 0.1


def test_flow_to_frames_further_away(moving_clip: Callable[..., torch.Tensor]) -> None:
    clip = moving_clip(4, 2, 1)  # each frame shows what the one before did, 2 to the right and 1 down
    flow = clip_flow(clip)
    for t, step in ((0, 2), (1, 2), (3, -2), (0, 3), (3, -3)):
        there = flow_to_neighbor(flow, t, step)[..., 8:-8, 8:-8]
        expected = constant_flow(2 * step, step, *there.shape[-2:])
        assert float((there - expected).abs().mean()) < 0.25 * abs(step)
    assert torch.equal(flow_to_neighbor(flow, 1, 1), flow[:, 0, 1]) and torch.equal(
        flow_to_neighbor(flow, 1, -1), flow[:, 1, 0]
    )


def test_moved_neighbors_show_the_same(moving_clip: Callable[..., torch.Tensor]) -> None:
    clip = moving_clip(3, 2, 1)
    flow = clip_flow(clip)
    for t, step in ((0, 1), (1, 1), (1, -1), (2, -1)):
        moved, _ = moved_neighbor(clip, flow, t, step)
        left = (clip[:, t + step] - clip[:, t])[..., 8:-8, 8:-8].abs().mean()  # without compensation
        assert moved is not None and 0 < moved[..., 8:-8, 8:-8].abs().mean() < 0.1 * left
