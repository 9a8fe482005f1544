# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from seeclear.pipelines.settings import RestorationSettings
from seeclear.pipelines.streaming import Clip, ClipStream, FinishedFrames, Layout, StreamState, count_clips
from seeclear.pipelines.tiles import Tile, crop_tile, plan_tiles
from seeclear.pipelines.videos import without_batch
from seeclear.resize import imresize


@dataclass
class Nearest:
    """A model that enlarges by repeating pixels, and records what it was given."""

    scale: int = 2
    clip_length: int = 5
    clip_overlap: int = 0
    reach: int = 0
    multiple_of: int = 1
    alignment: int = 1
    clips: list[tuple[int, int, bool]] = field(default_factory=list)  # start, length, has a state
    tiles: list[Tile] = field(default_factory=list)

    def begin_clip(self, clip: Clip) -> Clip:
        self.clips.append((clip.start, clip.frames.shape[1], bool(clip.carried)))
        return clip

    def restore_tile(self, context: Clip, tile: Tile) -> Tensor:
        self.tiles.append(tile)
        return self.enlarge(crop_tile(context.frames, tile))

    def enlarge(self, frames: Tensor) -> Tensor:
        return F.interpolate(frames.flatten(0, 1), scale_factor=self.scale).unflatten(0, frames.shape[:2])

    def end_clip(self, context: Clip) -> dict[str, Tensor]:
        return {"mean": context.frames.mean().reshape(1)}


def stream_clips(
    model: Nearest, frames: Iterable[Tensor], settings: RestorationSettings, state: StreamState | None = None
) -> Iterator[FinishedFrames]:
    """Drives the streaming core as a pipeline does."""
    sizes = (model.scale, model.clip_length, model.clip_overlap, model.reach, model.multiple_of, model.alignment)
    stream = ClipStream(frames, Layout(*sizes), settings, state)
    for clip in stream:
        context = model.begin_clip(clip)
        for tile in clip.tiles():
            clip.paste(tile, model.restore_tile(context, tile))
        ready = [stream.finish(clip, model.end_clip(context))]
        del clip, context
        yield ready.pop()


class Bicubic(Nearest):
    """A model that treats the border of a tile otherwise than its inside."""

    def enlarge(self, frames: Tensor) -> Tensor:
        return imresize(frames, scale=self.scale)


class Stateful(Nearest):
    """A model whose output depends on the clip's start, on what it carries and on what is around the clip."""

    def restore_tile(self, context: Clip, tile: Tile) -> Tensor:
        carried = context.carried.get("mean", torch.zeros(1))
        around = context.surroundings.mean() - context.frames.mean()
        return (super().restore_tile(context, tile) + 0.1 * carried + around + 0.01 * (context.start % 3)) / 2


class Around(Nearest):
    """A model that gives every frame's mean over it and the frames within reach, of those that it is shown."""

    def restore_tile(self, context: Clip, tile: Tile) -> Tensor:
        shown, first = context.surroundings, context.first_frame
        assert torch.equal(context.frames, shown[:, first : first + context.num_frames])
        means = [
            shown[:, max(0, t - self.reach) : t + self.reach + 1].mean(dim=1)
            for t in range(first, first + context.num_frames)
        ]
        return self.enlarge(crop_tile(torch.stack(means, dim=1), tile))


