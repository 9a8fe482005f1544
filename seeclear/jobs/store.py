# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Finished frames of a scene on the disk, from when a clip is done until their part is encoded.

A clip is committed in two steps: its frames, then the state after it. Only the second counts: frames without their
state are made again. So whenever the process ends, at most the clip under way is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from seeclear.pipelines.streaming import StreamState

from .durable import write_durably

# Frames are kept in 16 bits a channel: exact for outputs of 8, 10, 12 and 16 bits, in half the space of float32.
LEVELS = 65535

_STATE = re.compile(r"state-(\d+)\.safetensors")
_CLIP = re.compile(r"clip-(\d+)-(\d+)\.npy")


def to_levels(values: np.ndarray) -> np.ndarray:
    """Floats in [0, 1] to uint16, rounded to the nearest."""
    return np.rint(values * np.float32(LEVELS)).clip(0, LEVELS).astype(np.uint16)


def from_levels(levels: np.ndarray) -> np.ndarray:
    """uint16 to float32 in [0, 1]."""
    return levels.astype(np.float32) / np.float32(LEVELS)


class ClipStore:
    """The folder of one scene.

    Args:
        folder: it is made if there is none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def finished(self) -> int | None:
        """The first frame after the last committed clip; None if there is none."""
        return max((number for number, _ in self._states()), default=None)

    def state(self) -> StreamState | None:
        """The state after the last committed clip; None if there is none."""
        states = self._states()
        return StreamState.load(max(states)[1]) if states else None

    def commit(self, start: int, frames: np.ndarray, state: StreamState) -> None:
        """Keeps a clip's frames, uint16 (n, H, W, C) with C = 3 or, with alpha, 4, and the state after it."""
        path = self.folder / f"clip-{start:09d}-{start + len(frames):09d}.npy"
        write_durably(path, lambda draft: _save_array(draft, frames))
        before = self._states()
        write_durably(self.folder / f"state-{state.next_output:09d}.safetensors", state.save)
        for _, path in before:
            path.unlink()

    def frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """The frames from `start` to `stop` - 1, uint16 (H, W, C), one in memory at a time."""
        expected = start
        for first, last, path in self.clips():
            if last <= expected or first >= stop:
                continue
            for index in range(max(first, expected), min(last, stop)):
                yield np.array(np.load(path, mmap_mode="r")[index - first])  # no other frame is mapped
                expected = index + 1
        if expected < stop:
            raise ValueError(f"{self.folder}: frame {expected} is missing; begin anew.")

    def clips(self) -> list[tuple[int, int, Path]]:
        """(first frame, last frame + 1, file) of the clips in order."""
        found = []
        for path in self.folder.iterdir():
            if match := _CLIP.fullmatch(path.name):
                found.append((int(match[1]), int(match[2]), path))
        return sorted(found)

    def forget(self, before: int = 0, after: int | None = None) -> None:
        """Deletes the clips that end at or before frame `before`, or that end after frame `after`."""
        for _, stop, path in self.clips():
            if stop <= before or (after is not None and stop > after):
                path.unlink()

    def clear(self) -> None:
        """Deletes all clips and the state."""
        for path in [*(path for _, path in self._states()), *(path for _, _, path in self.clips())]:
            path.unlink()

    def _states(self) -> list[tuple[int, Path]]:
        """(first frame after it, file): one, or two if the process ended in between."""
        matches = [(_STATE.fullmatch(path.name), path) for path in self.folder.iterdir()]
        return [(int(match[1]), path) for match, path in matches if match]


def _save_array(path: Path, array: np.ndarray) -> None:
    """As `np.save`, which does not say why where it cannot write."""
    array = np.ascontiguousarray(array)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data)
