# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The processes that share a work: one, or as many as `accelerate launch` or `torchrun` started."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Processes:
    """This process among those that share the work.

    Attributes:
        index: from 0 on. Process 0 begins and ends jobs, and says what happened.
        count: how many there are.
        device: what this process computes on.
        wait: returns when all processes have called it.
    """

    index: int
    count: int
    device: torch.device
    wait: Callable[[], object] = lambda: None

    @property
    def leads(self) -> bool:
        """Whether this is process 0."""
        return self.index == 0


def join_processes(device: torch.device, device_was_named: bool) -> Processes:
    """Joins the other processes of a launch; a process that was started by itself is alone.

    Args:
        device: chosen for a process that is alone.
        device_was_named: take `device` as it is; otherwise each process of a machine takes an accelerator of its own.
    """
    if "LOCAL_RANK" not in os.environ:
        return Processes(0, 1, device)
    from accelerate import PartialState

    state = PartialState(cpu=device.type in ("cpu", "mps"))
    own = device if device_was_named or device.type in ("cpu", "mps") else state.device
    return Processes(state.process_index, state.num_processes, own, state.wait_for_everyone)
