# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import ConfigMixin, ModelMixin
from PIL import Image
from torch import nn

from seeclear import SeeClearPipeline, SeeClearPipelineOutput
from seeclear.models import PixelCondenser
from seeclear.pipelines.pipeline_seeclear import NoiseSource
from seeclear.resize import imresize


@pytest.fixture
def pipe(small_components: dict[str, Any]) -> SeeClearPipeline:
    pipeline = SeeClearPipeline(**small_components)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


class Nearest(ModelMixin, ConfigMixin):
    """The smallest prior that a pipeline can hold."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, low_res: torch.Tensor) -> torch.Tensor:
        return self.gain * nn.functional.interpolate(low_res, scale_factor=(1, 4, 4))


def _video(frames: int = 5, height: int = 8, width: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def _seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _run(pipe: SeeClearPipeline, video: Any, **kwargs: Any) -> torch.Tensor:
    kwargs = {"generator": _seeded(), "output_type": "pt"} | kwargs
    frames = pipe(video, **kwargs).frames
    assert isinstance(frames, torch.Tensor)
    return frames


def test_untrained_condenser_gives_the_bicubic_video(
    small_components: dict[str, Any], small_condenser_config: dict[str, Any]
) -> None:
    pipe = SeeClearPipeline(**small_components | {"pixel_condenser": PixelCondenser(**small_condenser_config)})
    video = _video(7, 9, 13)
    bicubic = imresize(torch.from_numpy(video).permute(0, 3, 1, 2) / 255, scale=4).clamp(0, 1)
    for sampler in ("markov", "resshift", "ddim"):
        torch.testing.assert_close(
            _run(pipe, video, num_inference_steps=3, sampler=sampler)[0], bicubic, rtol=0, atol=2e-6
        )


def test_every_form_of_video_gives_the_same(pipe: SeeClearPipeline, tmp_path: Path) -> None:
    video = _video()
    expected = _run(pipe, video)
    assert expected.shape == (1, 5, 3, 32, 48)
    for index, frame in enumerate(video):
        Image.fromarray(frame).save(tmp_path / f"{index}.png")
    tensor = torch.from_numpy(video).permute(0, 3, 1, 2) / 255
    forms = [
        [Image.fromarray(frame) for frame in video],
        video.astype(np.float32) / 255,
        tensor,
        tmp_path,
        str(tmp_path),
        video[None],
    ]
    for form in forms:
        torch.testing.assert_close(_run(pipe, form), expected, rtol=0, atol=1e-5)


def test_a_batch_is_its_videos_with_their_own_generators(pipe: SeeClearPipeline) -> None:
    videos = [_video(seed=1), _video(seed=2)]
    together = _run(pipe, np.stack(videos), generator=[_seeded(1), _seeded(2)])
    for index, video in enumerate(videos):
        alone = _run(pipe, video, generator=_seeded(index + 1))
        torch.testing.assert_close(together[index : index + 1], alone, rtol=0, atol=1e-5)


def test_output_types(pipe: SeeClearPipeline) -> None:
    video = _video(2)
    tensor = _run(pipe, video)
    array = pipe(video, generator=_seeded(), output_type="np").frames
    images = pipe(video, generator=_seeded()).frames
    assert array.shape == (1, 2, 32, 48, 3)
    assert np.array_equal(array[0], tensor[0].permute(0, 2, 3, 1).numpy())
    assert images[0][1].size == (48, 32)
    assert np.abs(np.asarray(images[0][1]) / 255 - array[0, 1]).max() <= 0.5 / 255 + 1e-6
    as_tuple = pipe(video, generator=_seeded(), output_type="pt", return_dict=False)
    assert isinstance(as_tuple, tuple) and torch.equal(as_tuple[0], tensor)
    assert isinstance(pipe(video), SeeClearPipelineOutput)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 6, 9, 10, 11])
def test_no_frame_is_lost_or_doubled(frames: int, pipe: SeeClearPipeline) -> None:
    video = np.arange(frames, dtype=np.uint8)[:, None, None, None] * 20 + np.zeros((1, 8, 8, 3), np.uint8)
    restored = _run(pipe, video)
    assert restored.shape[1] == frames
    y = imresize(torch.from_numpy(video).permute(0, 3, 1, 2) / 255, scale=4)
    pipe.pixel_condenser.conv_out.weight.data.zero_()  # back to bicubic: which frame stands where is plain to see
    pipe.pixel_condenser.conv_out.bias.data.zero_()
    plain = _run(pipe, video)
    assert torch.cdist(plain[0].flatten(1), y.flatten(1)).argmin(dim=1).tolist() == list(range(frames))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3), (4, 4), (13, 22)])
def test_output_is_four_times_the_input_for_every_size(size: tuple[int, int], pipe: SeeClearPipeline) -> None:
    assert _run(pipe, _video(2, *size)).shape == (1, 2, 3, 4 * size[0], 4 * size[1])


@pytest.mark.parametrize("sampler", ["markov", "resshift", "ddim"])
def test_same_seed_same_bits_and_other_seed_other_bits(sampler: str, pipe: SeeClearPipeline) -> None:
    settings = {"num_inference_steps": 3, "sampler": sampler}
    first = _run(pipe, _video(), **settings)
    assert torch.equal(_run(pipe, _video(), **settings), first)
    assert not torch.equal(_run(pipe, _video(), generator=_seeded(1), **settings), first)


def test_stream_equals_the_call_and_keeps_no_more_than_two_clips(pipe: SeeClearPipeline) -> None:
    video = _video(13)
    taken, ahead = 0, []

    def frames() -> Any:
        nonlocal taken
        for frame in video:
            taken += 1
            yield frame

    streamed = []
    for frame in pipe.stream(frames(), num_inference_steps=2, generator=_seeded()):
        streamed.append(frame)
        ahead.append(taken - len(streamed))
    assert torch.equal(torch.stack(streamed), _run(pipe, video, num_inference_steps=2)[0])
    assert max(ahead) < 2 * pipe.config.clip_length


def test_a_clip_depends_on_those_before_only_through_the_memory(pipe: SeeClearPipeline) -> None:
    video, other = _video(10, seed=1), _video(10, seed=1)
    other[:5] = _video(5, seed=2)
    settings = {"noise": "video", "generator": _seeded()}
    with_memory = [_run(pipe, v, **settings | {"generator": _seeded()})[:, 5:] for v in (video, other)]
    assert not torch.equal(*with_memory)
    pipe.pixel_condenser.memory.write = lambda state, *_: torch.zeros_like(state)
    without = [_run(pipe, v, **settings | {"generator": _seeded()})[:, 5:] for v in (video, other)]
    assert torch.equal(*without)


def test_noise_is_shared_as_far_as_asked() -> None:
    like = torch.zeros(2, 5, 3, 8, 8)
    draws = {}
    for mode in ("frame", "clip", "video"):
        source = NoiseSource(mode, _seeded(), torch.device("cpu"))
        draws[mode] = []
        for _ in range(2):
            source.next_clip()
            draws[mode].append((source(like), source(like)))
    for mode, clips in draws.items():
        for start, step in clips:
            assert not torch.equal(start, step)
            assert torch.equal(start[:, 0], start[:, 4]) == (mode != "frame")
        assert torch.equal(clips[0][0], clips[1][0]) == (mode == "video")
        assert torch.equal(clips[0][1], clips[1][1]) == (mode == "video")


def test_default_steps_and_sampler_are_configuration(pipe: SeeClearPipeline, tmp_path: Path) -> None:
    pipe.register_to_config(default_num_inference_steps=4)
    pipe.save_pretrained(tmp_path)
    loaded = SeeClearPipeline.from_pretrained(tmp_path)
    loaded.set_progress_bar_config(disable=True)
    assert loaded.prior is None
    result = _run(loaded, _video())
    assert loaded.num_timesteps == 4
    torch.testing.assert_close(
        result, _run(pipe, _video(), num_inference_steps=4, sampler="resshift"), rtol=0, atol=1e-5
    )


def test_callback_sees_and_replaces_the_latents(pipe: SeeClearPipeline) -> None:
    seen = []

    def grey(
        pipeline: SeeClearPipeline, step: int, timestep: int, tensors: dict[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        seen.append((step, timestep, sorted(tensors), tensors["latents"].shape))
        return {"latents": torch.zeros_like(tensors["latents"])} if step == 1 else {}

    result = _run(
        pipe,
        _video(9, 7, 13),
        num_inference_steps=2,
        callback_on_step_end=grey,
        callback_on_step_end_tensor_inputs=["latents", "pred_original_sample"],
    )
    assert [entry[:2] for entry in seen] == [(0, 14), (1, 7)] * 2
    assert seen[0][2:] == (["latents", "pred_original_sample"], (1, 5, 3, 32, 64))  # padded to the condenser's stride
    assert torch.equal(result, torch.full_like(result, 0.5))


def test_prior_gives_the_starting_frames(pipe: SeeClearPipeline) -> None:
    """SeeClear*: y comes from the prior; a prior that is bicubic changes nothing."""
    expected = _run(pipe, _video())
    assert torch.equal(_run(pipe, _video(), prior=lambda low_res: imresize(low_res, scale=4)), expected)
    nearest = SeeClearPipeline(**pipe.components | {"prior": Nearest()})
    nearest.set_progress_bar_config(disable=True)
    assert not torch.equal(_run(nearest, _video()), expected)
    with pytest.raises(ValueError, match=r"`prior`.*\(1, 5, 3, 32, 48\)"):
        _run(pipe, _video(), prior=lambda low_res: low_res)


def test_shipped_weights_load_by_name_and_by_the_class_in_the_folder() -> None:
    pipe = SeeClearPipeline.from_pretrained("seeclear-tiny")
    assert pipe.scale == 4
    folder = Path(str(pipe.config._name_or_path))
    assert (folder / "pipeline.py").read_text().strip() == "from seeclear import SeeClearPipeline  # noqa: F401"
    assert all(path.stat().st_size < 16 * 2**20 for path in folder.rglob("*.safetensors"))


def test_wrong_settings_are_named(pipe: SeeClearPipeline) -> None:
    video = _video(2)
    for settings, message in [
        ({"num_inference_steps": 0}, "0"),
        ({"num_inference_steps": 16}, "16"),
        ({"sampler": "euler"}, "euler"),
        ({"noise": "pink"}, "`noise` is 'pink'"),
        ({"output_type": "gif"}, "`output_type` is 'gif'"),
        ({"callback_on_step_end_tensor_inputs": ["memory"]}, "memory"),
        ({"generator": [_seeded(), _seeded()]}, "`generator` has 2"),
    ]:
        with pytest.raises(ValueError, match=message):
            pipe(video, **settings)
    with pytest.raises(ValueError, match="NaN"):
        pipe(np.full((2, 8, 8, 3), np.nan, np.float32))
    with pytest.raises(ValueError, match="`noise`"):
        pipe.stream(iter([]), noise="pink")  # before a frame is read
    with pytest.raises(ValueError, match="'no-such-model'.*seeclear-tiny"):
        SeeClearPipeline.from_pretrained("no-such-model")
