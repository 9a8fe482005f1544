# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Pictures of what is seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from PIL import Image

from seeclear.files import Draft
from seeclear.metrics.segmentation import enlarge_masks

from .clips import SegmentedClip
from .overlay import draw_objects, draw_partition, enlarge

VIEWS = ("instances", "tokens")


def draw_clip(clip: SegmentedClip, vocabulary: list[str], what: str = "instances") -> Iterator[np.ndarray]:
    """The new frames of a clip, enlarged and drawn onto: uint8 (H', W', 3).

    Args:
        clip: of `segment_clips`.
        vocabulary: names of the labels.
        what: "instances": the areas of the instances, each with number, label and score. "tokens": the frame divided
            among the clip-wise tokens, each pixel given to the one that says so most.
    """
    for i, frame in enumerate(clip.frames):
        picture = enlarge(frame)
        size = (picture.shape[0], picture.shape[1])
        if what == "tokens":
            logits = torch.nn.functional.interpolate(
                clip.clip_masks[i][None], size=size, mode="bilinear", align_corners=False
            )
            yield draw_partition(picture, clip.identities[logits[0].argmax(dim=0)])
            continue
        chosen = clip.objects[i].nonzero()[:, 0].tolist()  # the surest first, as tokens are
        numbers = clip.objects[i, chosen].tolist()
        captions = [
            f"{number} {vocabulary[int(clip.labels[i, token])]} {float(clip.scores[i, token]):.2f}"
            for number, token in zip(numbers, chosen, strict=True)
        ]
        yield draw_objects(picture, enlarge_masks(clip.masks[i, chosen], size), numbers, captions)


class PictureWriter:
    """Keeps the frame of one index, and saves it as a PNG on success only."""

    def __init__(self, path: Path, index: int) -> None:
        self._path, self._index = path, index
        self._draft = Draft(path)
        self._written = 0
        self._frame: np.ndarray | None = None

    def __enter__(self) -> PictureWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._frame is not None:
                Image.fromarray(self._frame).save(self._draft.path)
                self._draft.publish()
        finally:
            self._draft.discard()

    def write(self, frame: np.ndarray) -> None:
        """Takes the next frame."""
        if self._written <= self._index:
            self._frame = frame
        self._written += 1
