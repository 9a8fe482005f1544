# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""`--grain`: what is added to the frames of an output, that nothing but the settings decides it, and what is said."""

import json
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

from seeclear.app.jobs import Handling, Job, JobInterrupted, LoadedModel, UpscaleSettings
from seeclear.app.jobs.folder import job_folder
from seeclear.app.jobs.records import record_path
from seeclear.app.progress import Bars
from seeclear.app.upscale import upscale_folder, upscale_video
from seeclear.video import VideoReader
from seeclear.video.grain import EVERY, add_grain, measure_grain

Command = Callable[..., tuple[int, str, str]]
STRENGTH = 5.0
SHORT = 12
"""Frames of the videos; there is a cut in the middle."""


def pictures(strength: float, num_frames: int = SHORT, channels: int = 3) -> np.ndarray:
    """uint8 (F, 48, 64, channels): flat, dark and then bright, with fresh grey noise; alpha is opaque to the left."""
    rng = np.random.default_rng(0)
    level = np.where(np.arange(num_frames) < num_frames / 2, 90.0, 170.0)[:, None, None, None]
    noise = strength * rng.standard_normal((num_frames, 48, 64, 1))
    frames = np.repeat((level + noise).round(), channels, axis=-1)
    frames[..., 3:] = np.where(np.arange(64) < 32, 255, 100)[:, None]
    return frames.clip(0, 255).astype(np.uint8)


def write_video(path: Path, frames: np.ndarray) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "bgr0"
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_images(folder: Path, frames: np.ndarray) -> Path:
    folder.mkdir()
    for index, pixels in enumerate(frames):
        Image.fromarray(pixels).save(folder / f"{index:03d}.png")
    return folder


def read(path: Path) -> np.ndarray:
    """(F, H, W, 3) in grey levels."""
    with VideoReader(path) as reader:
        return np.stack([frame.rgb for frame in reader.frames()]).astype(np.float64) * 255


@pytest.fixture
def grainy(tmp_path: Path) -> Path:
    return write_video(tmp_path / "in.mkv", pictures(STRENGTH))


@pytest.fixture
def upscaled(plain_pipe: Any, tmp_path: Path) -> Callable[..., np.ndarray]:
    """`upscaled(source, grain, ...)`: the frames of a lossless output."""

    def make(source: Path, grain: float, **changes: Any) -> np.ndarray:
        out = tmp_path / f"out{len(list(tmp_path.glob('out*')))}.mkv"
        upscale_video(source, out, grain=grain, codec="ffv1", pix_fmt="gbrp16le", **changes)
        return read(out)

    return make


# The grain


@pytest.mark.parametrize("size", [{}, {"scale": 2.5}, {"width": 200}])
def test_a_share_of_the_strength_of_the_input_is_added(upscaled: Any, grainy: Path, size: dict[str, Any]) -> None:
    """The stand-in keeps the grain of the input, so that what is added is the difference."""
    before = upscaled(grainy, 0, **size)
    for share in (0.4, 1.0):
        added = upscaled(grainy, share, **size) - before
        assert np.abs(added - added.mean(axis=-1, keepdims=True)).max() < 0.02  # grey, in steps of 16 bits
        assert added.std() == pytest.approx(share * STRENGTH, rel=0.1)
        assert abs(added.mean()) < 0.1
        frames = added[..., 0].reshape(len(added), -1)
        likeness = np.corrcoef(frames) - np.eye(len(frames))
        assert np.abs(likeness).max() < 0.1


def test_nothing_is_the_default_bit_for_bit(plain_pipe: Any, grainy: Path, tmp_path: Path) -> None:
    upscale_video(grainy, tmp_path / "a.mp4")
    upscale_video(grainy, tmp_path / "b.mp4", grain=0)
    upscale_video(grainy, tmp_path / "c.mp4", grain=1)
    a, b, c = ((tmp_path / f"{name}.mp4").read_bytes() for name in "abc")
    assert a == b != c


def test_a_clean_video_gets_nothing(plain_pipe: Any, tmp_path: Path, run: Command) -> None:
    clean = write_video(tmp_path / "in.mkv", pictures(0))
    assert run("upscale", clean, tmp_path / "a.mkv", "--codec", "ffv1")[2] == ""
    code, _, err = run("upscale", clean, tmp_path / "b.mkv", "--codec", "ffv1", "--grain", 1)
    assert (code, err) == (0, f"seeclear: note: {clean}: it has no grain that shows, so that --grain adds none.\n")
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()


