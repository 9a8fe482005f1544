# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Kills an upscaling again and again and lets it go on: `python fault_runner.py FOLDER KILLS`.

Libraries are imported once; each run is a forked child. A child is killed with SIGKILL before or after one of the
file-system calls of a run, chosen at random. Prints, as JSON, the hash of an undisturbed run, and for each kill the
hash after going on, what was left in the folder, and how many clips were restored in all.
"""

import builtins
import hashlib
import json
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import stand_in
import torch

from seeclear.app import upscale
from seeclear.app.jobs import loaded, survey
from seeclear.app.jobs.records import record_path

CALLS = ((os, "replace"), (os, "fsync"), (os, "unlink"), (os, "mkdir"), (os, "rmdir"), (builtins, "open"))


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


def hook(calls: Path, kill_at: int | None) -> None:
    """Counts the file-system calls of this process in the file `calls`, and ends it at number `kill_at`."""
    count = 0
    descriptor = os.open(calls, os.O_CREAT | os.O_WRONLY)

    def event() -> None:
        nonlocal count
        count += 1
        os.pwrite(descriptor, b"%d" % count, 0)
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrap(function: Callable[..., Any], real: bool) -> Callable[..., Any]:
        def call(*arguments: Any, **settings: Any) -> Any:
            event()
            # killing a process does not lose what it has written: bringing it to the disk would only take time
            result = function(*arguments, **settings) if real else None
            event()
            return result

        return call

    for module, name in CALLS:
        setattr(module, name, wrap(getattr(module, name), real=name != "fsync"))


class Counted(stand_in.NearestRestorer):
    """Writes down every clip that is finished by the model."""

    log = Path()

    def end_clip(self, clip: Any) -> Any:
        state = super().end_clip(clip)
        with Counted.log.open("a") as file:
            file.write(f"{clip.start}\n")
        return state


def main() -> None:
    folder, kills = Path(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(1)
    survey.PART_LENGTH = 6
    video = stand_in.write_video(folder / "in.mp4", stand_in.scenes(8, 5, height=16, width=16))
    output = folder / "out" / "out.mp4"
    output.parent.mkdir()
    pipe = stand_in.Nearest(carry=0.3)
    pipe.restorer = Counted(carry=0.3)
    loaded.load_model = lambda *_: (pipe, Path())
    Counted.log = folder / "clips"

    def run(kill_at: int | None) -> int:
        def work() -> None:
            hook(folder / "calls", kill_at)
            upscale.upscale_video(video, output, clip_overlap=1, memory=None, preset="ultrafast", progress=False)

        return in_child(work)

    def finish() -> dict[str, Any]:
        left = sorted(os.listdir(output.parent))
        found = hashlib.sha256(output.read_bytes()).hexdigest() if output.exists() else ""
        output.unlink(missing_ok=True)
        record_path(output).unlink(missing_ok=True)
        clips = Counted.log.read_text().split()
        Counted.log.unlink()
        return {"hash": found, "left": left, "clips": len(clips)}

    if run(None):
        sys.exit("the undisturbed run failed")
    calls = int((folder / "calls").read_text())
    undisturbed = finish()
    moments = sorted(random.Random(0).sample(range(1, calls + 1), kills))
    killed = []
    for moment in moments:
        (folder / "calls").unlink()
        status = run(moment)
        early = output.exists()
        again = run(None)
        killed.append({"moment": moment, "status": status, "early": early, "again": again, **finish()})
    sys.stdout.write(json.dumps({"calls": calls, "undisturbed": undisturbed, "killed": killed}))


if __name__ == "__main__":
    main()
