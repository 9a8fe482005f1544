# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""`seeclear upscale` of a part of a video, and of interlaced video."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from seeclear.app.jobs import JobInterrupted
from seeclear.app.jobs.records import record_path
from seeclear.app.jobs.store import ClipStore
from seeclear.app.upscale import upscale_video
from seeclear.video import VideoReader

Command = Callable[..., tuple[int, str, str]]
FPS = Fraction(30000, 1001)


@pytest.fixture
def long_video(stand_in: ModuleType, tmp_path: Path) -> Path:
    """40 frames of 32x24 at 29.97 per second, 1.335 s, with AAC sound."""
    return stand_in.write_video(tmp_path / "long.mp4", stand_in.moving_gradients(40))


@pytest.fixture
def folder(stand_in: ModuleType, tmp_path: Path) -> Path:
    """8 frames as images."""
    path = tmp_path / "frames"
    path.mkdir()
    for index, frame in enumerate(stand_in.moving_gradients(8)):
        Image.fromarray(frame).save(path / f"{index:03d}.png")
    return path


def read(path: Path) -> np.ndarray:
    with VideoReader(path) as reader:
        return np.stack(list(reader)).astype(int)


def times(path: Path) -> list[Fraction]:
    with VideoReader(path) as reader:
        return [pts * reader.properties.time_base for pts, _ in reader.times()]


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.gif"])
@pytest.mark.parametrize("length", [("--duration", "0.2"), ("--frames", 6)])
def test_a_part(
    plain_pipe: Any, long_video: Path, tmp_path: Path, run: Command, name: str, length: tuple[Any, ...]
) -> None:
    """From 0.5 s on: frame 15 is shown at 0.5005 s."""
    code, out, _ = run("upscale", long_video, tmp_path / name, "--start", "0:00.5", *length)
    assert code == 0 and f"{name}: 6 frames of 128x96" in out
    seen = read(tmp_path / name)
    expected = read(long_video)[15:21].repeat(4, 1).repeat(4, 2)
    assert seen.shape == expected.shape and np.abs(seen - expected).mean() < (9 if name == "out.gif" else 3)
    rounding = Fraction(1, 100) if name == "out.gif" else Fraction(1, 1000)
    assert all(abs(time - index / FPS) <= rounding for index, time in enumerate(times(tmp_path / name)))
    if name != "out.gif":
        with av.open(str(tmp_path / name)) as container:
            sound = [packet.pts * packet.time_base for packet in container.demux(audio=0) if packet.size]
        assert 0 <= sound[0] < Fraction(25, 1000) and Fraction(175, 1000) < sound[-1] < Fraction(202, 1000)


def test_a_part_is_that_of_the_whole_video(plain_pipe: Any, long_video: Path, tmp_path: Path, run: Command) -> None:
    """Frames of the part, to the bit, where each frame is restored by itself and stored without loss."""
    run("upscale", long_video, tmp_path / "whole.mkv", "--codec", "ffv1")
    run("upscale", long_video, tmp_path / "part.mkv", "--codec", "ffv1", "--start", "0.5", "--duration", "0.3")
    np.testing.assert_array_equal(read(tmp_path / "part.mkv"), read(tmp_path / "whole.mkv")[15:24])


def test_one_frame_as_an_image(plain_pipe: Any, long_video: Path, tmp_path: Path, run: Command) -> None:
    assert run("upscale", long_video, tmp_path / "out.png", "--start", "0.5", "--frames", 1)[0] == 0
    expected = read(long_video)[15].repeat(4, 0).repeat(4, 1)
    assert np.abs(read(tmp_path / "out.png")[0] - expected).max() <= 1


@pytest.mark.parametrize("name", ["long.mp4", "long.mkv"])
def test_a_dry_run_speaks_of_the_part(
    plain_pipe: Any, stand_in: ModuleType, tmp_path: Path, run: Command, name: str
) -> None:
    video = stand_in.write_video(tmp_path / name, stand_in.moving_gradients(40))
    for asked, frames, clips in (
        (("--start", "0.5", "--duration", "0.3"), "9 (from 0.5 s, 0.3 s)", 2),
        (("--start", "1"), "10 (from 1 s)", 2),
        (("--frames", 12), "12 (from 0 s, 12 frames at most)", 3),
        ((), "40", 8),
    ):
        code, out, _ = run("upscale", video, tmp_path / "out.mp4", "--dry-run", *asked)
        rows = dict(line.split(None, 1) for line in out.splitlines()[1:])
        assert code == 0 and rows["frames"] == frames and rows["clips"].startswith(f"{clips} of 5 frames")
    assert not (tmp_path / "out.mp4").exists()


