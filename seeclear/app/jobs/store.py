# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Finished frames of a scene on the disk, from when a clip is done until their part is encoded.

A clip is committed in two steps: its frames, then the state after it. Only the second counts: frames without their
state are made again. So whenever the process ends, at most the clip under way is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from seeclear.files import write_durably
from seeclear.pipelines.streaming import StreamState

# Frames are kept in 16 bits a channel: exact for outputs of 8, 10, 12 and 16 bits, in half the space of float32.
LEVELS = 65535

_STATE = re.compile(r"state-(\d+)\.safetensors")
_CLIP = re.compile(r"clip-(\d+)-(\d+)\.npy")


def to_levels(values: np.ndarray) -> np.ndarray:
    """float32 in [0, 1] to uint16, rounded to the nearest; `seeclear.video.pixels.as_floats` is the way back."""
    scaled = values * np.float32(LEVELS)
    np.rint(scaled, out=scaled)
    return np.clip(scaled, 0, LEVELS, out=scaled).astype(np.uint16)


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

    def commit(self, start: int, count: int, frames: Iterable[np.ndarray], state: StreamState) -> None:
        """Keeps a clip and the state after it.

        Args:
            start: index of the first frame.
            count: number of frames.
            frames: uint16 (C, H, W) each, C = 3 or, with alpha, 4; one is in memory at a time.
            state: after the clip.
        """
        path = self.folder / f"clip-{start:09d}-{start + count:09d}.npy"
        write_durably(path, lambda draft: _save_frames(draft, count, frames))
        before = self._states()
        write_durably(self.folder / f"state-{state.next_output:09d}.safetensors", state.save)
        for _, path in before:
            path.unlink()

    def frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """The frames from `start` to `stop` - 1, uint16 (C, H, W), each read from the disk as it is looked at."""
        expected = start
        for first, last, path in self.clips():
            if last <= expected or first >= stop:
                continue
            for index in range(max(first, expected), min(last, stop)):
                yield np.load(path, mmap_mode="r")[index - first]  # no other frame is mapped
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


def _save_frames(path: Path, count: int, frames: Iterable[np.ndarray]) -> None:
    """`count` arrays as the one that they make together, as `np.save` writes it."""
    with path.open("wb") as file:
        for index, frame in enumerate(frames):
            if not index:
                header = np.lib.format.header_data_from_array_1_0(frame[None])
                np.lib.format.write_array_header_1_0(file, {**header, "shape": (count, *frame.shape)})
            file.write(np.ascontiguousarray(frame).data)
