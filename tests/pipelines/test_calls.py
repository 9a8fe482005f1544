# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Calls do not disturb each other, and take and give what they promise."""

import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from diffusers.callbacks import PipelineCallback
from PIL import Image

from seeclear import SeeClearPipeline, SemanticLens, SemanticLensPipeline
from seeclear.models import PixelCondenser
from seeclear.pipelines.settings import RestorationSettings
from seeclear.resize import imresize

QUIET: dict[str, Any] = {"scene_detection": False}  # random frames would all be scenes of their own


@pytest.fixture
def pipe(small_components: dict[str, Any]) -> SeeClearPipeline:
    pipeline = SeeClearPipeline(**small_components)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture
def lens_pipe(small_components: dict[str, Any], small_lens_config: dict[str, Any], randomize: Any) -> Any:
    lens = randomize(SemanticLens(**small_lens_config)).eval()
    pipeline = SemanticLensPipeline(lens, small_components["semantic_distiller"], clip_length=3)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _video(frames: int = 5, height: int = 8, width: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def _seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_suspended_stream_is_not_disturbed_by_another_call(pipe: SeeClearPipeline) -> None:
    """Every run has a scheduler of its own: other steps and another sampler in between change nothing."""
    video, settings = _video(11), {"num_inference_steps": 4, "sampler": "resshift", **QUIET}
    expected = list(pipe.stream(video, generator=_seeded(), **settings))
    stream = pipe.stream(video, generator=_seeded(), **settings)
    seen = [next(stream)]
    pipe(video[:2], num_inference_steps=1, output_type="pt", **QUIET)
    pipe(video[:2], num_inference_steps=15, sampler="ddim", output_type="pt", **QUIET)
    seen += stream
    assert torch.equal(torch.stack(seen), torch.stack(expected))


def test_threads_with_different_steps(pipe: SeeClearPipeline) -> None:
    video = _video(4)

    def run(steps: int) -> torch.Tensor:
        return pipe(video, num_inference_steps=steps, generator=_seeded(), output_type="pt", **QUIET).frames

    alone = [run(steps) for steps in (1, 3, 7)]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(run, [1, 3, 7] * 3))
    for index, frames in enumerate(together):
        torch.testing.assert_close(frames, alone[index % 3], rtol=0, atol=1e-5)


def test_the_pipelines_scheduler_stays_as_it_is(pipe: SeeClearPipeline) -> None:
    before = pipe.scheduler.timesteps.clone()
    pipe(_video(2), num_inference_steps=3, **QUIET)
    assert torch.equal(pipe.scheduler.timesteps, before) and pipe.scheduler.num_inference_steps is None


def test_videos_of_a_batch_share_no_optical_flow(
    small_components: dict[str, Any], small_condenser_config: dict[str, Any], randomize: Any
) -> None:
    """Videos whose scenes are cut differently run one after the other, each with its own flow."""
    torch.manual_seed(0)
    condenser = randomize(PixelCondenser(**small_condenser_config | {"motion_compensation": True})).eval()
    pipe = SeeClearPipeline(**small_components | {"pixel_condenser": condenser})
    pipe.set_progress_bar_config(disable=True)
    picture = imresize(torch.rand(1, 3, 8, 8, generator=_seeded()), size=(32, 32)).clamp(0, 1)[0] / 4
    one = torch.stack([picture.roll((i, i), (1, 2))[:, 8:24, 8:24] for i in range(4)])
    cut = torch.stack([picture.roll((-2 * i, i), (1, 2))[:, 8:24, 8:24] for i in range(4)])
    cut[3] = 1 - cut[3]
    together = pipe(torch.stack([one, cut]), generator=[_seeded(1), _seeded(2)], output_type="pt").frames
    for index, video in enumerate((one, cut)):
        alone = pipe(video, generator=_seeded(index + 1), output_type="pt").frames[0]
        torch.testing.assert_close(together[index], alone, rtol=0, atol=1e-5)


