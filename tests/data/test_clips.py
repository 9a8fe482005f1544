# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from seeclear.data import (
    BicubicDegradation,
    ClipDataset,
    Degradation,
    FrameFolder,
    GaussianDegradation,
    RealWorldDegradation,
    ValidationClips,
    augment,
    degrade,
    texture,
)


class ArraySource:
    """Frames in memory."""

    def __init__(self, frames: np.ndarray, name: str = "array", weight: float = 1.0) -> None:
        self.array, self.name, self.weight, self.path = frames, name, weight, Path(name)
        self.size = (frames.shape[1], frames.shape[2])

    def __len__(self) -> int:
        return len(self.array)

    def frames(self, start: int, count: int, step: int = 1) -> np.ndarray:
        assert 0 <= start and start + (count - 1) * step < len(self)
        return self.array[start : start + (count - 1) * step + 1 : step]


def noise(frames: int = 9, height: int = 70, width: int = 86, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def test_augment_is_what_its_names_say() -> None:
    frames = noise(3, 4, 5)
    np.testing.assert_array_equal(augment(frames, False, False, False, False), frames)
    np.testing.assert_array_equal(augment(frames, True, False, False, False)[1, 2, 0], frames[1, 2, 4])
    np.testing.assert_array_equal(augment(frames, False, True, False, False)[1, 0, 3], frames[1, 3, 3])
    np.testing.assert_array_equal(augment(frames, False, False, True, False)[1, 4, 2], frames[1, 2, 4])
    np.testing.assert_array_equal(augment(frames, False, False, False, True)[0], frames[2])
    assert augment(frames, True, True, True, True).shape == (3, 5, 4, 3)


@pytest.mark.parametrize("degradation", [BicubicDegradation(), GaussianDegradation()])
def test_crops_come_from_the_degraded_whole_frame(degradation: Degradation) -> None:
    """Every sample is found in one of the sixteen augmented versions of the source, LR and HR at the same place."""
    source = ArraySource(noise(5))
    data = ClipDataset(
        [source], clip_length=5, crop_size=6, degradation=degradation, num_samples=24, cut_threshold=255
    )
    versions = []
    for bits in np.ndindex(2, 2, 2, 2):
        frames = augment(source.array, *(bool(bit) for bit in bits))
        frames = frames[:, : frames.shape[1] // 4 * 4, : frames.shape[2] // 4 * 4]
        high = torch.from_numpy(frames.transpose(0, 3, 1, 2).copy())
        versions.append((high, degrade(high, degradation)))
    seen = set()
    for sample in (data[i] for i in range(24)):
        assert sample["low_res"].shape == (5, 3, 6, 6) and sample["ground_truth"].shape == (5, 3, 24, 24)
        matches = []
        for v, (high, low) in enumerate(versions):
            windows = low[:, 0].unfold(1, 6, 1).unfold(2, 6, 1)
            # a value within rounding of one half may fall to either side
            near = (windows.int() - sample["low_res"][:, 0, None, None].int()).abs().amax(dim=(0, 3, 4)) <= 1
            for row, column in near.nonzero().tolist():
                crop = high[:, :, row * 4 : row * 4 + 24, column * 4 : column * 4 + 24]
                matches.append((v, bool(torch.equal(crop, sample["ground_truth"]))))
        assert [same for _, same in matches] == [True]
        seen.add(matches[0][0])
    assert len(seen) > 6


def test_samples_depend_on_seed_and_index_alone() -> None:
    sources = [ArraySource(noise()), ArraySource(noise(seed=1), weight=2.0)]
    options = {"clip_length": 3, "crop_size": 8, "num_samples": 8, "max_frame_step": 2, "cut_threshold": 255.0}
    first = ClipDataset(sources, seed=5, **options)
    batches = [list(DataLoader(first, batch_size=4, num_workers=workers)) for workers in (0, 2)]
    for one, two in zip(*batches, strict=True):
        assert torch.equal(one["ground_truth"], two["ground_truth"]) and torch.equal(one["low_res"], two["low_res"])
    assert torch.equal(first[6]["ground_truth"], batches[0][1]["ground_truth"][2])
    assert not torch.equal(first[0]["ground_truth"], first[1]["ground_truth"])
    assert not torch.equal(first[0]["ground_truth"], ClipDataset(sources, seed=6, **options)[0]["ground_truth"])


def test_all_that_is_random_depends_on_seed_and_index_alone() -> None:
    """The real-world chain and the choice of texture, in workers and not, in another order."""
    options = {"clip_length": 3, "crop_size": 8, "num_samples": 6, "cut_threshold": 255.0, "texture_candidates": 3}
    data = ClipDataset(
        [ArraySource(noise())], degradation=RealWorldDegradation(), texture_probability=0.5, seed=2, **options
    )
    batches = [list(DataLoader(data, batch_size=2, num_workers=workers)) for workers in (0, 2)]
    for one, two in zip(*batches, strict=True):
        assert torch.equal(one["ground_truth"], two["ground_truth"]) and torch.equal(one["low_res"], two["low_res"])
    assert torch.equal(data[5]["low_res"], batches[0][2]["low_res"][1])


def test_textured_crops_are_preferred() -> None:
    """Texture in a sixteenth of the frame: with one candidate it is hit rarely, with twelve in most samples."""
    frames = np.full((3, 128, 128, 3), 90, np.uint8)
    frames[:, 96:, :32] = noise(3, 32, 32)

    def hits(**options: Any) -> float:
        data = ClipDataset([ArraySource(frames)], clip_length=3, crop_size=4, num_samples=50, **options)
        return sum(int(data[i]["ground_truth"].float().std() > 1) for i in range(50)) / 50

    plain = hits()
    assert plain < 0.15
    assert hits(texture_candidates=12) > 0.5
    assert hits(texture_candidates=12, texture_probability=0.0) == plain
    assert plain < hits(texture_candidates=12, texture_probability=0.5) < hits(texture_candidates=12)


def test_texture_by_hand() -> None:
    frame = np.full((8, 10, 3), 100, np.uint8)
    assert texture(frame, 4) == 0
    frame[0:4:2, 0:4] += 8  # two of four rows of one of the four blocks: variance 16
    assert texture(frame, 4) == pytest.approx(16 / 4)


def test_sources_are_drawn_by_weight() -> None:
    dark, bright = np.zeros((2, 16, 16, 3), np.uint8), np.full((2, 16, 16, 3), 200, np.uint8)
    sources = [ArraySource(dark, weight=1.0), ArraySource(bright, weight=3.0)]
    data = ClipDataset(sources, clip_length=2, crop_size=4, num_samples=200)
    share = sum(int(data[i]["low_res"].max() > 0) for i in range(200)) / 200
    assert share == pytest.approx(0.75, abs=0.1)


def test_frame_steps_up_to_the_largest_that_fits() -> None:
    ramp = np.broadcast_to(np.arange(7, dtype=np.uint8)[:, None, None, None], (7, 16, 16, 3))
    data = ClipDataset([ArraySource(ramp)], clip_length=3, crop_size=4, num_samples=60, max_frame_step=5)
    steps = {int((data[i]["ground_truth"][1].int() - data[i]["ground_truth"][0].int()).abs().max()) for i in range(60)}
    assert steps == {1, 2, 3}


def test_still_clips_show_one_frame_all_through() -> None:
    """In high and low resolution, the frame that `place` names; without them a seed's samples are what they were."""
    source = ArraySource(noise())
    options = {"clip_length": 3, "crop_size": 8, "num_samples": 40, "cut_threshold": 255.0}
    data = ClipDataset([source], still_probability=0.5, **options)
    samples = [data[i] for i in range(40)]
    still = [sample for sample in samples if sample["place"][2] == 0]
    assert 10 < len(still) < 30
    for sample in samples:
        for clip in (sample["ground_truth"], sample["low_res"]):
            assert all(torch.equal(frame, clip[0]) for frame in clip[1:]) == (sample["place"][2] == 0)
    for sample in still:
        _, start, _, top, left, *augmentation = sample["place"].tolist()
        frame = augment(source.array[start : start + 1], *map(bool, augmentation))
        crop = frame[0, 4 * top : 4 * top + 32, 4 * left : 4 * left + 32]
        np.testing.assert_array_equal(sample["ground_truth"][2].permute(1, 2, 0), crop)
    assert {int(sample["place"][1]) for sample in still} >= {
        0,
        len(source) - 1,
    }  # the last frame, too, can stand still
    plain, none = ClipDataset([source], **options), ClipDataset([source], still_probability=0.0, **options)
    assert all(torch.equal(plain[i]["place"], none[i]["place"]) and plain[i]["place"][2] == 1 for i in range(10))


def test_still_clips_of_data_with_their_own_low_resolution(tmp_path: Path) -> None:
    for name, scale in (("hr", 4), ("lr", 1)):
        (tmp_path / name).mkdir()
        for i in range(3):
            Image.fromarray(np.full((16 * scale, 20 * scale, 3), 60 * i, np.uint8)).save(tmp_path / name / f"{i}.png")
    source = FrameFolder(tmp_path / "hr", low_res=FrameFolder(tmp_path / "lr"))
    sample = ClipDataset([source], clip_length=2, crop_size=8, still_probability=1.0)[0]
    level = 60 * int(sample["place"][1])
    assert sample["low_res"].unique().tolist() == sample["ground_truth"].unique().tolist() == [level]


def test_scene_cuts_are_avoided() -> None:
    film = np.zeros((8, 16, 16, 3), np.uint8)
    film[5:] = 200
    data = ClipDataset([ArraySource(film)], clip_length=3, crop_size=4, num_samples=40)
    assert {len(data[i]["low_res"].unique()) for i in range(40)} == {1}
    strobe = np.tile(np.array([0, 200], np.uint8)[:, None, None, None], (4, 16, 16, 3))
    with pytest.raises(ValueError, match="scene cut"):
        ClipDataset([ArraySource(strobe)], clip_length=3, crop_size=4)[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clip_length": 10}, "'array' has 9 frames"),
        ({"crop_size": 18}, "'array' has 9 frames"),
        ({"clip_length": 0}, "clip_length"),
        ({"crop_size": 0}, "crop_size"),
        ({"max_frame_step": 0}, "max_frame_step"),
        ({"degradation": BicubicDegradation(2)}, "scale 2"),
        ({"texture_candidates": 0}, "texture_candidates"),
        ({"texture_probability": 1.5}, "texture_probability"),
        ({"still_probability": -0.1}, "still_probability"),
    ],
)
def test_bad_arguments(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClipDataset([ArraySource(noise())], **{"clip_length": 5, "crop_size": 8, **options})


def test_no_sources_and_bad_index() -> None:
    with pytest.raises(ValueError, match="at least one source"):
        ClipDataset([])
    with pytest.raises(IndexError):
        ClipDataset([ArraySource(noise())], crop_size=8, num_samples=3)[3]


def test_validation_clips_are_whole_and_cropped(tmp_path: Path) -> None:
    frames = noise(4, 18, 23)
    (tmp_path / "walk").mkdir()
    for i, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / "walk" / f"{i}.png")
    clips = ValidationClips([tmp_path / "walk"], max_frames=3)
    clip = clips[0]
    assert len(clips) == 1 and clip["name"] == "walk"
    np.testing.assert_array_equal(clip["ground_truth"].numpy().transpose(0, 2, 3, 1), frames[:3, :16, :20])
    assert torch.equal(clip["low_res"], degrade(clip["ground_truth"], BicubicDegradation()))
    assert len(ValidationClips([tmp_path / "walk"])[0]["low_res"]) == 4
    with pytest.raises(ValueError, match="max_frames"):
        ValidationClips([tmp_path / "walk"], max_frames=0)
