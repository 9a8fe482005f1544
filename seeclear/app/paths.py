# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Names of files and folders, as people give them."""

from __future__ import annotations

import os
import re
from pathlib import Path

PathLike = str | os.PathLike[str]

# Two letters at least: one is a drive of Windows. `Path` makes one slash of two.
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def local_path(path: PathLike, argument: str) -> Path:
    """The path of a file or folder on this machine, which may be there or not.

    Args:
        path: as it was given.
        argument: what it was given as, for the message.

    Raises:
        ValueError: it is an address, "-", a pipe or a device.
    """
    text = os.fspath(path)
    if not text:
        raise ValueError(f"`{argument}` is empty; it must be the name of a file or a folder.")
    if _ADDRESS.match(text):
        raise ValueError(f"`{argument}` is the address {text}; it must be a file or a folder on this machine.")
    if text == "-" or _is_pipe_or_device(Path(text)):
        what = "stands for a pipe" if text == "-" else "is a pipe or a device"
        raise ValueError(
            f"`{argument}`, {text}, {what}; it must be a file or a folder: inputs are read more than once, and "
            "outputs appear when they are whole."
        )
    return Path(text)


def lies_within(path: Path, folder: Path) -> bool:
    """Whether a path is that folder, or somewhere in it; false where `folder` is a file or not there."""
    return folder.is_dir() and path.resolve().is_relative_to(folder.resolve())


def _is_pipe_or_device(path: Path) -> bool:
    try:
        return path.exists() and not path.is_file() and not path.is_dir()
    except OSError:  # whoever opens it says what is wrong
        return False
