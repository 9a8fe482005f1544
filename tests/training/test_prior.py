# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import ConfigMixin, ModelMixin
from PIL import Image
from torch import Tensor, nn

from seeclear import SeeClearPipeline, SemanticDistiller, SemanticLens, SemanticLensPipeline
from seeclear.data import ClipDataset, FrameFolder
from seeclear.models import PixelCondenser
from seeclear.pipelines.prior import distiller_digest
from seeclear.pipelines.settings import RestorationSettings
from seeclear.pipelines.streaming import ClipStream
from seeclear.resize import imresize
from seeclear.training.lens_semantics import LensSemantics
from seeclear.training.prior import TrainingPrior, middle_frames, middle_places, set_prior, split_places
from seeclear.training.semantics import SemanticsCache

FRAMES = 6


class Remembering(ModelMixin, ConfigMixin):
    """A prior that knows nothing of semantics: nearest neighbours; it keeps the shapes that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, low_res: Tensor) -> Tensor:
        self.shapes.append(tuple(low_res.shape))
        return self.gain * nn.functional.interpolate(low_res, scale_factor=(1, 4, 4))


@pytest.fixture
def pipe(
    small_components: dict[str, Any], small_lens_config: dict[str, Any], randomize: Callable[..., nn.Module]
) -> SeeClearPipeline:
    lens = randomize(SemanticLens(**small_lens_config), seed=3)
    return SeeClearPipeline(**small_components, prior=lens.eval(), clip_length=3)


@pytest.fixture
def source(tmp_path: Path) -> FrameFolder:
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 200, (64, 64, 3))
    for i in range(FRAMES):
        frame = (scene + rng.integers(0, 50, scene.shape)).astype(np.uint8)
        Image.fromarray(frame).save(tmp_path / f"{i}.png")
    return FrameFolder(tmp_path)


def _low_res(source: FrameFolder, frames: list[int]) -> Tensor:
    """Whole frames of the source as training samples show them, (1, F, 3, 16, 16) in [-1, 1]."""
    clips = ClipDataset([source], clip_length=FRAMES, crop_size=16, num_samples=60, cut_threshold=256)
    for index in range(60):
        sample = clips[index]
        if sample["place"].tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 0]:
            return sample["low_res"][None, frames].float() / 127.5 - 1
    raise AssertionError("no sample without augmentation")


def _in_use(pipe: SeeClearPipeline, low_res: Tensor) -> tuple[Tensor, Tensor | None]:
    """y of one clip as the pipeline makes it, and the prior's features of it."""
    run = pipe._begin(RestorationSettings(scene_detection=False))
    clip = next(ClipStream(((low_res + 1) / 2).unbind(dim=1), pipe.layout, run.settings))
    with torch.no_grad():
        return pipe.prepare_low_res(pipe.encode_semantics(clip, run), next(iter(clip.tiles())), run)


def test_a_crop_of_a_whole_frame_gets_what_the_pipeline_starts_from(
    pipe: SeeClearPipeline, source: FrameFolder
) -> None:
    """Semantics are kept in 16 bits in training: that far from the pipeline's, and no further."""
    semantics = LensSemantics(pipe.semantic_distiller, [source], grid=pipe.prior.config.global_grid)
    prior = TrainingPrior(pipe.prior, semantics, num_clips=1)
    low_res = _low_res(source, [1, 2, 3])
    place = torch.tensor([[0, 1, 1, 0, 0, 0, 0, 0, 0]])
    y, expected, bicubic = prior(low_res, place)[0], _in_use(pipe, low_res)[0], imresize(low_res, scale=4)
    assert y.dtype == torch.float32 and not y.requires_grad
    assert (y - expected).abs().max() < 1e-3 * (expected - bicubic).abs().max()
    backwards = place.clone()
    backwards[0, 8] = 1
    y, _ = prior(low_res.flip(1), backwards)
    expected, _ = _in_use(pipe, low_res.flip(1))
    assert (y - expected).abs().max() < 1e-3 * (expected - bicubic.flip(1)).abs().max()


