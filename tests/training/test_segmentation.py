# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from seeclear.data.instances import AnnotatedClip
from seeclear.training.segmentation import matched_ious, segmentation_figures, separation_figures, token_ious


class Thresholds:
    """Stands in for the distiller: token k covers what is brighter than 50 (k + 1) of 255; the clip-wise tokens come
    in the opposite order.
    """

    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self) -> None:
        self.seen: list[list[int]] = []

    def __call__(self, low_res: Tensor, larger: bool = False) -> SimpleNamespace:
        values = (low_res[:, :, :1] + 1) * 127.5
        self.seen.append(values[0, :, 0, 0, 0].round().int().tolist())
        masks = values - torch.tensor([50.0, 100.0, 150.0]).reshape(3, 1, 1)
        masks = masks + 60 if larger else masks
        return SimpleNamespace(masks=masks, clip_masks=masks.flip(2))


def clip_of(num_frames: int, name: str = "clip") -> AnnotatedClip:
    """The first pixel is the frame's index; the left half has 120, the object is the left half."""
    frames = torch.zeros(num_frames, 3, 8, 8, dtype=torch.uint8)
    frames[:, :, :, :4] = 120
    frames[:, :, 0, 0] = torch.arange(num_frames, dtype=torch.uint8)[:, None]
    masks = torch.zeros(num_frames, 1, 8, 8, dtype=torch.float16)
    masks[..., :4] = 1
    masks[:, :, 0, 0] = 0
    return AnnotatedClip(name, "thing", frames, masks)


@pytest.mark.parametrize(
    ("num_frames", "clips"),
    [
        (4, [[0, 1, 2, 3]]),
        (5, [[0, 1, 2, 3, 4]]),
        (7, [[0, 1, 2, 3, 4], [2, 3, 4, 5, 6]]),
        (11, [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [6, 7, 8, 9, 10]]),
    ],
)
def test_every_frame_counts_once(num_frames: int, clips: list[list[int]]) -> None:
    distiller = Thresholds()
    frame_wise, clip_wise = token_ious(distiller, clip_of(num_frames))
    assert distiller.seen == clips
    assert frame_wise.tolist() == [[1.0, 1.0, 0.0]] * num_frames
    assert clip_wise.tolist() == [[0.0, 1.0, 1.0]] * num_frames


def test_frames_keep_their_order() -> None:
    clip = clip_of(7)
    clip.masks[6] = 0
    clip.masks[6, 0, :, 4:] = 1
    frame_wise, _ = token_ious(Thresholds(), clip)
    assert frame_wise[:, 0].tolist() == [1.0] * 6 + [0.0]


def test_figures_of_clips_and_their_means() -> None:
    """In half the frames of the second clip the object is elsewhere."""
    other = clip_of(6, "other")
    other.masks[3:] = 0
    other.masks[3:, :, :, 4:] = 1
    figures = segmentation_figures(Thresholds(), [clip_of(6), other])
    assert figures == {
        "best": 0.75,
        "clipwise": 0.75,
        "fixed": 0.75,
        "best_clip": 1.0,
        "clipwise_clip": 1.0,
        "fixed_clip": 1.0,
        "best_other": 0.5,
        "clipwise_other": 0.5,
        "fixed_other": 0.5,
    }


def test_the_masks_that_are_given_are_measured() -> None:
    """The stand-in's third token covers the object only where masks are larger."""

    def larger(distiller: Thresholds, low_res: Tensor) -> SimpleNamespace:
        return distiller(low_res, larger=True)

    frame_wise, clip_wise = token_ious(Thresholds(), clip_of(6), distill=larger)
    assert frame_wise[:, 2].tolist() == clip_wise[:, 0].tolist() == [1.0] * 6
    assert segmentation_figures(Thresholds(), [clip_of(6)], larger)["fixed"] == 1.0


def test_no_token_counts_for_two_instances() -> None:
    """The first token fits both instances best; worked by hand."""
    ious = torch.tensor([[0.9, 0.8], [0.5, 0.1], [0.0, 0.3]])
    assert matched_ious(ious).tolist() == pytest.approx([0.5, 0.8])


def test_objects_that_share_a_token_are_not_apart() -> None:
    """Of two halves of what one token covers, one has that token and the other one none."""
    clip = clip_of(4)
    clip.frames[clip.frames == 120] = 60  # the first token's alone
    halves = torch.cat([clip.masks, clip.masks], dim=1)
    halves[:, 0, :4] = halves[:, 1, 4:] = 0
    two = AnnotatedClip("two", "thing", clip.frames, halves)
    figures = separation_figures(Thresholds(), [clip_of(4), two])
    assert figures == pytest.approx({"apart": 0.5 * (16 / 31), "found": 0.5, "shared": (16 + 15) / (2 * 31)})
    assert separation_figures(Thresholds(), [clip_of(4)]) == {}
