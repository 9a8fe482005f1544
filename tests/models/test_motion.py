# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from seeclear.models.motion import (
    CHANNELS,
    MotionHead,
    camera_motion,
    clip_flow,
    flow_to,
    motion_maps,
    moved_neighbor,
    optical_flow,
    warp,
)


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


def test_flow_of_a_shifted_picture() -> None:
    first = texture(64, 96)
    for x, y in ((2.0, -1.0), (0.4, 0.3), (-5.0, 3.0)):
        second = warp(first, constant_flow(-x, -y, 64, 96))  # everything moves by (x, y)
        flow = optical_flow(first, second)[..., 12:-12, 12:-12]
        assert float((flow - constant_flow(x, y, 40, 72)).abs().mean()) < 0.25


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
        there = flow_to(flow, t, step)[..., 8:-8, 8:-8]
        expected = constant_flow(2 * step, step, *there.shape[-2:])
        assert float((there - expected).abs().mean()) < 0.25 * abs(step)
    assert torch.equal(flow_to(flow, 1, 1), flow[:, 0, 1]) and torch.equal(flow_to(flow, 1, -1), flow[:, 1, 0])


def test_moved_neighbors_show_the_same(moving_clip: Callable[..., torch.Tensor]) -> None:
    clip = moving_clip(3, 2, 1)
    flow = clip_flow(clip)
    for t, step in ((0, 1), (1, 1), (1, -1), (2, -1)):
        moved, _ = moved_neighbor(clip, flow, t, step)
        left = (clip[:, t + step] - clip[:, t])[..., 8:-8, 8:-8].abs().mean()  # without compensation
        assert moved is not None and 0 < moved[..., 8:-8, 8:-8].abs().mean() < 0.1 * left


def test_camera_motion_is_that_of_most_of_the_picture() -> None:
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, 30), torch.linspace(-1, 1, 40), indexing="ij")
    affine = torch.stack([2 + columns - 0.5 * rows, -1 + 0.3 * columns + 0.2 * rows])[None]
    flow = affine.clone()
    flow[:, :, 5:15, 10:22] += 8.0
    torch.testing.assert_close(camera_motion(flow), affine, rtol=0, atol=0.15)


def test_what_moves_stands_out_from_what_the_camera_moves() -> None:
    """A textured square moves by itself before a background that the camera moves the other way."""
    background, thing = texture(64, 96), texture(16, 16, seed=1)
    frames = []
    for i in range(5):
        frame = warp(background, constant_flow(0.8 * i, 0, 64, 96))
        frame[..., 24:40, 30 + 2 * i : 46 + 2 * i] = thing
        frames.append(frame)
    maps = motion_maps(torch.stack(frames, dim=1))
    assert maps.shape == (1, 5, CHANNELS, 64, 96)
    for i in range(5):
        inside = torch.zeros(64, 96, dtype=torch.bool)
        inside[26:38, 32 + 2 * i : 44 + 2 * i] = True
        outside = torch.ones(64, 96, dtype=torch.bool)
        outside[14:50, 12:72] = False
        for one in maps[0, i]:
            assert float(one[inside].mean()) > 2 * float(one[outside].mean())


def test_one_frame_has_no_motion_and_two_are_enough() -> None:
    assert not motion_maps(texture(32, 48)[None]).any()
    pair = torch.stack([texture(32, 48), texture(32, 48, seed=1)], dim=1)
    maps = motion_maps(pair)
    assert maps.isfinite().all() and bool(maps.flatten(3).any(dim=-1).all())
    torch.testing.assert_close(maps[:, :, 0], maps[:, :, 1])  # one neighbour: the mean is the smallest
    still = texture(32, 48)[:, None].expand(-1, 4, -1, -1, -1)
    assert float(motion_maps(still)[:, :, :4].max()) < 1e-3


def test_head_adds_nothing_untrained_and_keeps_shapes() -> None:
    torch.manual_seed(0)
    head = MotionHead(16)
    features, pixels = torch.randn(2, 3, 16, 12, 20), torch.rand(2, 3, 3, 30, 50)
    assert torch.equal(head(features, pixels), torch.zeros_like(features))
    torch.nn.init.normal_(head.out.weight)
    changed = head(features, pixels)
    assert changed.shape == features.shape and bool(changed.any())
