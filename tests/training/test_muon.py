# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import copy

import pytest
import torch
from torch import Tensor, nn

from seeclear import PixelCondenser, SemanticLens
from seeclear.training.muon import ADAM_RMS, Muon, as_matrix, hidden_weights, orthogonal

OPTIONS = {"lr": 0.01, "betas": (0.5, 0.9), "eps": 1e-8, "weight_decay": 0.1}


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 24, 3)
        self.linear = nn.Linear(24, 40)
        self.narrow = nn.Linear(40, 4)


class Network(nn.Module):
    _no_split_modules = ["Block"]

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(32, 32)
        self.blocks = nn.ModuleList(Block() for _ in range(2))


def random_gradients(network: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


@pytest.mark.parametrize("shape", [(3, 20, 50), (2, 50, 20), (1, 24, 24)])
def test_singular_values_come_near_one_and_vectors_stay(shape: tuple[int, ...]) -> None:
    matrices = 7 * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    made = orthogonal(matrices)
    assert made.shape == matrices.shape and made.dtype == matrices.dtype
    left, values, right = torch.linalg.svd(matrices, full_matrices=False)
    inside = left.mT @ made @ right.mT  # diagonal, if the singular vectors are the same
    clear = values > 0.2 * values.max()
    assert 0.6 < inside.diagonal(dim1=1, dim2=2)[clear].min() and inside.diagonal(dim1=1, dim2=2)[clear].max() < 1.3
    torch.testing.assert_close(
        inside - torch.diag_embed(inside.diagonal(dim1=1, dim2=2)), inside * 0, rtol=0, atol=0.05
    )


def test_blocks_are_hidden_and_nothing_else() -> None:
    network = Network()
    network.blocks[1].linear.weight.requires_grad_(False)
    chosen = hidden_weights(network)
    assert [id(weight) for weight in chosen] == [
        id(weight) for weight in (network.blocks[0].conv.weight, network.blocks[0].linear.weight,
                                  network.blocks[1].conv.weight)
    ]  # fmt: skip


def test_first_and_last_layers_of_the_condenser_are_not_hidden() -> None:
    condenser = PixelCondenser(channels=(16, 16), self_attention=(False, True), middle_layers=1, layers_per_level=1)
    chosen = {id(weight) for weight in hidden_weights(condenser)}
    names = {name for name, weight in condenser.named_parameters() if id(weight) in chosen}
    assert "encoder.0.blocks.0.conv1.weight" in names and "decoder.0.attentions.0.attention.to_qkv.weight" in names
    assert {name.split(".")[0] for name in names} == {"encoder", "decoder", "middle"}


def test_blocks_of_the_lens_are_hidden() -> None:
    lens = SemanticLens(channels=32)
    chosen = {id(weight) for weight in hidden_weights(lens)}
    names = {name for name, weight in lens.named_parameters() if id(weight) in chosen}
    assert {name.split(".")[0] for name in names} == {
        "extraction", "backward_branch", "forward_branch", "attention", "reconstruction"
    }  # fmt: skip


def test_a_step_by_hand() -> None:
    """The gradient is orthogonal already, up to its length: so is the update, of AdamW's size."""
    network = Network()
    before = copy.deepcopy(network)
    rotation = torch.linalg.qr(torch.randn(40, 24, generator=torch.Generator().manual_seed(1)))[0]
    network.blocks[0].linear.weight.grad = 30 * rotation
    Muon(network, **OPTIONS).step()
    shrunk = (1 - 0.01 * 0.1) * before.blocks[0].linear.weight
    moved = (shrunk - network.blocks[0].linear.weight) / (0.01 * ADAM_RMS * 40**0.5)
    along = float((moved * rotation).sum().detach() / 24)
    assert 0.6 < along < 1.3
    torch.testing.assert_close(moved, along * rotation, rtol=0, atol=0.03)
    for name, parameter in network.named_parameters():  # what has no gradient stays
        assert name == "blocks.0.linear.weight" or torch.equal(parameter, before.get_parameter(name))


def test_a_kernel_counts_as_a_matrix() -> None:
    kernels, wide = Network(), Network()
    before = kernels.blocks[0].conv.weight.detach().clone()
    kernel = torch.randn(24, 16, 3, 3, generator=torch.Generator().manual_seed(2))
    wide.blocks[0].linear = nn.Linear(144, 24)
    wide.blocks[0].linear.weight.data = as_matrix(kernels.blocks[0].conv.weight.data).clone()
    kernels.blocks[0].conv.weight.grad, wide.blocks[0].linear.weight.grad = kernel, as_matrix(kernel).clone()
    for network in (kernels, wide):
        Muon(network, **OPTIONS).step()
    torch.testing.assert_close(as_matrix(kernels.blocks[0].conv.weight), wide.blocks[0].linear.weight)
    assert not torch.equal(kernels.blocks[0].conv.weight, before)


def test_the_rest_is_adamw() -> None:
    network = Network()
    alone = nn.Linear(32, 32)
    alone.load_state_dict(network.first.state_dict())
    ours, adamw = Muon(network, **OPTIONS), torch.optim.AdamW(alone.parameters(), **OPTIONS)
    for seed in range(3):
        random_gradients(network, seed)
        alone.weight.grad, alone.bias.grad = (parameter.grad.clone() for parameter in network.first.parameters())
        ours.step()
        adamw.step()
    torch.testing.assert_close(network.first.weight, alone.weight)
    torch.testing.assert_close(network.first.bias, alone.bias)


def test_states_continue_exactly() -> None:
    through, halves = Network(), Network()
    halves.load_state_dict(through.state_dict())
    optimizers = [Muon(network, **OPTIONS) for network in (through, halves)]
    for seed in range(4):
        if seed == 2:
            state = copy.deepcopy(optimizers[1].state_dict())
            optimizers[1] = Muon(halves, **OPTIONS)
            optimizers[1].load_state_dict(state)
        for network, optimizer in zip((through, halves), optimizers, strict=True):
            random_gradients(network, seed)
            optimizer.step()
    pairs: list[tuple[Tensor, Tensor]] = list(zip(through.parameters(), halves.parameters(), strict=True))
    assert all(torch.equal(one, other) for one, other in pairs)
