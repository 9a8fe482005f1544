# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Training and validation data: sources of frames, degradations, and the data sets made of them."""

from .augmentation import Augmentation, augment, draw_augmentation, random_augment
from .clips import ClipDataset, ClipSample, ValidationClip, ValidationClips, degrade, texture
from .degradations import BicubicDegradation, Degradation, GaussianDegradation
from .folders import REFERENCE_VALIDATION_CLIPS, open_sources, read_source_list, reference_validation_paths
from .realworld import CompressedDegradation, MixedDegradation, RealWorldDegradation, videos_as_they_are
from .sources import FrameFolder, Photo, Source, VideoFile
from .standard import REDS4, VID4, davis, davis_annotations, open_dataset, reds, vid4, vimeo90k
from .steps import (
    GaussianBlur,
    JpegCompression,
    MotionBlur,
    Resize,
    SensorNoise,
    Sharpening,
    Sometimes,
    Step,
    Transform,
    describe,
)
from .video_compression import H264Compression, VideoCompression

__all__ = [
    "REDS4",
    "REFERENCE_VALIDATION_CLIPS",
    "VID4",
    "Augmentation",
    "BicubicDegradation",
    "ClipDataset",
    "ClipSample",
    "CompressedDegradation",
    "Degradation",
    "FrameFolder",
    "GaussianBlur",
    "GaussianDegradation",
    "H264Compression",
    "JpegCompression",
    "MixedDegradation",
    "MotionBlur",
    "Photo",
    "RealWorldDegradation",
    "Resize",
    "SensorNoise",
    "Sharpening",
    "Sometimes",
    "Source",
    "Step",
    "Transform",
    "ValidationClip",
    "ValidationClips",
    "VideoCompression",
    "VideoFile",
    "augment",
    "davis",
    "davis_annotations",
    "degrade",
    "describe",
    "draw_augmentation",
    "open_dataset",
    "open_sources",
    "random_augment",
    "read_source_list",
    "reds",
    "reference_validation_paths",
    "texture",
    "vid4",
    "videos_as_they_are",
    "vimeo90k",
]
