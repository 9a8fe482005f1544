# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import functools
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from seeclear import SemanticDistiller
from seeclear.data import ClipDataset, FrameFolder, Photo
from seeclear.models.lens_modules import sample_maps, sampling_matrix
from seeclear.models.moving_objects import pair_motion
from seeclear.resize import imresize, to_uint8
from seeclear.training.lens_semantics import LensSemantics, mirror, region_of
from seeclear.training.semantics import SemanticsCache


class Pixels(nn.Module):
    """A distiller whose features, tokens and masks are the LR frames themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))
        self.motion_head = None
        self.frames = 0

    def forward(self, low_res: Tensor, masks: bool = True) -> SimpleNamespace:
        self.frames += low_res.shape[1]
        return SimpleNamespace(tokens=low_res.mean(dim=(3, 4))[:, :, None], features=low_res)

    def instances(self, tokens: Tensor) -> Tensor:
        return tokens.mean(dim=1)

    def clip_masks(self, clip_tokens: Tensor, features: Tensor) -> Tensor:
        return features


@pytest.fixture
def sources(tmp_path: Path) -> list[FrameFolder]:
    """Clips of two sizes, one no multiple of 4. Colours change linearly over a frame, so interpolation is exact."""
    rng = np.random.default_rng(0)
    for name, (height, width) in {"a": (64, 96), "b": (82, 70)}.items():
        (tmp_path / name).mkdir()
        for i in range(4):
            slopes = rng.uniform(-60, 60, (2, 3))
            grid = np.stack(np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij"), axis=-1)
            Image.fromarray((127.5 + grid @ slopes).astype(np.uint8)).save(tmp_path / name / f"{i}.png")
    return [FrameFolder(tmp_path / name) for name in ("a", "b")]


def test_masks_and_features_lie_where_the_crop_shows_them(sources: list[FrameFolder]) -> None:
    """With frames as their own masks, a crop's part of the masks is the crop, however it was augmented."""
    distiller = Pixels()
    provider = LensSemantics(distiller, sources, grid=2)
    clips = ClipDataset(sources, clip_length=2, crop_size=12, num_samples=24, max_frame_step=2, cut_threshold=256)
    seen = set()
    for index in range(24):
        sample = clips[index]
        low_res = sample["low_res"][None].float() / 127.5 - 1
        given = provider.semantics(low_res, sample["place"][None])
        seen.add(tuple(sample["place"][5:].tolist()))
        assert given["features"].shape == (1, 2, 3, 2, 2)
        masks = given["clip_masks"][0].permute(0, 2, 3, 1)
        top, left, bottom, right = given["region"].expand(2, 4).unbind(dim=1)
        rows = sampling_matrix(top, bottom, 12, 1 / 12, masks.shape[1])
        columns = sampling_matrix(left, right, 12, 1 / 12, masks.shape[2])
        found = sample_maps(masks, rows, columns).permute(0, 3, 1, 2)
        difference = (found - low_res[0]).abs()[..., 1:-1, 1:-1]
        assert difference.max() < 0.02  # rounding to 8 bits, twice
    assert len(seen) > 10
    assert distiller.frames <= 8  # every frame once


