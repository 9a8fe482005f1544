# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Several processes share videos and scenes, and give the bytes that one gives."""

import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from seeclear import files
from seeclear.app.jobs import Handling, Job, LoadedModel, UpscaleSettings, join_processes
from seeclear.app.jobs.folder import job_folder
from seeclear.app.progress import Bars
from seeclear.app.upscale import upscale_folder, upscale_video

HERE = Path(__file__).parent


def test_a_process_by_itself_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    processes = join_processes(torch.device("cpu"), False)
    assert (processes.index, processes.count, processes.leads) == (0, 1, True)
    assert processes.device == torch.device("cpu")
    processes.wait()


def test_two_processes_give_the_same_bytes_as_one(
    run_script: Callable[..., subprocess.CompletedProcess[str]],
    stand_in: ModuleType,
    pipe: Any,
    short_parts: None,
    tmp_path: Path,
) -> None:
    """One video of several scenes and two of one, through `accelerate launch`; one of them is damaged."""
    folder = tmp_path / "in"
    folder.mkdir()
    stand_in.write_video(folder / "a.mp4", stand_in.scenes(13, 9, 11, 7))
    stand_in.write_video(folder / "c.mkv", stand_in.scenes(14))
    data = stand_in.write_video(folder / "b.mkv", stand_in.scenes(30)).read_bytes()
    (folder / "b.mkv").write_bytes(data[: len(data) // 2])
    assert [result.status for result in upscale_folder(folder, tmp_path / "one")] == ["done", "failed", "done"]

    launch = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", 1, "--num_processes", 2)
    launch += ("--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", 0)
    command = (HERE / "launched.py", tmp_path / "log", "upscale", folder, tmp_path / "two", "--device", "cpu")
    result = run_script(*launch, *command, "--tile", 0)
    assert result.returncode != 0  # for the damaged one
    assert result.stdout.splitlines()[-1] == "2 done, 0 skipped, 1 failed", result.stderr
    assert result.stderr.count("b.mkv: the video is cut off") == 1
    for name in ("a.mp4", "c.mkv"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    assert sorted(os.listdir(tmp_path / "two")) == [".seeclear", "a.mp4", "c.mkv"]
    clips = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    assert {rank for rank, _ in clips} == {"0", "1"}
    assert len(clips) == 3 + 2 + 3 + 2 + 3  # none was restored twice


def test_a_helper_takes_what_is_free_and_leaves_the_end_to_the_leader(
    pipe: Any, short_parts: None, stand_in: ModuleType, tmp_path: Path
) -> None:
    """Side by side in one process: the leader is stopped in the second scene, the helper makes what is left."""
    video = stand_in.write_video(tmp_path / "in.mp4", stand_in.scenes(8, 4, 6))
    upscale_video(video, tmp_path / "whole.mp4")

    def make_job(leads: bool) -> Job:
        def load(model: str) -> LoadedModel:
            return LoadedModel.load(model, torch.device("cpu"), torch.float32)

        return Job(video, tmp_path / "out.mp4", UpscaleSettings(), load, Handling(), leads=leads)

    leader, helper, bars = make_job(True), make_job(False), Bars(False)
    folder = job_folder(tmp_path / "out.mp4")
    leader.begin()
    held = files.Lock(folder / "survey.lock")
    assert held.acquire() and helper.run(bars) is None
    held.release()
    (folder / "scene-000000008").mkdir()
    held = files.Lock(folder / "scene-000000008" / "lock")  # some other process is at the second scene
    assert held.acquire() and helper.run(bars) is None and leader.run(bars) is None
    assert leader.finished_frames() == 14
    held.release()
    helped = helper.run(bars)
    assert helped is not None and (helped.status, helped.restored_frames) == ("done", 18)
    assert folder.exists() and not (tmp_path / "out.mp4").exists()
    late = make_job(False)
    late.begin()
    led = leader.run(bars)
    assert led is not None and (led.status, led.frames, led.restored_frames) == ("done", 18, 0)
    found = late.run(bars)  # the folder is gone: nothing to do
    assert found is not None and found.status == "done"
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def test_as_a_module(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """`accelerate launch -m seeclear upscale` runs this."""
    monkeypatch.setattr(sys, "argv", ["__main__.py", "upscale", "in.mp4", str(tmp_path / "out.mp4"), "--tile", "big"])
    with pytest.raises(SystemExit) as raised:
        runpy.run_module("seeclear", run_name="__main__")
    out, err = capsys.readouterr()
    assert (raised.value.code, out) == (2, "")
    assert err.startswith("seeclear: error: --tile must be") and err.count("\n") == 1
