# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Untrained pipelines of a named size (`models/presets.py`)."""

from typing import Any

import torch

from seeclear.models import LENS_PRESETS, PRESETS, PixelCondenser, SemanticDistiller, SemanticLens
from seeclear.schedulers import BlurringResShiftScheduler


def build_components(preset: str) -> dict[str, Any]:
    """The untrained parts of a [`SeeClearPipeline`] of a named size, by the names of the pipeline's components.

    Raises:
        ValueError: `preset` is not one of `PRESETS`.
    """
    config = _find(preset, PRESETS)
    with torch.no_grad():
        return {
            "pixel_condenser": PixelCondenser(**config["pixel_condenser"]),
            "semantic_distiller": SemanticDistiller(**config["semantic_distiller"]),
            "scheduler": BlurringResShiftScheduler(),
        }


def build_lens_components(preset: str) -> dict[str, Any]:
    """The untrained parts of a [`SemanticLensPipeline`] of a named size, by the names of the pipeline's components.

    Raises:
        ValueError: `preset` is not one of `LENS_PRESETS`.
    """
    config = _find(preset, LENS_PRESETS)
    with torch.no_grad():
        return {
            "semantic_lens": SemanticLens(**config["semantic_lens"]),
            "semantic_distiller": SemanticDistiller(**config["semantic_distiller"]),
        }


def _find(preset: str, presets: dict[str, dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """The arguments of the networks of a preset."""
    if preset not in presets:
        raise ValueError(f"`preset` is {preset!r}; it must be one of {sorted(presets)}")
    return presets[preset]
