# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from seeclear.data.instances import (
    LEAST_VISIBLE,
    MAX_INSTANCES,
    UNKNOWN,
    AnnotatedClip,
    InstanceClips,
    read_annotated_clip,
)

VOCABULARY = ("person", "animal", "vehicle")


def red_square(name: str = "square", label: str = "animal", num_frames: int = 12) -> AnnotatedClip:
    """A red square that moves to the right before green."""
    frames = torch.zeros(num_frames, 3, 40, 60, dtype=torch.uint8)
    masks = torch.zeros(num_frames, 1, 40, 60, dtype=torch.float16)
    frames[:, 1] = 150
    for i in range(num_frames):
        rows, columns = slice(10, 28), slice(5 + 3 * i, 23 + 3 * i)
        frames[i, :, rows, columns] = torch.tensor([150, 30, 0], dtype=torch.uint8)[:, None, None]
        masks[i, 0, rows, columns] = 1
    return AnnotatedClip(name, label, frames, masks)


GREENERY = torch.tensor([0, 90, 40], dtype=torch.uint8)[:, None, None].expand(3, 50, 70)


def data_set(seed: int = 0, num_samples: int = 60, with_photo: bool = True) -> InstanceClips:
    clips = [red_square(), red_square("other", "person")]
    photos = [GREENERY] if with_photo else []
    return InstanceClips(clips, photos, VOCABULARY, 3, (32, 48), num_samples, seed)


def test_shapes_and_ranges() -> None:
    sample = data_set()[0]
    for kind in ("low_res", "clean"):
        assert sample[kind].shape == (3, 3, 32, 48) and sample[kind].dtype == torch.uint8
    assert sample["masks"].shape == (MAX_INSTANCES, 3, 32, 48) and sample["masks"].dtype == torch.float32
    assert 0 <= sample["masks"].min() and sample["masks"].max() <= 1 + 1e-6
    assert sample["labels"].shape == (MAX_INSTANCES,) and sample["labels"].dtype == torch.int64


def test_samples_depend_on_seed_and_index_alone() -> None:
    first, batches = data_set(5), list(DataLoader(data_set(5, 8), batch_size=4, num_workers=1))
    for i, sample in enumerate(data_set(5)[i] for i in range(8)):
        for key in ("low_res", "clean", "masks", "labels"):
            assert torch.equal(first[i][key], sample[key])
            assert torch.equal(batches[i // 4][key][i % 4], sample[key])
        assert int(batches[i // 4]["count"][i % 4]) == sample["count"]
    assert not torch.equal(first[0]["clean"], first[1]["clean"])
    assert not torch.equal(first[0]["clean"], data_set(6)[0]["clean"])


def test_masks_are_where_the_objects_are_and_cover_each_other() -> None:
    """Red is above green in the objects alone, unless all colour was taken from them; frames, masks and time agree."""
    counts, right, complete = set(), 0, 0
    for i in range(60):
        sample = data_set()[i]
        count, masks = sample["count"], sample["masks"]
        counts.add(count)
        covered = masks.sum(dim=0)
        assert covered.max() <= 1 + 1e-5
        for one in range(count):
            others = covered - masks[one]
            assert others[masks[one] > 0.99].max() <= 0.01 + 1e-5
            assert masks[one].mean() >= LEAST_VISIBLE
        assert not masks[count:].any() and not sample["labels"][count:].any()
        red = sample["clean"][:, 0] > sample["clean"][:, 1]
        right += bool(red[covered > 0.95].all())
        # objects too small to count are there as well
        complete += float((red & (covered < 0.05)).float().mean()) < MAX_INSTANCES * LEAST_VISIBLE
    assert counts >= {1, 2, 3}
    assert right >= 57
    assert complete >= 57


def test_labels_are_the_objects() -> None:
    """Where nothing is pasted, the label tells which of two clips of different size the frames are from."""
    small = red_square("small", "vehicle")
    small.masks[:] = 0
    small.masks[:, :, 10:16, 5:11] = 1
    data = InstanceClips([red_square(), small], [], VOCABULARY, 3, (40, 60), 80)
    shares: dict[int, list[float]] = {1: [], 2: []}
    for sample in (data[i] for i in range(80)):
        if sample["count"] == 1:
            shares[int(sample["labels"][0])].append(float(sample["masks"][0].mean()))
    assert min(map(len, shares.values())) > 3
    assert np.median(shares[1]) > 2 * np.median(shares[2])


def test_what_is_degraded_is_the_clean_clip() -> None:
    differences = []
    for i in range(20):
        sample = data_set()[i]
        differences.append(float((sample["low_res"].float() - sample["clean"].float()).abs().mean()))
    assert min(differences) == 0 < max(differences) < 15


def test_as_many_objects_of_one_kind_are_pasted_as_asked_for() -> None:
    """Five objects, all of one of two clips or of any, beside the one that is there."""
    clips = [red_square(), red_square("other", "person")]
    mixed = {}
    for share in (0.0, 1.0):
        data = InstanceClips(clips, [], VOCABULARY, 3, (96, 144), 30, 0, 6, (0, 0, 0, 0, 0, 1), share)
        samples = [data[i] for i in range(30)]
        assert sum(sample["count"] >= 4 for sample in samples) >= 25
        pasted = [set(sample["labels"][1 : sample["count"]].tolist()) for sample in samples]
        mixed[share] = sum(len(labels) > 1 for labels in pasted)
    assert mixed[1.0] == 0 and mixed[0.0] >= 15
    alone = InstanceClips(clips, [], VOCABULARY, 3, (32, 48), 30, pasted_shares=(1, 0, 0, 0, 0, 0))
    assert {alone[i]["count"] for i in range(30)} == {1}


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.5, 0.1, 0.1, 0.1, 0.1, 0.0), (1.2, -0.2, 0, 0, 0, 0)])
def test_shares_that_are_none_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="`pasted_shares` is .* 6 numbers from 0 on whose sum is 1"):
        InstanceClips([red_square()], [], VOCABULARY, pasted_shares=shares)
    with pytest.raises(ValueError, match=r"`alike_share` is 1.5; it must be in 0..1"):
        InstanceClips([red_square()], [], VOCABULARY, alike_share=1.5)