def _video(frames: int, height: int = 6, width: int = 9, seed: int = 0) -> Tensor:
    """Noise around a brightness that jumps after each 8 frames: cuts."""
    noise = torch.rand(frames, 3, height, width, generator=torch.Generator().manual_seed(seed))
    return 0.1 * noise + 0.8 * ((torch.arange(frames) // 8) % 2)[:, None, None, None]


def _singles(video: Tensor) -> Iterator[Tensor]:
    return iter(video[:, None])


def _all(finished: Iterator[FinishedFrames]) -> Tensor:
    return torch.cat([part.frames[0] for part in finished])


@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    frames=st.integers(1, 23),
    clip=st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))),
    tile=st.integers(1, 80).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))),
    grid=st.sampled_from([(1, 1), (1, 4), (4, 16), (8, 64)]),
    scene_detection=st.booleans(),
)
def test_repeating_pixels_gives_the_whole_frames_for_every_cut(
    size: tuple[int, int],
    frames: int,
    clip: tuple[int, int],
    tile: tuple[int, int],
    grid: tuple[int, int],
    scene_detection: bool,
) -> None:
    video = _video(frames, *size)
    model = Nearest(multiple_of=grid[0], alignment=grid[1])
    settings = RestorationSettings(*clip, *tile, scene_detection)
    restored = _all(stream_clips(model, _singles(video), settings))
    expected = model.enlarge(video[None])[0]
    assert restored.shape == expected.shape
    torch.testing.assert_close(restored, expected, rtol=0, atol=1e-6)
    for part in model.tiles:
        height, width = part.bottom - part.top, part.right - part.left
        assert height % grid[0] == 0 == width % grid[0] and part.top % grid[0] == 0 == part.left % grid[0]
        assert height <= max(tile[0] + grid[0] - 1, grid[0])


def test_constant_grey_stays_constant() -> None:
    video = torch.full((13, 3, 37, 41), 0.4321)
    restored = _all(stream_clips(Bicubic(scale=4), _singles(video), RestorationSettings(5, 2, (16, 12), 5)))
    torch.testing.assert_close(restored, torch.full_like(restored, 0.4321), rtol=0, atol=1e-6)


def test_a_gradient_has_no_step_at_a_seam() -> None:
    """Bicubic bends at the border of a tile; blended, no step is larger than those inside of the tiles."""
    video = (torch.arange(96) / 96).expand(1, 3, 4, 96)
    model = Bicubic(scale=4)
    restored = _all(stream_clips(model, _singles(video), RestorationSettings(tile=40, tile_overlap=16)))[0, 0, 8]
    assert len(model.tiles) == 4
    border = 4 * 4  # of the frame itself, where bicubic bends as well
    steps = restored.diff()[border:-border]
    inside = steps[: 4 * 16]
    assert steps.max() <= 1.05 * inside.max() and steps.min() >= 0.95 * inside.min()
    unblended = _all(stream_clips(model, _singles(video), RestorationSettings(tile=40, tile_overlap=0)))[0, 0, 8]
    assert unblended.diff()[border:-border].max() > 1.1 * inside.max()


def test_clips_overlap_and_a_cut_ends_them() -> None:
    model = Nearest()
    finished = list(stream_clips(model, _singles(_video(21)), RestorationSettings(clip_overlap=1)))
    assert model.clips == [(0, 5, False), (4, 4, True), (8, 5, False), (12, 4, True), (16, 5, False)]
    assert [(part.start, part.frames.shape[1]) for part in finished] == [(0, 4), (4, 4), (8, 4), (12, 4), (16, 5)]
    assert [part.scene_start for part in finished] == [True, False, True, False, True]
    assert [part.state.next_frame for part in finished] == [1, 8, 9, 16, 21]
    assert [part.state.new_scene for part in finished] == [False, True, False, True, True]
    model = Nearest()
    list(stream_clips(model, _singles(_video(11)), RestorationSettings(clip_overlap=0, scene_detection=False)))
    assert model.clips == [(0, 5, False), (5, 5, True), (8, 3, True)]  # half a clip at least
    assert count_clips(11, 5, 0) == 3
    for frames, expected in ((13, (6, 7)), (18, (12, 6)), (19, (12, 7)), (2, (0, 2))):
        model = Nearest(clip_length=8)
        list(stream_clips(model, _singles(_video(frames)), RestorationSettings(clip_overlap=2, scene_detection=False)))
        assert model.clips[-1][:2] == expected, frames


