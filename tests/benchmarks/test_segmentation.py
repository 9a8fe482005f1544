# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import av
import numpy as np
import pytest
import torch
from torch import Tensor

FRAMES = 128


@pytest.fixture(scope="module")
def benchmark(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("benchmarks/segmentation.py")


class Colours:
    """Stands in for a distiller: a token for yellow and one for blue, or one for both and one for nothing."""

    device = torch.device("cpu")

    def __init__(self, apart: bool) -> None:
        self.apart = apart

    def __call__(self, low_res: Tensor) -> SimpleNamespace:
        red, _, blue = low_res.unbind(dim=2)
        one, other = (red > 0.6) & (blue < -0.5), (red < -0.7) & (blue > 0.6)
        masks = (one, other) if self.apart else (one | other, one & other)
        return SimpleNamespace(clip_masks=20.0 * torch.stack(masks, dim=2) - 10)


@pytest.fixture
def street(tmp_path: Path) -> Path:
    """A root with a list of one static camera, before which two squares cross in the last quarter of the video."""
    with av.open(str(tmp_path / "street.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 192, 128, "bgr0"
        for i in range(FRAMES):
            frame = np.full((128, 192, 3), 90, np.uint8)
            x = 4 * (i % (FRAMES // 4))
            frame[16:48, x : x + 32] = (250, 250, 20)
            frame[80:112, 160 - x : 192 - x] = (0, 10, 240)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="bgr0")))
        container.mux(stream.encode())
    folders = {"frames": "f", "masks": "m", "static_cameras": {"street.mkv": "vehicle"}}
    (tmp_path / "list.json").write_text(json.dumps(folders))
    return tmp_path


def test_several_objects_have_tokens_of_their_own_or_share_one(
    benchmark: ModuleType, street: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark, "load", lambda name: Colours(apart=name == "apart"))
    line = ["--data_root", str(street), "--instance_list", str(street / "list.json"), "--several"]
    benchmark.main([*line, "--distillers", "apart", "together", "--output", str(street / "figures.json")])
    figures = json.loads((street / "figures.json").read_text())
    assert (
        figures["apart"]["found"] == 1 and figures["apart"]["apart"] == figures["apart"]["shared"] > 0.6
    )  # of 8x8 LR pixels
    # one mask over two equal squares has half of its area in each, and is the own token of one of them
    assert figures["together"]["shared"] == pytest.approx(figures["apart"]["shared"] / 2, abs=0.08)
    assert figures["together"]["apart"] == pytest.approx(figures["together"]["shared"] / 2, abs=0.02)
    assert "| apart | apart " in capsys.readouterr().out


def test_without_data_there_is_nothing_to_measure(benchmark: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        benchmark.main(["--several"])
    assert "need --data_root" in capsys.readouterr().err
