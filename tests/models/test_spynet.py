# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from seeclear.models.spynet import LEVELS, SPyNet, enlarge_flow


@pytest.fixture
def random_net(randomize: Callable[..., nn.Module]) -> SPyNet:
    torch.manual_seed(0)
    net = randomize(SPyNet()).eval()
    assert isinstance(net, SPyNet)
    with torch.no_grad():
        for parameter in net.parameters():  # 7x7 convolutions of many channels would give flows of many frames' width
            parameter.mul_(0.2)
    return net


@torch.no_grad()
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 1), (31, 3), (32, 32), (33, 65)])
def test_any_size_has_a_flow_and_untrained_it_is_zero(size: tuple[int, int]) -> None:
    frames = torch.rand(2, 3, 3, *size) * 2 - 1
    flow = SPyNet()(frames)
    assert flow.dtype == torch.float32
    assert torch.equal(flow, torch.zeros(2, 2, 2, 2, *size))


@pytest.mark.parametrize("frames", [0, 1])
def test_fewer_than_two_frames_have_no_flow(frames: int) -> None:
    assert SPyNet()(torch.zeros(1, frames, 3, 4, 5)).shape == (1, 2, 0, 2, 4, 5)


@torch.no_grad()
def test_levels_add_up_from_coarse_to_fine() -> None:
    """Every level adds what it finds in its own pixels, and the whole is told in those of the frame."""
    net = SPyNet()
    for number, level in enumerate(net.levels):
        level[-1].bias.copy_(torch.tensor([1.0, -2.0]) * (number + 1))
    flow = net(torch.zeros(1, 2, 3, 40, 96))  # 40 rows are made 64
    doubled = sum((number + 1) * 2 ** (LEVELS - 1 - number) for number in range(LEVELS))
    expected = torch.tensor([doubled, -2 * doubled * 40 / 64])[:, None, None].expand(1, 2, 1, 2, 40, 96)
    torch.testing.assert_close(flow, expected)


def test_enlarged_flow_has_its_corners_in_place() -> None:
    enlarged = enlarge_flow(torch.tensor([[[[0.0, 3.0]], [[3.0, 6.0]]]]))
    row = torch.tensor([0.0, 2.0, 4.0, 6.0])
    torch.testing.assert_close(enlarged, torch.stack([row, row + 6])[None, :, None].expand(1, 2, 2, 4))


def test_frames_are_normalized_as_those_of_imagenet() -> None:
    red, green, blue = SPyNet.normalize(torch.full((1, 3, 32, 64), 0.5))[0, :, 7, 11].tolist()
    expected = [(0.75 - 0.485) / 0.229, (0.75 - 0.456) / 0.224, (0.75 - 0.406) / 0.225]
    assert [red, green, blue] == pytest.approx(expected)
    assert SPyNet.normalize(torch.zeros(2, 3, 33, 5)).shape == (2, 3, 64, 32)


@torch.no_grad()
def test_a_level_sees_reference_moved_support_and_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames that move by two pixels: where the coarser level found it, the last one sees them lie on each other."""
    net = SPyNet()
    net.levels[-2][-1].bias.copy_(torch.tensor([1.0, 0.0]))  # 2 pixels of the last level
    seen: list[torch.Tensor] = []
    net.levels[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    wide = F.interpolate(torch.rand(1, 3, 8, 9), size=(64, 66), mode="bilinear")
    net.pair_flow(wide[..., 2:], wide[..., :-2])
    reference, moved, flow = seen[0].split((3, 3, 2), dim=1)
    assert torch.equal(reference, wide[..., 2:])
    torch.testing.assert_close(moved[..., :-2], reference[..., :-2], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(moved[..., -2:], wide[..., -3:-2].expand(1, 3, 64, 2), rtol=1e-4, atol=1e-4)  # the edge
    torch.testing.assert_close(flow, torch.tensor([2.0, 0.0])[None, :, None, None].expand(1, 2, 64, 64))


@torch.no_grad()
def test_every_pair_depends_on_its_two_frames_alone(random_net: SPyNet) -> None:
    """And the way back is the way there of the clip turned round."""
    clip = torch.rand(2, 3, 3, 20, 40) * 2 - 1
    flow = random_net(clip)
    assert float(flow.abs().mean()) > 0.01
    torch.testing.assert_close(random_net(clip[:, 1:]), flow[:, :, 1:], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(random_net(clip[1:]), flow[1:], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(random_net(clip.flip(1)), flow.flip(1, 2), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_places_are_float32_in_a_network_of_bfloat16(random_net: SPyNet) -> None:
    clip = torch.rand(1, 2, 3, 20, 40) * 2 - 1
    flow = random_net(clip)
    half = random_net.bfloat16()(clip, torch.bfloat16)
    assert half.dtype == torch.float32
    assert float((half - flow).abs().mean()) < 0.02 * float(flow.abs().mean())


def test_flow_can_be_trained(random_net: SPyNet) -> None:
    random_net(torch.rand(1, 2, 3, 20, 40)).square().mean().backward()
    assert [name for name, p in random_net.named_parameters() if p.grad is None or not p.grad.any()] == []
