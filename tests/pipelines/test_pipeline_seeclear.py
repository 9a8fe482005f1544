# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from collections.abc import Callable
from itertools import islice
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
from seeclear.models.pixel_condenser import PixelCondenserOutput
from seeclear.pipelines.clip_context import align_features
from seeclear.pipelines.settings import RestorationSettings
from seeclear.pipelines.streaming import Clip, StreamState
from seeclear.resize import imresize
from seeclear.video.reader import VideoReader


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
    # the random frames of these tests would all be scenes of their own
    kwargs = {"generator": _seeded(), "output_type": "pt", "scene_detection": False} | kwargs
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
    settings = {"scene_detection": False}
    array = pipe(video, generator=_seeded(), output_type="np", **settings).frames
    images = pipe(video, generator=_seeded(), **settings).frames
    assert array.shape == (1, 2, 32, 48, 3)
    assert np.array_equal(array[0], tensor[0].permute(0, 2, 3, 1).numpy())
    assert images[0][1].size == (48, 32)
    assert np.abs(np.asarray(images[0][1]) / 255 - array[0, 1]).max() <= 0.5 / 255 + 1e-6
    as_tuple = pipe(video, generator=_seeded(), output_type="pt", return_dict=False, **settings)
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
    for frame in pipe.stream(frames(), num_inference_steps=2, generator=_seeded(), scene_detection=False):
        streamed.append(frame)
        ahead.append(taken - len(streamed))
    assert torch.equal(torch.stack(streamed), _run(pipe, video, num_inference_steps=2)[0])
    assert max(ahead) < 2 * pipe.config.clip_length


def test_a_clip_depends_on_those_before_only_through_the_memory(pipe: SeeClearPipeline) -> None:
    video, other = _video(10, seed=1), _video(10, seed=1)
    other[:5] = _video(5, seed=2)
    settings: dict[str, Any] = {"noise": "video", "clip_overlap": 0}
    with_memory = [_run(pipe, v, **settings | {"generator": _seeded()})[:, 5:] for v in (video, other)]
    assert not torch.equal(*with_memory)
    pipe.pixel_condenser.memory.write = lambda state, *_: torch.zeros_like(state)
    without = [_run(pipe, v, **settings | {"generator": _seeded()})[:, 5:] for v in (video, other)]
    assert torch.equal(*without)


def test_tiles_of_an_untrained_condenser_make_the_bicubic_video(
    small_components: dict[str, Any], small_condenser_config: dict[str, Any]
) -> None:
    """y, which is enlarged tile by tile, has no seams."""
    pipe = SeeClearPipeline(**small_components | {"pixel_condenser": PixelCondenser(**small_condenser_config)})
    video = _video(2, 13, 27)
    bicubic = imresize(torch.from_numpy(video).permute(0, 3, 1, 2) / 255, scale=4).clamp(0, 1)
    for prior in (None, lambda low_res: nn.functional.interpolate(low_res, scale_factor=(1, 4, 4))):
        tiled = _run(pipe, video, tile=(8, 16), tile_overlap=4, prior=prior)
        torch.testing.assert_close(tiled, _run(pipe, video, prior=prior), rtol=0, atol=2e-6)
        assert prior is not None or (tiled[0] - bicubic).abs().max() <= 2e-6


def test_motion_compensation_looks_beyond_the_clip(
    small_components: dict[str, Any],
    small_condenser_config: dict[str, Any],
    randomize: Callable[..., nn.Module],
    moving_clip: Callable[..., torch.Tensor],
) -> None:
    """Without what a clip's frames share otherwise, clips make no difference, tiled or not; a prior's clips do."""
    switches = {"frame_semantics": False, "clip_semantics": False, "texture_memory": False}
    switches |= {"multi_frame_attention": False, "motion_compensation": True, "motion_reach": 2}
    torch.manual_seed(0)
    condenser = randomize(PixelCondenser(**small_condenser_config | switches))
    pipe = SeeClearPipeline(**small_components | {"pixel_condenser": condenser})
    pipe.set_progress_bar_config(disable=True)
    video = moving_clip(7, 2, 1)[0] / 2 + 0.5
    whole = _run(pipe, video, clip_length=7)
    for length in (1, 2, 5):
        torch.testing.assert_close(_run(pipe, video, clip_length=length), whole, rtol=0, atol=1e-5)
    tiled = _run(pipe, video, clip_length=7, tile=32, tile_overlap=8)
    torch.testing.assert_close(_run(pipe, video, clip_length=3, tile=32, tile_overlap=8), tiled, rtol=0, atol=1e-5)

    def bicubic(low_res: torch.Tensor) -> torch.Tensor:
        return imresize(low_res, scale=4)

    alone = _run(pipe, video, clip_length=2, prior=bicubic)
    assert (alone - whole).abs().max() > 1e-3
    torch.testing.assert_close(_run(pipe, video, clip_length=7, prior=bicubic), whole, rtol=0, atol=1e-5)


