# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The command line and `upscale_video` behind it, most of it with a stand-in for the model."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from seeclear import __version__, cli, runtime, upscale
from seeclear.video import VideoReader

STEPS = (1, 15)
SAMPLERS = (None, "markov", "resshift", "ddim")


class Nearest:
    """Stands in for the pipeline: every pixel four times in each direction, with the checks of the settings."""

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}
        self.components = {"pixel_condenser": torch.nn.Linear(3, 4), "scheduler": object()}

    def stream(
        self, frames: Iterable[np.ndarray], num_inference_steps: int | None, sampler: str | None, **settings: Any
    ) -> Iterator[torch.Tensor]:
        if num_inference_steps is not None and not STEPS[0] <= num_inference_steps <= STEPS[1]:
            raise ValueError(f"`num_inference_steps` must be from 1 to 15, but was {num_inference_steps}.")
        if sampler not in SAMPLERS:
            raise ValueError(f"`sampler` must be one of {SAMPLERS}, but was {sampler!r}.")
        self.settings = {"num_inference_steps": num_inference_steps, "sampler": sampler, **settings}
        for frame in frames:
            yield torch.from_numpy(frame.repeat(4, 0).repeat(4, 1)).permute(2, 0, 1) / 255


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Nearest:
    stand_in = Nearest()

    def load(model: str, device: torch.device, dtype: torch.dtype) -> Nearest:
        if model != "seeclear-tiny":
            raise ValueError(f"`model` is {model!r}, which is\nneither a folder nor a shipped model.")
        return stand_in

    monkeypatch.setattr(upscale, "load_pipeline", load)
    return stand_in


def make_frames(num_frames: int) -> np.ndarray:
    """Moving gradients: brightness goes to the right, colour downwards."""
    f, y, x = np.mgrid[:num_frames, :24, :32]
    bright = 3 * x + 3 * f
    return np.stack([bright + 3 * y, bright + 90 - 2 * y, bright + 40], axis=-1).clip(0, 255).astype(np.uint8)


