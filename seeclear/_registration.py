# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Makes `seeclear` a library that diffusers loads pipelines and their components from.

`model_index.json` names a component by library and class. For a library that diffusers knows, that is the package
(`["seeclear", "PixelCondenser"]`), which is imported when a pipeline is loaded from a folder or from the Hub. For any
other it is the full module path, which binds saved pipelines to today's files, and a download from the Hub is refused.
The pipeline itself is looked up by its class' name in diffusers, by `DiffusionPipeline.from_pretrained`.

Both places are told as soon as diffusers' code for loading pipelines is imported, before or after this package, so
that importing this package alone stays light. diffusers documents neither: `tests/test_registration.py` guards them.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

LIBRARY = "seeclear"
PIPELINES = ("SeeClearPipeline", "SemanticLensPipeline")
_LOADING = "diffusers.pipelines.pipeline_loading_utils"


def register() -> None:
    """Registers now if diffusers' loading code is imported, else when it will be; calling it again changes nothing."""
    if _LOADING in sys.modules:
        _tell_diffusers(sys.modules[_LOADING])
    elif not any(isinstance(finder, _LoadingCodeFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _LoadingCodeFinder())


def _tell_diffusers(loading: ModuleType) -> None:
    # The components derive from diffusers' own `ModelMixin` and `SchedulerMixin`: no further base classes are listed.
    loading.LOADABLE_CLASSES.setdefault(LIBRARY, {})
    # diffusers finds its own classes lazily, by the sub-module that has them; this package finds its own likewise.
    diffusers = sys.modules["diffusers"]
    sys.modules[f"diffusers.{LIBRARY}"] = sys.modules[LIBRARY]
    diffusers._class_to_module.update(dict.fromkeys(PIPELINES, LIBRARY))


class _LoadingCodeFinder(MetaPathFinder):
    """Finds diffusers' loading code as every other finder does, once, and has it registered when it is executed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _LOADING:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _RegisteringLoader(spec.loader)
        return spec


class _RegisteringLoader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        _tell_diffusers(module)
