# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Settings for the whole suite: no network, the same examples on every run; networks small enough for every test."""

import copy
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import settings
from torch import Tensor, nn

os.environ["HF_HUB_OFFLINE"] = "1"

settings.register_profile("seeclear", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("seeclear")

SMALL_CONDENSER = {
    "channels": (16, 16, 32),
    "head_dim": 8,
    "window_size": 4,
    "self_attention": (False, True, True),
    "time_embed_dim": 16,
    "semantic_token_dim": 32,
    "semantic_feature_dim": 32,
    "token_dim": 16,
    "num_clip_tokens": 4,
    "num_groups": 6,
    "texture_dim": 16,
}
SMALL_SWIN = {
    "model_type": "swin",
    "embed_dim": 8,
    "depths": [1, 1, 1, 1],
    "num_heads": [1, 1, 2, 2],
    "window_size": 4,
    "drop_path_rate": 0.0,
    "out_features": ["stage1", "stage2", "stage3", "stage4"],
}
SMALL_MASK2FORMER = {
    "backbone_config": SMALL_SWIN,
    "feature_size": 32,
    "mask_feature_size": 32,
    "hidden_dim": 32,
    "encoder_feedforward_dim": 16,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "num_attention_heads": 2,
    "dim_feedforward": 16,
    "num_queries": 6,
    "dropout": 0.0,
}
SMALL_LENS = {
    "channels": 16,
    "motion_compensation": True,
    "extraction_blocks": 0,
    "backward_blocks": 1,
    "forward_blocks": 1,
    "reconstruction_blocks": 0,
    "head_dim": 4,
    "alignment_window_size": 4,
    "image": True,
    "search_radius": 1,
    "attention_layers": 1,
    "global_grid": 2,
    "semantic_token_dim": 32,
    "semantic_feature_dim": 32,
}
SMALL_DISTILLER = {
    "segmenter_config": {"model_type": "mask2former", **SMALL_MASK2FORMER},
    "num_tokens": 4,
    "num_clip_tokens": 4,
    "instance_layers": 1,
    "heads": 2,
    "vocabulary": ("thing", "stuff", "sky"),
    "text_dim": 8,
    "working_size": 64 * 64,
}


def _randomize(module: nn.Module, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return module


@pytest.fixture(scope="session")
def randomize() -> Callable[..., nn.Module]:
    """Moves all parameters off their start: many layers start at zero and would hide what a test looks for."""
    return _randomize


def _load_script(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, Path(__file__).parents[1] / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def load_script() -> Callable[[str], ModuleType]:
    """Gives a script as a module, by its path in the repository."""
    return _load_script


def _moving_clip(frames: int, x: int, y: int) -> Tensor:
    coarse = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(0))
    picture = F.interpolate(coarse, size=(96, 128), mode="bicubic", align_corners=False).clamp(0, 1)
    shown = [picture[..., 24 - i * y : 72 - i * y, 32 - i * x : 96 - i * x] for i in range(frames)]
    return torch.stack(shown, dim=1) * 2 - 1


@pytest.fixture(scope="session")
def moving_clip() -> Callable[[int, int, int], Tensor]:
    """Gives `frames` frames of a smooth random picture whose content moves by (`x`, `y`) pixels from one to the next,
    (1, frames, 3, 48, 64) in [-1, 1].
    """
    return _moving_clip


@pytest.fixture(scope="session")
def small_condenser_config() -> dict[str, Any]:
    """A Pixel Condenser with everything on, of 3 levels."""
    return copy.deepcopy(SMALL_CONDENSER)


@pytest.fixture(scope="session")
def small_distiller_config() -> dict[str, Any]:
    """A Semantic Distiller whose tokens and features fit `small_condenser_config`."""
    return copy.deepcopy(SMALL_DISTILLER)


@pytest.fixture(scope="session")
def small_lens_config() -> dict[str, Any]:
    """A Semantic Lens with everything on, which takes the semantics of `small_distiller_config`."""
    return copy.deepcopy(SMALL_LENS)


@pytest.fixture(scope="session")
def small_mask2former_config() -> dict[str, Any]:
    """Arguments of transformers' `Mask2FormerConfig`, with a Swin backbone."""
    return copy.deepcopy(SMALL_MASK2FORMER)


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP tokenizer that spells: every lower-case letter is a token."""
    folder = tmp_path_factory.mktemp("tokenizer")
    letters = [chr(i) for i in range(ord("a"), ord("z") + 1)]
    tokens = letters + [f"{letter}</w>" for letter in letters] + ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer"}))
    return folder


@pytest.fixture
def small_components() -> dict[str, Any]:
    """The parts of a small pipeline, with random weights everywhere."""
    from seeclear import BlurringResShiftScheduler, PixelCondenser, SemanticDistiller

    torch.manual_seed(0)
    return {
        "pixel_condenser": _randomize(PixelCondenser(**SMALL_CONDENSER)).eval(),
        "semantic_distiller": SemanticDistiller(**SMALL_DISTILLER).eval(),
        "scheduler": BlurringResShiftScheduler(sampler="resshift"),
    }


def _basicvsr_weights(channels: int, blocks: int) -> dict[str, Tensor]:
    """Random weights by the names of BasicSR's BasicVSR, of a scale that keeps features of the order of frames."""
    generator = torch.Generator().manual_seed(0)
    weights = {
        "spynet.mean": torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1),
        "spynet.std": torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1),
    }

    def convolution(name: str, inputs: int, outputs: int, side: int, gain: float = 1.0) -> None:
        spread = gain * (inputs * side * side) ** -0.5
        weights[f"{name}.weight"] = spread * torch.randn(outputs, inputs, side, side, generator=generator)
        weights[f"{name}.bias"] = 0.1 * gain * torch.randn(outputs, generator=generator)

    for level in range(6):
        for layer, (inputs, outputs) in enumerate(((8, 32), (32, 64), (64, 32), (32, 16), (16, 2))):
            convolution(f"spynet.basic_module.{level}.basic_module.{2 * layer}", inputs, outputs, 7)
    for way in ("backward_trunk", "forward_trunk"):
        convolution(f"{way}.main.0", 3 + channels, channels, 3, 2)
        for block in range(blocks):
            convolution(f"{way}.main.2.{block}.conv1", channels, channels, 3)
            convolution(f"{way}.main.2.{block}.conv2", channels, channels, 3)
    convolution("fusion", 2 * channels, channels, 1)
    for name in ("upconv1", "upconv2"):
        convolution(name, channels, 4 * channels, 3, 2)
    convolution("conv_hr", channels, channels, 3, 2)
    convolution("conv_last", channels, 3, 3)
    return weights


