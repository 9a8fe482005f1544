# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seeclear.models import LENS_PRESETS, SemanticLens
from seeclear.models.basicvsr_weights import BASICVSR, read_basicvsr

SEMANTIC = {
    "head_dim": 4,
    "alignment_window_size": 4,
    "search_radius": 1,
    "attention_layers": 2,
    "global_grid": 3,
    "semantic_token_dim": 12,
    "semantic_feature_dim": 10,
}
OFF = {"gps": False, "isee": False, "multi_frame_attention": False}


@pytest.fixture(scope="module")
def reading(load_script: Callable[[str], ModuleType]) -> ModuleType:
    """What shares no code with the package."""
    return load_script("benchmarks/basicvsr.py")


@pytest.fixture(scope="module")
def weights(basicvsr_file: Path) -> dict[str, Tensor]:
    return torch.load(basicvsr_file, weights_only=True)["params"]


def _semantics(frames: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "features": torch.randn(1, frames, 10, 6, 7, generator=generator),
        "clip_tokens": torch.randn(1, 5, 12, generator=generator),
        "clip_masks": 3 * torch.randn(1, frames, 5, 6, 7, generator=generator),
    }


@torch.no_grad()
@pytest.mark.parametrize("size", [(2, 3), (33, 22), (36, 70)])
@pytest.mark.parametrize("frames", [1, 4])
def test_the_lens_gives_the_frames_of_another_reading(
    basicvsr_file: Path, weights: dict[str, Tensor], reading: ModuleType, size: tuple[int, int], frames: int
) -> None:
    clip = torch.rand(frames, 3, *size, generator=torch.Generator().manual_seed(0))
    expected = reading.basicvsr(weights, clip)
    enlarged = nn.functional.interpolate(clip, scale_factor=4, mode="bilinear")
    assert float((expected - enlarged).abs().mean()) > 0.05  # the weights do something
    lens = SemanticLens.from_basicvsr(basicvsr_file, **SEMANTIC, **OFF)
    restored = lens(clip[None] * 2 - 1).sample[0] / 2 + 0.5
    torch.testing.assert_close(restored, expected, rtol=0, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("motion_compensation", [False, True])
@pytest.mark.parametrize("size", [(33, 21), (8, 10)])
def test_semantic_modules_begin_as_identities(
    basicvsr_file: Path, size: tuple[int, int], motion_compensation: bool, randomize: Callable[..., nn.Module]
) -> None:
    clip = torch.rand(1, 3, 3, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected = SemanticLens.from_basicvsr(basicvsr_file, **SEMANTIC, **OFF)(clip).sample
    switches: dict[str, Any] = {"image": True}
    if motion_compensation:  # with all that can be added to a checkpoint
        switches |= dict.fromkeys(("motion_compensation", "coupled_branches", "second_order"), True)
        switches["second_pass_blocks"] = (1, 1, 1, 1)
    lens = SemanticLens.from_basicvsr(basicvsr_file, **SEMANTIC, **switches)
    torch.testing.assert_close(lens(clip, **_semantics(3)).sample, expected, rtol=0, atol=1e-5)
    changed = randomize(lens)(clip, **_semantics(3)).sample
    assert float((changed - expected).abs().mean()) > 0.01


def test_what_the_checkpoint_lacks_can_be_chosen_and_what_it_sets_can_not(basicvsr_file: Path) -> None:
    lens = SemanticLens.from_basicvsr(basicvsr_file, **SEMANTIC, isee=False)
    config = lens.config
    assert (config.channels, config.backward_blocks, config.forward_blocks) == (32, 2, 2)
    assert (config.image, config.gps, config.isee, config.multi_frame_attention) == (False, True, False, True)
    assert BASICVSR.items() <= config.items()
    with pytest.raises(ValueError, match="`channels` was given; the checkpoint sets it"):
        SemanticLens.from_basicvsr(basicvsr_file, **SEMANTIC, channels=32)


@torch.no_grad()
def test_the_flow_network_can_be_left_out(basicvsr_file: Path) -> None:
    """Where nothing moves, the frames are the same; the flow network of random weights finds motion even there."""
    clip, still = torch.rand(1, 3, 3, 24, 22) * 2 - 1, torch.zeros(1, 2, 2, 2, 24, 22)
    whole = SemanticLens.from_basicvsr(basicvsr_file, **SEMANTIC, **OFF)
    lens = SemanticLens.from_basicvsr(basicvsr_file, **SEMANTIC, **OFF, flow="dis")
    assert lens.flow_network is None and lens.config.flow == "dis"
    assert torch.equal(lens(clip, flow=still).sample, whole(clip, flow=still).sample)


def test_a_lens_with_published_weights_is_that_of_the_preset(basicvsr_file: Path) -> None:
    """But for channels and blocks, of which this checkpoint has fewer."""
    with torch.device("meta"):
        preset = SemanticLens(**LENS_PRESETS["semantic-lens"]["semantic_lens"])
    config = SemanticLens.from_basicvsr(basicvsr_file).config
    differs = {name for name, value in preset.config.items() if not name.startswith("_") and config[name] != value}
    assert differs == {"channels", "backward_blocks", "forward_blocks"}
    published = [parameter for name, parameter in preset.named_parameters() if not _semantic(name)]
    assert sum(parameter.numel() for parameter in published) == 6_291_311


def _semantic(name: str) -> bool:
    return name.startswith("attention.") or ".gps." in name or ".isee." in name


def _edited(weights: dict[str, Tensor], **changes: Tensor | None) -> dict[str, Tensor]:
    edited = dict(weights) | {name: value for name, value in changes.items() if value is not None}
    return {name: value for name, value in edited.items() if name not in changes or changes[name] is not None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fusion.bias": None}, "in which `fusion.bias` is missing"),
        ({"conv_hr.bias": None}, "in which `conv_hr.bias` is missing"),
        ({"conv_new.weight": torch.zeros(1)}, "in which `conv_new.weight` has no place in BasicVSR"),
        ({"backward_trunk.main.2.0.conv1.weight": None}, "`backward_trunk.main.2.0.*"),
        (
            {"forward_trunk.main.2.2.conv1.weight": torch.zeros(1)},
            "`forward_trunk.main.2.2.conv1.weight` has no place",
        ),
        ({"fusion.weight": torch.zeros(32, 64, 3, 3)}, r"`fusion.weight` of .* is \(32, 64, 3, 3\); it must be"),
        ({"spynet.std": torch.ones(1, 3, 1, 1)}, r"`spynet.std` of .* is \[1.0, 1.0, 1.0\]; it must be \[0.229"),
    ],
)
def test_a_checkpoint_of_another_layout_is_refused(
    weights: dict[str, Tensor], changes: dict[str, Tensor | None], message: str, tmp_path: Path
) -> None:
    torch.save({"params": _edited(weights, **changes)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=message):
        read_basicvsr(tmp_path / "other.pth")


class _Surprise:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return print, ("run",)


def test_what_is_no_checkpoint_is_refused_and_nothing_in_it_is_run(
    weights: dict[str, Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file.pth"
    with pytest.raises(ValueError, match="`file` is '.*file.pth'; there is no such file"):
        read_basicvsr(file)
    torch.save({"params": weights | {"more": _Surprise()}}, file)
    with pytest.raises(ValueError, match="holds more than tensors"):
        read_basicvsr(file)
    assert capsys.readouterr().out == ""
    for content in (weights, {"params": [1, 2]}, [weights]):
        torch.save(content, file)
        with pytest.raises(ValueError, match="which has no `params`"):
            read_basicvsr(file)
    for damaged in (b"", b"not a checkpoint", file.read_bytes()[:-1000]):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged or holds more"):
            read_basicvsr(file)
