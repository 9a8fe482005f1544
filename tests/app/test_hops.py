# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""How many calls it takes from the command line to the network: who reads it goes through them all."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

import seeclear
from seeclear import PixelCondenser
from seeclear.app import cli

MOST_CALLS = 8
"""The program's `main` and the pipeline's `denoise` included."""


def calls_to_here() -> list[str]:
    """The functions of this package that are being called, the innermost first."""
    package, frame, found = str(Path(seeclear.__file__).parent), sys._getframe(1), []
    while frame is not None:
        if frame.f_code.co_filename.startswith(package):
            found.append(f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}")
        frame = frame.f_back  # type: ignore[assignment]
    return found


@pytest.mark.parametrize("many", [False, True])
def test_few_calls_from_the_command_line_to_the_condenser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand_in: ModuleType, many: bool
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    if many:
        for name in ("a", "b"):
            stand_in.write_video(source / f"{name}.mp4", stand_in.moving_gradients(2, 8, 8))
    else:
        for index, frame in enumerate(stand_in.moving_gradients(2, 8, 8)):
            Image.fromarray(frame).save(source / f"{index}.png")
    seen: list[list[str]] = []
    forward = PixelCondenser.forward

    def record(self: PixelCondenser, *arguments: Any, **settings: Any) -> Any:
        seen.append(calls_to_here())
        return forward(self, *arguments, **settings)

    monkeypatch.setattr(PixelCondenser, "forward", record)
    monkeypatch.setattr(sys, "argv", ["seeclear", "upscale", str(source), str(tmp_path / "out"), "--device", "cpu"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code and seen
    for calls in seen:
        assert len(calls) <= MOST_CALLS, calls
        assert (calls[0], calls[-1]) == ("pipeline_seeclear.denoise", "__init__.main")
