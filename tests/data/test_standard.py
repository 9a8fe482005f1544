# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The published layouts, built as empty shells: clips of few frames, the sizes that matter."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seeclear.data import (
    REDS4,
    VID4,
    ClipDataset,
    davis,
    davis_annotations,
    open_dataset,
    read_source_list,
    reds,
    vid4,
    vimeo90k,
)


def frames(folder: Path, names: list[str], width: int, height: int, level: int = 0) -> None:
    folder.mkdir(parents=True)
    for i, name in enumerate(names):
        Image.fromarray(np.full((height, width, 3), level + i, np.uint8)).save(folder / name)


@pytest.fixture
def reds_root(tmp_path: Path) -> Path:
    names = ["00000000.png", "00000001.png"]
    for clip in ("000", "001", "011", "015", "020", "239"):
        frames(tmp_path / "train" / "train_sharp" / clip, names, 1280, 720, level=100)
        frames(tmp_path / "train" / "train_sharp_bicubic" / "X4" / clip, names, 320, 180, level=50)
    frames(tmp_path / "val_sharp" / "000", names, 1280, 720)
    return tmp_path


def test_reds_holds_reds4_out(reds_root: Path) -> None:
    assert [clip.name for clip in reds(reds_root)] == ["001", "239"]
    assert [clip.name for clip in reds(reds_root, "reds4")] == list(REDS4)
    assert [clip.path for clip in reds(reds_root, "val")] == [reds_root / "val_sharp" / "000"]
    assert [clip.name for clip in reds(reds_root / "train")] == ["001", "239"]


def test_low_resolution_that_comes_with_the_data_is_used(reds_root: Path) -> None:
    clips = reds(reds_root, low_res=True)
    data = ClipDataset(clips, clip_length=2, crop_size=16, num_samples=3)
    for sample in (data[i] for i in range(3)):
        assert set(sample["ground_truth"].unique().tolist()) == {100, 101}
        assert set(sample["low_res"].unique().tolist()) == {50, 51}  # in place of a degradation's 100 and 101
        first = int(sample["ground_truth"][0, 0, 0, 0]) - 100
        assert int(sample["low_res"][0, 0, 0, 0]) - 50 == first  # reversed together
    with pytest.raises(ValueError, match="another factor than `scale` = 2"):
        ClipDataset(clips, clip_length=2, crop_size=16, scale=2)


def test_reds_errors(reds_root: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="split"):
        reds(reds_root, "test")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="val_sharp_bicubic"):
        reds(reds_root, "val", low_res=True)
    (reds_root / "train" / "train_sharp" / "015").rename(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="missing: .*015"):
        reds(reds_root, "reds4")


@pytest.fixture
def vimeo_root(tmp_path: Path) -> Path:
    root = tmp_path / "vimeo_septuplet"
    names = [f"im{i}.png" for i in range(1, 8)]
    for clip in ("00001/0001", "00001/0002", "00002/0001"):
        frames(root / "sequences" / clip, names, 448, 256)
        frames(tmp_path / "vimeo_septuplet_matlabLRx4" / "sequences" / clip, names, 112, 64)
    (root / "sep_trainlist.txt").write_text("00001/0001\n00002/0001\n")
    (root / "sep_testlist.txt").write_text("00001/0002\n\n")
    return root


def test_vimeo_follows_its_lists(vimeo_root: Path) -> None:
    train = vimeo90k(vimeo_root)
    assert [clip.name for clip in train] == ["00001/0001", "00002/0001"]
    assert (len(train[0]), train[0].size) == (7, (256, 448))
    assert train[0].frames(0, 7)[:, 0, 0, 0].tolist() == list(range(7))
    (test,) = vimeo90k(vimeo_root, "test", low_res=vimeo_root.parent / "vimeo_septuplet_matlabLRx4")
    assert test.name == "00001/0002" and test.low_res is not None and test.low_res.size == (64, 112)
    (vimeo_root / "sep_testlist.txt").write_text("0002\n")
    with pytest.raises(ValueError, match="must list septuplets"):
        vimeo90k(vimeo_root, "test")
    (vimeo_root / "sep_testlist.txt").unlink()
    with pytest.raises(ValueError, match="sep_testlist.txt"):
        vimeo90k(vimeo_root, "test")


