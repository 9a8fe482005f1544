# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""That the words choose which of a shipped distiller's queries become tokens (SeeClear, eq. 8 and 9).

The clip is the demo's: it shows a rabbit in grass, and neither a person nor a vehicle. Nothing depends on that, since
the words choose by similarity, and every query is more or less like each of them.
"""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from seeclear import SeeClearPipeline, SemanticDistiller
from seeclear.shipped import locate
from seeclear.video.reader import VideoReader

CLIP = Path(__file__).parents[2] / "examples/assets/bunny_lr.mp4"
SHIPPED = ("seeclear-tiny", "seeclear-star-tiny", "semantic-lens-tiny")


@pytest.fixture(scope="module")
def video() -> np.ndarray:
    """Three frames of the middle of the demo clip, float32 (3, 48, 64, 3) in [0, 1]."""
    with VideoReader(CLIP) as reader:
        frames = [frame.rgb for frame in itertools.islice(reader.frames(), 20, 23)]
    return np.stack(frames)[:, 66:114, 128:192]


@pytest.mark.parametrize("name", SHIPPED)
@torch.no_grad()
def test_other_words_are_other_tokens_and_masks(name: str, video: np.ndarray) -> None:
    """In every frame, and as sets: all that reads tokens is blind to their order."""
    distiller = SemanticDistiller.from_pretrained(locate(name), subfolder="semantic_distiller", dtype=torch.float32)
    low_res = torch.from_numpy(video).permute(0, 3, 1, 2)[None] * 2 - 1
    person, vehicle = (distiller(low_res, distiller.embed_vocabulary([word])) for word in ("person", "vehicle"))
    for field in ("tokens", "masks"):
        for ones, others in zip(person[field][0], vehicle[field][0], strict=True):
            distances = torch.cdist(ones.flatten(1), others.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")
            alike = (distances < 1e-3).any(dim=1).sum()
            assert 0 < alike <= len(ones) - 2, f"{alike} of {len(ones)} {field} are the same"
    assert (person.clip_tokens - vehicle.clip_tokens).abs().max() > 0.1


@pytest.mark.parametrize("name", ["seeclear-tiny", "seeclear-star-tiny"])
def test_other_words_are_other_frames(name: str, video: np.ndarray) -> None:
    """By a twentieth of a grey level on average; where all queries were tokens it was 5e-5."""
    pipe = SeeClearPipeline.from_pretrained(name, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    person, vehicle = (
        pipe(video, vocabulary=[word], generator=torch.Generator().manual_seed(0), output_type="np").frames[0]
        for word in ("person", "vehicle")
    )
    assert 255 * np.abs(person - vehicle).mean() > 0.05
