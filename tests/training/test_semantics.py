# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from seeclear import PixelCondenser, SemanticDistiller, SemanticLens
from seeclear.data import ClipDataset, Photo, augment
from seeclear.shipped import SCALE
from seeclear.training.semantics import CELL, SemanticsCache, check_widths, crop_features, weights_key

FLIPS = list(product((0, 1), repeat=3))


class ArraySource:
    """Frames in memory."""

    name, weight, path = "array", 1.0, Path("array")

    def __init__(self, frames: np.ndarray) -> None:
        self.array = frames
        self.size = (frames.shape[1], frames.shape[2])

    def __len__(self) -> int:
        return len(self.array)

    def frames(self, start: int, count: int, step: int = 1) -> np.ndarray:
        return self.array[start : start + (count - 1) * step + 1 : step]


class Looking(nn.Module):
    """Stands in for the distiller: the features are the frames themselves, the one token their mean colour."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.calls: list[tuple[int, ...]] = []
        self.config: dict[str, object] = {}

    def forward(self, low_res: Tensor, masks: bool = True) -> SimpleNamespace:
        self.calls.append(tuple(low_res.shape))
        return SimpleNamespace(tokens=low_res.mean(dim=(3, 4))[:, :, None], features=low_res)


def test_aligned_crop_is_a_slice() -> None:
    features = torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    cropped = crop_features(features, (64, 96), (4, 6, 0, 0, 0), (3, 4))
    torch.testing.assert_close(cropped, features[:, :, 2:5, 3:7])


@pytest.mark.parametrize("flips", FLIPS)
def test_aligned_crop_of_an_augmented_frame_is_a_slice_of_the_augmented_features(flips: tuple[int, ...]) -> None:
    features = torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    turned = augment(features.permute(0, 2, 3, 1).numpy(), *map(bool, flips), False)
    cropped = crop_features(features, (64, 96), (4, 6, *flips), (3, 4))
    np.testing.assert_allclose(cropped.permute(0, 2, 3, 1), turned[:, 2:5, 3:7], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("frame_size", [(64, 96), (66, 97)])
@pytest.mark.parametrize("flips", FLIPS)
def test_cells_lie_where_their_pixels_are(frame_size: tuple[int, int], flips: tuple[int, ...]) -> None:
    """Features that say where they are, on a grid that fits nothing, and a crop at odd places: every cell has the mean
    place of the 8 x 8 HR pixels that it stands for. What is left of the frame beside a multiple of 4 has no features.
    """
    rows = (torch.arange(7) + 0.5) * (64 / 7)
    columns = (torch.arange(11) + 0.5) * (96 / 11)
    features = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))[None]  # in HR pixels
    places = np.stack(np.mgrid[: frame_size[0], : frame_size[1]], axis=-1)[None] + 0.5
    turned = augment(places, *map(bool, flips), False)
    top, left, size = 3, 5, (3, 4)
    side = SCALE * CELL
    crop = turned[0, SCALE * top :, SCALE * left :][: side * size[0], : side * size[1]]
    expected = crop.reshape(size[0], side, size[1], side, 2).mean(axis=(1, 3))
    cropped = crop_features(features, frame_size, (top, left, *flips), size)
    np.testing.assert_allclose(cropped[0].permute(1, 2, 0), expected, rtol=1e-5)


def test_semantics_of_samples_are_those_of_their_frames() -> None:
    """Samples of a data set with all its augmentations, frame steps and reversed time: the features, which are frames
    here, equal the pixels of the crop, two by two; the token is that of the whole frame.
    """
    frames = np.random.default_rng(0).integers(0, 256, (9, 64, 80, 3), dtype=np.uint8)
    frames = (frames // 4 + 20 * np.arange(9, dtype=np.uint8)[:, None, None, None]).astype(np.uint8)
    data = ClipDataset([ArraySource(frames)], 3, 8, num_samples=40, max_frame_step=3, cut_threshold=255.0)
    distiller = Looking()
    cache = SemanticsCache(distiller, data.sources)
    seen = set()
    for i in range(0, 40, 2):
        samples = [data[i], data[i + 1]]
        low_res = torch.stack([sample["low_res"] for sample in samples]).float() / 127.5 - 1
        places = torch.stack([sample["place"] for sample in samples])
        tokens, features = cache(low_res, places)
        expected = F.avg_pool2d(low_res.flatten(0, 1), CELL).unflatten(0, (2, 3))
        assert features.shape == (2, 3, 3, 4, 4) and tokens.shape == (2, 3, 1, 3)
        torch.testing.assert_close(features, expected, rtol=0, atol=0.01)  # of 16 bits, and rounded once more
        for clip, (_, start, step, *_, backwards) in enumerate(places.tolist()):
            order = [start + k * step for k in range(3)]
            means = torch.tensor([frames[k].mean() for k in (order[::-1] if backwards else order)])
            torch.testing.assert_close(tokens[clip].mean(dim=(1, 2)), means.float() / 127.5 - 1, rtol=0, atol=0.01)
        seen |= {tuple(place[5:]) for place in places.tolist()}
    assert len(seen) > 10
    assert distiller.calls == [(1, 1, 3, 16, 20)] * 9  # whole frames, each once


def test_frames_are_distilled_when_they_are_needed() -> None:
    frames = np.zeros((6, 64, 64, 3), np.uint8)
    distiller = Looking()
    cache = SemanticsCache(distiller, [ArraySource(frames), ArraySource(frames)])
    low_res = torch.zeros(1, 2, 3, 8, 8)
    places = ((0, 1, 2), (0, 3, 1), (0, 1, 3), (1, 1, 2), (0, 5, 0))  # source, start, step; 0: one frame all through
    for place, calls in zip(places, (2, 3, 3, 5, 6), strict=True):
        cache(low_res, torch.tensor([[*place, 0, 0, 0, 0, 0, 0]]))
        assert len(distiller.calls) == calls


def test_a_folder_keeps_them_for_other_runs(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    low_res, place = torch.zeros(1, 3, 3, 8, 8), torch.tensor([[0, 0, 1, 0, 0, 0, 0, 0, 0]])
    source = ArraySource(frames)
    source.path = Path(__file__)  # type: ignore[misc]
    folder = tmp_path / "kept"
    first, second, other = Looking(), Looking(), Looking()
    nn.init.ones_(other.weight)
    expected = SemanticsCache(first, [source], folder)(low_res, place)
    (distilled,) = folder.iterdir()
    files = sorted(distilled.rglob("*.safetensors"))
    assert [file.name for file in files] == [f"{i:06d}.safetensors" for i in range(3)]
    files[1].write_bytes(files[1].read_bytes()[:-5])  # the power went out
    again = SemanticsCache(second, [source], folder)(low_res, place)
    assert all(torch.equal(*pair) for pair in zip(again, expected, strict=True))
    assert (len(first.calls), len(second.calls)) == (3, 1)
    SemanticsCache(other, [source], folder)(low_res, place)  # other weights
    assert len(other.calls) == 3
    source.array = frames[:2]  # another file of that name
    SemanticsCache(second, [source], folder)(low_res[:, :2], place)
    assert len(second.calls) == 3
    assert not [path for path in folder.rglob(".*") if path.is_file()]


def test_a_network_has_one_name_wherever_it_was_loaded_from(
    small_distiller_config: dict[str, Any], tmp_path: Path
) -> None:
    distiller = SemanticDistiller(**small_distiller_config)
    names = []
    for folder in ("first", "second"):
        distiller.save_pretrained(tmp_path / folder)
        names.append(weights_key([SemanticDistiller.from_pretrained(tmp_path / folder)], "tokens"))
    assert names[0] == names[1] == weights_key([distiller], "tokens")
    assert weights_key([distiller], "masks") != names[0]
    nn.init.ones_(next(distiller.parameters()))
    assert weights_key([distiller], "tokens") != names[0]
    assert weights_key([SemanticDistiller(**small_distiller_config | {"motion": True})], "tokens") != names[0]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    source = ArraySource(np.zeros((1, 64, 64, 3), np.uint8))
    source.path = tmp_path  # type: ignore[misc]
    (tmp_path / "file").touch()
    cache = SemanticsCache(Looking(), [source], tmp_path / "file")
    with pytest.raises(ValueError, match="file"):
        cache(torch.zeros(1, 1, 3, 8, 8), torch.tensor([[0, 0, 1, 0, 0, 0, 0, 0, 0]]))


def test_a_photograph_is_distilled_as_the_crop_that_it_is(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    distiller = Looking()
    cache = SemanticsCache(distiller, [Photo(tmp_path / "photo.png")])
    low_res = torch.rand(2, 3, 3, 12, 8) * 2 - 1
    places = torch.tensor([[0, 0, 1, 3, 5, 1, 0, 1, 1]]).expand(2, -1)
    for _ in range(2):
        tokens, features = cache(low_res, places)
        torch.testing.assert_close(tokens, low_res.mean(dim=(3, 4))[:, :, None])
        assert features.shape == (2, 3, 3, 6, 4)
    assert distiller.calls == [(1, 3, 3, 12, 8)] * 4


def test_networks_take_what_their_distiller_gives(
    small_condenser_config: dict[str, Any], small_distiller_config: dict[str, Any], small_lens_config: dict[str, Any]
) -> None:
    narrow = SemanticDistiller(**small_distiller_config, token_dim=16)
    few = SemanticDistiller(**small_distiller_config | {"num_clip_tokens": 3})
    condenser = PixelCondenser(**small_condenser_config)
    for network in (condenser, SemanticLens(**small_lens_config)):
        check_widths(network, SemanticDistiller(**small_distiller_config))
        with pytest.raises(ValueError, match="`distiller` gives a `semantic_token_dim` of 16; the network to train"):
            check_widths(network, narrow)
    with pytest.raises(ValueError, match="`distiller` gives a `num_clip_tokens` of 3; the network to train takes 4"):
        check_widths(condenser, few)
    check_widths(PixelCondenser(**small_condenser_config, texture_memory=False), few)
    check_widths(SemanticLens(**small_lens_config | {"isee": False}), narrow)