def test_davis_splits_of_both_years(tmp_path: Path) -> None:
    for clip in ("bear", "cows", "goat"):
        frames(tmp_path / "JPEGImages" / "480p" / clip, ["00000.jpg", "00001.jpg"], 40, 24)
        frames(tmp_path / "Annotations" / "480p" / clip, ["00000.png", "00001.png"], 40, 24)
    (tmp_path / "ImageSets" / "2017").mkdir(parents=True)
    (tmp_path / "ImageSets" / "2017" / "train.txt").write_text("bear\ngoat\n")
    (tmp_path / "ImageSets" / "2017" / "val.txt").write_text("cows\n")
    (tmp_path / "ImageSets" / "480p").mkdir()
    pairs = [f"/JPEGImages/480p/bear/{i:05d}.jpg /Annotations/480p/bear/{i:05d}.png" for i in range(2)]
    (tmp_path / "ImageSets" / "480p" / "train.txt").write_text("\n".join(pairs))
    assert [clip.name for clip in davis(tmp_path)] == ["bear", "cows", "goat"]
    assert [clip.name for clip in davis(tmp_path, "val")] == ["cows"]
    assert [clip.name for clip in davis(tmp_path, "2017/train")] == ["bear", "goat"]
    assert [clip.name for clip in davis(tmp_path, "480p/train")] == ["bear"]
    with pytest.raises(ValueError, match="'train' names 2 of them"):
        davis(tmp_path, "train")
    masks = davis_annotations(davis(tmp_path)[2].path)
    assert masks == [tmp_path / "Annotations" / "480p" / "goat" / f"0000{i}.png" for i in range(2)]
    masks[1].unlink()
    with pytest.raises(ValueError, match="00001.png"):
        davis_annotations(tmp_path / "JPEGImages" / "480p" / "goat")
    with pytest.raises(ValueError, match="JPEGImages"):
        davis_annotations(tmp_path)


def test_davis_without_a_resolution(tmp_path: Path) -> None:
    frames(tmp_path / "JPEGImages" / "cows", ["00000.jpg"], 40, 24)
    assert [clip.name for clip in davis(tmp_path)] == ["cows"]


def test_vid4(tmp_path: Path) -> None:
    for clip in VID4:
        frames(tmp_path / "GT" / clip, ["00000000.png"], 40, 24)
        frames(tmp_path / "BDx4" / clip, ["00000000.png"], 10, 6)
    assert [clip.name for clip in vid4(tmp_path)] == list(VID4)
    assert all(clip.low_res is not None for clip in vid4(tmp_path, "BDx4"))
    with pytest.raises(ValueError, match="BIx4"):
        open_dataset("vid4", tmp_path, low_res=True)
    with pytest.raises(ValueError, match="split"):
        open_dataset("vid4", tmp_path, split="train")


def test_data_sets_in_a_source_list(reds_root: Path, vimeo_root: Path) -> None:
    entries = [
        {"path": ".", "dataset": "reds", "exclude": ["239"], "weight": 2.0, "low_res": True},
        {"path": "vimeo_septuplet", "dataset": "vimeo90k", "split": "test", "low_res": True},
    ]
    (reds_root / "list.json").write_text(json.dumps({"sources": entries}))
    found = read_source_list(reds_root / "list.json", cache=False)
    assert [source.name for source in found] == ["001", "00001/0002"]
    assert found[0].weight == pytest.approx(2 * 2**0.5)
    for entry, message in [
        ({"path": ".", "dataset": "imagenet"}, "name"),
        ({"path": ".", "split": "train"}, "need 'dataset'"),
        ({"path": ".", "dataset": "reds", "downscale": 2}, "cannot have"),
        ({"path": ".", "dataset": "davis", "low_res": True}, "no low-resolution"),
    ]:
        (reds_root / "list.json").write_text(json.dumps({"sources": [entry]}))
        with pytest.raises(ValueError, match=message):
            read_source_list(reds_root / "list.json", cache=False)
