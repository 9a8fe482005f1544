# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Training and validation data: sources of frames, degradations, and the data sets made of them."""

from .augmentation import augment, random_augment
from .clips import ClipDataset, ClipSample, ValidationClip, ValidationClips, degrade
from .degradations import BicubicDegradation, Degradation, GaussianDegradation
from .folders import REFERENCE_VALIDATION_CLIPS, open_sources, read_source_list, reference_validation_paths
from .sources import FrameFolder, Photo, Source, VideoFile

__all__ = [
    "REFERENCE_VALIDATION_CLIPS",
    "BicubicDegradation",
    "ClipDataset",
    "ClipSample",
    "Degradation",
    "FrameFolder",
    "GaussianDegradation",
    "Photo",
    "Source",
    "ValidationClip",
    "ValidationClips",
    "VideoFile",
    "augment",
    "degrade",
    "open_sources",
    "random_augment",
    "read_source_list",
    "reference_validation_paths",
]
