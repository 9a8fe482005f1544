# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What goes wrong is said in one line, in the words that the person typed, and leaves nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from seeclear.app import cli
from seeclear.pipelines import SemanticLensPipeline
from seeclear.video import VideoReader

Command = Callable[..., tuple[int, str, str]]


def test_errors_are_one_line_and_leave_nothing(
    plain_pipe: Any, video: Path, tmp_path: Path, fails: Callable[..., str], stand_in: ModuleType
) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").write_bytes(b"")
    data = stand_in.write_video(tmp_path / "whole.mkv", stand_in.moving_gradients(30)).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) // 2])
    (tmp_path / "nothing").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("keep")
    stills = tmp_path / "all" / "stills"
    stills.mkdir(parents=True)
    for name in ("0.png", "1.png"):
        Image.new("RGB", (32, 24)).save(stills / name)
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
        ((stills, stills / "out.mp4"), "out.mp4: the output must not be in the folder"),
        ((stills, stills / "0.png", "--overwrite"), "0.png: the output must not be in the folder"),
        ((stills, out, "--compare", stills / "1.png", "--overwrite"), "1.png: the comparison must not be"),
        ((stills, tmp_path / "all", "--overwrite"), "all: the output must not be a folder that the input"),
        ((video, tmp_path / "text.mp4" / "out.mp4"), "out.mp4: cannot be written"),
        ((video, tmp_path / "out.xyz"), "out.xyz: the ending of an output must be one of .mp4"),
        ((video, tmp_path / "out.jpg"), "out.jpg: an image holds one frame"),
        ((video, tmp_path / "full"), "full: is there already, and nothing is known of how it was made. Name another"),
        ((video, tmp_path / "full", "--overwrite"), "full: cannot be overwritten, because it holds mine"),
        ((video, tmp_path / "cut.mkv"), "cut.mkv: is there already, and nothing is known of how it was made. Give "),
        ((video, out, "--overwrite", "--skip"), "error: give --overwrite or --skip, not both"),
        ((video, out, "--model", "nonsense"), "error: --model is 'nonsense', which is neither"),
        ((video, out, "--steps", 0), "error: --steps must be from 1 to 15, but was 0"),
        ((video, out, "--steps", 16), "but was 16"),
        ((video, out, "--sampler", "euler"), "error: --sampler must be"),
        ((video, out, "--dtype", "int8"), "error: --dtype must be one of auto, fp32, bf16, fp16"),
        ((video, out, "--device", "abacus"), "error: --device must be"),
        ((video, out, "--device", "xpu"), "error: --device must be"),
        ((video, out, "--compare", tmp_path / "side.txt"), "side.txt: a comparison must end in .png"),
        ((video, out, "--compare", tmp_path / "text.mp4" / "side.png"), "side.png: cannot be written"),
        ((video, out, "--compare", out), "the comparison must be another file"),
        ((video, out, "--compare", tmp_path / "cut.mkv"), "cut.mkv: is there already"),
        ((video, out, "--scale", 0.5), "error: --scale is 0.5; it must be a number from 1 to 4"),
        ((video, out, "--scale", 2, "--width", 64), "error: give --scale, or --width and --height"),
        ((video, out, "--height", 100), "error: --height must be from 24 to 96 for an input of 32x24, but was 100"),
        ((video, out, "--tile", "big"), "error: --tile must be a number of pixels"),
        ((video, out, "--tile", 16, "--tile-overlap", 16), "error: --tile-overlap is 16; it must be at least 0 and "),
        ((video, out, "--tile", 16, "--memory", "4GB"), "error: give --tile or --memory, not both"),
        ((video, out, "--tile", 0, "--memory", "4GB"), "error: give --tile or --memory, not both"),
        ((video, out, "--clip-overlap", 5), "error: --clip-overlap is 5"),
        ((video, out, "--clip-overlap", 5, "--memory", "1GB"), "error: --clip-overlap is 5"),
        ((video, out, "--clip-length", 0), "error: --clip-length is 0"),
        ((video, out, "--memory", "lots"), "error: --memory must be a size such as 4GB"),
        ((video, out, "--codec", "vp9000"), "error: --codec must be one of h264"),
        ((video, out, "--crf", 99), "error: --crf for h264 must be in 0..51, but was 99"),
        ((video, out, "--preset", "warp"), "error: --preset for h264 must be one of"),
        ((video, out, "--pix-fmt", "purple"), "error: --pix-fmt for h264 must be one of"),
        ((video, out, "--fps", "fast"), "error: --fps must be a number such as 25 or 30000/1001, but was 'fast'"),
        ((video, out, "--fps", "0"), "error: --fps is 0; it must be a number above 0"),
        ((tmp_path, out), "must be a folder, because"),
    ]:
        said = fails("upscale", *arguments)
        assert message in said and "`" not in said, said
        assert sorted(str(path) for path in tmp_path.rglob("*")) == before, arguments


