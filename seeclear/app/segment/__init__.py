# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What the Semantic Distiller sees, drawn for people: identities, refined masks and overlays."""

from .video import SegmentResult, draw_clip, segment_clips, segment_video

__all__ = ["SegmentResult", "draw_clip", "segment_clips", "segment_video"]
