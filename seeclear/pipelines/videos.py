# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What the pipelines' calls share: the forms in which videos are taken and results are given."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from seeclear.resize import to_uint8
from seeclear.video.inputs import Frame, VideoInput, open_frames, read_input
from seeclear.video.scenes import find_scenes

from .settings import RestorationSettings
from .streaming import FinishedFrames, Layout, count_clips

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


class VideoBatch:
    """Videos of one size and length, and how they run: those whose scenes are cut alike run together.

    Args:
        video: as the pipelines' calls take it.
        layout: what the network asks for.
        settings: how the videos are cut.

    Raises:
        ValueError: the videos can't be used; the message says why.
    """

    def __init__(self, video: VideoInput, layout: Layout, settings: RestorationSettings) -> None:
        self._frames, _ = read_input(video)  # (B, F, 3, H, W), float32 in [0, 1]
        self._layout, self._settings = layout, settings
        self._restored: dict[int, Tensor] = {}
        self._whole = torch.empty(0)
        self._groups: dict[tuple[int, ...], list[int]] = {}
        for index, one_video in enumerate(self._frames):
            lengths = find_scenes(one_video) if settings.scene_detection else (len(one_video),)
            self._groups.setdefault(lengths, []).append(index)

    def __len__(self) -> int:
        return len(self._frames)

    def groups(self) -> Iterator[tuple[list[int], tuple[Tensor, ...]]]:
        """Indices of videos that run together, and their frames, each (b, 3, H, W)."""
        for members in self._groups.values():
            yield members, self._frames[members].unbind(dim=1)

    def count_tiles(self) -> int:
        """How many tiles there are, over all clips."""
        height, width = self._frames.shape[-2:]
        clip = self._settings.clips(self._layout.clip_length, self._layout.clip_overlap)
        clips = sum(count_clips(length, *clip) for lengths in self._groups for length in lengths)
        return clips * len(self._layout.plan_tiles(height, width, self._settings))

    def put(self, members: list[int], parts: list[Tensor]) -> None:
        """Takes what the clips of a group finished, each (b, n, 3, sH, sW)."""
        together = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        self._restored |= {index: together[place] for place, index in enumerate(members)}
        self._whole = together

    def output(self, output_type: str) -> list[list[PIL.Image.Image]] | np.ndarray | Tensor:
        """All videos in that form."""
        if len(self._groups) > 1:
            self._whole = torch.stack([self._restored[index] for index in range(len(self))])
        return convert_output(self._whole, output_type)


def one_video(video: VideoInput | Iterable[Frame]) -> Iterator[Tensor]:
    """The frames of one video as they come, each (1, 3, H, W), float32 in [0, 1].

    Raises:
        ValueError: it is a batch, or a frame can't be used.
    """
    return (read_input([frame])[0][:, 0] for frame in open_frames(video))


def without_batch(clips: Iterator[FinishedFrames]) -> Iterator[FinishedFrames]:
    """What every clip of a single video finished, frames as (n, 3, sH, sW)."""
    for finished in clips:
        ready = [replace(finished, frames=finished.frames[0])]
        del finished  # whoever takes it alone decides how long it lives
        yield ready.pop()


def single_frames(clips: Iterator[FinishedFrames], output_type: str) -> Iterator[Any]:
    """The frames of finished clips one by one: PIL images, arrays (sH, sW, 3) or tensors (3, sH, sW)."""
    for finished in clips:
        for frame in finished.frames:
            yield convert_output(frame[None, None], output_type)[0][0]
        del finished  # before the next clip is computed
