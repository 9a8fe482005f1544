# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Whole training videos as a prior restores them, and crops of them."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import ConfigMixin, ModelMixin
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from seeclear import SemanticDistiller, SemanticLens, SemanticLensPipeline
from seeclear.data import ClipDataset, FrameFolder, Photo
from seeclear.data.clips import degrade
from seeclear.data.degradations import BicubicDegradation
from seeclear.data.realworld import RealWorldDegradation
from seeclear.resize import to_uint8
from seeclear.training.prior import TrainingPrior
from seeclear.training.prior_frames import PriorFrames
from seeclear.training.semantics import SemanticsCache

FRAMES, HEIGHT, WIDTH = 5, 40, 54  # in a row two pixels more than whole LR pixels


@pytest.fixture
def source(tmp_path: Path) -> FrameFolder:
    rng = np.random.default_rng(0)
    folder = tmp_path / "clip"
    folder.mkdir()
    for i in range(FRAMES):
        Image.fromarray(rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)).save(folder / f"{i}.png")
    return FrameFolder(folder)


@pytest.fixture
def pipe(
    small_distiller_config: dict[str, Any], small_lens_config: dict[str, Any], randomize: Callable[..., nn.Module]
) -> SemanticLensPipeline:
    torch.manual_seed(0)
    lens = randomize(SemanticLens(**small_lens_config), seed=3).eval()
    return SemanticLensPipeline(lens, SemanticDistiller(**small_distiller_config).eval(), clip_length=3)


def perfect(pipe: SemanticLensPipeline, source: FrameFolder) -> SemanticLensPipeline:
    """In place of `pipe` one that knows the originals, as far as whole LR pixels go."""

    def stream(low_res: Iterable[np.ndarray]) -> Iterator[Tensor]:
        for i, frame in enumerate(low_res):
            height, width = (4 * n for n in frame.shape[:2])
            yield torch.from_numpy(source.frames(i, 1)[0, :height, :width].copy()).permute(2, 0, 1) / 255

    return SimpleNamespace(  # type: ignore[return-value]
        semantic_lens=pipe.semantic_lens,
        semantic_distiller=None,
        config=pipe.config,
        stream=stream,
        set_progress_bar_config=lambda **_: None,
    )


class Doubling(ModelMixin, ConfigMixin):
    """A prior that knows nothing of semantics; it keeps how many clips it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(2 * torch.ones(()))
        self.seen: list[int] = []

    def forward(self, low_res: Tensor) -> Tensor:
        self.seen.append(len(low_res))
        return self.gain * nn.functional.interpolate(low_res, scale_factor=(1, 4, 4))


def test_crops_are_cut_as_the_samples_were(pipe: SemanticLensPipeline, source: FrameFolder, tmp_path: Path) -> None:
    """Mirrored, transposed, reversed, frames apart: what the prior saw of the originals lies where they do."""
    frames = PriorFrames(tmp_path / "kept", perfect(pipe, source), [source], BicubicDegradation())
    frames.restore()
    samples = ClipDataset([source], 2, crop_size=6, num_samples=40, max_frame_step=3, cut_threshold=256)
    places = set()
    for sample in (samples[i] for i in range(40)):
        crop = frames.crop(sample["place"].tolist(), 2, (6, 6))
        assert crop is not None and crop.shape == (2, 3, 24, 24) and crop.dtype == torch.uint8
        differs = (crop != sample["ground_truth"]).any(dim=1).float()
        assert differs.mean() <= 2 / 24  # where the frame ends within an LR pixel its last whole one is repeated
        places.add((bool(differs.any()), *sample["place"][5:].tolist()))
    assert len({place[1:] for place in places}) > 12 and {place[0] for place in places} == {False, True}


def test_videos_are_restored_once_and_as_in_use(
    pipe: SemanticLensPipeline, source: FrameFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = PriorFrames(tmp_path / "kept", pipe, [source], BicubicDegradation())
    frames.restore()
    stored = load_file(frames.path(0))["frames"]
    assert stored.shape == (FRAMES, HEIGHT, WIDTH, 3)
    whole = torch.from_numpy(source.frames(0, FRAMES)[:, :, :52].copy()).permute(0, 3, 1, 2)
    low_res = degrade(whole, BicubicDegradation())
    expected = pipe(low_res.float() / 255, output_type="pt").frames[0]
    assert torch.equal(stored[:, :, :52].permute(0, 3, 1, 2), to_uint8(expected))
    assert torch.equal(stored[:, :, 52:], stored[:, :, 51:52].expand(-1, -1, 2, -1))

    def restored_again(*_: object) -> Tensor:
        raise AssertionError("restored again")

    with monkeypatch.context() as patch:
        patch.setattr(PriorFrames, "_restored", restored_again)
        PriorFrames(tmp_path / "kept", pipe, [source], BicubicDegradation()).restore()
        frames.path(0).unlink()  # what was loaded from it is still mapped
        frames.path(0).write_bytes(b"broken")
        with pytest.raises(AssertionError, match="restored again"):
            PriorFrames(tmp_path / "kept", pipe, [source], BicubicDegradation()).restore()
    frames.restore()
    assert torch.equal(load_file(frames.path(0))["frames"], stored)
    assert [path.name for path in frames.folder.iterdir()] == [frames.path(0).name]
    pipe.semantic_lens.conv_in.weight.data += 1
    assert PriorFrames(tmp_path / "kept", pipe, [source], BicubicDegradation()).folder != frames.folder


def test_y_is_cut_from_them_while_photographs_and_still_clips_are_restored_as_crops(
    pipe: SemanticLensPipeline, source: FrameFolder, tmp_path: Path
) -> None:
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "photo.png")
    photo = Photo(tmp_path / "photo.png", (32, 32))
    frames = PriorFrames(tmp_path / "kept", pipe, [source, photo], BicubicDegradation())
    frames.restore()
    assert len(list(frames.folder.iterdir())) == 1
    model = Doubling()
    prior = TrainingPrior(model, SemanticsCache(pipe.semantic_distiller, [source, photo]), 1, frames=frames)
    low_res = torch.rand(3, 2, 3, 4, 6) * 2 - 1
    places = torch.tensor([[1, 0, 1, 0, 0, 0, 0, 0, 0], [0, 2, 1, 1, 3, 0, 0, 0, 0], [0, 3, 0, 0, 0, 0, 0, 0, 0]])
    y, _ = prior(low_res, places)
    assert y.dtype == torch.float32 and model.seen == [2]
    assert torch.equal(y[[0, 2]], 2 * nn.functional.interpolate(low_res[[0, 2]], scale_factor=(1, 4, 4)))
    cut = load_file(frames.path(0))["frames"][2:4, 4:20, 12:36].permute(0, 3, 1, 2)
    torch.testing.assert_close(y[1], cut / 127.5 - 1)


def test_degradations_with_chance_are_refused(pipe: SemanticLensPipeline, source: FrameFolder, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`prior_dir` needs a `degradation` without chance"):
        PriorFrames(tmp_path, pipe, [source], RealWorldDegradation())


def test_a_file_that_cannot_be_written(
    pipe: SemanticLensPipeline, source: FrameFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = PriorFrames(tmp_path / "kept", perfect(pipe, source), [source], BicubicDegradation())

    def full(_: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("seeclear.training.prior_frames.save_file", full)
    with pytest.raises(ValueError, match="No space left on device"):
        frames.restore()
    assert not list(frames.folder.iterdir())
