# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""SIGKILL at any moment, and a disk that is really full."""

import hashlib
import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from seeclear.app.upscale import upscale_video

HERE = Path(__file__).parent
KILLS = 20


def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(
    run_script: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    result = run_script(HERE / "fault_runner.py", tmp_path, KILLS)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    undisturbed = report["undisturbed"]
    assert undisturbed["left"] == [".seeclear", "out.mp4"] and report["calls"] > 100
    assert len(report["killed"]) == KILLS
    for killed in report["killed"]:
        assert killed["status"] == signal.SIGKILL and killed["again"] == 0, (killed, result.stderr)
        assert killed["hash"] == undisturbed["hash"], killed
        assert killed["left"] == [".seeclear", "out.mp4"], killed
        if not killed["early"]:  # killed once the output is there, it is done
            assert killed["clips"] <= undisturbed["clips"] + 1, killed  # at most one clip is lost
        else:
            assert killed["clips"] == undisturbed["clips"], killed


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command; the same is tested with a stand-in in test_job.py")
    if mounted.returncode:
        pytest.skip("mounting is not permitted here; the same is tested with a stand-in in test_job.py")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk(pipe: Any, short_parts: None, stand_in: ModuleType, small_disk: Path, tmp_path: Path) -> None:
    video = stand_in.write_video(tmp_path / "in.mp4", stand_in.scenes(13, 4))
    upscale_video(video, tmp_path / "whole.mkv", codec="ffv1")
    (small_disk / "filler").write_bytes(bytes(60 << 10))
    with pytest.raises(ValueError, match="No space left on device.*the same command goes on from there"):
        upscale_video(video, small_disk / "out.mkv", codec="ffv1")
    assert not (small_disk / "out.mkv").exists()
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    result = upscale_video(video, small_disk / "out.mkv", codec="ffv1")
    assert result.restored_frames < result.frames
    hashes = {
        hashlib.sha256(path.read_bytes()).hexdigest() for path in (small_disk / "out.mkv", tmp_path / "whole.mkv")
    }
    assert len(hashes) == 1


def test_a_disk_that_is_read_only(pipe: Any, stand_in: ModuleType, small_disk: Path, tmp_path: Path) -> None:
    video = stand_in.write_video(tmp_path / "in.mp4")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(ValueError, match="out.mp4: cannot be written"):
        upscale_video(video, small_disk / "out.mp4")
