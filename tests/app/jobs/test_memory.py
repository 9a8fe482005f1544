# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Memory does not grow with the length of a video; `benchmarks/memory.py` measures it at full scale."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from seeclear.app.jobs import survey
from seeclear.app.upscale import upscale_video

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_of(work: Callable[[], object]) -> int:
    """The largest resident memory of this process while `work` runs, in KiB."""
    RESET.write_text("5")  # the peak begins anew from what is in use now
    work()
    (line,) = [line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1])


@pytest.mark.skipif(not RESET.exists(), reason="the peak is taken from Linux's /proc")
def test_a_longer_video_takes_no_more_memory(
    use_pipe: Callable[[Any], Any], stand_in: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frame that was kept would show: 75 frames of 512x320 are 147 MB as float32, 5 % of the peak about 30 MB."""
    use_pipe(stand_in.Nearest())
    monkeypatch.setattr(survey, "PART_LENGTH", 10)  # the encoder's own buffers are as full in both
    picture = np.random.default_rng(0).integers(0, 256, (80, 128, 3), np.uint8)
    for frames in (25, 100):
        moving = np.stack([np.roll(picture, index, axis=1) for index in range(frames)])
        stand_in.write_video(tmp_path / f"{frames}.mp4", moving, sound=False)
    arguments = {"preset": "ultrafast", "device": "cpu", "progress": False, "overwrite": True}

    def upscale(frames: int) -> int:
        return peak_of(lambda: upscale_video(tmp_path / f"{frames}.mp4", tmp_path / "out.mp4", **arguments))

    upscale(25)
    short = upscale(25)
    assert upscale(100) <= 1.05 * short
