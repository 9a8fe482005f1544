# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Callbacks at the end of a step, as everywhere in diffusers."""

from collections.abc import Callable, Sequence
from typing import Any

from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from torch import Tensor

Callback = Callable[[Any, int, int, dict[str, Tensor]], dict[str, Tensor]]
"""(pipeline, step, timestep, tensors) -> those tensors to go on with."""


class StepCallback:
    """A callback with the names of the tensors that it wants.

    Args:
        callback: a function, or a callback of diffusers, which says itself what it wants; None does nothing.
        names: of tensors; not looked at where the callback says them.
        known: the names that there are.

    Raises:
        ValueError: a name that there is not.
    """

    def __init__(self, callback: Callback | None, names: Sequence[str], known: Sequence[str]) -> None:
        if isinstance(callback, PipelineCallback | MultiPipelineCallbacks):
            names = callback.tensor_inputs
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ValueError(f"`callback_on_step_end_tensor_inputs` has {unknown}; it may name {list(known)}")
        self._callback, self._names = callback, tuple(names)

    def __call__(
        self,
        pipeline: object,
        i: int,
        t: int,
        latents: Tensor,
        estimate: Tensor,
        step: Callable[[Tensor], tuple[Tensor, Tensor]],
    ) -> tuple[Tensor, Tensor]:
        """The state and the estimate of x0 to go on with.

        Args:
            pipeline, i, t: what the callback is told, beside its tensors: the pipeline, the step and the timestep.
            latents, estimate: after the step, known as `latents` and `pred_original_sample`.
            step: makes the step from an estimate; where the callback returned another one, it is made once more.

        Raises:
            ValueError: the callback returned no dictionary.
        """
        if self._callback is None:
            return latents, estimate
        values = {"latents": latents, "pred_original_sample": estimate}
        returned = self._callback(pipeline, i, t, {name: values[name] for name in self._names})
        if not isinstance(returned, dict):
            raise ValueError(
                f"`callback_on_step_end` returned {returned!r}; it must return a dictionary of tensors to go on with"
            )
        changed, state = returned.get("pred_original_sample", estimate), returned.get("latents", latents)
        if changed is not estimate and state is latents:
            state, _ = step(changed)
        return state, changed