@pytest.fixture(scope="session")
def basicvsr_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint laid out as BasicSR's of BasicVSR, random, with 32 channels and 2 blocks in each trunk."""
    file = tmp_path_factory.mktemp("basicvsr") / "BasicVSR.pth"
    torch.save({"params": _basicvsr_weights(32, 2)}, file)
    return file


@pytest.fixture
def calls_to_the_condenser(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Gets the functions of the package that are on the stack whenever the condenser is called, the outermost first,
    each as module and name.
    """
    import seeclear
    from seeclear import PixelCondenser

    stacks: list[list[str]] = []
    package, forward = str(Path(seeclear.__file__).parent), PixelCondenser.forward

    def note(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        frame, names = sys._getframe(1), []
        while frame is not None:
            if frame.f_code.co_filename.startswith(package):
                names.append(f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}")
            frame = frame.f_back
        stacks.append(names[::-1])
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(PixelCondenser, "forward", note)
    return stacks


VGG16 = [(3, 64, 3), (64, 64, 3), (64, 128, 3), (128, 128, 3), (128, 256, 3), (256, 256, 3), (256, 256, 3)]
VGG16 += [(256, 512, 3)] + [(512, 512, 3)] * 5
ALEXNET = [(3, 64, 11), (64, 192, 5), (192, 384, 3), (384, 256, 3), (256, 256, 3)]


@pytest.fixture(scope="session")
def perceptual_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with random weights of LPIPS and DISTS in files of the right layout."""
    from seeclear.metrics.perceptual import ALEXNET_FILE, DISTS_FILE, VGG16_FILE

    folder = tmp_path_factory.mktemp("perceptual")
    rng = np.random.default_rng(0)

    def write(name: str, layers: list[tuple[int, int, int]], channels: list[int]) -> None:
        arrays = {f"lin{i}": rng.random(n).astype(np.float32) for i, n in enumerate(channels)}
        for i, (inputs, outputs, kernel) in enumerate(layers):
            shape = (outputs, inputs, kernel, kernel)
            gain = (2 / (inputs * kernel**2)) ** 0.5
            arrays[f"conv{i}.weight"] = gain * rng.standard_normal(shape, dtype=np.float32)
            arrays[f"conv{i}.bias"] = 0.1 * rng.standard_normal(outputs, dtype=np.float32)
        np.savez(folder / name, **arrays)

    write(VGG16_FILE, VGG16, [64, 128, 256, 512, 512])
    write(ALEXNET_FILE, ALEXNET, [64, 192, 384, 256, 256])
    values = {name: torch.from_numpy(rng.random((1, 1475, 1, 1), dtype=np.float32)) for name in ("alpha", "beta")}
    torch.save(values, folder / DISTS_FILE)
    return folder
