# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What may be the prior of SeeClear*: the regression model from whose frames sampling starts."""

from collections.abc import Callable

from diffusers import DiffusionPipeline
from torch import Tensor

from seeclear.models import PixelCondenser, SemanticDistiller, SemanticLens

Prior = Callable[[Tensor], Tensor]
"""LR clip (B, F, 3, H, W) in [-1, 1] -> HR clip (B, F, 3, sH, sW)."""


def check_prior(prior: object, condenser: PixelCondenser, distiller: SemanticDistiller) -> None:
    """Raises a ValueError unless `prior` is None, a callable, or a [`SemanticLens`] that upscales as much as the
    condenser and can use the distiller's semantics.
    """
    if isinstance(prior, DiffusionPipeline):
        parts = ", ".join(f"`.{name}`" for name in prior.components)
        raise ValueError(f"`prior` is a {type(prior).__name__}; it must be a model or a function, such as its {parts}")
    if prior is not None and not callable(prior):
        raise ValueError(f"`prior` is {prior!r}; it must be a SemanticLens, or a callable LR clip -> HR clip")
    if not isinstance(prior, SemanticLens):
        return
    needed = {"scale": (prior.config.scale, condenser.config.scale)}
    if prior.config.gps:
        needed["semantic_feature_dim"] = (prior.config.semantic_feature_dim, distiller.feature_dim)
    if prior.config.isee:
        needed["semantic_token_dim"] = (prior.config.semantic_token_dim, distiller.token_dim)
    for name, (has, wanted) in needed.items():
        if has != wanted:
            raise ValueError(f"`prior` has a `{name}` of {has}; in this pipeline it must be {wanted}")
