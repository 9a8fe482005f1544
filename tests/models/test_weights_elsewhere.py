# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Networks whose weights are elsewhere, or of another dtype, until the module that owns them is called; networks that
are compiled block by block; and networks on a device that isn't there.
"""

from collections.abc import Callable
from typing import Any

import accelerate
import pytest
import torch
import torch.nn.functional as F
from diffusers import ModelMixin
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from seeclear.models import PixelCondenser, SemanticDistiller, SemanticLens

MOBILE = {"segmenter_config": {"model_type": "mobile", "hidden_dim": 32, "num_queries": 6, "positions": True}}


@pytest.fixture
def networks(
    small_condenser_config: dict[str, Any],
    small_lens_config: dict[str, Any],
    small_distiller_config: dict[str, Any],
    randomize: Callable[..., nn.Module],
) -> dict[str, Callable[[], ModelMixin]]:
    """What makes the networks, with everything on and random weights."""
    moves = {"motion_compensation": True, "propagation_blocks": (1, 1, 1, 1), "refinement_blocks": 1}

    def make(kind: type[ModelMixin], config: dict[str, Any]) -> Callable[[], ModelMixin]:
        def build() -> ModelMixin:
            torch.manual_seed(0)
            return randomize(kind(**config)).eval()

        return build

    one_level = {"channels": (16,), "self_attention": (True,), "middle_layers": 1}
    return {
        "condenser": make(PixelCondenser, small_condenser_config | moves),
        "condenser of one level": make(PixelCondenser, small_condenser_config | moves | one_level),
        "lens": make(SemanticLens, small_lens_config),
        "distiller": make(SemanticDistiller, small_distiller_config | MOBILE | {"motion": True}),
        "mask2former": make(SemanticDistiller, small_distiller_config),
    }


def inputs_of(name: str, device: str = "cpu") -> dict[str, Any]:
    generator = None if device != "cpu" else torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=device) * 2 - 1

    semantics = {"features": draw(1, 3, 32, 8, 12), "clip_tokens": draw(1, 4, 32)}
    if name == "condenser":
        frames = {"hidden_states": draw(1, 3, 3, 32, 48), "timestep": 3, "low_res": draw(1, 3, 3, 32, 48)}
        return frames | semantics | {"tokens": draw(1, 3, 4, 32), "update_memory": True, "return_pyramid": True}
    if name == "lens":
        return {"low_res": draw(1, 3, 3, 9, 14), "clip_masks": draw(1, 3, 4, 8, 12)} | semantics
    return {"low_res": draw(1, 3, 3, 20, 28)}


def results_of(network: ModelMixin, inputs: dict[str, Any]) -> list[Tensor]:
    """All that a network gives, and of a condenser what is written to its memory from outside of its forward."""
    results = list(network(**inputs, return_dict=False))
    if isinstance(network, PixelCondenser):
        pyramid = [F.adaptive_avg_pool2d(level, 4)[:1] for level in results.pop()]
        results += [*pyramid, network.write_memory(None, pyramid), network.write_memory(results[1], pyramid)]
    return results


def assert_same(results: list[Tensor], expected: list[Tensor]) -> None:
    for ours, theirs in zip(results, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["condenser", "lens", "distiller"])
@torch.no_grad()
def test_weights_are_fetched_where_they_are_used(name: str, networks: dict[str, Callable[[], ModelMixin]]) -> None:
    """Each module's own when it is called: sequential offloading. What another module takes of them is on the meta
    device.
    """
    network, inputs = networks[name](), inputs_of(name)
    expected = results_of(network, inputs)
    accelerate.cpu_offload(network, execution_device=torch.device("cpu"), offload_buffers=True)
    assert all(parameter.is_meta for parameter in network.parameters())
    assert_same(results_of(network, inputs), expected)


@pytest.mark.parametrize("storage", [torch.float8_e4m3fn, torch.bfloat16])
@pytest.mark.parametrize("name", ["condenser", "lens", "distiller", "mask2former"])
@torch.no_grad()
def test_weights_are_stored_in_few_bits(
    storage: torch.dtype, name: str, networks: dict[str, Callable[[], ModelMixin]]
) -> None:
    """And are those of the computation when a layer is called."""
    network, inputs = networks[name](), inputs_of(name)
    rounded = networks[name]()
    network.enable_layerwise_casting(storage_dtype=storage, compute_dtype=torch.float32)
    stored = {name for name, parameter in network.named_parameters() if parameter.dtype == storage}
    assert len(stored) > 10 and network.dtype == torch.float32
    for parameter_name, parameter in rounded.named_parameters():
        if parameter_name in stored:
            parameter.copy_(parameter.to(storage).float())
    assert_same(results_of(network, inputs), results_of(rounded, inputs))


@pytest.mark.parametrize("name", ["condenser of one level", "lens"])
@torch.no_grad()
def test_repeated_blocks_are_compiled_without_breaks(name: str, networks: dict[str, Callable[[], ModelMixin]]) -> None:
    """As graphs that Python runs: what makes code of them needs a compiler, which not every machine has."""
    network, inputs = networks[name](), inputs_of(name.split()[0])
    expected = results_of(network, inputs)
    torch._dynamo.reset()
    network.compile_repeated_blocks(backend="eager", fullgraph=True)
    assert_same(results_of(network, inputs), expected)


@pytest.mark.parametrize("name", ["condenser", "lens", "distiller"])
@torch.no_grad()
def test_nothing_is_left_on_the_cpu_and_no_value_is_looked_at(
    name: str, networks: dict[str, Callable[[], ModelMixin]]
) -> None:
    """On a device that is pretended: tensors have shapes and no contents, operators refuse tensors of two devices, and
    what shapes or branches depend on can't be read. PyTorch without CUDA can't pretend to have it (indexing asks for
    the device), so "meta" is the device.
    """
    network = networks[name]()
    with FakeTensorMode(allow_non_fake_inputs=True):
        network.to_empty(device="meta")
        results = results_of(network, inputs_of(name, "meta"))
    assert {(type(result), result.device.type) for result in results} == {(FakeTensor, "meta")}
