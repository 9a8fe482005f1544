# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""SeeClear*: a Semantic Lens as the prior of SeeClear."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import ConfigMixin, ModelMixin
from torch import Tensor, nn

from seeclear import SeeClearPipeline, SemanticLens, SemanticLensPipeline, load_pipeline
from seeclear.models import PixelCondenser
from seeclear.pipelines.settings import RestorationSettings
from seeclear.pipelines.streaming import StreamState
from seeclear.resize import imresize


class Blurred(ModelMixin, ConfigMixin):
    """A prior that enlarges by another factor."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, low_res: Tensor) -> Tensor:
        return self.gain * nn.functional.interpolate(low_res, scale_factor=(1, 2, 2))


@pytest.fixture
def lens(small_lens_config: dict[str, Any], randomize: Callable[..., nn.Module]) -> SemanticLens:
    torch.manual_seed(0)
    lens = randomize(SemanticLens(**small_lens_config), seed=3).eval()
    assert isinstance(lens, SemanticLens)
    return lens


@pytest.fixture
def pipe(small_components: dict[str, Any], lens: SemanticLens) -> SeeClearPipeline:
    return _quiet(SeeClearPipeline(**small_components, prior=lens, clip_length=4))


def _quiet(pipeline: Any) -> Any:
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _without_condenser(pipe: SeeClearPipeline, config: dict[str, Any]) -> SeeClearPipeline:
    """The same pipeline with an untrained condenser, which gives y back."""
    return _quiet(SeeClearPipeline(**pipe.components | {"pixel_condenser": PixelCondenser(**config)}, clip_length=4))


def _video(frames: int = 5, height: int = 16, width: int = 24, seed: int = 0) -> np.ndarray:
    """One scene: little changes from frame to frame."""
    rng = np.random.default_rng(seed)
    scene = rng.integers(0, 200, (height, width, 3)) + rng.integers(0, 50, (frames, height, width, 3))
    return scene.astype(np.uint8)


def _run(pipe: Any, video: Any, **kwargs: Any) -> Tensor:
    if isinstance(pipe, SeeClearPipeline):
        kwargs = {"generator": torch.Generator().manual_seed(0)} | kwargs
    frames = pipe(video, **{"output_type": "pt", "scene_detection": False} | kwargs).frames
    assert isinstance(frames, Tensor)
    return frames


@pytest.mark.parametrize("tile", [None, 16])
@pytest.mark.parametrize("size", [(16, 24), (9, 22)])
def test_an_untrained_lens_is_bicubic(
    pipe: SeeClearPipeline, small_lens_config: dict[str, Any], size: tuple[int, int], tile: int | None
) -> None:
    """Its last convolution is zero, so the frames are those of a pipeline without a prior: to the bit, or with tiles,
    of which the lens sees a wider part, to the last one.
    """
    untrained = _quiet(SeeClearPipeline(**pipe.components | {"prior": SemanticLens(**small_lens_config).eval()}))
    plain = _quiet(SeeClearPipeline(**pipe.components | {"prior": None}))
    settings: dict[str, Any] = {"tile": tile, "tile_overlap": 8}
    video = _video(3, *size)
    difference = (_run(untrained, video, **settings) - _run(plain, video, **settings)).abs().max()
    assert difference <= (0 if tile is None else torch.finfo(torch.float32).eps)


def test_an_untrained_condenser_gives_the_lens_frames(
    pipe: SeeClearPipeline, small_condenser_config: dict[str, Any]
) -> None:
    """y is what the lens' own pipeline makes of the clips."""
    star = _without_condenser(pipe, small_condenser_config)
    alone = _quiet(SemanticLensPipeline(pipe.prior, pipe.semantic_distiller, clip_length=4))
    video = _video(5)
    expected = _run(alone, video)
    torch.testing.assert_close(_run(star, video), expected, rtol=0, atol=1e-5)
    bicubic = imresize(torch.from_numpy(video).permute(0, 3, 1, 2) / 255, scale=4)
    assert (expected[0] - bicubic.clamp(0, 1)).abs().mean() > 0.01


def test_a_lens_may_be_given_for_one_call(pipe: SeeClearPipeline) -> None:
    plain = _quiet(SeeClearPipeline(**pipe.components | {"prior": None}))
    video = _video(3)
    assert torch.equal(_run(plain, video, prior=pipe.prior), _run(pipe, video))


