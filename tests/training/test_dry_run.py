# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.checkpoint import checkpoint

from seeclear.training.dry_run import StepPlan, dry_run, measure_step

MIB = 2**20
SIDE = 512
BATCH = 2048
ACTIVATION = 4 * BATCH * SIDE
WEIGHT = 4 * SIDE * SIDE


class Chain(nn.Module):
    """Linear layers without bias, each followed by a sigmoid, which keeps its result."""

    def __init__(self, recompute: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(SIDE, SIDE, bias=False) for _ in range(4))
        self.recompute = recompute

    def forward(self, hidden_states: Tensor) -> Tensor:
        for i in (0, 2):
            if self.recompute:
                hidden_states = checkpoint(self.pair, i, hidden_states, use_reentrant=False)
            else:
                hidden_states = self.pair(i, hidden_states)
        return hidden_states

    def pair(self, first: int, hidden_states: Tensor) -> Tensor:
        for layer in self.layers[first : first + 2]:
            hidden_states = layer(hidden_states).sigmoid()
        return hidden_states


def plan(recompute: bool = False, judge: nn.Module | None = None) -> StepPlan:
    model = Chain(recompute)

    def step(network: Callable[..., Any], autocast: Callable[[], AbstractContextManager[Any]]) -> Tensor:
        hidden_states = network(torch.rand(BATCH, SIDE))
        if judge is None:
            return hidden_states.sum()
        with autocast():
            return judge(hidden_states).sum()

    return StepPlan({"chain": model} | ({} if judge is None else {"judge": judge}), model, step)


def test_counts_by_hand() -> None:
    memory = measure_step(plan())
    assert memory.saved == 5 * ACTIVATION  # the input and four sigmoids; linear layers keep the same tensors
    # the fifth gradient of an activation is made while four activations are still kept, and gradients pile up
    assert memory.saved < memory.peak <= memory.saved + 3 * ACTIVATION + 4 * WEIGHT


def test_without_contents_it_counts_the_same_and_allocates_nothing() -> None:
    for recompute in (False, True):
        real = measure_step(plan(recompute))
        with FakeTensorMode():
            assert measure_step(plan(recompute)) == real


def test_gradient_checkpointing_keeps_less() -> None:
    whole, recomputed = measure_step(plan()), measure_step(plan(recompute=True))
    assert recomputed.saved == 2 * ACTIVATION  # what goes into the two parts
    assert recomputed.peak < whole.peak
    assert recomputed.peak >= recomputed.saved + 2 * ACTIVATION  # a part is worked out again


def test_bf16_keeps_half_and_the_lowered_weights() -> None:
    with FakeTensorMode():
        memory = measure_step(plan(), torch.bfloat16)
    assert memory.saved == 5 * ACTIVATION / 2 + 3 * WEIGHT / 2  # the first layer's is needed for no gradient


def test_what_the_step_computes_in_mixed_precision_counts_so() -> None:
    """A sigmoid of the output, after one more layer: kept is that layer's weight and input, lowered, and what it
    gave.
    """
    judge = nn.Sequential(nn.Linear(SIDE, SIDE, bias=False), nn.Sigmoid()).requires_grad_(False)
    for precision, size in ((None, 1), (torch.bfloat16, 0.5)):
        alone, judged = (measure_step(plan(judge=module), precision).saved for module in (None, judge))
        weight = 0 if precision is None else WEIGHT / 2  # the network's own are not counted
        assert judged - alone == size * ACTIVATION + weight


def test_gradients_of_the_batches_before_stay() -> None:
    assert measure_step(plan(), batches=2).peak >= measure_step(plan(), batches=1).peak + 3 * WEIGHT


@pytest.mark.parametrize(
    ("processes", "ema", "optimizer", "states"),
    [(1, False, "adamw", {"AdamW": 8}), (4, True, "adamw", {"AdamW": 8}), (1, False, "muon", {"Muon": 4})],
)
def test_table(processes: int, ema: bool, optimizer: str, states: dict[str, int]) -> None:
    args = argparse.Namespace(
        train_batch_size=BATCH, num_frames=1, resolution=SIDE, use_ema=ema, gradient_accumulation_steps=1,
        gradient_checkpointing=False, channels_last=False, optimizer=optimizer,
    )  # fmt: skip

    def make(_: argparse.Namespace, mode: FakeTensorMode) -> StepPlan:
        with mode:
            planned = plan()
        planned.model._no_split_modules = ["Linear"]  # all of it is blocks
        frozen = nn.Linear(SIDE, 2 * SIDE, bias=False)
        return StepPlan({**planned.components, "frozen": frozen}, planned.model, planned.step)

    text = dry_run(args, make, "no", processes)
    table = {
        row[0]: row[1:] for row in ([c.strip() for c in line.split("|")[1:-1]] for line in text.splitlines()) if row
    }
    assert table["chain"] == [f"{SIDE * SIDE * 4:,}"] * 2 and table["frozen"] == [f"{SIDE * SIDE * 2:,}", "0"]
    assert table["all"] == [f"{SIDE * SIDE * 6:,}", f"{SIDE * SIDE * 4:,}"]
    [(name, state)] = states.items()
    assert table["weights"] == ["6"] and table["gradients"] == ["4"]
    assert table[f"optimiser state ({name})"] == [str(state)]
    assert table["activations kept for the backward pass"] == [f"{5 * ACTIVATION / MIB:.0f}"]
    assert ("moving average of the weights" in table) == ema and ("gradient buckets of DDP" in table) == (
        processes > 1
    )
    lasting = 6 + state + (8 if ema else 0)
    most = float(table["**most at one time in a step**"][0].strip("*").replace(",", ""))
    assert most == pytest.approx(lasting + measure_step(plan()).peak / MIB, abs=1)
