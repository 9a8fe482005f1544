# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Distillation: a smaller lens learns from the frames of a larger one beside the true ones (Hinton et al., 2015). A
teacher's frames are nearer to the mean of what is possible than a true frame, so that they shake a small network less.
"""

from __future__ import annotations

import os

import torch
from accelerate import Accelerator

from seeclear.data import ClipDataset
from seeclear.pipelines import SemanticLensPipeline, load_pipeline
from seeclear.shipped import locate

from .lens_semantics import LensSemantics
from .prior import TrainingPrior
from .prior_frames import PriorFrames
from .semantics import SemanticsCache


def build_teacher(
    name_or_path: str | os.PathLike[str],
    clips: ClipDataset,
    accelerator: Accelerator,
    semantics_dir: str | None = None,
    frames_dir: str | None = None,
) -> TrainingPrior:
    """A frozen lens that restores the training crops of a data set, in float32 or the precision of the training.

    Args:
        name_or_path: a saved `SemanticLensPipeline`: a folder, a Hub id or a shipped name.
        clips: the data set.
        accelerator: of the training.
        semantics_dir: keeps what the lens' distiller gives of whole frames.
        frames_dir: have it restore whole videos, once, and cut its frames out of these ([`PriorFrames`]).

    Raises:
        ValueError: there is no such lens, or what [`PriorFrames`] raises.
    """
    pipe = load_pipeline(locate(name_or_path, "teacher"), dtype=torch.float32)
    if not isinstance(pipe, SemanticLensPipeline):
        raise ValueError(f"`teacher` is {str(name_or_path)!r}, a {type(pipe).__name__}; it must be a Semantic Lens")
    lens, distiller = pipe.semantic_lens, pipe.semantic_distiller
    if distiller is not None:
        distiller.requires_grad_(False).eval().to(accelerator.device)
    semantics: SemanticsCache | None = None
    if lens.needs_semantics:
        semantics = LensSemantics.for_lens(lens, distiller, clips.sources, semantics_dir, accelerator.autocast)
    frames = None
    if frames_dir is not None:
        pipe.to(accelerator.device)
        frames = PriorFrames(frames_dir, pipe, clips.sources, clips.degradation, accelerator.autocast, "teacher_dir")
        with accelerator.main_process_first():
            frames.restore()
    return TrainingPrior(lens, semantics, 1, accelerator.device, accelerator.autocast, frames)
