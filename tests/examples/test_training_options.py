# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What all training scripts take beside data and a model, on a very small Semantic Lens, in this process."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from in_process import run_script
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from seeclear import SemanticLensPipeline
from seeclear.training import loop

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, small_lens_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    rng = np.random.default_rng(0)
    for clip in ("train/clip", "validation"):
        (tmp_path / clip).mkdir(parents=True)
        for i in range(4):
            Image.fromarray(rng.integers(0, 256, (40, 48, 3), np.uint8)).save(tmp_path / clip / f"{i}.png")
    (tmp_path / "lens.json").write_text(json.dumps(small_lens_config))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    return tmp_path


def train(output: str, *extra: str) -> tuple[dict[str, Tensor], list[float]]:
    """The trained weights, in float32, and the losses."""
    arguments = ["--preset", "semantic-lens-tiny", "--lens_config", "lens.json", "--without", "image", "gps", "isee"]
    arguments += ["multi_frame_attention", "--train_data_dir", "train", "--resolution", "32", "--num_frames", "2"]
    arguments += ["--train_batch_size", "2", "--dataloader_num_workers", "0", "--max_train_steps", "2"]
    arguments += ["--lr_warmup_steps", "0", "--logging_steps", "1", "--checkpointing_steps", "1"]
    # so large an epsilon makes AdamW's update proportional to the gradient
    arguments += ["--adam_epsilon", "1", "--learning_rate", "0.1", "--output_dir", output, *extra]
    run_script(EXAMPLES / "train_semantic_lens.py", *arguments)
    log = [json.loads(line)["loss"] for line in Path(output, "train_log.jsonl").read_text().splitlines()]
    return load_file(Path(output, "checkpoint-2", "model.safetensors")), log


@pytest.mark.parametrize(
    "option",
    [["--train_batch_size", "1", "--gradient_accumulation_steps", "2"], ["--gradient_checkpointing"]],
)
def test_the_same_gradient_in_less_memory(option: list[str]) -> None:
    weights, losses = train("whole")
    other, other_losses = train("less", *option)
    assert other_losses == pytest.approx(losses, rel=1e-5)
    for name, value in weights.items():
        torch.testing.assert_close(other[name], value, rtol=1e-4, atol=1e-6)


def test_bf16_is_close_and_keeps_weights_in_float32() -> None:
    weights, losses = train("whole")
    lowered, lowered_losses = train("lowered", "--mixed_precision", "bf16")
    assert lowered_losses == pytest.approx(losses, rel=0.02)
    assert {value.dtype for value in lowered.values()} == {torch.float32}
    assert any(not torch.equal(lowered[name], weights[name]) for name in weights)


def test_muon_resumes_exactly() -> None:
    muon = ["--optimizer", "muon"]
    weights, losses = train("through", *muon)
    train("halves", *muon, "--checkpoints_total_limit", "2", "--max_train_steps", "2")
    shutil.rmtree("halves/checkpoint-2")
    again, later = train("halves", *muon, "--resume_from_checkpoint", "latest")
    assert later == losses
    assert all(torch.equal(again[name], value) for name, value in weights.items())
    plain, _ = train("plain")
    assert any(not torch.equal(plain[name], value) for name, value in weights.items())
    assert "Muon" in Path("through/README.md").read_text()


def test_gradients_are_clipped() -> None:
    start, _ = train("tiny-steps", "--max_grad_norm", "1e-6")
    whole, _ = train("whole")
    moved = {name: (whole[name] - start[name]).abs().max() for name in start}
    assert max(moved.values()) > 1e-4
    again, _ = train("again", "--max_grad_norm", "1e-7")
    for name, value in start.items():
        torch.testing.assert_close(again[name], value, rtol=0, atol=1e-6)


def test_a_run_ended_while_it_validates_leaves_its_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "validate", end)
    with pytest.raises(KeyboardInterrupt):
        train("run", "--validation_data", "validation", "--validation_frames", "2")
    pipeline = SemanticLensPipeline.from_pretrained("run")
    for name, value in load_file("run/checkpoint-2/model.safetensors").items():
        torch.testing.assert_close(pipeline.semantic_lens.state_dict()[name], value, rtol=1e-3, atol=1e-6)
    assert "the run ended before it had validated on validation." in Path("run", "README.md").read_text()


def test_figures_go_to_the_tracker(monkeypatch: pytest.MonkeyPatch) -> None:
    logged: dict[str, list[int]] = {}

    def note(_: Accelerator, values: dict[str, Any], step: int) -> None:
        for name in values:
            logged.setdefault(name, []).append(step)

    monkeypatch.setattr(Accelerator, "log", note)
    train("out", "--validation_data", "validation", "--validation_steps", "1")
    assert logged["loss"] == logged["lr"] == [1, 2]
    for name in ("psnr_bicubic", "psnr_1_steps", "ssim_bicubic", "ssim_1_steps", "gain_1_steps"):
        assert logged[f"validation/{name}"] == [1, 2]


def test_push_to_hub_uploads_the_pipeline_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, dict[str, Any]]] = []

    class Repository:
        repo_id = "someone/my-lens"

    def create_repo(name: str, **settings: Any) -> Repository:
        calls.append((name, settings))
        return Repository()

    monkeypatch.setattr(loop, "create_repo", create_repo)
    monkeypatch.setattr(loop, "upload_folder", lambda **settings: calls.append(("upload", settings)))
    train("out", "--push_to_hub", "--hub_model_id", "someone/my-lens", "--hub_token", "secret")
    assert calls[0] == ("someone/my-lens", {"exist_ok": True, "token": "secret"})
    upload = calls[1][1]
    assert (upload["repo_id"], upload["token"]) == ("someone/my-lens", "secret")
    assert "checkpoint-*" in upload["ignore_patterns"] and Path(upload["folder_path"], "model_index.json").is_file()
    card = Path("out", "README.md").read_text()
    assert "secret" not in card and "someone/my-lens" in card


@pytest.mark.parametrize("script", ["train_seeclear", "train_semantic_lens", "train_distiller"])
def test_help(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        run_script(EXAMPLES / f"{script}.py", "--help")
    assert "--train_batch_size" in capsys.readouterr().out
