# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""BasicVSR (Chan et al., CVPR 2021, arXiv 2012.02181) as a Semantic Lens: its shape as a configuration, and its
checkpoints, as BasicSR has them, read for [`SemanticLens.from_basicvsr`].
"""

import os
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .spynet import CHANNELS, DEVIATION, LEVELS, MEAN

BASICVSR: dict[str, Any] = {
    "trunk_input": "frames",
    "flow": "spynet",
    "coupled_branches": False,
    "fused_branches": True,
    "upsampling": "two-step",
    "skip": "bilinear",
    "extraction_blocks": 0,
    "reconstruction_blocks": 0,
}
"""What makes a lens one of BasicVSR's shape. Published are 64 channels and 30 blocks in each branch."""
_RANGE = 2.0
"""Of frames in [-1, 1], over that of frames in [0, 1]."""


@dataclass(frozen=True)
class _Layer:
    """A convolution of the checkpoint: its name there and in the lens, and the shape of its weight."""

    there: str
    here: str
    shape: tuple[int, int, int, int]


def _layers(channels: int, blocks: int) -> Iterator[_Layer]:
    """All convolutions but the first ones of the trunks, which are two in the lens."""
    inner = (channels, channels, 3, 3)
    for level in range(LEVELS):
        for i, (before, after) in enumerate(pairwise(CHANNELS)):
            there = f"spynet.basic_module.{level}.basic_module.{2 * i}"
            yield _Layer(there, f"flow_network.levels.{level}.{2 * i}", (after, before, 7, 7))
    for direction in ("backward", "forward"):
        for block in range(blocks):
            for conv in ("conv1", "conv2"):
                there = f"{direction}_trunk.main.2.{block}.{conv}"
                yield _Layer(there, f"{direction}_branch.blocks.{block}.{conv}", inner)
    yield _Layer("fusion", "fusion.conv", (channels, 2 * channels, 1, 1))
    for step in range(2):
        yield _Layer(f"upconv{step + 1}", f"upsampler.steps.{step}", (4 * channels, channels, 3, 3))
    yield _Layer("conv_hr", "upsampler.conv_hr", inner)
    yield _Layer("conv_last", "upsampler.conv_out", (3, channels, 3, 3))


def _expected_shapes(channels: int, blocks: int) -> dict[str, tuple[int, ...]]:
    """The shapes of all that a checkpoint holds."""
    kernels = {layer.there: layer.shape for layer in _layers(channels, blocks)}
    kernels |= {f"{way}_trunk.main.0": (channels, 3 + channels, 3, 3) for way in ("backward", "forward")}
    shapes: dict[str, tuple[int, ...]] = {"spynet.mean": (1, 3, 1, 1), "spynet.std": (1, 3, 1, 1)}
    for name, shape in kernels.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return shapes


def _load(file: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The weights in a checkpoint, which is a pickle; nothing but tensors and containers is read of it."""
    if not Path(file).is_file():
        raise ValueError(f"`file` is {str(file)!r}; there is no such file")
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"`file` is {str(file)!r}, which is damaged or holds more than tensors") from error
    weights = content.get("params") if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ValueError(f"`file` is {str(file)!r}, which has no `params`: it is no checkpoint of BasicSR's BasicVSR")
    return weights


def _check(weights: dict[str, Tensor], channels: int, blocks: int, file: str) -> None:
    """Raises a ValueError unless the checkpoint holds exactly what BasicVSR needs."""
    expected = _expected_shapes(channels, blocks)
    for name in sorted(expected.keys() ^ weights.keys()):
        problem = "is missing" if name in expected else "has no place in BasicVSR"
        raise ValueError(f"`file` is {file!r}, in which `{name}` {problem}")
    for name, shape in expected.items():
        if tuple(weights[name].shape) != shape:
            raise ValueError(f"`{name}` of {file!r} is {tuple(weights[name].shape)}; it must be {shape}")
    for name, values in (("spynet.mean", MEAN), ("spynet.std", DEVIATION)):
        if not torch.allclose(weights[name].flatten(), torch.tensor(values)):
            raise ValueError(f"`{name}` of {file!r} is {weights[name].flatten().tolist()}; it must be {list(values)}")


def read_basicvsr(file: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Reads a checkpoint of BasicSR's BasicVSR.

    Args:
        file: a dictionary whose `params` are the weights by BasicSR's names, as `torch.save` writes it.

    Returns:
        The configuration of the lens, and its weights by the lens' names.

    Raises:
        ValueError: there is no such file, it can't be read without running what it holds, or a weight is missing, has
            another shape or no place.
    """
    weights = _load(file)
    blocks = next(n for n in count() if f"backward_trunk.main.2.{n}.conv1.weight" not in weights)
    channels = len(weights["conv_hr.bias"]) if "conv_hr.bias" in weights else 0
    _check(weights, channels, blocks, str(file))
    state: dict[str, Tensor] = {}
    for layer in _layers(channels, blocks):
        factor = _RANGE if layer.there == "conv_last" else 1.0
        state |= {f"{layer.here}.{part}": factor * weights[f"{layer.there}.{part}"] for part in ("weight", "bias")}
    for way in ("backward", "forward"):
        frame, aligned = weights[f"{way}_trunk.main.0.weight"].split((3, channels), dim=1)
        state[f"{way}_branch.fuse_sources.weight"] = frame
        state[f"{way}_branch.fuse_sources.bias"] = weights[f"{way}_trunk.main.0.bias"]
        state[f"{way}_branch.fuse_aligned.weight"] = aligned
    return BASICVSR | {"channels": channels, "backward_blocks": blocks, "forward_blocks": blocks}, state


def couple(weights: dict[str, Tensor]) -> None:
    """Lets the forward branch see what the backward one made, at first with weights of zero.

    Args:
        weights: of a lens with `fused_branches` but without `coupled_branches`; changed.
    """
    name = "forward_branch.fuse_sources.weight"
    frame, aligned = weights[name], weights["forward_branch.fuse_aligned.weight"]
    weights[name] = torch.cat([frame, torch.zeros_like(aligned)], dim=1)
