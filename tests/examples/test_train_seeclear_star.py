# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Runs the real training script with a prior, in this process, on a very small model and a few small frames."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from in_process import logged_losses, run_script
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from seeclear import SeeClearPipeline, SemanticDistiller, SemanticLens, SemanticLensPipeline
from seeclear.pipelines.prior import distiller_digest

SCRIPT = Path(__file__).parents[2] / "examples" / "train_seeclear.py"
FEWER_LEVELS = {"channels": [16, 16], "self_attention": [False, True], "layers_per_level": 1, "middle_layers": 1}
OPTIONS = ["--channels_last", "--prior_probability", "0.5", "--grid_weight", "1"]
WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory,
    small_condenser_config: dict[str, Any],
    small_distiller_config: dict[str, Any],
    small_lens_config: dict[str, Any],
    randomize: Callable[..., nn.Module],
) -> Path:
    """Clips to train and validate on, the condenser's configuration, and a Semantic Lens with its distiller."""
    folder = tmp_path_factory.mktemp("training")
    rng = np.random.default_rng(0)
    for clip in ("train/first", "train/second", "validation"):
        (folder / clip).mkdir(parents=True)
        for i in range(5):
            Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(folder / clip / f"{i}.png")
    (folder / "condenser.json").write_text(json.dumps(small_condenser_config | FEWER_LEVELS))
    (folder / "distiller.json").write_text(json.dumps(small_distiller_config))
    torch.manual_seed(0)
    lens = randomize(SemanticLens(**small_lens_config))
    pipeline = SemanticLensPipeline(lens, SemanticDistiller(**small_distiller_config))
    lens.register_to_config(distiller_digest=distiller_digest(pipeline.semantic_distiller))
    pipeline.to(dtype=torch.float16).save_pretrained(folder / "lens")
    return folder


def launch(folder: Path, output: str, *extra: str, model: list[str] | None = None) -> None:
    """Runs the script to its end."""
    if model is None:
        model = ["--preset", "tiny", "--condenser_config", "condenser.json", "--prior", "lens"]
        model += ["--distiller", "lens/semantic_distiller"]
    arguments = [*model, "--train_data_dir", "train", "--output_dir", output, "--use_ema"]
    arguments += ["--resolution", "32", "--num_frames", "2", "--train_batch_size", "2", "--max_train_steps", "3"]
    arguments += ["--dataloader_num_workers", "0", "--lr_warmup_steps", "1", "--logging_steps", "1"]
    run_script(SCRIPT, *arguments, *extra, folder=folder)


def losses(folder: Path, output: str) -> list[tuple[int, float, float]]:
    return logged_losses(folder / output)


def weights(folder: Path, output: str, component: str = "pixel_condenser") -> dict[str, Tensor]:
    return load_file(folder / output / component / WEIGHTS)


@pytest.fixture(scope="module")
def whole_run(folder: Path) -> str:
    """An uninterrupted run with validation."""
    launch(folder, "whole", *OPTIONS, "--validation_data", "validation", "--validation_steps", "3")
    return "whole"


def test_exported_pipeline_is_seeclear_star_with_the_given_prior(folder: Path, whole_run: str) -> None:
    for file in (WEIGHTS, "config.json"):
        exported, given = (folder / path / file for path in (f"{whole_run}/prior", "lens/semantic_lens"))
        if file == WEIGHTS:
            assert exported.read_bytes() == given.read_bytes()
        else:
            ours, theirs = (json.loads(path.read_text()) for path in (exported, given))
            assert {k: v for k, v in ours.items() if k[0] != "_"} == {k: v for k, v in theirs.items() if k[0] != "_"}
    files = sorted(path.parent.name for path in (folder / whole_run).glob(f"*/{WEIGHTS}"))
    assert files == ["pixel_condenser", "prior", "semantic_distiller"]  # nothing twice
    pipeline = SeeClearPipeline.from_pretrained(folder / whole_run, dtype=torch.float32)
    assert type(pipeline.prior) is SemanticLens
    pipeline.set_progress_bar_config(disable=True)
    video, generator = torch.rand(3, 3, 8, 12), torch.Generator()
    frames = pipeline(video, generator=generator.manual_seed(0), output_type="pt").frames
    assert frames.shape == (1, 3, 3, 32, 48)
    pipeline.register_modules(prior=None)
    assert not torch.equal(pipeline(video, generator=generator.manual_seed(0), output_type="pt").frames, frames)
    card = (folder / whole_run / "README.md").read_text()
    assert (
        "| parameters of `prior` |" in card
        and "[SeeClear\\*](https" in card
        and "| prior | lens, for 50% of the clips |" in card
    )


