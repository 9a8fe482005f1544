# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What a training step will take: parameters, and memory for weights, gradients, optimiser and activations.

A step is run forward and backward on tensors that have shapes and no contents (torch's FakeTensorMode), at the full
size of the setting: nothing large is allocated, nothing is extrapolated. What autograd keeps is what a real step on a
CPU keeps (a test holds 10 %; it has been the same to the byte). Not counted is what kernels need inside (workspaces of
convolutions), what the allocator wastes, the copy of the weights that validation makes, and what a tracker or data
workers take: a process took about a quarter more than the table says beside what the libraries take.

The counting is that of the CPU's operators. A GPU keeps as much in float32 with fused attention; in bf16 it keeps more
than the CPU, since its autocast computes norms in float32, and not more than in float32.
"""

from __future__ import annotations

import argparse
import weakref
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils import convert_to_fp32
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from seeclear.metrics.evaluation import aligned_table
from seeclear.models.semantic_distiller import SemanticDistiller, SemanticDistillerOutput
from seeclear.training.loop import start_accelerator
from seeclear.training.muon import hidden_weights

PRECISIONS = {"no": None, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class StepPlan:
    """A training without its data.

    Attributes:
        components: all networks in memory, by name.
        model: what the optimiser and the moving average work on.
        step: makes inputs of the right shapes, calls `model` in the way it is given, and gives the loss; what else is
            computed in mixed precision it computes in the context that the second argument makes.
    """

    components: Mapping[str, nn.Module]
    model: nn.Module
    step: Callable[[Callable[..., Any], Callable[[], AbstractContextManager[Any]]], Tensor]


@dataclass(frozen=True)
class StepMemory:
    """Bytes that a step takes beside weights, optimiser and moving average.

    Attributes:
        saved: what the forward pass keeps for the backward pass, each storage once, without parameters and buffers.
        peak: the most that is alive at one time: inputs, what is kept, what is needed in between, and gradients.
    """

    saved: int
    peak: int


class _AliveBytes(TorchDispatchMode):
    """Counts the bytes of the storages that operators make and that are alive.

    Contents are never looked at: where a network asks for a value (Mask2Former in training: whether all is finite),
    the answer is true.
    """

    def __init__(self, known: set[int]) -> None:
        super().__init__()
        self.known = set(known)
        self.alive = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            return True
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._add(leaf.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self.known:
            return
        self.known.add(key)
        self.alive += size
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._remove, key, size)

    def _remove(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.alive -= size


def measure_step(plan: StepPlan, precision: torch.dtype | None = None, batches: int = 1) -> StepMemory:
    """Runs `plan.step` forward and backward, and counts.

    Args:
        plan: its networks may be real or, inside a FakeTensorMode, without contents.
        precision: of the operators that autocast lowers, inside `plan.model` as accelerate does it and where the step
            asks for it; None: none.
        batches: whose gradients are added up in an optimiser step; from the second on they are there all the time.
    """
    own = {
        tensor.untyped_storage()._cdata
        for network in (*plan.components.values(), plan.model)
        for tensor in (*network.parameters(), *network.buffers())
    }
    saved: dict[int, torch.UntypedStorage] = {}  # storages themselves: else a freed one's number could come again

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            saved[storage._cdata] = storage
        return tensor

    def lowered() -> torch.autocast:
        return torch.autocast("cpu", precision or torch.bfloat16, enabled=precision is not None)

    def call(*inputs: Any, **named: Any) -> Any:
        with lowered():
            return convert_to_fp32(plan.model(*inputs, **named))

    with _AliveBytes(own) as counter:
        for _ in range(min(batches, 2)):
            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                loss = plan.step(call, lowered)
            kept = sum(storage.nbytes() for storage in saved.values())
            saved.clear()
            loss.backward()
            del loss
    for parameter in plan.model.parameters():
        parameter.grad = None
    return StepMemory(kept, counter.peak)


def store_channels_last(network: nn.Module) -> None:
    """As `network.to(memory_format=torch.channels_last)`, which does not take parameters without contents."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def distilled_frame(distiller: SemanticDistiller) -> SemanticDistillerOutput:
    """What a frozen distiller gives of one whole LR frame, as it is asked in training; for the shapes."""
    with torch.no_grad():
        return distiller(torch.rand(1, 1, 3, 180, 320))


def print_dry_run(args: argparse.Namespace, plan: Callable[[argparse.Namespace, FakeTensorMode], StepPlan]) -> None:
    """Prints [`dry_run`] for what accelerate would launch, on the main process.

    Raises:
        ValueError: see [`start_accelerator`].
    """
    accelerator = start_accelerator(args)
    accelerator.print(dry_run(args, plan, accelerator.mixed_precision, accelerator.num_processes))


def dry_run(
    args: argparse.Namespace,
    plan: Callable[[argparse.Namespace, FakeTensorMode], StepPlan],
    mixed_precision: str,
    num_processes: int = 1,
) -> str:
    """Counts what a training would take, without its data and without memory for what it makes.

    Args:
        args: the script's arguments; of them `train_batch_size`, `num_frames`, `resolution`, `use_ema`,
            `gradient_accumulation_steps`, `gradient_checkpointing`, `channels_last`.
        plan: gives the networks and the step of `args`. Networks that it builds inside the mode have no contents.
        mixed_precision: "no", "bf16" or "fp16".
        num_processes: processes of the run; with several, gradients lie in DDP's buckets a second time.

    Returns:
        Two markdown tables and a line that says for what they are.
    """
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    planned = plan(args, mode)
    if args.channels_last:
        store_channels_last(planned.model)
    with mode:
        memory = measure_step(planned, PRECISIONS[mixed_precision], args.gradient_accumulation_steps)

    trained_ids = {id(parameter) for parameter in planned.model.parameters() if parameter.requires_grad}
    rows = [["", "parameters", "trained"]]
    counts = {
        name: (
            sum(p.numel() for p in network.parameters()),
            sum(p.numel() for p in network.parameters() if id(p) in trained_ids),
        )
        for name, network in planned.components.items()
    }
    rows += [[name, f"{total:,}", f"{trained:,}"] for name, (total, trained) in counts.items()]
    rows.append(["all", *(f"{sum(column):,}" for column in zip(*counts.values(), strict=True))])

    networks = planned.components.values()
    weights = sum(t.nbytes for n in networks for t in (*n.parameters(), *n.buffers()))
    gradients = sum(p.nbytes for p in planned.model.parameters() if p.requires_grad)
    states = 2 * gradients
    if args.optimizer == "muon":  # one average for each weight of the blocks, where AdamW has two
        states -= sum(parameter.nbytes for parameter in hidden_weights(planned.model))
    name = {"adamw": "AdamW", "muon": "Muon"}[args.optimizer]
    lasting = {"weights": weights, f"optimiser state ({name})": states}
    if args.use_ema:
        lasting["moving average of the weights"] = gradients
    if num_processes > 1:
        lasting["gradient buckets of DDP"] = gradients
    passing = {"gradients": gradients, "activations kept for the backward pass": memory.saved}
    total = sum(lasting.values()) + memory.peak
    sizes = [["memory of one process", "MiB"]]
    sizes += [[name, f"{size / 2**20:,.0f}"] for name, size in (lasting | passing).items()]
    sizes.append(["**most at one time in a step**", f"**{total / 2**20:,.0f}**"])
    setting = (
        f"Batches of {args.train_batch_size} x {args.num_frames} frames of {args.resolution}x{args.resolution} pixels "
        f"(HR), mixed precision: {mixed_precision}, gradient checkpointing: "
        f"{'yes' if args.gradient_checkpointing else 'no'}, processes: {num_processes}."
    )
    return "\n\n".join([aligned_table(rows), aligned_table(sizes), setting])
