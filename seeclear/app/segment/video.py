# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Shows what the Semantic Distiller sees in a video: instances with their labels and identities, or what every token
stands for.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from tqdm.auto import tqdm

from seeclear.app.models import load_model
from seeclear.app.paths import PathLike, local_path
from seeclear.runtime import choose_device, keep_freed_memory, parse_dtype
from seeclear.shipped import DEFAULT_MODEL
from seeclear.video.reader import VideoReader, count_frames
from seeclear.video.writer import open_writer

from .clips import THRESHOLD, segment_clips
from .drawing import VIEWS, PictureWriter, draw_clip
from .record import TokenRecord


@dataclass(frozen=True)
class SegmentResult:
    """What `segment_video` did."""

    path: Path
    """The file or folder written."""
    frames: int
    """Frames segmented."""
    width: int
    """Width of the output in pixels."""
    height: int
    """Height of the output in pixels."""
    objects: int
    """Instances with different identities that were seen."""
    seconds: float
    """Time from the first frame read to the last one written, without loading the model."""
    device: torch.device
    dtype: torch.dtype


class _Writer(Protocol):
    """What the pictures go to."""

    def write(self, frame: np.ndarray) -> None: ...


def segment_video(
    path_in: PathLike,
    path_out: PathLike,
    model: str = DEFAULT_MODEL,
    tokens: PathLike | None = None,
    what: str = "instances",
    threshold: float = THRESHOLD,
    device: str | None = None,
    dtype: str = "auto",
    overwrite: bool = False,
    progress: bool = True,
) -> SegmentResult:
    """Draws what the model's distiller sees onto a video, at the size it has or enlarged to 640 pixels of width.

    Frames per second are kept and the sound is copied. Nothing appears under the final names before it is whole.

    Args:
        path_in: a video file, or a folder of images of one size.
        path_out: a file ending in .mp4, .mov, .mkv or .webm, a name without ending for a folder of PNGs, or a .png
            file for the middle frame.
        model: name of a shipped model, a folder, or a repository id of a model hub.
        tokens: a .safetensors file that gets what was found, see [`TokenRecord`].
        what: "instances" or "tokens", see `draw_clip`.
        threshold: the least score of an instance, see `segment_clips`.
        device: such as "cpu", "cuda" or "mps"; None takes the fastest there is.
        dtype: "auto", "fp32", "bf16" or "fp16".
        overwrite: replace files that are there.
        progress: show a bar with the time left (on a terminal only).

    Raises:
        ValueError: input, output, model or a setting is not usable; the message says which and why.
    """
    path_in, path_out = local_path(path_in, "path_in"), local_path(path_out, "path_out")
    tokens = None if tokens is None else local_path(tokens, "tokens")
    if what not in VIEWS:
        raise ValueError(f"`what` must be one of {', '.join(VIEWS)}, but was {what!r}.")
    _check_paths(path_in, path_out, tokens, overwrite)
    chosen_device = choose_device(device)
    chosen_dtype, _ = parse_dtype(dtype, chosen_device)
    if chosen_device.type == "cpu":
        keep_freed_memory()
    with ExitStack() as stack:
        reader = stack.enter_context(VideoReader(path_in))
        total = reader.num_frames if reader.num_frames is not None else count_frames(path_in)
        writer: _Writer
        if path_out.suffix.lower() == ".png":
            writer = stack.enter_context(PictureWriter(path_out, total // 2))
        else:
            writer = stack.enter_context(open_writer(path_out, reader.fps, reader.names, path_in))
        record = None if tokens is None else stack.enter_context(TokenRecord(tokens))
        pipe, _ = load_model(model, chosen_device, chosen_dtype)
        if pipe.semantic_distiller is None:
            raise ValueError(f"`model` {model!r} has no Semantic Distiller, so that it sees nothing.")
        start = time.perf_counter()
        # disable=None: no bar where the output is no terminal
        bar = tqdm(total=total, unit="frame", desc="segmenting", disable=None if progress else True)
        count, size, seen = _draw_all(pipe, reader, what, threshold, writer, record, stack.enter_context(bar))
    return SegmentResult(
        path=path_out,
        frames=count,
        width=size[1],
        height=size[0],
        objects=len(seen - {0}),
        seconds=time.perf_counter() - start,
        device=chosen_device,
        dtype=chosen_dtype,
    )


def _draw_all(
    pipe: Any,
    reader: VideoReader,
    what: str,
    threshold: float,
    writer: _Writer,
    record: TokenRecord | None,
    bar: Any,
) -> tuple[int, tuple[int, int], set[int]]:
    """(frames, (height, width) of the pictures, numbers of the objects, 0 for none) of all clips."""
    vocabulary = list(pipe.semantic_distiller.config.vocabulary)
    count, size = 0, (0, 0)
    seen: set[int] = set()
    for clip in segment_clips(pipe.semantic_distiller, reader, pipe.config.clip_length, threshold):
        for picture in draw_clip(clip, vocabulary, what):
            size = (picture.shape[0], picture.shape[1])
            writer.write(picture)
        if record is not None:
            record.add(clip)
        seen.update(clip.objects.unique().tolist())
        count += len(clip.frames)
        bar.update(len(clip.frames))
    if record is not None:
        record.finish(vocabulary)
    return count, size, seen


def _check_paths(path_in: Path, path_out: Path, tokens: Path | None, overwrite: bool) -> None:
    if path_in.resolve() == path_out.resolve():
        raise ValueError(f"{path_out}: the output must be another file than the input.")
    if tokens is not None and tokens.suffix.lower() != ".safetensors":
        raise ValueError(f"{tokens}: the ending of the file of tokens must be .safetensors.")
    if tokens is not None and tokens.resolve() in (path_in.resolve(), path_out.resolve()):
        raise ValueError(f"{tokens}: the tokens must go to another file than the input and the output.")
    for output in (path_out, tokens):
        if output is not None and output.is_file() and not overwrite:
            raise ValueError(f"{output}: is there already; give `overwrite` to replace it.")
