# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Models by their names: loaded for the commands, and what the shipped ones are."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seeclear import shipped
from seeclear.app.paths import PathLike

if TYPE_CHECKING:
    import torch

    from seeclear.video.excerpt import Excerpt

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


@dataclass(frozen=True)
class ModelChoice:
    """The model that is taken for a video."""

    name: str
    """Of shipped weights, folder or Hub id."""
    reason: str | None = None
    """Why it was chosen, such as "the input is noisy: FFV1, noise of 6 grey levels"; None where it was named."""

    def describe(self, path: Path) -> str:
        """A note of what was chosen for that video, in one line."""
        return f"{path}: the model is {self.name}, as {self.reason}. `model` names another."


def choose_model(path: PathLike, excerpt: Excerpt | None = None) -> ModelChoice:
    """The shipped model for a video by its look, as `seeclear.video.quality.assess_quality` judges it: the default for
    a clean one, the model for videos in use for one that is compressed or noisy so that it shows.

    What cannot be judged gets the default: whoever restores it says what is wrong, if anything is. The same file gives
    the same choice.

    Args:
        path: a video file, an image, or a folder of images.
        excerpt: the part that is to be restored, which is looked at; None is all of it.
    """
    from av import FFmpegError

    from seeclear.video.excerpt import WHOLE
    from seeclear.video.quality import assess_quality

    try:
        quality = assess_quality(path, WHOLE if excerpt is None else excerpt)
    except (ValueError, OSError, FFmpegError) as error:
        return ModelChoice(shipped.DEFAULT_MODEL, f"the input cannot be judged: {str(error).rstrip('.')}")
    name = shipped.DEFAULT_MODEL if quality.verdict == "clean" else shipped.REAL_MODEL
    return ModelChoice(name, f"the input is {quality.verdict}: {quality.reason}")


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
