# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""How much memory a run takes, and the largest tile that a budget allows.

The peak is that of the worst of four moments, on top of what is always there:

    always         Python and its libraries, the weights, the LR frames of a clip
    distilling     HR frames of the overlap with the clip before; the segmenter on all frames of a clip, or the search
                   for their optical flow
    restoring      HR frames of a clip and of its overlap with the one before; the network's activations in one tile
    keeping        HR frames of a clip and of its overlap with the next, that overlap once more and a frame as written
    coding         HR frames of the overlap with the next clip; a frame as it was kept; the encoder

HR and LR frames are counted exactly (float32). The constants below were fitted to the resident memory of the shipped
models on a CPU; activations of other sizes and dtypes are scaled from them by the channels and the bytes of a number.
`SAFETY` is on top of everything. `benchmarks/memory.py` measures, and prints how far the estimate is off.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import nn

from seeclear.models import PixelCondenser, SemanticLens
from seeclear.models.upsampling import TwoStepUpsampling
from seeclear.video.codecs import LARGE_FRAME

from .pipeline_seeclear import SeeClearPipeline
from .pipeline_semantic_lens import SemanticLensPipeline, margins
from .settings import RestorationSettings
from .tiles import DEFAULT_TILE_OVERLAP, Tiling

Pipeline = SeeClearPipeline | SemanticLensPipeline

SAFETY = 1.1
BASE_BYTES = 750_000_000
"""Python with torch, diffusers, transformers and PyAV, and the workspaces of kernels and codecs."""
LOW_RES_COPIES = 4
"""Of the LR frames of a clip: as they were read, stacked, in [-1, 1], padded."""
HIGH_RES_COPIES = 5.5
"""Of the HR frames of a tile, float32: y, noise, state, estimate and what the scheduler makes of them."""
AROUND_HIGH_RES_COPIES = 2
"""The same of the frames around a clip, of which only y is looked at."""
LENS_HIGH_RES_COPIES = 3.5
"""The same for Semantic Lens: enlarged, the same filled up, residual, their sum, and as it is kept."""
CONDENSER_NUMBERS = 9
"""Numbers held at the peak for each LR pixel of a tile and frame, as a multiple of the channels over that pixel."""
LENS_NUMBERS = 2.6
"""The same for Semantic Lens, as a multiple of its channels."""
MOTION_NUMBERS = 3
"""What motion compensation adds beside the flow, as a multiple of s^2."""
UPSAMPLING_NUMBERS = 5
"""Numbers that two-step upsampling holds for each HR pixel of a band, as a multiple of the lens' channels. Activations
of 10 whole frames of 320x180 with the widths of preset `semantic-lens` took 1.03 GB in float32 and 0.67 GB in
bfloat16; the estimates are 1.5 and 1.0 GB.
"""
FLOW_BYTES = 16
"""Of the optical flow, for each LR pixel and pair of frames; when all pairs are found, twice."""
SEARCH_BYTES = 1_050
"""What finding the flow between two frames holds for each LR pixel; measured at 960x540: 1,045 for a clip of 2 frames,
1,132 for one of 9, flow included.
"""
DISTILLER_BYTES = 300
"""For each pixel that the segmenter sees, in float32."""
CODING_BYTES, CODING_LARGE_BYTES = 200, 60
"""What x264 holds for each pixel of a frame, of up to `LARGE_FRAME` pixels and of more. Others are not counted."""
SHORTEST_CLIP = 5
"""Frames to which clips are shortened, at least, where memory is short."""
LARGE_TILE = 160
"""LR pixels. Below this the overlap of tiles takes more time than shorter clips do."""
STEP = 64
"""Larger tiles less their overlap are multiples of this, on which the attention windows of the networks begin."""


def estimate_peak_bytes(
    pipe: Pipeline,
    height: int,
    width: int,
    clip_length: int | None = None,
    tile: int | tuple[int, int] | None = None,
    dtype: torch.dtype | None = None,
    clip_overlap: int | None = None,
) -> int:
    """The most memory that upscaling one video will take, including this process, host and device together.

    It grows with the frame, the clip and the tile, and does not depend on the video's length.

    Args:
        pipe: a [`SeeClearPipeline`] or a [`SemanticLensPipeline`].
        height, width: of the LR frames.
        clip_length: frames of a clip; None is the pipeline's.
        tile: as in [`RestorationSettings`]; None is the whole frame.
        dtype: what the networks compute in; None is the pipeline's.
        clip_overlap: frames that two clips share; None is the pipeline's.

    Raises:
        ValueError: `tile`, `clip_length` or `clip_overlap` is out of its range.
    """
    settings = RestorationSettings(clip_length=clip_length, clip_overlap=clip_overlap, tile=tile)
    frames, overlap = settings.clips(pipe.config.clip_length, pipe.config.clip_overlap)
    itemsize = (pipe.dtype if dtype is None else dtype).itemsize
    layout = pipe.layout
    tiling = layout.plan_tiles(height, width, settings)

    low_res = 12 * height * width
    high_res = low_res * pipe.scale**2
    around = 2 * layout.reach
    flow = (frames + around - 1) * height * width * FLOW_BYTES if _moves(pipe) else 0
    always = BASE_BYTES + _weights(pipe) * itemsize + (LOW_RES_COPIES * (frames + around) + 2) * low_res + flow
    seeing = frames * _distilled_pixels(pipe, height, width) * DISTILLER_BYTES * itemsize // 4
    finding = flow + height * width * SEARCH_BYTES if flow else 0
    distilling = overlap * high_res + max(seeing, finding)
    restoring = (frames + overlap) * high_res + _tile_bytes(pipe, tiling, frames, around, itemsize)
    keeping = (frames + 2 * overlap + 1) * high_res
    pixels = height * width * pipe.scale**2
    coding = (overlap + 1) * high_res + pixels * (CODING_BYTES if pixels <= LARGE_FRAME else CODING_LARGE_BYTES)
    return int(SAFETY * (always + max(distilling, restoring, keeping, coding)))


