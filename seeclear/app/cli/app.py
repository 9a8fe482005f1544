# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The application, and what its commands share: errors in one line, and quiet libraries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from seeclear.version import __version__

# exit codes: of a usage error as in typer, and 128 + SIGINT as in shells
ERROR = 2
INTERRUPTED = 130

# typer has no public name for the base of its usage errors
UsageError: Any = typer.BadParameter.__bases__[0]

app = typer.Typer(
    help="Video super-resolution: four times the width and height.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"seeclear {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@contextmanager
def one_line_errors() -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError) as error:
        fail(str(error) or type(error).__name__)
        raise typer.Exit(ERROR) from error
    except KeyboardInterrupt:
        fail("interrupted, nothing unfinished was written")
        raise typer.Exit(INTERRUPTED) from None


def fail(message: str) -> None:
    typer.echo(f"seeclear: error: {' '.join(message.split())}", err=True)


def quiet() -> None:
    """Keeps diffusers' own bars and hints out of the output: what it has to say as an error is raised."""
    from diffusers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()


def dtype_name(dtype: object) -> str:
    return str(dtype).removeprefix("torch.")
