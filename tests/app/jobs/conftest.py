# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The stand-in for a pipeline, in place of the model that is loaded by name."""

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

from seeclear.app import upscale
from seeclear.app.jobs import plan, survey
from seeclear.pipelines.memory import ClipsAndTile

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def stand_in() -> ModuleType:
    """tests/jobs/stand_in.py"""
    spec = importlib.util.spec_from_file_location("stand_in", HERE / "stand_in.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["stand_in"] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def use_pipe(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Any]:
    """`use_pipe(pipe)`: every model that is asked for by name is this one; tiles are whole frames."""

    def use(pipe: Any) -> Any:
        monkeypatch.setattr(upscale, "load_pipeline", lambda *_: pipe)
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