def make_video(path: Path, num_frames: int = 6, fps: Fraction = Fraction(30000, 1001)) -> Path:
    """32x24, with AAC sound."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=fps, options={"crf": "8"})
        video.width, video.height, video.pix_fmt = 32, 24, "yuv420p"
        sound = container.add_stream("aac", rate=48000, layout="mono")
        for index, pixels in enumerate(make_frames(num_frames)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, 1 / fps
            container.mux(video.encode(frame))
            tone = (0.3 * np.sin(np.arange(1024) / 9)).astype(np.float32)[None]
            block = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            block.sample_rate, block.pts, block.time_base = 48000, 1024 * index, Fraction(1, 48000)
            container.mux(sound.encode(block))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    return path


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


def test_video_to_video(pipe: Nearest, video: Path, tmp_path: Path) -> None:
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


def test_settings_reach_the_pipeline(pipe: Nearest, video: Path, tmp_path: Path) -> None:
    arguments = (
        "--steps",
        3,
        "--sampler",
        "ddim",
        "--seed",
        7,
        "--noise",
        "frame",
        "--dtype",
        "fp32",
        "--device",
        "cpu",
    )
    assert run("upscale", video, tmp_path / "out.mkv", *arguments)[0] == 0
    generator = pipe.settings.pop("generator")
    assert generator.initial_seed() == 7
    assert pipe.settings == {"num_inference_steps": 3, "sampler": "ddim", "noise": "frame"}


def test_defaults(pipe: Nearest, video: Path, tmp_path: Path) -> None:
    result = upscale.upscale_video(video, tmp_path / "out.webm.mp4", progress=False)
    assert pipe.settings.pop("generator").initial_seed() == 0
    assert pipe.settings == {"num_inference_steps": None, "sampler": None, "noise": "clip"}
    assert (result.frames, result.width, result.height) == (6, 128, 96)
    assert result.path == tmp_path / "out.webm.mp4" and result.seconds > 0


def test_folder_to_folder(pipe: Nearest, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for index, frame in enumerate(make_frames(3)):
        Image.fromarray(frame).save(tmp_path / "in" / f"shot{index}.bmp")
    assert run("upscale", tmp_path / "in", tmp_path / "out")[0] == 0
    assert sorted(os.listdir(tmp_path / "out")) == ["shot0.png", "shot1.png", "shot2.png"]
    for index, frame in enumerate(make_frames(3)):
        seen = np.asarray(Image.open(tmp_path / "out" / f"shot{index}.png"))
        np.testing.assert_array_equal(seen, frame.repeat(4, 0).repeat(4, 1))


def test_folder_to_video_and_video_to_folder(pipe: Nearest, video: Path, tmp_path: Path) -> None:
    assert run("upscale", video, tmp_path / "frames")[0] == 0
    assert sorted(os.listdir(tmp_path / "frames")) == [f"{index:06d}.png" for index in range(6)]
    assert run("upscale", tmp_path / "frames", tmp_path / "again.mp4")[0] == 0
    with VideoReader(tmp_path / "again.mp4") as reader:
        assert (reader.width, reader.fps, len(list(reader))) == (512, 25, 6)


@pytest.mark.parametrize("name", ["side.png", "side.mp4"])
def test_comparison(pipe: Nearest, video: Path, tmp_path: Path, name: str) -> None:
    assert run("upscale", video, tmp_path / "out.mp4", "--compare", tmp_path / name)[0] == 0
    if name.endswith(".png"):
        assert Image.open(tmp_path / name).size == (258, 96)
    else:
        with VideoReader(tmp_path / name) as reader:
            assert (reader.width, reader.height, len(list(reader))) == (258, 96, 6)


def test_progress_bar_names_the_frames(
    pipe: Nearest, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    totals = []
    plain = upscale.tqdm

    def bar(*positional: Any, **settings: Any) -> Any:
        totals.append((settings["total"], settings["disable"]))
        return plain(*positional, **{**settings, "disable": True})

    monkeypatch.setattr(upscale, "tqdm", bar)
    upscale.upscale_video(video, tmp_path / "a.mp4")
    upscale.upscale_video(make_video(tmp_path / "in.mkv"), tmp_path / "b.mp4", progress=False)
    assert totals == [(6, None), (6, True)]


# Errors


def test_errors_are_one_line_and_leave_nothing(pipe: Nearest, video: Path, tmp_path: Path) -> None:
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
        ((video, tmp_path / "out.xyz"), "out.xyz: the ending of a video must be one of .mp4"),
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
    ]:
        assert message in fails("upscale", *arguments)
        assert sorted(str(path) for path in tmp_path.rglob("*")) == before, arguments


def test_error_in_the_middle_leaves_nothing(
    pipe: Nearest, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stream(frames: Iterable[np.ndarray], **_: Any) -> Iterator[torch.Tensor]:
        for index, frame in enumerate(frames):
            if index == 3:
                raise OSError(28, "No space left on device")
            yield torch.from_numpy(frame).permute(2, 0, 1) / 255

    monkeypatch.setattr(pipe, "stream", stream)
    message = fails("upscale", video, tmp_path / "out.mp4", "--compare", tmp_path / "side.mp4")
    assert "No space left on device" in message
    assert os.listdir(tmp_path) == ["in.mp4"]


def test_faults_in_the_program_are_not_hidden(pipe: Nearest, video: Path, tmp_path: Path) -> None:
    pipe.stream = lambda *_, **__: iter([None])  # type: ignore[method-assign, assignment]
    result = CliRunner().invoke(cli.app, ["upscale", str(video), str(tmp_path / "out.mp4")])
    assert isinstance(result.exception, TypeError | AttributeError)
    assert os.listdir(tmp_path) == ["in.mp4"]


def test_interrupt(pipe: Nearest, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stream(frames: Iterable[np.ndarray], **_: Any) -> Iterator[torch.Tensor]:
        for _ in frames:
            yield torch.zeros(3, 96, 128)
            raise KeyboardInterrupt

    monkeypatch.setattr(pipe, "stream", stream)
    code, out, err = run("upscale", video, tmp_path / "out.mp4", "--compare", tmp_path / "side.png")
    assert (code, out, err) == (130, "", "seeclear: error: interrupted, nothing was written\n")
    assert os.listdir(tmp_path) == ["in.mp4"]


# The process


def test_interrupt_by_signal(tmp_path: Path, video: Path) -> None:
    """Ctrl-C while frames are made, in a process of its own."""
    script = f"""
import sys, time, torch
from seeclear import cli, upscale
class Slow:
    def stream(self, frames, **_):
        for frame in frames:
            yield torch.zeros(3, 96, 128)
            open({str(tmp_path / "started")!r}, "w").close()
            time.sleep(60)
upscale.load_pipeline = lambda *_: Slow()
sys.argv = ["seeclear", "upscale", {str(video)!r}, {str(tmp_path / "out.mp4")!r}]
cli.main()
"""
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    for _ in range(1200):
        if (tmp_path / "started").exists() or process.poll() is not None:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "seeclear: error: interrupted, nothing was written\n"
    assert sorted(os.listdir(tmp_path)) == ["in.mp4", "started"]


def seeclear(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "seeclear", *arguments], capture_output=True, text=True, check=False)


def test_help_and_version_import_nothing_heavy() -> None:
    script = (
        "import sys; sys.argv = ['seeclear', '--help']\nfrom seeclear import cli\n"
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


def test_info(pipe: Nearest) -> None:
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