def test_noise_does_not_depend_on_the_tile(pipe: SeeClearPipeline) -> None:
    """With a condenser that gives the state back, the start of sampling is the result."""
    pipe.pixel_condenser.forward = lambda hidden_states, *_, **__: PixelCondenserOutput(hidden_states)
    video = _video(6, 16, 24)
    for noise in ("frame", "clip", "video"):
        whole = _run(pipe, video, noise=noise)
        assert whole.std() > 0.2
        torch.testing.assert_close(_run(pipe, video, noise=noise, tile=8, tile_overlap=0), whole, rtol=0, atol=2e-6)


def test_tiles_write_the_memory_of_the_whole_frame(pipe: SeeClearPipeline) -> None:
    settings = RestorationSettings(tile=32, tile_overlap=8)
    run = pipe._begin(settings)
    tiling = pipe.layout.plan_tiles(48, 80, settings)
    assert len(tiling) == 8
    clip = Clip(torch.rand(1, 2, 3, 48, 80), 0, 2, 0, {}, tiling, scale=4)
    with torch.no_grad():
        context = pipe.encode_semantics(clip, run)
    sizes = [(48, 80), (24, 40), (12, 20)]
    pyramid = [torch.rand(2, c, *size) for c, size in zip(pipe.pixel_condenser.config.channels, sizes, strict=True)]
    for tile in clip.tiles():
        parts = [
            level[:, :, tile.top >> i : tile.bottom >> i, tile.left >> i : tile.right >> i]
            for i, level in enumerate(pyramid)
        ]
        context.gather(parts, tile)
    pooled = [nn.functional.adaptive_avg_pool2d(level, 4).unflatten(0, (1, 2)).mean(dim=1) for level in pyramid]
    whole = pipe.pixel_condenser.write_memory(None, pooled)
    torch.testing.assert_close(pipe.write_memory(context)["memory"], whole, rtol=0, atol=1e-5)


