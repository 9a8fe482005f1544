# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Finished clips on the disk, and the pieces a video is made in."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from seeclear.app.jobs.source import FrameSource
from seeclear.app.jobs.store import ClipStore, to_levels
from seeclear.app.jobs.survey import PART_LENGTH, Scene, Survey, take_survey, to_tensor
from seeclear.files import Draft
from seeclear.pipelines.streaming import StreamState
from seeclear.video.pixels import as_floats


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_levels_are_exact_for_every_bit_depth(bits: int) -> None:
    top = 2**bits - 1
    values = np.arange(top + 1)
    kept = as_floats(to_levels((values / top).astype(np.float32)))
    np.testing.assert_array_equal(np.rint(kept * top), values)


def frames(start: int, stop: int) -> np.ndarray:
    return np.stack([np.full((3, 2, 3), index, np.uint16) for index in range(start, stop)])


def fill(store: ClipStore, *bounds: int) -> None:
    for start, stop in zip(bounds[:-1], bounds[1:], strict=True):
        store.commit(
            start, stop - start, frames(start, stop), StreamState(stop - 1, stop, {"model.x": torch.tensor(stop)})
        )


def test_frames_come_back_in_order_from_any_place(tmp_path: Path) -> None:
    store = ClipStore(tmp_path / "scene")
    assert store.state() is None
    fill(store, 3, 7, 11, 13)
    state = store.state()
    assert state is not None and (state.next_output, int(state.tensors["model.x"])) == (13, 13)
    for start, stop in ((3, 13), (5, 6), (6, 12), (7, 11)):
        found = [int(frame[0, 0, 0]) for frame in store.frames(start, stop)]
        assert found == list(range(start, stop))
    with pytest.raises(ValueError, match="frame 13 is missing"):
        list(store.frames(11, 14))


def test_frames_without_their_state_do_not_count(tmp_path: Path) -> None:
    store = ClipStore(tmp_path / "scene")
    fill(store, 0, 4, 8)
    state = store.state()
    assert state is not None and store.finished() == 8
    store.commit(8, 4, frames(8, 12), StreamState(11, 12))
    (tmp_path / "scene" / "state-000000012.safetensors").unlink()  # as if the process had ended between the two
    state.save(tmp_path / "scene" / "state-000000008.safetensors")
    assert store.finished() == 8
    store.forget(after=state.next_output)
    assert [(start, stop) for start, stop, _ in store.clips()] == [(0, 4), (4, 8)]
    store.forget(before=5)
    assert [(start, stop) for start, stop, _ in store.clips()] == [(4, 8)]
    store.clear()
    assert store.clips() == [] and store.state() is None


def test_drafts_are_no_clips(tmp_path: Path) -> None:
    store = ClipStore(tmp_path)
    draft = Draft(tmp_path / "clip-000000000-000000004.npy")
    assert draft.path.parent == tmp_path and store.clips() == []


def test_parts_of_a_scene() -> None:
    assert Scene(0, 1).parts() == [(0, 1)]
    first, second = 10 + PART_LENGTH, 10 + 2 * PART_LENGTH
    assert Scene(10, second + 1).parts() == [(10, first), (first, second), (second, second + 1)]
    assert Scene(10, first).parts() == [(10, first)]


def test_survey(tmp_path: Path) -> None:
    colours = [0.1, 0.1, 0.9, 0.9, 0.9, 0.1]
    video = [
        SimpleNamespace(rgb=np.full((4, 4, 3), colour, np.float32), pts=10 * index, duration=10)
        for index, colour in enumerate(colours)
    ]
    last = [-1.0]
    reported = []

    def begins_scene(frame: torch.Tensor) -> bool:
        value = float(frame[0, 0, 0])
        changed, last[0] = value != last[0], value
        return changed

    survey = take_survey(video, begins_scene, lambda: reported.append(1))
    assert survey.cuts == [0, 2, 5] and len(reported) == survey.num_frames == 6
    assert survey.scenes == [Scene(0, 2), Scene(2, 5), Scene(5, 6)]
    survey.save(tmp_path / "survey.json")
    assert Survey.load(tmp_path / "survey.json") == survey
    assert take_survey(video, None, lambda: None).cuts == [0]
    with pytest.raises(ValueError, match="no frames"):
        take_survey([], None, lambda: None)


def test_scenes_are_read_one_after_the_other_by_one_iteration() -> None:
    opened = []

    class Reader:
        def frames(self, start: int) -> Iterator[int]:
            opened.append(start)
            return iter(range(start, 10))

    source = FrameSource(Reader())  # type: ignore[arg-type]
    assert list(source.frames(2, 4)) == [(2, 2), (3, 3)]
    assert list(source.frames(4, 6)) == [(4, 4), (5, 5)]
    assert list(source.frames(8, 9)) == [(8, 8)]
    assert opened == [2]
    assert list(source.frames(7, 12)) == [(7, 7), (8, 8), (9, 9)]  # the video ends before
    assert list(source.frames(0, 1)) == [(0, 0)]
    assert opened == [2, 7, 0]


def test_frames_as_tensors() -> None:
    rgb = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    for given in (rgb, (rgb.astype(np.uint16) * 257), (rgb / np.float32(255)).astype(np.float32)):
        tensor = to_tensor(given)
        assert tensor.shape == (3, 2, 4) and tensor.dtype == torch.float32
        torch.testing.assert_close(tensor[1, 1, 2], torch.tensor(19 / 255))
