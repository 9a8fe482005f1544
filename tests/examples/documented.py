# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The commands of the documentation: what its fenced blocks run, as bash runs them, and what its text mentions."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAMS = ("accelerate", "python", "seeclear", "make", "pre-commit")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
STAND_IN = """\
#!/usr/bin/env bash
if [ "$*" = - ]; then set -- - "$(cat)"; fi
{ printf '%s\\0' "${PWD#"$WORKSPACE"}" "${ACCELERATE_USE_CPU-}" "${0##*/}" "$@"; printf '\\36'; } >> "$CALLS"
"""


@dataclass(frozen=True)
class Command:
    """A call of a program, as bash makes it of a fenced block.

    Attributes:
        document: where it stands, relative to the repository.
        folder: it is run in, relative to where the reader is.
        environment: what it is given of ACCELERATE_USE_CPU.
        words: the program and its arguments; what `python -` is given to read is the last of them.
    """

    document: str
    folder: str
    environment: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.words)


def documents() -> list[str]:
    """The pages whose commands are meant for readers, relative to the repository."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    pages += ROOT.glob("seeclear/weights/*/README.md")
    return sorted(page.relative_to(ROOT).as_posix() for page in pages)


def read(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def fenced_blocks(document: str, *languages: str) -> list[str]:
    """The text of its blocks in these languages, in order."""
    return [match[2] for match in FENCED.finditer(read(document)) if match[1] in languages]


def inline_spans(document: str) -> list[str]:
    """What stands between backticks outside of fenced blocks, each once."""
    text = FENCED.sub("", read(document))
    return list(dict.fromkeys(match[1] for match in INLINE.finditer(text)))


def fenced_commands(document: str, workspace: Path) -> Iterator[Command]:
    """What a reader runs who types all blocks of a page one after the other into one shell: programs are replaced by
    stand-ins that note how they are called, and everything else, variables, loops and braces, is bash's.
    """
    blocks = fenced_blocks(document, "bash", "sh", "shell", "console")
    if not blocks:
        return
    shims, calls = workspace / ".venv" / "bin", workspace / "calls"
    shims.mkdir(parents=True, exist_ok=True)
    (workspace / "DATA").mkdir(exist_ok=True)
    calls.write_bytes(b"")
    for program in PROGRAMS:
        shim = shims / program
        shim.write_text(STAND_IN, encoding="utf-8")
        shim.chmod(0o755)
    script = "\n".join(["set -eu", *(f'cd "$WORKSPACE"\n{block}' for block in blocks)])
    environment = {"PATH": f"{shims}:{os.environ['PATH']}", "WORKSPACE": str(workspace), "CALLS": str(calls)}
    result = subprocess.run(["bash", "-c", script], env=environment, cwd=workspace, capture_output=True, text=True)
    assert result.returncode == 0 and not result.stderr, f"{document}: {result.stderr}"
    for record in calls.read_text(encoding="utf-8").split("\36")[:-1]:
        folder, variable, *words = record.split("\0")[:-1]
        yield Command(document, folder.strip("/"), variable, tuple(words))