def test_errors_name_what_was_typed(
    plain_pipe: Any, long_video: Path, folder: Path, tmp_path: Path, fails: Callable[..., str]
) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    for path, arguments, message in [
        (
            long_video,
            ("--start", "1:30"),
            "no frame begins at or after the --start asked for, from 90 s; the video lasts",
        ),
        (long_video, ("--start", "-2"), "--start must be seconds or [HH:]MM:SS, such as 90 or 1:30.5, but was '-2'"),
        (long_video, ("--start", "soon"), "but was 'soon'"),
        (
            long_video,
            ("--duration", "1:99"),
            "--duration must be seconds or [HH:]MM:SS, such as 90 or 1:30.5, but was ",
        ),
        (long_video, ("--duration", 0), "--duration must be above 0, but was 0"),
        (long_video, ("--frames", 0), "--frames is 0; it must be a whole number of at least 1"),
        (
            long_video,
            ("--duration", "0:01", "--frames", 3),
            "give --duration or --frames, not both: they were 0:01 and 3",
        ),
        (
            folder,
            ("--start", 1),
            "frames: --start is for videos, but this is of images, which have no",
        ),
        (folder, ("--deinterlace",), "frames: --deinterlace is for videos, but this is of images"),
        (long_video, ("--images",), "--images is for folders of images, but this is one file"),
    ]:
        assert message in fails("upscale", path, tmp_path / "out.mp4", *arguments)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_frames_of_a_folder(plain_pipe: Any, folder: Path, tmp_path: Path, run: Command) -> None:
    assert run("upscale", folder, tmp_path / "out", "--frames", 3)[0] == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["000.png", "001.png", "002.png"]
    assert run("upscale", folder, tmp_path / "out.mp4", "--frames", 3, "--fps", 10)[0] == 0
    assert times(tmp_path / "out.mp4") == [0, Fraction(1, 10), Fraction(2, 10)]


def test_a_video_that_is_too_short_does_not_stop_the_others(
    plain_pipe: Any, long_video: Path, stand_in: ModuleType, tmp_path: Path, run: Command
) -> None:
    (tmp_path / "videos").mkdir()
    long_video.rename(tmp_path / "videos" / "b.mp4")
    stand_in.write_video(tmp_path / "videos" / "a.mp4", stand_in.moving_gradients(6))
    code, out, err = run("upscale", tmp_path / "videos", tmp_path / "out", "--start", "1", "--frames", 2)
    assert code == 2 and "1 done, 0 skipped, 1 failed" in out and "b.mp4: 2 frames" in out
    assert "a.mp4: no frame begins at or after the --start" in err


# Which part an output is of


def test_parts_are_told_apart(
    plain_pipe: Any, long_video: Path, tmp_path: Path, run: Command, fails: Callable[..., str]
) -> None:
    out = tmp_path / "out.mp4"
    assert run("upscale", long_video, out, "--start", "0.5", "--frames", 2)[0] == 0
    assert "skipped, it was made before" in run("upscale", long_video, out, "--start", "0:00.50", "--frames", 2)[1]
    assert "--start was 0.5 s and is now 0.25 s" in fails("upscale", long_video, out, "--start", "0.25", "--frames", 2)
    assert "--frames was 2 and is now 3" in fails("upscale", long_video, out, "--start", "0.5", "--frames", 3)
    message = fails("upscale", long_video, out, "--duration", "0.1")
    assert (
        "--duration was not given and is now 0.1 s; --frames was 2 and is now not given; --start was 0.5 s" in message
    )
    assert "--deinterlace was not given and is now on" in fails("upscale", long_video, out, "--deinterlace")


