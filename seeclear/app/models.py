# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Models by their names: loaded for the commands, and what the shipped ones are."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seeclear import shipped

if TYPE_CHECKING:
    import torch

# What batch normalization stores beside its parameters.
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def load_model(model: str, device: torch.device, dtype: torch.dtype) -> tuple[Any, Path]:
    """A pipeline by the name of shipped weights, folder or Hub id, and the folder that it was loaded from.

    Raises:
        ValueError: there is no such model, it is none of this package's, or the Hub cannot be reached.
    """
    from diffusers import DiffusionPipeline

    from seeclear.pipelines.auto import load_pipeline

    location = shipped.locate(model, "model")
    pipe = load_pipeline(location, dtype=dtype).to(device)  # diffusers warns where `to` is given a dtype
    pipe.set_progress_bar_config(disable=True)
    if not Path(location).is_dir():  # it has just been downloaded
        location = DiffusionPipeline.download(location, local_files_only=True)
    return pipe, Path(location)


def parameter_counts(pipe: Any) -> dict[str, int]:
    """Number of parameters of each component that has any."""
    from torch import nn

    parts = {name: part for name, part in pipe.components.items() if isinstance(part, nn.Module)}
    return {name: sum(parameter.numel() for parameter in part.parameters()) for name, part in parts.items()}


@dataclass(frozen=True)
class ShippedModel:
    """What `seeclear models` says of a model."""

    name: str
    purpose: str
    """The first sentence of its card."""
    parameters: int
    """Of all its parts."""
    size: int
    """Bytes of its folder."""


def describe_shipped_models() -> list[ShippedModel]:
    """The shipped models, from their cards and files; needs no torch."""
    return [_describe(shipped.SHIPPED_WEIGHTS / name) for name in shipped.shipped_models()]


def _describe(folder: Path) -> ShippedModel:
    from safetensors import safe_open

    parameters = 0
    for path in folder.rglob("*.safetensors"):
        with safe_open(path, framework="numpy") as file:
            names = [name for name in file.keys() if not name.endswith(_STATISTICS)]  # noqa: SIM118
            parameters += sum(math.prod(file.get_slice(name).get_shape()) for name in names)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    card = (folder / "README.md").read_text(encoding="utf-8")
    return ShippedModel(folder.name, _first_sentence(card), parameters, size)


def _first_sentence(card: str) -> str:
    """The first sentence after the heading, without Markdown's links, quotes and escapes."""
    _, _, text = card.partition("\n# ")
    paragraph = text.split("\n\n")[1]
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", " ".join(paragraph.split()))
    plain = re.sub(r"`|\\(?=[*_])", "", plain)
    return re.split(r"(?<=\.) (?=[A-Z0-9])", plain)[0]