@pytest.mark.parametrize(("step", "backwards"), [(1, 0), (1, 1), (0, 0)])
def test_masks_know_what_moves_as_in_use(
    step: int,
    backwards: int,
    small_distiller_config: dict[str, Any],
    randomize: Callable[..., nn.Module],
    tmp_path: Path,
) -> None:
    """A distiller with motion: what a whole frame's crop gets is what the distiller says of the clip, one that stands
    still (`step` 0) included.
    """
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 200, (96, 128, 3))
    for i in range(6):
        Image.fromarray(np.roll(scene, 4 * i, 1).astype(np.uint8)).save(tmp_path / f"{i}.png")
    distiller = randomize(SemanticDistiller(**small_distiller_config, motion=True)).eval()
    source = FrameFolder(tmp_path)
    frames = (
        torch.from_numpy(source.frames(1, 4)[[0, 0, 0, 0] if step == 0 else [0, 1, 2, 3]]).permute(0, 3, 1, 2).float()
        / 255
    )
    low_res = to_uint8(imresize(frames, scale=0.25)).float()[None] / 127.5 - 1
    low_res = low_res.flip(1) if backwards else low_res
    place = torch.tensor([[0, 1, step, 0, 0, 0, 0, 0, backwards]])
    provider = LensSemantics(distiller, [source], grid=2)
    given, again = (provider.semantics(low_res, place) for _ in range(2))
    assert torch.equal(given["clip_masks"], again["clip_masks"])
    with torch.no_grad():
        expected = distiller(low_res)
        still = distiller.follow(expected.tokens, expected.features)[1]
    moved = (expected.clip_masks - still).abs().max()
    assert moved > 0 and (given["clip_masks"] - expected.clip_masks).abs().max() < 0.02 * moved
    assert (given["clip_tokens"] - expected.clip_tokens).abs().max() < 1e-2


@pytest.fixture
def moving(
    small_distiller_config: dict[str, Any], randomize: Callable[..., nn.Module], tmp_path: Path
) -> tuple[SemanticDistiller, FrameFolder]:
    """A distiller that looks at motion, and 7 frames of noise."""
    rng = np.random.default_rng(0)
    for i in range(7):
        Image.fromarray(rng.integers(0, 255, (64, 96, 3)).astype(np.uint8)).save(tmp_path / f"{i}.png")
    return randomize(SemanticDistiller(**small_distiller_config, motion=True)).eval(), FrameFolder(tmp_path)