def test_the_seed_decides_and_python_does_the_same(upscaled: Any, grainy: Path) -> None:
    one, again, other = (upscaled(grainy, 1, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one, again) and all(not np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    plain, low_res = (
        torch.from_numpy(frames).permute(0, 3, 1, 2) / 255 for frames in (upscaled(grainy, 0), read(grainy))
    )
    made = add_grain(plain.float(), measure_grain(low_res.float())).permute(0, 2, 3, 1).numpy() * 255
    assert np.abs(made - one).max() < 0.01  # half a level of 16 bits, twice


def test_images_and_transparent_ones(plain_pipe: Any, tmp_path: Path) -> None:
    """Frames in a folder, pictures by themselves and an image; alpha has no grain."""
    frames = write_images(tmp_path / "in", pictures(STRENGTH, 3, channels=4))
    for name, grain in (("a", 0.0), ("b", 1.0)):
        upscale_video(frames, tmp_path / name, grain=grain)
        upscale_video(frames / "000.png", tmp_path / f"{name}.png", grain=grain)
        results = upscale_folder(frames, tmp_path / f"{name}s", images=True, grain=grain)
        assert [result.status for result in results] == ["done"] * 3
    for path in ("{}/000.png", "{}.png", "{}s/000.png", "{}s/002.png"):
        before, after = (np.array(Image.open(tmp_path / path.format(name)), np.float64) for name in "ab")
        assert np.array_equal(before[..., 3], after[..., 3]) and before.shape == (192, 256, 4)
        assert (after - before)[..., 0].std() == pytest.approx(STRENGTH, rel=0.1)
    single, first = (np.array(Image.open(tmp_path / path)) for path in ("b.png", "bs/000.png"))
    assert np.array_equal(single, first)


# What decides it


@pytest.mark.usefixtures("short_parts")
def test_neither_an_interruption_nor_clips_nor_processes_change_it(
    pipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_video(tmp_path / "in.mkv", pictures(STRENGTH, 3 * EVERY))
    upscale_video(source, tmp_path / "whole.mkv", grain=0.5)
    whole, out = (tmp_path / "whole.mkv").read_bytes(), tmp_path / "out.mkv"
    begin, begun = type(pipe.restorer).begin_clip, []

    def begin_clip(self: Any, clip: Any) -> Any:
        if len(begun) == 3:
            raise KeyboardInterrupt
        begun.append(clip)
        return begin(self, clip)

    with monkeypatch.context() as patch, pytest.raises(JobInterrupted):
        patch.setattr(type(pipe.restorer), "begin_clip", begin_clip)
        upscale_video(source, out, grain=0.5)
    assert json.loads((job_folder(out) / "survey.json").read_text())["grain"] == pytest.approx(STRENGTH, rel=0.1)
    with pytest.raises(ValueError, match=r"cannot go on, because `grain` was 0\.5 and is now 0\.6"):
        upscale_video(source, out, grain=0.6)
    assert upscale_video(source, out, grain=0.5).restored_frames < 3 * EVERY and out.read_bytes() == whole

    def make_job(leads: bool) -> Job:
        def load(model: str) -> LoadedModel:
            return LoadedModel.load(model, torch.device("cpu"), torch.float32)

        return Job(source, tmp_path / "two.mkv", UpscaleSettings(grain=0.5), load, Handling(), leads=leads)

    leader, helper = make_job(True), make_job(False)
    leader.begin()
    helped, led = helper.run(Bars(False)), leader.run(Bars(False))
    assert helped is not None and helped.restored_frames == 3 * EVERY and led is not None and led.status == "done"
    assert (tmp_path / "two.mkv").read_bytes() == whole


def test_clips_do_not_change_it(upscaled: Any, grainy: Path) -> None:
    whole = upscaled(grainy, 1)
    assert np.array_equal(upscaled(grainy, 1, clip_length=2, memory=None), whole)
    assert np.array_equal(upscaled(grainy, 1, tile=16, tile_overlap=0, memory=None), whole)


def test_records_have_it_and_those_without_are_of_none(plain_pipe: Any, grainy: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    upscale_video(grainy, out)
    record = json.loads(record_path(out).read_text(encoding="utf-8"))
    assert record["manifest"]["settings"].pop("grain") is None
    record_path(out).write_text(json.dumps(record), encoding="utf-8")
    assert upscale_video(grainy, out).status == upscale_video(grainy, out, grain=0).status == "skipped"
    with pytest.raises(ValueError, match=r"`grain` was not given and is now 0\.5"):
        upscale_video(grainy, out, grain=0.5)
    assert upscale_video(grainy, out, grain=0.5, overwrite=True).status == "done"
    for half in (0.5, np.float32(0.5)):
        assert upscale_video(grainy, out, grain=half).status == "skipped"
    with pytest.raises(ValueError, match=r"`grain` was 0\.5 and is now not given"):
        upscale_video(grainy, out)


# What is refused


@pytest.mark.parametrize("grain", [-0.1, 1.5, math.nan, math.inf])
def test_out_of_range(pipe: Any, grainy: Path, tmp_path: Path, fails: Callable[..., str], grain: float) -> None:
    for call in (upscale_video, upscale_folder):
        with pytest.raises(ValueError, match=f"`grain` is {grain}; it must be a number from 0 to 1"):
            call(grainy, tmp_path / "out.mp4", grain=grain)
    said = fails("upscale", grainy, tmp_path / "out.mp4", f"--grain={grain}")
    assert said == f"seeclear: error: --grain is {grain}; it must be a number from 0 to 1\n"
