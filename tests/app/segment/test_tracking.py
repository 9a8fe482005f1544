# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import torch

from seeclear.app.segment.tracking import IdentityTracker, choose_instances, likeness, link, mask_overlap


def boxes(*corners: tuple[int, int, int, int]) -> torch.Tensor:
    """Masks bool (n, 20, 20) of boxes (top, bottom, left, right)."""
    masks = torch.zeros(len(corners), 20, 20, dtype=torch.bool)
    for mask, (top, bottom, left, right) in zip(masks, corners, strict=True):
        mask[top:bottom, left:right] = True
    return masks


def test_overlap_by_hand() -> None:
    masks = boxes((0, 4, 0, 4), (0, 4, 2, 6), (0, 0, 0, 0))
    expected = torch.tensor([[1, 8 / 24, 0], [8 / 24, 1, 0], [0, 0, 0]])
    torch.testing.assert_close(mask_overlap(masks, masks), expected)


def test_instances_are_sure_large_and_in_places_of_their_own() -> None:
    masks = boxes(
        (0, 10, 0, 10),
        (0, 10, 1, 11),  # the one before again, surer
        (10, 20, 0, 10),
        (0, 0, 0, 0),
        (10, 20, 10, 20),  # unsure
        (0, 10, 8, 18),  # shares little
        (2, 5, 2, 5),  # a part of the second
    )
    scores = torch.tensor([0.8, 0.9, 0.7, 0.95, 0.3, 0.6, 0.75])
    assert choose_instances(scores, masks, 0.5) == [1, 2, 5]
    assert choose_instances(scores, masks, 0.96) == []


def test_likeness_is_the_mean_of_cosine_and_overlap() -> None:
    tokens = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    earlier = torch.tensor([[3.0, 0.0]])
    torch.testing.assert_close(likeness(tokens, earlier), torch.tensor([[1.0], [0.0]]))
    masks = boxes((0, 4, 0, 4), (0, 4, 2, 6))[:, None]
    expected = torch.tensor([[1.0], [8 / 24 / 2]])
    torch.testing.assert_close(likeness(tokens, earlier, masks, masks[:1]), expected)


def test_links_are_the_best_as_a_whole_and_never_weak() -> None:
    alike = torch.tensor([[0.9, 0.8, 0.0], [0.85, 0.5, 0.0], [0.0, 0.0, 0.39]])
    assert link(alike) == [1, 0, None]
    assert link(alike[:, :1]) == [0, None, None]
    assert link(alike[:1]) == [0]


def test_identities_follow_tokens_whatever_their_order() -> None:
    tracker = IdentityTracker()
    tokens = torch.eye(3)
    masks = boxes((0, 8, 0, 8), (10, 18, 0, 8), (0, 8, 10, 18)).expand(3, 3, 20, 20)
    assert tracker(0, tokens, masks).tolist() == [1, 2, 3]
    order = [2, 0, 1]
    assert tracker(2, tokens[order], masks[:, order]).tolist() == [3, 1, 2]
    # the second object has left, and something else is where it was
    changed = tokens.clone()
    changed[1] = torch.tensor([-1.0, -1.0, -1.0])
    assert tracker(4, changed, masks).tolist() == [1, 4, 3]
    assert tracker.count == 4


def test_the_masks_compared_are_of_the_shared_frames() -> None:
    """Two objects of one look swap their places between the first frame and the last, which the next clip shares."""
    tracker = IdentityTracker()
    left, right = boxes((0, 8, 0, 8), (0, 8, 10, 18))
    first = torch.stack([torch.stack([left, right]), torch.stack([right, left])])  # (frames, tokens, ...)
    tokens = torch.ones(2, 4)
    tracker(0, tokens, first)
    second = torch.stack([torch.stack([left, right]), torch.stack([left, right])])
    assert tracker(1, tokens, second).tolist() == [2, 1]


def test_clips_without_a_shared_frame_are_linked_by_their_tokens() -> None:
    tracker = IdentityTracker()
    masks = boxes((0, 8, 0, 8), (10, 18, 0, 8))[None]
    tracker(0, torch.eye(2), masks)
    assert tracker(1, torch.eye(2).flip(0), masks).tolist() == [2, 1]


def test_an_object_keeps_the_token_that_it_had() -> None:
    """Two clip-wise tokens follow one object; which of them fits better changes from frame to frame."""
    tracker = IdentityTracker()
    better, worse = boxes((0, 10, 0, 10), (0, 8, 0, 10))
    clip_masks = torch.stack([torch.stack([better, worse]), torch.stack([worse, better])])
    assert tracker(0, torch.eye(2), clip_masks).tolist() == [1, 2]
    assert [tracker.identify(better[None], masks) for masks in clip_masks] == [[1], [1]]
    # but not when it fits much worse
    elsewhere = torch.stack([boxes((0, 2, 0, 10))[0], better])
    assert tracker.identify(better[None], elsewhere) == [2]


def test_two_instances_are_never_one_object() -> None:
    tracker = IdentityTracker()
    both, left, right = boxes((0, 10, 0, 20), (0, 10, 0, 10), (0, 10, 10, 20))
    tracker(0, torch.eye(2), torch.stack([both, left])[None])
    assert tracker.identify(torch.stack([left, right]), torch.stack([both, left])) == [2, 1]
    assert tracker.identify(torch.stack([right, right]), torch.stack([both, left])) == [1, 0]