def test_tiles_are_near_whole_frames(pipe: SeeClearPipeline, small_condenser_config: dict[str, Any]) -> None:
    """The lens works with the semantics of whole frames, which are distilled once a clip."""
    star = _without_condenser(pipe, small_condenser_config)
    video = _video(4, 32, 64)
    calls: list[tuple[int, ...]] = []
    star.semantic_distiller.register_forward_pre_hook(lambda _, inputs: calls.append(tuple(inputs[0].shape)))
    whole, tiled = _run(star, video), _run(star, video, tile=32, tile_overlap=16)
    assert calls == [(1, 4, 3, 32, 64)] * 2
    bicubic = imresize(torch.from_numpy(video).permute(0, 3, 1, 2) / 255, scale=4).clamp(0, 1)
    assert (tiled - whole).abs().mean() < 0.01 * (whole[0] - bicubic).abs().mean()


def test_a_frame_depends_on_nothing_beyond_its_clip(pipe: SeeClearPipeline) -> None:
    """Clips of 4 that share no frame, and no memory: 0..3, 4..7, 8..11."""
    pipe.pixel_condenser.memory.write = lambda state, *_: torch.zeros_like(state)
    settings: dict[str, Any] = {"noise": "video", "clip_overlap": 0}
    video = _video(12, 8, 12)
    expected = _run(pipe, video, **settings)[0]
    changed = video.copy()
    changed[:4], changed[8:] = _video(4, 8, 12, seed=5), _video(4, 8, 12, seed=6)
    result = _run(pipe, changed, **settings)[0]
    assert torch.equal(result[4:8], expected[4:8])
    assert not torch.equal(result[:4], expected[:4]) and not torch.equal(result[8:], expected[8:])
    assert torch.equal(_run(pipe, video[:8], **settings)[0], expected[:8])


def test_stream_equals_the_call_and_goes_on_after_an_interruption(pipe: SeeClearPipeline, tmp_path: Path) -> None:
    video = _video(9, 8, 12)
    seed = 7
    settings = RestorationSettings(seed=seed, scene_detection=False)
    parts = list(pipe.stream_clips(iter(video), settings))
    parts[1].state.save(tmp_path / "state.safetensors")
    state = StreamState.load(tmp_path / "state.safetensors")
    rest = list(pipe.stream_clips(iter(video[state.next_frame :]), settings, state))
    assert all(torch.equal(a.frames, b.frames) for a, b in zip(rest, parts[2:], strict=True))
    generator = torch.Generator()
    streamed = list(pipe.stream(iter(video), generator=generator.manual_seed(seed), scene_detection=False))
    assert torch.equal(torch.stack(streamed), _run(pipe, video, generator=generator.manual_seed(seed))[0])


def test_a_saved_pipeline_gives_the_same_frames(pipe: SeeClearPipeline, tmp_path: Path) -> None:
    video = _video(4, 8, 12)
    pipe.save_pretrained(tmp_path)
    loaded = [_quiet(load_pipeline(tmp_path)) for _ in range(2)]
    assert type(loaded[0]) is SeeClearPipeline and type(loaded[0].prior) is SemanticLens
    results = [_run(pipeline, video) for pipeline in loaded]
    assert torch.equal(*results) and torch.equal(_run(loaded[0], video), results[0])
    torch.testing.assert_close(results[0], _run(pipe, video), rtol=0, atol=1e-5)  # weights lie elsewhere in memory
    folders = sorted(path.parent.name for path in tmp_path.glob("*/*.safetensors"))
    assert folders == ["pixel_condenser", "prior", "semantic_distiller"]  # nothing twice


def test_half_precision_is_near(pipe: SeeClearPipeline, small_condenser_config: dict[str, Any]) -> None:
    star = _without_condenser(pipe, small_condenser_config)
    video = _video(4, 16, 16)
    expected = _run(star, video)
    bicubic = imresize(torch.from_numpy(video).permute(0, 3, 1, 2) / 255, scale=4).clamp(0, 1)
    result = _run(star.to(dtype=torch.bfloat16), video)
    assert (result - expected).abs().mean() < 0.05 * (expected[0] - bicubic).abs().mean()


def _brighter(low_res: Tensor) -> Tensor:
    return 0.6 * imresize(low_res, scale=4) + 0.1


