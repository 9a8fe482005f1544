# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What the Semantic Distiller sees, drawn for people: identities, refined masks and overlays."""

from .clips import segment_clips
from .drawing import draw_clip
from .video import SegmentResult, segment_video

__all__ = ["SegmentResult", "draw_clip", "segment_clips", "segment_video"]
