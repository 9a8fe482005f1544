# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""`seeclear upscale` and `upscale_video` behind it, most of it with a stand-in for the model."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import MISSING, fields
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest
import typer
from PIL import Image

from seeclear.app import cli, progress, upscale
from seeclear.app.cli.upscale import read_settings
from seeclear.app.jobs import UpscaleSettings, plan
from seeclear.app.jobs.settings import LARGE_FRAMES_TILE
from seeclear.pipelines.memory import ClipsAndTile
from seeclear.video import VideoReader

Command = Callable[..., tuple[int, str, str]]
SAMPLING = ("num_inference_steps", "sampler", "noise", "seed")


def sound_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def parameters() -> dict[str, Any]:
    """Of the command, by name."""
    command = typer.main.get_command(cli.app).commands["upscale"]  # type: ignore[attr-defined]
    return {parameter.name: parameter for parameter in command.params}


# Settings


def test_every_setting_has_an_option_with_its_default() -> None:
    options = parameters()
    for field in fields(UpscaleSettings):
        assert field.default is not MISSING
        given = options[field.name].default
        assert given == field.default or given is None, field.name
    assert read_settings({name: option.default for name, option in options.items()}) == UpscaleSettings()


def test_settings_reach_the_pipeline(plain_pipe: Any, video: Path, tmp_path: Path, run: Command) -> None:
    sampling = ("--steps", 3, "--sampler", "ddim", "--seed", 7, "--noise", "frame", "--dtype", "fp32")
    cutting = ("--clip-overlap", 2, "--tile", "16x24", "--tile-overlap", 4, "--no-scene-detection", "--device", "cpu")
    words = ("--vocabulary", "person", "--vocabulary", "traffic light", "--clip-length", 4, "--detail", 0.25)
    assert run("upscale", video, tmp_path / "out.mkv", *sampling, *cutting, *words)[0] == 0
    seen = plain_pipe.calls[-1]
    assert {name: seen[name] for name in SAMPLING} == dict(zip(SAMPLING, (3, "ddim", "frame", 7), strict=True))
    assert (seen["clip_length"], seen["clip_overlap"], seen["tile"], seen["tile_overlap"]) == (4, 2, (16, 24), 4)
    assert (seen["vocabulary"], seen["detail"]) == (("person", "traffic light"), 0.25)


def test_defaults(plain_pipe: Any, video: Path, tmp_path: Path) -> None:
    result = upscale.upscale_video(video, tmp_path / "out.webm.mp4", progress=False)
    seen = {name: plain_pipe.calls[-1][name] for name in (*SAMPLING, "vocabulary")}
    assert seen == {"num_inference_steps": None, "sampler": None, "noise": "video", "seed": 0, "vocabulary": None}
    assert (result.frames, result.width, result.height) == (6, 128, 96)
    assert result.path_out == tmp_path / "out.webm.mp4" and result.seconds > 0 and result.status == "done"


def test_settings_reach_the_file(plain_pipe: Any, video: Path, tmp_path: Path, run: Command) -> None:
    coding = ("--codec", "h265", "--crf", 30, "--preset", "ultrafast", "--pix-fmt", "yuv420p10le")
    assert run("upscale", video, tmp_path / "out.mkv", "--scale", 3.5, *coding)[0] == 0
    with VideoReader(tmp_path / "out.mkv") as reader:
        properties = reader.properties
    assert (properties.width, properties.height, properties.codec) == (112, 84, "hevc")
    assert (properties.pix_fmt, properties.bit_depth) == ("yuv420p10le", 10)


def test_sides_are_those_of_the_picture_as_it_is_shown(
    plain_pipe: Any, video: Path, tmp_path: Path, run: Command
) -> None:
    assert "of 64x48" in run("upscale", video, tmp_path / "a.mp4", "--width", 64)[1]
    assert "of 80x96" in run("upscale", video, tmp_path / "b.mp4", "--width", 80, "--height", 96)[1]


