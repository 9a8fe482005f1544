# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""How a folder of outputs knows what it holds: a record beside each output says what that was made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seeclear.files import write_json

from .manifest import differences, identify

FOLDER = ".seeclear"


def record_path(output: Path) -> Path:
    """Where the record of an output lies."""
    return output.parent / FOLDER / f"{output.name}.json"


def write_record(output: Path, manifest: Mapping[str, Any]) -> None:
    """Writes down that `output` was made as `manifest` says."""
    path = record_path(output)
    path.parent.mkdir(exist_ok=True)
    write_json(path, {"manifest": manifest, "output": identify(output)})


def is_done(output: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether the output is there, unchanged, and was made as `manifest` says.

    Raises:
        ValueError: it is there, but was made in another way, or nobody knows how.
    """
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return False
    reasons = ["nothing is known of how it was made"]
    if record_path(output).exists():
        record = json.loads(record_path(output).read_text(encoding="utf-8"))
        reasons = differences(record["manifest"], manifest)
        if record["output"] != identify(output):
            reasons = ["it was changed since it was made", *reasons]
    if reasons:
        remedy = "Delete it" if output.is_dir() else "Delete it, or give `--restart`,"
        raise ValueError(f"{output}: is there already, and {'; '.join(reasons)}. {remedy} to have it made anew.")
    return True
