# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The command line with the stand-in for the model, for processes that are launched.

`python launched.py LOG upscale ...`: every process writes down the clips that it restores.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import stand_in

from seeclear.app import cli
from seeclear.app.jobs import loaded, survey


class Slow(stand_in.NearestRestorer):
    """Slow enough that both processes find work."""

    def begin_clip(self, clip: Any) -> Any:
        time.sleep(0.05)
        with open(LOG, "a") as file:
            file.write(f"{os.environ.get('RANK', '-')} {clip.start}\n")
        return super().begin_clip(clip)


if __name__ == "__main__":
    LOG = sys.argv.pop(1)
    survey.PART_LENGTH = 6
    pipe = stand_in.Nearest(carry=0.3)
    pipe.restorer = Slow(carry=0.3)
    loaded.load_model = lambda *_: (pipe, Path())
    cli.main()