def test_clips_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one clip"):
        InstanceClips([], [], VOCABULARY)
    with pytest.raises(ValueError, match="'square' is labelled 'tree'"):
        InstanceClips([red_square(label="tree")], [], VOCABULARY)
    with pytest.raises(ValueError, match="'square' has 2 frames; a sample has 3"):
        InstanceClips([red_square(num_frames=2)], [], VOCABULARY)
    for index in (-1, 60):
        with pytest.raises(IndexError, match="0..59"):
            data_set()[index]


# Files


def write_clip(root: Path, name: str = "walk", num_frames: int = 2, size: tuple[int, int] = (10, 13)) -> None:
    """Grey frames; the object is the left six columns, index 1 of a palette as in DAVIS."""
    for kind in ("frames", "masks"):
        (root / kind / name).mkdir(parents=True)
    mask = np.zeros(size, np.uint8)
    mask[:, :6] = 1
    for i in range(num_frames):
        Image.fromarray(np.full((*size, 3), 60 + i, np.uint8)).save(root / "frames" / name / f"{i:05d}.png")
        image = Image.fromarray(mask, mode="P")
        image.putpalette([0, 0, 0, 128, 0, 0])
        image.save(root / "masks" / name / f"{i:05d}.png")


def test_clip_is_read_at_low_resolution(tmp_path: Path) -> None:
    write_clip(tmp_path)
    clip = read_annotated_clip(tmp_path / "frames" / "walk", tmp_path / "masks" / "walk", "person")
    assert (clip.name, clip.label) == ("walk", "person")
    assert clip.frames.shape == (2, 3, 2, 3) and clip.frames.dtype == torch.uint8
    assert clip.frames[:, 0, 0, 0].tolist() == [60, 61]
    assert clip.masks[1, 0].tolist() == [[1.0, 0.5, 0.0]] * 2  # shares of blocks of 4 x 4


def test_frames_and_masks_must_correspond(tmp_path: Path) -> None:
    write_clip(tmp_path)
    frames, masks = tmp_path / "frames" / "walk", tmp_path / "masks" / "walk"
    with pytest.raises(ValueError, match="same names"):
        read_annotated_clip(frames, tmp_path / "none")
    with pytest.raises(ValueError, match="same names"):
        read_annotated_clip(tmp_path / "none", masks)
    Image.new("L", (5, 5)).save(masks / "00001.png")
    with pytest.raises(ValueError, match=r"00001\.png' has another size"):
        read_annotated_clip(frames, masks)
    (masks / "00001.png").unlink()
    with pytest.raises(ValueError, match="same names"):
        read_annotated_clip(frames, masks)


def test_photographs_and_clips_of_several_objects() -> None:
    """A photograph becomes a clip, its parts are instances of unknown kind, and groups are drawn equally often."""
    photo = AnnotatedClip(
        "photo", "", *(part[:1] for part in (red_square().frames, red_square().masks)), "photographs"
    )
    photo.masks[:] = 0
    photo.masks[:, :, 10:28, 5:14] = 1
    photo = AnnotatedClip(
        "photo", "", photo.frames, torch.cat([photo.masks, photo.masks.roll(9, dims=3)], 1), "photos"
    )
    data = InstanceClips([red_square()] * 5 + [photo], [], VOCABULARY, 3, (40, 60), 60)
    unknown = 0
    for sample in (data[i] for i in range(60)):
        kinds = sample["labels"][: sample["count"]].tolist()
        assert set(kinds) <= {UNKNOWN, VOCABULARY.index("animal")}
        unknown += UNKNOWN in kinds
        if kinds == [UNKNOWN, UNKNOWN]:
            assert float(sample["masks"][:2].sum(dim=0).max()) <= 1.01
    assert 20 < unknown < 55
