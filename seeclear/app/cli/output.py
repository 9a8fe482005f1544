# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What the command line prints: results to the standard output, notes and errors to the standard error stream.

Characters that a stream's encoding lacks, as in names of files, are replaced: nobody loses work to them.
"""

from __future__ import annotations

import os
import sys

import typer


def say(text: str) -> None:
    """Prints what was asked for."""
    _print(text, err=False)


def fail(message: str) -> None:
    """Prints an error, in one line."""
    _print(f"seeclear: error: {_one_line(message)}", err=True)


def remark(message: str) -> None:
    """Prints a note, in one line."""
    _print(f"seeclear: note: {_one_line(message)}", err=True)


def leads() -> bool:
    """Whether this is the first, or only, process of a launch: of several, one speaks."""
    return os.environ.get("RANK", "0") == "0"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _print(text: str, err: bool) -> None:
    encoding = getattr(sys.stderr if err else sys.stdout, "encoding", None) or "utf-8"
    typer.echo(text.encode(encoding, "replace").decode(encoding), err=err)
