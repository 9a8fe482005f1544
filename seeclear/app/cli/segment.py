# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""`seeclear segment`."""

from __future__ import annotations

from typing import Annotated

import typer

from seeclear.shipped import DEFAULT_MODEL
from seeclear.wording import counted

from . import options
from .output import say
from .root import app
from .session import session


@app.command()
def segment(
    context: typer.Context,
    path_in: Annotated[str, typer.Argument(metavar="IN", help="A video file, or a folder of images.")],
    path_out: Annotated[
        str,
        typer.Argument(
            metavar="OUT",
            help="A .mp4, .mov, .mkv or .webm file, a folder for PNGs, or a .png for the middle frame.",
        ),
    ],
    model: options.Model = DEFAULT_MODEL,
    tokens: Annotated[
        str | None,
        typer.Option(metavar="SAFETENSORS", help="Write tokens, scores, labels, masks and identities to this file."),
    ] = None,
    what: Annotated[
        str, typer.Option(help="instances: objects with label and number; tokens: what every token stands for.")
    ] = "instances",
    threshold: Annotated[float, typer.Option(help="The least score of an instance.")] = 0.7,
    device: options.Device = None,
    dtype: options.Dtype = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Draw what the model sees in a video: objects, their labels, and numbers they keep. Sound is kept."""
    with session(context, quiet, verbose):
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
            overwrite=overwrite,
            progress=not quiet,
        )
        if not quiet:
            say(
                f"{result.path}: {counted(result.frames, 'frame')} of {result.width}x{result.height} in "
                f"{result.seconds:.1f} s, {result.objects} objects ({result.seconds / result.frames:.2f} s a frame, "
                f"{result.device}, {str(result.dtype).removeprefix('torch.')})"
            )
