# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Training whose weights are shared out among processes: FSDP, as accelerate's configuration sets it up.

Every process keeps a part of each weight (a `DTensor`), of its gradient and of its optimiser state. What is saved,
validated and exported is put together from all parts, so every process must take part in that.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from diffusers.training_utils import EMAModel
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor


def shares_weights(accelerator: Accelerator) -> bool:
    """Whether accelerate is set up for FSDP.

    Raises:
        ValueError: for its first version, which flattens weights, so that they cannot be told apart.
    """
    if accelerator.distributed_type != DistributedType.FSDP:
        return False
    if not accelerator.is_fsdp2:
        raise ValueError("accelerate's configuration has `fsdp_version` 1; it must be 2")
    return True


def whole(tensor: Tensor) -> Tensor:
    """A weight put together from the parts of all processes, which must all call it; others as they are."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def whole_state(model: nn.Module) -> dict[str, Tensor]:
    """The state of a model whose weights may be shared out; all processes must call it."""
    return {name: whole(value.detach()) for name, value in model.state_dict().items()}


class SharedEMA(EMAModel):
    """A moving average that is shared out as its weights are, and saved and given away whole."""

    shadow_params: list[Tensor]

    @torch.no_grad()
    def copy_to(self, parameters: Iterable[nn.Parameter]) -> None:
        """Gives whole parameters the averages; all processes must call it."""
        for average, parameter in zip(self.shadow_params, parameters, strict=True):
            parameter.copy_(whole(average))

    def state_dict(self) -> dict[str, Any]:
        """As diffusers' `EMAModel`, with whole averages; all processes must call it."""
        return super().state_dict() | {"shadow_params": [whole(average).cpu() for average in self.shadow_params]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes whole averages, and of each the part that this process keeps; all processes must call it."""
        parts = self.shadow_params
        super().load_state_dict(state_dict)
        self.shadow_params = [
            distribute_tensor(average.to(part.device), part.device_mesh, part.placements)
            if isinstance(part, DTensor)
            else average
            for part, average in zip(parts, self.shadow_params, strict=True)
        ]
