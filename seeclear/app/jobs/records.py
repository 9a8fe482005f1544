# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""How outputs are known again: a record beside each of them says what it was made from."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seeclear import files
from seeclear.files import beside, sync, target_of, unwritable, write_json
from seeclear.video.images import IMAGE_SUFFIXES

from .manifest import differences, identify

FOLDER = ".seeclear"


def record_path(output: Path) -> Path:
    """Where the record of an output lies."""
    return beside(output.parent / FOLDER / output.name, suffix=".json")


def write_record(output: Path, whole: Path, manifest: Mapping[str, Any], num_frames: int) -> None:
    """Writes down that `output`, which is still under the name `whole`, was made as `manifest` says."""
    path = record_path(output)
    path.parent.mkdir(exist_ok=True)
    write_json(path, {"manifest": manifest, "output": identify(whole), "frames": num_frames})


def is_there(output: Path) -> bool:
    """Whether there is an output that could be lost: a file, or a folder with something in it."""
    return output.exists() and (not output.is_dir() or any(output.iterdir()))


def finished_frames(output: Path, manifest: Mapping[str, Any]) -> int | None:
    """The frames of an output that is there, unchanged, and was made as `manifest` says; None if there is no output.

    Raises:
        ValueError: it is there, but was made in another way, or nobody knows how.
    """
    if not is_there(output):
        return None
    path, reasons = record_path(output), ["nothing is known of how it was made"]
    if path.exists():
        record = json.loads(path.read_text(encoding="utf-8"))
        reasons = differences(record["manifest"], manifest)
        if others_in(output) or record["output"] != identify(output):
            reasons = ["it was changed since it was made", *reasons]
        if not reasons:
            return int(record["frames"])
    remedy = "Give `overwrite` to have it made anew, or `skip` to leave it as it is."
    if others_in(output):
        remedy = "Name another folder, or an empty one."
    raise ValueError(f"{output}: is there already, and {'; '.join(reasons)}. {remedy}")


def check_replaceable(output: Path) -> None:
    """Raises a ValueError unless all that would be lost with an output are images, where it is a folder."""
    others = others_in(output)
    if others:
        raise ValueError(f"{output}: cannot be overwritten, because it holds {others[0]}, which is no image.")


def publish(whole: Path, output: Path, manifest: Mapping[str, Any], num_frames: int, overwrite: bool = False) -> None:
    """Writes the record of an output, and gives the output its name.

    Args:
        whole: the output, finished, on the same file system.
        output: the name.
        manifest, num_frames: for the record.
        overwrite: replace what is there; a folder that is replaced is moved beside `whole`.

    Raises:
        ValueError: it cannot be written, or another is there by now.
    """
    if not overwrite and is_there(output):
        raise ValueError(f"{output}: has come to be there since the work began. Move it away, or give `overwrite`.")
    try:
        sync(whole)
        write_record(output, whole, manifest, num_frames)
        if output.is_dir() and is_there(output):
            os.replace(target_of(output), whole.with_name("replaced"))
        files.publish(whole, output)
    except OSError as error:
        raise unwritable(output, error) from error


def others_in(output: Path) -> list[str]:
    """The names of all in a folder that is no image; none of a file."""
    if not output.is_dir():
        return []
    entries = sorted(output.iterdir())
    return [entry.name for entry in entries if entry.is_dir() or entry.suffix.lower() not in IMAGE_SUFFIXES]
