# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The table of models: what is measured of their speed."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from seeclear import SeeClearPipeline
from seeclear.models import LENS_PRESETS, SemanticLens


@pytest.fixture(scope="module")
def benchmark(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("benchmarks/models.py")


@torch.no_grad()
def test_the_arithmetic_of_basicvsr_is_that_of_the_lens_of_its_shape(benchmark: ModuleType) -> None:
    """A further frame of 6x8 pixels costs what the formula says."""
    plain = dict.fromkeys(("gps", "isee", "multi_frame_attention"), False)
    lens = SemanticLens(**LENS_PRESETS["semantic-lens"]["semantic_lens"] | plain)
    counted = []
    for frames in (2, 3):
        with FlopCounterMode(display=False) as counter:
            lens(torch.zeros(1, frames, 3, 6, 8), flow=torch.zeros(1, 2, frames - 1, 2, 6, 8))
        counted.append(counter.get_total_flops())
    assert counted[1] - counted[0] == 2 * benchmark.BASICVSR_PRODUCTS * 6 * 8
    assert 2 * benchmark.BASICVSR_PRODUCTS * 320 * 180 == pytest.approx(680e9, rel=0.01)  # the paper's network


def test_the_table_has_time_and_arithmetic_beside_those_of_convolutions(
    benchmark: ModuleType,
    small_components: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    SeeClearPipeline(**small_components).save_pretrained(tmp_path / "model")
    (tmp_path / "clip").mkdir()
    frames = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / "clip" / f"{index}.png")
    monkeypatch.setattr(benchmark, "convolution_rate", lambda *_: 1e9)
    settings = ["--height", "16", "--width", "24", "--timed_frames", "2", "--device", "cpu", "--dtype", "fp32"]
    command = [str(tmp_path / "clip"), "--models", str(tmp_path / "model"), *settings]
    monkeypatch.setattr("sys.argv", ["models.py", *command, "--json", str(tmp_path / "models.json")])
    benchmark.main()
    head, _, bicubic, ours = capsys.readouterr().out.strip().splitlines()[-4:]
    assert [cell.strip() for cell in head.strip("|").split("|")][-4:] == [
        "s per frame of 96x64",
        "GFLOP",
        "of BasicVSR's time",
        "of the convolutions' rate",
    ]
    cost = json.loads((tmp_path / "models.json").read_text())["cost"]["model"]
    basicvsr = 2 * benchmark.BASICVSR_PRODUCTS * 16 * 24 / 1e9
    assert cost["of_basicvsr"] == pytest.approx(cost["seconds"] / basicvsr)
    assert cost["of_convolutions"] == pytest.approx(cost["flops"] / cost["seconds"] / 1e9)
    cells = [cell.strip() for cell in ours.strip("|").split("|")]
    assert cells[-2:] == [f"{cost['of_basicvsr']:.2f}", f"{cost['of_convolutions']:.2f}"]
    assert [cell.strip() for cell in bicubic.strip("|").split("|")][-3:] == ["", "", ""]


def test_the_rate_of_convolutions_is_work_over_time(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that a convolution moves by a millisecond."""
    now = 0.0
    forward = torch.nn.Conv2d.forward

    def tick(self: torch.nn.Conv2d, maps: torch.Tensor) -> torch.Tensor:
        nonlocal now
        now += 1e-3
        return forward(self, maps)

    monkeypatch.setattr(torch.nn.Conv2d, "forward", tick)
    monkeypatch.setattr(benchmark.time, "perf_counter", lambda: now)
    rate = benchmark.convolution_rate(4, 5, torch.device("cpu"), torch.float32, seconds=0.02)
    assert rate == pytest.approx(2 * 9 * 64**2 * 4 * 5 / 1e-3)
