# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def curves(load_script: Callable[[str], ModuleType]) -> ModuleType:
    """The script as a module."""
    return load_script("benchmarks/loss_curves.py")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "first<run>"
    folder.mkdir()
    lines = [{"step": 10 * i, "loss": 1 / i, "lr": 1e-3, "seconds": 60.0 * i} for i in range(1, 6)]
    (folder / "train_log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 60, "lo')
    figures = {"psnr_bicubic": 26.6, "gain_1_steps": 1.0, "gain_4_steps": 0.5}
    lines = [{"step": 10, **figures}, {"step": 50, **figures, "gain_1_steps": 1.5}]
    (folder / "validation_log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def points(element: ElementTree.Element) -> list[tuple[float, float]]:
    return [tuple(map(float, pair.split(","))) for pair in element.attrib["points"].split()]  # type: ignore[misc]


def test_picture(curves: ModuleType, run: Path, tmp_path: Path) -> None:
    picture = tmp_path / "out.svg"
    curves.main([str(run / "train_log.jsonl"), str(run / "validation_log.jsonl"), str(picture), "--smooth", "0.4"])
    root = ElementTree.parse(picture).getroot()
    lines = [points(line) for line in root.iter(f"{SVG}polyline")]
    assert [len(line) for line in lines] == [5, 5, 2, 2]  # the loss, its mean, two numbers of steps
    width = curves.WIDTH - curves.LEFT - curves.RIGHT
    assert [x for x, _ in lines[0]] == pytest.approx([curves.LEFT + width * i / 4 for i in range(5)], abs=0.1)
    heights = [y for _, y in lines[0]]
    assert heights == sorted(heights) and curves.TOP < heights[0] < heights[-1] < curves.TOP + curves.PANEL
    assert (heights[1] - heights[0]) / (heights[-1] - heights[0]) == pytest.approx(0.5 / 0.8, abs=0.01)
    assert lines[2][1][1] < lines[2][0][1] and lines[3][1][1] == lines[3][0][1]  # more gain is higher up
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"training loss", "validation: PSNR-Y over bicubic, dB", "first<run>", "first<run>, 4 steps"} <= set(texts)


def test_over_time_and_by_other_names(curves: ModuleType, run: Path) -> None:
    logs = [run / "train_log.jsonl", run / "validation_log.jsonl"]
    picture = curves.draw(logs, ["A"], "seconds", log_scale=True)
    assert "minutes of training" in picture and ">A, 1 step<" in picture
    assert "first" not in picture


def test_running_mean_and_ticks(curves: ModuleType) -> None:
    assert curves.running_mean([(0, 1.0), (1, 3.0), (2, 5.0)], 2) == [(0, 1.0), (1, 2.0), (2, 4.0)]
    assert curves.ticks(0, 10) == [0, 2, 4, 6, 8, 10]
    assert curves.ticks(0.013, 0.031) == pytest.approx([0.015, 0.02, 0.025, 0.03])
    assert curves.loss_of({"step": 1, "dice": 1.0, "mask": 2.0, "seconds": 9.0}) == 3.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.jsonl", "out.svg"], "there is no file 'missing.jsonl'"),
        (["empty.jsonl", "out.svg"], "'empty.jsonl' has no line with a step"),
        (["log.jsonl", "out.png"], "its name must end with .svg"),
        (["log.jsonl", "out.svg", "--labels", "a", "b"], "there are 1 runs, but 2 labels"),
        (["log.jsonl", "out.svg", "--x", "seconds"], "have no seconds for step 1"),
    ],
)
def test_what_cannot_be_drawn(
    curves: ModuleType,
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "log.jsonl").write_text('{"step": 1, "loss": 0.5}\n')
    with pytest.raises(SystemExit, match="2"):
        curves.main(arguments)
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("out.*"))
