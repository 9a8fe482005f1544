# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""`seeclear info`."""

from __future__ import annotations

from typing import Annotated

import typer

from seeclear.shipped import DEFAULT_MODEL
from seeclear.version import __version__

from .app import app, dtype_name, one_line_errors, quiet


@app.command()
def info(
    model: Annotated[str, typer.Option(help="A shipped model, a folder, or a hub id.")] = DEFAULT_MODEL,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, mps, ...; default: the fastest.", show_default=False)
    ] = None,
) -> None:
    """Show version, parts of the model with their parameters, device, and number format with the reason."""
    with one_line_errors():
        quiet()
        from seeclear.app.upscale import load_pipeline, parameter_counts
        from seeclear.runtime import choose_device, choose_dtype

        chosen = choose_device(device)
        dtype, reason = choose_dtype(chosen)
        counts = parameter_counts(load_pipeline(model, chosen, dtype))
        typer.echo(f"seeclear {__version__}")
        typer.echo(f"model    {model}")
        for name, count in counts.items():
            typer.echo(f"  {name:<20} {count:>12,} parameters")
        typer.echo(f"  {'all':<20} {sum(counts.values()):>12,} parameters")
        typer.echo(f"device   {chosen}")
        typer.echo(f"dtype    {dtype_name(dtype)}: {reason}")
