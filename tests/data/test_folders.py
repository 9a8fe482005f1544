# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seeclear.data import (
    REFERENCE_VALIDATION_CLIPS,
    FrameFolder,
    Photo,
    Source,
    open_sources,
    read_source_list,
    reference_validation_paths,
)


def image(path: Path, width: int = 40, height: int = 40) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(path)


def names(sources: list[Source]) -> list[tuple[type, str]]:
    return [(type(source), source.name) for source in sources]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for i in range(3):
        image(tmp_path / "clips" / "walk" / f"{i}.png")
        image(tmp_path / "clips" / "deep" / "run" / f"{i}.png")
        image(tmp_path / "davis" / "JPEGImages" / "cows" / f"{i}.jpg")
        image(tmp_path / "davis" / "JPEGImages" / "goat" / f"{i}.jpg")
        image(tmp_path / "davis" / "Annotations" / "goat" / f"{i}.png")
    image(tmp_path / "clips" / "loose.png")
    image(tmp_path / "photos" / "set" / "hill.jpg", 60)
    image(tmp_path / "photos" / "lake.jpg")
    (tmp_path / "photos" / "lake.txt").write_text("terms")
    return tmp_path


def test_finds_clips_and_photographs(root: Path) -> None:
    found = open_sources(root / "clips", photo_size=(32, 32))
    assert names(found) == [(FrameFolder, "run"), (Photo, "loose.png"), (FrameFolder, "walk")]


def test_davis_layout_and_exclusion(root: Path) -> None:
    assert names(open_sources(root / "davis")) == [(FrameFolder, "cows"), (FrameFolder, "goat")]
    assert names(open_sources(root / "davis", exclude=["cows"])) == [(FrameFolder, "goat")]
    assert names(open_sources(root / "clips", exclude=["loose", "run"])) == [(FrameFolder, "walk")]


def test_a_folder_tree_of_photographs(root: Path) -> None:
    found = open_sources(root / "photos", kind="photos", photo_size=(32, 32), cache=False)
    assert names(found) == [(Photo, "lake.jpg"), (Photo, "hill.jpg")]


def test_json_list(root: Path) -> None:
    spec = {
        "exclude": ["cows"],
        "sources": ["davis", {"path": "photos", "kind": "photos", "weight": 0.5, "exclude": ["lake"]}],
    }
    (root / "lists").mkdir()
    (root / "lists" / "train.json").write_text(json.dumps(spec))
    found = read_source_list(root / "lists" / "train.json", data_dir=root, photo_size=(32, 32))
    assert names(found) == [(FrameFolder, "goat"), (Photo, "hill.jpg")]
    assert found[0].weight == pytest.approx(3**0.5)
    assert found[1].weight == pytest.approx(0.5 * (60 * 40 / 1e6) ** 0.5)


def test_text_list_is_relative_to_itself(root: Path) -> None:
    (root / "train.txt").write_text("# clips\nclips/walk/..\n\ndavis\n")
    found = read_source_list(root / "train.txt", photo_size=(32, 32))
    assert [source.name for source in found] == ["run", "loose.png", "walk", "cows", "goat"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "keys 'sources'"),
        ('{"sources": []}', "names no source"),
        ('{"sources": [{"kind": "photos"}]}', "must be a path"),
        ('{"sources": [{"path": "davis", "speed": 1}]}', "must be a path"),
        ('{"sources": ["nowhere"]}', "must exist"),
    ],
)
def test_bad_lists(root: Path, text: str, message: str) -> None:
    (root / "train.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_source_list(root / "train.json")


def test_nothing_found(root: Path) -> None:
    with pytest.raises(ValueError, match="must be a file"):
        read_source_list(root / "missing.txt")
    with pytest.raises(ValueError, match="must exist"):
        open_sources(root / "missing")
    with pytest.raises(ValueError, match="holds no video"):
        open_sources(root / "davis", exclude=["cows", "goat"])
    with pytest.raises(ValueError, match="kind"):
        open_sources(root / "davis", kind="films")  # type: ignore[arg-type]


def test_reference_validation_paths(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cows"):
        reference_validation_paths(tmp_path)
    for name in REFERENCE_VALIDATION_CLIPS:
        (tmp_path / name).mkdir(parents=True)
    assert reference_validation_paths(tmp_path) == [tmp_path / name for name in REFERENCE_VALIDATION_CLIPS]