def test_the_tile_is_chosen_from_the_memory(
    plain_pipe: Any, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Command
) -> None:
    asked = []

    def choose(pipe: Any, height: int, width: int, budget: int, *clips: int | None) -> Any:
        asked.append((height, width, budget, *clips))
        return ClipsAndTile(3, 1, 16) if len(clips) == 1 else 20

    monkeypatch.setattr(plan, "choose_clips_and_tile", choose)
    monkeypatch.setattr(plan, "choose_tile", choose)
    names = ("clip_length", "clip_overlap", "tile")
    for arguments, chosen in (
        ((), (3, 1, 16)),
        (("--memory", "500MB", "--clip-overlap", 2), (3, 1, 16)),
        (("--clip-length", 4), (4, None, 20)),  # what was asked for is not chosen
        (("--tile", 0), (None, None, None)),
        (("--tile", 24, "--clip-length", 3), (3, None, 24)),
    ):
        assert run("upscale", video, tmp_path / "out.mp4", "--overwrite", *arguments)[0] == 0
        assert tuple(plain_pipe.calls[-1][name] for name in names) == chosen
    assert asked == [(24, 32, 4 * 10**9, None), (24, 32, 500 * 10**6, 2), (24, 32, 4 * 10**9, 4, 0)]


def test_frames_too_large_for_the_default_memory_have_small_tiles(
    plain_pipe: Any, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Command, fails: Any
) -> None:
    def choose(*_: Any) -> ClipsAndTile:
        raise ValueError("`budget_bytes` is 4 GB; frames need more")

    monkeypatch.setattr(plan, "choose_clips_and_tile", choose)
    assert run("upscale", video, tmp_path / "out.mp4")[0] == 0
    assert plain_pipe.calls[-1]["tile"] == LARGE_FRAMES_TILE
    message = fails("upscale", video, tmp_path / "other.mp4", "--memory", "4GB")
    assert message == "seeclear: error: --memory is too small: --memory is 4 GB; frames need more\n"


# Inputs and outputs


def test_video_to_video(plain_pipe: Any, video: Path, tmp_path: Path, run: Command) -> None:
    code, out, err = run("upscale", video, tmp_path / "out.mp4")
    assert (code, err) == (0, "")
    assert "out.mp4: 6 frames of 128x96" in out
    with VideoReader(tmp_path / "out.mp4") as reader, VideoReader(video) as source:
        assert (reader.width, reader.height, reader.fps) == (128, 96, source.fps) == (128, 96, Fraction(30000, 1001))
        large, small = np.stack(list(reader)).astype(float), np.stack(list(source)).astype(float)
    assert large.shape == (6, 96, 128, 3)
    assert np.abs(large.mean((0, 1, 2)) - small.mean((0, 1, 2))).max() < 0.5
    assert np.abs(large - small.repeat(4, 1).repeat(4, 2)).mean() < 3
    assert sound_of(tmp_path / "out.mp4") == sound_of(video)
    assert sorted(os.listdir(tmp_path)) == [".seeclear", "in.mp4", "out.mp4"]


def test_folder_to_folder(plain_pipe: Any, tmp_path: Path, run: Command, stand_in: ModuleType) -> None:
    (tmp_path / "in").mkdir()
    for index, frame in enumerate(stand_in.moving_gradients(3)):
        Image.fromarray(frame).save(tmp_path / "in" / f"shot{index}.bmp")
    assert run("upscale", tmp_path / "in", tmp_path / "out")[0] == 0
    assert sorted(os.listdir(tmp_path / "out")) == ["shot0.png", "shot1.png", "shot2.png"]
    for index, frame in enumerate(stand_in.moving_gradients(3)):
        seen = np.asarray(Image.open(tmp_path / "out" / f"shot{index}.png"))
        np.testing.assert_array_equal(seen, frame.repeat(4, 0).repeat(4, 1))


def test_folder_to_video_and_video_to_folder(plain_pipe: Any, video: Path, tmp_path: Path, run: Command) -> None:
    assert run("upscale", video, tmp_path / "frames")[0] == 0
    assert sorted(os.listdir(tmp_path / "frames")) == [f"{index:06d}.png" for index in range(6)]
    assert run("upscale", tmp_path / "frames", tmp_path / "again.mp4")[0] == 0
    with VideoReader(tmp_path / "again.mp4") as reader:
        assert (reader.width, reader.fps, len(list(reader))) == (512, 25, 6)


@pytest.mark.parametrize("rate", ["30000/1001", "12.5", "50"])
def test_frames_per_second_of_a_folder(
    plain_pipe: Any, video: Path, tmp_path: Path, rate: str, run: Command, fails: Callable[..., str]
) -> None:
    assert run("upscale", video, tmp_path / "frames")[0] == 0
    assert run("upscale", tmp_path / "frames", tmp_path / "again.mp4", "--fps", rate)[0] == 0
    with VideoReader(tmp_path / "again.mp4") as reader:
        assert (reader.fps, len(list(reader))) == (Fraction(rate), 6)
    assert "--fps" in fails("upscale", video, tmp_path / "other.mp4", "--fps", "7")


