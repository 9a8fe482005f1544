# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Runs the real training script of the Semantic Distiller on a very small model and a few small frames: once as its
users launch it, then in this process, which saves imports.
"""

import copy
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState, GradientState
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from transformers import Mask2FormerConfig, Mask2FormerModel

from seeclear import SemanticDistiller

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "train_distiller.py"
WEIGHTS = "diffusion_pytorch_model.safetensors"
SMALL = {"num_tokens": 4, "num_clip_tokens": 8, "instance_layers": 1, "heads": 2, "working_size": 64 * 64}
NAMES = ("person", "animal")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips in DAVIS' layout, with a square that moves over noise; a background; the list and the model."""
    folder = tmp_path_factory.mktemp("distilling")
    rng = np.random.default_rng(0)
    for clip, colour in (("first", (220, 30, 30)), ("second", (30, 30, 220))):
        for kind in ("frames", "masks"):
            (folder / kind / clip).mkdir(parents=True)
        for i in range(4):
            frame = rng.integers(0, 256, (128, 192, 3), dtype=np.uint8)
            mask = np.zeros((128, 192), dtype=np.uint8)
            mask[32:96, 40 + 8 * i : 120 + 8 * i] = 255
            frame[mask > 0] = colour
            Image.fromarray(frame).save(folder / "frames" / clip / f"{i:05d}.png")
            Image.fromarray(mask).save(folder / "masks" / clip / f"{i:05d}.png")
    (folder / "photos").mkdir()
    Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(folder / "photos" / "noise.png")
    clips = dict(zip(("first", "second"), NAMES, strict=True))
    spec = {"frames": "frames", "masks": "masks", "clips": clips, "backgrounds": ["photos"]}
    (folder / "list.json").write_text(json.dumps(spec))
    segmenter = {"model_type": "mobile", "hidden_dim": 16, "num_queries": 8, "decoder_layers": 1, "heads": 2}
    (folder / "distiller.json").write_text(
        json.dumps(SMALL | {"segmenter_config": segmenter, "vocabulary": NAMES, "text_dim": 8})
    )
    return folder


def arguments(folder: Path, output: str, *extra: str, model: tuple[str, ...] = ()) -> list[str]:
    """The command line after the script's name."""
    given = [*(model or ("--distiller_config", str(folder / "distiller.json")))]
    given += ["--instance_list", str(folder / "list.json"), "--data_root", str(folder)]
    given += ["--output_dir", str(folder / output), "--num_frames", "2", "--height", "32", "--width", "48"]
    given += ["--train_batch_size", "2", "--max_train_steps", "2", "--lr_warmup_steps", "0", "--logging_steps", "1"]
    given += ["--validation_clips", "second", "--validation_steps", "1", "--checkpointing_minutes", "0", *extra]
    return given


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    """The script as a module, on one thread of the processor as in `whole_run`."""
    spec = importlib.util.spec_from_file_location("train_distiller", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "train_distiller", module)
        patch.setenv("ACCELERATE_USE_CPU", "true")
        spec.loader.exec_module(module)
        yield module
    torch.set_num_threads(threads)
    forget_accelerator()


def forget_accelerator() -> None:
    """accelerate keeps one state a process; the next run starts afresh."""
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


def run(script: ModuleType, *given: str) -> None:
    forget_accelerator()
    script.main(script.parse_arguments(given))


def log(folder: Path, output: str, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / output / f"{name}_log.jsonl").read_text().splitlines()]


def checkpoints(folder: Path, output: str) -> set[str]:
    return {path.name for path in (folder / output).iterdir() if "checkpoint" in path.name}


def weights(folder: Path, output: str) -> dict[str, Tensor]:
    return load_file(folder / output / WEIGHTS)


