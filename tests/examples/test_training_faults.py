# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""A real training is killed while it writes a checkpoint, or the disk is full: the last good one is never lost. Data
that are not usable end it with one line, before it starts where that can be known.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from in_process import logged_losses, run_script
from PIL import Image

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "train_semantic_lens.py"
RUNNER = Path(__file__).parent / "checkpoint_fault_runner.py"
KILLS = 6
ARGUMENTS = [str(SCRIPT), "--preset", "semantic-lens-tiny", "--lens_config", "lens.json", "--without", "image", "gps"]
ARGUMENTS += ["isee", "multi_frame_attention", "--train_data_dir", "train", "--resolution", "32", "--num_frames", "2"]
ARGUMENTS += ["--train_batch_size", "1", "--dataloader_num_workers", "0", "--max_train_steps", "3", "--use_ema"]
ARGUMENTS += ["--lr_warmup_steps", "1", "--logging_steps", "1", "--checkpointing_steps", "1"]


@pytest.fixture
def folder(tmp_path: Path, small_lens_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs are started: with a clip to train on and the configuration of a very small network."""
    rng = np.random.default_rng(0)
    (tmp_path / "train" / "clip").mkdir(parents=True)
    for i in range(4):
        Image.fromarray(rng.integers(0, 256, (40, 48, 3), np.uint8)).save(tmp_path / "train" / "clip" / f"{i}.png")
    (tmp_path / "lens.json").write_text(json.dumps(small_lens_config))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    return tmp_path


def test_killed_while_checkpointing_it_goes_on_to_the_same_losses(folder: Path) -> None:
    command = [sys.executable, str(RUNNER), str(KILLS), *ARGUMENTS]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout.splitlines()[-1])
    assert [line["step"] for line in report["undisturbed"]] == [1, 2, 3] and report["calls"] > 100
    assert len(report["killed"]) == KILLS
    for killed in report["killed"]:
        assert killed["status"] == signal.SIGKILL and killed["again"] == 0, (killed, result.stderr)
        last = int(killed["left"][-1].removeprefix("checkpoint-")) if killed["left"] else 0
        assert last in (killed["saved"], killed["saved"] + 1), killed  # the one being written may be whole already
        assert killed["log"] == report["undisturbed"], killed
        assert killed["end"] == ["checkpoint-3"], killed


def test_processes_that_are_not_joined_do_not_train_into_one_folder(folder: Path) -> None:
    """`accelerate launch --multi_gpu` starts them without a GPU, too, and its `Accelerator` takes each for alone."""
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    environment.pop("ACCELERATE_USE_CPU")
    command = [*launcher, "--main_process_port", "0", *ARGUMENTS, "--output_dir", "out"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert result.returncode != 0 and "exitcode  : 2 " in result.stderr, result.stderr
    assert "train_semantic_lens.py: error: 2 processes were started and accelerate joins none" in result.stderr
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("train_seeclear", "--preset tiny --train_data_dir train"),
        ("train_seeclear", "--preset tiny --train_data_dir train --dry_run"),
        ("train_semantic_lens", "--preset semantic-lens-tiny --train_data_dir train --dry_run"),
        ("train_distiller", "--instance_list list.json --data_root ."),
    ],
)
def test_every_script_notices_that_its_processes_are_not_joined(
    script: str, arguments: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path, environment = ROOT / "examples" / f"{script}.py", {"ACCELERATE_USE_CPU": "false", "WORLD_SIZE": "3"}
    with pytest.raises(SystemExit, match="2"):
        run_script(path, *arguments.split(), "--output_dir", "out", environment=environment)
    error = capfd.readouterr().err.splitlines()[-1]
    assert error.startswith(f"{script}.py: error: 3 processes were started and accelerate joins none of them")
    assert error.endswith("ACCELERATE_USE_CPU=true accelerate launch --multi_gpu --num_processes 3 ...")
    assert not (folder / "out").exists()


def train(output: Path, *extra: str) -> None:
    run_script(SCRIPT, *ARGUMENTS[1:], "--output_dir", str(output), "--resume_from_checkpoint", "latest", *extra)


def losses(output: Path) -> list[tuple[int, float]]:
    return [(step, loss) for step, loss, _ in logged_losses(output)]


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own."""
    disk = folder / "disk"
    disk.mkdir()
    try:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command; the same is tested with a stand-in below")
    if mounted.returncode:
        pytest.skip("mounting is not permitted here; the same is tested with a stand-in below")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_while_checkpointing(folder: Path, small_disk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    train(folder / "whole")
    checkpoint = size(folder / "whole" / "checkpoint-1")
    limit = checkpoint * 5 // 2 // 1024  # room for two checkpoints and a half
    subprocess.run(["mount", "-o", f"remount,size={limit}k", str(small_disk)], check=True)
    capfd.readouterr()
    with pytest.raises(SystemExit, match="2"):
        train(small_disk / "run")
    message = capfd.readouterr().err.splitlines()[-1]
    assert message.startswith("train_semantic_lens.py: error: the checkpoint ")
    assert "checkpoint-3' cannot be written: " in message and "on the disk; checkpoint-2 is whole" in message
    assert {path.name for path in (small_disk / "run").iterdir() if "checkpoint" in path.name} == {
        "checkpoint-1",
        "checkpoint-2",
    }
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    train(small_disk / "run")
    assert losses(small_disk / "run") == losses(folder / "whole")


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), RuntimeError("[...inline_container.cc:672]")]
)
def test_a_checkpoint_that_cannot_be_written(
    folder: Path, error: Exception, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """With a stand-in: the second time, writing the optimiser's state fails half-way."""
    save, calls = torch.save, []

    def fail(state: Any, path: Any, *arguments: Any, **settings: Any) -> None:
        calls.append(path)
        if "checkpoint-2" in str(path) and "optimizer" in str(path):
            Path(path).write_bytes(b"half")
            raise error
        save(state, path, *arguments, **settings)

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(SystemExit, match="2"):
        train(folder / "run")
    message = capfd.readouterr().err.splitlines()[-1]
    assert "checkpoint-2' cannot be written: " in message and "checkpoint-1 is whole, --resume_from" in message
    assert calls and [path.name for path in (folder / "run").iterdir() if "checkpoint" in path.name] == [
        "checkpoint-1"
    ]
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    train(folder / "run")
    assert [step for step, _ in losses(folder / "run")] == [1, 2, 3]


def save_frame(path: Path, height: int = 40, width: int = 48) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)).save(path)


