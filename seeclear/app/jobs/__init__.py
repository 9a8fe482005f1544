# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Upscaling as a job: planned, resumable, shared by processes, one video or many."""

from .batch import Outcome, Task, list_videos, run_tasks
from .comparison import check_comparison
from .engine import Engine
from .job import Job, JobInterrupted, Progress, job_folder
from .plan import Forecast, Plan, make_forecast, make_plan
from .processes import Processes, join_processes
from .settings import UpscaleSettings, parse_memory, parse_tile

__all__ = [
    "Engine",
    "Forecast",
    "Job",
    "JobInterrupted",
    "Outcome",
    "Plan",
    "Processes",
    "Progress",
    "Task",
    "UpscaleSettings",
    "check_comparison",
    "job_folder",
    "join_processes",
    "list_videos",
    "make_forecast",
    "make_plan",
    "parse_memory",
    "parse_tile",
    "run_tasks",
]
