# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""`seeclear info` and `seeclear models`."""

from __future__ import annotations

import typer

from seeclear.shipped import DEFAULT_MODEL
from seeclear.version import __version__

from .options import Device, Model
from .output import say
from .root import app
from .session import session


@app.command()
def info(context: typer.Context, model: Model = DEFAULT_MODEL, device: Device = None) -> None:
    """Show version, parts of the model with their parameters, device, and number format with the reason."""
    with session(context):
        from seeclear.app.models import load_model, parameter_counts
        from seeclear.runtime import choose_device, choose_dtype

        chosen = choose_device(device)
        dtype, reason = choose_dtype(chosen)
        counts = parameter_counts(load_model(model, chosen, dtype)[0])
        say(f"seeclear {__version__}")
        say(f"model    {model}")
        for name, count in counts.items():
            say(f"  {name:<20} {count:>12,} parameters")
        say(f"  {'all':<20} {sum(counts.values()):>12,} parameters")
        say(f"device   {chosen}")
        say(f"dtype    {str(dtype).removeprefix('torch.')}: {reason}")


@app.command()
def models() -> None:
    """Show the shipped models: name, parameters, size on the disk, and what each is for."""
    from seeclear.app.models import describe_shipped_models

    for model in describe_shipped_models():
        figures = f"{model.parameters / 1e6:>5.1f} M parameters {model.size / 1e6:>6.1f} MB"
        say(f"{model.name:<20} {figures}  {model.purpose}")