def test_odd_sides(plain_pipe: Any, tmp_path: Path, run: Command, stand_in: ModuleType) -> None:
    video = stand_in.write_video(tmp_path / "in.mkv", stand_in.moving_gradients(2, 20, 26), sound=False)
    sizes = []
    for name, flags in (("even.mp4", ()), ("odd.mp4", ("--exact-size",))):
        code, _, err = run("upscale", video, tmp_path / name, "--scale", 1.5, *flags)
        assert code == 0 and ("39x30 becomes 40x30" in err and "--exact-size keeps odd ones" in err) == (not flags)
        with VideoReader(tmp_path / name) as reader:
            sizes.append((reader.width, reader.height, reader.properties.pix_fmt))
    assert sizes == [(40, 30, "yuv420p"), (39, 30, "yuv444p")]


@pytest.mark.parametrize("name", ["side.png", "side.mp4"])
def test_comparison(plain_pipe: Any, video: Path, tmp_path: Path, name: str, run: Command) -> None:
    assert run("upscale", video, tmp_path / "out.mp4", "--compare", tmp_path / name)[0] == 0
    if name.endswith(".png"):
        assert Image.open(tmp_path / name).size == (258, 96)
    else:
        with VideoReader(tmp_path / name) as reader:
            assert (reader.width, reader.height, len(list(reader))) == (258, 96, 6)


# What is said


def test_progress_bars_name_the_frames(
    plain_pipe: Any, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand_in: ModuleType
) -> None:
    bars = []
    plain = progress.tqdm

    def bar(*positional: Any, **settings: Any) -> Any:
        bars.append((settings["desc"], settings["total"], settings["initial"], settings["disable"]))
        return plain(*positional, **{**settings, "disable": True})

    monkeypatch.setattr(progress, "tqdm", bar)
    upscale.upscale_video(video, tmp_path / "a.mp4")
    upscale.upscale_video(stand_in.write_video(tmp_path / "in.mkv"), tmp_path / "b.mp4", progress=False)
    assert bars == [
        ("reading", 6, 0, None),
        ("upscaling", 6, 0, None),
        ("reading", None, 0, True),
        ("upscaling", 6, 0, True),
    ]


def test_quiet_and_verbose(plain_pipe: Any, video: Path, tmp_path: Path, run: Command, fails: Any) -> None:
    assert run("upscale", video, tmp_path / "a.gif", "-q") == (0, "", "")
    code, out, err = run("upscale", video, tmp_path / "b.gif")
    assert code == 0 and "b.gif: 6 frames" in out
    assert err.splitlines() == [
        f"seeclear: note: {tmp_path / 'b.gif'}: a GIF has 256 colours a frame and times of 1/100 s.",
        f"seeclear: note: {tmp_path / 'b.gif'}: the sound #1 (aac) of {video} is left out, as images have none.",
    ]
    code, out, err = run("upscale", video, tmp_path / "c.gif", "--verbose", "--device", "cpu")
    assert code == 0 and "c.gif: 6 frames" in out
    plan_note = "32x24 to 128x96, in clips of 5 frames that share 0, whole frames."
    for part in (
        "Device cpu, ",
        plan_note,
        "6 frames, scene cuts: 0, read in ",
        "put together in ",
        "a GIF has 256 colours",
    ):
        assert part in err
    assert all(line.startswith("seeclear: note: ") for line in err.splitlines())
    assert "give --quiet or --verbose, not both" in fails("upscale", video, tmp_path / "d.gif", "-q", "-v")
    assert "absent.mp4: there is no such file" in fails("upscale", tmp_path / "absent.mp4", tmp_path / "d.gif", "-q")


def test_dry_run_says_what_would_be_done_and_writes_nothing(
    plain_pipe: Any, video: Path, tmp_path: Path, run: Command
) -> None:
    code, out, err = run("upscale", video, tmp_path / "out.gif", "--dry-run", "--scale", 2, "--tile", "16x24")
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == str(video) and lines[1] == f"output {tmp_path / 'out.gif'}"
    assert lines[2:7] == [
        "size 32x24 -> 64x48",
        "frames 6",
        "clips 2 of 5 frames, 0 shared; scene cuts add some",
        "tile 16x24 (height x width)",
        "memory 1.5 GB at most, estimated",
    ]
    assert lines[7].startswith("time 0 s, from 0.") and lines[7].endswith("s measured for the first clip")
    said = run("upscale", video, tmp_path / "out.gif")[2]
    notes = [line.removeprefix("note ") for line in lines[8:]]
    assert notes == [line.removeprefix("seeclear: note: ") for line in said.splitlines()] and len(notes) == 2


