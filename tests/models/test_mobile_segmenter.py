# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import pytest
import torch

from seeclear.models.mobile_segmenter import CHANNELS, STRIDES, MobileSegmenter
from seeclear.models.segmenters import STRIDE


@pytest.fixture(scope="module")
def segmenter() -> MobileSegmenter:
    torch.manual_seed(0)
    return MobileSegmenter(hidden_dim=32, num_queries=5, decoder_layers=4, heads=2).eval()


def _pixels(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_backbone_gives_strides_4_to_32(segmenter: MobileSegmenter) -> None:
    features = segmenter.backbone(_pixels(2, 3, 64, 96))
    assert [tuple(x.shape) for x in features] == [
        (2, channels, 64 // stride, 96 // stride) for channels, stride in zip(CHANNELS, (4, 8, 16, 32), strict=True)
    ]


@torch.no_grad()
def test_shapes_and_masks_after_every_layer(segmenter: MobileSegmenter) -> None:
    queries, features, masks = segmenter(_pixels(2, 3, 64, 96))
    assert queries.shape == (2, 5, 32)
    assert features.shape == (2, 32, 16, 24)
    assert [tuple(mask.shape) for mask in masks] == [(2, 5, 16, 24)] * 5  # of the learned queries, and of 4 layers
    by_hand = (queries[1, 3] * features[1, :, 7, 20]).sum()
    torch.testing.assert_close(masks[-1][1, 3, 7, 20], by_hand)


@torch.no_grad()
def test_a_query_looks_inside_its_mask_only(segmenter: MobileSegmenter) -> None:
    masks = torch.full((1, 5, 16, 24), -1.0)
    masks[0, 0, :8] = 1.0  # the upper half; the others are empty
    outside = segmenter._outside(masks, (4, 6))
    assert outside.shape == (2, 5, 24)  # one for each head
    for head in outside:
        assert torch.equal(head[0].reshape(4, 6), torch.tensor([False, False, True, True])[:, None].expand(4, 6))
        assert not head[1:].any()  # an empty mask hides nothing


@torch.no_grad()
def test_frames_are_segmented_apart(segmenter: MobileSegmenter) -> None:
    pixels = _pixels(2, 3, 64, 64)
    together, alone = segmenter(pixels)[0], segmenter(pixels[1:])[0]
    torch.testing.assert_close(together[1:], alone, rtol=1e-4, atol=1e-5)


def test_every_weight_learns() -> None:
    torch.manual_seed(0)
    segmenter = MobileSegmenter(hidden_dim=16, num_queries=3, decoder_layers=3, heads=2).train()
    queries, features, masks = segmenter(_pixels(2, 3, 64, 64))
    sum(value.square().sum() for value in (queries, features, *masks)).backward()
    assert [name for name, parameter in segmenter.named_parameters() if parameter.grad is None] == []


def test_frames_are_brought_to_a_multiple_that_fits() -> None:
    assert STRIDES[-1] == 32 and STRIDE % STRIDES[-1] == 0
