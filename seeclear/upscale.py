# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Upscales a video file or a folder of images into another: reader, pipeline and writer in a row."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from seeclear.pipelines.pipeline_seeclear import SeeClearPipeline
from seeclear.resize import to_uint8
from seeclear.runtime import choose_device, keep_freed_memory, parse_dtype
from seeclear.video.compare import CompareWriter
from seeclear.video.reader import VideoReader, count_frames
from seeclear.video.writer import open_writer

DEFAULT_MODEL = "seeclear-tiny"


@dataclass(frozen=True)
class UpscaleResult:
    """What `upscale_video` did."""

    path: Path
    """The file or folder written."""
    frames: int
    """Frames written, as many as were read."""
    width: int
    """Width of the output in pixels."""
    height: int
    """Height of the output in pixels."""
    seconds: float
    """Time from the first frame read to the output closed, without loading the model."""
    device: torch.device
    dtype: torch.dtype


def upscale_video(
    path_in: str | os.PathLike[str],
    path_out: str | os.PathLike[str],
    model: str = DEFAULT_MODEL,
    num_inference_steps: int | None = None,
    sampler: str | None = None,
    noise: str = "clip",
    seed: int = 0,
    device: str | None = None,
    dtype: str = "auto",
    compare: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> UpscaleResult:
    """Upscales a video by the model's factor.

    Frames per second are kept and the sound is copied. Memory does not grow with the length of the video, and nothing
    appears under the final names before it is whole.

    Args:
        path_in: a video file, or a folder of images of one size.
        path_out: a file ending in .mp4, .mov, .mkv or .webm, or a name without ending for a folder of PNGs.
        model: name of a shipped model, a folder, or a repository id of a model hub.
        num_inference_steps: denoising steps, from 1 to the number the model was trained with; None is the model's
            default.
        sampler: "markov", "resshift" or "ddim"; None is the model's default.
        noise: "video" and "clip" share the noise between the frames of the video or of a clip, "frame" draws it for
            each.
        seed: of the noise. The same seed gives the same bits.
        device: such as "cpu", "cuda" or "mps"; None takes the fastest there is.
        dtype: "auto", "fp32", "bf16" or "fp16".
        compare: a .png (middle frame) or video file that gets bicubic and ours side by side.
        progress: show a bar with the time left (on a terminal only).

    Raises:
        ValueError: input, output, model or a setting is not usable; the message says which and why.
    """
    path_in, path_out = Path(path_in), Path(path_out)
    compare = None if compare is None else Path(compare)
    _check_distinct(path_in, path_out, compare)
    chosen_device = choose_device(device)
    chosen_dtype, _ = parse_dtype(dtype, chosen_device)
    if chosen_device.type == "cpu":
        keep_freed_memory()
    with ExitStack() as stack:
        reader = stack.enter_context(VideoReader(path_in))
        writer = stack.enter_context(open_writer(path_out, reader.fps, reader.names, path_in))
        total = reader.num_frames if reader.num_frames is not None else count_frames(path_in)
        pairs = None if compare is None else stack.enter_context(CompareWriter(compare, reader.fps, total))
        pipe = load_pipeline(model, chosen_device, chosen_dtype)
        start = time.perf_counter()
        waiting: deque[np.ndarray] = deque()  # LR frames whose upscaled frame is still to come
        frames = pipe.stream(
            _remember(reader, waiting) if pairs is not None else reader,
            num_inference_steps=num_inference_steps,
            sampler=sampler,
            noise=noise,
            generator=torch.Generator().manual_seed(seed),
        )
        # disable=None: no bar where the output is no terminal
        bar = stack.enter_context(
            tqdm(total=total, unit="frame", desc="upscaling", disable=None if progress else True)
        )
        height = width = 0
        for frame in frames:
            upscaled = to_uint8(frame).permute(1, 2, 0).numpy()
            height, width, _ = upscaled.shape
            writer.write(upscaled)
            if pairs is not None:
                pairs.write(waiting.popleft(), upscaled)
            bar.update()
    return UpscaleResult(
        path=path_out,
        frames=writer.frames_written,
        width=width,
        height=height,
        seconds=time.perf_counter() - start,
        device=chosen_device,
        dtype=chosen_dtype,
    )


def load_pipeline(model: str, device: torch.device, dtype: torch.dtype) -> SeeClearPipeline:
    """The pipeline of that name, folder or repository id, on `device` in `dtype`, with its own progress bars off."""
    pipe = SeeClearPipeline.from_pretrained(model).to(device, dtype)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def parameter_counts(pipe: SeeClearPipeline) -> dict[str, int]:
    """Number of parameters of each component that has any."""
    parts = {name: part for name, part in pipe.components.items() if isinstance(part, torch.nn.Module)}
    return {name: sum(parameter.numel() for parameter in part.parameters()) for name, part in parts.items()}


def _remember(frames: Iterable[np.ndarray], seen: deque[np.ndarray]) -> Iterator[np.ndarray]:
    """The same frames, each kept in `seen` as it passes."""
    for frame in frames:
        seen.append(frame)
        yield frame


def _check_distinct(path_in: Path, path_out: Path, compare: Path | None) -> None:
    if path_in.resolve() == path_out.resolve():
        raise ValueError(f"{path_out}: the output must be another file than the input.")
    if compare is not None and compare.resolve() in (path_in.resolve(), path_out.resolve()):
        raise ValueError(f"{compare}: the comparison must be another file than the input and the output.")
