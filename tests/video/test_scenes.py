# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import numpy as np
import torch
from torch import Tensor

from seeclear.video.scenes import SceneDetector, find_scenes


def _scene(seed: int, frames: int, brightness: float = 0.0, speed: int = 2) -> Tensor:
    """A smooth random picture over which the view moves, (frames, 3, 48, 64) in [0, 1]."""
    coarse = torch.rand(1, 3, 6, 16, generator=torch.Generator().manual_seed(seed)) * 0.5 + brightness
    wide = torch.nn.functional.interpolate(coarse, size=(48, 160), mode="bicubic").clamp(0, 1)[0]
    return torch.stack([wide[..., speed * index : speed * index + 64] for index in range(frames)])


def test_cuts_are_found_and_motion_is_none() -> None:
    video = torch.cat([_scene(0, 9), _scene(1, 7, brightness=0.5), _scene(2, 12, brightness=0.1, speed=5)])
    assert find_scenes(video) == (9, 7, 12)


def test_a_flash_of_light_on_a_still_picture_is_no_cut() -> None:
    video = _scene(0, 1).expand(6, -1, -1, -1).clone()
    video[3] = (video[3] + 0.06).clamp(max=1)
    assert find_scenes(video) == (6,)


def test_what_moved_before_raises_the_threshold() -> None:
    """The same change is a cut after a still picture and none after fast motion."""
    moving = _scene(0, 6, speed=16)
    changed = _scene(1, 1)
    still = moving[-1:].expand(6, -1, -1, -1)
    assert find_scenes(torch.cat([still, changed])) == (6, 1)
    assert find_scenes(torch.cat([moving, changed])) == (7,)


def test_arrays_and_tensors_are_judged_alike() -> None:
    video = torch.cat([_scene(0, 4), _scene(1, 4, brightness=0.5)])
    arrays = (video * 255).round().byte().permute(0, 2, 3, 1).numpy()
    detector = SceneDetector()
    assert [detector(frame) for frame in arrays] == [True, False, False, False] * 2
    assert find_scenes(torch.from_numpy(arrays).permute(0, 3, 1, 2) / 255) == (4, 4)


def test_goes_on_from_a_state_and_forgets_at_a_cut() -> None:
    video = torch.cat([_scene(0, 5), _scene(1, 5, brightness=0.5)])
    whole = SceneDetector()
    states, decisions = [], []
    for frame in video:
        states.append(whole.state())
        decisions.append(whole(frame))
    for index in range(len(video)):
        resumed = SceneDetector()
        resumed.load_state(states[index])
        assert [resumed(frame) for frame in video[index:]] == decisions[index:]
    fresh = SceneDetector()
    for frame in video[5:]:
        fresh(frame)
    for name, value in whole.state().items():
        assert torch.equal(value, fresh.state()[name])


def test_every_size_and_a_first_frame() -> None:
    for size in ((1, 1), (1, 70), (33, 5)):
        detector = SceneDetector()
        assert detector(np.zeros((*size, 3), np.uint8))
        assert not detector(np.zeros((*size, 3), np.uint8))
        assert detector(np.full((*size, 3), 255, np.uint8))
