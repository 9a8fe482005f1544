# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""One video: what comes out, going on after an interruption, and refusing to."""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from seeclear import files
from seeclear.app.jobs import JobInterrupted
from seeclear.app.jobs.folder import job_folder
from seeclear.app.jobs.store import ClipStore
from seeclear.app.upscale import upscale_folder, upscale_video
from seeclear.pipelines import SeeClearPipeline
from seeclear.pipelines.settings import RestorationSettings
from seeclear.video import VideoReader

pytestmark = pytest.mark.usefixtures("short_parts")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def restored_clips(pipe: Any, monkeypatch: pytest.MonkeyPatch, interrupt_after: int | None = None) -> list[int]:
    """The first frames of the clips that are restored from now on; Ctrl-C in the one after `interrupt_after`."""
    starts: list[int] = []
    begin = type(pipe.restorer).begin_clip

    def begin_clip(self: Any, clip: Any) -> Any:
        if len(starts) == interrupt_after:
            raise KeyboardInterrupt
        starts.append(clip.start)
        return begin(self, clip)

    monkeypatch.setattr(type(pipe.restorer), "begin_clip", begin_clip)
    return starts


@pytest.fixture
def video(stand_in: ModuleType, tmp_path: Path) -> Path:
    """Three scenes of 13, 4 and 9 frames."""
    return stand_in.write_video(tmp_path / "in.mp4", stand_in.scenes(13, 4, 9))


@pytest.fixture
def folder(stand_in: ModuleType, tmp_path: Path) -> Path:
    """The same as images."""
    path = tmp_path / "frames"
    path.mkdir()
    for index, frame in enumerate(stand_in.scenes(13, 4, 9)):
        Image.fromarray(frame).save(path / f"{index:03d}.png")
    return path


def test_frames_are_those_of_the_pipeline(pipe: Any, folder: Path, tmp_path: Path, stand_in: ModuleType) -> None:
    """Cut into scenes, clips and parts, the job gives what one stream over the whole video gives."""
    result = upscale_video(folder, tmp_path / "out")
    assert (result.frames, result.restored_frames, result.width, result.height) == (26, 26, 128, 96)
    whole = torch.stack([torch.from_numpy(frame).permute(2, 0, 1)[None] / 255 for frame in stand_in.scenes(13, 4, 9)])
    clips = pipe.stream_clips(whole[:, 0], RestorationSettings())
    expected = torch.cat([clip.frames for clip in clips]).mul(255).add(0.5).floor().byte().permute(0, 2, 3, 1)
    assert len({clip["seed"] for clip in pipe.calls}) == 1
    with VideoReader(tmp_path / "out") as reader:
        seen = np.stack(list(reader)).astype(int)
    assert np.abs(seen - expected.numpy()).max() <= 1  # 16 bits lie between: a tie may fall to the other side
    assert np.mean(seen != expected.numpy()) < 1e-3


