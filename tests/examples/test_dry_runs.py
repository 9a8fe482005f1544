# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""`--dry_run` of the training scripts counts what a real step of theirs keeps, and touches nothing."""

import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from PIL import Image
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from seeclear.training.dry_run import measure_step, store_channels_last

EXAMPLES = Path(__file__).parents[2] / "examples"
SEECLEAR = ["--preset", "tiny", "--condenser_config", "condenser.json", "--distiller_config", "distiller.json"]
LENS = ["--preset", "semantic-lens-tiny", "--lens_config", "lens.json", "--distiller_config", "distiller.json"]
MOVING = ["--condenser_config", "moving.json"]
FEWER_LEVELS = {"channels": [16, 16], "self_attention": [False, True], "layers_per_level": 1, "middle_layers": 1}

ALONG_THE_FLOW = {"motion_compensation": True, "propagation_blocks": [0, 1, 1, 0]}


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory,
    small_condenser_config: dict[str, Any],
    small_distiller_config: dict[str, Any],
    small_lens_config: dict[str, Any],
) -> Path:
    """A clip to train on and the networks' configurations."""
    folder = tmp_path_factory.mktemp("dry")
    (folder / "train" / "clip").mkdir(parents=True)
    for i in range(5):
        Image.new("RGB", (48, 40), (i, 50, 90)).save(folder / "train" / "clip" / f"{i}.png")
    configs = {
        "condenser": small_condenser_config | FEWER_LEVELS,
        "moving": small_condenser_config | FEWER_LEVELS | ALONG_THE_FLOW,
        "distiller": small_distiller_config,
        "lens": small_lens_config,
        "cleaning": small_lens_config | {"cleaning_blocks": 1},
    }
    for name, config in configs.items():
        (folder / f"{name}.json").write_text(json.dumps(config))
    rng = np.random.default_rng(0)
    widths = [3, 64, 64, 128, 128, 256, 256, 256, *6 * [512]]
    arrays = {f"lin{i}": rng.random(n, np.float32) for i, n in enumerate((64, 128, 256, 512, 512))}
    for i, shape in enumerate(zip(widths[1:], widths[:-1], strict=True)):
        arrays[f"conv{i}.weight"] = np.zeros((*shape, 3, 3), np.float32)
        arrays[f"conv{i}.bias"] = np.zeros(shape[0], np.float32)
    np.savez(folder / "lpips_vgg16.npz", **arrays)
    torch.save(dict.fromkeys(("alpha", "beta"), torch.ones(1, 1475, 1, 1)), folder / "dists_weights.pt")
    return folder


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    AcceleratorState._reset_state(reset_partial_state=True)


def parse(script: ModuleType, *arguments: str) -> Any:
    given = ["--train_data_dir", "train", "--output_dir", "out", "--resolution", "32", "--num_frames", "2"]
    given += ["--train_batch_size", "2", "--dataloader_num_workers", "0", *arguments]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", [script.__name__, *given])
        return script.parse_arguments()


LPIPS = ["--lpips_weight", "0.1", "--lpips_weights_path", "lpips_vgg16.npz", "--grid_weight", "1"]
LPIPS += ["--color_weight", "1"]


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("train_seeclear", [*SEECLEAR, *LPIPS, "--channels_last"]),
        ("train_seeclear", [*SEECLEAR, "--dists_weight", "1", "--lpips_weights_path", "."]),
        ("train_seeclear", [*SEECLEAR, "--adversarial_weight", "0.1", "--lpips_frames", "2"]),
        ("train_seeclear", [*SEECLEAR, "--stage", "joint", "--train_distiller", "all"]),
        ("train_seeclear", [*SEECLEAR, *MOVING]),
        ("train_seeclear", [*SEECLEAR, *MOVING, "--prior_frames", "4", "--stage", "refinement"]),
        ("train_semantic_lens", LENS),
        ("train_semantic_lens", [*LENS, "--lens_config", "cleaning.json", "--cleaning_weight", "0.5"]),
        ("train_semantic_lens", [*LENS, "--adversarial_weight", "0.1", "--steadiness_weight", "1"]),
    ],
)
def test_estimate_is_what_a_real_step_keeps(
    script: str, arguments: list[str], load_script: Callable[[str], ModuleType]
) -> None:
    module = load_script(f"examples/{script}.py")
    args = parse(module, *arguments)
    trainer = module.Trainer(args, Accelerator())
    batch = next(iter(trainer._dataloader()))
    trainer.compute_loss(batch)  # the distiller's results are kept from now on
    networks = [trainer.model, *trainer.losses.networks.values()]
    weights = {t.untyped_storage().data_ptr() for n in networks for t in (*n.parameters(), *n.buffers())}
    kept: dict[int, int] = {}
    alive = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            alive.append(tensor)
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = trainer.compute_loss(batch)
    assert loss.isfinite()

    mode = FakeTensorMode(allow_non_fake_inputs=True)
    planned = module.plan_step(args, mode)
    if args.channels_last:
        store_channels_last(planned.model)
    with mode:
        estimate = measure_step(planned)
    assert estimate.saved == pytest.approx(sum(kept.values()), rel=0.1)
    assert {type(parameter.data) for parameter in planned.model.parameters()} == {FakeTensor}
    parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    assert sum(parameter.numel() for parameter in planned.model.parameters()) == parameters