def test_mixed_precision_is_the_models_alone(pipe: SeeClearPipeline, source: FrameFolder) -> None:
    semantics = LensSemantics(pipe.semantic_distiller, [source], grid=pipe.prior.config.global_grid)
    low_res, place = _low_res(source, [1, 2, 3]), torch.tensor([[0, 1, 1, 0, 0, 0, 0, 0, 0]])
    expected, _ = TrainingPrior(pipe.prior, semantics, num_clips=1)(low_res, place)
    bicubic = imresize(low_res, scale=4)
    autocast = partial(torch.autocast, "cpu", torch.bfloat16)
    y, _ = TrainingPrior(pipe.prior, semantics, num_clips=1, autocast=autocast)(low_res, place)
    assert y.dtype == torch.float32
    assert 0 < (y - expected).abs().mean() < 0.05 * (expected - bicubic).abs().mean()


@pytest.mark.parametrize("backwards", [0, 1])
def test_consecutive_clips_are_enlarged_one_by_one(
    backwards: int, pipe: SeeClearPipeline, source: FrameFolder
) -> None:
    semantics = LensSemantics(pipe.semantic_distiller, [source], grid=pipe.prior.config.global_grid)
    order = list(range(FRAMES))[:: -1 if backwards else 1]
    low_res = _low_res(source, order)
    place = torch.tensor([[0, 0, 1, 0, 0, 0, 0, 0, backwards]])
    y, _ = TrainingPrior(pipe.prior, semantics, num_clips=2)(low_res, place)
    for part in (slice(0, 3), slice(3, 6)):
        expected, _ = _in_use(pipe, low_res[:, part])
        detail = (expected - imresize(low_res[:, part], scale=4)).abs().max()
        assert (y[:, part] - expected).abs().max() < 1e-3 * detail


@pytest.mark.parametrize("backwards", [0, 1])
def test_features_are_those_that_the_condenser_sees_in_use(
    backwards: int, pipe: SeeClearPipeline, source: FrameFolder, small_condenser_config: dict[str, Any]
) -> None:
    semantics = LensSemantics(pipe.semantic_distiller, [source], grid=pipe.prior.config.global_grid)
    low_res = _low_res(source, list(range(FRAMES))[:: -1 if backwards else 1])
    place = torch.tensor([[0, 0, 1, 0, 0, 0, 0, 0, backwards]])
    assert TrainingPrior(pipe.prior, semantics, num_clips=2)(low_res, place)[1] is None
    _, features = TrainingPrior(pipe.prior, semantics, num_clips=2, with_features=True)(low_res, place)
    assert features is not None and features.shape == (1, FRAMES, 16, 16, 16)
    pipe.register_modules(pixel_condenser=PixelCondenser(**small_condenser_config, prior_feature_channels=16))
    for part in (slice(0, 3), slice(3, 6)):
        _, expected = _in_use(pipe, low_res[:, part])
        assert expected is not None
        assert (features[:, part] - expected).abs().max() < 2e-3 * expected.std()


def test_places_of_consecutive_clips_by_hand() -> None:
    places = torch.tensor([[4, 10, 2, 7, 8, 0, 1, 0, 0], [5, 20, 1, 7, 8, 0, 1, 0, 1]])
    first, second = split_places(places, num_clips=2, clip_length=3)
    assert first.tolist() == [[4, 10, 2, 7, 8, 0, 1, 0, 0], [5, 23, 1, 7, 8, 0, 1, 0, 1]]
    assert second.tolist() == [[4, 16, 2, 7, 8, 0, 1, 0, 0], [5, 20, 1, 7, 8, 0, 1, 0, 1]]
    assert torch.equal(split_places(places, 1, 6)[0], places)


@pytest.mark.parametrize("seed", range(8))
def test_the_middle_of_a_sample_is_where_its_place_says(source: FrameFolder, seed: int) -> None:
    data = ClipDataset([source], 5, 8, num_samples=1, seed=seed)
    sample = data[0]
    low_res, place = sample["low_res"][None], sample["place"][None]
    middle, (_, start, step, top, left, horizontal, vertical, transpose, backwards) = (
        middle_frames(low_res, 3),
        middle_places(place, 5, 3)[0].tolist(),
    )
    order = [start + i * step for i in range(3)]
    whole = _low_res(source, order[::-1] if backwards else order)
    for axis, flipped in ((-1, horizontal), (-2, vertical)):
        whole = whole.flip(axis) if flipped else whole
    whole = whole.transpose(-1, -2) if transpose else whole
    crop = whole[..., top : top + 8, left : left + 8]
    inside = (crop - (middle.float() / 127.5 - 1))[..., 2:-2, 2:-2]  # at the crop's edge the mirrored frame differs
    assert inside.abs().max() < 0.01