def test_a_stream_takes_what_the_call_takes(pipe: SeeClearPipeline, lens_pipe: Any, tmp_path: Path) -> None:
    video = _video(4)
    for index, frame in enumerate(video):
        Image.fromarray(frame).save(tmp_path / f"{index}.png")
    images = [Image.fromarray(frame) for frame in video]
    tensor = torch.from_numpy(video).permute(0, 3, 1, 2) / 255
    for any_pipe, options in ((pipe, {"generator": 0}), (lens_pipe, {})):

        def seeded(options: dict[str, Any] = options) -> dict[str, Any]:
            return {"generator": _seeded()} if options else {}

        expected = any_pipe(video, output_type="pt", **seeded(), **QUIET).frames[0]
        for form in (tmp_path, str(tmp_path), images, tensor, video, iter(images), video.astype(np.float32) / 255):
            streamed = torch.stack(list(any_pipe.stream(form, **seeded(), **QUIET)))
            torch.testing.assert_close(streamed, expected, rtol=0, atol=1e-5)
        pictures = list(any_pipe.stream(video, output_type="pil", **seeded(), **QUIET))
        assert [picture.size for picture in pictures] == [(48, 32)] * 4
        arrays = np.stack(list(any_pipe.stream(video, output_type="np", **seeded(), **QUIET)))
        assert np.abs(arrays - expected.permute(0, 2, 3, 1).numpy()).max() < 1e-6
        for batch in (video[None], tensor[None], [video, video], [str(tmp_path)]):
            with pytest.raises(ValueError, match="`video` is a batch"):
                any_pipe.stream(batch)
        with pytest.raises(ValueError, match="`output_type` is 'gif'"):
            any_pipe.stream(video, output_type="gif")
        with pytest.raises(ValueError, match="`video` must be .* but was int"):
            any_pipe.stream(7)


def test_what_a_pipeline_gave_out_is_not_held(pipe: SeeClearPipeline, lens_pipe: Any) -> None:
    """Whoever writes the frames can let go of them before the next clip is computed."""
    for any_pipe in (pipe, lens_pipe):
        for settings in (
            RestorationSettings(clip_length=2),
            RestorationSettings(clip_length=3, clip_overlap=1, tile=8),
        ):
            for finished in any_pipe.stream_clips(_video(5), settings):
                assert not finished.frames.requires_grad
                storage = weakref.ref(finished.frames.untyped_storage())
                del finished
                assert storage() is None


def test_an_image_is_a_video_of_one_frame(pipe: SeeClearPipeline, lens_pipe: Any) -> None:
    image = Image.fromarray(_video(1)[0])
    for any_pipe in (pipe, lens_pipe):
        options = {"generator": _seeded()} if any_pipe is pipe else {}
        frames = any_pipe(image, output_type="pt", **options).frames
        options = {"generator": _seeded()} if any_pipe is pipe else {}
        assert torch.equal(frames, any_pipe([image], output_type="pt", **options).frames)
        assert frames.shape == (1, 1, 3, 32, 48)


