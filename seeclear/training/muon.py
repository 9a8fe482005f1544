# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Muon: momentum whose matrices are made orthogonal, for the weights of a network's blocks, and AdamW for the others
(Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; the scale of the update after Liu et
al. 2025, arXiv 2502.16982).

An update of AdamW is dominated by the few directions in which gradients are large; an orthogonal one moves a layer in
all directions alike. A convolution's kernel (O, I, h, w) counts as the matrix (O, h * w * I).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from seeclear.runtime import choose_dtype

OPTIMIZERS = {"adamw": "AdamW", "muon": "Muon for the weights of the blocks, AdamW for the others"}
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the polynomial a x + b x^3 + c x^5, which five times in a row brings all of (0, 1] near 1."""
ITERATIONS = 5
ADAM_RMS = 0.2
"""The root mean square of AdamW's typical update; Muon's is scaled to it, so that learning rates carry over."""
LEAST_SIDE = 16


def orthogonal(matrices: Tensor) -> Tensor:
    """U V^T of the singular value decomposition U S V^T of each matrix (N, m, n), roughly: singular values are brought
    to between 0.7 and 1.2 by Newton-Schulz iterations, in bfloat16 where the hardware is fast in it.
    """
    a, b, c = COEFFICIENTS
    x = matrices.to(choose_dtype(matrices.device)[0])
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)


def as_matrix(weight: Tensor) -> Tensor:
    """(O, I, h, w) -> (O, h * w * I), in the order in which channels-last kernels lie in memory; (O, I) as it is."""
    return weight.permute(0, 2, 3, 1).flatten(1) if weight.ndim == 4 else weight


def hidden_weights(model: nn.Module) -> list[nn.Parameter]:
    """What Muon trains: the trainable matrices and kernels of the networks' blocks (`_no_split_modules` and
    `_repeated_blocks`) whose sides are at least `LEAST_SIDE`. First and last layers, embeddings, norms and biases are
    AdamW's.
    """
    lists = [
        getattr(m, kind, None) or () for m in model.modules() for kind in ("_no_split_modules", "_repeated_blocks")
    ]
    blocks = {name for names in lists for name in names}
    inside = {id(p): p for m in model.modules() if type(m).__name__ in blocks for p in m.parameters()}
    trained = [p for p in inside.values() if p.requires_grad and p.ndim in (2, 4)]
    return [p for p in trained if min(as_matrix(p).shape) >= LEAST_SIDE]


class Muon(torch.optim.Optimizer):
    """Muon for [`hidden_weights`] and fused AdamW for the other trainable parameters of a model.

    Args:
        model: whose parameters are trained.
        lr: the learning rate of both.
        betas, eps: AdamW's.
        weight_decay: of both, decoupled.
        momentum: Muon's, in the manner of Nesterov.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
        momentum: float = 0.95,
    ) -> None:
        hidden = hidden_weights(model)
        known = {id(parameter) for parameter in hidden}
        others = [p for p in model.parameters() if p.requires_grad and id(p) not in known]
        groups = [{"params": group, "orthogonal": group is hidden} for group in (hidden, others) if group]
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if group["orthogonal"]:
                self._orthogonal_step(parameters, group)
            elif parameters:
                self._adam_step(parameters, group)
        return loss

    def _orthogonal_step(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        alike: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for parameter in parameters:
            state, gradient = self.state[parameter], parameter.grad
            assert gradient is not None
            if not state:
                state["momentum_buffer"] = torch.zeros_like(parameter)
            average = state["momentum_buffer"].lerp_(gradient, 1 - group["momentum"])
            update = as_matrix(gradient.lerp(average, group["momentum"]))
            alike[tuple(update.shape)].append((parameter, update))
        for (rows, columns), pairs in alike.items():  # matrices of a shape are one batch
            scale = ADAM_RMS * max(rows, columns) ** 0.5
            updates = orthogonal(torch.stack([update for _, update in pairs]))
            for (parameter, _), update in zip(pairs, updates, strict=True):
                if parameter.ndim == 4:
                    outputs, inputs, height, width = parameter.shape
                    update = update.view(outputs, height, width, inputs).permute(0, 3, 1, 2)
                parameter.mul_(1 - group["lr"] * group["weight_decay"]).sub_(update, alpha=group["lr"] * scale)

    def _adam_step(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        for parameter in parameters:
            if not self.state[parameter]:
                averages = {name: torch.zeros_like(parameter) for name in ("exp_avg", "exp_avg_sq")}
                step = torch.zeros((), dtype=torch.float32, device=parameter.device)
                self.state[parameter].update(step=step, **averages)
        states = [self.state[parameter] for parameter in parameters]
        beta1, beta2 = group["betas"]
        adamw(
            parameters,
            [parameter.grad for parameter in parameters if parameter.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,  # one pass over the weights and their states instead of a dozen
            amsgrad=False,
            beta1=beta1,
            beta2=beta2,
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )
