# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image


@pytest.fixture(scope="module")
def benchmark(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("benchmarks/basicvsr.py")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Three frames of noise, 37x50."""
    rng = np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(rng.integers(0, 256, (37, 50, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    return tmp_path


def test_frames_are_the_same(
    benchmark: ModuleType, basicvsr_file: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark.main([str(basicvsr_file), str(clip)])
    assert "allowed 1e-04" in capsys.readouterr().out


def test_a_difference_is_an_error(
    benchmark: ModuleType,
    basicvsr_file: Path,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    read = benchmark.basicvsr
    monkeypatch.setattr(benchmark, "basicvsr", lambda *args: read(*args) + torch.tensor(2e-4))
    with pytest.raises(SystemExit) as end:
        benchmark.main([str(basicvsr_file), str(clip), "--frames", "2"])
    assert end.value.code == 1
    assert "largest difference 2." in capsys.readouterr().out
