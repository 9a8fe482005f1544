# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import imageio.v3 as iio
import pytest
import torch


@pytest.fixture(scope="module")
def benchmark(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("benchmarks/flow.py")


def test_every_way_is_better_than_no_motion(
    benchmark: ModuleType,
    moving_clip: Callable[[int, int, int], torch.Tensor],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    large = torch.nn.functional.interpolate(moving_clip(3, 1, -1)[0], scale_factor=4, mode="bicubic").clamp(-1, 1)
    for number, frame in enumerate(large):
        iio.imwrite(tmp_path / f"{number}.png", (frame * 127.5 + 127.5).byte().permute(1, 2, 0).numpy())
    benchmark.main([str(tmp_path)])
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines()[2:]]
    differences = {name.strip(): float(difference) for name, difference, _ in rows}
    assert list(differences) == list(benchmark.WAYS)
    assert all(value < 0.5 * differences["not moved"] for name, value in differences.items() if name != "not moved")


def test_one_frame_does_not_move(benchmark: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        benchmark.main([str(tmp_path), "--frames", "1"])
    assert "at least 2" in capsys.readouterr().err
