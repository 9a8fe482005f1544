# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Whole pipelines whose weights are elsewhere until a module is called, in another dtype, or on another device."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import cpu_offload
from accelerate.hooks import remove_hook_from_submodules
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from seeclear import (
    BlurringResShiftScheduler,
    PixelCondenser,
    SeeClearPipeline,
    SemanticDistiller,
    SemanticLens,
    SemanticLensPipeline,
)
from seeclear.models.basicvsr_weights import BASICVSR
from seeclear.pipelines.settings import RestorationSettings

DISTILLER = {"segmenter_config": {"model_type": "mobile", "positions": True}, "num_tokens": 4, "motion": True}
KINDS = ["tiny", "star", "lens", "trunks"]


@pytest.fixture(scope="module")
def build(
    small_condenser_config: dict[str, Any], small_lens_config: dict[str, Any], randomize: Callable[..., nn.Module]
) -> Callable[[str], Any]:
    """Small networks with everything on, the distiller's that of the shipped weights."""
    widths = {"semantic_token_dim": 64, "semantic_feature_dim": 64}

    def pipeline(kind: str) -> Any:
        torch.manual_seed(0)
        distiller = SemanticDistiller(**DISTILLER).eval()
        trunks = BASICVSR if kind == "trunks" else {}
        lens = randomize(SemanticLens(**small_lens_config | widths | trunks)).eval()
        moving = {"motion_compensation": True, "propagation_blocks": (0, 1, 1, 0)} if kind == "tiny" else {}
        sizes = widths | {"num_clip_tokens": 16}
        condenser = randomize(PixelCondenser(**small_condenser_config | sizes | moving)).eval()
        if kind in ("lens", "trunks"):
            pipe: Any = SemanticLensPipeline(lens, distiller, clip_length=3)
        else:
            scheduler = BlurringResShiftScheduler(sampler="markov")
            prior = lens if kind == "star" else None
            pipe = SeeClearPipeline(condenser, distiller, scheduler, prior, clip_length=3)
        pipe.set_progress_bar_config(disable=True)
        return pipe

    return pipeline


def networks(pipe: Any) -> list[nn.Module]:
    return [part for part in pipe.components.values() if isinstance(part, nn.Module)]


def run(pipe: Any, **settings: Any) -> torch.Tensor:
    video = np.random.default_rng(0).integers(0, 256, (4, 16, 24, 3), dtype=np.uint8)
    if isinstance(pipe, SeeClearPipeline):
        settings |= {"num_inference_steps": 2, "generator": torch.Generator().manual_seed(0)}
    return pipe(video, output_type="pt", scene_detection=False, **settings).frames[0]


@pytest.mark.parametrize("tile", [None, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_come_with_the_call_of_their_module(kind: str, tile: int | None, build: Any) -> None:
    """`enable_sequential_cpu_offload`: outside of the forward pass of its module a parameter has no values."""
    pipe = build(kind)
    settings = {"tile": tile, "tile_overlap": None if tile is None else 4}
    expected = run(pipe, **settings)
    for network in networks(pipe):
        cpu_offload(network, execution_device="cpu")
    assert all(parameter.is_meta for network in networks(pipe) for parameter in network.parameters())
    assert torch.equal(run(pipe, **settings), expected)
    for network in networks(pipe):
        remove_hook_from_submodules(network)
    assert torch.equal(run(pipe, **settings), expected)


@pytest.mark.parametrize("tile", [None, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_are_stored_in_half_as_many_bytes(kind: str, tile: int | None, build: Any) -> None:
    """Layerwise casting: frames are those of weights that were rounded, and nothing is computed in the storage's
    dtype.
    """
    pipe = build(kind)
    rounded = copy.deepcopy(pipe)
    settings = {"tile": tile, "tile_overlap": None if tile is None else 4}
    for network in networks(pipe):
        network.enable_layerwise_casting(storage_dtype=torch.bfloat16, compute_dtype=torch.float32)
    stored = {id(network): dict(network.named_parameters()) for network in networks(pipe)}
    for network, twin in zip(networks(pipe), networks(rounded), strict=True):
        for name, parameter in twin.named_parameters():
            if stored[id(network)][name].dtype == torch.bfloat16:
                parameter.data = parameter.data.bfloat16().float()
    assert any(p.dtype == torch.bfloat16 for network in networks(pipe) for p in network.parameters())
    torch.testing.assert_close(run(pipe, **settings), run(rounded, **settings), rtol=0, atol=1e-5)


@pytest.mark.parametrize("tile", [None, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_on_a_pretended_device(kind: str, tile: int | None, build: Any) -> None:
    """Nothing is computed, but where every tensor lies is known: one that is left on another device is an error, and
    so is a value that is looked at, for which a GPU would have to wait. A build of torch for CPUs cannot move tensors
    to a pretended `cuda`; `meta` is a device of its own as well, and stands for it.
    """
    pipe = build(kind)
    settings = RestorationSettings(tile=tile, tile_overlap=None if tile is None else 4, scene_detection=False)
    run = pipe._begin(settings)
    run = run.of_videos([0]) if isinstance(pipe, SeeClearPipeline) else run
    with FakeTensorMode(allow_non_fake_inputs=True):
        for network in networks(pipe):
            network.to("meta")
        assert pipe._execution_device.type == "meta"
        clips = list(pipe._restore(iter(torch.rand(4, 1, 3, 16, 24)), run))
    assert [clip.frames.shape[1] for clip in clips] == [3, 1] and clips[0].frames.shape[2:] == (3, 64, 96)
    assert {clip.frames.device.type for clip in clips} == {"cpu"}


def test_a_tensor_on_the_wrong_device_is_found(build: Any) -> None:
    pipe = build("lens")
    run = pipe._begin(RestorationSettings(scene_detection=False))
    pipe.semantic_lens.conv_in.register_forward_hook(lambda module, args, output: output + torch.ones(1))
    with FakeTensorMode(allow_non_fake_inputs=True):
        for network in networks(pipe):
            network.to("meta")
        with pytest.raises(Exception, match="same device|device"):
            list(pipe._restore(iter(torch.rand(2, 1, 3, 16, 24)), run))
