# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from seeclear.data import ValidationClip
from seeclear.resize import imresize
from seeclear.training.validation import validate, validation_evaluator, write_picture


def clip(name: str, height: int = 16, width: int = 24) -> ValidationClip:
    generator = torch.Generator().manual_seed(len(name))
    original = torch.randint(256, (3, 3, height, width), dtype=torch.uint8, generator=generator)
    lr = torch.randint(256, (3, 3, height // 4, width // 4), dtype=torch.uint8, generator=generator)
    return {"name": name, "low_res": lr, "ground_truth": original}


def test_bicubic_gains_nothing_over_bicubic_and_the_original_everything() -> None:
    clips = [clip("a"), clip("bb")]
    calls = []

    def upscale(lr: Tensor, steps: int) -> Tensor:
        calls.append(steps)
        if steps == 1:
            return imresize(lr, scale=4)
        return clips[(len(calls) - 1) // 2]["ground_truth"].float() / 255

    figures = validate(upscale, clips, steps=(1, 4))
    assert calls == [1, 4, 1, 4]
    ways = ("bicubic", "1_steps", "4_steps")
    names = {f"{name}_{way}" for name in ("psnr", "ssim") for way in ways}
    assert set(figures) == names | {"gain_1_steps", "gain_4_steps"}
    assert figures["ssim_1_steps"] == figures["ssim_bicubic"] < 0.5 and figures["ssim_4_steps"] == 1
    assert figures["gain_1_steps"] == 0
    assert figures["psnr_1_steps"] == figures["psnr_bicubic"] < 20
    assert figures["gain_4_steps"] > 30


def test_lpips_where_there_are_weights(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    widths = [3, 64, 64, 128, 128, 256, 256, 256, *6 * [512]]
    layers = list(zip(widths[1:], widths[:-1], strict=True))
    arrays = {f"lin{i}": rng.random(n, np.float32) for i, n in enumerate((64, 128, 256, 512, 512))}
    for i, shape in enumerate(layers):
        arrays[f"conv{i}.weight"] = 0.05 * rng.standard_normal((*shape, 3, 3), np.float32)
        arrays[f"conv{i}.bias"] = np.zeros(shape[0], np.float32)
    np.savez(tmp_path / "lpips_vgg16.npz", **arrays)
    one = clip("a", 32, 32)
    figures = validate(
        lambda lr, _: one["ground_truth"].float() / 255, [one], evaluator=validation_evaluator(tmp_path)
    )
    assert figures["lpips_bicubic"] > 0.01 and figures["lpips_1_steps"] == pytest.approx(0, abs=1e-6)


def test_picture_holds_bicubic_ours_original_of_the_middle_frame(tmp_path: Path) -> None:
    one = clip("a")
    other = clip("bb", 12, 16)
    path = tmp_path / "new" / "picture.png"
    validate(lambda lr, steps: torch.zeros(3, 3, 4 * lr.shape[2], 4 * lr.shape[3]), [one, other], picture=path)
    picture = np.asarray(Image.open(path))
    assert picture.shape == (16 + 12, 3 * 24, 3)
    assert not picture[:16, 24:48].any()
    np.testing.assert_array_equal(picture[:16, 48:], one["ground_truth"][1].permute(1, 2, 0).numpy())
    assert not picture[16:, 48:].any()


@pytest.mark.parametrize("height", [1, 5])
def test_write_picture_stacks_rows(tmp_path: Path, height: int) -> None:
    rows = [torch.full((3, height, 2), value, dtype=torch.uint8) for value in (10, 200)]
    write_picture(rows, tmp_path / "rows.png")
    picture = np.asarray(Image.open(tmp_path / "rows.png"))
    assert (picture[:height] == 10).all() and (picture[height:] == 200).all()
