# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Pipelines: a video in, a sharper one out."""

from seeclear._registration import register

register()

from .pipeline_output import SeeClearPipelineOutput  # noqa: E402
from .pipeline_seeclear import SeeClearPipeline  # noqa: E402

__all__ = ["SeeClearPipeline", "SeeClearPipelineOutput"]
