# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""`seeclear segment`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seeclear.shipped import DEFAULT_MODEL

from .app import app, dtype_name, one_line_errors, quiet


@app.command()
def segment(
    path_in: Annotated[Path, typer.Argument(metavar="IN", help="A video file, or a folder of images.")],
    path_out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="A .mp4, .mov, .mkv or .webm file, a folder for PNGs, or a .png for the middle frame.",
        ),
    ],
    model: Annotated[str, typer.Option(help="A shipped model, a folder, or a hub id.")] = DEFAULT_MODEL,
    tokens: Annotated[
        Path | None,
        typer.Option(metavar="SAFETENSORS", help="Write tokens, scores, labels, masks and identities to this file."),
    ] = None,
    what: Annotated[
        str, typer.Option(help="instances: objects with label and number; tokens: what every token stands for.")
    ] = "instances",
    threshold: Annotated[float, typer.Option(help="The least score of an instance.")] = 0.7,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, mps, ...; default: the fastest.", show_default=False)
    ] = None,
    dtype: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
) -> None:
    """Draw what the model sees in a video: objects, their labels, and numbers they keep. Sound is kept."""
    with one_line_errors():
        quiet()
        from seeclear.app.segment.video import segment_video

        result = segment_video(
            path_in,
            path_out,
            model=model,
            tokens=tokens,
            what=what,
            threshold=threshold,
            device=device,
            dtype=dtype,
        )
        typer.echo(
            f"{result.path}: {result.frames} frames of {result.width}x{result.height} in {result.seconds:.1f} s, "
            f"{result.objects} objects ({result.seconds / result.frames:.2f} s a frame, {result.device}, "
            f"{dtype_name(result.dtype)})"
        )
