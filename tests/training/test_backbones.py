# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from seeclear.models.mobile_segmenter import CHANNELS, LAST_LAYERS, MobileBackbone
from seeclear.training.backbones import load_mobilenet_v2


class Block(nn.Module):
    """An inverted residual, one flat list of layers as the files name them."""

    def __init__(self, channels: int, out: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6()]
        layers += [nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.ReLU6()]
        layers += [nn.Conv2d(wide, out, 1, bias=False), nn.BatchNorm2d(out)]
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


class Reference(nn.Module):
    """MobileNetV2 by its paper's table 2, without the head."""

    def __init__(self) -> None:
        super().__init__()
        stem = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6())
        blocks, channels = [stem, Block(32, 16, 1, 1)], 16
        table = ((24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
        for out, count, stride in table:
            for i in range(count):
                blocks.append(Block(channels, out, stride if i == 0 else 1, 6))
                channels = out
        self.features = nn.Sequential(*blocks)


@pytest.fixture(scope="module")
def reference() -> Reference:
    torch.manual_seed(0)
    model = Reference()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@torch.no_grad()
def test_loaded_backbone_computes_what_the_file_was_trained_as(
    reference: Reference, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"weights{suffix}"
    state = reference.state_dict() | {"classifier.weight": torch.zeros(3)}  # a head is of no interest
    torch.save(state, path) if suffix == ".pt" else save_file(state, path)
    backbone = MobileBackbone().eval()
    load_mobilenet_v2(backbone, path)
    pixels = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    expected, hidden_states = [], pixels
    for i, layer in enumerate(reference.features):
        hidden_states = layer(hidden_states)
        if i - 2 in LAST_LAYERS:  # the stem, and a first block that transformers counts to it
            expected.append(hidden_states)
    for level, (ours, theirs) in enumerate(zip(backbone(pixels), expected, strict=True)):
        assert ours.shape == (1, CHANNELS[level], 16 >> level, 24 >> level)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_what_is_missing_is_named(reference: Reference, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such file"):
        load_mobilenet_v2(MobileBackbone(), tmp_path / "none.pt")
    state = reference.state_dict()
    del state["features.4.conv.3.weight"], state["features.0.1.bias"]
    torch.save(state, tmp_path / "part.pt")
    with pytest.raises(ValueError, match=r"conv_stem.first_conv.normalization.bias and 1 others"):
        load_mobilenet_v2(MobileBackbone(), tmp_path / "part.pt")
