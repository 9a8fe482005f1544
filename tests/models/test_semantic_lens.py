# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seeclear.models import SemanticLens, blocks
from seeclear.models.lens_modules import ImplicitMaskedAlignment, sample_maps, sampling_matrix
from seeclear.models.optical_flow import flow_to_neighbor, moved_neighbor, subpixels, warp
from seeclear.resize import imresize

SWITCHES = ("image", "gps", "isee", "multi_frame_attention")
SMALL = {
    "channels": 16,
    "backward_blocks": 1,
    "forward_blocks": 1,
    "head_dim": 8,
    "alignment_window_size": 4,
    "search_radius": 2,
    "global_grid": 3,
    "semantic_token_dim": 12,
    "semantic_feature_dim": 10,
}


def _inputs(batch_size: int = 2, frames: int = 3, height: int = 9, width: int = 14) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "low_res": torch.rand(batch_size, frames, 3, height, width, generator=generator) * 2 - 1,
        "features": torch.randn(batch_size, frames, 10, 6, 7, generator=generator),
        "clip_tokens": torch.randn(batch_size, 5, 12, generator=generator),
        "clip_masks": 3 * torch.randn(batch_size, frames, 5, 6, 7, generator=generator),
    }


@pytest.fixture
def lens(randomize: Callable[..., nn.Module]) -> SemanticLens:
    torch.manual_seed(0)
    model = randomize(SemanticLens(**SMALL)).eval()
    assert isinstance(model, SemanticLens)
    return model


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (9, 14), (17, 8)])
def test_untrained_network_returns_bicubic(size: tuple[int, int]) -> None:
    inputs = _inputs(1, 2, *size)
    assert torch.equal(SemanticLens(**SMALL)(**inputs).sample, imresize(inputs["low_res"], scale=4))


@pytest.mark.parametrize("row", list(itertools.product([False, True], repeat=4)))
@pytest.mark.parametrize("motion_compensation", [False, True])
def test_every_module_is_a_switch(
    row: tuple[bool, ...], motion_compensation: bool, randomize: Callable[..., nn.Module]
) -> None:
    switches = dict(zip(SWITCHES, row, strict=True))
    model = randomize(SemanticLens(**SMALL, **switches, motion_compensation=motion_compensation))
    inputs = _inputs()
    output = model(**inputs).sample
    assert output.shape == (2, 3, 3, 36, 56)
    # every parameter that the configuration has is used
    output.square().mean().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    # and each of the semantics moves the result if and only if its module is there
    for switch, name in (("gps", "features"), ("isee", "clip_tokens"), ("image", "clip_masks")):
        changed = model(**inputs | {name: inputs[name].roll(1, dims=-1)}).sample
        assert torch.equal(changed, output) != switches[switch]
    if not any(row):
        assert torch.equal(model(inputs["low_res"]).sample, output)


def test_channels_must_be_sub_pixels() -> None:
    with pytest.raises(ValueError, match="`channels` is 24; motion compensation needs a multiple of 16"):
        SemanticLens(**SMALL | {"channels": 24}, motion_compensation=True)


