# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The program: help, version, completion, the encoding of the terminal, `info` and `models`."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from seeclear import __version__, runtime
from seeclear.app import cli
from seeclear.app.models import describe_shipped_models, load_model, parameter_counts

Command = Callable[..., tuple[int, str, str]]
NAME = "日本4x.mp4"


def seeclear(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "seeclear", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


# Help


def test_help_and_version_import_nothing_heavy() -> None:
    script = (
        "import sys; sys.argv = ['seeclear', '--help']\nfrom seeclear.app import cli\n"
        "try: cli.main()\nfinally: sys.exit(bool({'torch', 'diffusers', 'numpy', 'av'} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0 and "upscale" in result.stdout and "info" in result.stdout
    result = seeclear("--version")
    assert (result.returncode, result.stdout) == (0, f"seeclear {__version__}\n")


@pytest.mark.parametrize("command", [(), ("upscale",), ("evaluate",), ("segment",), ("info",), ("models",)])
def test_h_is_help(run: Command, command: tuple[str, ...]) -> None:
    assert run(*command, "-h") == run(*command, "--help")
    assert run(*command, "-h")[0] == 0


def test_without_a_command_there_is_help(run: Command) -> None:
    code, out, _ = run()
    assert code == 0 and "upscale" in out


def test_usage_errors_are_one_line() -> None:
    for arguments in (("upscale", "a"), ("upscale", "a", "b", "--steps", "x"), ("foo",), ("upscale", "--bar")):
        result = seeclear(*arguments)
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr.startswith("seeclear: error: ") and result.stderr.count("\n") == 1


def test_completion() -> None:
    # which shell it is for is else read off the processes that started this one, and CI's are not a shell's
    script = seeclear("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert script.returncode == 0 and "complete -o default -F _seeclear_completion seeclear" in script.stdout
    shell = {"_SEECLEAR_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
    assert seeclear(**shell, COMP_WORDS="seeclear up").stdout.split() == ["upscale"]
    words = seeclear(**(shell | {"COMP_CWORD": "2"}), COMP_WORDS="seeclear upscale --ti").stdout.split()
    assert words == ["--tile", "--tile-overlap"]


# Names that the encoding of the terminal lacks


@pytest.mark.parametrize("many", [False, True])
def test_names_that_the_encoding_lacks_in_a_process(
    run_script: Callable[..., subprocess.CompletedProcess[str]], stand_in: ModuleType, tmp_path: Path, many: bool
) -> None:
    """The output, notes and errors; with many videos all of them are worked on."""
    source = tmp_path / "in"
    source.mkdir()
    script = (
        "import sys\nfrom pathlib import Path\nimport stand_in\nfrom seeclear.app import cli\n"
        "from seeclear.app.jobs import loaded\nloaded.load_model = lambda *_: (stand_in.Nearest(), Path())\n"
        "sys.argv[0] = 'seeclear'\ncli.main()"
    )
    arguments: tuple[object, ...]
    if many:
        for name in (f"a{NAME}", f"c{NAME}"):
            stand_in.write_video(source / name)
        (source / f"b{NAME}").write_text("no video")
        arguments = (source, tmp_path / "out", "--tile", 0)
    else:
        stand_in.write_video(source / "in.mp4")
        arguments = (source / "in.mp4", tmp_path / NAME, "--tile", 0)
    result = run_script("-c", script, "upscale", *arguments, PYTHONIOENCODING="cp1252")
    assert result.returncode == 2 * many, result.stderr
    if many:
        assert "a??4x.mp4: 6 frames of" in result.stdout and "c??4x.mp4: 6 frames of" in result.stdout
        assert result.stdout.splitlines()[-1] == "2 done, 0 skipped, 1 failed"
        notes = [line for line in result.stderr.splitlines() if line.startswith("seeclear: note: ")]
        assert ["a??4x.mp4: the model is" in notes[0], "c??4x.mp4: the model is" in notes[1]] == [True, True]
        assert result.stderr.count("\n") == 3 and "b??4x.mp4: cut off or not a video" in result.stderr
    else:
        assert "??4x.mp4: 6 frames of" in result.stdout and "in.mp4: the model is seeclear-tiny" in result.stderr
        assert (tmp_path / NAME).exists()


def test_names_that_the_encoding_lacks_in_this_process(plain_pipe: Any, video: Path, tmp_path: Path) -> None:
    runner = CliRunner(charset="cp1252")
    for arguments in ((video, tmp_path / NAME), (video, tmp_path / NAME, "--dry-run", "--overwrite")):
        result = runner.invoke(cli.app, ["upscale", *map(str, arguments)])
        assert result.exit_code == 0 and "??4x.mp4" in result.stdout, result.exception
    result = runner.invoke(cli.app, ["upscale", str(tmp_path / NAME), str(tmp_path / "日.gif")])
    assert result.exit_code == 0 and "?.gif: a GIF has 256 colours" in result.stderr
    result = runner.invoke(cli.app, ["upscale", str(tmp_path / "日本.mp4"), str(tmp_path / "x.mp4")])
    assert result.exit_code == 2 and result.stderr.startswith("seeclear: error: ")


def test_names_that_are_no_text(plain_pipe: Any, video: Path, tmp_path: Path, run: Command) -> None:
    """Bytes that are no UTF-8, as in names from old systems."""
    name = os.fsdecode(b"caf\xe9.mp4")
    code, out, _ = run("upscale", video, tmp_path / name)
    assert code == 0 and "caf?.mp4: 6 frames of 128x96" in out
    assert (tmp_path / name).exists()


# info and models


def test_info(plain_pipe: Any, run: Command, fails: Callable[..., str]) -> None:
    code, out, err = run("info", "--device", "cpu")
    assert (code, err) == (0, "")
    dtype, reason = runtime.choose_dtype("cpu")
    for part in (f"seeclear {__version__}", "pixel_condenser", " 16 parameters", "device   cpu", reason):
        assert part in out
    assert f"dtype    {str(dtype).removeprefix('torch.')}: " in out
    assert "scheduler" not in out
    assert "neither" in fails("info", "--model", "nonsense")


def test_models(run: Command) -> None:
    code, out, _ = run("models")
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert set(lines) == {
        "seeclear-tiny",
        "seeclear-star-tiny",
        "seeclear-star",
        "seeclear-real",
        "seeclear-real-tiny",
        "semantic-lens-tiny",
        "semantic-lens",
    }
    for model in describe_shipped_models():
        counts = parameter_counts(load_model(model.name, torch.device("cpu"), torch.float32)[0])
        assert model.parameters == sum(counts.values())
        assert f" {model.parameters / 1e6:.1f} M parameters" in lines[model.name]
        assert f" {model.size / 1e6:.1f} MB" in lines[model.name]
        assert lines[model.name].endswith(".") and not {"`", "\\", "["} & set(lines[model.name])
    assert "the default weights of the seeclear package." in lines["seeclear-tiny"]


def test_models_needs_no_torch() -> None:
    script = (
        "import sys; sys.argv = ['seeclear', 'models']\nfrom seeclear.app import cli\n"
        "try: cli.main()\nfinally: sys.exit(bool({'torch', 'diffusers', 'av'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0


# Device and dtype


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
