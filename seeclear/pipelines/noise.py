# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""White noise as a function of the place in a video, so that neither tiles nor the order of clips nor an interruption
changes it.
"""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from .streaming import Clip
from .tiles import Tile

NOISE_MODES = ("video", "clip", "frame")
BLOCK = 256
"""HR pixels: noise is drawn in squares of this side, counted from the frame's upper left corner."""

Generators = torch.Generator | list[torch.Generator] | None


def draw_seeds(generator: Generators, count: int) -> list[int]:
    """A seed for each of `count` videos: one draw of each generator of a list, or `count` draws of one generator.

    None is torch's global generator, as everywhere in diffusers.

    Raises:
        ValueError: no generators, or a list of another length.
    """
    known = generator if isinstance(generator, list) else [generator]
    if not all(isinstance(one, torch.Generator) or (one is None and one is generator) for one in known):
        raise ValueError(
            f"`generator` is {generator!r}; it must be a torch.Generator, such as torch.Generator().manual_seed(0), a "
            "list of one for each video, or None"
        )
    if isinstance(generator, list):
        if len(generator) != count:
            raise ValueError(f"`generator` has {len(generator)} entries; there are {count} videos")
        return [seed for one in generator for seed in draw_seeds(one, 1)]
    device = None if generator is None else generator.device
    return torch.randint(2**63 - 1, (count,), generator=generator, device=device).tolist()


class VideoNoise:
    """The noise of a batch of videos.

    Args:
        seeds: one a video.
        mode: how far a draw reaches: "frame" draws it for every frame, "clip" once for the frames of a clip, "video"
            once.

    Raises:
        ValueError: `mode` is none of these.
    """

    def __init__(self, seeds: Sequence[int], mode: str) -> None:
        if mode not in NOISE_MODES:
            raise ValueError(f"`noise` is {mode!r}; it must be one of {NOISE_MODES}")
        self.seeds, self.mode = list(seeds), mode

    def draw(self, step: int, start: int, num_frames: int, rows: slice, columns: slice) -> Tensor:
        """The noise of a part of a clip.

        Args:
            step: 0 for the start of sampling, i + 1 for step i.
            start: the clip's first frame, counted from the video's beginning.
            num_frames: F.
            rows, columns: HR pixels with start and stop.

        Returns:
            (B, F, 3, rows, columns) float32 on the CPU; where frames share their noise, they share its memory.
        """
        positions = {"frame": range(start, start + num_frames), "clip": [start], "video": [0]}[self.mode]
        noise = torch.empty(len(self.seeds), len(positions), 3, rows.stop - rows.start, columns.stop - columns.start)
        for video, seed in enumerate(self.seeds):
            for frame, position in enumerate(positions):
                self._fill(noise[video, frame], f"{seed} {step} {position}", rows, columns)
        return noise.expand(-1, num_frames, -1, -1, -1)

    def of_tile(self, step: int, clip: Clip, tile: Tile) -> Tensor:
        """The noise of a tile of a clip (B, F, 3, s * height, s * width), as [`draw`] gives it."""
        rows = slice(clip.scale * tile.top, clip.scale * tile.bottom)
        columns = slice(clip.scale * tile.left, clip.scale * tile.right)
        return self.draw(step, clip.start, clip.num_frames, rows, columns)

    @staticmethod
    def _fill(noise: Tensor, key: str, rows: slice, columns: slice) -> None:
        """Fills `noise` (3, rows, columns) block by block."""
        for row in range(rows.start // BLOCK, -(-rows.stop // BLOCK)):
            for column in range(columns.start // BLOCK, -(-columns.stop // BLOCK)):
                digest = hashlib.blake2b(f"{key} {row} {column}".encode(), digest_size=4).digest()
                generator = torch.Generator().manual_seed(int.from_bytes(digest, "little"))
                block = torch.randn(3, BLOCK, BLOCK, generator=generator)
                inside, outside = zip(
                    *(_intersect(index, part) for index, part in ((row, rows), (column, columns))), strict=True
                )
                noise[:, outside[0], outside[1]] = block[:, inside[0], inside[1]]


def _intersect(index: int, part: slice) -> tuple[slice, slice]:
    """What block `index` of a line and `part` of it share: in the block's coordinates and in the part's."""
    start, stop = max(index * BLOCK, part.start), min((index + 1) * BLOCK, part.stop)
    return slice(start - index * BLOCK, stop - index * BLOCK), slice(start - part.start, stop - part.start)
