# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What the Semantic Distiller sees, drawn for people: identities, refined masks and overlays."""

from .clips import segment_clips
from .drawing import draw_clip
from .mask_refinement import distill_refined
from .video import SegmentResult, segment_video

__all__ = ["SegmentResult", "distill_refined", "draw_clip", "segment_clips", "segment_video"]
