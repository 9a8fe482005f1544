# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Training scripts in the tests' own process, and what they log."""

import json
import runpy
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState


def run_script(script: Path, *arguments: str, folder: Path | None = None) -> None:
    """Runs a script to its end on the CPU, in `folder` if one is given."""
    with pytest.MonkeyPatch.context() as patch:
        if folder is not None:
            patch.chdir(folder)
        patch.setenv("ACCELERATE_USE_CPU", "true")
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
