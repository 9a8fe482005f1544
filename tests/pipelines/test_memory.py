# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from typing import Any

import pytest
import torch

from seeclear import PixelCondenser, SeeClearPipeline, SemanticLens
from seeclear.models.upsampling import TwoStepUpsampling
from seeclear.pipelines import SemanticLensPipeline
from seeclear.pipelines.memory import (
    LARGE_TILE,
    SAFETY,
    ClipsAndTile,
    choose_clips_and_tile,
    choose_tile,
    estimate_peak_bytes,
    shorter_clips,
)
from seeclear.pipelines.tiles import DEFAULT_TILE_OVERLAP


@pytest.fixture
def pipe(small_components: dict[str, Any]) -> SeeClearPipeline:
    return SeeClearPipeline(**small_components)


def test_the_estimate_grows_with_everything_but_the_length(pipe: SeeClearPipeline) -> None:
    def estimate(height: int = 180, width: int = 320, **kwargs: Any) -> int:
        return estimate_peak_bytes(pipe, height, width, **kwargs)

    assert estimate() < estimate(height=360) < estimate(height=360, width=640)
    assert estimate(clip_length=3) < estimate() < estimate(clip_length=7)
    tiles = [estimate(tile=tile) for tile in (8, 40, 64, 96, 160, 320)]
    assert tiles == sorted(tiles) and tiles[3] < tiles[4] < tiles[5] == estimate()
    assert estimate(dtype=torch.bfloat16) < estimate()
    assert estimate(tile=(40, 320)) < estimate(tile=(180, 320)) == estimate()


def test_the_frames_themselves_are_counted(pipe: SeeClearPipeline) -> None:
    """In tiles as small as can be, the HR frames of two clips or so remain."""
    high_res = 12 * 16 * 1080 * 1920
    assert estimate_peak_bytes(pipe, 1080, 1920, tile=8) > 6 * high_res


def test_the_optical_flow_of_whole_frames_is_counted(
    small_components: dict[str, Any], small_condenser_config: dict[str, Any]
) -> None:
    condenser = PixelCondenser(**small_condenser_config, motion_compensation=True)
    still, moving = (SeeClearPipeline(**small_components | one) for one in ({}, {"pixel_condenser": condenser}))
    more = [estimate_peak_bytes(pipe, 1080, 1920, 5, 8) for pipe in (still, moving)]
    assert more[1] - more[0] > 6 * 16 * 1080 * 1920  # x and y to and from six neighbors, float32
    propagating = PixelCondenser(**small_condenser_config, propagation_blocks=(0, 1, 1, 0))
    along_the_clip = SeeClearPipeline(**small_components | {"pixel_condenser": propagating})
    assert estimate_peak_bytes(along_the_clip, 1080, 1920, 5, 8) - more[0] > 4 * 16 * 1080 * 1920
    with_prior = SeeClearPipeline(**small_components | {"pixel_condenser": condenser, "prior": torch.nn.Linear(1, 1)})
    one_frame = [estimate_peak_bytes(pipe, 180, 320, 1) for pipe in (still, moving, with_prior)]
    before_and_after = 2 * 12 * 180 * 320
    assert one_frame[1] - one_frame[0] > 4 * before_and_after  # LR frames, as often as they are held
    assert one_frame[2] - one_frame[0] < before_and_after  # a prior knows no frames but the clip's


def test_two_steps_up_are_counted_alone_and_in_a_prior(small_components: dict[str, Any]) -> None:
    """Features at full size, of a band of rows, are more than all else in short clips."""
    one, two = (
        SemanticLens(channels=256, image=False, gps=False, isee=False, multi_frame_attention=False, upsampling=way)
        for way in ("direct", "two-step")
    )
    more = [
        estimate_peak_bytes(SemanticLensPipeline(lens), 270, 480, 1)
        - sum(p.numel() for p in lens.parameters()) * 4 * SAFETY
        for lens in (one, two)
    ]
    band = 4 * 256 * 16 * TwoStepUpsampling.band_rows(480) * 480  # bytes of one map
    assert 4 * band < more[1] - more[0] < 8 * band
    in_star = [
        estimate_peak_bytes(SeeClearPipeline(**small_components, prior=lens), 270, 480, 1) for lens in (one, two)
    ]
    assert in_star[1] - in_star[0] > 3 * band


def test_the_largest_tile_that_fits_is_chosen(pipe: SeeClearPipeline) -> None:
    height, width = 270, 480
    assert choose_tile(pipe, height, width, 10**12) is None
    whole = estimate_peak_bytes(pipe, height, width)
    assert choose_tile(pipe, height, width, whole) is None
    least = estimate_peak_bytes(pipe, height, width, tile=8 + DEFAULT_TILE_OVERLAP)
    chosen = []
    for budget in range(least, whole, (whole - least) // 20):
        tile = choose_tile(pipe, height, width, budget)
        assert tile is not None and estimate_peak_bytes(pipe, height, width, tile=tile) <= budget
        chosen.append(tile)
    assert chosen == sorted(chosen) and len(set(chosen)) > 3
    with pytest.raises(ValueError, match=r"`budget_bytes` is 0\.10 GB; frames of 480x270 need at least 1\.\d+ GB"):
        choose_tile(pipe, height, width, 10**8)
    assert choose_tile(pipe, 8, 8, 10**9) is None


def test_clips_are_shortened_where_memory_is_short(pipe: SeeClearPipeline) -> None:
    pipe.register_to_config(clip_length=20, clip_overlap=4)
    assert list(shorter_clips(pipe)) == [(None, None), (10, 2), (5, 1)]
    assert list(shorter_clips(pipe, 6)) == [(None, 6), (10, 6)]
    height, width = 720, 1280
    seen = []
    for budget in range(10**9, 40 * 10**9, 10**9):
        try:
            chosen = choose_clips_and_tile(pipe, height, width, budget)
        except ValueError:
            with pytest.raises(ValueError, match="even in the smallest tiles"):
                choose_tile(pipe, height, width, budget, 5, 1)
            continue
        length, tile = chosen.clip_length, chosen.tile
        peak = estimate_peak_bytes(pipe, height, width, length, tile, clip_overlap=chosen.clip_overlap)
        assert peak <= budget
        assert tile is None or tile >= LARGE_TILE or length == 5
        seen.append((length or 20, 10**9 if tile is None else tile))
    assert {length for length, _ in seen} == {5, 10, 20}
    assert seen == sorted(seen, key=lambda settings: settings[0])  # more memory never gives shorter clips
    assert choose_clips_and_tile(pipe, height, width, 10**12) == ClipsAndTile(None, None, None)


def test_every_pipeline_has_an_estimate(small_components: dict[str, Any]) -> None:
    from seeclear.models import SemanticLens

    lens = SemanticLens(channels=16, head_dim=8)
    with_semantics = SemanticLensPipeline(lens, small_components["semantic_distiller"])
    alone = SemanticLensPipeline(SemanticLens(channels=16, head_dim=8, image=False, gps=False, isee=False))
    assert estimate_peak_bytes(alone, 180, 320, tile=64) < estimate_peak_bytes(with_semantics, 180, 320)
    assert estimate_peak_bytes(alone, 180, 320, clip_length=5) < estimate_peak_bytes(alone, 180, 320)