def test_what_moves_is_found_once(
    moving: tuple[SemanticDistiller, FrameFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Overlapping and reversed samples look for the motion of pairs that are new only."""
    distiller, source = moving
    counts: list[int] = []

    def counted(first: Tensor, second: Tensor) -> Tensor:
        counts.append(len(first))
        return pair_motion(first, second)

    monkeypatch.setattr("seeclear.training.lens_semantics.pair_motion", counted)
    provider = LensSemantics(distiller, [source], grid=2)
    low_res = torch.rand(1, 5, 3, 16, 24) * 2 - 1
    for start, backwards in ((0, 0), (0, 1), (1, 0), (1, 1), (2, 0)):
        provider.semantics(low_res, torch.tensor([[0, start, 1, 0, 0, 0, 0, 0, backwards]]))
    # 8 pairs: (0, 2), (1, 0), (1, 3), (2, 0), (2, 4), (3, 1), (3, 4), (4, 2); backwards the same ones; from frame 1
    # on new are (2, 1), (3, 5), (4, 5), (5, 3), from frame 2 on (3, 2), (4, 6), (5, 6), (6, 4)
    assert counts == [8, 4, 4]

    counts.clear()
    place = torch.tensor([[0, 0, 1, 0, 0, 0, 0, 0, 0]])
    folder = tmp_path / "kept"
    first, again = (LensSemantics(distiller, [source], 2, folder).semantics(low_res, place) for _ in range(2))
    assert counts == [8]  # another run finds them in the folder
    assert torch.equal(first["clip_masks"], again["clip_masks"])


def by_default_and_with(
    moving: tuple[SemanticDistiller, FrameFolder], **arguments: Any
) -> Iterator[tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """Semantics of a video and of a photograph, by default and with other arguments."""
    distiller, folder = moving
    sources = [folder, Photo(folder.files[0], size=(48, 48))]
    low_res = torch.rand(1, 3, 3, 16, 16) * 2 - 1
    for number in range(2):
        place = torch.tensor([[number, 0, 1, 0, 0, 0, 0, 0, 0]])
        default, other = (LensSemantics(distiller, sources, grid=2, **chosen) for chosen in ({}, arguments))
        yield default.semantics(low_res, place), other.semantics(low_res, place)


def test_the_distiller_runs_in_the_context_of_mixed_precision(moving: tuple[SemanticDistiller, FrameFolder]) -> None:
    autocast = functools.partial(torch.autocast, "cpu", torch.bfloat16)
    for exact, mixed in by_default_and_with(moving, autocast=autocast):
        for name, value in exact.items():
            assert mixed[name].dtype == value.dtype == torch.float32
            torch.testing.assert_close(mixed[name], value, rtol=0.1, atol=0.1 * float(value.abs().max()))
        assert not torch.equal(mixed["clip_masks"], exact["clip_masks"])


def test_a_lens_without_image_gets_no_masks(moving: tuple[SemanticDistiller, FrameFolder]) -> None:
    """Of videos and of photographs; all else is the same."""
    for whole, less in by_default_and_with(moving, masks=False):
        assert whole.keys() - less.keys() == {"clip_masks"} and not less.keys() - whole.keys()
        assert all(torch.equal(whole[name], value) for name, value in less.items())


def test_a_batch_holds_frames_of_all_sizes(sources: list[FrameFolder]) -> None:
    clips = ClipDataset(sources, clip_length=2, crop_size=12, num_samples=8, cut_threshold=256)
    samples = [clips[index] for index in range(8)]
    low_res = torch.stack([sample["low_res"] for sample in samples]).float() / 127.5 - 1
    places = torch.stack([sample["place"] for sample in samples])
    given = LensSemantics(Pixels(), sources, grid=3).semantics(low_res, places)
    assert given["features"].shape == (8, 2, 3, 3, 3) and given["clip_tokens"].shape == (8, 1, 3)
    assert given["clip_masks"].shape[:3] == (8, 2, 3) and given["region"].shape == (8, 4)


def test_mirror_is_what_the_data_do_to_frames() -> None:
    maps = torch.arange(6.0).view(1, 2, 3)
    for horizontal, vertical, transpose in itertools.product((0, 1), repeat=3):
        expected = maps.flip(-1) if horizontal else maps
        expected = expected.flip(-2) if vertical else expected
        expected = expected.transpose(-1, -2) if transpose else expected
        assert torch.equal(mirror(maps, (horizontal, vertical, transpose)), expected)


def test_region_by_hand() -> None:
    """A frame of 82x70 is 20.5x17.5 LR pixels, of which 20x17 are distilled."""
    place = [0, 0, 1, 4, 2, 0, 0, 0, 0]
    assert region_of((82, 70), place, (10, 5)) == pytest.approx([4 / 20, 2 / 17, 14 / 20, 7 / 17])
    place[5:8] = 1, 1, 0  # mirrored: half a pixel is cut off at the top and the left
    assert region_of((82, 70), place, (10, 5)) == pytest.approx([3.5 / 20, 1.5 / 17, 13.5 / 20, 6.5 / 17])
    place[5:8] = 0, 1, 1  # what was the height is the width now
    assert region_of((82, 70), place, (10, 5)) == pytest.approx([4 / 17, 1.5 / 20, 14 / 17, 6.5 / 20])


def test_pooling_to_the_grid_is_what_the_lens_does_itself() -> None:
    features = torch.randn(2, 3, 12, 20, generator=torch.Generator().manual_seed(0))
    pooled = F.adaptive_avg_pool2d(features, 4)
    torch.testing.assert_close(F.adaptive_avg_pool2d(pooled, 4), pooled)


def test_without_masks_a_lens_shares_what_is_kept_with_the_condenser(
    moving: tuple[SemanticDistiller, FrameFolder], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Frames, and what moves in them, are kept for masks alone."""
    (distiller, folder), kept = moving, tmp_path_factory.mktemp("semantics")
    condensers = SemanticsCache(distiller, [folder], kept)
    lens = LensSemantics(distiller, [folder], 2, kept, masks=False)
    with_masks = LensSemantics(distiller, [folder], 2, kept)
    assert condensers.store is not None and lens.store is not None and with_masks.store is not None
    assert lens.store.folder == condensers.store.folder != with_masks.store.folder
    assert lens.motion_store is None and with_masks.motion_store is not None
    place = torch.tensor([[0, 0, 1, 0, 0, 0, 0, 0, 0]])
    lens.semantics(torch.rand(1, 3, 3, 16, 16) * 2 - 1, place)
    assert condensers.store.load(folder, 0) is not None