@pytest.mark.parametrize("tile", [None, 16])
def test_detail_mixes_the_frames_of_model_and_prior(pipe: SeeClearPipeline, tile: int | None) -> None:
    """Clips of 4 and two frames more, so that memory is carried; the prior's frames by hand."""
    video = _video(6)
    settings: dict[str, Any] = {"prior": _brighter, "tile": tile, "tile_overlap": None if tile is None else 8}
    whole = _run(pipe, video, **settings)
    assert torch.equal(_run(pipe, video, detail=1, **settings), whole)
    low_res = torch.from_numpy(video).permute(0, 3, 1, 2) / 255
    expected = (_brighter(low_res * 2 - 1) / 2 + 0.5).clamp(0, 1)
    faithful = _run(pipe, video, detail=0, **settings)
    if tile is None:
        torch.testing.assert_close(faithful[0], expected, rtol=0, atol=1e-6)
    assert (whole - faithful).abs().mean() > 0.01
    unclipped = (whole > 0) & (whole < 1) & (faithful > 0) & (faithful < 1)
    assert unclipped.float().mean() > 0.5
    for detail in (0.25, 0.5):
        mixed = _run(pipe, video, detail=detail, **settings)
        torch.testing.assert_close(
            mixed[unclipped], (faithful + detail * (whole - faithful))[unclipped], rtol=0, atol=1e-5
        )


def test_without_detail_the_frames_are_those_of_the_lens(pipe: SeeClearPipeline) -> None:
    alone = _quiet(SemanticLensPipeline(pipe.prior, pipe.semantic_distiller, clip_length=4))
    video = _video(5)
    torch.testing.assert_close(_run(pipe, video, detail=0), _run(alone, video), rtol=0, atol=1e-5)
    generator = torch.Generator().manual_seed(0)
    streamed = list(pipe.stream(iter(video), generator=generator, scene_detection=False, detail=0.5))
    assert torch.equal(torch.stack(streamed), _run(pipe, video, detail=0.5)[0])


