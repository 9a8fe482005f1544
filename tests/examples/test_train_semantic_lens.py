# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Runs the real training script of Semantic Lens, in this process, on a very small model and a few small frames."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from in_process import logged_losses, run_script
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from seeclear import SemanticDistiller, SemanticLensPipeline
from seeclear.pipelines.prior import distiller_digest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "train_semantic_lens.py"
STEPS = 4
PLAIN = ["--without", "image", "gps", "isee", "multi_frame_attention"]


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, small_distiller_config: dict[str, Any], small_lens_config: dict[str, Any]
) -> Path:
    """Clips to train and validate on, and the model's configuration."""
    folder = tmp_path_factory.mktemp("training")
    rng = np.random.default_rng(0)
    for clip in ("train/first", "train/second", "validation"):
        (folder / clip).mkdir(parents=True)
        for i in range(4):
            frame = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
            Image.fromarray(frame).save(folder / clip / f"{i}.png")
    (folder / "lens.json").write_text(json.dumps(small_lens_config))
    (folder / "distiller.json").write_text(json.dumps(small_distiller_config))
    return folder


def launch(folder: Path, output: str, *extra: str, model: list[str] | None = None) -> None:
    """Runs the script to its end."""
    if model is None:
        model = ["--preset", "semantic-lens-tiny", "--lens_config", "lens.json"]
        model += ["--distiller_config", "distiller.json"]
    arguments = [*model, "--train_data_dir", "train", "--output_dir", output]
    arguments += [
        "--resolution",
        "32",
        "--num_frames",
        "2",
        "--train_batch_size",
        "2",
        "--dataloader_num_workers",
        "0",
    ]
    arguments += ["--max_train_steps", str(STEPS), "--lr_warmup_steps", "1", "--logging_steps", "1", "--use_ema"]
    run_script(SCRIPT, *arguments, *extra, folder=folder)


def losses(folder: Path, output: str) -> list[tuple[int, float, float]]:
    return logged_losses(folder / output)


def checkpoints(folder: Path, output: str) -> set[str]:
    return {path.name for path in (folder / output).iterdir() if "checkpoint" in path.name}


def weights(folder: Path, output: str, component: str = "semantic_lens") -> dict[str, Tensor]:
    return load_file(folder / output / component / "diffusion_pytorch_model.safetensors")


@pytest.fixture(scope="module")
def whole_run(folder: Path) -> str:
    """An uninterrupted run with validation."""
    extra = ["--checkpointing_steps", "1", "--checkpoints_total_limit", "2", "--channels_last"]
    launch(folder, "whole", *extra, "--validation_data", "validation", "--validation_steps", "3")
    return "whole"


def test_run_leaves_its_files_and_the_newest_checkpoints(folder: Path, whole_run: str) -> None:
    assert checkpoints(folder, whole_run) == {"checkpoint-3", "checkpoint-4"}
    assert [step for step, *_ in losses(folder, whole_run)] == [1, 2, 3, 4]
    assert {path.name for path in (folder / whole_run / "validation").iterdir()} == {"00000003.png", "00000004.png"}
    card = (folder / whole_run / "README.md").read_text()
    assert "4 of 4 planned" in card and "first: 50.0 % of the clips" in card
    assert "| modules | image, gps, isee, multi_frame_attention |" in card and "SemanticLensPipeline" in card
    assert "examples/train_semantic_lens.py" in card and "SeeClearPipeline" not in card


def test_exported_pipeline_is_fp16_and_upscales(folder: Path, whole_run: str) -> None:
    assert {value.dtype for value in weights(folder, whole_run).values()} == {torch.float16}
    pipeline = SemanticLensPipeline.from_pretrained(folder / whole_run, dtype=torch.float32)
    assert pipeline(torch.rand(3, 3, 8, 12), output_type="pt").frames.shape == (1, 3, 3, 32, 48)


def test_resumed_run_equals_the_uninterrupted_one_to_the_last_bit(folder: Path, whole_run: str) -> None:
    launch(folder, "resumed", "--channels_last", "--max_train_minutes", "0")
    assert checkpoints(folder, "resumed") == {"checkpoint-1"}
    launch(folder, "resumed", "--channels_last", "--resume_from_checkpoint", "latest")
    assert losses(folder, "resumed") == losses(folder, whole_run)
    for component in ("semantic_lens", "semantic_distiller"):
        ours, theirs = weights(folder, "resumed", component), weights(folder, whole_run, component)
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_saved_pipeline_goes_on_and_its_distiller_stays(folder: Path, whole_run: str) -> None:
    launch(folder, "more", model=["--pretrained_model_name_or_path", whole_run])
    before, after = weights(folder, whole_run), weights(folder, "more")
    assert any(not torch.equal(before[name], after[name]) for name in before)
    distillers = [weights(folder, output, "semantic_distiller") for output in (whole_run, "more")]
    assert all(torch.equal(distillers[0][name], distillers[1][name]) for name in distillers[0])


