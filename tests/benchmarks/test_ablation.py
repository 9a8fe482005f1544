# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from seeclear import PixelCondenser, SeeClearPipeline
from seeclear.models.attention import WindowSelfAttention


@pytest.fixture(scope="module")
def ablation(load_script: Callable[[str], ModuleType]) -> ModuleType:
    """The script as a module."""
    return load_script("benchmarks/ablation.py")


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path / "clips" / "noise"
    folder.mkdir(parents=True)
    for i in range(4):
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(folder / f"{i}.png")
    return folder.parent


def condense(condenser: PixelCondenser) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    frames, tokens, features = (
        torch.randn(1, 2, *shape, generator=generator) for shape in ((3, 32, 32), (4, 32), (32, 8, 8))
    )
    with torch.no_grad():
        return condenser(frames, 3, frames, tokens, features, tokens[:, 0]).sample


def test_each_switch_is_what_it_says_and_goes_back(ablation: ModuleType, small_components: dict[str, Any]) -> None:
    condenser = small_components["pixel_condenser"]
    whole = condense(condenser)
    switches = ablation.switches(condenser)
    rows = ["everything on", "semantics off", "semantics averaged", "memory off", "MFSA off"]
    absent = ["motion off", "propagation off", "prior's features off"]
    assert list(switches) == rows + absent and not any(switches[name] for name in absent)
    results = {}
    for name, off in switches.items():
        with ablation.switched(off):
            results[name] = condense(condenser)
        assert torch.equal(condense(condenser), whole), name
    assert torch.equal(results["everything on"], whole)
    for name in ("semantics off", "semantics averaged", "memory off", "MFSA off"):
        assert not torch.equal(results[name], whole), name
    assert not torch.equal(results["semantics off"], results["semantics averaged"])
    generator = torch.Generator().manual_seed(0)
    frames = torch.randn(1, 2, 3, 32, 32, generator=generator)
    with torch.no_grad():
        torch.testing.assert_close(condenser(frames, 3, frames).sample, results["semantics off"])
    with ablation.switched([]), pytest.raises(KeyError), ablation.switched(switches["MFSA off"]):
        assert not any(m.multi_frame for m in condenser.modules() if isinstance(m, WindowSelfAttention))
        raise KeyError
    assert any(m.multi_frame for m in condenser.modules() if isinstance(m, WindowSelfAttention))  # after an error, too


def test_features_of_the_prior_are_switched_off(
    ablation: ModuleType, small_condenser_config: dict[str, Any], randomize: Callable[..., torch.nn.Module]
) -> None:
    condenser = randomize(PixelCondenser(**small_condenser_config, prior_feature_channels=5))
    frames, features = torch.ones(1, 2, 3, 32, 32), torch.ones(1, 2, 5, 8, 8)
    with torch.no_grad():
        without = condenser(frames, 3, frames).sample
        assert not torch.equal(condenser(frames, 3, frames, prior_features=features).sample, without)
        with ablation.switched(ablation.switches(condenser)["prior's features off"]):
            assert torch.equal(condenser(frames, 3, frames, prior_features=features).sample, without)


def test_averaged_semantics_are_the_same_everywhere(ablation: ModuleType, small_components: dict[str, Any]) -> None:
    condenser = small_components["pixel_condenser"]
    generator = torch.Generator().manual_seed(1)
    frames, tokens, features = (
        torch.randn(1, 2, *shape, generator=generator) for shape in ((3, 32, 32), (4, 32), (32, 8, 8))
    )
    constant = {
        "tokens": tokens.mean((1, 2), keepdim=True).expand_as(tokens),
        "features": features.mean((1, 3, 4), keepdim=True).expand_as(features),
        "clip_tokens": tokens[:, 0].mean(1, keepdim=True).expand_as(tokens[:, 0]),
    }
    with torch.no_grad():
        expected = condenser(frames, 3, frames, **constant).sample
        with ablation.switched(ablation.switches(condenser)["semantics averaged"]):
            given = condenser(frames, 3, frames, tokens, features=features, clip_tokens=tokens[:, 0]).sample
            assert torch.equal(given, expected)
            assert condenser(frames, 3, frames).sample.shape == frames.shape  # without semantics as ever


@pytest.mark.parametrize(
    ("row", "config"),
    [("motion off", {"motion_compensation": True}), ("propagation off", {"propagation_blocks": (0, 1, 1, 0)})],
)
def test_what_moves_along_the_flow_is_a_switch(
    row: str, config: dict[str, Any], ablation: ModuleType, small_condenser_config: dict[str, Any]
) -> None:
    condenser = PixelCondenser(**small_condenser_config | config)
    for layer in (condenser.conv_moved, condenser.conv_out, getattr(condenser.propagation, "conv_out", None)):
        if layer is not None:
            torch.nn.init.normal_(layer.weight)
    whole = condense(condenser)
    with ablation.switched(ablation.switches(condenser)[row]):
        assert not torch.equal(condense(condenser), whole)


def test_table_and_report(
    ablation: ModuleType,
    small_components: dict[str, Any],
    clips: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    SeeClearPipeline(**small_components, clip_length=2).save_pretrained(tmp_path / "model")
    report = tmp_path / "ablation.json"
    ablation.main([str(clips), "--model", str(tmp_path / "model"), "--frames", "3", "--json", str(report)])
    printed = capsys.readouterr().out
    for row in ("| bicubic ", "| everything on ", "| semantics off ", "| memory off ", "| MFSA off "):
        assert row in printed
    assert "PSNR-Y, dB" in printed and "frame-difference error" in printed
    assert "helps" in printed or "does not help" in printed
    content = json.loads(report.read_text())
    rows = {"everything on", "semantics off", "semantics averaged", "memory off", "MFSA off"}
    assert set(content["figures"]) == rows | {"bicubic"}
    assert content["change"]["everything on"] == 0 and content["change"]["MFSA off"] > 0
    absent = ["motion off", "propagation off", "prior's features off"]
    assert content["settings"]["frames"] == 3 and content["not_in_this_model"] == absent
    assert "pixel_condenser/diffusion_pytorch_model.safetensors" in content["sha256"]
    ablation.main(
        [str(clips), "--model", str(tmp_path / "model"), "--frames", "3", "--crf", "45", "--json", str(report)]
    )
    compressed = json.loads(report.read_text())
    assert compressed["settings"]["crf"] == 45 and content["settings"]["crf"] is None
    assert compressed["figures"]["bicubic"]["psnr"] != content["figures"]["bicubic"]["psnr"]


def test_what_changes_nothing_and_what_is_not_there_is_said(
    ablation: ModuleType, small_condenser_config: dict[str, Any], clips: Path
) -> None:
    names = ("everything on", "semantics off", "MFSA off")
    figures = {name: {"psnr": 27.0, "frame-difference": 9.0} for name in names}
    figures["MFSA off"] = {"psnr": 27.5, "frame-difference": None}
    figures["everything on"]["frame-difference"] = 9.0
    text = ablation.effects_table(
        figures, {"everything on": 0.0, "semantics off": 0.0, "MFSA off": 1.0}, ["memory off"]
    )
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert rows[2] == ["semantics off", "0.0000", "+0.0000", "+0.000", "changes nothing"]
    assert rows[3] == ["MFSA off", "1.0000", "+0.5000", "", "does not help"]
    assert rows[4] == ["memory off", "", "", "", "is not in this model"]
    config = small_condenser_config | {"texture_memory": False}
    assert ablation.switches(PixelCondenser(**config))["memory off"] == []