def test_detail_of_a_call_that_is_interrupted(pipe: SeeClearPipeline) -> None:
    """What was estimated until then is mixed, too."""

    def stop(pipeline: Any, step: int, timestep: int, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        pipeline._interrupt = True
        return tensors

    options: dict[str, Any] = {"prior": _brighter, "num_inference_steps": 3, "callback_on_step_end": stop}
    video = _video(3)
    faithful = (_brighter(torch.from_numpy(video).permute(0, 3, 1, 2) / 255 * 2 - 1) / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(_run(pipe, video, detail=0, **options)[0], faithful, rtol=0, atol=1e-6)
    assert (_run(pipe, video, **options)[0] - faithful).abs().mean() > 0.01


def test_detail_needs_a_prior(pipe: SeeClearPipeline) -> None:
    plain = _quiet(SeeClearPipeline(**pipe.components | {"prior": None}))
    alone = _quiet(SemanticLensPipeline(pipe.prior, pipe.semantic_distiller))
    for detail in (-0.1, 1.1, float("nan"), float("inf"), "a", None):
        for call in (_run, SeeClearPipeline.stream):
            with pytest.raises(ValueError, match=f"`detail` is {detail!r}; it must be a number from 0 to 1"):
                call(pipe, _video(2), detail=detail)
    with pytest.raises(
        ValueError, match="`detail` is 0.5; it must be 1, because this model has no prior .*-star-tiny"
    ):
        _run(plain, _video(2), detail=0.5)
    with pytest.raises(
        ValueError, match="`detail` is 0; it must be 1, because a SemanticLensPipeline makes no detail"
    ):
        alone.stream(iter([]), detail=0)  # before a frame is read
    _run(plain, _video(2), detail=0.5, prior=_brighter)
    _run(plain, _video(2), detail=0.5, prior=pipe.prior)
    _run(plain, _video(2), detail=1)


def test_a_callable_goes_before_the_lens(pipe: SeeClearPipeline) -> None:
    plain = _quiet(SeeClearPipeline(**pipe.components | {"prior": None}, clip_length=4))
    video = _video(2, 8, 12)
    assert torch.equal(_run(pipe, video, prior=lambda x: imresize(x, scale=4)), _run(plain, video))


def test_priors_that_do_not_fit_are_named(pipe: SeeClearPipeline, small_lens_config: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"`prior` gave frames of shape \(1, 4, 3, 16, 24\); they must be .*64, 96\)"):
        _run(pipe, _video(4), prior=lambda low_res: low_res)
    for config, message in (
        ({"scale": 2}, "`prior` has a `scale` of 2; in this pipeline it must be 4"),
        ({"semantic_feature_dim": 8}, "`prior` has a `semantic_feature_dim` of 8; in this pipeline it must be 32"),
        ({"semantic_token_dim": 8}, "`prior` has a `semantic_token_dim` of 8; in this pipeline it must be 32"),
    ):
        pipe.register_modules(prior=SemanticLens(**small_lens_config | config))
        with pytest.raises(ValueError, match=message):
            pipe.stream(iter([]))  # before a frame is read
    pipe.register_modules(prior=Blurred())
    with pytest.raises(ValueError, match=r"`prior` gave frames of shape \(1, 4, 3, 32, 48\); they must be .*64, 96\)"):
        _run(pipe, _video(4))


@pytest.fixture
def knowing(pipe: SeeClearPipeline, small_condenser_config: dict[str, Any], randomize: Any) -> SeeClearPipeline:
    """A pipeline whose condenser looks at the features of its lens."""
    torch.manual_seed(0)
    condenser = randomize(PixelCondenser(**small_condenser_config, prior_feature_channels=16), seed=1)
    return _quiet(SeeClearPipeline(**pipe.components | {"pixel_condenser": condenser.eval()}, clip_length=4))


def test_the_condenser_sees_what_the_lens_knows(knowing: SeeClearPipeline) -> None:
    """The frames are those of a condenser that is given the lens' features, and others without them."""
    condenser, seen = knowing.pixel_condenser, []
    hook = condenser.register_forward_pre_hook(
        lambda _, args, given: seen.append(given["prior_features"]), with_kwargs=True
    )
    video = _video(6, 9, 22)
    frames = _run(knowing, video, num_inference_steps=2)
    assert [features.shape[1:] for features in seen] == [(4, 16, 12, 24)] * 2 + [(2, 16, 12, 24)] * 2  # clips, steps
    hook.remove()
    low_res = torch.from_numpy(video[:4]).permute(0, 3, 1, 2)[None] / 127.5 - 1
    assert torch.equal(seen[0], seen[1]) and torch.equal(
        seen[0][..., 9:, :], seen[0][..., 8:9, :].expand(-1, -1, -1, 3, -1)
    )
    with torch.no_grad():
        padded = torch.nn.functional.pad(low_res.flatten(0, 1), (0, 2, 0, 3), mode="replicate")[None]
        distilled = knowing.semantic_distiller(padded)
        known = {name: distilled[name] for name in ("features", "clip_tokens", "clip_masks")}
        region = torch.tensor([[0, 0, 9 / 12, 22 / 24]])
        expected = knowing.prior(low_res, **known, region=region, return_hidden_states=True).hidden_states
    torch.testing.assert_close(seen[0][..., :9, :22], expected, rtol=0, atol=1e-4)
    for layer in (condenser.conv_prior, condenser.refine_prior):
        nn.init.zeros_(layer.weight)
    assert (_run(knowing, video, num_inference_steps=2) - frames).abs().mean() > 1e-3


def test_tiles_see_their_part_of_what_the_lens_knows(knowing: SeeClearPipeline) -> None:
    video = _video(4, 32, 64)
    whole, tiled = _run(knowing, video), _run(knowing, video, tile=32, tile_overlap=16)
    assert 0 < (tiled - whole).abs().mean() < 0.05 * (whole - _run(knowing, video, detail=0)).abs().mean()


def test_a_condenser_that_looks_at_features_needs_a_lens_of_their_width(
    knowing: SeeClearPipeline, small_lens_config: dict[str, Any]
) -> None:
    wide = SemanticLens(**small_lens_config | {"channels": 32})
    for prior, refused in ((None, "is None"), (_brighter, "is a function"), (Blurred(), "is a Blurred")):
        pipe = knowing if prior is _brighter else SeeClearPipeline(**knowing.components | {"prior": prior})
        match = (
            f"`prior` {refused}; this condenser looks at the features of its prior, which must be a SemanticLens of 16"
        )
        with pytest.raises(ValueError, match=match):
            _run(pipe, _video(2), **{"prior": prior} if prior is _brighter else {})
    with pytest.raises(ValueError, match="`prior` has a `channels` of 32; in this pipeline it must be 16"):
        _run(knowing, _video(2), prior=wide)
