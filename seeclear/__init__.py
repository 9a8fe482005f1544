# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Video super-resolution with SeeClear and Semantic Lens, as diffusers pipelines.

`import seeclear` is light: torch and diffusers are imported when a public name is first used. It registers the package
with diffusers, or sees to it that this happens when diffusers is imported.
"""

import importlib
from typing import TYPE_CHECKING, Any

from seeclear._registration import register
from seeclear.version import __version__

if TYPE_CHECKING:
    from seeclear.app.upscale import upscale_video
    from seeclear.models.pixel_condenser import PixelCondenser
    from seeclear.models.semantic_distiller import SemanticDistiller
    from seeclear.models.semantic_lens import SemanticLens
    from seeclear.pipelines.auto import load_pipeline
    from seeclear.pipelines.pipeline_output import SeeClearPipelineOutput
    from seeclear.pipelines.pipeline_seeclear import SeeClearPipeline
    from seeclear.pipelines.pipeline_semantic_lens import SemanticLensPipeline
    from seeclear.schedulers.scheduling_blurring_resshift import BlurringResShiftScheduler

__all__ = [
    "BlurringResShiftScheduler",
    "PixelCondenser",
    "SeeClearPipeline",
    "SeeClearPipelineOutput",
    "SemanticDistiller",
    "SemanticLens",
    "SemanticLensPipeline",
    "__version__",
    "load_pipeline",
    "upscale_video",
]

_MODULES = {
    "BlurringResShiftScheduler": "seeclear.schedulers.scheduling_blurring_resshift",
    "PixelCondenser": "seeclear.models.pixel_condenser",
    "SeeClearPipeline": "seeclear.pipelines.pipeline_seeclear",
    "SeeClearPipelineOutput": "seeclear.pipelines.pipeline_output",
    "SemanticDistiller": "seeclear.models.semantic_distiller",
    "SemanticLens": "seeclear.models.semantic_lens",
    "SemanticLensPipeline": "seeclear.pipelines.pipeline_semantic_lens",
    "load_pipeline": "seeclear.pipelines.auto",
    "upscale_video": "seeclear.app.upscale",
    # diffusers looks for the base class that knows how to load a component in the component's own library.
    "ModelMixin": "diffusers",
    "SchedulerMixin": "diffusers",
}

register()


def __getattr__(name: str) -> Any:
    """Imports a public name at its first use."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
