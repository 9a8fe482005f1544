# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Checkpoints of a training run: `checkpoint-<step>` folders that are complete or not there.

A checkpoint is written under another name, brought to the disk and renamed when it is complete. Older ones are
removed only after that, and lose their name first. So a full disk, a killed process or a power cut costs at most the
checkpoint being written.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from safetensors import SafetensorError

from seeclear.files import remove, sync, sync_folder, write_durably

CHECKPOINT_NAME = re.compile(r"checkpoint-(\d+)")
PARTIAL_PREFIX = ".partial-"


class TrainingProgress:
    """How far a run is; saved with every checkpoint (`Accelerator.register_for_checkpointing`).

    Attributes:
        step: optimiser steps taken.
        clips: clips seen by all processes together; the index of the next clip.
        seconds: time spent on training steps so far, over all interruptions.
    """

    def __init__(self) -> None:
        self.step = 0
        self.clips = 0
        self.seconds = 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "clips": self.clips, "seconds": self.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step, self.clips, self.seconds = state["step"], state["clips"], state["seconds"]


def list_checkpoints(output_dir: Path) -> list[Path]:
    """The complete checkpoints in `output_dir`, oldest (fewest steps) first."""
    if not output_dir.is_dir():
        return []
    found = [path for path in output_dir.iterdir() if path.is_dir() and CHECKPOINT_NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.name.removeprefix("checkpoint-")))


def find_checkpoint(output_dir: Path, resume_from: str) -> Path | None:
    """The folder to resume from.

    Args:
        output_dir: the run's folder.
        resume_from: "latest", a path, or the name of a checkpoint in `output_dir`.

    Returns:
        The checkpoint, or None if "latest" was asked for and there is none yet.

    Raises:
        ValueError: if a checkpoint was named and does not exist.
    """
    if resume_from == "latest":
        checkpoints = list_checkpoints(output_dir)
        return checkpoints[-1] if checkpoints else None
    for candidate in (Path(resume_from), output_dir / resume_from):
        if candidate.is_dir():
            return candidate
    raise ValueError(
        f"`resume_from_checkpoint` is {resume_from!r}; it may be 'latest', a folder or one of "
        f"{[path.name for path in list_checkpoints(output_dir)]} in {output_dir}"
    )


def checkpoint_to_resume(output_dir: Path, resume_from: str | None) -> Path | None:
    """The folder a run resumes from, or None if it begins anew, which it may only where there is no earlier run.

    Raises:
        ValueError: `resume_from` is None and `output_dir` holds a checkpoint, or see [`find_checkpoint`].
    """
    if resume_from is not None:
        return find_checkpoint(output_dir, resume_from)
    existing = list_checkpoints(output_dir)
    if existing:
        raise ValueError(
            f"`output_dir` {str(output_dir)!r} holds {existing[-1].name} of an earlier run; give "
            "--resume_from_checkpoint latest to go on with it, or another --output_dir"
        )
    return None


def save_checkpoint(accelerator: Accelerator, output_dir: Path, step: int, total_limit: int | None = None) -> Path:
    """Writes `output_dir/checkpoint-<step>`, then removes the oldest beyond `total_limit`. All processes must call it.

    Args:
        accelerator: holds the states to save.
        output_dir: the run's folder.
        step: optimiser steps taken.
        total_limit: how many checkpoints to keep, at least 1; None keeps all.

    Returns:
        The checkpoint's folder.

    Raises:
        ValueError: it cannot be written, a full disk for one; what was written of it is gone, the one before is whole.
    """
    target = output_dir / f"checkpoint-{step}"
    if target.exists():  # the run was resumed from it and took no step
        return target
    partial = output_dir / f"{PARTIAL_PREFIX}{target.name}"
    try:
        if accelerator.is_main_process:
            _remove_leftovers(output_dir)
        accelerator.wait_for_everyone()
        accelerator.save_state(str(partial))
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            sync(partial)
            partial.rename(target)
            sync_folder(output_dir)
            outdated = [] if total_limit is None else list_checkpoints(output_dir)[:-total_limit]
            for path in outdated:
                path.rename(output_dir / f"{PARTIAL_PREFIX}{path.name}")
            _remove_leftovers(output_dir)
    except Exception as error:
        reason = _disk_error(error, output_dir)
        if accelerator.is_main_process:
            remove(partial)
        if reason is None:
            raise
        raise ValueError(f"the checkpoint {str(target)!r} cannot be written: {reason}; {_rest(output_dir)}") from error
    accelerator.wait_for_everyone()
    return target


def _remove_leftovers(output_dir: Path) -> None:
    for leftover in output_dir.glob(f"{PARTIAL_PREFIX}*"):
        remove(leftover)


def _disk_error(error: Exception, folder: Path) -> str | None:
    """What is wrong with the disk; None if something else is wrong."""
    if isinstance(error, OSError | SafetensorError):
        return getattr(error, "strerror", None) or str(error)
    if isinstance(error, RuntimeError) and "inline_container.cc" in str(error):  # torch's writer does not say why
        free = shutil.disk_usage(folder).free
        return f"torch could not write a file whole, with {free / 2**20:.1f} MiB free on the disk"
    return None


def _rest(output_dir: Path) -> str:
    """What there is to go on from after a checkpoint could not be written."""
    saved = list_checkpoints(output_dir)
    if not saved:
        return "there is no earlier one"
    return f"{saved[-1].name} is whole, --resume_from_checkpoint latest goes on from it"


class TrainingLog:
    """The run's log as JSON lines, one object a logged step; a resumed run drops the lines after its first step."""

    def __init__(self, path: Path, step: int) -> None:
        """Opens `path` for appending after `step`.

        Args:
            path: the file, made if missing.
            step: the number of steps already taken; later lines are of work that was lost and is done again.
        """
        self.path = path
        if path.is_file():
            lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
            kept = [line for line in lines if json.loads(line)["step"] <= step]
            text = "".join(f"{line}\n" for line in kept)
            write_durably(path, lambda draft: draft.write_text(text, encoding="utf-8"))

    def write(self, **values: float) -> None:
        """Appends one line."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")
