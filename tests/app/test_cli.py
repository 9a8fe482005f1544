# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The command line and `upscale_video` behind it, most of it with a stand-in for the model."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from seeclear import __version__, runtime
from seeclear.app import cli, upscale
from seeclear.app.jobs import plan
from seeclear.app.jobs.settings import LARGE_FRAMES_TILE
from seeclear.pipelines.memory import ClipsAndTile
from seeclear.video import VideoReader

SAMPLING = ("num_inference_steps", "sampler", "noise", "seed")


def load_stand_in() -> ModuleType:
    """tests/jobs/stand_in.py"""
    path = Path(__file__).parent / "jobs" / "stand_in.py"
    spec = importlib.util.spec_from_file_location("stand_in", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules["stand_in"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


stand_in = load_stand_in()
make_frames = stand_in.moving_gradients


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Any:
    """In place of the model: every pixel four times in each direction."""
    nearest = stand_in.Nearest()

    def load(model: str, device: torch.device, dtype: torch.dtype) -> Any:
        if model != "seeclear-tiny":
            raise ValueError(f"`model` is {model!r}, which is\nneither a folder nor a shipped model.")
        return nearest

    monkeypatch.setattr(upscale, "load_pipeline", load)
    monkeypatch.setattr(plan, "choose_clips_and_tile", lambda *asked: ClipsAndTile(None, asked[-1], None))
    monkeypatch.setattr(plan, "estimate_peak_bytes", lambda *_, **__: 1_500_000_000)
    return nearest


def make_video(path: Path, num_frames: int = 6) -> Path:
    """32x24, 29.97 frames per second, with AAC sound."""
    return stand_in.write_video(path, make_frames(num_frames))


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return make_video(tmp_path / "in.mp4")


def sound_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def run(*arguments: object) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a command."""
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def fails(*arguments: object) -> str:
    """Runs a command that must end with exit code 2 and one line, which is returned."""
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("seeclear: error: ") and err.count("\n") == 1
    return err


# What it does


def test_video_to_video(pipe: Any, video: Path, tmp_path: Path) -> None:
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
    assert sorted(os.listdir(tmp_path)) == ["in.mp4", "out.mp4"]


def test_settings_reach_the_pipeline(pipe: Any, video: Path, tmp_path: Path) -> None:
    sampling = ("--steps", 3, "--sampler", "ddim", "--seed", 7, "--noise", "frame", "--dtype", "fp32")
    cutting = ("--clip-overlap", 2, "--tile", "16x24", "--tile-overlap", 4, "--no-scene-detection", "--device", "cpu")
    assert run("upscale", video, tmp_path / "out.mkv", *sampling, *cutting)[0] == 0
    assert {name: pipe.calls[-1][name] for name in SAMPLING} == dict(
        zip(SAMPLING, (3, "ddim", "frame", 7), strict=True)
    )
    assert (pipe.calls[-1]["clip_overlap"], pipe.calls[-1]["tile"], pipe.calls[-1]["tile_overlap"]) == (2, (16, 24), 4)


def test_settings_reach_the_file(pipe: Any, video: Path, tmp_path: Path) -> None:
    coding = ("--codec", "h265", "--crf", 30, "--preset", "ultrafast", "--pix-fmt", "yuv420p10le")
    assert run("upscale", video, tmp_path / "out.mkv", "--scale", 3.5, *coding)[0] == 0
    with VideoReader(tmp_path / "out.mkv") as reader:
        properties = reader.properties
    assert (properties.width, properties.height, properties.codec) == (112, 84, "hevc")
    assert (properties.pix_fmt, properties.bit_depth) == ("yuv420p10le", 10)


def test_sides_are_those_of_the_picture_as_it_is_shown(pipe: Any, video: Path, tmp_path: Path) -> None:
    assert "of 64x48" in run("upscale", video, tmp_path / "a.mp4", "--width", 64)[1]
    assert "of 80x96" in run("upscale", video, tmp_path / "b.mp4", "--width", 80, "--height", 96)[1]


def test_the_tile_is_chosen_from_the_memory(
    pipe: Any, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def choose(pipe: Any, height: int, width: int, budget: int, clip_overlap: int | None) -> ClipsAndTile:
        asked.append((height, width, budget, clip_overlap))
        return ClipsAndTile(3, 1, 16)

    monkeypatch.setattr(plan, "choose_clips_and_tile", choose)
    for arguments in ((), ("--memory", "500MB", "--clip-overlap", 2), ("--tile", 0)):
        assert run("upscale", video, tmp_path / "out.mp4", *arguments)[0] == 0
    assert asked == [(24, 32, 4 * 10**9, None), (24, 32, 500 * 10**6, 2)]
    names = ("clip_length", "clip_overlap", "tile")
    assert {tuple(call[name] for name in names) for call in pipe.calls[:2]} == {(3, 1, 16)}
    assert tuple(pipe.calls[-1][name] for name in names) == (None, None, None)


def test_frames_too_large_for_the_default_memory_have_small_tiles(
    pipe: Any, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choose(*_: Any) -> ClipsAndTile:
        raise ValueError("frames need more")

    monkeypatch.setattr(plan, "choose_clips_and_tile", choose)
    assert run("upscale", video, tmp_path / "out.mp4")[0] == 0
    assert pipe.calls[-1]["tile"] == LARGE_FRAMES_TILE
    message = fails("upscale", video, tmp_path / "other.mp4", "--memory", "4GB")
    assert "`memory` is too small: frames need more" in message


def test_defaults(pipe: Any, video: Path, tmp_path: Path) -> None:
    result = upscale.upscale_video(video, tmp_path / "out.webm.mp4", progress=False)
    assert {name: pipe.calls[-1][name] for name in SAMPLING} == dict(
        zip(SAMPLING, (None, None, "video", 0), strict=True)
    )
    assert (result.frames, result.width, result.height) == (6, 128, 96)
    assert result.path == tmp_path / "out.webm.mp4" and result.seconds > 0


def test_settings_that_a_model_does_not_have(pipe: Any, video: Path, tmp_path: Path) -> None:
    pipe.stream_clips = lambda frames, settings, state: settings.refuse_sampling("Nearest")
    message = fails("upscale", video, tmp_path / "out.mp4", "--seed", 3)
    assert "`seed` is 3; a Nearest does not sample: leave it out" in message


def test_folder_to_folder(pipe: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for index, frame in enumerate(make_frames(3)):
        Image.fromarray(frame).save(tmp_path / "in" / f"shot{index}.bmp")
    assert run("upscale", tmp_path / "in", tmp_path / "out")[0] == 0
    assert sorted(os.listdir(tmp_path / "out")) == ["shot0.png", "shot1.png", "shot2.png"]
    for index, frame in enumerate(make_frames(3)):
        seen = np.asarray(Image.open(tmp_path / "out" / f"shot{index}.png"))
        np.testing.assert_array_equal(seen, frame.repeat(4, 0).repeat(4, 1))


def test_folder_to_video_and_video_to_folder(pipe: Any, video: Path, tmp_path: Path) -> None:
    assert run("upscale", video, tmp_path / "frames")[0] == 0
    assert sorted(os.listdir(tmp_path / "frames")) == [f"{index:06d}.png" for index in range(6)]
    assert run("upscale", tmp_path / "frames", tmp_path / "again.mp4")[0] == 0
    with VideoReader(tmp_path / "again.mp4") as reader:
        assert (reader.width, reader.fps, len(list(reader))) == (512, 25, 6)


@pytest.mark.parametrize("name", ["side.png", "side.mp4"])
def test_comparison(pipe: Any, video: Path, tmp_path: Path, name: str) -> None:
    assert run("upscale", video, tmp_path / "out.mp4", "--compare", tmp_path / name)[0] == 0
    if name.endswith(".png"):
        assert Image.open(tmp_path / name).size == (258, 96)
    else:
        with VideoReader(tmp_path / name) as reader:
            assert (reader.width, reader.height, len(list(reader))) == (258, 96, 6)


def test_progress_bars_name_the_frames(
    pipe: Any, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars = []
    plain = upscale.tqdm

    def bar(*positional: Any, **settings: Any) -> Any:
        bars.append((settings["desc"], settings["total"], settings["initial"], settings["disable"]))
        return plain(*positional, **{**settings, "disable": True})

    monkeypatch.setattr(upscale, "tqdm", bar)
    upscale.upscale_video(video, tmp_path / "a.mp4")
    upscale.upscale_video(make_video(tmp_path / "in.mkv"), tmp_path / "b.mp4", progress=False)
    assert bars == [
        ("reading", 6, 0, None),
        ("upscaling", 6, 0, None),
        ("reading", None, 0, True),
        ("upscaling", 6, 0, True),
    ]


def test_dry_run_says_what_would_be_done_and_writes_nothing(pipe: Any, video: Path, tmp_path: Path) -> None:
    code, out, err = run("upscale", video, tmp_path / "out.mp4", "--dry-run", "--scale", 2, "--tile", "16x24")
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == str(video) and lines[1] == f"output {tmp_path / 'out.mp4'}"
    assert lines[2:7] == [
        "size 32x24 -> 64x48",
        "frames 6",
        "clips 2 of 5 frames, 0 shared; scene cuts add some",
        "tile 16x24 (height x width)",
        "memory 1.5 GB at most, estimated",
    ]
    assert lines[7].startswith("time 0 s, from 0.") and lines[7].endswith("s measured for the first clip")
    assert os.listdir(tmp_path) == ["in.mp4"]


def test_dry_run_of_many(pipe: Any, video: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.mkv", "b.mp4"):
        make_video(tmp_path / "in" / name)
    code, out, _ = run("upscale", tmp_path / "in", tmp_path / "out", "--dry-run")
    assert code == 0 and out.count("32x24 -> 128x96") == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (185, "3 min 05 s"), (26_000, "7 h 13 min")]
)
def test_times_are_readable(seconds: float, text: str) -> None:
    assert plan.format_seconds(seconds) == text


def test_many_videos(pipe: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    make_video(tmp_path / "in" / "a.mp4")
    (tmp_path / "in" / "b.mp4").write_text("no video")
    code, out, err = run("upscale", tmp_path / "in", tmp_path / "out")
    assert code == 2 and err.startswith("seeclear: error: ") and "b.mp4: cut off or not a video" in err
    assert err.count("\n") == 1 and "a.mp4: 6 frames of 128x96" in out
    assert out.splitlines()[-1] == "1 done, 0 skipped, 1 failed"
    make_video(tmp_path / "in" / "b.mp4")
    code, out, err = run("upscale", tmp_path / "in", tmp_path / "out")
    assert (code, err) == (0, "") and out.splitlines()[-1] == "1 done, 1 skipped, 0 failed"
    assert "a.mp4: skipped, it was made before from this input with these settings" in out
    message = fails("upscale", tmp_path / "in", tmp_path / "out", "--compare", tmp_path / "side.png")
    assert "`--compare` is for one video" in message


# Errors


def test_errors_are_one_line_and_leave_nothing(pipe: Any, video: Path, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").write_bytes(b"")
    data = make_video(tmp_path / "whole.mkv", 30).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) // 2])
    (tmp_path / "nothing").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("keep")
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    out = tmp_path / "out.mp4"
    for arguments, message in [
        ((tmp_path / "absent.mp4", out), "absent.mp4: there is no such file"),
        ((tmp_path / "text.mp4", out), "text.mp4: cut off or not a video"),
        ((tmp_path / "empty.mp4", out), "empty.mp4: the file is empty"),
        ((tmp_path / "cut.mkv", out), "cut.mkv: the video is cut off"),
        ((tmp_path / "nothing", out), "nothing: the folder has no images"),
        ((video, video), "in.mp4: the output must be another file than the input"),
        ((video, tmp_path / "." / "in.mp4"), "another file than the input"),
        ((video, tmp_path / "absent" / "out.mp4"), "out.mp4: cannot be written"),
        ((video, tmp_path / "out.xyz"), "out.xyz: the ending of an output must be one of .mp4"),
        ((video, tmp_path / "out.webm"), "a .webm file cannot hold the sound"),
        ((video, tmp_path / "full"), "full: the folder is not empty"),
        ((video, out, "--model", "nonsense"), "`model` is 'nonsense', which is neither"),
        ((video, out, "--steps", 0), "`num_inference_steps` must be from 1 to 15, but was 0"),
        ((video, out, "--steps", 16), "but was 16"),
        ((video, out, "--sampler", "euler"), "`sampler` must be"),
        ((video, out, "--dtype", "int8"), "`dtype` must be one of auto, fp32, bf16, fp16"),
        ((video, out, "--device", "abacus"), "`device` must be"),
        ((video, out, "--device", "xpu"), "`device` must be"),
        ((video, out, "--compare", tmp_path / "side.txt"), "side.txt: a comparison must end in .png"),
        ((video, out, "--compare", tmp_path / "absent" / "side.png"), "side.png: cannot be written"),
        ((video, out, "--compare", out), "the comparison must be another file"),
        ((video, out, "--scale", 0.5), "`scale` must be from 1 to 4, but was 0.5"),
        ((video, out, "--scale", 2, "--width", 64), "give `scale`, or `width` and `height`"),
        ((video, out, "--height", 100), "`height` must be from 24 to 96 for an input of 32x24, but was 100"),
        ((video, out, "--tile", "big"), "`tile` must be a number of pixels"),
        ((video, out, "--tile", 16, "--tile-overlap", 16), "`tile_overlap` is 16"),
        ((video, out, "--clip-overlap", 5), "error: `clip_overlap` is 5"),
        ((video, out, "--clip-overlap", 5, "--memory", "1GB"), "error: `clip_overlap` is 5"),
        ((video, out, "--memory", "lots"), "`memory` must be a size such as 4GB"),
        ((video, out, "--codec", "vp9000"), "`codec` must be one of h264"),
        ((video, out, "--crf", 99), "`crf` for h264 must be in 0..51, but was 99"),
        ((video, out, "--preset", "warp"), "`preset` for h264 must be one of"),
        ((video, out, "--pix-fmt", "purple"), "`pix_fmt` for h264 must be one of"),
        ((tmp_path, out), "must be a folder, because"),
    ]:
        assert message in fails("upscale", *arguments)
        assert sorted(str(path) for path in tmp_path.rglob("*")) == before, arguments


def test_an_error_before_the_first_clip_leaves_nothing(
    pipe: Any, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin_clip(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(pipe.restorer), "begin_clip", begin_clip)
    message = fails("upscale", video, tmp_path / "out.mp4", "--compare", tmp_path / "side.mp4")
    assert "No space left on device" in message and "goes on" not in message
    assert os.listdir(tmp_path) == ["in.mp4"]


def test_faults_in_the_program_are_not_hidden(pipe: Any, video: Path, tmp_path: Path) -> None:
    pipe.stream_clips = lambda *_: iter([None])
    result = CliRunner().invoke(cli.app, ["upscale", str(video), str(tmp_path / "out.mp4")])
    assert isinstance(result.exception, TypeError | AttributeError)
    assert os.listdir(tmp_path) == ["in.mp4"]


@pytest.mark.parametrize("clips", [0, 1])
def test_interrupt(pipe: Any, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clips: int) -> None:
    begin = type(pipe.restorer).begin_clip
    count = 0

    def begin_clip(self: Any, clip: Any) -> Any:
        nonlocal count
        count += 1
        if count > clips:
            raise KeyboardInterrupt
        return begin(self, clip)

    monkeypatch.setattr(type(pipe.restorer), "begin_clip", begin_clip)
    code, out, err = run("upscale", video, tmp_path / "out.mp4", "--compare", tmp_path / "side.png")
    assert (code, out) == (130, "")
    if clips:
        assert err == (
            "seeclear: error: interrupted with 5 of 6 frames finished; the same command goes on from there\n"
        )
        assert sorted(os.listdir(tmp_path)) == [".out.mp4.seeclear", "in.mp4"]
        monkeypatch.setattr(type(pipe.restorer), "begin_clip", begin)
        assert "6 frames of 128x96" in run("upscale", video, tmp_path / "out.mp4")[1]
        assert sorted(os.listdir(tmp_path)) == ["in.mp4", "out.mp4"]
    else:
        assert err == "seeclear: error: interrupted, nothing was written\n"
        assert os.listdir(tmp_path) == ["in.mp4"]


def test_restart_begins_anew(pipe: Any, video: Path, tmp_path: Path) -> None:
    (tmp_path / ".out.mp4.seeclear").mkdir()
    (tmp_path / ".out.mp4.seeclear" / "manifest.json").write_text('{"format": 0}')
    message = fails("upscale", video, tmp_path / "out.mp4")
    assert "an interrupted job cannot go on, because `format` was 0 and is now 1" in message
    assert run("upscale", video, tmp_path / "out.mp4", "--restart")[0] == 0
    assert sorted(os.listdir(tmp_path)) == ["in.mp4", "out.mp4"]


@pytest.mark.parametrize("seed", range(20))
def test_damaged_inputs_end_well_or_with_one_line(pipe: Any, video: Path, tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    data = bytearray(video.read_bytes())
    if seed % 4 == 0:
        data = data[: random.integers(1, len(data))]
    else:
        for place in random.integers(0, len(data), 1 + seed):
            data[place] ^= 1 << random.integers(8)
    (tmp_path / "bad.mp4").write_bytes(data)
    code, out, err = run("upscale", tmp_path / "bad.mp4", tmp_path / "out.mp4")
    if code == 0:
        with VideoReader(tmp_path / "out.mp4") as reader:
            assert f": {len(list(reader))} frames of" in out
    else:
        assert (code, out) == (2, "")
        assert err.splitlines()[-1].startswith("seeclear: error: ")
        assert not (tmp_path / "out.mp4").exists()
    assert not list(tmp_path.glob(".*"))


# The process


def test_interrupt_by_signal(tmp_path: Path) -> None:
    """Ctrl-C while the second clip is made, in a process of its own."""
    script = f"""
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored in the background
import stand_in
from seeclear.app import cli, upscale
class Slow(stand_in.NearestRestorer):
    def begin_clip(self, clip):
        if clip.start:
            open({str(tmp_path / "started")!r}, "w").close()
            time.sleep(60)
        return clip
pipe = stand_in.Nearest()
pipe.restorer = Slow()
upscale.load_pipeline = lambda *_: pipe
sys.argv = ["seeclear", "upscale", {str(make_video(tmp_path / "in.mp4"))!r}, {str(tmp_path / "out.mp4")!r}]
sys.argv += ["--tile", "0"]
cli.main()
"""
    path = os.pathsep.join([str(Path(__file__).parent / "jobs"), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path}
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True, env=environment)
    for _ in range(1200):
        if (tmp_path / "started").exists() or process.poll() is not None:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "seeclear: error: interrupted with 5 of 6 frames finished; the same command goes on from there\n"
    assert sorted(os.listdir(tmp_path)) == [".out.mp4.seeclear", "in.mp4", "started"]


def seeclear(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "seeclear", *arguments], capture_output=True, text=True, check=False)


def test_help_and_version_import_nothing_heavy() -> None:
    script = (
        "import sys; sys.argv = ['seeclear', '--help']\nfrom seeclear.app import cli\n"
        "try: cli.main()\nfinally: sys.exit(bool({'torch', 'diffusers', 'numpy', 'av'} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0 and "upscale" in result.stdout and "info" in result.stdout
    result = seeclear("--version")
    assert (result.returncode, result.stdout) == (0, f"seeclear {__version__}\n")


def test_usage_errors_are_one_line() -> None:
    for arguments in (("upscale", "a"), ("upscale", "a", "b", "--steps", "x"), ("foo",), ("upscale", "--bar")):
        result = seeclear(*arguments)
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr.startswith("seeclear: error: ") and result.stderr.count("\n") == 1


def test_without_a_command_there_is_help() -> None:
    code, out, _ = run()
    assert code == 0 and "upscale" in out


# info, device and dtype


def test_info(pipe: Any) -> None:
    code, out, err = run("info", "--device", "cpu")
    assert (code, err) == (0, "")
    dtype, reason = runtime.choose_dtype("cpu")
    for part in (f"seeclear {__version__}", "pixel_condenser", " 16 parameters", "device   cpu", reason):
        assert part in out
    assert f"dtype    {str(dtype).removeprefix('torch.')}: " in out
    assert "scheduler" not in out
    assert "neither" in fails("info", "--model", "nonsense")


@pytest.mark.parametrize(
    ("amx", "avx512", "dtype", "word"),
    [
        (True, True, torch.bfloat16, "AMX"),
        (False, True, torch.bfloat16, "AVX-512 BF16"),
        (False, False, torch.float32, "neither"),
        (None, None, torch.float32, "neither"),
    ],
)
def test_dtype_on_cpus(
    monkeypatch: pytest.MonkeyPatch, amx: bool | None, avx512: bool | None, dtype: torch.dtype, word: str
) -> None:
    for name, value in (("_is_amx_tile_supported", amx), ("_is_avx512_bf16_supported", avx512)):
        if value is None:  # a torch without the function
            monkeypatch.delattr(torch.cpu, name, raising=False)
        else:
            monkeypatch.setattr(torch.cpu, name, lambda value=value: value, raising=False)
    chosen, reason = runtime.choose_dtype(torch.device("cpu"))
    assert chosen == dtype and word in reason


@pytest.mark.parametrize(("capability", "dtype"), [((7, 5), torch.float32), ((8, 0), torch.bfloat16)])
def test_dtype_on_cuda(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], dtype: torch.dtype) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert runtime.choose_dtype("cuda")[0] == dtype


def test_dtype_by_name() -> None:
    assert runtime.parse_dtype("bf16", torch.device("cpu"))[0] == torch.bfloat16
    assert runtime.choose_dtype("mps")[0] == torch.float32


@pytest.mark.parametrize(
    ("cuda", "mps", "device"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_fastest_device(monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, device: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert runtime.choose_device() == torch.device(device)


# The shipped model


def test_end_to_end_with_the_shipped_model(tmp_path: Path, video: Path) -> None:
    out, side = tmp_path / "out.mp4", tmp_path / "side.png"
    result = seeclear("upscale", str(video), str(out), "--compare", str(side), "--dtype", "fp32", "--device", "cpu")
    assert (result.returncode, result.stderr) == (0, "")
    with VideoReader(out) as reader, VideoReader(video) as source:
        assert (reader.width, reader.height, reader.fps) == (128, 96, source.fps)
        large, small = np.stack(list(reader)).astype(float), np.stack(list(source)).astype(float)
    assert large.shape == (6, 96, 128, 3)
    assert np.abs(large.mean((0, 1, 2)) - small.mean((0, 1, 2))).max() < 3
    assert sound_of(out) == sound_of(video)
    assert Image.open(side).size == (258, 96)
