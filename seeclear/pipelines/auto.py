# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Loads a saved pipeline of any of this package's classes."""

import os
from typing import Any

from diffusers import DiffusionPipeline

from seeclear.loading import reaching_the_hub
from seeclear.shipped import locate

from .pipeline_seeclear import SeeClearPipeline
from .pipeline_semantic_lens import SemanticLensPipeline

PIPELINES: dict[str, Any] = {c.__name__: c for c in (SeeClearPipeline, SemanticLensPipeline)}


def load_pipeline(name_or_path: str | os.PathLike[str], **kwargs: Any) -> SeeClearPipeline | SemanticLensPipeline:
    """The pipeline in a folder, of a Hub id or of the name of shipped weights, by the class that it was saved as.

    Raises:
        ValueError: there is no such pipeline, or it is none of this package's.
    """
    location = locate(name_or_path, "name_or_path")
    with reaching_the_hub(location, {}) as options:
        name = DiffusionPipeline.load_config(location, **options)["_class_name"]
    if name not in PIPELINES:
        raise ValueError(f"`name_or_path` {str(name_or_path)!r} holds a {name}; it must be one of {sorted(PIPELINES)}")
    return PIPELINES[name].from_pretrained(location, **kwargs)