@torch.no_grad()
def test_flow_is_estimated_unless_it_is_given(
    randomize: Callable[..., nn.Module], moving_clip: Callable[..., Tensor]
) -> None:
    torch.manual_seed(0)
    lens = randomize(SemanticLens(**SMALL, motion_compensation=True)).eval()
    inputs = _inputs(1) | {"low_res": moving_clip(3, 2, 1)[..., :47, :63]}
    flow = lens.estimate_flow(inputs["low_res"])
    assert flow.shape == (1, 2, 2, 2, 47, 63)
    expected = lens(**inputs).sample
    torch.testing.assert_close(lens(**inputs, flow=flow).sample, expected, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(lens(**inputs, flow=torch.zeros_like(flow)).sample, expected, atol=1e-2)
    assert SemanticLens(**SMALL).estimate_flow(inputs["low_res"]) is None


def test_features_move_as_sub_pixels(moving_clip: Callable[..., Tensor]) -> None:
    """Features that are the frames' own sub-pixels move as the frames at HR size do."""
    lens = SemanticLens(**SMALL, motion_compensation=True)
    low_res = moving_clip(3, 2, 1)
    enlarged = imresize(low_res, scale=4)
    flow = lens.estimate_flow(low_res)
    for t, step in ((0, 1), (1, 1), (1, -1), (2, -1)):
        moved, there = moved_neighbor(enlarged, flow, t, step, 4)
        assert moved is not None and there is not None
        features = torch.randn(1, 32, *low_res.shape[-2:])
        frames = enlarged[:, t + step], subpixels(enlarged[:, t], 4)
        made = lens.forward_branch.compensate(features, flow_to_neighbor(flow, t, step), *frames)
        expected = F.pixel_unshuffle(warp(F.pixel_shuffle(features, 4), there), 4), F.pixel_unshuffle(moved, 4)
        for x, y in zip(made, expected, strict=True):
            torch.testing.assert_close(x, y, rtol=1e-3, atol=1e-3)  # places in another order of operations
            assert x.is_contiguous(memory_format=torch.channels_last)


@torch.no_grad()
@pytest.mark.parametrize("pixels", [1, 300])
def test_frames_seen_in_parts_are_the_same(
    pixels: int, randomize: Callable[..., nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    lens = randomize(SemanticLens(**SMALL, motion_compensation=True)).eval()
    inputs = _inputs(1, 5)
    whole = lens(**inputs).sample
    monkeypatch.setattr(blocks, "_PART_PIXELS", pixels)
    torch.testing.assert_close(lens(**inputs).sample, whole, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_supporting_features_are_compensated(
    randomize: Callable[..., nn.Module], moving_clip: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    lens = randomize(SemanticLens(**SMALL, motion_compensation=True)).eval()
    others = {name: value for name, value in _inputs(1).items() if name != "low_res"}
    compensate = lens.forward_branch.compensate
    for clip, changes in ((moving_clip(3, 0, 0), False), (moving_clip(3, 2, 0), True)):
        with_flow = lens(clip, **others).sample
        with monkeypatch.context() as patch:  # its features stay where they are
            patch.setattr(lens.forward_branch, "compensate", lambda x, *rest: (x, compensate(x, *rest)[1]))
            assert torch.allclose(lens(clip, **others).sample, with_flow, atol=1e-2) != changes


@torch.no_grad()
def test_neighbors_can_be_shown_in_grey(
    randomize: Callable[..., nn.Module], moving_clip: Callable[..., Tensor]
) -> None:
    """As in colour by a network that has the same weights for all three colours, a third each."""
    torch.manual_seed(0)
    grey = randomize(SemanticLens(**SMALL, motion_compensation=True, neighbor_channels=1)).eval()
    colour = SemanticLens(**SMALL, motion_compensation=True).eval()
    weights = grey.state_dict()
    for branch in ("backward_branch", "forward_branch"):
        weights[f"{branch}.fuse_moved.weight"] = weights[f"{branch}.fuse_moved.weight"].repeat(1, 3, 1, 1) / 3
    colour.load_state_dict(weights)
    inputs = _inputs(1) | {"low_res": moving_clip(3, 2, 1)}
    torch.testing.assert_close(grey(**inputs).sample, colour(**inputs).sample, rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match="`neighbor_channels` is 2; it must be 1 or 3"):
        SemanticLens(**SMALL, neighbor_channels=2)
    with pytest.raises(ValueError, match="`hidden_channels` is 0; it must be at least 1, or None"):
        SemanticLens(**SMALL, hidden_channels=0)


@torch.no_grad()
def test_residual_blocks_can_be_narrow_within(randomize: Callable[..., nn.Module]) -> None:
    """As a block of full width of whose channels the others say nothing."""
    whole = randomize(SemanticLens(**SMALL)).eval()
    narrow = SemanticLens(**SMALL, hidden_channels=6).eval()
    weights = whole.state_dict()
    for name in [name for name in weights if name.endswith("conv2.weight")]:
        weights[name][:, 6:] = 0
    shapes = {name: value.shape for name, value in narrow.state_dict().items()}
    narrowed = {name: value[tuple(map(slice, shapes[name]))] for name, value in weights.items()}
    assert sum(narrowed[name].shape != value.shape for name, value in weights.items()) == 3 * 4  # of four blocks
    narrow.load_state_dict(narrowed)
    inputs = _inputs(1)
    torch.testing.assert_close(narrow(**inputs).sample, whole(**inputs).sample, rtol=1e-4, atol=1e-4)


def test_every_frame_informs_every_other(lens: SemanticLens) -> None:
    inputs = _inputs(1, 5)
    expected = lens(**inputs).sample
    for changed in (0, 4):
        low_res = inputs["low_res"].clone()
        low_res[:, changed] *= 0.5
        moved = (lens(**inputs | {"low_res": low_res}).sample - expected).abs().amax(dim=(0, 2, 3, 4))
        assert (moved > 1e-5).all()


def test_switched_off_the_frames_still_inform_each_other_in_both_directions(
    randomize: Callable[..., nn.Module],
) -> None:
    model = randomize(SemanticLens(**SMALL, **dict.fromkeys(SWITCHES, False)))
    low_res = _inputs(1, 4)["low_res"].requires_grad_()
    for frame in range(4):
        (gradient,) = torch.autograd.grad(model(low_res).sample[:, frame].square().sum(), low_res)
        assert (gradient.abs().amax(dim=(0, 2, 3, 4)) > 0).all()


@pytest.mark.parametrize("shift", [(0, 0), (2, -4), (-6, 4)])
def test_untrained_alignment_finds_where_the_picture_moved(shift: tuple[int, int]) -> None:
    """Features of a frame that moved by whole patches come back to where the reference has them."""
    torch.manual_seed(0)
    module = ImplicitMaskedAlignment(4, heads=2, head_dim=16, window_size=4, radius=4, masks=False)
    nn.init.zeros_(module.position_bias)
    scene = torch.randn(1, 4, 48, 48)
    reference = scene[..., 12:36, 12:36]
    support = scene[..., 12 + shift[0] : 36 + shift[0], 12 + shift[1] : 36 + shift[1]]
    descriptors = [module.descriptors(frame, None) for frame in (reference, support)]
    inner = (..., slice(8, 16), slice(8, 16))
    difference = (module(*descriptors, support)[inner] - reference[inner]).abs().mean()
    before = (support[inner] - reference[inner]).abs().mean()
    assert difference < 0.1 if shift == (0, 0) else difference < 0.1 * before


def test_alignment_worked_by_hand() -> None:
    """Every query of a window, with the plain formula over all patches that it may look at."""
    torch.manual_seed(0)
    size, radius = 2, 1
    module = ImplicitMaskedAlignment(2, heads=1, head_dim=3, window_size=size, radius=radius)
    features, support, masks = torch.randn(2, 2, 8, 12), torch.randn(1, 2, 8, 12), torch.rand(2, 4, 6, 3)
    nn.init.normal_(module.position_bias)
    nn.init.constant_(module.mask_weight, 0.7)
    descriptors = module.descriptors(features, masks)
    got = module(descriptors[:1], descriptors[1:], support)

    patches = F.unfold(features, 2, stride=2).unflatten(2, (4, 6))  # channel, row, column of the pixel in the patch
    patches = patches.unflatten(1, (2, 4)).permute(0, 3, 4, 2, 1).flatten(3)  # (2, 4, 6, p * q * c)
    described = F.normalize(module.describe.linear(patches), dim=-1)
    values = F.unfold(support, 2, stride=2).unflatten(2, (4, 6))[0]
    sharpness = module.log_sharpness.exp().item()
    for row, column in ((0, 0), (1, 2), (3, 5), (2, 3)):
        top, left = row // size * size, column // size * size
        logits, moved = [], []
        for y in range(top - radius, top + size + radius):
            for x in range(left - radius, left + size + radius):
                at = (min(max(y, 0), 3), min(max(x, 0), 5))  # the edge is repeated
                cosine = described[0, row, column] @ described[1][at]
                shared = masks[0, row, column] @ masks[1][at]
                bias = module.position_bias[0, y - row + size + radius - 1, x - column + size + radius - 1]
                logits.append(sharpness * (cosine - 1) + 0.7 * shared + bias)
                moved.append(values[:, at[0], at[1]])
        expected = torch.stack(logits).softmax(dim=0) @ torch.stack(moved)  # channel, row, column of the pixel
        patch = got[0, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        torch.testing.assert_close(patch.flatten(), expected, rtol=1e-4, atol=1e-5)


def test_a_pixel_looks_where_its_instance_is() -> None:
    """Without any texture to go by, the masks alone decide whose features are taken over."""
    module = ImplicitMaskedAlignment(1, heads=1, head_dim=4, window_size=4, radius=4)
    nn.init.zeros_(module.position_bias)
    nn.init.constant_(module.mask_weight, 20.0)
    masks = torch.zeros(2, 4, 8, 2)
    masks[0, :, :4, 0] = masks[0, :, 4:, 1] = 1  # reference: instance 0 on the left, 1 on the right
    masks[1, :, :2, 0] = masks[1, :, 2:, 1] = 1  # support: instance 0 is narrower
    support = torch.zeros(1, 1, 8, 16)
    support[..., 4:] = 1
    descriptors = module.descriptors(torch.ones(2, 1, 8, 16), masks)
    aligned = module(descriptors[:1], descriptors[1:], support)
    assert aligned[..., :8].max() < 1e-3 and aligned[..., 8:].min() > 1 - 1e-3


def test_a_compensated_support_stays_as_it_is_until_it_is_learned_how_much_to_take_over() -> None:
    torch.manual_seed(0)
    module = ImplicitMaskedAlignment(4, heads=2, head_dim=8, window_size=4, radius=1, masks=False, compensated=True)
    support = torch.randn(1, 4, 16, 24)
    reference, other = module.descriptors(torch.randn(2, 4, 16, 24), None).split(1)
    assert torch.equal(module(reference, other, support), support)
    nn.init.ones_(module.share)
    moved = module(reference, other, support)
    module.share.data[:2] = 0.25
    expected = torch.cat([support[:, :2] + (moved - support)[:, :2] / 4, moved[:, 2:]], dim=1)
    torch.testing.assert_close(module(reference, other, support), expected)
    assert not torch.allclose(moved, support, atol=0.1)


def test_maps_are_sampled_as_torch_interpolates_them_and_regions_as_parts_of_that() -> None:
    maps = torch.randn(2, 5, 7, 3, generator=torch.Generator().manual_seed(0))
    zero, one = torch.zeros(2), torch.ones(2)
    whole = sample_maps(
        maps, sampling_matrix(zero, one, 20, 1 / 20, 5), sampling_matrix(zero, one, 28, 1 / 28, 7)
    ).permute(0, 3, 1, 2)
    expected = F.interpolate(maps.permute(0, 3, 1, 2), size=(20, 28), mode="bilinear", align_corners=False)
    torch.testing.assert_close(whole, expected)
    rows = sampling_matrix(one * 0.25, one * 0.75, 10, 1 / 10, 5)
    columns = sampling_matrix(zero, one * 0.5, 14, 1 / 14, 7)
    torch.testing.assert_close(sample_maps(maps, rows, columns).permute(0, 3, 1, 2), whole[..., 5:15, :14])


def test_a_region_sees_the_semantics_of_the_whole_frame(randomize: Callable[..., nn.Module]) -> None:
    """The part of a frame well inside a crop is upscaled like the same part of the whole frame."""
    switches = {"image": False, "multi_frame_attention": False}
    no_blocks = dict.fromkeys(("extraction_blocks", "forward_blocks", "backward_blocks"), 0)
    model = randomize(SemanticLens(**SMALL | no_blocks, **switches)).eval()
    inputs = _inputs(1, 3, 24, 32)
    whole = model(**inputs).sample
    crop = inputs["low_res"][..., 4:20, 8:32]
    region = torch.tensor([[4 / 24, 8 / 32, 20 / 24, 1.0]])
    part = model(**inputs | {"low_res": crop}, region=region).sample
    blind = model(**inputs | {"low_res": crop}).sample
    expected = whole[..., 16:80, 32:128][..., 24:40, 24:72]
    torch.testing.assert_close(part[..., 24:40, 24:72], expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(blind[..., 24:40, 24:72], expected, atol=1e-3)


def test_batch_entries_stay_apart_and_frame_counts_are_free(lens: SemanticLens) -> None:
    inputs = _inputs()
    second = lens(**{name: value[1:] for name, value in inputs.items()}).sample
    torch.testing.assert_close(lens(**inputs).sample[1:], second, rtol=1e-4, atol=1e-5)
    for frames in (1, 2, 9):
        assert lens(**_inputs(1, frames)).sample.shape == (1, frames, 3, 36, 56)


def test_memory_format_half_precision_and_autocast(lens: SemanticLens) -> None:
    inputs = _inputs()
    expected = lens(**inputs).sample
    bicubic = imresize(inputs["low_res"], scale=4)
    last = lens.to(memory_format=torch.channels_last)
    torch.testing.assert_close(last(**inputs).sample, expected, rtol=1e-4, atol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = lens(**inputs).sample
    half = lens.bfloat16()(**inputs).sample
    for result in (mixed, half):
        assert result.dtype == torch.float32  # the bicubic part keeps its precision
        assert (result - expected).abs().mean() < 0.05 * (expected - bicubic).abs().mean()


def test_gradient_checkpointing_gives_the_same_gradients(lens: SemanticLens) -> None:
    gradients = []
    for enable in (False, True):
        if enable:
            lens.enable_gradient_checkpointing()
        lens.train()
        lens.zero_grad()
        lens(**_inputs()).sample.square().mean().backward()
        gradients.append({name: p.grad.clone() for name, p in lens.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_features_are_given_where_they_are_wanted(lens: SemanticLens) -> None:
    """Of every frame and LR pixel, whole patches or not; what the HR frames are made of."""
    inputs = _inputs(1, 3, 9, 14)
    plain, output = lens(**inputs), lens(**inputs, return_hidden_states=True)
    assert plain.hidden_states is None and torch.equal(output.sample, plain.sample)
    assert output.hidden_states.shape == (1, 3, lens.config.channels, 9, 14)
    residual = lens.conv_out(lens.reconstruction(output.hidden_states[0]))
    expected = imresize(inputs["low_res"], scale=4)[0] + torch.nn.functional.pixel_shuffle(residual, 4)
    inside = (..., slice(0, 20), slice(0, 40))  # below and to the right the lens fills up
    torch.testing.assert_close(output.sample[0][inside], expected[inside], rtol=0, atol=1e-4)


def test_save_load_and_tuple_output(lens: SemanticLens, tmp_path: Path) -> None:
    lens.to(memory_format=torch.channels_last).save_pretrained(tmp_path)
    loaded = SemanticLens.from_pretrained(tmp_path)
    inputs = _inputs()
    (sample,) = loaded(**inputs, return_dict=False)
    torch.testing.assert_close(sample, lens(**inputs).sample, rtol=1e-4, atol=1e-5)


def test_a_few_steps_of_training_beat_bicubic() -> None:
    torch.manual_seed(0)
    model = SemanticLens(**SMALL)
    inputs = _inputs(1, 3, 8, 8)
    target = imresize(inputs["low_res"], scale=4) * 1.2
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(20):
        loss = (model(**inputs).sample - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_errors_name_the_argument(lens: SemanticLens) -> None:
    inputs = _inputs()
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"low_res": inputs["low_res"][0]}, r"`low_res` is \(3, 3, 9, 14\)"),
        ({"features": None}, "`features` is None; a network with `gps`"),
        ({"clip_tokens": None}, "`clip_tokens` is None; a network with `isee`"),
        ({"clip_masks": None}, "`clip_masks` is None; a network with `image`"),
        ({"features": inputs["features"][:, :2]}, r"`features` is \(2, 2, 10, 6, 7\); it must be \(2, 3, 10, any"),
        ({"clip_tokens": torch.zeros(2, 5, 13)}, r"`clip_tokens` .* \(2, any, 12\)"),
        ({"region": torch.zeros(1, 4)}, "`region`"),
        ({"flow": torch.zeros(2, 2, 3, 2, 9, 14)}, r"`flow` .* \(2, 2, 2, 2, 9, 14\)"),
    ]
    for changes, message in wrong:
        with pytest.raises(ValueError, match=message):
            lens(**inputs | changes)
    with pytest.raises(ValueError, match="`channels` is 20"):
        SemanticLens(**SMALL | {"channels": 20})
