# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What the pipelines' calls share: batches of videos and videos that come frame by frame, run through the streaming
core, and the forms in which results are given.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from seeclear.resize import to_uint8
from seeclear.video.inputs import read_input
from seeclear.video.scenes import find_scenes

from .streaming import (
    ClipRestorer,
    Context,
    FinishedFrames,
    StreamSettings,
    StreamState,
    count_clips,
    plan_tiles,
    stream_clips,
)

OUTPUT_TYPES = ("pil", "np", "pt")


def check_output_type(output_type: str) -> None:
    """Raises a ValueError unless it is one of `OUTPUT_TYPES`."""
    if output_type not in OUTPUT_TYPES:
        raise ValueError(f"`output_type` is {output_type!r}; it must be one of {OUTPUT_TYPES}")


def convert_output(frames: Tensor, output_type: str) -> list[list[PIL.Image.Image]] | np.ndarray | Tensor:
    """Frames (B, F, 3, sH, sW), float32 in [0, 1], in the form that [`SeeClearPipelineOutput`] describes."""
    if output_type == "np":
        return frames.permute(0, 1, 3, 4, 2).numpy()
    if output_type == "pil":
        images = to_uint8(frames).permute(0, 1, 3, 4, 2).numpy()
        return [[PIL.Image.fromarray(image) for image in one_video] for one_video in images]
    return frames


def group_videos(frames: Tensor, scene_detection: bool) -> dict[tuple[int, ...], list[int]]:
    """The videos of a batch (B, F, 3, H, W) by the lengths of their scenes: those of a group can run together."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, one_video in enumerate(frames):
        groups.setdefault(find_scenes(one_video) if scene_detection else (len(one_video),), []).append(index)
    return groups


def count_tiles(
    restorer: ClipRestorer[Context], frames: Tensor, groups: Iterable[tuple[int, ...]], settings: StreamSettings
) -> int:
    """How many tiles the restorer will be asked for, over all clips."""
    height, width = frames.shape[-2:]
    rows, columns, _ = plan_tiles(height, width, settings, restorer.multiple_of, restorer.alignment)
    clip = settings.clips(restorer.clip_length, restorer.clip_overlap)
    clips = sum(count_clips(length, *clip) for lengths in groups for length in lengths)
    return clips * len(rows) * len(columns)


def restore_videos(
    restorer: ClipRestorer[Context],
    frames: Tensor,
    groups: Iterable[list[int]],
    settings: StreamSettings,
    begin_group: Callable[[list[int]], None] = lambda members: None,
) -> Tensor:
    """Upscales a batch of videos.

    Args:
        frames: (B, F, 3, H, W), float32 in [0, 1].
        groups: indices of videos that run together, as [`group_videos`] gives them.
        begin_group: called before each group, with its indices.

    Returns:
        (B, F, 3, sH, sW), float32 in [0, 1].
    """
    restored: list[Tensor] = [torch.empty(0)] * len(frames)
    for members in groups:
        begin_group(members)
        finished = stream_clips(restorer, frames[members].unbind(dim=1), settings)
        parts = [part.frames for part in finished]
        together = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        if len(members) == len(frames):
            return together
        for index, one_video in zip(members, together, strict=True):
            restored[index] = one_video
    return torch.stack(restored)


def stream_video(
    restorer: ClipRestorer[Context],
    frames: Iterable[np.ndarray | Tensor],
    settings: StreamSettings,
    state: StreamState | None,
    finish: Callable[[], object],
) -> Iterator[FinishedFrames]:
    """Upscales one video clip by clip as its frames come; gradients are off only while it computes.

    Args:
        frames: arrays (H, W, 3), uint8 or float in [0, 1], or tensors (3, H, W), from `state.next_frame` on.
        finish: called after the last clip.

    Yields:
        What every clip finished, frames as (n, 3, sH, sW).
    """
    singles = (read_input([frame])[0][:, 0] for frame in frames)  # (1, 3, H, W)
    clips = stream_clips(restorer, singles, settings, state)
    while True:
        with torch.no_grad():
            finished = next(clips, None)
        if finished is None:
            break
        ready = [replace(finished, frames=finished.frames[0])]
        del finished  # whoever takes it alone decides how long it lives
        yield ready.pop()
    finish()


def single_frames(clips: Iterator[FinishedFrames]) -> Iterator[Tensor]:
    """The frames (3, sH, sW) of finished clips, one by one."""
    for finished in clips:
        yield from finished.frames
        del finished  # before the next clip is computed