def empty(folder: Path) -> None:
    (folder / "train" / "notes.txt").write_text("no frames")
    for file in (folder / "train" / "clip").iterdir():
        file.unlink()


def broken_off(folder: Path) -> None:
    file = folder / "train" / "clip" / "2.png"
    file.write_bytes(file.read_bytes()[:-100])


def too_short(folder: Path) -> None:
    save_frame(folder / "train" / "single" / "0.png")


def too_small(folder: Path) -> None:
    for i in range(4):
        save_frame(folder / "train" / "small" / f"{i}.png", 24, 48)


def mixed_sizes(folder: Path) -> None:
    save_frame(folder / "train" / "clip" / "2.png", 40, 44)


def broken_validation_frame(folder: Path) -> None:
    save_frame(folder / "validation" / "0.png")
    file = folder / "validation" / "0.png"
    file.write_bytes(file.read_bytes()[:-100])


def not_json(folder: Path) -> None:
    (folder / "lens.json").write_text("{channels: 8}")


def unknown_argument(folder: Path) -> None:
    (folder / "lens.json").write_text('{"chanels": 8}')


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (empty, "holds no video, no image and no folder of images (but those excluded): 'train'"),
        (broken_off, "train/clip/2.png' cannot be read: "),
        (
            too_short,
            "'train/single' has 1 frames of (40, 48) (height, width); a sample takes `clip_length` = 2 frames",
        ),
        (too_small, "'train/small' has 4 frames of (24, 48) (height, width); a sample takes `clip_length` = 2 frames"),
        (mixed_sizes, "train/clip/2.png' is (40, 44), other frames of its folder are (40, 48)"),
        (broken_validation_frame, "validation/0.png' cannot be read: "),
        (not_json, "'lens.json' cannot be read as JSON: "),
        (unknown_argument, "'lens.json' has ['chanels']; it may have values for scale, channels, "),
    ],
)
def test_unusable_data_end_a_training_before_it_starts(
    folder: Path, spoil: Callable[[Path], None], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    spoil(folder)
    extra = ["--validation_data", "validation"] if (folder / "validation").exists() else []
    with pytest.raises(SystemExit, match="2"):
        train(folder / "run", *extra)
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith("train_semantic_lens.py: error: ") and message in last
    assert not list((folder / "run").iterdir())


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_damaged_frame_that_is_met_in_training_is_named_and_checkpoints_stay(
    folder: Path, workers: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for i in range(4):
        file = folder / "train" / "clip" / f"{i}.png"
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 255  # its header and its end are whole
        file.write_bytes(content)
    save_frame(folder / "train" / "other" / "0.png")
    save_frame(folder / "train" / "other" / "1.png")
    with pytest.raises(SystemExit, match="2"):
        train(folder / "run", "--dataloader_num_workers", workers, "--max_train_steps", "10")
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith("train_semantic_lens.py: error: The image 'train/clip/"), last
    assert last.count("cannot be read") == 1
    assert [step for step, _ in losses(folder / "run")] == [1]  # the third clip drawn is damaged; one is read ahead
    assert {path.name for path in (folder / "run").glob("*checkpoint-*")} == {"checkpoint-1"}