def test_the_largest_preset_is_not_allocated(load_script: Callable[[str], ModuleType]) -> None:
    module = load_script("examples/train_seeclear.py")
    args = parse(module, "--preset", "base")
    planned = module.plan_step(args, FakeTensorMode(allow_non_fake_inputs=True))
    tensors = [*planned.model.parameters(), *planned.model.buffers()]
    assert sum(tensor.numel() for tensor in planned.model.parameters()) > 200_000_000
    assert all(isinstance(tensor.data, FakeTensor) for tensor in tensors)


@pytest.mark.parametrize(
    ("script", "model"),
    [
        ("train_seeclear", "--preset tiny --use_ema"),
        ("train_seeclear", "--pretrained_model_name_or_path seeclear-tiny"),
        ("train_seeclear", "--pretrained_model_name_or_path seeclear-tiny --stage refinement --optimizer muon"),
        ("train_seeclear", "--pretrained_model_name_or_path seeclear-star-tiny --prior semantic-lens-tiny"),
        ("train_semantic_lens", "--preset semantic-lens-tiny --channels_last"),
        ("train_semantic_lens", "--pretrained_model_name_or_path semantic-lens-tiny --gradient_checkpointing"),
    ],
)
def test_shipped_models_and_presets_are_counted(
    script: str, model: str, load_script: Callable[[str], ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    module = load_script(f"examples/{script}.py")
    module.main(parse(module, *model.split(), "--resolution", "64", "--train_batch_size", "1", "--dry_run"))
    table = capsys.readouterr().out
    kept = re.search(r"activations kept for the backward pass \| +([\d,]+) \|", table)
    assert kept is not None and int(kept[1].replace(",", "")) > 1, table


def test_crops_that_the_condenser_cannot_take(load_script: Callable[[str], ModuleType]) -> None:
    module = load_script("examples/train_seeclear.py")
    arguments = ["--pretrained_model_name_or_path", "seeclear-tiny", "--resolution", "36", "--dry_run"]
    with pytest.raises(ValueError, match="`resolution` is 36; it must be a multiple of 32 for this condenser"):
        module.main(parse(module, *arguments))


@pytest.mark.parametrize(("script", "model"), [("train_seeclear", SEECLEAR), ("train_semantic_lens", LENS)])
def test_the_command_prints_a_table_and_touches_nothing(
    script: str, model: list[str], folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = sorted(folder.rglob("*"))
    arguments = [*model, "--train_data_dir", "nowhere", "--validation_data", "nothing", "--output_dir", "new"]
    arguments += ["--resolution", "32", "--num_frames", "2", "--use_ema", "--mixed_precision", "bf16", "--dry_run"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", [str(EXAMPLES / f"{script}.py"), *arguments])
        runpy.run_path(str(EXAMPLES / f"{script}.py"), run_name="__main__")
    printed = capfd.readouterr().out
    for row in (
        "| semantic_distiller ",
        "| weights ",
        "| gradients ",
        "| optimiser state (AdamW) ",
        "| moving average",
    ):
        assert row in printed, printed
    assert "activations kept for the backward pass" in printed and "mixed precision: bf16" in printed
    assert sorted(folder.rglob("*")) == before
