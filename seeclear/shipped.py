# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The weights inside the package, and what a name of a model stands for. Needs no torch."""

import os
from pathlib import Path

SHIPPED_WEIGHTS = Path(__file__).parent / "weights"
DEFAULT_MODEL = "seeclear-tiny"
"""Of all commands and functions that do not look at the video first; it was trained on clean frames."""
REAL_MODEL = "seeclear-real-tiny"
"""Trained on videos as they are in use, compressed and noisy."""
AUTOMATIC_MODEL = "auto"
"""Not a model, but what stands for one of these two where a video is looked at first, as `seeclear upscale` does."""
SCALE = 4
"""s, the upscaling factor of the papers, of the presets and of all shipped weights."""


def shipped_models() -> list[str]:
    """The names of the shipped weights."""
    return sorted(path.name for path in SHIPPED_WEIGHTS.iterdir() if path.is_dir())


def locate(name_or_path: str | os.PathLike[str], argument: str = "pretrained_model_name_or_path") -> str:
    """The folder or Hub id that a name stands for, given as `argument`.

    A shipped name always stands for the shipped weights; a folder of that name is given as a path (`./seeclear-tiny`).

    Raises:
        ValueError: the name is neither a shipped model, nor a folder, nor of the form of a Hub id.
    """
    name = str(name_or_path)
    shipped = shipped_models()
    if name in shipped:
        return str(SHIPPED_WEIGHTS / name)
    if os.path.isdir(name):
        return name
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise ValueError(f"`{argument}` is {name!r}; it must be a folder, a Hub id (owner/name) or one of {shipped}")
    return name
