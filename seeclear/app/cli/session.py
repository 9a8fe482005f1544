# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Around the work of a command: errors in one line and in the words that the person typed, notes, exit codes."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from .output import fail, leads, remark

# exit codes: of a usage error as in typer, and 128 + SIGINT as in shells
ERROR = 2
INTERRUPTED = 130

# What the library calls otherwise than the parameter that it comes from.
_OTHER_NAMES = {
    "name_or_path": "model",
    "pretrained_model_name_or_path": "model",
    "budget_bytes": "memory",
    "num_inference_steps": "steps",
    "folder_in": "path_in",
    "folder_out": "path_out",
}


@contextmanager
def session(context: typer.Context, quiet: bool = False, verbose: bool = False) -> Iterator[None]:
    """What every command does its work in.

    Args:
        context: of the command, whose parameters have the library's names.
        quiet: say errors only.
        verbose: say more notes, and what took how long.

    Raises:
        typer.Exit: there was an error, which has been said, or Ctrl-C.
    """
    notes = _Notes(context)
    logger = logging.getLogger("seeclear")
    before = logger.level
    try:
        if quiet and verbose:
            raise ValueError("give `quiet` or `verbose`, not both.")
        logger.addHandler(notes)
        logger.setLevel(logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING)
        _silence_diffusers()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other libraries' to programmers; this one's notes are logged
            yield
    except (ValueError, OSError) as error:
        fail(as_typed(str(error) or type(error).__name__, context))
        raise typer.Exit(ERROR) from error
    except KeyboardInterrupt as error:
        fail(as_typed(str(error), context) or "interrupted, nothing unfinished was written")
        raise typer.Exit(INTERRUPTED) from None
    finally:
        logger.removeHandler(notes)
        logger.setLevel(before)


def as_typed(message: str, context: typer.Context) -> str:
    """A message of the library with the flags that a person types (`--tile`) in place of its names (`` `tile` ``)."""

    def flag(match: re.Match[str]) -> str:
        return flags.get(match[1]) or flags.get(_OTHER_NAMES.get(match[1], ""), match[0])

    flags: dict[str, str] = {}
    for parameter in context.command.params:
        shown = _shown(parameter)
        flags |= {shown.strip("-").replace("-", "_"): shown, parameter.name: shown}
    return re.sub(r"`(\w+)`", flag, message)


def _shown(parameter: Any) -> str:
    """The long flag of an option, the name of an argument in the help."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar).removesuffix("...")
    return max(parameter.opts, key=len)


class _Notes(logging.Handler):
    """Prints what the library has to say."""

    def __init__(self, context: typer.Context) -> None:
        super().__init__()
        self._context = context

    def emit(self, record: logging.LogRecord) -> None:
        if leads():
            remark(as_typed(record.getMessage(), self._context))


def _silence_diffusers() -> None:
    """Keeps its own bars and hints out of the output: what it has to say as an error is raised."""
    from diffusers.utils import logging as diffusers_logging

    diffusers_logging.disable_progress_bar()
    diffusers_logging.set_verbosity_error()
