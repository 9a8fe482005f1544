# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.utils import BaseOutput
from PIL import Image
from torch import Tensor, nn

from seeclear import SemanticLens, SemanticLensPipeline, load_pipeline
from seeclear.pipelines.auto import PIPELINES
from seeclear.pipelines.streaming import StreamState
from seeclear.resize import imresize
from seeclear.shipped import SHIPPED_WEIGHTS

SMALL = {
    "channels": 16,
    "backward_blocks": 1,
    "forward_blocks": 1,
    "head_dim": 8,
    "alignment_window_size": 4,
    "search_radius": 2,
    "semantic_token_dim": 8,
    "semantic_feature_dim": 4,
}
PLAIN = dict.fromkeys(("image", "gps", "isee", "multi_frame_attention"), False)


@dataclass
class Distilled(BaseOutput):
    features: Tensor
    clip_tokens: Tensor
    clip_masks: Tensor | None


class SmallDistiller(ModelMixin, ConfigMixin):
    """Semantics that depend on the whole frames, for a small fraction of what a segmenter costs."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))
        self.calls: list[tuple[int, ...]] = []
        self.wanted_masks: list[bool] = []

    def forward(self, low_res: Tensor, vocabulary_embeddings: Tensor | None = None, masks: bool = True) -> Distilled:
        self.calls.append(tuple(low_res.shape))
        self.wanted_masks.append(masks)
        pooled = F.adaptive_avg_pool3d(low_res.transpose(1, 2), (low_res.shape[1], 4, 6)).transpose(1, 2)
        features = self.gain * torch.cat([pooled, pooled.mean(dim=2, keepdim=True)], dim=2)  # (B, F, 4, 4, 6)
        tokens = features.mean(dim=1).flatten(2).transpose(1, 2)[:, :3].repeat(1, 1, 2)  # (B, 3, 8)
        return Distilled(features=features, clip_tokens=tokens, clip_masks=3 * features[:, :, :3] if masks else None)


@pytest.fixture
def pipe(randomize: Callable[..., nn.Module]) -> SemanticLensPipeline:
    torch.manual_seed(0)
    lens = randomize(SemanticLens(**SMALL)).eval()
    assert isinstance(lens, SemanticLens)
    pipeline = SemanticLensPipeline(lens, SmallDistiller(), clip_length=4)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _video(frames: int = 5, height: int = 8, width: int = 12, seed: int = 0) -> np.ndarray:
    """One scene: little changes from frame to frame."""
    rng = np.random.default_rng(seed)
    scene = rng.integers(0, 200, (height, width, 3)) + rng.integers(0, 50, (frames, height, width, 3))
    return scene.astype(np.uint8)


def _run(pipe: SemanticLensPipeline, video: Any, **kwargs: Any) -> Tensor:
    frames = pipe(video, **{"output_type": "pt"} | kwargs).frames
    assert isinstance(frames, Tensor)
    return frames


def _bicubic(video: np.ndarray) -> Tensor:
    return imresize(torch.from_numpy(video).permute(0, 3, 1, 2) / 255, scale=4).clamp(0, 1)


@pytest.mark.parametrize("tile", [None, 8, (6, 24)])
@pytest.mark.parametrize("size", [(1, 1), (9, 14)])
def test_untrained_lens_gives_the_bicubic_video(size: tuple[int, int], tile: Any) -> None:
    pipe = SemanticLensPipeline(SemanticLens(**SMALL), SmallDistiller(), clip_length=4)
    pipe.set_progress_bar_config(disable=True)
    video = _video(5, *size)
    torch.testing.assert_close(_run(pipe, video, tile=tile)[0], _bicubic(video), rtol=0, atol=2e-6)


def test_every_form_of_video_and_of_output(pipe: SemanticLensPipeline, tmp_path: Path) -> None:
    video = _video()
    expected = _run(pipe, video)
    assert expected.shape == (1, 5, 3, 32, 48)
    for index, frame in enumerate(video):
        Image.fromarray(frame).save(tmp_path / f"{index}.png")
    for form in ([Image.fromarray(frame) for frame in video], video.astype(np.float32) / 255, tmp_path, video[None]):
        torch.testing.assert_close(_run(pipe, form), expected, rtol=0, atol=1e-5)
    array = pipe(video, output_type="np").frames
    assert np.array_equal(array[0], expected[0].permute(0, 2, 3, 1).numpy())
    assert pipe(video).frames[0][1].size == (48, 32)
    as_tuple = pipe(video, output_type="pt", return_dict=False)
    assert isinstance(as_tuple, tuple) and torch.equal(as_tuple[0], expected)


def test_a_batch_is_its_videos(pipe: SemanticLensPipeline) -> None:
    videos = [_video(6, seed=1), _video(6, seed=2)]
    videos[1][3:] = 255 - videos[1][3:]  # a cut in one of them
    together = _run(pipe, np.stack(videos))
    for index, video in enumerate(videos):
        torch.testing.assert_close(together[index : index + 1], _run(pipe, video), rtol=0, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 3, 4, 5, 8, 11])
def test_stream_equals_the_call_and_holds_no_more_than_a_clip(frames: int, pipe: SemanticLensPipeline) -> None:
    video = _video(frames)
    taken, ahead = 0, []

    def come() -> Iterator[np.ndarray]:
        nonlocal taken
        for frame in video:
            taken += 1
            yield frame

    streamed = []
    for frame in pipe.stream(come()):
        streamed.append(frame)
        ahead.append(taken - len(streamed))
    assert torch.equal(torch.stack(streamed), _run(pipe, video)[0])
    assert max(ahead) <= pipe.config.clip_length + 1
    # and no frame is lost or doubled
    pipe.semantic_lens.conv_out.weight.data.zero_()
    pipe.semantic_lens.conv_out.bias.data.zero_()
    torch.testing.assert_close(_run(pipe, video)[0], _bicubic(video), rtol=0, atol=2e-6)


@pytest.mark.parametrize("overlap", [0, 1])
def test_a_frame_depends_on_its_window_alone(overlap: int, pipe: SemanticLensPipeline) -> None:
    """Clips of 4: 0..3, 4..7, 8..11, or 0..3, 3..6, 6..9 where they share a frame. What lies beyond a frame's clips
    does not reach it.
    """
    video = _video(12 - 2 * overlap)
    settings = {"clip_overlap": overlap, "scene_detection": False}
    expected = _run(pipe, video, **settings)[0]
    first, second = 4 - overlap, 2 * (4 - overlap)  # where the second and the third clip begin
    changed = video.copy()
    changed[second + 1 :] = _video(3, seed=5)
    result = _run(pipe, changed, **settings)[0]
    assert torch.equal(result[:second], expected[:second])
    assert not torch.allclose(result[second], expected[second])
    assert torch.equal(_run(pipe, video[: first + 4], **settings)[0][:second], expected[:second])  # a longer video
    later = _run(pipe, video[first:], **settings)[0]  # or a later beginning
    assert torch.equal(later[overlap:], expected[first + overlap :])


def test_a_scene_cut_ends_the_window(pipe: SemanticLensPipeline) -> None:
    video = np.concatenate([_video(3), 255 - _video(4, seed=3)])
    result = _run(pipe, video)[0]
    for scene in (slice(0, 3), slice(3, 7)):
        torch.testing.assert_close(result[scene], _run(pipe, video[scene])[0], rtol=0, atol=1e-5)


def test_an_interrupted_stream_goes_on_with_the_same_bits(pipe: SemanticLensPipeline, tmp_path: Path) -> None:
    video = _video(11)
    expected = list(pipe.stream_clips(iter(video)))
    expected[1].state.save(tmp_path / "state.safetensors")
    state = StreamState.load(tmp_path / "state.safetensors")
    assert [name for name in state.tensors if name.startswith("model.")] == []  # nothing is carried on
    rest = list(pipe.stream_clips(iter(video[state.next_frame :]), state=state))
    assert [part.start for part in rest] == [part.start for part in expected[2:]]
    assert all(torch.equal(a.frames, b.frames) for a, b in zip(rest, expected[2:], strict=True))


def test_tiles_see_the_semantics_of_whole_frames_once_a_clip(pipe: SemanticLensPipeline) -> None:
    video = _video(4, 32, 48)
    whole = _run(pipe, video)
    pipe.semantic_distiller.calls.clear()
    tiled = _run(pipe, video, tile=24, tile_overlap=16)
    assert pipe.semantic_distiller.calls == [(1, 4, 3, 32, 48)]
    detail = (whole[0] - _bicubic(video)).abs().mean()
    assert (tiled - whole).abs().mean() < 0.01 * detail


def test_same_input_same_bits_and_half_precision_is_near(pipe: SemanticLensPipeline) -> None:
    video = _video()
    expected = _run(pipe, video)
    assert torch.equal(_run(pipe, video), expected)
    result = _run(pipe.to(dtype=torch.bfloat16), video)
    assert (result - expected).abs().mean() < 0.05 * (expected[0] - _bicubic(video)).abs().mean()


def test_a_plain_lens_needs_no_distiller(randomize: Callable[..., nn.Module], tmp_path: Path) -> None:
    lens = randomize(SemanticLens(**SMALL | PLAIN))
    pipe = SemanticLensPipeline(lens.eval())
    pipe.set_progress_bar_config(disable=True)
    expected = _run(pipe, _video())
    pipe.save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    assert index["semantic_lens"] == ["seeclear", "SemanticLens"]
    loaded = load_pipeline(tmp_path)
    assert type(loaded) is SemanticLensPipeline and loaded.semantic_distiller is None
    loaded.set_progress_bar_config(disable=True)
    torch.testing.assert_close(_run(loaded, _video()), expected, rtol=0, atol=1e-5)
    by_diffusers = diffusers.DiffusionPipeline.from_pretrained(
        tmp_path, custom_pipeline="pipeline", trust_remote_code=True
    )
    assert type(by_diffusers) is SemanticLensPipeline


def test_load_pipeline_takes_the_class_that_was_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, pipeline_class in PIPELINES.items():
        monkeypatch.setattr(pipeline_class, "from_pretrained", lambda location, name=name: (name, location))
    for folder in SHIPPED_WEIGHTS.iterdir():
        name = json.loads((folder / "model_index.json").read_text())["_class_name"]
        assert load_pipeline(folder.name) == (name, str(folder))
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline", "_diffusers_version": "0.40.0"}')
    with pytest.raises(ValueError, match="holds a FluxPipeline; it must be one of"):
        load_pipeline(tmp_path)
    with pytest.raises(ValueError, match="`name_or_path` is 'no-such-model'.*seeclear-tiny"):
        load_pipeline("no-such-model")


def test_wrong_settings_are_named(pipe: SemanticLensPipeline) -> None:
    with pytest.raises(ValueError, match="`output_type` is 'gif'"):
        pipe(_video(2), output_type="gif")
    with pytest.raises(ValueError, match="`clip_overlap` is 4"):
        pipe.stream(iter([]), clip_overlap=4)  # before a frame is read
    with pytest.raises(ValueError, match="NaN"):
        pipe(np.full((2, 8, 8, 3), np.nan, np.float32))
    alone = SemanticLensPipeline(pipe.semantic_lens)
    with pytest.raises(ValueError, match="`semantic_distiller` is None"):
        alone(_video(2))


def test_clip_overlap_is_part_of_a_pipeline(pipe: SemanticLensPipeline, tmp_path: Path) -> None:
    shared = SemanticLensPipeline(**pipe.components, clip_length=4, clip_overlap=2)
    video = _video(7)
    assert not torch.equal(_run(shared, video), _run(pipe, video))
    assert torch.equal(_run(shared, video), _run(pipe, video, clip_overlap=2))
    assert torch.equal(_run(shared, video, clip_overlap=0), _run(pipe, video))
    SemanticLensPipeline(pipe.semantic_lens, pipe.semantic_distiller, 4, 2).save_config(tmp_path)
    assert json.loads((tmp_path / "model_index.json").read_text())["clip_overlap"] == 2


@pytest.mark.parametrize("image", [True, False])
def test_masks_are_looked_for_where_image_needs_them(image: bool, randomize: Callable[..., nn.Module]) -> None:
    lens = randomize(SemanticLens(**SMALL | {"image": image})).eval()
    distiller = SmallDistiller()
    pipe = SemanticLensPipeline(lens, distiller, clip_length=4)
    pipe.set_progress_bar_config(disable=True)
    assert pipe(_video(), output_type="np").frames.shape == (1, 5, 32, 48, 3)
    assert distiller.wanted_masks and set(distiller.wanted_masks) == {image}
