# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The module that is trained: Semantic Distiller and Pixel Condenser in one forward pass, with the stages' freezing.

One module with one `forward` is what data-parallel wrappers need; it holds no parameters of its own.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from seeclear.models.pixel_condenser import PixelCondenser
from seeclear.models.semantic_distiller import SemanticDistiller

STAGES = ("condenser", "memory", "joint", "refinement")
TWO_CLIP_STAGES = ("memory", "joint")
"""Those that are trained on two clips in a row, between which the memory is carried."""
PART_STAGES = ("memory", "refinement")
"""Those that train a part of the condenser alone, and so not what comes before it."""
DistillerTraining = Literal["nothing", "projections", "all"]
DISTILLER_TRAININGS = ("nothing", "projections", "all")


def take_over(network: nn.Module, trained: nn.Module) -> None:
    """Gives a network all weights of a trained one. What that one lacks stays as it is: added blocks and modules that
    begin as identities change nothing.

    Raises:
        ValueError: the trained one has a weight that does not fit into the network.
    """
    own, weights = network.state_dict(), trained.state_dict()
    for name, weight in weights.items():
        if name not in own or own[name].shape != weight.shape:
            there = f"{tuple(own[name].shape)} there" if name in own else "nothing there"
            raise ValueError(f"`start_from` has `{name}` {tuple(weight.shape)}, for which there is no place: {there}")
    network.load_state_dict(weights, strict=False)


