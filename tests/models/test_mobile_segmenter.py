# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import math

import pytest
import torch

from seeclear.models.mobile_segmenter import CHANNELS, STRIDES, MobileSegmenter, frame_positions
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
    inside = segmenter._inside(masks, (4, 6))
    assert inside.shape == (1, 5, 24)
    assert torch.equal(inside[0, 0].reshape(4, 6), torch.tensor([True, True, False, False])[:, None].expand(4, 6))
    assert inside[0, 1:].all()  # an empty mask hides nothing


@torch.no_grad()
def test_frames_are_segmented_apart(segmenter: MobileSegmenter) -> None:
    pixels = _pixels(2, 3, 64, 64)
    together, alone = segmenter(pixels)[0], segmenter(pixels[1:])[0]
    torch.testing.assert_close(together[1:], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("positions", [False, True])
def test_every_weight_learns(positions: bool) -> None:
    torch.manual_seed(0)
    segmenter = MobileSegmenter(hidden_dim=16, num_queries=3, decoder_layers=3, heads=2, positions=positions).train()
    queries, features, masks = segmenter(_pixels(2, 3, 64, 64))
    sum(value.square().sum() for value in (queries, features, *masks)).backward()
    assert [name for name, parameter in segmenter.named_parameters() if parameter.grad is None] == []


def test_positions_are_parts_of_the_frame() -> None:
    where = frame_positions(2, 4, torch.device("cpu"))
    assert where.shape == (8, 16)
    # the first wave of the rows is half a period: sin(pi y) at y = 1/4 and 3/4; of the columns at x = 1/8, 3/8, ...
    torch.testing.assert_close(where[:, 0], torch.full((8,), math.sin(math.pi / 4)))
    expected = torch.tensor([math.cos(math.pi * x / 8) for x in (1, 3, 5, 7)] * 2)
    torch.testing.assert_close(where.unflatten(1, (2, 8))[:, 1, 4], expected)
    assert len({tuple(row.tolist()) for row in where}) == 8  # and no two places are the same


@torch.no_grad()
def test_positions_tell_equal_objects_apart() -> None:
    """Two equal squares: without positions their pixels are the same to every token."""
    torch.manual_seed(0)
    plain = MobileSegmenter(hidden_dim=32, num_queries=5, heads=2).eval()
    placed = MobileSegmenter(hidden_dim=32, num_queries=5, heads=2, positions=True).eval()
    placed.load_state_dict(plain.state_dict(), strict=False)
    pixels = _pixels(1, 3, 64, 64).repeat(1, 1, 1, 4)
    for one, other in zip(plain(pixels)[:2], placed(pixels)[:2], strict=True):
        assert torch.equal(one, other)  # untrained
    torch.nn.init.normal_(placed.pixel_position.weight)
    there = {name: model(pixels)[1][..., [24, 40]] for name, model in (("plain", plain), ("placed", placed))}
    apart = {name: float((x[..., 0] - x[..., 1]).abs().mean() / x.std()) for name, x in there.items()}
    assert apart["plain"] < 0.05 < 0.5 < apart["placed"]
    queries = placed(pixels)[0]
    torch.nn.init.normal_(placed.value_position.weight)
    assert not torch.allclose(placed(pixels)[0], queries)


def test_frames_are_brought_to_a_multiple_that_fits() -> None:
    assert STRIDES[-1] == 32 and STRIDE % STRIDES[-1] == 0