def test_nothing_is_left_beside_the_output(pipe: Any, video: Path, tmp_path: Path) -> None:
    upscale_video(video, tmp_path / "out.mp4")
    assert sorted(os.listdir(tmp_path)) == [".seeclear", "in.mp4", "out.mp4"]
    with VideoReader(tmp_path / "out.mp4") as reader:
        assert len(list(reader)) == 26


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "parts"])  # the last as a folder of the job itself
def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(
    pipe: Any, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def contents(path: Path) -> list[bytes]:
        return [file.read_bytes() for file in (sorted(path.iterdir()) if path.is_dir() else [path])]

    (tmp_path / "whole").mkdir()
    upscale_video(video, tmp_path / "whole" / name)
    starts: list[int] = []
    for clips in (1, 2, 2):
        with monkeypatch.context() as patch, pytest.raises(JobInterrupted, match="same command goes on") as raised:
            done = restored_clips(pipe, patch, interrupt_after=clips)
            upscale_video(video, tmp_path / name)
        starts += done
        assert "of 26 frames finished" in str(raised.value)
        assert not (tmp_path / name).exists() and (tmp_path / f".{name}.seeclear").is_dir()
    done = restored_clips(pipe, monkeypatch)
    result = upscale_video(video, tmp_path / name)
    starts += done
    assert len(starts) == len(set(starts))  # nothing was done twice
    assert 0 < result.restored_frames < result.frames == 26
    assert contents(tmp_path / name) == contents(tmp_path / "whole" / name)
    assert not (tmp_path / f".{name}.seeclear").exists()


def test_a_small_pipeline_goes_on_with_the_same_bits(
    small_components: dict[str, Any], use_pipe: Callable[[Any], Any], stand_in: ModuleType, tmp_path: Path
) -> None:
    """The real pipeline, with CaTeGory's memory and noise in several steps carried over the interruption."""
    use_pipe(SeeClearPipeline(**small_components)).set_progress_bar_config(disable=True)
    video = stand_in.write_video(tmp_path / "in.mp4", stand_in.moving_gradients(8, 16, 16))
    settings = {
        "num_inference_steps": 2,
        "device": "cpu",
        "dtype": "fp32",
        "memory": None,
        "noise": "frame",
        "clip_overlap": 1,
    }
    upscale_video(video, tmp_path / "whole.mkv", **settings)

    commit, count = ClipStore.commit, 0

    def stop_after_one(self: ClipStore, *arguments: Any) -> None:
        nonlocal count
        commit(self, *arguments)
        count += 1
        if count == 1:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(JobInterrupted, match="with 4 of 8 frames"):
        patch.setattr(ClipStore, "commit", stop_after_one)
        upscale_video(video, tmp_path / "out.mkv", **settings)
    result = upscale_video(video, tmp_path / "out.mkv", **settings)
    assert result.restored_frames == 4
    assert digest(tmp_path / "out.mkv") == digest(tmp_path / "whole.mkv")


# Going on is refused


@pytest.fixture
def interrupted(pipe: Any, video: Path, tmp_path: Path) -> Path:
    """The output of a run that was interrupted after two clips."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(JobInterrupted):
        restored_clips(pipe, patch, interrupt_after=2)
        upscale_video(video, tmp_path / "out.mp4")
    return tmp_path / "out.mp4"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"seed": 3}, "`seed` was 0 and is now 3"),
        ({"scale": 2}, "`height` was 96 and is now 48; `width` was 128 and is now 64"),
        ({"clip_overlap": 2}, "`clip_overlap` was not given and is now 2"),
        ({"crf": 20}, "`crf` was not given and is now 20"),
        ({"scene_detection": False}, "`scene_detection` was on and is now off"),
    ],
)
def test_other_settings(interrupted: Path, video: Path, change: dict[str, Any], reason: str) -> None:
    before = sorted(path.name for path in interrupted.parent.rglob("*"))
    with pytest.raises(ValueError, match="cannot go on") as raised:
        upscale_video(video, interrupted, **change)
    assert reason in str(raised.value) and "`restart`" in str(raised.value)
    assert sorted(path.name for path in interrupted.parent.rglob("*")) == before  # nothing is lost by the refusal
    assert upscale_video(video, interrupted).restored_frames < 26
    assert interrupted.exists()


def test_another_input_or_model(interrupted: Path, video: Path, stand_in: ModuleType, pipe: Any) -> None:
    torch.nn.init.constant_(pipe.components["pixel_condenser"].bias, 1.0)
    with pytest.raises(ValueError, match="the model has other weights"):
        upscale_video(video, interrupted)
    torch.nn.init.zeros_(pipe.components["pixel_condenser"].bias)
    stand_in.write_video(video, stand_in.scenes(13, 4, 10))
    with pytest.raises(ValueError, match="the input is another one"):
        upscale_video(video, interrupted)


def test_the_same_input_elsewhere_goes_on(interrupted: Path, video: Path, tmp_path: Path) -> None:
    (tmp_path / "moved").mkdir()
    shutil.move(video, tmp_path / "moved" / "other.mp4")
    assert upscale_video(tmp_path / "moved" / "other.mp4", interrupted).restored_frames < 26


def test_restart(interrupted: Path, video: Path) -> None:
    result = upscale_video(video, interrupted, restart=True, seed=3)
    assert result.restored_frames == result.frames == 26


def test_a_job_that_runs_is_left_alone(interrupted: Path, video: Path) -> None:
    lock = files.Lock(job_folder(interrupted) / "lock")
    assert lock.acquire()
    for restart in (False, True):
        with pytest.raises(ValueError, match="another process is at work on it"):
            upscale_video(video, interrupted, restart=restart)
    lock.release()
    assert upscale_video(video, interrupted).restored_frames < 26


# Faults of the disk


@pytest.mark.parametrize("call", [0, 3, 8, 14])
def test_a_full_disk_keeps_what_is_finished(
    pipe: Any, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    upscale_video(video, tmp_path / "whole.mp4")
    calls, sync = 0, files.sync

    def full(path: Path) -> None:
        nonlocal calls
        calls += 1
        if calls > call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(path)

    with monkeypatch.context() as patch, pytest.raises(ValueError, match="No space left on device") as raised:
        patch.setattr(files, "sync", full)
        upscale_video(video, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()
    assert ("the same command goes on" in str(raised.value)) == (tmp_path / ".out.mp4.seeclear").exists() == (call > 3)
    assert not list(tmp_path.rglob("*.part*"))
    upscale_video(video, tmp_path / "out.mp4")
    assert digest(tmp_path / "out.mp4") == digest(tmp_path / "whole.mp4")


def test_a_folder_that_cannot_be_written(
    pipe: Any, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mkdir(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(ValueError, match=r"out.mp4: cannot be written \(Read-only file system\)"):
        upscale_video(video, tmp_path / "out.mp4")
    with pytest.raises(ValueError, match="cannot be written"):
        (tmp_path / "many").symlink_to(tmp_path)
        upscale_folder(tmp_path / "many", tmp_path / "outputs")
    assert pipe.calls == pipe.calls[:1]


# Sizes, alpha, grey


@pytest.mark.parametrize(
    ("settings", "size"),
    [({"scale": 1}, (7, 5)), ({"scale": 2.5}, (18, 13)), ({"width": 21}, (21, 15)), ({"height": 20}, (28, 20))],
)
def test_sizes(
    use_pipe: Callable[[Any], Any],
    stand_in: ModuleType,
    tmp_path: Path,
    settings: dict[str, Any],
    size: tuple[int, int],
) -> None:
    use_pipe(stand_in.Nearest())
    video = stand_in.write_video(tmp_path / "in.mkv", stand_in.moving_gradients(3, 5, 7))
    result = upscale_video(video, tmp_path / "out.mkv", **settings)
    assert (result.width, result.height) == size
    with VideoReader(tmp_path / "out.mkv") as reader:
        assert ((reader.width, reader.height), len(list(reader))) == (size, 3)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 70), (2, 3)])
def test_the_smallest_sizes(
    use_pipe: Callable[[Any], Any], stand_in: ModuleType, tmp_path: Path, height: int, width: int
) -> None:
    use_pipe(stand_in.Nearest())
    (tmp_path / "in").mkdir()
    frames = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / "in" / f"{index}.png")
    upscale_video(tmp_path / "in", tmp_path / "out")
    with VideoReader(tmp_path / "out") as reader:
        np.testing.assert_array_equal(np.stack(list(reader)), frames.repeat(4, 1).repeat(4, 2))


def test_alpha_is_upscaled_beside_the_colour(
    use_pipe: Callable[[Any], Any], stand_in: ModuleType, tmp_path: Path
) -> None:
    use_pipe(stand_in.Nearest())
    (tmp_path / "in").mkdir()
    for index, frame in enumerate(stand_in.moving_gradients(7, 6, 8)):
        alpha = np.full((6, 8, 1), 40 * index, np.uint8)
        Image.fromarray(np.concatenate([frame, alpha], -1)).save(tmp_path / "in" / f"{index}.png")
    upscale_video(tmp_path / "in", tmp_path / "out")
    for index, frame in enumerate(stand_in.moving_gradients(7, 6, 8)):
        seen = np.asarray(Image.open(tmp_path / "out" / f"{index}.png"))
        np.testing.assert_array_equal(seen[..., 3], 40 * index)
        np.testing.assert_array_equal(seen[..., :3], frame.repeat(4, 0).repeat(4, 1))


def test_grey_stays_grey(use_pipe: Callable[[Any], Any], stand_in: ModuleType, tmp_path: Path) -> None:
    use_pipe(stand_in.Nearest())
    (tmp_path / "in").mkdir()
    frame = stand_in.moving_gradients(1, 6, 8)[0, ..., 0]
    Image.fromarray(frame).save(tmp_path / "in" / "a.png")
    upscale_video(tmp_path / "in", tmp_path / "out")
    with Image.open(tmp_path / "out" / "a.png") as image:
        assert image.mode == "L"
        np.testing.assert_array_equal(np.asarray(image), frame.repeat(4, 0).repeat(4, 1))