class TrainingModel(nn.Module):
    """Predicts the HR frames of one clip or of consecutive clips, between which CaTeGory's memory is carried.

    Stages (SeeClear, section 3.5): "condenser" trains all of the condenser but CaTeGory, "memory" CaTeGory alone,
    "joint" all of the condenser. "refinement", which is ours, trains what follows the U-Net and leaves that as it is.
    Of the distiller, `train_distiller` says what is trained: nothing, its projections (with the instance encoder and
    decoder; what a pretrained segmenter needs), or all of it.
    """

    def __init__(
        self,
        condenser: PixelCondenser,
        distiller: SemanticDistiller,
        stage: str,
        train_distiller: DistillerTraining = "nothing",
    ) -> None:
        super().__init__()
        if stage not in STAGES:
            raise ValueError(f"`stage` is {stage!r}; it may be one of {', '.join(STAGES)}")
        if train_distiller not in DISTILLER_TRAININGS:
            raise ValueError(
                f"`train_distiller` is {train_distiller!r}; it may be one of {', '.join(DISTILLER_TRAININGS)}"
            )
        if train_distiller != "nothing" and stage in PART_STAGES:
            raise ValueError(
                f"`train_distiller` is {train_distiller!r}; `stage` {stage!r} trains a part of the condenser alone"
            )
        if stage == "memory" and condenser.memory is None:
            raise ValueError("`stage` is 'memory'; this condenser has none to train, its `texture_memory` is off")
        self.pixel_condenser = condenser
        self.semantic_distiller = distiller
        self.stage = stage
        self.train_distiller = train_distiller
        self.reads_memory = True

        self.semantic_distiller.requires_grad_(train_distiller == "all")
        if train_distiller == "projections":
            for parameter in self.semantic_distiller.projection_parameters():
                parameter.requires_grad_(True)
        self.pixel_condenser.requires_grad_(stage not in PART_STAGES)
        for parameter in self.pixel_condenser.memory_parameters():
            parameter.requires_grad_(stage in TWO_CLIP_STAGES)
        if stage == "refinement":
            for parameter in self.pixel_condenser.refinement_parameters():
                parameter.requires_grad_(True)
        self.train()

    @property
    def num_clips(self) -> int:
        """How many consecutive clips a training sample holds: 1, or 2 where the memory is trained."""
        return 2 if self.stage in TWO_CLIP_STAGES else 1

    def skip_silent_memory(self) -> None:
        """Spares the decoder reading CaTeGory's memory where the stage does not train it and its readers still add
        nothing, since their last layers are zero: the predictions and gradients stay the same.

        To be called once the weights are those to train from.
        """
        condenser = self.pixel_condenser
        readers = [level.category for level in (condenser.middle, *condenser.decoder) if level.category is not None]
        silent = not any(parameter.any() for reader in readers for parameter in reader.attention.to_out.parameters())
        self.reads_memory = self.stage in TWO_CLIP_STAGES or not silent

    def train(self, mode: bool = True) -> TrainingModel:
        """Sets the training mode; a segmenter that is not trained stays in evaluation mode."""
        super().train(mode)
        if self.train_distiller != "all":
            self.semantic_distiller.eval()
        return self

    def forward(
        self,
        hidden_states: Tensor,
        timestep: Tensor,
        y: Tensor,
        lr: Tensor,
        tokens: Tensor | None = None,
        features: Tensor | None = None,
        prior_features: Tensor | None = None,
    ) -> Tensor:
        """Predicts x0.

        Args:
            hidden_states: the noisy frames, scaled for the network, (B, num_clips * F, 3, sH, sW).
            timestep: int64 (B,), counted from 0.
            y: LR frames brought to HR size, (B, num_clips * F, 3, sH, sW), or with as many frames before the clips
                as after them, at which motion compensation looks.
            lr: LR frames in [-1, 1], (B, num_clips * F, 3, H, W).
            tokens: frame-wise semantic tokens (B, num_clips * F, K, D) where they are known already; else `lr` is
                distilled.
            features: segmentation features (B, num_clips * F, P, h, w), given if and only if `tokens` is.
            prior_features: what the prior knows of the frames beside y (B, num_clips * F, C, H, W), where the
                condenser looks at that.

        Returns:
            The predicted HR frames, (B, num_clips * F, 3, sH, sW).
        """
        memory = None
        samples = []
        before = (y.shape[1] - hidden_states.shape[1]) // 2
        for position in range(self.num_clips):
            clip_states, clip_lr = (self._of_clip(x, position) for x in (hidden_states, lr))
            start = before + position * clip_states.shape[1]
            begin = max(0, start - self.pixel_condenser.reach)
            clip_y = y[:, begin : start + clip_states.shape[1] + self.pixel_condenser.reach]
            # as in use the flow is that of the LR frames, where these are all that is looked at
            flow = self.pixel_condenser.estimate_flow(clip_lr) if clip_y.shape[1] == clip_lr.shape[1] else None
            semantics: dict[str, Tensor | None] = {}
            if self.pixel_condenser.config.frame_semantics:
                given = None
                if tokens is not None and features is not None:
                    given = tuple(self._of_clip(x, position) for x in (tokens, features))
                semantics = self._semantics(clip_lr, given)
            output = self.pixel_condenser(
                clip_states,
                timestep,
                clip_y,
                **semantics,
                memory=memory,
                update_memory=position + 1 < self.num_clips,
                read_memory=self.reads_memory,
                flow=flow,
                first_frame=start - begin,
                prior_features=None if prior_features is None else self._of_clip(prior_features, position),
            )
            memory = output.memory
            samples.append(output.sample)
        return torch.cat(samples, dim=1)

    def _of_clip(self, frames: Tensor, position: int) -> Tensor:
        """The part of one of the consecutive clips, of anything (B, num_clips * F, ...)."""
        return frames.chunk(self.num_clips, dim=1)[position]

    def _semantics(self, lr: Tensor, given: tuple[Tensor, ...] | None) -> dict[str, Tensor | None]:
        """Tokens, features and clip-wise tokens of one clip, as the condenser's arguments."""
        with torch.set_grad_enabled(self.train_distiller != "nothing" and torch.is_grad_enabled()):
            if given is None:
                output = self.semantic_distiller(lr, masks=False)
                return {"tokens": output.tokens, "features": output.features, "clip_tokens": output.clip_tokens}
            tokens, features = given
            return {"tokens": tokens, "features": features, "clip_tokens": self.semantic_distiller.instances(tokens)}
