# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Pipelines with a lens of BasicVSR's shape, which finds flow by a network of its own."""

from pathlib import Path
from typing import Any

import accelerate
import pytest
import torch
from torch import Tensor

from seeclear import SeeClearPipeline, SemanticLens, SemanticLensPipeline
from seeclear.models.spynet import SPyNet

SWITCHES = {"head_dim": 4, "attention_layers": 1, "alignment_window_size": 4}
OFF = {"gps": False, "isee": False, "multi_frame_attention": False}


@pytest.fixture
def lens(basicvsr_file: Path) -> SemanticLens:
    return SemanticLens.from_basicvsr(basicvsr_file, **SWITCHES, **OFF).eval()


@pytest.fixture
def video() -> Tensor:
    """Nine frames of a scene that moves, (9, 3, 40, 48) in [0, 1]."""
    scene = torch.rand(3, 56, 64, generator=torch.Generator().manual_seed(0))
    return torch.stack([scene[:, i : i + 40, 2 * i : 2 * i + 48] for i in range(9)])


def _run(pipe: Any, video: Tensor, **settings: Any) -> Tensor:
    pipe.set_progress_bar_config(disable=True)
    return pipe(video, scene_detection=False, output_type="pt", **settings).frames[0]


@pytest.fixture
def pairs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of all pairs of frames whose flow is found, one way at a time."""
    seen: list[int] = []
    find = SPyNet.pair_flow

    def count(self: SPyNet, reference: Tensor, support: Tensor, dtype: torch.dtype) -> Tensor:
        seen.extend([reference.shape[-1]] * len(reference))
        return find(self, reference, support, dtype)

    monkeypatch.setattr(SPyNet, "pair_flow", count)
    return seen


def test_clips_and_tiles_share_the_flow_of_whole_frames(lens: SemanticLens, video: Tensor, pairs: list[int]) -> None:
    pipe = SemanticLensPipeline(lens, None, clip_length=4, clip_overlap=1)
    whole = _run(pipe, video)
    assert whole.shape == (9, 3, 160, 192)
    assert pairs == [64] * 16  # 8 pairs, there and back; 48 columns are made 64
    pairs.clear()
    tiled = _run(pipe, video, tile=32, tile_overlap=16)
    assert pairs == [64] * 16
    enlarged = torch.nn.functional.interpolate(video, scale_factor=4, mode="bilinear")
    assert float((tiled - whole).abs().mean()) < 0.01 * float((whole - enlarged).abs().mean())


def test_it_is_the_prior_of_seeclear(
    lens: SemanticLens, video: Tensor, pairs: list[int], small_components: dict[str, Any]
) -> None:
    alone = _run(SemanticLensPipeline(lens, None, clip_length=3), video)
    pairs.clear()
    network = small_components["pixel_condenser"]
    for parameter in network.conv_out.parameters():
        torch.nn.init.zeros_(parameter)  # the condenser gives y as it is
    pipe = SeeClearPipeline(**small_components, prior=lens, clip_length=3)
    torch.testing.assert_close(_run(pipe, video), alone, rtol=0, atol=1e-5)
    assert pairs == [64] * 12  # of three clips of three frames


def test_weights_that_are_offloaded_come_back_for_the_flow(basicvsr_file: Path, video: Tensor) -> None:
    lens = SemanticLens.from_basicvsr(basicvsr_file, **SWITCHES, **OFF).eval()
    expected = _run(SemanticLensPipeline(lens, None, clip_length=5), video)
    accelerate.cpu_offload(lens, execution_device=torch.device("cpu"))
    assert next(lens.parameters()).is_meta
    assert torch.equal(_run(SemanticLensPipeline(lens, None, clip_length=5), video), expected)


def test_it_is_saved_and_loaded(lens: SemanticLens, video: Tensor, tmp_path: Path) -> None:
    pipe = SemanticLensPipeline(lens, None, clip_length=5)
    pipe.save_pretrained(tmp_path)
    loaded = SemanticLensPipeline.from_pretrained(tmp_path)
    torch.testing.assert_close(_run(loaded, video), _run(pipe, video), rtol=0, atol=1e-6)
