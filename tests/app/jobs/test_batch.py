# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Many videos: finding them, skipping what is done, going on past a bad one."""

import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from seeclear.app.jobs import JobInterrupted, UpscaleResult, list_videos
from seeclear.app.upscale import upscale_folder
from seeclear.video import VideoReader


@pytest.fixture
def many(stand_in: ModuleType, tmp_path: Path) -> Path:
    """A folder with two videos, a damaged one, a folder of images and other things."""
    folder = tmp_path / "in"
    (folder / "shots").mkdir(parents=True)
    stand_in.write_video(folder / "a.mp4")
    stand_in.write_video(folder / "c.avi", sound=False)
    data = stand_in.write_video(folder / "b.mkv", stand_in.moving_gradients(30)).read_bytes()
    (folder / "b.mkv").write_bytes(data[: len(data) // 2])
    for index, frame in enumerate(stand_in.moving_gradients(3)):
        Image.fromarray(frame).save(folder / "shots" / f"{index}.png")
    (folder / "notes.txt").write_text("no video")
    (folder / "empty").mkdir()
    (folder / ".hidden.mp4").write_bytes(b"")
    return folder


def statuses(results: list[UpscaleResult]) -> dict[str, str]:
    return {result.path_in.name: result.status for result in results}


# Which videos there are


def test_videos_and_image_folders_are_found(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = list_videos(many, out)
    assert found == [
        (many / "a.mp4", out / "a.mp4"),
        (many / "b.mkv", out / "b.mkv"),
        (many / "c.avi", out / "c.avi.mkv"),  # AVI is not written
        (many / "shots", out / "shots"),
    ]
    (many / "out").mkdir()
    shutil.copy(many / "shots" / "0.png", many / "out")
    assert list_videos(many, many / "out") == [(video, many / "out" / output.name) for video, output in found]


def test_one_video_is_not_many(many: Path, tmp_path: Path) -> None:
    assert list_videos(many / "a.mp4", tmp_path / "out.mp4") is None
    assert list_videos(many / "shots", tmp_path / "out") is None
    assert list_videos(tmp_path / "absent", tmp_path / "out") is None


def test_unclear_folders_are_refused(many: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="empty: the folder has no images .* and no videos"):
        list_videos(many / "empty", tmp_path / "out")
    with pytest.raises(ValueError, match="must be another folder"):
        list_videos(many, many)
    with pytest.raises(ValueError, match="out.mp4: must be a folder, because .* has 4 videos"):
        list_videos(many, tmp_path / "out.mp4")
    with pytest.raises(ValueError, match="must be a folder"):
        list_videos(many, many / "notes.txt")
    shutil.copy(many / "shots" / "0.png", many / "cover.png")
    with pytest.raises(ValueError, match=r"has images \(cover.png\) and videos \(a.mp4\)"):
        list_videos(many, tmp_path / "out")


# Working on them


def test_a_bad_one_does_not_stop_the_others(pipe: Any, many: Path, tmp_path: Path) -> None:
    seen: list[UpscaleResult] = []
    results = upscale_folder(many, tmp_path / "out", report=seen.append)
    assert results == seen
    assert statuses(results) == {"a.mp4": "done", "b.mkv": "failed", "c.avi": "done", "shots": "done"}
    assert "b.mkv: the video is cut off" in str(results[1].error)
    assert sorted(os.listdir(tmp_path / "out")) == [".seeclear", "a.mp4", "c.avi.mkv", "shots"]
    for name, frames in (("a.mp4", 6), ("c.avi.mkv", 6), ("shots", 3)):
        with VideoReader(tmp_path / "out" / name) as reader:
            assert (reader.width, reader.height, len(list(reader))) == (128, 96, frames)


def test_what_is_done_is_skipped(pipe: Any, many: Path, tmp_path: Path, stand_in: ModuleType) -> None:
    upscale_folder(many, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    stand_in.write_video(many / "b.mkv")  # it is whole now
    results = upscale_folder(many, tmp_path / "out")
    assert statuses(results) == {"a.mp4": "skipped", "b.mkv": "done", "c.avi": "skipped", "shots": "skipped"}
    unchanged = {path: time for path, time in before.items() if path.is_file()}
    assert {path: path.stat().st_mtime_ns for path in unchanged} == unchanged


def test_what_was_done_otherwise_is_not_taken_for_done(
    pipe: Any, many: Path, tmp_path: Path, stand_in: ModuleType
) -> None:
    out = tmp_path / "out"
    (many / "b.mkv").unlink()
    upscale_folder(many, out)
    stand_in.write_video(many / "a.mp4", stand_in.moving_gradients(5))
    (out / "c.avi.mkv").write_bytes(b"changed")
    shutil.rmtree(out / "shots")
    (out / "shots").mkdir()
    errors = {result.path_in.name: str(result.error) for result in upscale_folder(many, out)}
    assert "a.mp4: is there already, and the input is another one" in errors["a.mp4"]
    assert "it was changed since it was made" in errors["c.avi"]
    assert errors["shots"] == "None"
    (out / ".seeclear" / "a.mp4.json").unlink()
    errors = {result.path_in.name: str(result.error) for result in upscale_folder(many, out, seed=1)}
    assert "nothing is known of how it was made" in errors["a.mp4"]
    assert "`seed` was 0 and is now 1. Give `overwrite`" in errors["shots"]
    assert set(statuses(upscale_folder(many, out, overwrite=True)).values()) == {"done"}


def test_an_interruption_stops_all_and_the_same_call_goes_on(
    pipe: Any, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = type(pipe.restorer).begin_clip
    clips = 0

    def begin_clip(self: Any, clip: Any) -> Any:
        nonlocal clips
        clips += 1
        if clips == 4:  # of two in "a.mp4" and two in "c.avi"
            raise KeyboardInterrupt
        return begin(self, clip)

    with monkeypatch.context() as patch, pytest.raises(JobInterrupted, match="with 2 of 4 videos done"):
        patch.setattr(type(pipe.restorer), "begin_clip", begin_clip)
        upscale_folder(many, tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "out")) == [".c.avi.mkv.seeclear", ".seeclear", "a.mp4"]
    results = upscale_folder(many, tmp_path / "out")
    assert statuses(results) == {"a.mp4": "skipped", "b.mkv": "failed", "c.avi": "done", "shots": "done"}
    assert results[2].restored_frames == 1


def test_a_single_video_is_not_for_this(pipe: Any, many: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be a folder of videos, of folders of images"):
        upscale_folder(many / "a.mp4", tmp_path / "out")
