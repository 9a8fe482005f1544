# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from seeclear import PixelCondenser, SeeClearPipeline, SemanticLens, SemanticLensPipeline
from seeclear.models.presets import LENS_PRESETS, PRESETS


@pytest.fixture
def paired_runs(load_script: Callable[[str], ModuleType]) -> ModuleType:
    """The script as a module."""
    return load_script("benchmarks/paired_runs.py")


class Commands:
    """Stands in for the processes: a step of the first arm takes 2 s, of the others 1 s; gains are 0.001 dB a step."""

    def __init__(self, pipeline: SeeClearPipeline | SemanticLensPipeline) -> None:
        self.pipeline = pipeline
        self.seen: list[list[str]] = []

    def __call__(self, command: Sequence[str], log: Path) -> None:
        words = list(command)
        self.seen.append(words)
        value = {word: words[i + 1] for i, word in enumerate(words[:-1]) if word.startswith("--")}
        if "evaluate" in words:
            model = Path(value["--model"])
            gain = json.loads((model / "steps.json").read_text()) * 1e-3
            mean = {"bicubic": {"psnr": 20.0, "frame-difference": 9.0, "lpips-vgg": 0.5}}
            mean["it"] = {"psnr": 20 + gain, "frame-difference": 8.0, "lpips-vgg": 0.4}
            Path(value["--json"]).write_text(json.dumps({"mean": mean}))
            return
        output, steps = Path(value["--output_dir"]), int(value["--max_train_steps"])
        seconds = 2.0 if "slow" in output.name else 1.0
        self.pipeline.save_pretrained(output)
        (output / "steps.json").write_text(str(steps))
        lines = [{"step": i, "seconds": 5 + seconds * i} for i in range(1, steps + 1)]
        (output / "train_log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_arms_get_the_same_minutes(
    paired_runs: ModuleType,
    small_components: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = {
        "arguments": {"learning_rate": 1e-3, "use_ema": True, "cache_data": False},
        "arms": {
            "slow": {},
            "fast": {"condenser": {"middle_layers": 1}, "arguments": {"learning_rate": 2e-3}},
            "fixed": {"arguments": {"max_train_steps": 30}},
        },
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    commands = Commands(SeeClearPipeline(**small_components))
    monkeypatch.setattr(paired_runs, "run", commands)
    out = tmp_path / "out"
    line = [str(tmp_path / "plan.json"), "--minutes", "2", "--data_root", "D", "--clips", "A", "B"]
    line += ["--output_dir", str(out), "--perceptual_weights", "W"]
    paired_runs.main(line)
    rows = capsys.readouterr().out.splitlines()[2:]
    parameters = sum(p.numel() for p in small_components["pixel_condenser"].parameters()) / 1e6
    assert rows == [
        f"| slow | {parameters:.2f} | 60 | 2.00 | +0.060 | 0.800 | 8.00 |",
        f"| fast | {parameters:.2f} | 120 | 1.00 | +0.120 | 0.800 | 8.00 |",
        f"| fixed | {parameters:.2f} | 30 | 1.00 | +0.030 | 0.800 | 8.00 |",
    ]
    timing, training, evaluation = commands.seen[:3]
    assert timing[1].endswith("train_seeclear.py") and timing[timing.index("--max_train_steps") + 1] == "40"
    assert "--use_ema" in training and "--cache_data" not in training
    assert training[training.index("--learning_rate") + 1] == "0.001"
    assert commands.seen[4][commands.seen[4].index("--learning_rate") + 1] == "0.002"
    assert json.loads((out / "fast.json").read_text()) == {"middle_layers": 1}
    assert evaluation[1:6] == ["-m", "seeclear", "evaluate", "A", "B"]

    paired_runs.main(line)  # nothing is done twice
    assert len(commands.seen) == 8 and capsys.readouterr().out.splitlines()[2:] == rows
    with pytest.raises(SystemExit):
        paired_runs.main([*line, "--arms", "medium"])
    assert "--arms has medium" in capsys.readouterr().err


def test_a_failed_run_is_an_error(paired_runs: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        paired_runs.run([sys.executable, "-c", "print('so far'); raise SystemExit(3)"], tmp_path / "log")
    assert (tmp_path / "log").read_text() == "so far\n"


def test_a_plan_of_semantic_lens(
    paired_runs: ModuleType, small_lens_config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = {"script": "train_semantic_lens.py", "arguments": {}, "arms": {"plain": {"lens": {"image": False}}}}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    commands = Commands(SemanticLensPipeline(SemanticLens(**small_lens_config), None))
    monkeypatch.setattr(paired_runs, "run", commands)
    line = [str(tmp_path / "plan.json"), "--minutes", "1", "--data_root", "D", "--clips", "A"]
    paired_runs.main([*line, "--output_dir", str(tmp_path / "out"), "--perceptual_weights", "W"])
    training, evaluation = commands.seen[-2:]
    assert training[1].endswith("train_semantic_lens.py") and "--lpips_weights_path" not in training
    assert json.loads(Path(training[training.index("--lens_config") + 1]).read_text()) == {"image": False}
    assert "--steps" not in evaluation
    (tmp_path / "plan.json").write_text(json.dumps(plan | {"script": "train_distiller.py"}))
    with pytest.raises(SystemExit):
        paired_runs.main([*line, "--output_dir", str(tmp_path / "out")])


@pytest.mark.parametrize("name", ["paired_runs", "distiller_arms", "lens_arms"])
def test_the_plans_can_be_run(paired_runs: ModuleType, name: str, load_script: Callable[[str], ModuleType]) -> None:
    root = Path(__file__).parents[2]
    plan = json.loads((root / "benchmarks" / f"{name}.json").read_text())
    script, network = paired_runs.trained_by(plan)
    parse = load_script(f"examples/{script}").parse_arguments
    for arm in plan["arms"].values():
        words = paired_runs.options(plan["arguments"] | arm.get("arguments", {}))
        if "--lpips_weight" in words:
            words += ["--lpips_weights_path", "W"]
        args = parse(["--max_train_steps", "1", *words, "--data_root", "D", "--output_dir", "O"])
        assert (root / args.data_config).is_file()
        if network.name == "condenser":
            PixelCondenser(**PRESETS[args.preset]["pixel_condenser"] | arm.get("condenser", {}))
        else:
            lens = LENS_PRESETS[args.preset]["semantic_lens"] | arm.get("lens", {})
            SemanticLens(**lens | dict.fromkeys(args.without, False))
