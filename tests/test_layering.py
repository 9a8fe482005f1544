# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Imports point one way: app -> pipelines -> models, schedulers; video, data and metrics stand apart."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "seeclear"

# Part of the package (a sub-package or a module) -> the other parts it may import.
LIBRARY_PARTS = {"resize", "shipped", "video", "data", "metrics", "values", "wording"}
ALLOWED: dict[str, set[str]] = {
    "_registration": set(),
    "version": set(),
    "loading": {"runtime", "shipped"},
    "files": set(),
    "values": set(),
    "wording": set(),
    "resize": set(),
    "shipped": set(),
    "runtime": set(),
    "video": {"resize", "files", "values", "wording"},
    "data": {"shipped", "resize", "video", "files", "wording"},
    "metrics": {"resize", "video", "data", "files"},
    "schedulers": {"loading", "shipped"},
    "models": {"loading", "shipped", "resize"},
    "pipelines": {"loading", "shipped", "runtime", "schedulers", "models", "video", "resize", "values"},
    "training": {"files", "runtime", "schedulers", "models", "pipelines"} | LIBRARY_PARTS,
    "app": {"files", "runtime", "schedulers", "models", "pipelines"} | LIBRARY_PARTS,
    "__main__": {"app"},
}

SCHEDULERS = sorted((PACKAGE / "schedulers").glob("*.py"))
# a saved pipeline's `pipeline.py` is a file for diffusers to load, not a module of the package
MODULES = sorted(
    path
    for path in PACKAGE.rglob("*.py")
    if path != PACKAGE / "__init__.py" and PACKAGE / "weights" not in path.parents
)
IDS = [path.relative_to(PACKAGE).as_posix() for path in MODULES]


def part_of(path: Path) -> str:
    """The part of the package a file belongs to: `seeclear/models/incam.py` -> `models`."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_names(source: str, package: tuple[str, ...]) -> set[str]:
    """Absolute dotted names of all that `source`, a module in `package`, imports at any depth of its code."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*start, *([node.module] if node.module else [])])
            names |= {f"{module}.{alias.name}" for alias in node.names}
    return names


def names_of(path: Path) -> set[str]:
    package = ("seeclear", *path.relative_to(PACKAGE).parent.parts)
    return imported_names(path.read_text(encoding="utf-8"), package)


def test_reading_of_imports() -> None:
    source = "import a.b\nfrom . import c\nfrom ..d import e\ndef f():\n    from g import h\n"
    assert imported_names(source, ("seeclear", "models")) == {"a.b", "seeclear.models.c", "seeclear.d.e", "g.h"}


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_imports_point_one_way(path: Path) -> None:
    part = part_of(path)
    assert part in ALLOWED, f"state in ALLOWED what the new part `{part}` may import"
    parts = {name.split(".")[1] for name in names_of(path) if name.startswith("seeclear.")}
    assert parts - {part, "version"} <= ALLOWED[part]  # a name taken from the package itself goes around the layers


def test_allowed_imports_have_no_cycle() -> None:
    remaining = {part: set(others) for part, others in ALLOWED.items()}
    while remaining:
        free = {part for part, others in remaining.items() if not others & remaining.keys()}
        assert free, f"these parts import each other in a circle: {sorted(remaining)}"
        remaining = {part: others for part, others in remaining.items() if part not in free}


@pytest.mark.parametrize("path", SCHEDULERS, ids=lambda path: path.stem)
def test_schedulers_need_only_torch_and_diffusers(path: Path) -> None:
    libraries = {name.split(".")[0] for name in names_of(path)} - sys.stdlib_module_names
    assert libraries <= {"torch", "diffusers", "seeclear"}


@pytest.mark.parametrize("name", ["pipelines", "schedulers"])
def test_links_at_the_top_level(name: str) -> None:
    link = ROOT / name
    assert link.is_symlink()
    assert link.readlink() == Path("seeclear") / name
    assert (link / "__init__.py").is_file()