@pytest.fixture(scope="module")
def whole_run(folder: Path) -> str:
    """An uninterrupted run, launched as a script."""
    command = [sys.executable, str(SCRIPT), *arguments(folder, "whole", "--checkpoints_total_limit", "1")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return "whole"


def test_run_leaves_its_files_and_the_newest_checkpoints(folder: Path, whole_run: str) -> None:
    assert checkpoints(folder, whole_run) == {"checkpoint-2"}
    lines = log(folder, whole_run, "train")
    assert [line["step"] for line in lines] == [1, 2]
    assert all({"dice", "mask", "label", "seconds"} <= set(line) for line in lines)
    validated = log(folder, whole_run, "validation")
    assert [line["step"] for line in validated] == [1, 2]
    assert all(0 <= line[name] <= 1 for line in validated for name in ("best", "fixed", "best_second"))
    done = json.loads((folder / whole_run / "run.json").read_text())
    assert done["steps"] == 2 and done["arguments"]["num_frames"] == 2
    assert done["figures"] == {name: value for name, value in validated[-1].items() if name != "step"}


def test_exported_distiller_loads_and_finds_tokens(folder: Path, whole_run: str) -> None:
    assert {value.dtype for value in weights(folder, whole_run).values() if value.is_floating_point()} == {
        torch.float16
    }
    distiller = SemanticDistiller.from_pretrained(folder / whole_run)
    assert list(distiller.config.vocabulary) == list(NAMES)
    with torch.no_grad():
        output = distiller(torch.zeros(1, 2, 3, 32, 48))
    assert output.tokens.shape == (1, 2, 4, 16) and output.clip_masks.isfinite().all()


def test_resumed_run_equals_the_uninterrupted_one(folder: Path, whole_run: str, script: ModuleType) -> None:
    run(script, *arguments(folder, "resumed", "--max_train_minutes", "0"))
    assert checkpoints(folder, "resumed") == {"checkpoint-1"}
    with pytest.raises(ValueError, match="holds checkpoint-1 of an earlier run; give --resume_from_checkpoint latest"):
        run(script, *arguments(folder, "resumed"))
    run(script, *arguments(folder, "resumed", "--resume_from_checkpoint", "latest"))
    assert checkpoints(folder, "resumed") == {"checkpoint-1", "checkpoint-2"}
    whole, resumed = weights(folder, whole_run), weights(folder, "resumed")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    losses = [[{k: v for k, v in line.items() if k != "seconds"} for line in log(folder, output, "train")]
              for output in (whole_run, "resumed")]  # fmt: skip
    assert losses[0] == losses[1]


def test_projections_of_a_pretrained_segmenter(
    folder: Path, small_mask2former_config: dict[str, Any], script: ModuleType
) -> None:
    """The segmenter and its classes stay as they are, to the bit; only what adapts them to the condenser learns."""
    torch.manual_seed(0)
    model = Mask2FormerModel(
        Mask2FormerConfig(**copy.deepcopy(small_mask2former_config) | {"dropout": 0.1, "num_queries": 8})
    )
    distiller = SemanticDistiller.from_segmenter(
        model, vocabulary=NAMES, text_dim=8, token_dim=16, feature_dim=16, **SMALL
    )
    distiller.half().save_pretrained(folder / "pretrained")
    given = ("--pretrained_model_name_or_path", str(folder / "pretrained"), "--projections_only")
    run(script, *arguments(folder, "projections", model=given))
    before, after = weights(folder, "pretrained"), weights(folder, "projections")
    assert before.keys() == after.keys()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"token_projection", "feature_projection", "instances"}


@pytest.mark.parametrize(
    "extra, message",
    [
        (["--projections_only"], "--projections_only keeps a trained segmenter"),
        (["--pretrained_model_name_or_path", "whole"], "--distiller_config changes a --preset"),
        (["--preset", "huge"], "--preset is 'huge'; it may be one of"),
    ],
)
def test_arguments_that_do_not_go_together(
    folder: Path, script: ModuleType, extra: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        script.parse_arguments(arguments(folder, "refused", *extra))
    assert message in capsys.readouterr().err