def test_outputs_from_before_there_were_parts_are_known(plain_pipe: Any, video: Path, tmp_path: Path) -> None:
    upscale_video(video, tmp_path / "out.mp4", progress=False)
    path = record_path(tmp_path / "out.mp4")
    record = json.loads(path.read_text())
    for name in ("start", "duration", "frames", "deinterlace"):
        del record["manifest"]["settings"][name]
    path.write_text(json.dumps(record))
    assert upscale_video(video, tmp_path / "out.mp4", progress=False).status == "skipped"


def test_an_interrupted_part_goes_on(
    pipe: Any, long_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part: dict[str, Any] = {"start": "0.3", "duration": 0.6, "progress": False}
    upscale_video(long_video, tmp_path / "whole.mp4", **part)
    commit, count = ClipStore.commit, 0

    def stop_after_two(self: ClipStore, *arguments: Any) -> None:
        nonlocal count
        commit(self, *arguments)
        count += 1
        if count == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(JobInterrupted, match="with 10 of 18 frames"):
        patch.setattr(ClipStore, "commit", stop_after_two)
        upscale_video(long_video, tmp_path / "out.mp4", **part)
    with pytest.raises(ValueError, match="cannot go on, because `start` was 0.3 s and is now 0.4 s"):
        upscale_video(long_video, tmp_path / "out.mp4", **part | {"start": 0.4})
    result = upscale_video(long_video, tmp_path / "out.mp4", **part)
    assert (result.frames, result.restored_frames) == (18, 8)
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


@pytest.mark.parametrize("name", ["side.png", "side.mp4"])
def test_a_comparison_is_of_the_part(
    plain_pipe: Any, long_video: Path, tmp_path: Path, run: Command, name: str
) -> None:
    part = ("--start", "0.5", "--frames", 5)
    assert run("upscale", long_video, tmp_path / "out.mkv", *part, "--compare", tmp_path / name)[0] == 0
    seen, expected = read(tmp_path / name), read(tmp_path / "out.mkv")
    assert len(seen) == (1 if name == "side.png" else 5)
    bicubic, ours = seen[len(seen) // 2][:, :128], seen[len(seen) // 2][:, -128:]
    assert np.abs(ours - expected[2]).mean() < 3 and np.abs(bicubic - ours).mean() < 4


# Interlaced video


@pytest.fixture
def interlaced(tmp_path: Path) -> Path:
    """6 frames of 64x48: a bar that goes to the right by three pixels from field to field."""
    t, _, x = np.mgrid[:12, :48, :64]
    fields = (40 + 170 * np.exp(-(((x - 12 - 3 * t) / 5.0) ** 2))).astype(np.uint8)
    frames = fields[::2].copy()
    frames[:, 1::2] = fields[1::2, 1::2]
    with av.open(str(tmp_path / "fields.mkv"), "w") as container:
        options = {"flags": "+ilme+ildct", "x264-params": "tff=1", "crf": "4"}
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index, grey in enumerate(frames):
            planes = np.concatenate([grey, np.full((24, 64), 128, np.uint8)])
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return tmp_path / "fields.mkv"


def test_deinterlacing(plain_pipe: Any, interlaced: Path, tmp_path: Path, run: Command) -> None:
    _, _, err = run("upscale", interlaced, tmp_path / "combs.mkv", "--codec", "ffv1")
    assert err.count("the video says that it is interlaced") == 1 and "--deinterlace makes one of them" in err
    _, _, err = run("upscale", interlaced, tmp_path / "out.mkv", "--codec", "ffv1", "--deinterlace")
    assert err == ""
    seen = [np.diff(read(tmp_path / name)[:, 2::4, ::4, 0], axis=1) for name in ("combs.mkv", "out.mkv")]
    assert len(seen[0]) == len(seen[1]) == 6
    assert np.abs(seen[1]).mean() < 0.1 * np.abs(seen[0]).mean()
    assert times(tmp_path / "out.mkv") == times(tmp_path / "combs.mkv")


def test_a_comparison_is_deinterlaced_too(plain_pipe: Any, interlaced: Path, tmp_path: Path, run: Command) -> None:
    side = tmp_path / "side.png"
    assert run("upscale", interlaced, tmp_path / "out.mkv", "--deinterlace", "--compare", side)[0] == 0
    bicubic = read(side)[0][:, :256, 0]
    assert np.abs(np.diff(bicubic[2::4], axis=0)).mean() < 2
