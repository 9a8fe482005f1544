# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""diffusers knows `seeclear` as a library of components. diffusers does not document what this relies on."""

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import diffusers
import pytest
import torch
from diffusers import ConfigMixin
from diffusers.pipelines.pipeline_loading_utils import LOADABLE_CLASSES, _get_custom_components_and_folders

import seeclear
from seeclear import SeeClearPipeline
from seeclear._registration import register
from seeclear.pipelines.presets import build_components

COMPONENTS = {
    "pixel_condenser": ["seeclear", "PixelCondenser"],
    "semantic_distiller": ["seeclear", "SemanticDistiller"],
    "scheduler": ["seeclear", "BlurringResShiftScheduler"],
}


@pytest.fixture(scope="module")
def pipeline() -> SeeClearPipeline:
    torch.manual_seed(0)
    return SeeClearPipeline(**build_components("tiny"))


@pytest.fixture(scope="module")
def folder(pipeline: SeeClearPipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "pipeline"
    pipeline.save_pretrained(path)
    return path


def index_of(folder: Path) -> dict:
    return json.loads((folder / "model_index.json").read_text(encoding="utf-8"))


def test_model_index_names_the_library_and_the_class(folder: Path) -> None:
    index = index_of(folder)
    assert index["_class_name"] == "SeeClearPipeline"
    assert {name: value for name, value in index.items() if name in COMPONENTS} == COMPONENTS


def test_a_download_from_the_hub_is_accepted(folder: Path) -> None:
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    custom, folders = _get_custom_components_and_folders("someone/seeclear", index_of(folder), files)
    assert custom == {}
    assert set(COMPONENTS) <= set(folders)


def test_a_download_is_refused_without_the_registration(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(LOADABLE_CLASSES, "seeclear")
    with pytest.raises(ValueError, match="is not a module in 'diffusers/pipelines'"):
        _get_custom_components_and_folders("someone/seeclear", index_of(folder), [])


def arguments(component: ConfigMixin) -> dict:
    """The configuration of a component without diffusers' own notes in it."""
    return {name: value for name, value in component.config.items() if not name.startswith("_")}


def assert_same(loaded: SeeClearPipeline, saved: SeeClearPipeline) -> None:
    for name in ("pixel_condenser", "semantic_distiller"):
        expected = getattr(saved, name).state_dict()
        got = getattr(loaded, name).state_dict()
        assert got.keys() == expected.keys()
        assert all(torch.equal(got[key], expected[key]) for key in expected)
    assert arguments(loaded.scheduler) == arguments(saved.scheduler)


def test_saved_and_loaded(folder: Path, pipeline: SeeClearPipeline) -> None:
    loaded = SeeClearPipeline.from_pretrained(folder)
    assert isinstance(loaded, SeeClearPipeline)
    assert_same(loaded, pipeline)


def test_loaded_in_another_dtype(folder: Path) -> None:
    loaded = SeeClearPipeline.from_pretrained(folder, dtype=torch.float16)
    assert loaded.pixel_condenser.dtype == torch.float16


def test_loaded_with_a_component_given(folder: Path) -> None:
    scheduler = seeclear.BlurringResShiftScheduler(sampler="ddim")
    assert SeeClearPipeline.from_pretrained(folder, scheduler=scheduler).scheduler is scheduler


def test_loaded_by_diffusers_through_the_pipeline_file(folder: Path, pipeline: SeeClearPipeline) -> None:
    loaded = diffusers.DiffusionPipeline.from_pretrained(folder, custom_pipeline="pipeline", trust_remote_code=True)
    assert type(loaded) is SeeClearPipeline
    assert_same(loaded, pipeline)


def test_registering_again_changes_nothing() -> None:
    before = {library: dict(classes) for library, classes in LOADABLE_CLASSES.items()}
    register()
    assert before == LOADABLE_CLASSES
    assert LOADABLE_CLASSES["seeclear"] == {}


@pytest.mark.parametrize(
    "first",
    [
        "from seeclear import PixelCondenser",
        "from seeclear.models.pixel_condenser import PixelCondenser",
        "from seeclear.schedulers import BlurringResShiftScheduler",
        "from seeclear.pipelines import SeeClearPipeline",
    ],
)
def test_registered_whatever_is_imported_first(first: str) -> None:
    known = "from diffusers.pipelines.pipeline_loading_utils import LOADABLE_CLASSES as known"
    code = f"{first}; {known}; print('seeclear' in known)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "True"


def test_no_part_is_named_after_a_pipeline_of_diffusers() -> None:
    parts = [module.name for module in pkgutil.iter_modules(seeclear.__path__)]
    assert {"models", "pipelines", "schedulers"} <= set(parts)
    assert [part for part in parts if hasattr(diffusers.pipelines, part)] == []
