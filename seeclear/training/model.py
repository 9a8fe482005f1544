# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The module that is trained: Semantic Distiller and Pixel Condenser in one forward pass, with the stages' freezing.

One module with one `forward` is what data-parallel wrappers need; it holds no parameters of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from seeclear.models.pixel_condenser import PixelCondenser
from seeclear.models.semantic_distiller import SemanticDistiller

STAGES = ("condenser", "memory", "joint")


class TrainingModel(nn.Module):
    """Predicts the HR frames of one clip or of consecutive clips, between which CaTeGory's memory is carried.

    Stages (SeeClear, section 3.5): "condenser" trains all of the condenser but CaTeGory, "memory" CaTeGory alone,
    "joint" all of the condenser. The distiller is frozen unless `train_distiller`.
    """

    def __init__(
        self, condenser: PixelCondenser, distiller: SemanticDistiller, stage: str, train_distiller: bool = False
    ) -> None:
        super().__init__()
        if stage not in STAGES:
            raise ValueError(f"`stage` is {stage!r}; it may be one of {', '.join(STAGES)}")
        if train_distiller and stage == "memory":
            raise ValueError("`train_distiller` is True; with `stage` 'memory', CaTeGory alone, it must be False")
        self.pixel_condenser = condenser
        self.semantic_distiller = distiller
        self.stage = stage
        self.train_distiller = train_distiller

        self.semantic_distiller.requires_grad_(train_distiller)
        self.pixel_condenser.requires_grad_(stage != "memory")
        for parameter in self.pixel_condenser.memory_parameters():
            parameter.requires_grad_(stage != "condenser")
        self.train()

    @property
    def num_clips(self) -> int:
        """How many consecutive clips a training sample holds: 1, or 2 where the memory is trained."""
        return 1 if self.stage == "condenser" else 2

    def trainable_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters the stage trains."""
        return (parameter for parameter in self.parameters() if parameter.requires_grad)

    def train(self, mode: bool = True) -> TrainingModel:
        """Sets the training mode; a frozen distiller stays in evaluation mode."""
        super().train(mode)
        if not self.train_distiller:
            self.semantic_distiller.eval()
        return self

    def forward(self, hidden_states: Tensor, timestep: Tensor, y: Tensor, lr: Tensor) -> Tensor:
        """Predicts x0.

        Args:
            hidden_states: the noisy frames, scaled for the network, (B, num_clips * F, 3, sH, sW).
            timestep: int64 (B,), counted from 0.
            y: LR frames brought to HR size, (B, num_clips * F, 3, sH, sW).
            lr: LR frames in [-1, 1], (B, num_clips * F, 3, H, W).

        Returns:
            The predicted HR frames, (B, num_clips * F, 3, sH, sW).
        """
        memory = None
        samples = []
        clips = zip(
            hidden_states.chunk(self.num_clips, dim=1),
            y.chunk(self.num_clips, dim=1),
            lr.chunk(self.num_clips, dim=1),
            strict=True,
        )
        for position, (clip_states, clip_y, clip_lr) in enumerate(clips):
            with torch.set_grad_enabled(self.train_distiller and torch.is_grad_enabled()):
                semantics = self.semantic_distiller(clip_lr)
            output = self.pixel_condenser(
                clip_states,
                timestep,
                clip_y,
                tokens=semantics.tokens,
                features=semantics.features,
                memory=memory,
                update_memory=position + 1 < self.num_clips,
            )
            memory = output.memory
            samples.append(output.sample)
        return torch.cat(samples, dim=1)
