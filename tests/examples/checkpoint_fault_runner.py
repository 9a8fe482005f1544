# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Kills a training while it writes checkpoints, and lets it go on: `checkpoint_fault_runner.py KILLS SCRIPT ...`

SCRIPT is a training script, followed by its arguments without --output_dir. Libraries are imported once; each run is a
forked child. A child is killed with SIGKILL before or after one of the file-system calls of writing a checkpoint.
Prints, as JSON, the log of an undisturbed run, and for each kill what was left, and the log after going on.
"""

import builtins
import io
import json
import os
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import accelerate.utils.other
import torch

from seeclear.training import loop
from seeclear.training.checkpoints import list_checkpoints

CALLS = (
    (os, "rename"), (os, "fsync"), (os, "unlink"), (os, "mkdir"), (os, "rmdir"), (builtins, "open"), (io, "open"),
    (torch, "save"), (accelerate.utils.other, "safe_save_file"),
)  # fmt: skip
KEPT = 1
"""Checkpoints that are kept: with one, the older is removed each time."""


def in_child(work: Callable[[], object]) -> int:
    """Runs `work` in a forked child; its wait status."""
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def hook(output: str, kill_at: int | None) -> None:
    """Counts the file-system calls of writing checkpoints in the file `calls`, and ends the process at `kill_at`.
    Steps whose checkpoint was written are noted in the file `saved`.
    """
    count, writing = 0, False
    descriptors = [os.open(f"{output}.{name}", os.O_CREAT | os.O_WRONLY | os.O_TRUNC) for name in ("calls", "saved")]

    def event() -> None:
        nonlocal count
        if writing:
            count += 1
            os.pwrite(descriptors[0], b"%d" % count, 0)
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **settings: Any) -> Any:
            event()
            result = function(*arguments, **settings)
            event()
            return result

        return call

    save = loop.save_checkpoint

    def save_and_note(accelerator: Any, output_dir: Path, step: int, total_limit: int | None) -> Path:
        nonlocal writing
        writing = True
        saved = save(accelerator, output_dir, step, total_limit)
        writing = False
        os.pwrite(descriptors[1], b"%d" % step, 0)
        return saved

    loop.save_checkpoint = save_and_note
    for module, name in CALLS:
        setattr(module, name, wrap(getattr(module, name)))


def main() -> None:
    kills, arguments = int(sys.argv[1]), sys.argv[2:]
    torch.set_num_threads(1)

    def run(output: str, kill_at: int | None) -> int:
        def work() -> None:
            hook(output, kill_at)
            sys.argv = [*arguments, "--output_dir", output, "--checkpoints_total_limit", str(KEPT)]
            sys.argv += ["--resume_from_checkpoint", "latest"]
            runpy.run_path(sys.argv[0], run_name="__main__")

        return in_child(work)

    def log(output: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in (Path(output) / "train_log.jsonl").read_text().splitlines()]
        return [{name: line[name] for name in ("step", "loss", "lr")} for line in lines]

    if run("undisturbed", None):
        sys.exit("the undisturbed run failed")
    calls = int(Path("undisturbed.calls").read_text())
    killed = []
    for index in range(kills):
        moment, output = 1 + index * (calls - 1) // (kills - 1), f"killed-{index}"
        status = run(output, moment)
        saved = int(Path(f"{output}.saved").read_text() or 0)
        left = [path.name for path in list_checkpoints(Path(output))]
        again = run(output, None)
        end = sorted(path.name for path in Path(output).iterdir() if "checkpoint" in path.name)
        killed.append(
            {"moment": moment, "status": status, "saved": saved, "left": left, "again": again}
            | {"log": log(output), "end": end}
        )
    sys.stdout.write("\n" + json.dumps({"calls": calls, "undisturbed": log("undisturbed"), "killed": killed}))


if __name__ == "__main__":
    main()
