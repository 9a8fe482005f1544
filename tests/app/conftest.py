# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The stand-in for a pipeline, in place of the model that is loaded by name, and the command line in this process."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from seeclear.app import cli, models
from seeclear.app.jobs import job, loaded, plan, survey
from seeclear.pipelines.memory import ClipsAndTile

HERE = Path(__file__).parent
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def stand_in() -> ModuleType:
    """tests/app/stand_in.py"""
    spec = importlib.util.spec_from_file_location("stand_in", HERE / "stand_in.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["stand_in"] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def use_pipe(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Any]:
    """`use_pipe(pipe)`: the default model is this one, there is no other, and no video is looked at to choose among
    them; tiles are whole frames.
    """

    def use(pipe: Any) -> Any:
        def load(model: str, device: torch.device, dtype: torch.dtype) -> tuple[Any, Path]:
            if model != "seeclear-tiny":
                raise ValueError(f"`model` is {model!r}, which is\nneither a folder nor a shipped model.")
            return pipe, Path()

        for module in (models, loaded):
            monkeypatch.setattr(module, "load_model", load)
        monkeypatch.setattr(job, "choose_model", lambda *_: models.ModelChoice("seeclear-tiny"))
        monkeypatch.setattr(plan, "choose_clips_and_tile", lambda *asked: ClipsAndTile(None, asked[-1], None))
        monkeypatch.setattr(plan, "estimate_peak_bytes", lambda *_, **__: 1_500_000_000)
        return pipe

    return use


@pytest.fixture
def pipe(stand_in: ModuleType, use_pipe: Callable[[Any], Any]) -> Any:
    """A stand-in that carries a state from clip to clip, so that a lost or doubled one shows."""
    torch.manual_seed(0)
    return use_pipe(stand_in.Nearest(carry=0.3))


@pytest.fixture
def plain_pipe(stand_in: ModuleType, use_pipe: Callable[[Any], Any]) -> Any:
    """Every pixel four times in each direction."""
    return use_pipe(stand_in.Nearest())


@pytest.fixture
def video(stand_in: ModuleType, tmp_path: Path) -> Path:
    """6 frames of 32x24, 29.97 frames per second, with AAC sound."""
    return stand_in.write_video(tmp_path / "in.mp4")


@pytest.fixture
def run() -> Command:
    """`run(*arguments)`: (exit code, stdout, stderr) of a command."""

    def invoke(*arguments: object) -> tuple[int, str, str]:
        result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    return invoke


@pytest.fixture
def fails(run: Command) -> Callable[..., str]:
    """`fails(*arguments)`: the one line of a command that ends with exit code 2 and nothing else."""

    def invoke(*arguments: object) -> str:
        code, out, err = run(*arguments)
        assert (code, out) == (2, ""), err
        assert err.startswith("seeclear: error: ") and err.count("\n") == 1
        return err

    return invoke


@pytest.fixture
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of 6 frames, which clips do not fit into evenly."""
    monkeypatch.setattr(survey, "PART_LENGTH", 6)


@pytest.fixture
def run_script() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`run_script(*arguments, **environment)`: Python with these arguments, and with the stand-in to import."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
        settings = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **environment}
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=settings, timeout=240)

    return run