@pytest.mark.parametrize("command", ["upscale", "segment", "evaluate"])
def test_what_is_no_file_is_refused(
    plain_pipe: Any, video: Path, tmp_path: Path, fails: Callable[..., str], command: str
) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    address, out = "https://example.org/a.mp4", tmp_path / "out.mp4"
    cases: list[tuple[tuple[object, ...], str]] = [
        ((address, out), f" is the address {address}; it must be a file or a folder on this machine"),
        (("rtsp://10.0.0.1/cam", out), " is the address rtsp://10.0.0.1/cam"),
        (("-", out), ", -, stands for a pipe"),
        ((tmp_path / "pipe.mp4", out), f", {tmp_path / 'pipe.mp4'}, is a pipe or a device"),
        (("/dev/stdin", out), "/dev/stdin, is a pipe or a device"),
        (("", out), " is empty"),
    ]
    if command == "evaluate":
        cases = [((given[0],), message) for given, message in cases]
        cases += [((tmp_path, "--json", "-"), "--json, -, stands for a pipe")]
        names = ("GROUND_TRUTH", "--json")
    else:
        cases += [((video, given), message) for (given, _), message in cases if given != "/dev/stdin"]
        cases += [((video, "/dev/null"), "OUT, /dev/null, is a pipe or a device")]
        names = ("IN", "OUT")
    if command == "upscale":
        cases += [((video, out, "--compare", "-"), "--compare, -, stands for a pipe")]
        names += ("--compare",)
    for arguments, message in cases:
        said = fails(command, *arguments)
        assert message in said
        assert said.removeprefix("seeclear: error: ").split(" ")[0].rstrip(",") in names


def test_addresses_and_devices_by_which_nothing_is_loaded(video: Path, tmp_path: Path, fails: Any) -> None:
    """With the real loading of models, on a machine without CUDA or with a CUDA that is not there."""
    out = tmp_path / "out.mp4"
    for model in ("https://huggingface.co/a/b", "http://x", "./absent"):
        said = fails("upscale", video, out, "--model", model)
        assert said.startswith("seeclear: error: --model is") and model in said
    device = "cuda:77"
    for arguments in (("upscale", video, out), ("segment", video, out), ("evaluate", tmp_path), ("info",)):
        said = fails(*arguments, "--device", device)
        assert said.startswith("seeclear: error: --device must be one that this machine has") and device in said


def test_a_model_that_does_not_sample_refuses_steps(
    small_lens_config: dict[str, Any],
    small_components: dict[str, Any],
    use_pipe: Callable[[Any], Any],
    video: Path,
    tmp_path: Path,
    fails: Callable[..., str],
) -> None:
    from seeclear import SemanticLens

    lens = SemanticLens(**small_lens_config).eval()
    use_pipe(SemanticLensPipeline(lens, small_components["semantic_distiller"], clip_length=3))
    for flag, value in (("--steps", 4), ("--sampler", "ddim"), ("--noise", "clip"), ("--seed", 3)):
        said = fails("upscale", video, tmp_path / "out.mp4", flag, value)
        assert said.startswith(f"seeclear: error: {flag} is ") and "does not sample" in said
    assert os.listdir(tmp_path) == ["in.mp4"]


