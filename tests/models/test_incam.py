# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from collections.abc import Callable

import torch
from torch import nn

from seeclear.models.incam import InCAM, InstanceActivation, SpatialModulation
from seeclear.models.instance_tokens import InstanceEncoderDecoder


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_modulation_is_equation_11(randomize: Callable[[nn.Module], nn.Module]) -> None:
    modulation = randomize(SpatialModulation(8, 4))
    hidden, features = _random(2, 8, 6, 6), _random(2, 4, 6, 6)
    gamma, beta = modulation.conv2(modulation.conv1(features).relu()).chunk(2, dim=1)
    torch.testing.assert_close(modulation(hidden, features), hidden * gamma + beta + hidden)


def test_modulation_takes_features_of_any_size(randomize: Callable[[nn.Module], nn.Module]) -> None:
    modulation = randomize(SpatialModulation(8, 4))
    hidden = _random(2, 8, 6, 10)
    for size in [(3, 5), (1, 1), (12, 20), (4, 30)]:
        constant = torch.ones(2, 4, 1, 1).expand(2, 4, *size)
        assert modulation(hidden, constant).shape == hidden.shape


def test_activation_on_a_case_worked_by_hand() -> None:
    """Two instances with orthogonal tokens: a pixel takes the gain of the instance that it resembles."""
    activation = InstanceActivation(2, 2)
    activation.norm = nn.Identity()
    for conv in (activation.to_token, activation.to_gain):
        nn.init.dirac_(conv.weight)
        nn.init.zeros_(conv.bias)
    tokens = torch.tensor([[[30.0, 0.0], [0.0, 30.0]]])
    pixels = torch.tensor([[3.0, 0.0], [0.0, 3.0]]).T.reshape(
        1, 2, 1, 2
    )  # the first is instance 0, the second instance 1
    expected = pixels * (1 + torch.tensor([[30.0, 0.0], [0.0, 30.0]]).T.reshape(1, 2, 1, 2))
    torch.testing.assert_close(activation(pixels, tokens), expected)


def test_activation_lights_the_same_instance_in_every_frame(randomize: Callable[[nn.Module], nn.Module]) -> None:
    activation = randomize(InstanceActivation(8, 8))
    pixels = _random(1, 8, 4, 4).expand(3, -1, -1, -1)  # three equal frames of one clip
    lit = activation(pixels, _random(1, 5, 8))
    torch.testing.assert_close(lit, lit[:1].expand_as(lit))


def test_clip_tokens_gather_from_every_frame_and_batch_entries_stay_apart(
    randomize: Callable[[nn.Module], nn.Module],
) -> None:
    instances = randomize(InstanceEncoderDecoder(16, 6, 2, 1)).eval()
    tokens = _random(2, 3, 5, 16)
    clip_tokens = instances(tokens)
    assert clip_tokens.shape == (2, 6, 16)
    for frame in range(3):
        changed = tokens.clone()
        changed[0, frame, 2] += 1
        moved = (instances(changed) - clip_tokens).abs().amax(dim=(1, 2))
        assert moved[0] > 1e-4
        assert moved[1] < 1e-6


def test_switches_remove_parameters_and_effect(randomize: Callable[[nn.Module], nn.Module]) -> None:
    inputs = {"tokens": _random(2, 5, 16), "features": _random(2, 4, 3, 3), "clip_tokens": _random(1, 6, 16)}
    hidden = _random(2, 16, 8, 8)
    names = {"frame_semantics": {"modulation", "embedding"}, "clip_semantics": {"activation"}}
    for switch, parts in names.items():
        module = randomize(InCAM(16, 8, 4, False, 16, 4, **{switch: False}))
        present = {name for name, _ in module.named_children()}
        assert not parts & present
        assert module(hidden, 2, **inputs).shape == hidden.shape
    alone = randomize(InCAM(16, 8, 4, False, 16, 4, frame_semantics=False, clip_semantics=False))
    assert torch.equal(alone(hidden, 2, **inputs), alone(hidden, 2))