@dataclass(frozen=True)
class ClipsAndTile:
    """Settings of [`RestorationSettings`], by the same names."""

    clip_length: int | None
    clip_overlap: int | None
    tile: int | None


def shorter_clips(pipe: Pipeline, clip_overlap: int | None = None) -> Iterator[tuple[int | None, int | None]]:
    """Lengths and overlaps of clips: the pipeline's own, and halves of them down to `SHORTEST_CLIP` frames.

    Args:
        pipe: whose clips they are.
        clip_overlap: keep this one.
    """
    yield None, clip_overlap
    length, overlap = pipe.config.clip_length // 2, pipe.config.clip_overlap // 2
    while length >= max(SHORTEST_CLIP, 1 if clip_overlap is None else clip_overlap + 1):
        yield length, overlap if clip_overlap is None else clip_overlap
        length, overlap = length // 2, overlap // 2


def choose_clips_and_tile(
    pipe: Pipeline, height: int, width: int, budget_bytes: int, clip_overlap: int | None = None
) -> ClipsAndTile:
    """The clips and the largest tile with which upscaling stays within a budget, else at default settings.

    Clips are the pipeline's if tiles of `LARGE_TILE` fit, or the whole frame does. Else they are as much shorter as it
    takes; if that is not enough, as short as they may be, with the largest tile that fits.

    Raises:
        ValueError: not even the smallest tile does.
    """
    *longer, shortest = shorter_clips(pipe, clip_overlap)
    for clips in longer:
        with suppress(ValueError):  # not even the smallest tile fits
            tile = choose_tile(pipe, height, width, budget_bytes, *clips)
            if tile is None or tile >= LARGE_TILE:
                return ClipsAndTile(*clips, tile)
    return ClipsAndTile(*shortest, choose_tile(pipe, height, width, budget_bytes, *shortest))


def choose_tile(
    pipe: Pipeline,
    height: int,
    width: int,
    budget_bytes: int,
    clip_length: int | None = None,
    clip_overlap: int | None = None,
) -> int | None:
    """The largest tile with which upscaling stays within a budget; None if whole frames do.

    Raises:
        ValueError: not even the smallest tile does.
    """

    def estimate(tile: int | None) -> int:
        return estimate_peak_bytes(pipe, height, width, clip_length, tile, clip_overlap=clip_overlap)

    if estimate(None) <= budget_bytes:
        return None
    largest = max(height, width)
    sides = [side + DEFAULT_TILE_OVERLAP for side in (8, 16, 32, *range(STEP, largest, STEP))]
    tiles = [side for side in sides if side < largest]
    for tile in reversed(tiles):
        if estimate(tile) <= budget_bytes:
            return tile
    raise ValueError(
        f"`budget_bytes` is {budget_bytes / 1e9:.2f} GB; frames of {width}x{height} need at least "
        f"{estimate(tiles[0] if tiles else None) / 1e9:.2f} GB, even in the smallest tiles"
    )


def _tile_bytes(pipe: Pipeline, tiling: Tiling, frames: int, around: int, itemsize: int) -> int:
    """What restoring the largest tile takes: with the condenser, or with the lens, which may be its prior and sees
    more than the tile.
    """
    rows, columns = (max(map(len, lines)) for lines in (tiling.rows, tiling.columns))
    lens = pipe.prior if isinstance(pipe, SeeClearPipeline) else pipe.semantic_lens
    found = 0.0
    if isinstance(pipe, SeeClearPipeline):
        channels = sum(width / 4**level for level, width in enumerate(pipe.pixel_condenser.config.channels))
        in_tile = HIGH_RES_COPIES * 12 * pipe.scale**2 + CONDENSER_NUMBERS * channels * itemsize
        y_around = AROUND_HIGH_RES_COPIES * around * 12 * pipe.scale**2
        known = (pipe.pixel_condenser.config.prior_feature_channels or 0) * itemsize
        found = rows * columns * (frames * (in_tile + known) + y_around)
    if isinstance(lens, SemanticLens):
        config = lens.config
        seen = sum(margins(lens))
        rows, columns = min(rows + seen, tiling.rows[-1].stop), min(columns + seen, tiling.columns[-1].stop)
        moved = config.motion_compensation or config.second_pass_blocks is not None
        motion = MOTION_NUMBERS * config.scale**2 if moved else 0
        in_tile = LENS_HIGH_RES_COPIES * 12 * config.scale**2 + (LENS_NUMBERS * config.channels + motion) * itemsize
        upsampling = 0
        if config.upsampling == "two-step":
            band = min(rows, TwoStepUpsampling.band_rows(columns)) * columns
            upsampling = band * config.scale**2 * UPSAMPLING_NUMBERS * config.channels * itemsize
        found = max(found, rows * columns * frames * in_tile + upsampling)
    return int(found)


def _moves(pipe: Pipeline) -> bool:
    """Whether a network of the pipeline moves anything along the optical flow."""
    networks = [part for part in pipe.components.values() if isinstance(part, PixelCondenser | SemanticLens)]
    return any(network.needs_flow for network in networks)


def _weights(pipe: Pipeline) -> int:
    modules = [part for part in pipe.components.values() if isinstance(part, nn.Module)]
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def _distilled_pixels(pipe: Pipeline, height: int, width: int) -> int:
    """Pixels of a frame as the segmenter sees it."""
    if pipe.semantic_distiller is None:
        return 0
    rows, columns = pipe.semantic_distiller.working_size(height, width)
    return rows * columns