def test_segmentation_features_lie_on_whole_pixels() -> None:
    """P is kept where its cells are a power of two, and else brought to the nearest such grid."""
    features = torch.rand(1, 2, 3, 24, 40)
    kept, cell = align_features(features, 48, 80, 8)
    assert cell == 2 and torch.equal(kept, features)
    for size, expected in [((48, 80), 1), ((90, 160), 1), ((15, 27), 4), ((2, 3), 8)]:
        ramp = ((torch.arange(size[1]) + 0.5) / size[1]).expand(1, 1, 1, *size)
        aligned, cell = align_features(ramp, 48, 80, 8)
        assert cell == expected and aligned.shape[-2:] == (48 // cell, 80 // cell)
        middle = (torch.arange(80 // cell) + 0.5) / (80 // cell)
        inside = slice(80 // cell // 4, -(80 // cell // 4))
        torch.testing.assert_close(aligned[0, 0, 0, 0, inside], middle[inside], rtol=0, atol=0.1 / size[1])


@pytest.mark.parametrize("settings", [{"noise": "frame"}, {"tile": 8, "clip_overlap": 2}])
def test_an_interrupted_stream_goes_on_with_the_same_bits(
    settings: dict[str, Any], pipe: SeeClearPipeline, tmp_path: Path
) -> None:
    video = np.concatenate([_video(1, 8, 16).repeat(3, axis=0) // 4, 255 - _video(1, 8, 16).repeat(4, axis=0) // 4])
    settings = settings | {"num_inference_steps": 2, "seed": 3, "clip_length": 3}
    settings = RestorationSettings(**settings)
    undisturbed = list(pipe.stream_clips(video, settings))
    assert [part.start for part in undisturbed if part.scene_start] == [0, 3]
    frames = torch.cat([part.frames for part in undisturbed])
    assert frames.shape == (7, 3, 32, 64)
    for part in undisturbed[:-1]:
        part.state.save(tmp_path / "state")
        state = StreamState.load(tmp_path / "state")
        rest = [p.frames for p in pipe.stream_clips(video[state.next_frame :], settings, state)]
        assert torch.equal(torch.cat(rest), frames[state.next_output :])


def test_videos_of_a_batch_have_their_own_scenes(pipe: SeeClearPipeline) -> None:
    still, cut = _video(1, 16, 16).repeat(7, axis=0) // 4, _video(1, 16, 16).repeat(7, axis=0) // 4
    cut[3:] = 255 - cut[3:]
    batch, seen = np.stack([still, cut, still]), []

    def note(pipeline: Any, step: int, timestep: int, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        seen.append(tensors["latents"].shape[:2])
        return {}

    settings = {"scene_detection": True}
    generators = [_seeded(1), _seeded(2), _seeded(3)]
    together = _run(pipe, batch, generator=generators, callback_on_step_end=note, **settings)
    assert seen == [(2, 5), (2, 3), (1, 3), (1, 4)]
    for index, video in enumerate(batch):
        alone = _run(pipe, video, generator=_seeded(index + 1), **settings)
        torch.testing.assert_close(together[index : index + 1], alone, rtol=0, atol=1e-5)


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
    assert (folder / "pipeline.py").read_text().splitlines()[-1].startswith("from seeclear import SeeClearPipeline")
    assert all(path.stat().st_size < 16 * 2**20 for path in folder.rglob("*.safetensors"))


def test_tiles_of_the_shipped_weights_agree_with_whole_frames() -> None:
    """On a real clip: to rounding outside of the overlap, and inside of it with hardly any error."""
    pipe = SeeClearPipeline.from_pretrained("seeclear-tiny")
    pipe.set_progress_bar_config(disable=True)
    with VideoReader(Path(__file__).parents[2] / "examples" / "assets" / "bunny_lr.mp4") as reader:
        video = np.stack([frame[60:100, 80:216] for frame in islice(reader, 3)])
    whole = _run(pipe, video)
    tiled = _run(pipe, video, tile=96)  # columns 0 to 95 and 64 to 135
    difference = (tiled - whole).abs() * 255
    overlap = slice(4 * 64, 4 * 96)
    assert difference[..., overlap].max() > 0
    assert max(difference[..., : overlap.start].max(), difference[..., overlap.stop :].max()) <= 1
    assert difference[..., overlap].mean() <= 0.25


@pytest.mark.parametrize("steps", [1, 4])
def test_clips_of_the_shipped_weights_meet_without_a_seam(steps: int) -> None:
    """The frame-difference error of two frames is the same where two clips share them as inside of a clip."""
    pipe = SeeClearPipeline.from_pretrained("seeclear-tiny")
    pipe.set_progress_bar_config(disable=True)
    with VideoReader(Path(__file__).parents[2] / "examples" / "assets" / "bunny_lr.mp4") as reader:
        frames = np.stack([frame[10:170, 80:240] for frame in islice(reader, 10)])
    high_res = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
    low_res = imresize(high_res, scale=0.25).clamp(0, 1)

    def errors(clip_length: int) -> torch.Tensor:
        video = _run(pipe, low_res, num_inference_steps=steps, clip_length=clip_length)[0]
        return (video.diff(dim=0) - high_res.diff(dim=0)).abs().mean(dim=(1, 2, 3))

    meeting, inside = errors(6), errors(10)  # frames 0 to 5 and 4 to 9; 0 to 9
    assert (meeting[3:6] <= 1.05 * inside[3:6]).all()


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
        ({"clip_overlap": 5}, "`clip_overlap` is 5"),
        ({"tile": -8}, "`tile` is -8"),
    ]:
        with pytest.raises(ValueError, match=message):
            pipe(video, **settings)
    with pytest.raises(ValueError, match="NaN"):
        pipe(np.full((2, 8, 8, 3), np.nan, np.float32))
    with pytest.raises(ValueError, match="`noise`"):
        pipe.stream(iter([]), noise="pink")  # before a frame is read
    with pytest.raises(ValueError, match="`clip_overlap` is 7"):
        pipe.stream(iter([]), clip_overlap=7)
    with pytest.raises(ValueError, match="'no-such-model'.*seeclear-tiny"):
        SeeClearPipeline.from_pretrained("no-such-model")