def test_other_priors_see_the_frames_alone_and_none_is_bicubic() -> None:
    low_res = torch.rand(2, 4, 3, 8, 12) * 2 - 1
    places, cache = torch.zeros(2, 9, dtype=torch.int64), SemanticsCache(SimpleNamespace(), [])  # type: ignore[arg-type]
    assert torch.equal(TrainingPrior(None, cache, 2)(low_res, places)[0], imresize(low_res, scale=4))
    model = Remembering()
    y, features = TrainingPrior(model, cache, 2)(low_res, places)
    assert features is None and model.shapes == [(2, 2, 3, 8, 12)] * 2 and not model.gain.requires_grad
    assert torch.equal(y, nn.functional.interpolate(low_res, scale_factor=(1, 4, 4)))


def test_some_clips_of_a_batch_do_without_the_prior(pipe: SeeClearPipeline, source: FrameFolder) -> None:
    semantics = LensSemantics(pipe.semantic_distiller, [source], grid=pipe.prior.config.global_grid)
    prior = TrainingPrior(pipe.prior, semantics, num_clips=1)
    low_res = torch.cat([_low_res(source, frames) for frames in ([0, 1, 2], [1, 2, 3], [3, 4, 5])])
    places = torch.tensor([[0, start, 1, 0, 0, 0, 0, 0, 0] for start in (0, 1, 3)])
    every, bicubic = prior(low_res, places)[0], imresize(low_res, scale=4)
    y, _ = prior(low_res, places, torch.tensor([True, False, True]))
    detail = (every - bicubic).abs().max()
    assert (y[[0, 2]] - every[[0, 2]]).abs().max() < 1e-3 * detail and torch.equal(y[1], bicubic[1])
    assert torch.equal(prior(low_res, places, torch.zeros(3, dtype=torch.bool))[0], bicubic)
    assert torch.equal(prior(low_res, places, torch.ones(3, dtype=torch.bool))[0], every)


def test_a_lens_is_taken_from_its_folder_or_its_pipelines(pipe: SeeClearPipeline, tmp_path: Path) -> None:
    lens = pipe.prior
    lens.save_pretrained(tmp_path / "lens")
    saved = SemanticLensPipeline(lens, pipe.semantic_distiller)
    saved.save_pretrained(tmp_path / "pipeline")
    for name in ("lens", "pipeline"):
        pipe.register_modules(prior=None)
        set_prior(pipe, tmp_path / name)
        assert type(pipe.prior) is SemanticLens and pipe.config.prior == ("seeclear", "SemanticLens")
        ours, theirs = pipe.prior.state_dict(), lens.state_dict()
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_wrong_priors_are_named(
    pipe: SeeClearPipeline, small_distiller_config: dict[str, Any], small_lens_config: dict[str, Any], tmp_path: Path
) -> None:
    other = SemanticDistiller(**small_distiller_config)
    pipe.prior.register_to_config(distiller_digest=distiller_digest(other))
    SemanticLensPipeline(pipe.prior, other).save_pretrained(tmp_path / "other")
    for path in ("other", "other/semantic_lens"):
        with pytest.raises(ValueError, match="`prior` was trained with the Semantic Distiller"):
            set_prior(pipe, tmp_path / path)
    SemanticLens(**small_lens_config | {"semantic_token_dim": 16}).save_pretrained(tmp_path / "narrow")
    with pytest.raises(ValueError, match="`prior` has a `semantic_token_dim` of 16; in this pipeline it must be 32"):
        set_prior(pipe, tmp_path / "narrow")
    SemanticLens(**small_lens_config | {"scale": 2}).save_pretrained(tmp_path / "twice")
    with pytest.raises(ValueError, match="`prior` has a `scale` of 2; in this pipeline it must be 4"):
        set_prior(pipe, tmp_path / "twice")
    with pytest.raises(ValueError, match="'seeclear-tiny', a SeeClearPipeline; it must be a SemanticLens"):
        set_prior(pipe, "seeclear-tiny")
    with pytest.raises(ValueError, match="`prior` is 'no-such-lens'"):
        set_prior(pipe, "no-such-lens")
