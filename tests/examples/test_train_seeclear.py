# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Launches the real training script on a very small model and a few small frames."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from seeclear import SeeClearPipeline

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "train_seeclear.py"
STEPS = 5

FEWER_LEVELS = {"channels": [16, 16], "self_attention": [False, True], "layers_per_level": 1, "middle_layers": 1}


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory,
    small_condenser_config: dict[str, Any],
    small_distiller_config: dict[str, Any],
) -> Path:
    """Clips to train and validate on, and the model's configuration."""
    folder = tmp_path_factory.mktemp("training")
    rng = np.random.default_rng(0)
    for clip in ("train/first", "train/second", "validation"):
        (folder / clip).mkdir(parents=True)
        for i in range(5):
            frame = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
            Image.fromarray(frame).save(folder / clip / f"{i}.png")
    (folder / "condenser.json").write_text(json.dumps(small_condenser_config | FEWER_LEVELS))
    (folder / "distiller.json").write_text(json.dumps(small_distiller_config))
    return folder


def launch(
    folder: Path,
    output: str,
    *extra: str,
    launcher: Sequence[str] = (sys.executable,),
    model: Sequence[str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs the script; gives the finished process."""
    if model is None:
        model = ["--preset", "tiny", "--condenser_config", "condenser.json", "--distiller_config", "distiller.json"]
    command = [*launcher, str(SCRIPT), *model, "--train_data_dir", "train", "--output_dir", output]
    command += ["--resolution", "32", "--num_frames", "2", "--train_batch_size", "2", "--dataloader_num_workers", "0"]
    command += ["--max_train_steps", str(STEPS), "--lr_warmup_steps", "1", "--logging_steps", "1", "--use_ema", *extra]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=500)


def log(folder: Path, output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / output / "train_log.jsonl").read_text().splitlines()]


def losses(folder: Path, output: str) -> list[tuple[int, float, float]]:
    return [(line["step"], line["loss"], line["lr"]) for line in log(folder, output)]


def checkpoints(folder: Path, output: str) -> set[str]:
    return {path.name for path in (folder / output).iterdir() if "checkpoint" in path.name}


def weights(folder: Path, output: str, component: str) -> dict[str, Tensor]:
    return load_file(folder / output / component / "diffusion_pytorch_model.safetensors")


@pytest.fixture
def fsdp() -> list[str]:
    """The launcher of two processes that share their weights out."""
    runner = Path(__file__).with_name("fsdp_runner.py")
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(runner)]


@pytest.fixture(scope="module")
def whole_run(folder: Path) -> str:
    """An uninterrupted run through accelerate's launcher, with validation."""
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1"]
    extra = ["--train_distiller", "all", "--checkpointing_steps", "1", "--checkpoints_total_limit", "2"]
    extra += ["--validation_data", "validation", "--validation_steps", "3", "--validation_inference_steps", "1", "2"]
    extra += [
        "--timestep_sampling",
        "final",
        "--color_weight",
        "0.1",
        "--channels_last",
        "--adversarial_weight",
        "0.1",
    ]
    run = launch(folder, "whole", *extra, launcher=launcher)
    assert run.returncode == 0, run.stderr
    return "whole"


def test_run_leaves_its_files_and_the_newest_checkpoints(folder: Path, whole_run: str) -> None:
    assert checkpoints(folder, whole_run) == {"checkpoint-4", "checkpoint-5"}
    assert [line["step"] for line in log(folder, whole_run)] == [1, 2, 3, 4, 5]
    assert {path.name for path in (folder / whole_run / "validation").iterdir()} == {"00000003.png", "00000005.png"}
    validation = (folder / whole_run / "validation_log.jsonl").read_text().splitlines()
    assert [set(json.loads(line)) for line in validation] == 2 * [
        {"step", "gain_1_steps", "gain_2_steps"}
        | {f"{name}_{way}" for name in ("psnr", "ssim") for way in ("bicubic", "1_steps", "2_steps")}
    ]
    card = (folder / whole_run / "README.md").read_text()
    assert "5 of 5 planned" in card and "first: 50.0 % of the clips" in card
    assert (
        (folder / whole_run / "pipeline.py")
        .read_text()
        .splitlines()[-1]
        .startswith("from seeclear import SeeClearPipeline")
    )


def test_exported_pipeline_is_fp16_and_upscales(folder: Path, whole_run: str) -> None:
    assert {value.dtype for value in weights(folder, whole_run, "pixel_condenser").values()} == {torch.float16}
    pipeline = SeeClearPipeline.from_pretrained(folder / whole_run, dtype=torch.float32)
    assert pipeline.config.clip_length == 2
    frames = pipeline(torch.rand(3, 3, 8, 12), output_type="pt").frames
    assert frames.shape == (1, 3, 3, 32, 48)


def test_resumed_run_equals_the_uninterrupted_one_to_the_last_bit(folder: Path, whole_run: str) -> None:
    extra = ["--train_distiller", "all", "--timestep_sampling", "final", "--color_weight", "0.1", "--channels_last"]
    extra += ["--adversarial_weight", "0.1"]
    first = launch(folder, "resumed", *extra, "--max_train_minutes", "0")
    assert first.returncode == 0, first.stderr
    assert checkpoints(folder, "resumed") == {"checkpoint-1"}
    second = launch(folder, "resumed", *extra, "--resume_from_checkpoint", "latest", "--checkpointing_steps", "2")
    assert second.returncode == 0, second.stderr
    assert losses(folder, "resumed") == losses(folder, whole_run)
    for component in ("pixel_condenser", "semantic_distiller"):
        ours, theirs = weights(folder, "resumed", component), weights(folder, whole_run, component)
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert checkpoints(folder, "resumed") == {"checkpoint-1", "checkpoint-2", "checkpoint-4", "checkpoint-5"}


def test_memory_stage_continues_a_pipeline_and_changes_the_memory_alone(folder: Path, whole_run: str) -> None:
    run = launch(folder, "memory", "--stage", "memory", model=["--pretrained_model_name_or_path", whole_run])
    assert run.returncode == 0, run.stderr
    before, after = (weights(folder, output, "pixel_condenser") for output in (whole_run, "memory"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("memory.") or ".category." in name for name in changed)
    distillers = [weights(folder, output, "semantic_distiller") for output in (whole_run, "memory")]
    assert all(torch.equal(distillers[0][name], distillers[1][name]) for name in distillers[0])


def test_motion_compensation_sees_frames_around_those_that_are_trained_on(
    folder: Path, small_condenser_config: dict[str, Any]
) -> None:
    """A clip of one frame has neighbors only where more frames are seen than are trained on."""
    config = small_condenser_config | FEWER_LEVELS | {"motion_compensation": True}
    (folder / "moving.json").write_text(json.dumps(config))
    model = ["--preset", "tiny", "--condenser_config", "moving.json", "--distiller_config", "distiller.json"]
    for output, options in {
        "alone": [],
        "around": ["--prior_frames", "3"],
        "around-clips": ["--prior_frames", "4", "--stage", "joint"],
    }.items():
        run = launch(folder, output, "--num_frames", "1", *options, model=model)
        assert run.returncode == 0, run.stderr
        learned = weights(folder, output, "pixel_condenser")["conv_moved.weight"]
        assert learned.any() == (output != "alone")


def test_two_processes_equal_one_with_twice_the_batch(folder: Path) -> None:
    # so large an epsilon makes AdamW's update proportional to the gradient
    extra = ["--stage", "joint", "--max_train_steps", "2", "--lr_warmup_steps", "0", "--checkpointing_steps", "1"]
    extra += ["--adam_epsilon", "1", "--learning_rate", "0.1", "--adversarial_weight", "0.1"]
    run = launch(folder, "one", *extra)
    assert run.returncode == 0, run.stderr
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launcher += ["--main_process_port", "0"]  # any that is free
    run = launch(folder, "two", *extra, "--train_batch_size", "1", launcher=launcher)
    assert run.returncode == 0, run.stderr
    one, two = log(folder, "one"), log(folder, "two")
    assert [line["loss"] for line in two] == pytest.approx([line["loss"] for line in one], rel=1e-5)
    start, ours, theirs = (
        load_file(folder / output / "model.safetensors")
        for output in ("one/checkpoint-1", "one/checkpoint-2", "two/checkpoint-2")
    )
    assert any(not torch.equal(start[name], ours[name]) for name in ours)
    for name, value in ours.items():
        torch.testing.assert_close(theirs[name], value, rtol=1e-4, atol=1e-6)
    alone, together = (
        torch.load(folder / output / "checkpoint-1" / "custom_checkpoint_0.pkl", weights_only=True)["optimizer"]
        for output in ("one", "two")
    )
    for index, state in alone["state"].items():  # the discriminator's, with the averages of its gradients
        assert float(state["exp_avg"].abs().max()) > 0
        torch.testing.assert_close(together["state"][index]["exp_avg"], state["exp_avg"], rtol=1e-3, atol=1e-7)


def test_weights_shared_out_by_fsdp_equal_whole_ones(folder: Path, fsdp: Sequence[str]) -> None:
    """Two processes that keep half of each weight, interrupted, against one with twice the batch: losses, averaged
    weights, validation.
    """
    extra = ["--max_train_steps", "3", "--lr_warmup_steps", "0", "--adam_epsilon", "1", "--learning_rate", "300"]
    extra += ["--adam_weight_decay", "0", "--validation_data", "validation", "--ema_decay", "0.5"]
    run = launch(folder, "whole-weights", *extra)
    assert run.returncode == 0, run.stderr
    for more in (["--max_train_minutes", "0"], ["--resume_from_checkpoint", "latest"]):
        run = launch(folder, "shared-weights", *extra, "--train_batch_size", "1", *more, launcher=fsdp)
        assert run.returncode == 0, run.stderr
    one, two = log(folder, "whole-weights"), log(folder, "shared-weights")
    assert [line["loss"] for line in two] == pytest.approx([line["loss"] for line in one], rel=1e-5)
    figures = [
        json.loads((folder / output / "validation_log.jsonl").read_text().splitlines()[-1])
        for output in ("whole-weights", "shared-weights")
    ]
    assert figures[1]["psnr_1_steps"] == pytest.approx(figures[0]["psnr_1_steps"], rel=1e-6)
    ours, theirs = (weights(folder, output, "pixel_condenser") for output in ("whole-weights", "shared-weights"))
    last = load_file(folder / "whole-weights" / "checkpoint-3" / "model.safetensors")  # not averaged
    assert max((last[f"pixel_condenser.{name}"] - value).abs().max() for name, value in ours.items()) > 1e-3
    for name, value in ours.items():
        torch.testing.assert_close(theirs[name], value, rtol=2e-3, atol=2e-4)


def test_fsdp_must_be_the_second(folder: Path, fsdp: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FSDP_VERSION", "1")
    run = launch(folder, "flattened", launcher=fsdp)
    assert run.returncode != 0
    assert "train_seeclear.py: error: accelerate's configuration has `fsdp_version` 1; it must be 2" in run.stderr


def test_a_deeper_condenser_starts_from_a_trained_one(folder: Path, whole_run: str) -> None:
    config = json.loads((folder / "condenser.json").read_text())
    (folder / "deeper.json").write_text(json.dumps(config | {"refinement_blocks": 1}))
    model = ["--preset", "tiny", "--condenser_config", "deeper.json", "--distiller", whole_run]
    shutil.copytree(folder / whole_run, folder / "longer", ignore=shutil.ignore_patterns("checkpoint-*"))
    index = folder / "longer" / "model_index.json"
    in_use = json.loads(index.read_text()) | {"clip_length": 7, "clip_overlap": 1}
    index.write_text(json.dumps(in_use))
    run = launch(folder, "deeper", "--start_from", "longer", "--learning_rate", "0", model=model)
    assert run.returncode == 0, run.stderr
    made = json.loads((folder / "deeper" / "model_index.json").read_text())
    assert [made[name] for name in ("clip_length", "clip_overlap")] == [7, 1]  # not as long as a training clip
    before, after = (weights(folder, output, "pixel_condenser") for output in (whole_run, "deeper"))
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert {name for name in after if name not in before} == {
        f"refinement.0.conv{i}.{kind}" for i in (1, 2) for kind in ("weight", "bias")
    }


def test_an_earlier_run_is_not_overwritten(folder: Path, whole_run: str) -> None:
    run = launch(folder, whole_run)
    assert run.returncode == 2 and "Traceback" not in run.stderr
    message = run.stderr.splitlines()[-1]
    assert message.startswith("train_seeclear.py: error: ")
    assert "holds checkpoint-5 of an earlier run; give --resume_from_checkpoint latest" in message