def test_resumed_run_equals_the_uninterrupted_one_to_the_last_bit(folder: Path, whole_run: str) -> None:
    launch(folder, "resumed", *OPTIONS, "--max_train_minutes", "0")
    launch(folder, "resumed", *OPTIONS, "--resume_from_checkpoint", "latest")
    assert losses(folder, "resumed") == losses(folder, whole_run)
    for component in ("pixel_condenser", "prior"):
        ours, theirs = weights(folder, "resumed", component), weights(folder, whole_run, component)
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_the_prior_may_see_more_frames_and_semantics_are_kept(folder: Path, whole_run: str) -> None:
    options = [*OPTIONS, "--prior_frames", "4", "--semantics_dir", "kept"]
    launch(folder, "context", *options)
    files = {path: path.stat().st_mtime_ns for path in (folder / "kept").rglob("*.safetensors")}
    launch(folder, "context-again", *options)
    assert losses(folder, "context") == losses(folder, "context-again") != losses(folder, whole_run)
    assert files and files == {path: path.stat().st_mtime_ns for path in (folder / "kept").rglob("*.safetensors")}
    card = (folder / "context" / "README.md").read_text()
    assert "| prior | lens, which saw 4 frames, for 50% of the clips |" in card


def test_a_saved_pipeline_keeps_its_prior_in_all_stages(folder: Path, whole_run: str) -> None:
    model = ["--pretrained_model_name_or_path", whole_run]
    launch(folder, "joint", "--stage", "joint", "--max_train_steps", "1", "--lr_warmup_steps", "0", model=model)
    launch(
        folder,
        "named",
        "--stage",
        "joint",
        "--max_train_steps",
        "1",
        "--lr_warmup_steps",
        "0",
        model=[*model, "--prior", "lens"],
    )
    assert losses(folder, "joint") == losses(folder, "named")
    ours, theirs = weights(folder, "joint", "prior"), weights(folder, "lens", "semantic_lens")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    before, after = weights(folder, whole_run), weights(folder, "joint")
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_wrong_priors_end_the_run_in_one_line(folder: Path, whole_run: str, capfd: pytest.CaptureFixture[str]) -> None:
    model = ["--preset", "tiny", "--condenser_config", "condenser.json", "--distiller_config", "distiller.json"]
    with pytest.raises(SystemExit, match="2"):
        launch(folder, "wrong", model=[*model, "--prior", "lens"])
    error = capfd.readouterr().err
    assert "error: `prior` was trained with the Semantic Distiller" in error and "and the pipeline's is" in error
    with pytest.raises(SystemExit, match="2"):
        launch(folder, "wrong", model=["--pretrained_model_name_or_path", whole_run, "--train_distiller", "all"])
    assert "`train_distiller` is 'all'; it must be 'nothing' where the prior works" in capfd.readouterr().err
    assert not list((folder / "wrong").glob("checkpoint-*"))


def test_a_condenser_that_looks_at_the_priors_features(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    config = json.loads((folder / "condenser.json").read_text()) | {"prior_feature_channels": 16}
    (folder / "knowing.json").write_text(json.dumps(config))
    model = ["--preset", "tiny", "--condenser_config", "knowing.json", "--prior", "lens"]
    model += ["--distiller", "lens/semantic_distiller"]
    launch(folder, "knowing", "--prior_frames", "4", model=model)
    trained = weights(folder, "knowing")
    assert trained["conv_prior.weight"].any() and trained["refine_prior.weight"].any()
    launch(folder, "knowing-resumed", "--prior_frames", "4", "--max_train_minutes", "0", model=model)
    launch(folder, "knowing-resumed", "--prior_frames", "4", "--resume_from_checkpoint", "latest", model=model)
    assert losses(folder, "knowing-resumed") == losses(folder, "knowing")
    launch(folder, "dry", "--dry_run", model=model)
    capfd.readouterr()
    for options, error in (
        (["--prior_dir", "kept"], "`prior_dir` was given; it keeps frames, and this condenser looks at the features"),
        (["--prior_probability", "0.5"], "`prior_probability` is 0.5; it must be 1 for this condenser"),
    ):
        for way in ([], ["--dry_run"]):
            with pytest.raises(SystemExit, match="2"):
                launch(folder, "refused", *options, *way, model=model)
            assert f"error: {error}" in capfd.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        launch(folder, "refused", model=[*model[:4], "--distiller", "lens/semantic_distiller"])
    assert "error: `prior` is None; this condenser looks at the features of its prior" in capfd.readouterr().err
    assert not list((folder / "refused").glob("checkpoint-*"))