def test_an_error_before_the_first_clip_leaves_nothing(
    plain_pipe: Any, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: Callable[..., str]
) -> None:
    def begin_clip(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(plain_pipe.restorer), "begin_clip", begin_clip)
    message = fails("upscale", video, tmp_path / "out.mp4", "--compare", tmp_path / "side.mp4")
    assert "No space left on device" in message and "goes on" not in message
    assert os.listdir(tmp_path) == ["in.mp4"]


def test_faults_in_the_program_are_not_hidden(plain_pipe: Any, video: Path, tmp_path: Path) -> None:
    plain_pipe.stream_clips = lambda *_: iter([None])
    result = CliRunner().invoke(cli.app, ["upscale", str(video), str(tmp_path / "out.mp4")])
    assert isinstance(result.exception, TypeError | AttributeError)
    assert os.listdir(tmp_path) == ["in.mp4"]


@pytest.mark.parametrize("clips", [0, 1])
def test_interrupt(
    plain_pipe: Any, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clips: int, run: Command
) -> None:
    begin = type(plain_pipe.restorer).begin_clip
    count = 0

    def begin_clip(self: Any, clip: Any) -> Any:
        nonlocal count
        count += 1
        if count > clips:
            raise KeyboardInterrupt
        return begin(self, clip)

    monkeypatch.setattr(type(plain_pipe.restorer), "begin_clip", begin_clip)
    code, out, err = run("upscale", video, tmp_path / "out.mp4", "--compare", tmp_path / "side.png")
    assert (code, out) == (130, "")
    if clips:
        assert err == (
            "seeclear: error: interrupted with 5 of 6 frames finished; the same command goes on from there\n"
        )
        assert sorted(os.listdir(tmp_path)) == [".out.mp4.seeclear", "in.mp4"]
        monkeypatch.setattr(type(plain_pipe.restorer), "begin_clip", begin)
        assert "6 frames of 128x96" in run("upscale", video, tmp_path / "out.mp4")[1]
        assert sorted(os.listdir(tmp_path)) == [".seeclear", "in.mp4", "out.mp4"]
    else:
        assert err == "seeclear: error: interrupted, nothing was written\n"
        assert os.listdir(tmp_path) == ["in.mp4"]


@pytest.mark.parametrize("seed", range(20))
def test_damaged_inputs_end_well_or_with_one_line(
    plain_pipe: Any, video: Path, tmp_path: Path, seed: int, run: Command
) -> None:
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
        assert not (tmp_path / "out.mp4").exists() and not list(tmp_path.glob(".*"))


def test_interrupt_by_signal(tmp_path: Path, video: Path) -> None:
    """Ctrl-C while the second clip is made, in a process of its own."""
    script = f"""
import signal, sys, time
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored in the background
import stand_in
from seeclear.app import cli
from seeclear.app.jobs import loaded
class Slow(stand_in.NearestRestorer):
    def begin_clip(self, clip):
        if clip.start:
            open({str(tmp_path / "started")!r}, "w").close()
            time.sleep(60)
        return clip
pipe = stand_in.Nearest()
pipe.restorer = Slow()
loaded.load_model = lambda *_: (pipe, Path())
sys.argv = ["seeclear", "upscale", {str(video)!r}, {str(tmp_path / "out.mp4")!r}, "--tile", "0"]
cli.main()
"""
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path}
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True, env=environment)
    for _ in range(1200):
        if (tmp_path / "started").exists() or process.poll() is not None:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    note, error = err.splitlines()
    assert note.startswith(f"seeclear: note: {video}: the model is seeclear-tiny, as the input is clean: ")
    assert error == "seeclear: error: interrupted with 5 of 6 frames finished; the same command goes on from there"
    assert sorted(os.listdir(tmp_path)) == [".out.mp4.seeclear", "in.mp4", "started"]


def test_images_that_differ_in_size_are_no_video(plain_pipe: Any, tmp_path: Path, fails: Callable[..., str]) -> None:
    (tmp_path / "in").mkdir()
    for index in range(2):
        Image.new("RGB", (8 + index, 8)).save(tmp_path / "in" / f"{index}.png")
    for arguments in ((tmp_path / "out.mp4",), (tmp_path / "out", "--no-images")):
        assert "all images must have one size" in fails("upscale", tmp_path / "in", *arguments)
