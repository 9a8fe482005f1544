# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Pipelines: a video in, a sharper one out."""

from .auto import load_pipeline
from .pipeline_output import SeeClearPipelineOutput
from .pipeline_seeclear import SeeClearPipeline
from .pipeline_semantic_lens import SemanticLensPipeline

__all__ = ["SeeClearPipeline", "SeeClearPipelineOutput", "SemanticLensPipeline", "load_pipeline"]