def test_a_saved_pipeline_goes_on_with_another_distiller(
    folder: Path, whole_run: str, small_distiller_config: dict[str, Any]
) -> None:
    """Given by a pipeline's folder; this one looks at motion."""
    torch.manual_seed(5)
    other = SemanticDistiller(**small_distiller_config, motion=True)
    other.save_pretrained(folder / "other" / "semantic_distiller")
    launch(folder, "changed", model=["--pretrained_model_name_or_path", whole_run, "--distiller", "other"])
    exported = weights(folder, "changed", "semantic_distiller")
    assert exported.keys() == other.state_dict().keys()
    assert all(torch.equal(value.half(), exported[name]) for name, value in other.state_dict().items())
    before, after = weights(folder, whole_run), weights(folder, "changed")
    assert any(not torch.equal(before[name], after[name]) for name in before)
    trained, changed = (SemanticLensPipeline.from_pretrained(folder / name) for name in (whole_run, "changed"))
    for pipeline in (trained, changed):
        digest = distiller_digest(pipeline.semantic_distiller)
        assert pipeline.semantic_lens.config.distiller_digest == digest
    assert digest != trained.semantic_lens.config.distiller_digest


def test_the_ablations_plain_network_trains_without_a_distiller(folder: Path) -> None:
    launch(folder, "plain", *PLAIN)
    assert not (folder / "plain" / "semantic_distiller").exists()
    assert not any(name.startswith("attention.") or ".image." in name for name in weights(folder, "plain"))
    assert "| modules | none |" in (folder / "plain" / "README.md").read_text()


def test_modules_are_put_on_a_trained_plain_network_and_change_nothing_at_first(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = ["--preset", "semantic-lens-tiny", "--lens_config", "lens.json", "--distiller_config", "distiller.json"]
    launch(folder, "trained", *PLAIN, "--learning_rate", "1e-2", model=model)
    launch(folder, "extended", "--start_from", "trained", "--learning_rate", "0", model=model)
    trained, extended = (SemanticLensPipeline.from_pretrained(folder / name) for name in ("trained", "extended"))
    assert extended.semantic_lens.needs_semantics and not trained.semantic_lens.needs_semantics
    frames = torch.rand(3, 3, 8, 12)
    before, after = (pipe(frames, output_type="pt").frames for pipe in (trained, extended))
    assert torch.equal(before, after)

    (folder / "narrow.json").write_text(json.dumps({"channels": 16, "head_dim": 8}))
    (folder / "broad.json").write_text(json.dumps({"channels": 32, "head_dim": 8}))
    launch(folder, "narrow", *PLAIN, model=["--preset", "semantic-lens-tiny", "--lens_config", "narrow.json"])
    broad = ["--preset", "semantic-lens-tiny", "--lens_config", "broad.json", "--start_from", "narrow"]
    with pytest.raises(SystemExit, match="2"):
        launch(folder, "unfit", *PLAIN, model=broad)
    message = capfd.readouterr().err.splitlines()[-1]
    assert "`start_from` has `" in message and "for which there is no place: (32" in message
    with pytest.raises(SystemExit, match="2"):
        launch(folder, "unfit", *PLAIN, model=[*broad[:-1], "nowhere"])
    assert "`start_from` is 'nowhere'; it must be a folder" in capfd.readouterr().err.splitlines()[-1]


def test_a_lens_learns_from_a_teachers_frames(folder: Path, whole_run: str) -> None:
    """Its own teacher has nothing to tell it: the loss is Charbonnier's least, 0.001. True frames do."""
    taught = ["--teacher", whole_run, "--learning_rate", "0", "--max_train_steps", "1"]
    model = ["--pretrained_model_name_or_path", whole_run]
    for weight in ("1", "0.25", "0"):
        launch(folder, f"taught-{weight}", *taught, "--teacher_weight", weight, model=model)
    alone, mixed, true = (losses(folder, f"taught-{weight}")[0][1] for weight in ("1", "0.25", "0"))
    assert alone == pytest.approx(1e-3, rel=1e-3) and true > 0.1
    assert mixed == pytest.approx(0.25 * alone + 0.75 * true, rel=1e-6)
    assert "25% to a teacher's frames" in (folder / "taught-0.25" / "README.md").read_text()

    launch(folder, "whole-videos", *taught, "--teacher_weight", "1", "--teacher_dir", "frames", model=model)
    assert len(list((folder / "frames").rglob("*.safetensors"))) == 2
    (line,) = losses(folder, "whole-videos")
    assert 1e-3 < line[1] < true  # it sees more there than in a crop, and in 8 bits


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--teacher_dir", "frames"], "--teacher_dir needs --teacher"),
        (["--teacher", "trained", "--teacher_weight", "2"], "--teacher_weight is 2.0; it must be in [0, 1]"),
        (["--teacher", "nowhere"], "`teacher` is 'nowhere'; it must be a folder"),
        (
            ["--teacher", "seeclear-tiny"],
            "`teacher` is 'seeclear-tiny', a SeeClearPipeline; it must be a Semantic Lens",
        ),
        (
            ["--teacher", "semantic-lens-tiny", "--teacher_dir", "frames", "--degradation", "real"],
            "`teacher_dir` needs a `degradation` without chance in it",
        ),
    ],
)
def test_a_wrong_teacher_ends_in_one_line(
    arguments: list[str], message: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        launch(folder, "untaught", *arguments)
    assert message in capfd.readouterr().err.splitlines()[-1]


def test_wrong_arguments_end_in_one_line(folder: Path, whole_run: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        launch(folder, "wrong", model=["--pretrained_model_name_or_path", whole_run, "--without", "gps"])
    assert "--without and --start_from change a --preset" in capfd.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        launch(folder, whole_run)
    message = capfd.readouterr().err.splitlines()[-1]
    assert "holds checkpoint-4 of an earlier run; give --resume_from_checkpoint latest" in message