def test_a_call_that_is_interrupted_ends_early_with_all_frames(pipe: SeeClearPipeline) -> None:
    """What was estimated is given, and what had not begun is bicubic."""
    video, steps, estimates = _video(7), [], []

    def stop(pipeline: Any, step: int, timestep: int, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        steps.append(step)
        estimates.append(tensors["pred_original_sample"])
        pipeline._interrupt = step == 1
        return tensors

    options = {"num_inference_steps": 5, "callback_on_step_end": stop, "output_type": "pt", **QUIET}
    names = ["latents", "pred_original_sample"]
    frames = pipe(video, callback_on_step_end_tensor_inputs=names, generator=_seeded(), **options).frames[0]
    assert steps == [0, 1]
    torch.testing.assert_close(frames[:5], (estimates[1][0, ..., :32, :48] / 2 + 0.5).clamp(0, 1))
    bicubic = imresize(torch.from_numpy(video).permute(0, 3, 1, 2) / 255, scale=4).clamp(0, 1)
    torch.testing.assert_close(frames[5:], bicubic[5:], rtol=0, atol=2e-6)
    steps.clear()
    pipe(video[:1], generator=_seeded(), **options | {"callback_on_step_end": None})  # the next call is not
    assert not pipe.interrupt


def test_all_that_a_callback_returns_is_used(pipe: SeeClearPipeline) -> None:
    names = ["latents", "pred_original_sample"]

    def grey_estimate(_: Any, step: int, timestep: int, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"pred_original_sample": torch.zeros_like(tensors["pred_original_sample"])}

    options = {"callback_on_step_end_tensor_inputs": names, "output_type": "pt", **QUIET}
    frames = pipe(_video(2), 3, callback_on_step_end=grey_estimate, generator=_seeded(), **options).frames
    assert torch.equal(frames, torch.full_like(frames, 0.5))
    seen = []

    def grey_at_first(_: Any, step: int, timestep: int, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        seen.append(tensors["latents"])
        zero = torch.zeros_like(tensors["pred_original_sample"])
        return {"pred_original_sample": zero} if step == 0 else {}

    changed = pipe(_video(2), 2, callback_on_step_end=grey_at_first, generator=_seeded(), **options).frames
    plain = pipe(_video(2), 2, generator=_seeded(), output_type="pt", **QUIET).frames
    assert (changed - plain).abs().max() > 1e-3  # the state after the first step came from another estimate
    assert len(seen) == 2


def test_callbacks_of_diffusers_say_themselves_what_they_want(pipe: SeeClearPipeline) -> None:
    class Note(PipelineCallback):
        tensor_inputs = ["pred_original_sample"]
        seen: list[list[str]] = []

        def callback_fn(self, pipeline: Any, step: int, timestep: int, kwargs: dict[str, Any]) -> dict[str, Any]:
            self.seen.append(sorted(kwargs))
            return kwargs

    note = Note(cutoff_step_ratio=None, cutoff_step_index=1)
    pipe(_video(2), 2, callback_on_step_end=note, **QUIET)
    assert note.seen == [["pred_original_sample"]] * 2


def test_what_was_given_wrongly_is_named(pipe: SeeClearPipeline, lens_pipe: Any) -> None:
    video = _video(2)
    for options, message in [
        ({"prior": lens_pipe}, r"`prior` is a SemanticLensPipeline; .*`.semantic_lens`"),
        ({"prior": "semantic-lens-tiny"}, "`prior` is 'semantic-lens-tiny'; it must be a SemanticLens, or a callable"),
        ({"generator": 0}, r"`generator` is 0; .*torch.Generator\(\).manual_seed\(0\)"),
        ({"generator": [_seeded(), None]}, r"`generator` is \["),
        ({"callback_on_step_end": lambda *_: None}, "`callback_on_step_end` returned None"),
    ]:
        with pytest.raises(ValueError, match=message):
            pipe(video, **options)
    with pytest.raises(ValueError, match="`generator` is 0"):
        pipe.stream(video, generator=0)
    foreign = SeeClearPipeline(**pipe.components | {"scheduler": DDIMScheduler()})
    with pytest.raises(ValueError, match="`scheduler` is a DDIMScheduler.*BlurringResShiftScheduler"):
        foreign(video)
    for setting, value in (("num_inference_steps", 4), ("sampler", "ddim"), ("noise", "frame"), ("seed", 3)):
        with pytest.raises(ValueError, match=f"`{setting}` is {value!r}; a SemanticLensPipeline does not sample"):
            lens_pipe.stream(video, **{setting: value})


def test_weights_of_one_step_say_so_where_more_are_asked_for(
    pipe: SeeClearPipeline, small_components: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    video = np.zeros((2, 8, 8, 3), np.uint8)
    once = SeeClearPipeline(**small_components, one_step=True)
    once.set_progress_bar_config(disable=True)
    once(video)
    pipe(video, num_inference_steps=2)
    assert not caplog.messages
    once(video, num_inference_steps=2)
    assert caplog.messages == [
        "`num_inference_steps` is 2; these weights were trained for one step, and more take as many times longer and "
        "bring nothing"
    ]
