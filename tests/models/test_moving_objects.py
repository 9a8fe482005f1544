# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.

import torch
import torch.nn.functional as F

from seeclear.models.moving_objects import CHANNELS, MotionHead, camera_motion, lucas_kanade_flow, motion_maps
from seeclear.models.optical_flow import warp


def texture(*size: int, seed: int = 0) -> torch.Tensor:
    """A smooth random picture (1, 1, *size) in [0, 1]."""
    coarse = torch.rand(1, 1, size[0] // 4, size[1] // 4, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, size=size, mode="bicubic", align_corners=False).clamp(0, 1)


def constant_flow(x: float, y: float, *size: int) -> torch.Tensor:
    return torch.tensor([x, y])[None, :, None, None].expand(1, 2, *size)


def test_flow_of_a_shifted_picture() -> None:
    first = texture(64, 96)
    for x, y in ((2.0, -1.0), (0.4, 0.3), (-5.0, 3.0)):
        second = warp(first, constant_flow(-x, -y, 64, 96))  # everything moves by (x, y)
        flow = lucas_kanade_flow(first, second)[..., 12:-12, 12:-12]
        assert float((flow - constant_flow(x, y, 40, 72)).abs().mean()) < 0.25


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