def test_frames_that_two_clips_share_are_blended() -> None:
    class Start(Nearest):
        def enlarge(self, frames: Tensor) -> Tensor:
            return torch.full_like(super().enlarge(frames), self.clips[-1][0] / 10)

    settings = RestorationSettings(4, 2, scene_detection=False)
    restored = _all(stream_clips(Start(), _singles(_video(7)), settings))[:, 0, 0, 0]
    # clips at 0, 2 and 4; the last of them adds but one frame
    expected = [0, 0, 0.25 * 0.2, 0.75 * 0.2, 0.75 * 0.2 + 0.25 * 0.4, 0.25 * 0.2 + 0.75 * 0.4, 0.4]
    torch.testing.assert_close(restored, torch.tensor(expected), rtol=0, atol=1e-6)


@given(
    frames=st.integers(1, 23),
    clip=st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))),
    reach=st.integers(0, 3),
    scene_detection=st.booleans(),
)
def test_a_clip_shows_the_frames_of_its_scene_around_it(
    frames: int, clip: tuple[int, int], reach: int, scene_detection: bool
) -> None:
    """However a scene is cut into clips, every frame is given the same neighbors, and none of another scene."""
    video = _video(frames)
    restored = _all(
        stream_clips(Around(reach=reach), _singles(video), RestorationSettings(*clip, None, None, scene_detection))
    )
    scenes = video.split(8 if scene_detection else frames)
    means = [scene[max(0, t - reach) : t + reach + 1].mean(dim=0) for scene in scenes for t in range(len(scene))]
    expected = Nearest().enlarge(torch.stack(means)[None])[0]
    torch.testing.assert_close(restored, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("reach", [0, 2])
@pytest.mark.parametrize("settings", [(5, 1, None), (5, 0, (4, 4)), (4, 3, (5, 3)), (1, 0, None), (7, 2, None)])
def test_a_saved_state_goes_on_with_the_same_bits(
    settings: tuple[int, int, tuple[int, int] | None], reach: int, tmp_path: Path
) -> None:
    video, cut = _video(27), RestorationSettings(*settings, None)
    undisturbed = list(stream_clips(Stateful(reach=reach), _singles(video), cut))
    expected = torch.cat([part.frames[0] for part in undisturbed])
    for index, part in enumerate(undisturbed):
        part.state.save(tmp_path / "state")
        first_bytes = (tmp_path / "state").read_bytes()
        part.state.save(tmp_path / "state")
        assert (tmp_path / "state").read_bytes() == first_bytes
        state = StreamState.load(tmp_path / "state")
        assert state.next_output == part.start + part.frames.shape[1] >= state.next_frame
        rest = list(stream_clips(Stateful(reach=reach), _singles(video[state.next_frame :]), cut, state))
        assert torch.equal(torch.cat([expected[: state.next_output], *(p.frames[0] for p in rest)]), expected)
        assert [p.scene_start for p in rest] == [p.scene_start for p in undisturbed[index + 1 :]]


def test_a_stream_may_start_at_any_scene() -> None:
    video = _video(24)
    whole = _all(stream_clips(Stateful(reach=1), _singles(video), RestorationSettings()))
    for scene in (8, 16):
        state = StreamState(next_frame=scene, next_output=scene)
        part = _all(stream_clips(Stateful(reach=1), _singles(video[scene:]), RestorationSettings(), state))
        assert torch.equal(part, whole[scene:])


@pytest.mark.parametrize("reach", [0, 2])
def test_memory_does_not_grow_with_the_video(reach: int) -> None:
    low_res, high_res, most = weakref.WeakSet[Tensor](), weakref.WeakSet[Tensor](), 0

    def frames() -> Iterator[Tensor]:
        nonlocal most
        for frame in _video(60, 4, 4):
            single = frame[None].clone()
            low_res.add(single)
            most = max(most, len(low_res))
            yield single
            del single

    count = 0
    for finished in stream_clips(Nearest(reach=reach), frames(), RestorationSettings(5, 2)):
        high_res.add(finished.frames)
        count += finished.frames.shape[1]
        assert len(high_res) == 1
        del finished
    assert count == 60 and most <= 5 + 2 * reach + 2  # a clip, those around it, the next one and the one being made


def test_what_was_given_out_is_not_held() -> None:
    """Whoever writes the frames can let go of them before the next clip is asked for."""
    for settings in (RestorationSettings(5, 0), RestorationSettings(5, 2, 4)):
        clips = without_batch(stream_clips(Nearest(), _singles(_video(21)), settings))
        for finished in clips:
            storage = weakref.ref(finished.frames.untyped_storage())
            del finished
            assert storage() is None


def test_tiles_keep_to_the_alignment_where_they_are_large_enough() -> None:
    tiling = plan_tiles(180, 320, RestorationSettings(tile=(96, 160)), 8, 64)
    assert tiling.overlaps == (32, 32) and len(tiling) == 9
    assert [row.start for row in tiling.rows] == [0, 64, 128] and tiling.rows[-1].stop == 184
    assert [column.start for column in tiling.columns] == [0, 128, 192]
    tiling = plan_tiles(50, 50, RestorationSettings(tile=20), 8, 64)
    assert tiling.overlaps == (16, 16) and tiling.rows == tiling.columns
    assert {row.start % 8 for row in tiling.rows} == {0}
    assert plan_tiles(50, 61, RestorationSettings(), 8, 64).overlaps == (0, 0)


def test_beyond_the_frame_its_edge_is_repeated() -> None:
    frames = torch.arange(6.0).reshape(1, 1, 1, 2, 3)
    assert crop_tile(frames, Tile(1, 3, 1, 4)).tolist() == [[[[[4, 5, 5], [4, 5, 5]]]]]
    assert crop_tile(frames, Tile(0, 1, 0, 1)).tolist() == [[[[[0]]]]]


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    for settings, message in [
        ({"tile": 0}, "`tile` is 0"),
        ({"tile": (8, 0)}, "`tile` is"),
        ({"tile": 8, "tile_overlap": 8}, "`tile_overlap` is 8"),
        ({"tile_overlap": -1}, "`tile_overlap` is -1"),
        ({"clip_length": 0}, "`clip_length` is 0"),
        ({"clip_overlap": -1}, "`clip_overlap` is -1"),
    ]:
        with pytest.raises(ValueError, match=message):
            RestorationSettings(**settings)
    with pytest.raises(ValueError, match="`clip_overlap` is 5"):
        list(stream_clips(Nearest(), _singles(_video(9)), RestorationSettings(clip_overlap=5)))
    with pytest.raises(ValueError, match="frame 2 is"):
        list(stream_clips(Nearest(), [torch.zeros(1, 3, 4, 4)] * 2 + [torch.zeros(1, 3, 4, 5)], RestorationSettings()))
    finished = next(stream_clips(Nearest(), _singles(_video(9)), RestorationSettings(clip_overlap=1)))
    with pytest.raises(ValueError, match="clip overlap of 1"):
        list(stream_clips(Nearest(), _singles(_video(9)), RestorationSettings(clip_overlap=2), finished.state))
    with pytest.raises(ValueError, match="ends before frame 5"):
        list(stream_clips(Nearest(), _singles(_video(3)), RestorationSettings(clip_overlap=1), finished.state))
    (tmp_path / "state").write_bytes(b"no state")
    with pytest.raises(ValueError, match="no saved state"):
        StreamState.load(tmp_path / "state")


def test_a_models_overlap_is_the_default_and_fits_shorter_clips() -> None:
    video = _video(10)
    model = Nearest(clip_overlap=2)
    for settings, expected in (
        (RestorationSettings(scene_detection=False), [(0, 5), (3, 5), (6, 4)]),
        (RestorationSettings(clip_overlap=0, scene_detection=False), [(0, 5), (5, 5)]),
        (RestorationSettings(clip_length=2, scene_detection=False), [(start, 2) for start in range(9)]),
    ):
        model.clips.clear()
        _all(stream_clips(model, _singles(video), settings))
        assert [clip[:2] for clip in model.clips] == expected, settings
