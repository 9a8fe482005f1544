# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The application, which each command adds itself to."""

from __future__ import annotations

from typing import Annotated

import typer

from seeclear.version import __version__

from .output import say

app = typer.Typer(
    help="Video super-resolution: four times the width and height.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"seeclear {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        say(context.get_help())
