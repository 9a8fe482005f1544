# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import json
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from accelerate import Accelerator

from seeclear.training.checkpoints import (
    TrainingLog,
    TrainingProgress,
    find_checkpoint,
    list_checkpoints,
    save_checkpoint,
)


@pytest.fixture
def accelerator() -> Accelerator:
    accelerator = Accelerator(cpu=True)
    accelerator.prepare(torch.nn.Linear(2, 2))
    return accelerator


def names(folder: Path) -> list[str]:
    return [path.name for path in list_checkpoints(folder)]


def test_limit_keeps_the_newest_by_number(accelerator: Accelerator, tmp_path: Path) -> None:
    for step in (8, 9, 10):
        save_checkpoint(accelerator, tmp_path, step, total_limit=2)
    assert names(tmp_path) == ["checkpoint-9", "checkpoint-10"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-9"]


def test_failed_save_leaves_the_last_good_checkpoint_and_no_remains(
    accelerator: Accelerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(accelerator, tmp_path, 1, total_limit=1)

    def fail(folder: Path) -> NoReturn:
        (tmp_path / ".partial-checkpoint-2").mkdir()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(accelerator, "save_state", fail)
    with pytest.raises(
        ValueError, match=r"checkpoint-2' cannot be written: No space left on device; checkpoint-1 is whole"
    ):
        save_checkpoint(accelerator, tmp_path, 2, total_limit=1)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-1"]


def test_remains_of_a_killed_process_are_ignored_and_removed(accelerator: Accelerator, tmp_path: Path) -> None:
    (tmp_path / ".partial-checkpoint-7").mkdir()
    assert names(tmp_path) == []
    save_checkpoint(accelerator, tmp_path, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-3"]


def test_saving_the_step_resumed_from_changes_nothing(accelerator: Accelerator, tmp_path: Path) -> None:
    first = save_checkpoint(accelerator, tmp_path, 3)
    (first / "mark").touch()
    assert save_checkpoint(accelerator, tmp_path, 3) == first
    assert (first / "mark").exists()


def test_find_checkpoint(tmp_path: Path) -> None:
    assert find_checkpoint(tmp_path / "missing", "latest") is None
    for step in (2, 10):
        (tmp_path / f"checkpoint-{step}").mkdir()
    assert find_checkpoint(tmp_path, "latest") == tmp_path / "checkpoint-10"
    assert find_checkpoint(tmp_path, "checkpoint-2") == tmp_path / "checkpoint-2"
    assert find_checkpoint(tmp_path, str(tmp_path / "checkpoint-2")) == tmp_path / "checkpoint-2"
    with pytest.raises(
        ValueError, match=r"`resume_from_checkpoint` is 'checkpoint-3'.*'checkpoint-2', 'checkpoint-10'"
    ):
        find_checkpoint(tmp_path, "checkpoint-3")


def test_progress_round_trip() -> None:
    progress, other = TrainingProgress(), TrainingProgress()
    progress.step, progress.clips, progress.seconds = 3, 12, 4.5
    other.load_state_dict(progress.state_dict())
    assert vars(other) == vars(progress)


def test_log_drops_lost_and_torn_lines(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.4}\n{"step": 3, "lo')
    log = TrainingLog(path, step=1)
    log.write(step=2, loss=0.25)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"step": 1, "loss": 0.5},
        {"step": 2, "loss": 0.25},
    ]
