# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import pytest
import torch

from seeclear.metrics.segmentation import best_token_iou, enlarge_masks, fixed_token_iou, mask_iou


def test_iou_by_hand() -> None:
    target = torch.tensor([[1, 1, 0], [1, 1, 0]], dtype=torch.bool)
    masks = torch.tensor(
        [[[1, 1, 0], [1, 1, 0]], [[0, 1, 1], [0, 1, 1]], [[0, 0, 1], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]]],
        dtype=torch.bool,
    )
    torch.testing.assert_close(mask_iou(masks, target), torch.tensor([1.0, 2 / 6, 0.0, 0.0]))


def test_nothing_found_where_there_is_nothing_is_right() -> None:
    masks = torch.zeros(2, 3, 3, dtype=torch.bool)
    masks[1, 0, 0] = True
    assert mask_iou(masks, torch.zeros(3, 3, dtype=torch.bool)).tolist() == [1.0, 0.0]


def test_iou_of_many_frames() -> None:
    generator = torch.Generator().manual_seed(0)
    masks, target = (torch.rand(shape, generator=generator) > 0.5 for shape in ((4, 3, 5, 6), (4, 5, 6)))
    ious = mask_iou(masks, target)
    assert ious.shape == (4, 3)
    for frame in range(4):
        torch.testing.assert_close(ious[frame], mask_iou(masks[frame], target[frame]))


def test_best_may_change_and_fixed_may_not() -> None:
    ious = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]])
    assert float(best_token_iou(ious)) == pytest.approx((0.9 + 0.8 + 0.9) / 3)
    assert float(fixed_token_iou(ious)) == pytest.approx((0.9 + 0.8 + 0.1) / 3)


def test_masks_are_enlarged_as_logits() -> None:
    """Between the centres of -1 and 3 the logits pass zero after a quarter of the way."""
    logits = torch.tensor([[-1.0, 3.0]]).expand(2, 3, 1, 2)
    enlarged = enlarge_masks(logits, (2, 16))
    assert enlarged.shape == (2, 3, 2, 16) and enlarged.dtype == torch.bool
    assert enlarged[1, 2, 1].tolist() == [False] * 6 + [True] * 10
    assert enlarge_masks(logits[0], (2, 16)).equal(enlarged[0])
    assert enlarge_masks(logits[0, :0], (2, 16)).shape == (0, 2, 16)