def test_dry_run_writes_nothing(plain_pipe: Any, video: Path, tmp_path: Path, run: Command) -> None:
    assert run("upscale", video, tmp_path / "out.mp4", "--dry-run", "--compare", tmp_path / "side.png")[0] == 0
    assert os.listdir(tmp_path) == ["in.mp4"]


def test_dry_run_of_many(plain_pipe: Any, tmp_path: Path, run: Command, stand_in: ModuleType) -> None:
    """Those that would be upscaled with their notes, those that are done, and those that would fail."""
    (tmp_path / "in").mkdir()
    for name in ("a.mkv", "b.mp4"):
        stand_in.write_video(tmp_path / "in" / name)
    Image.new("RGB", (8, 8)).save(tmp_path / "in" / "c.gif")
    code, out, err = run("upscale", tmp_path / "in", tmp_path / "out", "--dry-run")
    assert (code, err) == (0, "") and out.count("32x24 -> 128x96") == 2
    assert out.count("a GIF has 256 colours a frame") == 1
    assert not (tmp_path / "out").exists()
    assert run("upscale", tmp_path / "in", tmp_path / "out")[0] == 0
    (tmp_path / "in" / "a.mkv").write_bytes(b"no video")
    (tmp_path / "out" / "b.mp4").write_bytes(b"changed")
    said = run("upscale", tmp_path / "in", tmp_path / "out", "--dry-run")
    done = run("upscale", tmp_path / "in", tmp_path / "out")
    assert said[0] == done[0] == 2 and said[2] == done[2]
    assert "a.mkv: cut off or not a video" in said[2] and "it was changed since it was made" in said[2]
    assert said[1].splitlines() == done[1].splitlines()[:-1]
    assert "c.gif: skipped, it was made before from this input with these settings" in said[1]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (185, "3 min 05 s"), (26_000, "7 h 13 min")]
)
def test_times_are_readable(seconds: float, text: str) -> None:
    assert plan.format_seconds(seconds) == text


def test_many_videos(plain_pipe: Any, tmp_path: Path, run: Command, fails: Any, stand_in: ModuleType) -> None:
    (tmp_path / "in").mkdir()
    stand_in.write_video(tmp_path / "in" / "a.mp4")
    (tmp_path / "in" / "b.mp4").write_text("no video")
    code, out, err = run("upscale", tmp_path / "in", tmp_path / "out")
    assert code == 2 and err.startswith("seeclear: error: ") and "b.mp4: cut off or not a video" in err
    assert err.count("\n") == 1 and "a.mp4: 6 frames of 128x96" in out
    assert out.splitlines()[-1] == "1 done, 0 skipped, 1 failed"
    stand_in.write_video(tmp_path / "in" / "b.mp4")
    code, out, err = run("upscale", tmp_path / "in", tmp_path / "out")
    assert (code, err) == (0, "") and out.splitlines()[-1] == "1 done, 1 skipped, 0 failed"
    assert "a.mp4: skipped, it was made before from this input with these settings" in out
    message = fails("upscale", tmp_path / "in", tmp_path / "out", "--compare", tmp_path / "side.png")
    assert "--compare is for one video" in message


# The shipped model


def test_end_to_end_with_the_shipped_model(tmp_path: Path, video: Path) -> None:
    out, side = tmp_path / "out.mp4", tmp_path / "side.png"
    command = [sys.executable, "-m", "seeclear", "upscale", str(video), str(out), "--compare", str(side)]
    command += ["--dtype", "fp32", "--device", "cpu"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0 and result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"seeclear: note: {video}: the model is seeclear-tiny, as the input is clean: ")
    with VideoReader(out) as reader, VideoReader(video) as source:
        assert (reader.width, reader.height, reader.fps) == (128, 96, source.fps)
        large, small = np.stack(list(reader)).astype(float), np.stack(list(source)).astype(float)
    assert large.shape == (6, 96, 128, 3)
    assert np.abs(large.mean((0, 1, 2)) - small.mean((0, 1, 2))).max() < 3
    assert sound_of(out) == sound_of(video)
    assert Image.open(side).size == (258, 96)
