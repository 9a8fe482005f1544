# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What may be the prior of SeeClear*, the model from whose frames sampling starts: in use and in training by the same
rule.

A Semantic Lens shares the condenser's Semantic Distiller. What the lens' semantic modules make of tokens and features
they have learned with the distiller that they were trained with; with another one, of the same widths but of other
meaning, they are misled without any sign of it. So a trained lens carries the digest of its distiller in its
configuration.
"""

import hashlib
from collections.abc import Callable

import numpy as np
import torch
from diffusers import DiffusionPipeline
from torch import Tensor

from seeclear.models import PixelCondenser, SemanticDistiller, SemanticLens

Prior = Callable[[Tensor], Tensor]
"""LR clip (B, F, 3, H, W) in [-1, 1] -> HR clip (B, F, 3, sH, sW)."""


def distiller_digest(distiller: SemanticDistiller) -> str:
    """Names a distiller by the signs of its weights: 16 hexadecimal digits.

    Signs are the same in every precision the weights are rounded to, and of a million of them every training changes
    thousands.
    """
    digest = hashlib.sha256()
    for name, value in sorted(distiller.state_dict().items()):
        if value.is_floating_point():
            digest.update(name.encode() + np.packbits(torch.signbit(value.float()).cpu().numpy()).tobytes())
    return digest.hexdigest()[:16]


def check_prior(prior: object, condenser: PixelCondenser, distiller: SemanticDistiller) -> None:
    """Raises a ValueError unless `prior` is None, a callable, or a [`SemanticLens`] that upscales as much as the
    condenser and was trained with the distiller; a lens of its width, where the condenser looks at the lens' features.

    Where the lens' configuration does not say which distiller that was (`distiller_digest`), or the pipeline's weights
    are not there to be looked at (`enable_sequential_cpu_offload`), widths must do.
    """
    if isinstance(prior, DiffusionPipeline):
        parts = ", ".join(f"`.{name}`" for name in prior.components)
        raise ValueError(f"`prior` is a {type(prior).__name__}; it must be a model or a function, such as its {parts}")
    if prior is not None and not callable(prior):
        raise ValueError(f"`prior` is {prior!r}; it must be a SemanticLens, or a callable LR clip -> HR clip")
    if condenser.needs_prior_features and not isinstance(prior, SemanticLens):
        given = "None" if prior is None else f"a {type(prior).__name__}"
        raise ValueError(
            f"`prior` is {given}; this condenser looks at the features of its prior, which must be a SemanticLens of "
            f"{condenser.config.prior_feature_channels} channels"
        )
    if isinstance(prior, SemanticLens):
        _check_lens(prior, condenser, distiller)


def _check_lens(prior: SemanticLens, condenser: PixelCondenser, distiller: SemanticDistiller) -> None:
    needed = {"scale": (prior.config.scale, condenser.config.scale)}
    if prior.config.gps:
        needed["semantic_feature_dim"] = (prior.config.semantic_feature_dim, distiller.feature_dim)
    if prior.config.isee:
        needed["semantic_token_dim"] = (prior.config.semantic_token_dim, distiller.token_dim)
    if condenser.needs_prior_features:
        needed["channels"] = (prior.config.channels, condenser.config.prior_feature_channels)
    for name, (has, wanted) in needed.items():
        if has != wanted:
            raise ValueError(f"`prior` has a `{name}` of {has}; in this pipeline it must be {wanted}")
    own = prior.config.distiller_digest
    if prior.needs_semantics and own is not None and not any(weight.is_meta for weight in distiller.parameters()):
        given = distiller_digest(distiller)
        if given != own:
            raise ValueError(
                f"`prior` was trained with the Semantic Distiller {own}, and the pipeline's is {given}; lens and "
                "condenser must be trained with the same one, as those of seeclear-star-tiny are"
            )
