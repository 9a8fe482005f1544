# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The data of a run are what its arguments say."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from seeclear.data import (
    BicubicDegradation,
    CompressedDegradation,
    GaussianDegradation,
    MixedDegradation,
    RealWorldDegradation,
)
from seeclear.training.arguments import parse_arguments
from seeclear.training.mixture import TrainingData, build_data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of six frames; the right half of every frame is noise, the left is flat."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for name in ("first", "second"):
        (root / name).mkdir()
        for index in range(6):
            pixels = np.full((48, 128, 3), 90 + 2 * index, np.uint8)
            pixels[:, 64:] = rng.integers(0, 256, (48, 64, 3))
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    return root


def data(folder: Path, *arguments: str) -> TrainingData:
    given = ["--preset", "tiny", "--train_data_dir", str(folder), "--output_dir", "out"]
    given += ["--resolution", "32", "--num_frames", "2", *arguments]
    args = parse_arguments(given)
    return build_data(args, args.num_frames, num_samples=40)


def test_defaults_are_bicubic_crops_of_all_sources(folder: Path) -> None:
    built = data(folder)
    sample = built.dataset[0]
    assert isinstance(sample["hr"], torch.Tensor) and isinstance(sample["lr"], torch.Tensor)
    assert sample["hr"].shape == (2, 3, 32, 32) and sample["lr"].shape == (2, 3, 8, 8)
    assert [(name, share) for name, share in built.sources] == [("first", 0.5), ("second", 0.5)]
    assert isinstance(built.dataset.clips.degradation, BicubicDegradation)


def test_validation_clips_are_not_trained_on(folder: Path) -> None:
    built = data(folder, "--validation_data", str(folder / "second"))
    assert [name for name, _ in built.sources] == ["first"] and built.validation_names == ["second"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("BD", GaussianDegradation),
        ("compressed", CompressedDegradation),
        ("real", RealWorldDegradation),
        ("mixed", MixedDegradation),
    ],
)
def test_degradations(folder: Path, name: str, kind: type) -> None:
    built = data(folder, "--degradation", name)
    assert isinstance(built.dataset.clips.degradation, kind)
    samples = [(built.dataset[i], data(folder).dataset[i]) for i in range(10)]
    assert all(torch.equal(sample["hr"], bicubic["hr"]) for sample, bicubic in samples)  # type: ignore[arg-type]
    changed = [not torch.equal(sample["lr"], bicubic["lr"]) for sample, bicubic in samples]  # type: ignore[arg-type]
    assert changed[0] if name not in ("compressed", "mixed") else 0 < sum(changed) < 10


def test_share_of_compressed_clips(folder: Path) -> None:
    never = data(folder, "--degradation", "compressed", "--compressed_probability", "0")
    assert all(torch.equal(never.dataset[i]["lr"], data(folder).dataset[i]["lr"]) for i in range(5))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--degradation", "compressed", "--compressed_probability", "1.5"), "is 1.5; it must be in [0, 1]"),
        (("--degradation", "compressed", "--compressed_probability", "nan"), "is nan; it must be in [0, 1]"),
        (("--compressed_probability", "0.5"), "is for --degradation compressed, but that is BI"),
    ],
)
def test_a_share_of_compressed_clips_that_is_none(
    folder: Path, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        data(folder, *arguments)
    assert message in capsys.readouterr().err


def test_crops_with_texture_are_preferred(folder: Path) -> None:
    def spread(built: TrainingData) -> float:
        return float(np.mean([built.dataset[i]["hr"].float().std() for i in range(40)]))  # type: ignore[union-attr]

    assert spread(data(folder, "--texture_candidates", "8")) > 1.3 * spread(data(folder))
    never = data(folder, "--texture_candidates", "8", "--texture_probability", "0")
    assert never.dataset.clips.texture_probability == 0


def test_frame_steps(folder: Path) -> None:
    places = [data(folder, "--max_frame_step", "3").dataset[i]["place"] for i in range(40)]
    assert {int(place[2]) for place in places} == {1, 2, 3}  # type: ignore[index]


def test_still_clips(folder: Path) -> None:
    for probability, steps in (("0", {1}), ("1", {0})):
        built = data(folder, "--still_probability", probability)
        assert {int(built.dataset[i]["place"][2]) for i in range(10)} == steps  # type: ignore[index]


def test_a_crop_is_a_multiple_of_the_scale(folder: Path) -> None:
    with pytest.raises(ValueError, match="`resolution` is 30; it must be a positive multiple of 4"):
        data(folder, "--resolution", "30")
