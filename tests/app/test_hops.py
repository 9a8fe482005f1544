# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""How many calls it takes from the command line to the network: who reads it goes through them all."""

import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from seeclear.app import cli

MOST_CALLS = 8
"""The program's `main` and the pipeline's `denoise` included."""


@pytest.mark.parametrize("many", [False, True])
def test_few_calls_from_the_command_line_to_the_condenser(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stand_in: ModuleType,
    calls_to_the_condenser: list[list[str]],
    many: bool,
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    if many:
        for name in ("a", "b"):
            stand_in.write_video(source / f"{name}.mp4", stand_in.moving_gradients(2, 8, 8))
    else:
        for index, frame in enumerate(stand_in.moving_gradients(2, 8, 8)):
            Image.fromarray(frame).save(source / f"{index}.png")
    monkeypatch.setattr(sys, "argv", ["seeclear", "upscale", str(source), str(tmp_path / "out"), "--device", "cpu"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code and calls_to_the_condenser
    for calls in calls_to_the_condenser:
        assert len(calls) <= MOST_CALLS, calls
        assert (calls[0], calls[-1]) == ("__init__.main", "pipeline_seeclear.denoise")
