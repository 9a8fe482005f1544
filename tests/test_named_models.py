# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Models by the names of shipped weights: those that are shipped, and small ones of every kind in their place."""

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers.models import modeling_utils
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from seeclear import SeeClearPipeline, SemanticLens, SemanticLensPipeline, load_pipeline
from seeclear.app.cli import app
from seeclear.app.models import load_model
from seeclear.metrics.perceptual import file_hash
from seeclear.pipelines.memory import choose_clips_and_tile, estimate_peak_bytes
from seeclear.shipped import SHIPPED_WEIGHTS

ROOT = Path(__file__).parent.parent
NAMES = (
    "semantic-lens-tiny",
    "semantic-lens",
    "seeclear-tiny",
    "seeclear-star-tiny",
    "seeclear-star",
    "seeclear-real-tiny",
    "seeclear-real",
)
WITH_PRIOR = {"seeclear-star-tiny", "seeclear-star", "seeclear-real-tiny", "seeclear-real"}
REAL_FIGURES = [
    f"{name}-{low_res}"
    for name in ("seeclear-real-tiny", "seeclear-real")
    for low_res in ("crf18", "crf23", "crf28", "real")
]
LARGEST_FILE = 16 * 2**20


@pytest.fixture
def shelf(
    small_components: dict[str, Any],
    small_lens_config: dict[str, Any],
    randomize: Callable[..., nn.Module],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """Small pipelines under the names, where the shipped weights are looked for."""
    folder = tmp_path / "weights"
    lens = randomize(SemanticLens(**small_lens_config)).eval()
    without_semantics = dict.fromkeys(("image", "gps", "isee"), False)
    plain = randomize(SemanticLens(**small_lens_config | without_semantics)).eval()
    cleaning = randomize(SemanticLens(**small_lens_config, cleaning_blocks=1)).eval()
    plain_cleaning = randomize(SemanticLens(**small_lens_config | without_semantics, cleaning_blocks=1)).eval()
    distiller = small_components["semantic_distiller"]
    pipelines = {
        "semantic-lens-tiny": SemanticLensPipeline(lens, distiller, clip_length=3),
        "semantic-lens": SemanticLensPipeline(plain, clip_length=3),
        "seeclear-tiny": SeeClearPipeline(**small_components, clip_length=2),
        "seeclear-star-tiny": SeeClearPipeline(**small_components, prior=lens, clip_length=2),
        "seeclear-star": SeeClearPipeline(**small_components, prior=plain, clip_length=2),
        "seeclear-real-tiny": SeeClearPipeline(**small_components, prior=cleaning, clip_length=2),
        "seeclear-real": SeeClearPipeline(**small_components, prior=plain_cleaning, clip_length=2),
    }
    for name in NAMES:
        pipelines[name].save_pretrained(folder / name)
    monkeypatch.setattr("seeclear.shipped.SHIPPED_WEIGHTS", folder)
    return folder


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A folder of three frames of 64x48."""
    folder = tmp_path / "clip"
    folder.mkdir()
    scene = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    for i in range(3):
        Image.fromarray(np.roll(scene, i, axis=1)).save(folder / f"{i}.png")
    return folder


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("name", sorted(path.name for path in SHIPPED_WEIGHTS.iterdir() if path.is_dir()))
def test_shipped_weights_are_complete_and_small(name: str) -> None:
    folder = SHIPPED_WEIGHTS / name
    pipeline = load_pipeline(name)
    assert isinstance(pipeline, SemanticLensPipeline if "lens" in name else SeeClearPipeline) and pipeline.scale == 4
    assert (name in WITH_PRIOR) == isinstance(getattr(pipeline, "prior", None), SemanticLens)
    assert all(path.stat().st_size < LARGEST_FILE for path in folder.rglob("*"))
    last = (folder / "pipeline.py").read_text().splitlines()[-1]
    assert last.startswith(f"from seeclear import {type(pipeline).__name__}")
    assert f"# {name}" in (folder / "README.md").read_text()
    parts = {name for name, part in pipeline.components.items() if isinstance(part, nn.Module)}
    assert {path.parent.name for path in folder.rglob("*.safetensors")} == parts


@pytest.mark.parametrize(("name", "most"), [("seeclear-tiny", 8_000_000), ("semantic-lens-tiny", 4_000_000)])
def test_shipped_weights_are_small(name: str, most: int) -> None:
    """Those of the default with everything, those of the lens beside its distiller."""
    pipeline = load_pipeline(name)
    parts = [part for part in pipeline.components.values() if isinstance(part, nn.Module)]
    if isinstance(pipeline, SemanticLensPipeline):
        parts.remove(pipeline.semantic_distiller)
    assert sum(parameter.numel() for part in parts for parameter in part.parameters()) <= most


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_shipped_weights_hold_in_bfloat16(name: str) -> None:
    """In which they run wherever the processor is fast at it: hardly a pixel may become another 8-bit value."""
    video = torch.rand(1, 3, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    video = F.interpolate(video.flatten(0, 1), size=(32, 48), mode="bicubic").clamp(0, 1).unflatten(0, (1, 3))
    pipeline = load_pipeline(name)
    pipeline.set_progress_bar_config(disable=True)
    frames = []
    for dtype in (torch.float32, torch.bfloat16):
        options = {} if "lens" in name else {"generator": torch.Generator().manual_seed(0)}
        frames.append(pipeline.to(dtype=dtype)(video, output_type="pt", **options).frames.float() * 255)
    assert (frames[0] - frames[1]).abs().mean() < 0.25


@pytest.mark.usefixtures("shelf")
def test_models_are_loaded_in_the_dtype_without_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """diffusers warns of modules in float32, of which there are none, where a pipeline is moved to another dtype."""
    warnings: list[str] = []
    monkeypatch.setattr(modeling_utils.logger, "warning", warnings.append)
    for name in NAMES:
        pipeline, _ = load_model(name, torch.device("cpu"), torch.bfloat16)
        parts = [part for part in pipeline.components.values() if isinstance(part, nn.Module)]
        assert {parameter.dtype for part in parts for parameter in part.parameters()} == {torch.bfloat16}
    assert warnings == []


def test_full_hd_fits_into_the_memory_that_the_readme_names() -> None:
    pipeline, budget = load_pipeline("seeclear-tiny"), 6 * 10**9
    chosen = choose_clips_and_tile(pipeline, 1080, 1920, budget)
    assert chosen.tile is not None and chosen.tile >= 128
    clips = {"clip_length": chosen.clip_length, "clip_overlap": chosen.clip_overlap}
    assert estimate_peak_bytes(pipeline, 1080, 1920, tile=chosen.tile, **clips) <= budget


@pytest.mark.parametrize("name", ["seeclear-star-tiny", "seeclear-real-tiny"])
def test_shipped_prior_is_beside_its_distiller(name: str) -> None:
    """A prior works with the distiller that it was trained with, which is the shipped lens' as well."""
    star, lens = load_pipeline(name), load_pipeline("semantic-lens-tiny")
    state = lens.semantic_distiller.state_dict()
    assert all(torch.equal(state[name], value) for name, value in star.semantic_distiller.state_dict().items())
    assert star.prior.needs_semantics and lens.semantic_lens.needs_semantics


def test_the_shipped_star_has_the_shipped_lens() -> None:
    star, lens = load_pipeline("seeclear-star").prior, load_pipeline("semantic-lens").semantic_lens
    state = lens.state_dict()
    configs = [{name: value for name, value in net.config.items() if name[0] != "_"} for net in (star, lens)]
    assert configs[0] == configs[1] and star.state_dict().keys() == state.keys()
    assert all(torch.equal(state[name], value) for name, value in star.state_dict().items())


@pytest.mark.parametrize("figures", [*NAMES, "seeclear-tiny-steps", *REAL_FIGURES])
def test_published_figures_are_of_the_shipped_weights(figures: str) -> None:
    """Of every part of the model, a prior's too, as it is shipped now."""
    methods = json.loads((ROOT / "docs" / "figures" / f"{figures}.json").read_text())["methods"]
    measured = [method for method in methods.values() if method["kind"] == "model"]
    assert measured
    for method in measured:
        shipped = SHIPPED_WEIGHTS / method["model"]
        weights = {path.relative_to(shipped).as_posix() for path in shipped.rglob("*.safetensors")}
        assert weights <= method["sha256"].keys()
        for name, digest in method["sha256"].items():
            assert file_hash(shipped / name) == digest, name


def test_the_command_line_takes_every_kind_of_model_by_name(shelf: Path, clip: Path, tmp_path: Path) -> None:
    pictures = {}
    for name in NAMES:
        output = run("upscale", clip, tmp_path / name, "--model", name, "--device", "cpu")
        assert "error" not in output.lower()
        with Image.open(next((tmp_path / name).glob("*.png"))) as picture:
            assert picture.size == (256, 192)
            pictures[name] = np.asarray(picture)
        parts = {path.parent.name for path in (shelf / name).rglob("*.safetensors")}
        shown = run("info", "--model", name, "--device", "cpu")
        assert all(part in shown for part in parts)
    assert len({picture.tobytes() for picture in pictures.values()}) == len(NAMES)
    output = run("evaluate", clip, "--device", "cpu", "--metrics", "psnr", *(f"--model={name}" for name in NAMES))
    assert all(f"| {name}" in output for name in NAMES)


def test_benchmark_of_models(
    shelf: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--height", "8", "--width", "12", "--timed_frames", "3", "--device", "cpu"]
    options += ["--json", str(tmp_path / "models.json"), "--picture", str(tmp_path / "models.png")]
    monkeypatch.setattr("sys.argv", ["models.py", str(clip), *options])
    runpy.run_path(str(ROOT / "benchmarks" / "models.py"), run_name="__main__")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    quality, speed = (
        ["PSNR-Y, dB", "frame-difference error"],
        ["GFLOP", "of BasicVSR's time", "of the convolutions' rate"],
    )
    assert rows[0] == ["", "parameters", *quality, "s per frame of 48x32", *speed]
    assert [row[0] for row in rows[2:]] == ["bicubic", *NAMES]
    assert all(float(row[4]) >= 0 and row[2] and row[3] for row in rows[2:])
    assert all(float(row[-2]) > 0 for row in rows[3:])
    report = json.loads((tmp_path / "models.json").read_text())
    assert set(report["cost"]["seeclear-star-tiny"]["parameters"]) == {
        "pixel_condenser",
        "semantic_distiller",
        "prior",
    }
    assert report["evaluation"]["mean"].keys() == report["cost"].keys()
    with Image.open(tmp_path / "models.png") as picture:
        assert picture.width == (len(NAMES) + 2) * 2 * 64  # bicubic, the models, the original; twice as large
