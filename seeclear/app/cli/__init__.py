# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The command line: parses, calls Python that anyone can call, and says in one line what went wrong.

Each command has a module. torch and diffusers are imported inside the commands, so that `seeclear --help` answers at
once.
"""

from __future__ import annotations

import sys
from typing import Any

import typer

from . import evaluate, info, segment, upscale  # noqa: F401  (each adds its command to the application)
from .output import fail
from .root import app
from .session import ERROR, INTERRUPTED

# typer has no public name for the base of its usage errors
_UsageError: Any = typer.BadParameter.__bases__[0]


def main() -> None:
    """The entry point `seeclear`."""
    try:
        code = app(prog_name="seeclear", standalone_mode=False)
    except _UsageError as error:
        fail(error.format_message())
        code = ERROR
    except (KeyboardInterrupt, typer.Abort):  # before or after the work of a command
        fail("interrupted")
        code = INTERRUPTED
    sys.exit(code)
