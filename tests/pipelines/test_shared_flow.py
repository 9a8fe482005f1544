# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seeclear import PixelCondenser, SeeClearPipeline, SemanticLens, SemanticLensPipeline
from seeclear.models import optical_flow
from seeclear.pipelines.shared_flow import SharedFlow


def test_only_what_is_new_is_estimated_and_nothing_changes() -> None:
    video = torch.rand(1, 20, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    asked: list[int] = []

    def estimate(frames: Tensor) -> Tensor:
        asked.append(frames.shape[1] - 1)
        forward = frames[:, 1:, :2] - frames[:, :-1, :2]
        return torch.stack([forward, -2 * forward], dim=1)

    shared = SharedFlow(estimate)
    clips = [(0, 5, 4), (3, 9, 4), (4, 9, 0), (4, 11, 2), (11, 15, 3), (2, 6, 3), (2, 4, 0), (4, 5, 0), (4, 8, 3)]
    for start, stop, new in clips:
        before = sum(asked)
        flow = shared(video[:, start:stop], start)
        assert sum(asked) - before == new
        assert torch.equal(flow, estimate(video[:, start:stop]))
        asked.pop()


def test_a_network_that_needs_no_flow_gets_none() -> None:
    shared = SharedFlow(lambda frames: None)
    assert shared(torch.rand(1, 4, 3, 8, 8), 0) is None and shared(torch.rand(1, 4, 3, 8, 8), 2) is None


@pytest.mark.parametrize("kind", ["condenser", "lens", "prior"])
def test_every_pair_of_a_video_is_looked_at_once(
    kind: str,
    small_components: dict[str, Any],
    small_condenser_config: dict[str, Any],
    small_lens_config: dict[str, Any],
    randomize: Callable[..., nn.Module],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs = []
    search = optical_flow.dense_inverse_search

    def count(pictures: Tensor) -> Tensor:
        pairs.append(pictures.shape[1] - 1)
        return search(pictures)

    monkeypatch.setattr(optical_flow, "dense_inverse_search", count)
    distiller = small_components["semantic_distiller"]
    lens = randomize(SemanticLens(**small_lens_config | {"channels": 32, "motion_compensation": True})).eval()
    if kind == "lens":
        pipe: Any = SemanticLensPipeline(lens, distiller, clip_length=4, clip_overlap=2)
    elif kind == "prior":
        pipe = SeeClearPipeline(**small_components, prior=lens, clip_length=4, clip_overlap=2)
    else:
        settings = small_condenser_config | {"motion_compensation": True, "motion_reach": 2}
        condenser = randomize(PixelCondenser(**settings)).eval()
        pipe = SeeClearPipeline(**small_components | {"pixel_condenser": condenser}, clip_length=3)
    pipe.set_progress_bar_config(disable=True)
    video = np.random.default_rng(0).random((10, 16, 24, 3), dtype=np.float32)
    frames = pipe(video, scene_detection=False, output_type="pt").frames
    assert frames.shape[1] == 10
    assert sum(pairs) == 9
