# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The way through the code is short: few calls from the surface to the network, short functions, no cycles."""

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seeclear import SeeClearPipeline

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "seeclear"
LONGEST_FUNCTION = 80
SOURCES = sorted(
    path
    for folder in ("seeclear", "examples", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
    if PACKAGE / "weights" not in path.parents
)
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in SOURCES
    if PACKAGE in path.parents
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_functions_are_short(path: Path) -> None:
    functions = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if _is_function(node)]
    lengths = {node.name: node.end_lineno - node.lineno + 1 for node in functions}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def imports_of(name: str) -> set[str]:
    """The modules of the package that a module imports anywhere in its code, for type checking too."""
    path = MODULES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            nested = {f"{module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else module for name in nested}
    return (found & MODULES.keys()) - {name}


def test_no_module_imports_itself_through_others() -> None:
    remaining = {name: imports_of(name) for name in MODULES}
    assert remaining["seeclear.pipelines.pipeline_seeclear"] >= {"seeclear.models", "seeclear.pipelines.tiles"}
    while remaining:
        free = {name for name, others in remaining.items() if not others & remaining.keys()}
        assert free, f"these modules import each other in a circle: {sorted(remaining)}"
        remaining = {name: others for name, others in remaining.items() if name not in free}


def test_from_a_call_to_the_condenser(
    small_components: dict[str, Any], calls_to_the_condenser: list[list[str]]
) -> None:
    pipe = SeeClearPipeline(**small_components)
    pipe.set_progress_bar_config(disable=True)
    pipe(np.zeros((2, 8, 8, 3), np.uint8), tile=None)
    assert len(calls_to_the_condenser) == 1
    assert [name.rpartition(".")[2] for name in calls_to_the_condenser[0]] == ["__call__", "_restore", "denoise"]
