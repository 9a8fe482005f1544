# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What a Semantic Lens can be made of, BasicVSR's parts among it, in every combination."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seeclear.models import SemanticLens
from seeclear.models.basicvsr_weights import BASICVSR
from seeclear.models.propagation import ClipMotion
from seeclear.resize import imresize

SMALL = {
    "channels": 16,
    "backward_blocks": 1,
    "forward_blocks": 1,
    "head_dim": 8,
    "alignment_window_size": 4,
    "search_radius": 2,
    "global_grid": 3,
    "semantic_token_dim": 12,
    "semantic_feature_dim": 10,
}
FRAMES = {"trunk_input": "frames", "extraction_blocks": 0}
PLAIN = dict.fromkeys(("image", "gps", "isee", "multi_frame_attention"), False)


def _inputs(frames: int = 3, height: int = 9, width: int = 13) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "low_res": torch.rand(1, frames, 3, height, width, generator=generator) * 2 - 1,
        "features": torch.randn(1, frames, 10, 6, 7, generator=generator),
        "clip_tokens": torch.randn(1, 5, 12, generator=generator),
        "clip_masks": 3 * torch.randn(1, frames, 5, 6, 7, generator=generator),
    }


def _random_lens(randomize: Callable[..., nn.Module], **config: Any) -> SemanticLens:
    """With flows of some pixels: 7x7 convolutions of random weights would give those of many frames' width."""
    torch.manual_seed(0)
    lens = randomize(SemanticLens(**SMALL, **config)).eval()
    assert isinstance(lens, SemanticLens)
    with torch.no_grad():
        for parameter in [] if lens.flow_network is None else lens.flow_network.parameters():
            parameter.mul_(0.2)
    return lens


CHOICES: list[dict[str, Any]] = [
    {
        **(FRAMES if frames else {}),
        "motion_compensation": motion,
        "coupled_branches": coupled,
        "fused_branches": motion if coupled else None,
        "second_order": frames and motion,
        "second_pass_blocks": (1, 1, 1, 1) if frames and coupled else None,
        "upsampling": upsampling,
        "skip": skip,
        "flow": "spynet" if frames or motion else "dis",
    }
    for frames, motion, coupled, (upsampling, skip) in itertools.product(
        (True, False), (True, False), (True, False), (("direct", "bilinear"), ("two-step", "bicubic"))
    )
]


@pytest.mark.parametrize("choice", CHOICES)
def test_all_parts_go_together_and_are_used(choice: dict[str, Any], randomize: Callable[..., nn.Module]) -> None:
    """With every semantic module on, at an odd size: untrained the enlarged frames, and no parameter is idle."""
    inputs = _inputs()
    lens = SemanticLens(**SMALL, **choice)
    enlarged = {
        "bicubic": imresize(inputs["low_res"], scale=4),
        "bilinear": F.interpolate(inputs["low_res"][0], scale_factor=4, mode="bilinear")[None],
    }
    assert torch.equal(lens(**inputs).sample, enlarged[choice["skip"]])
    random_lens = _random_lens(randomize, **choice)
    random_lens(**inputs).sample.square().mean().backward()
    assert [name for name, parameter in random_lens.named_parameters() if parameter.grad is None] == []


