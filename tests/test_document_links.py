# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Links and mentions of files, in the documentation, the model cards and the code, lead to files that are there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"\]\(([^)\s]+)\)")
MENTION = re.compile(r"(?<![\w./-])((?:docs|examples|benchmarks|tests|seeclear|requirements)/[\w./-]*\.[a-z0-9]+)\b")


def pages() -> list[str]:
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    return sorted(page.relative_to(ROOT).as_posix() for page in [*found, *ROOT.glob("seeclear/weights/*/README.md")])


def sources() -> Iterator[Path]:
    for folder in ("seeclear", "examples", "benchmarks", "tests"):
        yield from (path for path in (ROOT / folder).rglob("*.py") if path != Path(__file__))
    yield from (ROOT / name for name in ("Makefile", "pyproject.toml"))


@pytest.mark.parametrize("page", pages())
def test_links_of_a_page_lead_somewhere(page: str) -> None:
    path = ROOT / page
    targets = [target.partition("#")[0] for target in LINK.findall(path.read_text(encoding="utf-8"))]
    here = [target for target in targets if target and not target.startswith(("http:", "https:", "mailto:"))]
    assert [target for target in here if not (path.parent / target).exists()] == []


@pytest.mark.parametrize("page", pages())
def test_files_that_a_page_names_are_there(page: str) -> None:
    named = MENTION.findall((ROOT / page).read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_experiment_is_in_the_index() -> None:
    folder = ROOT / "docs" / "experiments"
    linked = set(LINK.findall((folder / "README.md").read_text(encoding="utf-8")))
    assert {path.name for path in folder.glob("*.md")} - {"README.md"} <= linked


def test_documents_that_the_code_names_are_there() -> None:
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources()
        for name in MENTION.findall(path.read_text(encoding="utf-8"))
        if name.startswith("docs/") and not (ROOT / name).exists()
    }
    assert missing == set()
