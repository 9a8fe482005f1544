# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from seeclear import SeeClearPipeline


@pytest.fixture(scope="module")
def clip_ends(load_script: Callable[[str], ModuleType]) -> ModuleType:
    """The script as a module."""
    return load_script("benchmarks/clip_ends.py")


class WorseAtTheStart:
    """A pipeline that enlarges by repeating pixels, and is wrong by 10 grey levels in the first frame of each clip."""

    config = SimpleNamespace(clip_length=3)

    def __call__(self, video: Tensor, **kwargs: Any) -> SimpleNamespace:
        assert kwargs["clip_overlap"] == 0
        frames = video.repeat_interleave(4, dim=-1).repeat_interleave(4, dim=-2)
        frames = frames + 10 / 255 * (torch.arange(len(video)) % 3 == 0)[:, None, None, None]
        return SimpleNamespace(frames=frames[None])


def test_the_same_frames_are_measured_at_every_place(clip_ends: ModuleType) -> None:
    assert list(clip_ends.measured_frames(13, 3)) == [5, 6, 7]
    assert not clip_ends.measured_frames(10, 3) and clip_ends.measured_frames(11, 3)
    low_res = torch.randint(0, 200, (13, 3, 4, 5), generator=torch.Generator().manual_seed(0)).byte()
    original = low_res.repeat_interleave(4, dim=-1).repeat_interleave(4, dim=-2)
    original[..., ::2] += 2
    psnr, steps = clip_ends.by_place(WorseAtTheStart(), low_res, original)
    torch.testing.assert_close(psnr[1], psnr[2], rtol=0, atol=0.05)
    assert psnr[0] < psnr[1] - 10
    torch.testing.assert_close(steps, torch.tensor([10.0, 0.0, 10.0]))


def test_the_command_writes_a_row_for_each_place(
    clip_ends: ModuleType, small_components: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    SeeClearPipeline(**small_components, clip_length=2).save_pretrained(tmp_path / "model")
    rng = np.random.default_rng(0)
    (tmp_path / "clip").mkdir()
    for i in range(7):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(tmp_path / "clip" / f"{i}.png")
    arguments = [str(tmp_path / "clip"), "--model", str(tmp_path / "model")]
    clip_ends.main([*arguments, "--json", str(tmp_path / "ends.json")])
    rows = capsys.readouterr().out.splitlines()
    assert [row.split("  ")[0].strip("| ") for row in rows[-2:]] == ["1 of 2", "2 of 2"]
    figures = json.loads((tmp_path / "ends.json").read_text())
    assert len(figures["psnr"]) == len(figures["frame-difference"]) == 2
    with pytest.raises(SystemExit):
        clip_ends.main([*arguments, "--frames", "6"])
    assert "clips must have at least 7 frames, and one has 6" in capsys.readouterr().err