def test_gradient_checkpointing_gives_the_same_gradients(randomize: Callable[..., nn.Module]) -> None:
    lens = _random_lens(randomize, **BASICVSR)
    gradients = []
    for enable in (False, True):
        if enable:
            lens.enable_gradient_checkpointing()
        lens.train().zero_grad()
        lens(**_inputs()).sample.square().mean().backward()
        gradients.append({name: p.grad.clone() for name, p in lens.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_features_of_a_trunk_move_along_the_flow_and_are_zero_beyond_the_frame() -> None:
    """A step worked by hand: what the frame before left is found two pixels to the right, or nowhere."""
    lens = SemanticLens(**SMALL, **PLAIN, **FRAMES, upsampling="direct")
    branch = lens.forward_branch
    support = torch.randn(1, 16, 3, 5)
    flow = torch.tensor([2.0, 0.0])[None, :, None, None].expand(1, 2, 3, 5)
    moved, seen = branch.compensate(support, flow, None, None)
    torch.testing.assert_close(moved[..., :3], support[..., 2:])
    assert torch.equal(moved[..., 3:], torch.zeros(1, 16, 3, 2)) and seen is None


@torch.no_grad()
def test_a_branch_of_second_order_sees_two_frames_back_along_both_flows(randomize: Callable[..., nn.Module]) -> None:
    """A picture that moves two pixels a frame: the state of the frame before the last arrives moved by four."""
    torch.manual_seed(0)
    lens = randomize(SemanticLens(**SMALL, **PLAIN, **FRAMES, second_order=True))
    assert isinstance(lens, SemanticLens) and lens.forward_branch.fuse_second is not None
    branch = lens.forward_branch
    branch.blocks = nn.Sequential()
    for conv in (branch.fuse_sources, branch.fuse_aligned):  # a state is what it sees two frames back, and source one
        nn.init.zeros_(conv.weight)
    branch.fuse_sources.weight[0, 0, 1, 1] = 1
    nn.init.zeros_(branch.fuse_sources.bias)
    nn.init.dirac_(branch.fuse_second.weight)
    picture = torch.rand(1, 3, 6, 20)
    sources = torch.cat([torch.cat([picture, torch.zeros(1, 16, 6, 20)], dim=1)] + [torch.zeros(1, 19, 6, 20)] * 2)
    flow = torch.tensor([2.0, 0.0])[None, None, None, :, None, None].expand(1, 2, 2, 2, 6, 20)
    motion = ClipMotion(None, flow, 4, 3)
    states = branch((sources,), 3, motion)
    torch.testing.assert_close(states[2, 0, :, :16], picture[0, 0, :, 4:])
    assert torch.equal(states[2, 0, :, 16:], torch.zeros(6, 4))
    assert float(states[1].abs().max()) == 0


@torch.no_grad()
def test_a_second_pass_sees_what_the_first_restored(randomize: Callable[..., nn.Module]) -> None:
    """It begins as nothing; trained, a change of one restored frame reaches the others."""
    torch.manual_seed(0)
    lens = randomize(SemanticLens(**SMALL, **PLAIN, **FRAMES, second_pass_blocks=(1, 1, 1, 1)))
    assert isinstance(lens, SemanticLens) and lens.second_pass is not None
    given = {"low_res": _inputs()["low_res"], "flow": torch.zeros(1, 2, 2, 2, 9, 13)}
    both = lens(**given).sample
    first_pass, lens.second_pass = lens.second_pass, None
    first = lens(**given).sample
    assert not torch.allclose(both, first, atol=1e-3)
    changed = first.clone()
    changed[:, 0] += 0.1
    lens.second_pass = first_pass
    seen: list[Tensor] = []
    forward = first_pass.forward

    def spy(hidden: Tensor, frames: Tensor, *others: Any) -> Tensor:
        seen.append(frames)
        return forward(hidden, changed, *others)

    first_pass.forward = spy  # type: ignore[method-assign]
    again = lens(**given).sample
    assert torch.equal(seen[0], first)
    assert all(not torch.allclose(again[:, i], both[:, i], atol=1e-5) for i in range(3))
    first_pass.forward = forward  # type: ignore[method-assign]
    nn.init.zeros_(first_pass.conv_out.weight)
    nn.init.zeros_(first_pass.conv_out.bias)
    assert torch.equal(lens(**given).sample, first)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"second_order": True}, "`second_order` is on"),
        ({"second_pass_blocks": (1, 1, 1, 1)}, "`second_pass_blocks` is given; a lens whose branches know features"),
        (FRAMES | {"second_pass_blocks": (1, 1)}, r"`second_pass_blocks` is \(1, 1\); it must be four numbers"),
        ({"coupled_branches": False, "fused_branches": False}, "`fused_branches` and `coupled_branches` are off"),
    ],
)
def test_parts_without_a_use_are_refused(choice: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SemanticLens(**SMALL, **choice)


@torch.no_grad()
def test_half_precision_and_channels_last(randomize: Callable[..., nn.Module]) -> None:
    lens = _random_lens(randomize, **BASICVSR)
    inputs = _inputs()
    expected = lens(**inputs).sample
    last = lens.to(memory_format=torch.channels_last)
    torch.testing.assert_close(last(**inputs).sample, expected, rtol=1e-4, atol=1e-4)
    half = lens.bfloat16()(**inputs).sample
    assert half.dtype == torch.float32  # the bilinear part keeps its precision
    detail = (expected[0] - F.interpolate(inputs["low_res"][0], scale_factor=4, mode="bilinear")).abs().mean()
    assert (half - expected).abs().mean() < 0.05 * detail


@torch.no_grad()
@pytest.mark.parametrize("motion_compensation", [False, True])
def test_flow_is_estimated_unless_it_is_given(motion_compensation: bool, randomize: Callable[..., nn.Module]) -> None:
    lens = _random_lens(randomize, **PLAIN, **BASICVSR, motion_compensation=motion_compensation)
    low_res = _inputs()["low_res"]
    flow = lens.estimate_flow(low_res)
    assert flow is not None and flow.shape == (1, 2, 2, 2, 9, 13)
    expected = lens(low_res).sample
    torch.testing.assert_close(lens(low_res, flow=flow).sample, expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(lens(low_res, flow=flow + 1).sample, expected, atol=1e-2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trunk_input": "pixels"}, "`trunk_input` is 'pixels'; it must be one of"),
        ({"flow": "raft"}, "`flow` is 'raft'; it must be one of"),
        ({"upsampling": "three-step"}, "`upsampling` is 'three-step'; it must be one of"),
        ({"skip": "nearest"}, "`skip` is 'nearest'; it must be one of"),
        ({"trunk_input": "frames", "extraction_blocks": 1}, "`extraction_blocks` is 1; .* `trunk_input` 'frames'"),
        ({"flow": "spynet", "motion_compensation": False}, "`flow` is 'spynet'; a lens that moves nothing"),
    ],
)
def test_errors_name_the_argument(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SemanticLens(**SMALL | changes)
