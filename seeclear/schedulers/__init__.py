# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Schedulers: the diffusion process of SeeClear as a diffusers scheduler."""

from .scheduling_blurring_resshift import BlurringResShiftScheduler, BlurringResShiftSchedulerOutput

__all__ = ["BlurringResShiftScheduler", "BlurringResShiftSchedulerOutput"]
