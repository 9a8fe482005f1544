# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""A checkpoint of BasicVSR's layout becomes a pipeline, and that is trained."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from in_process import logged_losses, run_script
from PIL import Image
from torch import nn

from seeclear import SemanticDistiller, SemanticLens, SemanticLensPipeline
from seeclear.training.loop import one_line_errors

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def script(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("examples/convert_basicvsr.py")


@pytest.fixture
def distiller(small_distiller_config: dict[str, Any], tmp_path: Path) -> Path:
    torch.manual_seed(0)
    SemanticDistiller(**small_distiller_config).save_pretrained(tmp_path / "distiller")
    return tmp_path / "distiller"


def test_the_folder_holds_the_pipeline_its_card_and_where_the_weights_are_from(
    script: ModuleType, basicvsr_file: Path, distiller: Path, tmp_path: Path
) -> None:
    script.main([str(basicvsr_file), "--output_dir", f"{tmp_path}/lens", "--distiller", str(distiller)])
    script.main([str(basicvsr_file), "--output_dir", f"{tmp_path}/plain", "--without", *script.MODULES])
    without = ["--without", *script.MODULES, "--with", *script.ADDITIONS, "--flow"]
    for flow in ("spynet", "dis"):
        script.main([str(basicvsr_file), "--output_dir", f"{tmp_path}/{flow}", *without, flow])
    whole, plain, more, dis = (
        SemanticLensPipeline.from_pretrained(tmp_path / name) for name in ("lens", "plain", "spynet", "dis")
    )
    assert plain.semantic_distiller is None and whole.semantic_distiller is not None
    assert dis.semantic_lens.flow_network is None and more.semantic_lens.config.coupled_branches
    video = torch.rand(3, 3, 18, 25)
    frames = []
    for pipe in (whole, plain, more, dis):
        pipe.set_progress_bar_config(disable=True)
        frames.append(pipe(video, scene_detection=False, output_type="pt").frames)
    for same in frames[1:3]:
        torch.testing.assert_close(frames[0], same, rtol=0, atol=1e-5)
    assert not torch.equal(frames[0], frames[3])  # another flow
    notice = (tmp_path / "lens" / "NOTICE").read_text()
    assert "arXiv\n2012.02181" in notice and "Apache License 2.0" in notice and "none of the published ones" in notice
    card = (tmp_path / "lens" / "README.md").read_text()
    assert "gps, isee, multi_frame_attention" in card and "{" not in card
    assert "until they are trained: none" in (tmp_path / "plain" / "README.md").read_text()
    assert "do not allow to be passed on" in notice and "was left out" in (tmp_path / "dis" / "NOTICE").read_text()


def test_what_is_there_is_kept(
    script: ModuleType, basicvsr_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["convert_basicvsr.py"])
    (tmp_path / "lens").mkdir()
    for file, output in ((basicvsr_file, "lens"), (tmp_path / "missing.pth", "new")):
        with pytest.raises(SystemExit) as end, one_line_errors():
            script.main([str(file), "--output_dir", f"{tmp_path}/{output}"])
        assert end.value.code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["lens"] and not list((tmp_path / "lens").iterdir())


@pytest.mark.parametrize("options", [[], ["--gradient_checkpointing", "--optimizer", "muon", "--channels_last"]])
def test_training_goes_on_from_it(
    options: list[str], script: ModuleType, basicvsr_file: Path, distiller: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "clips" / "one").mkdir(parents=True)
    for i in range(3):
        frame = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(frame).save(tmp_path / "clips" / "one" / f"{i}.png")
    script.main([str(basicvsr_file), "--output_dir", f"{tmp_path}/lens", "--distiller", str(distiller)])
    arguments = "--pretrained_model_name_or_path lens --train_data_dir clips --output_dir trained --resolution 32"
    arguments += " --num_frames 3 --train_batch_size 1 --dataloader_num_workers 0 --max_train_steps 2"
    arguments += " --lr_warmup_steps 0 --learning_rate 1e-3 --logging_steps 1"
    run_script(EXAMPLES / "train_semantic_lens.py", *arguments.split(), *options, folder=tmp_path)
    assert all(np.isfinite(loss) for _, loss, _ in logged_losses(tmp_path / "trained"))
    before, after = (
        SemanticLens.from_pretrained(tmp_path / name / "semantic_lens", dtype=torch.float32)
        for name in ("lens", "trained")
    )
    changed = _largest_changes(before, after)
    assert json.loads((tmp_path / "trained" / "semantic_lens" / "config.json").read_text())["flow"] == "spynet"
    for part in ("flow_network", "backward_branch.blocks", "forward_branch.gps", "fusion", "upsampler", "attention"):
        assert max(change for name, change in changed.items() if name.startswith(part)) > 1e-4


def _largest_changes(before: nn.Module, after: nn.Module) -> dict[str, float]:
    trained = after.state_dict()
    return {name: float((trained[name] - value).abs().max()) for name, value in before.state_dict().items()}


def test_only_what_is_asked_for_is_trained(
    basicvsr_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clips" / "one").mkdir(parents=True)
    for i in range(3):
        frame = np.random.default_rng(i).integers(0, 256, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(frame).save(tmp_path / "clips" / "one" / f"{i}.png")
    off = {"gps": False, "isee": False, "multi_frame_attention": False}
    start = SemanticLens.from_basicvsr(basicvsr_file, **off, second_order=True, second_pass_blocks=(0, 1, 1, 0))
    SemanticLensPipeline(start).save_pretrained(tmp_path / "lens")
    arguments = "--pretrained_model_name_or_path lens --train_data_dir clips --output_dir trained --resolution 32"
    arguments += " --num_frames 3 --train_batch_size 1 --dataloader_num_workers 0 --max_train_steps 2 --optimizer muon"
    arguments += " --lr_warmup_steps 0 --learning_rate 1e-2 --use_ema --freeze_flow --train_only"
    run_script(EXAMPLES / "train_semantic_lens.py", *arguments.split(), "second_pass", folder=tmp_path)
    trained = SemanticLensPipeline.from_pretrained(tmp_path / "trained", dtype=torch.float16).semantic_lens
    before = start.half().state_dict()
    changed = {name for name, value in trained.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all(name.startswith("second_pass.") for name in changed)
    wrong = [*arguments.replace("output_dir trained", "output_dir other").split(), "third_pass"]
    with pytest.raises(SystemExit, match="2"):
        run_script(EXAMPLES / "train_semantic_lens.py", *wrong, folder=tmp_path)
    message = capfd.readouterr().err.splitlines()[-1]
    assert "`train_only` is 'third_pass'; the lens has weights of backward_branch, flow_network, forw" in message
