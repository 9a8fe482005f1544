# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Upscaling as a job: planned, resumable, shared by processes, one video or many."""

from .batch import run_jobs
from .handling import Handling
from .job import Job, JobInterrupted
from .listing import list_videos
from .loaded import LoadedModel
from .plan import Forecast, make_forecast
from .processes import Processes, join_processes
from .result import UpscaleResult
from .settings import UpscaleSettings, parse_fps, parse_tile

__all__ = [
    "Forecast",
    "Handling",
    "Job",
    "JobInterrupted",
    "LoadedModel",
    "Processes",
    "UpscaleResult",
    "UpscaleSettings",
    "join_processes",
    "list_videos",
    "make_forecast",
    "parse_fps",
    "parse_tile",
    "run_jobs",
]
