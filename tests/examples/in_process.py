# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Training scripts in the tests' own process, and what they log."""

import json
import runpy
from collections.abc import Mapping
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState

ON_THE_CPU = {"ACCELERATE_USE_CPU": "true"}


def run_script(
    script: Path, *arguments: str, folder: Path | None = None, environment: Mapping[str, str] = ON_THE_CPU
) -> None:
    """Runs a script to its end, in `folder` if one is given, with these variables in its environment."""
    with pytest.MonkeyPatch.context() as patch:
        if folder is not None:
            patch.chdir(folder)
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr("sys.argv", [str(script), *arguments])
        AcceleratorState._reset_state(reset_partial_state=True)  # as in a new process
        try:
            runpy.run_path(str(script), run_name="__main__")
        finally:
            AcceleratorState._reset_state(reset_partial_state=True)


def logged_losses(run: Path) -> list[tuple[int, float, float]]:
    """Step, loss and learning rate of every line of a run's log."""
    lines = [json.loads(line) for line in (run / "train_log.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"], line["lr"]) for line in lines]
