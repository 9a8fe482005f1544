# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The package as it is installed: public names, version, cost of importing it, dependencies, contents of the wheel."""

import importlib.metadata
import subprocess
import sys
import sysconfig
import time
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import seeclear

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ROOT / "seeclear" / "weights"


def run_python(code: str) -> str:
    """What `code` prints in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_version_is_that_of_the_distribution() -> None:
    assert importlib.metadata.version("seeclear") == seeclear.__version__


@pytest.mark.parametrize("name", seeclear.__all__)
def test_public_names(name: str) -> None:
    assert getattr(seeclear, name) is not None
    assert name in dir(seeclear)


def test_public_names_are_the_classes_of_the_modules() -> None:
    from seeclear.models import PixelCondenser
    from seeclear.schedulers import BlurringResShiftScheduler

    assert seeclear.PixelCondenser is PixelCondenser
    assert seeclear.BlurringResShiftScheduler is BlurringResShiftScheduler


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="module 'seeclear' has no attribute 'PixelCondensor'"):
        _ = seeclear.PixelCondensor


@pytest.mark.parametrize("module", ["seeclear", "seeclear.app.cli"])
def test_import_leaves_the_heavy_libraries_alone(module: str) -> None:
    heavy = {"torch", "diffusers", "transformers", "accelerate", "numpy", "av"}
    loaded = run_python(f"import sys, {module}; print(*sys.modules)").split()
    assert module in loaded
    assert heavy & set(loaded) == set()


def test_import_adds_at_most_half_a_second_to_diffusers() -> None:
    code = "import time, diffusers; start = time.perf_counter(); import seeclear; print(time.perf_counter() - start)"
    assert float(run_python(code)) <= 0.5


def test_help_of_the_command_line_answers_within_a_second() -> None:
    command = Path(sysconfig.get_path("scripts")) / "seeclear"
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run([command, "--help"], capture_output=True, text=True, check=False)
        seconds.append(time.perf_counter() - start)
        assert done.returncode == 0, done.stderr
        assert "upscale" in done.stdout
    assert min(seconds) <= 1.0


def test_lowest_requirements_are_the_lower_bounds() -> None:
    lower_bounds = {}
    for text in importlib.metadata.requires("seeclear") or []:
        requirement = Requirement(text)
        if requirement.marker is None:
            (lower,) = [spec.version for spec in requirement.specifier if spec.operator == ">="]
            (_,) = [spec for spec in requirement.specifier if spec.operator == "<"]
            lower_bounds[requirement.name] = lower
    lines = (ROOT / "requirements" / "lowest.txt").read_text(encoding="utf-8").splitlines()
    lowest = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert lowest == lower_bounds


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--wheel-dir", str(folder)]
    build = [sys.executable, "-m", "pip", "wheel", *options, str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_wheel_installs_seeclear_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    information = f"seeclear-{seeclear.__version__}.dist-info"
    assert {name.split("/")[0] for name in wheel.namelist()} == {"seeclear", information}
    assert f"{information}/licenses/LICENSE" in wheel.namelist()
    assert "seeclear = seeclear.app.cli:main" in wheel.read(f"{information}/entry_points.txt").decode()


def test_wheel_holds_the_whole_package(wheel: zipfile.ZipFile) -> None:
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "seeclear").rglob("*.py")}
    assert sources <= set(wheel.namelist())
    assert "seeclear/py.typed" in wheel.namelist()


def test_wheel_holds_the_shipped_weights(wheel: zipfile.ZipFile) -> None:
    shipped = {path.relative_to(ROOT).as_posix() for path in WEIGHTS.rglob("*") if path.is_file()}
    assert shipped <= set(wheel.namelist())
    tiny = "seeclear/weights/seeclear-tiny"
    assert {f"{tiny}/README.md", f"{tiny}/model_index.json"} <= shipped
    for component in ("pixel_condenser", "semantic_distiller"):
        assert f"{tiny}/{component}/diffusion_pytorch_model.safetensors" in shipped
