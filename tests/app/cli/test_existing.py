# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Outputs that are there: done, refused, replaced or skipped; nothing is lost without being asked for."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from seeclear.app.jobs import records
from seeclear.app.upscale import upscale_video
from seeclear.video import VideoReader

Command = Callable[..., tuple[int, str, str]]
MADE_BEFORE = "skipped, it was made before from this input with these settings"


def test_what_was_made_from_this_input_with_these_settings_is_done(
    plain_pipe: Any, video: Path, tmp_path: Path, run: Command
) -> None:
    out, side = tmp_path / "out.mp4", tmp_path / "side.png"
    command = ("upscale", video, out, "--compare", side)
    assert run(*command)[0] == 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    calls = len(plain_pipe.calls)
    assert run(*command) == (0, f"{out}: {MADE_BEFORE}\n", "")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    assert len(plain_pipe.calls) == calls + 1  # the settings were checked, nothing was restored
    result = upscale_video(video, out)
    assert (result.status, result.frames) == ("skipped", 0) and result.reason is not None


def test_a_comparison_is_added_to_an_output_that_is_done(
    plain_pipe: Any, video: Path, tmp_path: Path, run: Command
) -> None:
    out = tmp_path / "out.mp4"
    assert run("upscale", video, out)[0] == 0
    made = out.stat().st_mtime_ns
    for name in ("side.png", "side.mp4"):
        side = tmp_path / name
        assert run("upscale", video, out, "--compare", side, "--dry-run") == (0, f"{out}: {MADE_BEFORE}\n", "")
        assert not side.exists()
        assert run("upscale", video, out, "--compare", side) == (0, f"{out}: {MADE_BEFORE}\n", "")
        assert side.exists() and out.stat().st_mtime_ns == made
    with VideoReader(tmp_path / "side.mp4") as reader:
        assert (reader.width, len(list(reader))) == (258, 6)
    assert Image.open(tmp_path / "side.png").size == (258, 96)


def test_what_was_made_otherwise_is_refused(
    plain_pipe: Any, video: Path, tmp_path: Path, run: Command, fails: Callable[..., str], stand_in: ModuleType
) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"mine")
    remedy = "Give --overwrite to have it made anew, or --skip to leave it as it is.\n"
    said = fails("upscale", video, out)
    assert said.endswith(f"out.mp4: is there already, and nothing is known of how it was made. {remedy}")
    assert out.read_bytes() == b"mine" and sorted(os.listdir(tmp_path)) == ["in.mp4", "out.mp4"]
    assert run("upscale", video, out, "--overwrite")[0] == 0
    made = out.read_bytes()
    said = fails("upscale", video, out, "--steps", 2)
    assert said.endswith(f"is there already, and --steps was not given and is now 2. {remedy}")
    stand_in.write_video(video, stand_in.moving_gradients(5))
    assert "the input is another one" in fails("upscale", video, out)
    stand_in.write_video(video)
    out.write_bytes(made + b"more")
    assert "it was changed since it was made" in fails("upscale", video, out)
    assert run("upscale", video, out, "--skip") == (0, f"{out}: skipped, it is there\n", "")
    side = tmp_path / "side.png"
    said = run("upscale", video, out, "--skip", "--compare", side)[1]
    assert said == f"{out}: skipped, it is there; the comparison {side} is not made\n" and not side.exists()
    assert run("upscale", video, out, "--overwrite")[0] == 0 and out.read_bytes() == made


def test_overwriting_can_be_interrupted(
    plain_pipe: Any, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Command
) -> None:
    """What is to be replaced stays until the new output is whole, and the same command goes on."""
    out = tmp_path / "out.mp4"
    out.write_bytes(b"mine")
    begin = type(plain_pipe.restorer).begin_clip

    def begin_clip(self: Any, clip: Any) -> Any:
        if clip.start:
            raise KeyboardInterrupt
        return begin(self, clip)

    with monkeypatch.context() as patch:
        patch.setattr(type(plain_pipe.restorer), "begin_clip", begin_clip)
        assert run("upscale", video, out, "--overwrite")[0] == 130
    assert out.read_bytes() == b"mine"
    assert run("upscale", video, out, "--skip")[1] == f"{out}: skipped, it is there\n"
    code, text, _ = run("upscale", video, out, "--overwrite")
    assert code == 0 and "1 of them made here and now" in text
    assert sorted(os.listdir(tmp_path)) == [".seeclear", "in.mp4", "out.mp4"]


