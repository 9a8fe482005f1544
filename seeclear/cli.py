# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The command line: parses, calls Python that anyone can call, and says in one line what went wrong.

torch and diffusers are imported inside the commands, so that `seeclear --help` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from seeclear import __version__

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


@app.command()
def upscale(
    path_in: Annotated[Path, typer.Argument(metavar="IN", help="A video file, or a folder of images.")],
    path_out: Annotated[
        Path, typer.Argument(metavar="OUT", help="A .mp4, .mov, .mkv or .webm file, or a folder for PNGs.")
    ],
    model: Annotated[str, typer.Option(help="A shipped model, a folder, or a hub id.")] = "seeclear-tiny",
    steps: Annotated[
        int | None, typer.Option(help="Denoising steps; default: the model's.", show_default=False)
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(help="markov, resshift or ddim; default: the model's.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    noise: Annotated[str, typer.Option(help="How far a draw of noise reaches: video, clip or frame.")] = "clip",
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, mps, ...; default: the fastest.", show_default=False)
    ] = None,
    dtype: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    compare: Annotated[
        Path | None,
        typer.Option(metavar="PNG_OR_MP4", help="Write bicubic and ours side by side: middle frame or video."),
    ] = None,
) -> None:
    """Upscale a video. Frames per second and sound are kept; images become a video of 25 frames per second."""
    with _one_line_errors():
        _quiet()
        from seeclear.upscale import upscale_video

        result = upscale_video(
            path_in,
            path_out,
            model=model,
            num_inference_steps=steps,
            sampler=sampler,
            noise=noise,
            seed=seed,
            device=device,
            dtype=dtype,
            compare=compare,
        )
        typer.echo(
            f"{result.path}: {result.frames} frames of {result.width}x{result.height} in {result.seconds:.1f} s "
            f"({result.seconds / result.frames:.2f} s a frame, {result.device}, {_name(result.dtype)})"
        )


@app.command()
def info(
    model: Annotated[str, typer.Option(help="A shipped model, a folder, or a hub id.")] = "seeclear-tiny",
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, mps, ...; default: the fastest.", show_default=False)
    ] = None,
) -> None:
    """Show version, parts of the model with their parameters, device, and number format with the reason."""
    with _one_line_errors():
        _quiet()
        from seeclear.runtime import choose_device, choose_dtype
        from seeclear.upscale import load_pipeline, parameter_counts

        chosen = choose_device(device)
        dtype, reason = choose_dtype(chosen)
        counts = parameter_counts(load_pipeline(model, chosen, dtype))
        typer.echo(f"seeclear {__version__}")
        typer.echo(f"model    {model}")
        for name, count in counts.items():
            typer.echo(f"  {name:<20} {count:>12,} parameters")
        typer.echo(f"  {'all':<20} {sum(counts.values()):>12,} parameters")
        typer.echo(f"device   {chosen}")
        typer.echo(f"dtype    {_name(dtype)}: {reason}")


def main() -> None:
    """The entry point `seeclear`."""
    try:
        code = app(standalone_mode=False)
    except UsageError as error:
        _fail(error.format_message())
        code = ERROR
    except (KeyboardInterrupt, typer.Abort):  # before or after the work of a command
        _fail("interrupted")
        code = INTERRUPTED
    sys.exit(code)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError) as error:
        _fail(str(error) or type(error).__name__)
        raise typer.Exit(ERROR) from error
    except KeyboardInterrupt:
        _fail("interrupted, nothing was written")
        raise typer.Exit(INTERRUPTED) from None


def _fail(message: str) -> None:
    typer.echo(f"seeclear: error: {' '.join(message.split())}", err=True)


def _quiet() -> None:
    """Keeps diffusers' own bars and hints out of the output: what it has to say as an error is raised."""
    from diffusers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()


def _name(dtype: object) -> str:
    return str(dtype).removeprefix("torch.")
