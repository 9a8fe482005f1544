# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import copy
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from seeclear import SeeClearPipeline
from seeclear.training.loop import one_line_errors


@pytest.fixture
def average_weights(load_script: Callable[[str], ModuleType]) -> ModuleType:
    """The script as a module."""
    return load_script("examples/average_weights.py")


@pytest.fixture
def saved(small_components: dict[str, Any], tmp_path: Path) -> Path:
    """The folders `one` and `other`: the weights of the second are all larger by 1."""
    pipe = SeeClearPipeline(**small_components)
    pipe.save_pretrained(tmp_path / "one")
    (tmp_path / "one" / "checkpoint-3").mkdir()
    (tmp_path / "one" / "checkpoint-3" / "model.safetensors").write_bytes(b"")
    moved = copy.deepcopy(pipe)
    with torch.no_grad():
        for network in (moved.pixel_condenser, moved.semantic_distiller):
            for parameter in network.parameters():
                parameter += 1
    moved.save_pretrained(tmp_path / "other")
    return tmp_path


def test_average_of_two_pipelines(average_weights: ModuleType, saved: Path) -> None:
    average_weights.main([f"{saved}/one:0.75", f"{saved}/other:0.25", "--output_dir", f"{saved}/average"])
    one, average = (SeeClearPipeline.from_pretrained(saved / name) for name in ("one", "average"))
    for component in ("pixel_condenser", "semantic_distiller"):
        pairs = zip(getattr(one, component).parameters(), getattr(average, component).parameters(), strict=True)
        for before, after in pairs:
            torch.testing.assert_close(after, before + 0.25)
    assert not (saved / "average" / "checkpoint-3").exists()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (["one:0.75", "other:0.75"], "their sum must be 1"),
        (["none:0.5", "one:0.5"], "none' is no folder with weights"),
        (["one:0.5", "none:0.5"], "is missing: all folders must hold the same networks"),
    ],
)
def test_what_cannot_be_averaged(
    average_weights: ModuleType,
    saved: Path,
    parts: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["average_weights.py"])
    with pytest.raises(SystemExit) as ended, one_line_errors():
        average_weights.main([*(f"{saved}/{part}" for part in parts), "--output_dir", f"{saved}/average"])
    assert ended.value.code == 2 and message in capsys.readouterr().err
    assert not (saved / "average").exists()


def test_other_networks_are_refused(average_weights: ModuleType) -> None:
    one = {"weight": torch.zeros(2), "count": torch.tensor(3)}
    with pytest.raises(ValueError, match="'weight' is not the same in all folders"):
        average_weights.average([(one, 0.5), ({"weight": torch.zeros(3), "count": torch.tensor(3)}, 0.5)])
    mean = average_weights.average([(one, 0.5), ({"weight": torch.ones(2), "count": torch.tensor(4)}, 0.5)])
    assert mean["weight"].tolist() == [0.5, 0.5] and mean["count"] == 3


def test_a_part_without_weight_is_refused(average_weights: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        average_weights.main(["one", "--output_dir", "average"])
    assert "'one' is not FOLDER:WEIGHT" in capsys.readouterr().err