def test_what_is_done_leaves_alone_what_was_interrupted(
    plain_pipe: Any, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Command
) -> None:
    """An output that is done, and an interrupted run that was to replace it by another one."""
    out = tmp_path / "out.mp4"
    assert run("upscale", video, out)[0] == 0
    begin = type(plain_pipe.restorer).begin_clip

    def begin_clip(self: Any, clip: Any) -> Any:
        if clip.start:
            raise KeyboardInterrupt
        return begin(self, clip)

    with monkeypatch.context() as patch:
        patch.setattr(type(plain_pipe.restorer), "begin_clip", begin_clip)
        assert run("upscale", video, out, "--seed", 1, "--overwrite")[0] == 130
    assert run("upscale", video, out) == (0, f"{out}: {MADE_BEFORE}\n", "")
    code, text, _ = run("upscale", video, out, "--seed", 1, "--overwrite")
    assert code == 0 and "1 of them made here and now" in text


def test_what_comes_to_be_there_while_it_works_is_kept(
    plain_pipe: Any, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Command, fails: Any
) -> None:
    out = tmp_path / "out.mp4"
    begin = type(plain_pipe.restorer).begin_clip

    def begin_clip(self: Any, clip: Any) -> Any:
        out.write_bytes(b"mine")
        return begin(self, clip)

    monkeypatch.setattr(type(plain_pipe.restorer), "begin_clip", begin_clip)
    said = fails("upscale", video, out)
    assert "out.mp4: has come to be there since the work began" in said and "6 of 6 frames are finished" in said
    assert out.read_bytes() == b"mine"
    out.unlink()
    assert "0 of them made here and now" in run("upscale", video, out)[1]


def test_folders_of_images_are_replaced_and_nothing_else_in_them(
    plain_pipe: Any, video: Path, tmp_path: Path, run: Command, fails: Callable[..., str]
) -> None:
    out = tmp_path / "out"
    assert run("upscale", video, out)[0] == 0
    assert run("upscale", video, out) == (0, f"{out}: {MADE_BEFORE}\n", "")
    Image.new("RGB", (8, 8)).save(out / "more.png")
    assert "it was changed since it was made" in fails("upscale", video, out)
    assert run("upscale", video, out, "--overwrite", "--scale", 2)[0] == 0
    assert sorted(os.listdir(out)) == [f"{index:06d}.png" for index in range(6)]
    assert Image.open(out / "000000.png").size == (64, 48)
    (out / "notes.txt").write_text("mine")
    assert "cannot be overwritten, because it holds notes.txt" in fails("upscale", video, out, "--overwrite")
    assert (out / "notes.txt").read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == [".seeclear", "in.mp4", "out"]


def test_killed_once_the_output_is_there_it_is_done(
    plain_pipe: Any, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Command
) -> None:
    """Between giving the output its name and clearing up: the job's folder is still there."""
    from seeclear.app.jobs.folder import JobFolder

    class Killed(BaseException):
        pass

    def finish(self: JobFolder) -> None:
        raise Killed

    out = tmp_path / "out.mp4"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(JobFolder, "finish", finish)
        run("upscale", video, out)
    assert (tmp_path / ".out.mp4.seeclear").exists() and out.exists()
    assert run("upscale", video, out) == (0, f"{out}: {MADE_BEFORE}\n", "")
    assert sorted(os.listdir(tmp_path)) == [".seeclear", "in.mp4", "out.mp4"]


def test_many(plain_pipe: Any, tmp_path: Path, run: Command, stand_in: ModuleType) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4"):
        stand_in.write_video(folder / name)
    out.mkdir()
    (out / "a.mp4").write_bytes(b"mine")
    code, said, err = run("upscale", folder, out)
    assert code == 2 and "a.mp4: is there already" in err and said.endswith("1 done, 0 skipped, 1 failed\n")
    assert (out / "a.mp4").read_bytes() == b"mine"
    code, said, _ = run("upscale", folder, out, "--skip")
    assert code == 0 and said.endswith("0 done, 2 skipped, 0 failed\n")
    code, said, _ = run("upscale", folder, out, "--overwrite", "--seed", 4)
    assert code == 0 and said.endswith("2 done, 0 skipped, 0 failed\n")
    record = json.loads(records.record_path(out / "a.mp4").read_text())
    assert record["manifest"]["settings"]["seed"] == 4 and record["frames"] == 6


def test_restart_throws_away_what_an_interrupted_run_has_left(
    plain_pipe: Any, video: Path, tmp_path: Path, run: Command, fails: Callable[..., str]
) -> None:
    (tmp_path / ".out.mp4.seeclear").mkdir()
    (tmp_path / ".out.mp4.seeclear" / "manifest.json").write_text('{"format": 0}')
    message = fails("upscale", video, tmp_path / "out.mp4")
    assert "an interrupted job cannot go on, because `format` was 0 and is now 2" in message
    assert "or --restart to begin anew" in message
    assert run("upscale", video, tmp_path / "out.mp4", "--restart")[0] == 0
    assert sorted(os.listdir(tmp_path)) == [".seeclear", "in.mp4", "out.mp4"]
