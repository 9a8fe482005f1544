# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from seeclear.training.arguments import parse_arguments
from seeclear.training.checkpoints import TrainingProgress
from seeclear.training.model_card import save_model_card

FIGURES = {
    "psnr_bicubic": 25.0,
    "psnr_1_steps": 26.25,
    "psnr_4_steps": 24.5,
    "gain_1_steps": 1.25,
    "gain_4_steps": -0.5,
}


def write_card(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    figures: dict[str, float] | None = FIGURES,
    sources: Sequence[tuple[str, float]] = (("clip", 0.75), ("photo", 0.25)),
    validation: Sequence[str] = ("cows",),
) -> ModelCard:
    argv = ["--preset", "tiny", "--train_data_dir", "/home/someone/clips", "--output_dir", str(folder)]
    argv += ["--hub_token", "secret", "--use_ema"]
    monkeypatch.setattr(sys, "argv", ["train_seeclear.py", *argv])
    progress = TrainingProgress()
    progress.load_state_dict({"step": 30, "clips": 120, "seconds": 60.0})
    path = save_model_card(
        folder, parse_arguments(argv), progress, {"pixel_condenser": (1000, 900)}, sources, validation, figures, 1
    )
    return ModelCard.load(path)


def test_card_says_what_was_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = write_card(tmp_path, monkeypatch)
    for text in (
        "| MATLAB bicubic | 25.000 dB | |",
        "| 1 step(s) | 26.250 dB | +1.250 dB |",
        "| 4 step(s) | 24.500 dB | -0.500 dB |",
        "| parameters of `pixel_condenser` | 1,000, of which 900 trained |",
        "| speed | 2.00 clips a second |",
        "* clip: 75.0 % of the clips",
        "(cows)",
    ):
        assert text in card.text
    assert {"video-super-resolution", "diffusion", "seeclear"} <= set(card.data.tags)
    assert card.data.library_name == "diffusers"


def test_card_has_all_that_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = FIGURES | {"ssim_bicubic": 0.7, "ssim_1_steps": 0.75, "ssim_4_steps": 0.72}
    measured |= {"lpips_bicubic": 0.35, "lpips_1_steps": 0.31, "lpips_4_steps": 0.3}
    text = write_card(tmp_path, monkeypatch, measured).text
    assert "| | PSNR-Y | over bicubic | SSIM-Y | LPIPS (VGG) |\n|---|---|---|---|---|\n" in text
    assert "| MATLAB bicubic | 25.000 dB | | 0.7000 | 0.3500 |" in text
    assert "| 4 step(s) | 24.500 dB | -0.500 dB | 0.7200 | 0.3000 |" in text


def test_card_has_neither_token_nor_folders_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = str(write_card(tmp_path, monkeypatch))
    assert "secret" not in text and "hub_token" not in text
    assert "/home/someone" not in text and str(tmp_path) not in text
    assert "--train_data_dir clips" in text


def test_card_without_validation_and_with_many_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = write_card(tmp_path, monkeypatch, None, [(f"clip-{i:02d}", 1 / 40) for i in range(40)], validation=[])
    assert "no validation clips, so nothing was measured" in card.text
    assert "* clip-19: 2.5 %" in card.text and "clip-20" not in card.text
    assert "* 20 more: 50.0 % of the clips" in card.text


def test_a_second_card_replaces_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    early = write_card(tmp_path, monkeypatch, None)
    assert "Nothing was measured: the run ended before it had validated on cows." in early.text
    assert "Nothing was measured" not in write_card(tmp_path, monkeypatch).text
