# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What is seen as a safetensors file."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType

import torch
from safetensors.torch import save_file
from torch import Tensor

from seeclear.files import Draft
from seeclear.version import __version__

from .clips import SegmentedClip


class TokenRecord:
    """Collects what was found in all clips, and writes it to a safetensors file on success only.

    Of N frames and C clips the file has `tokens` (N, K, D), `scores` and `labels` (N, K), `masks` uint8 (N, K, h, w),
    `objects` (N, K) (see [`SegmentedClip`]), `clip_tokens` (C, K_c, D), `clip_start` (C,) and `identity` (C, K_c). A
    frame belongs to the first clip that has it. The header has the vocabulary, as JSON, and the versions. All of it is
    held in memory until the end.
    """

    def __init__(self, path: Path) -> None:
        self._draft = Draft(path)
        self._clips: list[dict[str, Tensor]] = []

    def __enter__(self) -> TokenRecord:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._draft.publish()
        self._draft.discard()

    def add(self, clip: SegmentedClip) -> None:
        """Takes the next clip."""
        self._clips.append(
            {
                "tokens": clip.tokens,
                "scores": clip.scores,
                "labels": clip.labels,
                "masks": (clip.masks > 0).to(torch.uint8),
                "objects": clip.objects,
                "clip_tokens": clip.clip_tokens[None],
                "clip_start": torch.tensor([clip.start]),
                "identity": clip.identities[None],
            }
        )

    def finish(self, vocabulary: list[str]) -> None:
        """Writes the file, not yet under its final name."""
        tensors = {name: torch.cat([clip[name] for clip in self._clips]).contiguous() for name in self._clips[0]}
        metadata = {
            "vocabulary": json.dumps(vocabulary),
            "seeclear_version": __version__,
            "torch_version": torch.__version__,
        }
        save_file(tensors, self._draft.path, metadata=metadata)
