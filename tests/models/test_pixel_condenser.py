# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seeclear.models import PixelCondenser, SizeRequirement
from seeclear.resize import imresize

SWITCHES = ("frame_semantics", "multi_frame_attention", "clip_semantics", "texture_memory")
# the rows of the papers' ablation (method: no semantics, + frame semantics, + MFSA, + InCAM, + CaTeGory)
ROWS = [
    (False, False, False, False),
    (True, False, False, False),
    (True, True, False, False),
    (True, True, True, False),
]
ROWS += [(True, False, True, True), (True, True, True, True)]


def _inputs(batch_size: int = 2, frames: int = 3, height: int = 16, width: int = 32) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    return {
        "hidden_states": draw(batch_size, frames, 3, height, width),
        "timestep": torch.arange(batch_size) + 3,
        "low_res": draw(batch_size, frames, 3, height, width),
        "tokens": draw(batch_size, frames, 4, 32),
        "features": draw(batch_size, frames, 32, 3, 5),
        "clip_tokens": draw(batch_size, 4, 32),
    }


@pytest.fixture
def condenser(small_condenser_config: dict[str, Any], randomize: Callable[..., nn.Module]) -> PixelCondenser:
    torch.manual_seed(0)
    model = randomize(PixelCondenser(**small_condenser_config)).eval()
    assert isinstance(model, PixelCondenser)
    return model


def test_untrained_network_returns_y(small_condenser_config: dict[str, Any]) -> None:
    inputs = _inputs()
    assert torch.equal(PixelCondenser(**small_condenser_config)(**inputs).sample, inputs["low_res"])


@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_the_ablation_is_a_configuration(
    row: tuple[bool, ...], small_condenser_config: dict[str, Any], randomize: Callable[..., nn.Module]
) -> None:
    config = small_condenser_config | dict(zip(SWITCHES, row, strict=True))
    model = randomize(PixelCondenser(**config))
    inputs = _inputs()
    output = model(**inputs, update_memory=True)
    assert output.sample.shape == inputs["hidden_states"].shape
    assert (output.memory is not None) == config["texture_memory"]
    without = {k: v for k, v in inputs.items() if k not in ("tokens", "features")}
    assert torch.allclose(model(**without).sample, output.sample) != config["frame_semantics"]
    without = {k: v for k, v in inputs.items() if k != "clip_tokens"}
    assert torch.allclose(model(**without).sample, output.sample) != config["clip_semantics"]
    # every parameter that the configuration has is used
    loss = (
        output.sample.square().mean() + (output.memory.square() @ torch.arange(16.0)).mean()
        if row[3]
        else output.sample.square().mean()
    )
    loss.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("levels", [(0, 1, 1), (1, 0, 2), (0, 0, 0)])
def test_levels_have_as_many_layers_as_asked_for(
    levels: tuple[int, ...], small_condenser_config: dict[str, Any], randomize: Callable[..., nn.Module]
) -> None:
    torch.manual_seed(0)
    model = randomize(PixelCondenser(**small_condenser_config | {"layers_per_level": levels} | PROPAGATION))
    for level, layers in enumerate(levels):
        encoder, decoder = model.encoder[level], model.decoder[level]
        assert [len(encoder.blocks), len(decoder.blocks), len(decoder.attentions)] == [layers] * 3
        assert (decoder.category is None) == (layers == 0)
    output = model(**_inputs(), update_memory=True)
    (output.sample.square().mean() + (output.memory.square() @ torch.arange(16.0)).mean()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_a_number_of_layers_is_that_of_every_level(small_condenser_config: dict[str, Any]) -> None:
    config = small_condenser_config | {"layers_per_level": 1}
    one, each = PixelCondenser(**config), PixelCondenser(**config | {"layers_per_level": (1, 1, 1)})
    assert list(one.state_dict()) == list(each.state_dict())


def test_frames_inform_each_other_only_through_multi_frame_attention_and_clip_semantics(
    small_condenser_config: dict[str, Any], randomize: Callable[..., nn.Module]
) -> None:
    inputs = _inputs(batch_size=1)
    changed = {k: v.clone() for k, v in inputs.items()}
    changed["hidden_states"][:, 2] += 1
    for multi_frame in (True, False):
        switches = {"multi_frame_attention": multi_frame, "clip_semantics": False, "texture_memory": False}
        model = randomize(PixelCondenser(**small_condenser_config | switches))
        moved = (model(**changed).sample - model(**inputs).sample)[:, 0].abs().max().item()
        assert (moved > 1e-5) == multi_frame


def test_motion_compensation_shows_a_frame_its_neighbors(
    small_condenser_config: dict[str, Any], randomize: Callable[..., nn.Module]
) -> None:
    config = small_condenser_config | {
        "multi_frame_attention": False,
        "clip_semantics": False,
        "texture_memory": False,
    }
    torch.manual_seed(0)
    plain = randomize(PixelCondenser(**config))
    model = PixelCondenser(**config, motion_compensation=True)
    model.load_state_dict(plain.state_dict(), strict=False)
    inputs = _inputs(batch_size=1, frames=4)
    assert torch.equal(model(**inputs).sample, plain(**inputs).sample)  # untrained it changes nothing
    model = randomize(model)
    changed = inputs | {"low_res": inputs["low_res"].clone()}
    changed["low_res"][:, 3] += 1
    moved = (model(**changed).sample - model(**inputs).sample).abs().amax(dim=(0, 2, 3, 4))
    assert (moved > 1e-5).tolist() == [False, False, True, True]


@torch.no_grad()
def test_y_of_frames_around_the_clip_is_looked_at(
    small_condenser_config: dict[str, Any], randomize: Callable[..., nn.Module], moving_clip: Callable[..., Tensor]
) -> None:
    """The ends of a clip are then restored like the frames in the middle of a longer one."""
    torch.manual_seed(0)
    config = small_condenser_config | {"frame_semantics": False, "clip_semantics": False, "texture_memory": False}
    model = PixelCondenser(**config | {"multi_frame_attention": False}, motion_compensation=True, motion_reach=2)
    assert model.reach == 2 and PixelCondenser(**config, motion_reach=2).reach == 0
    model = randomize(model).eval()
    y = imresize(moving_clip(7, 2, 1), scale=4)
    flow = model.estimate_flow(moving_clip(7, 2, 1))
    whole = model(y, 0, y, flow=flow).sample
    ends = {0: 0, 3: 3, 5: 2}  # first frame: how many y shows before it
    for start, before in ends.items():
        clip = slice(start, start + 2)
        around = slice(start - before, start + 4)
        part = flow[:, :, start - before : start + 3]
        restored = model(y[:, clip], 0, y[:, around], flow=part, first_frame=before).sample
        torch.testing.assert_close(restored, whole[:, clip], rtol=0, atol=1e-5)
    alone = model(y[:, 3:5], 0, y[:, 3:5], flow=flow[:, :, 3:4]).sample
    assert (alone - whole[:, 3:5]).abs().max() > 1e-3
    with pytest.raises(ValueError, match="`first_frame` is 3; `low_res` must have 5 frames from there on, and has 7"):
        model(y[:, :5], 0, y, first_frame=3)
    with pytest.raises(ValueError, match="`motion_reach` is 0; it must be at least 1"):
        PixelCondenser(**config, motion_reach=0)
    with pytest.raises(
        ValueError, match="`motion_compensation` is on; it needs `wavelet_levels` of at least 1, not 0"
    ):
        PixelCondenser(**config | {"wavelet_levels": 0}, motion_compensation=True)


PROPAGATION = {"propagation_blocks": (0, 1, 1, 0)}


@torch.no_grad()
def test_propagation_informs_all_frames_of_the_clip_and_begins_as_nothing(
    small_condenser_config: dict[str, Any], randomize: Callable[..., nn.Module]
) -> None:
    torch.manual_seed(0)
    switches = {"frame_semantics": False, "clip_semantics": False, "texture_memory": False}
    config = small_condenser_config | switches | {"multi_frame_attention": False} | PROPAGATION
    plain = randomize(PixelCondenser(**config | {"propagation_blocks": None}))
    model = PixelCondenser(**config)
    model.load_state_dict(plain.state_dict(), strict=False)
    inputs = _inputs(batch_size=1, frames=4)
    inputs["low_res"] = _inputs(batch_size=1, frames=6)["low_res"]
    expected = plain(**inputs, first_frame=1).sample
    assert torch.equal(model(**inputs, first_frame=1).sample, expected)
    model = randomize(model)
    before = model(**inputs, first_frame=1).sample
    for frame, informs in ((0, False), (2, True), (5, False)):  # the first and the last one are not of the clip
        changed = inputs | {"low_res": inputs["low_res"].clone()}
        changed["low_res"][:, frame] += 1
        moved = (model(**changed, first_frame=1).sample - before).abs().amax(dim=(0, 2, 3, 4))
        assert ((moved > 1e-5) == informs).all()
    with pytest.raises(ValueError, match=r"`propagation_blocks` is \(1, 1\); it must be four numbers of blocks"):
        PixelCondenser(**config | {"propagation_blocks": (1, 1)})
    with pytest.raises(ValueError, match="`wavelet_levels` 1 makes it 1/2 of the HR frames', not 1/4"):
        PixelCondenser(**config | {"wavelet_levels": 1})
    with pytest.raises(ValueError, match="`channels` begins with 24; `propagation_blocks` needs a multiple of 16"):
        PixelCondenser(**config | {"channels": (24, 32, 48)})
    with pytest.raises(ValueError, match="`neighbor_channels` is 2; it must be 1 or 3"):
        PixelCondenser(**config, propagation_neighbor_channels=2)
    with pytest.raises(ValueError, match="`hidden_channels` is 0; it must be at least 1, or None"):
        PixelCondenser(**config, propagation_hidden_channels=0)


def test_parameters_of_the_refinement_are_those_after_the_u_net(small_condenser_config: dict[str, Any]) -> None:
    model = PixelCondenser(**small_condenser_config | PROPAGATION, refinement_blocks=1)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    parts = {names[id(parameter)].split(".")[0] for parameter in model.refinement_parameters()}
    assert parts == {"conv_norm_out", "refinement", "conv_out", "propagation"}


@pytest.mark.parametrize("moves", [{"motion_compensation": True}, PROPAGATION])
@torch.no_grad()
def test_flow_is_estimated_unless_it_is_given(
    moves: dict[str, Any],
    small_condenser_config: dict[str, Any],
    randomize: Callable[..., nn.Module],
    moving_clip: Callable[..., Tensor],
) -> None:
    torch.manual_seed(0)
    model = randomize(PixelCondenser(**small_condenser_config | moves)).eval()
    low_res = moving_clip(3, 2, 1)  # (1, 3, 3, 48, 64)
    y = imresize(low_res, scale=4)
    inputs = _inputs(1) | {"hidden_states": y, "low_res": y}
    flow = model.estimate_flow(low_res)
    assert flow.shape == (1, 2, 2, 2, 48, 64)
    expected = model(**inputs).sample
    error = (model(**inputs, flow=flow).sample - expected).abs().mean()
    assert error < 0.1 * (model(**inputs, flow=torch.zeros_like(flow)).sample - expected).abs().mean()
    with pytest.raises(ValueError, match=r"`flow` is \(1, 2, 2, 2, 48, 60\); it must be \(1, 2, 2, 2, 48, 64\)"):
        model(**inputs, flow=flow[..., :60])
    assert PixelCondenser(**small_condenser_config).estimate_flow(low_res) is None


def test_batch_entries_stay_apart(condenser: PixelCondenser) -> None:
    inputs = _inputs()
    both = condenser(**inputs, update_memory=True)
    second = condenser(**{name: value[1:] for name, value in inputs.items()}, update_memory=True)
    torch.testing.assert_close(both.sample[1:], second.sample, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(both.memory[1:], second.memory, rtol=1e-4, atol=1e-5)


def test_memory_changes_the_result_and_its_start_is_the_default(condenser: PixelCondenser) -> None:
    inputs = _inputs()
    first = condenser(**inputs, update_memory=True)
    start = condenser(**inputs, memory=condenser.memory.initial_state(2))
    torch.testing.assert_close(start.sample, first.sample)
    assert not torch.allclose(condenser(**inputs, memory=first.memory).sample, first.sample)
    assert condenser(**inputs).memory is None


@torch.no_grad()
def test_the_pyramid_is_what_the_levels_of_the_decoder_give(condenser: PixelCondenser) -> None:
    inputs, seen = _inputs(), []
    hooks = [level.register_forward_hook(lambda _, __, out: seen.insert(0, out)) for level in condenser.decoder]
    output = condenser(**inputs, return_pyramid=True)
    for hook in hooks:
        hook.remove()
    assert [tuple(level.shape) for level in output.pyramid] == [(6, 16, 4, 8), (6, 16, 2, 4), (6, 32, 1, 2)]
    assert all(torch.equal(level, other) for level, other in zip(output.pyramid, seen, strict=True))
    sample, memory, pyramid = condenser(**inputs, return_pyramid=True, return_dict=False)
    assert memory is None and torch.equal(sample, output.sample) and len(pyramid) == 3
    assert condenser(**inputs).pyramid is None


@torch.no_grad()
def test_a_pooled_pyramid_is_written_as_the_whole_one(condenser: PixelCondenser) -> None:
    inputs = _inputs()
    output = condenser(**inputs, update_memory=True, return_pyramid=True)
    pooled = [F.adaptive_avg_pool2d(level, 4).unflatten(0, (2, 3)).mean(dim=1) for level in output.pyramid]
    torch.testing.assert_close(condenser.write_memory(None, pooled), output.memory)
    expected = condenser(**inputs, memory=output.memory, update_memory=True, return_pyramid=True)
    pooled = [F.adaptive_avg_pool2d(level, 4).unflatten(0, (2, 3)).mean(dim=1) for level in expected.pyramid]
    torch.testing.assert_close(condenser.write_memory(output.memory.double(), pooled), expected.memory)
    half = condenser.bfloat16().write_memory(output.memory, pooled)
    assert half.dtype == torch.bfloat16 and (half - expected.memory).abs().mean() < 0.05


def test_memory_that_cannot_be_written_is_refused(
    condenser: PixelCondenser, small_condenser_config: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"`pyramid` has levels of \[32, 16\] channels; they must be \[16, 16, 32\]"):
        condenser.write_memory(None, [torch.zeros(1, channels, 4, 4) for channels in (32, 16)])
    with pytest.raises(ValueError, match="`texture_memory` is off; there is no memory to write to"):
        PixelCondenser(**small_condenser_config | {"texture_memory": False}).write_memory(None, [])


def test_memory_parameters_are_those_of_category(condenser: PixelCondenser) -> None:
    chosen = {id(p) for p in condenser.memory_parameters()}
    names = {name for name, p in condenser.named_parameters() if id(p) in chosen}
    assert names == {
        name for name, _ in condenser.named_parameters() if name.startswith("memory.") or "category" in name
    }
    assert any("category" in name for name in names) and len(names) < len(list(condenser.parameters())) / 2


def test_timestep_may_be_a_number_or_one_for_each_clip(condenser: PixelCondenser) -> None:
    inputs = _inputs()
    inputs["timestep"] = torch.tensor([5, 5])
    expected = condenser(**inputs).sample
    for timestep in (5, torch.tensor(5)):
        assert torch.equal(condenser(**inputs | {"timestep": timestep}).sample, expected)
    assert not torch.allclose(condenser(**inputs | {"timestep": torch.tensor([5, 6])}).sample[1], expected[1])


def test_clips_longer_than_those_of_training_and_single_frames_work(condenser: PixelCondenser) -> None:
    for frames in (1, 2, 9):
        assert condenser(**_inputs(1, frames)).sample.shape == (1, frames, 3, 16, 32)


@pytest.mark.parametrize(
    ("channels", "levels", "scale", "multiple"), [(3, 2, 4, 4), (4, 2, 4, 8), (1, 2, 4, 1), (3, 1, 2, 4)]
)
def test_size_requirement(
    channels: int, levels: int, scale: int, multiple: int, small_condenser_config: dict[str, Any]
) -> None:
    widths = {"channels": (16,) * channels, "self_attention": (True,) * channels}
    model = PixelCondenser(**small_condenser_config | widths | {"wavelet_levels": levels, "scale": scale})
    assert model.size_requirement == SizeRequirement(multiple)


def test_size_requirement_over_all_small_sizes() -> None:
    requirement = SizeRequirement(8)
    for height in range(1, 40):
        for width in range(1, 40):
            rows, columns = requirement.padding(height, width)
            assert 0 <= rows < 8 and 0 <= columns < 8
            requirement.check("x", height + rows, width + columns)
    with pytest.raises(ValueError, match="`x` is 9x8.*multiples of 8"):
        requirement.check("x", 9, 8)


def test_memory_format_and_half_precision(condenser: PixelCondenser) -> None:
    inputs = _inputs()
    expected = condenser(**inputs).sample
    torch.testing.assert_close(
        condenser.to(memory_format=torch.channels_last)(**inputs).sample, expected, rtol=1e-4, atol=1e-4
    )
    half = {name: value.bfloat16() if value.is_floating_point() else value for name, value in inputs.items()}
    result = condenser.bfloat16()(**half).sample
    assert result.dtype == torch.bfloat16
    assert (result - expected).abs().mean() < 0.05 * expected.abs().mean()
    full = {name: inputs[name] for name in ("hidden_states", "low_res")}  # y stays as exact as it is given
    result = condenser(**half | full).sample
    assert result.dtype == torch.float32
    y, num_frames = inputs["low_res"], inputs["hidden_states"].shape[1]
    assert y.shape[1] == num_frames
    assert (result - expected).abs().mean() < 0.05 * (expected - y).abs().mean()


@pytest.mark.parametrize("config", [{}, PROPAGATION])
def test_gradient_checkpointing_gives_the_same_gradients(
    config: dict[str, Any], small_condenser_config: dict[str, Any], randomize: Callable[..., nn.Module]
) -> None:
    torch.manual_seed(0)
    condenser = randomize(PixelCondenser(**small_condenser_config | config))
    gradients = []
    for enable in (False, True):
        if enable:
            condenser.enable_gradient_checkpointing()
        condenser.train()
        condenser.zero_grad()
        condenser(**_inputs()).sample.square().mean().backward()
        gradients.append({name: p.grad.clone() for name, p in condenser.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-6)


def test_save_and_load(condenser: PixelCondenser, tmp_path: Path) -> None:
    condenser.to(memory_format=torch.channels_last).save_pretrained(tmp_path)
    assert [path.name for path in tmp_path.glob("*.safetensors")] == ["diffusion_pytorch_model.safetensors"]
    loaded = PixelCondenser.from_pretrained(tmp_path)
    inputs = _inputs()
    torch.testing.assert_close(loaded(**inputs).sample, condenser(**inputs).sample, rtol=1e-4, atol=1e-5)


def test_tuple_output(condenser: PixelCondenser) -> None:
    inputs = _inputs()
    sample, memory = condenser(**inputs, return_dict=False)
    assert torch.equal(sample, condenser(**inputs).sample) and memory is None


def test_errors_name_the_argument(condenser: PixelCondenser, small_condenser_config: dict[str, Any]) -> None:
    inputs = _inputs()
    with pytest.raises(ValueError, match="`hidden_states`.*multiples of 16"):
        condenser(**_inputs(height=24))
    with pytest.raises(ValueError, match="`low_res`"):
        condenser(**inputs | {"low_res": inputs["low_res"][:, :2]})
    with pytest.raises(ValueError, match="`tokens` and `features`"):
        condenser(**inputs | {"features": None})
    with pytest.raises(ValueError, match="`frame_semantics`"):
        PixelCondenser(**small_condenser_config | {"frame_semantics": False})
    with pytest.raises(ValueError, match="`clip_semantics`"):
        PixelCondenser(**small_condenser_config | {"clip_semantics": False})
    with pytest.raises(ValueError, match="head_dim"):
        PixelCondenser(**small_condenser_config | {"channels": (16, 20, 32)})
    with pytest.raises(ValueError, match="`self_attention`"):
        PixelCondenser(**small_condenser_config | {"self_attention": (True,)})
    for layers in ((1, 1), (1, 1, -1), -1):
        with pytest.raises(ValueError, match="`layers_per_level`"):
            PixelCondenser(**small_condenser_config | {"layers_per_level": layers})


@torch.no_grad()
def test_features_of_the_prior_begin_as_nothing_and_inform_their_frame(
    small_condenser_config: dict[str, Any], randomize: Callable[..., nn.Module]
) -> None:
    torch.manual_seed(0)
    config = small_condenser_config | {"multi_frame_attention": False, "refinement_blocks": 1}
    plain = randomize(PixelCondenser(**config))
    model = PixelCondenser(**config, prior_feature_channels=6)
    model.load_state_dict(plain.state_dict(), strict=False)
    inputs = _inputs()
    features = torch.randn(2, 3, 6, 4, 8, generator=torch.Generator().manual_seed(1))
    expected = plain(**inputs).sample
    assert torch.equal(model(**inputs, prior_features=features).sample, expected)
    assert torch.equal(model(**inputs).sample, expected)
    for layer in ("conv_prior", "refine_prior"):  # either of them informs the frames that the features are of
        changed = randomize(copy.deepcopy(model).get_submodule(layer))
        one = copy.deepcopy(model)
        one.set_submodule(layer, changed)
        features[0, 0] = features[1, :2] = 0
        moved = (one(**inputs, prior_features=features).sample - expected).abs().amax(dim=(2, 3, 4))
        assert ((moved > 1e-4) == torch.tensor([[False, True, True], [False, False, True]])).all()
    assert model.refine_prior is not None
    trained = {id(parameter) for parameter in model.refinement_parameters()}
    assert {id(parameter) for parameter in model.refine_prior.parameters()} <= trained


def test_wrong_features_of_the_prior_are_named(small_condenser_config: dict[str, Any]) -> None:
    inputs = _inputs()
    with pytest.raises(ValueError, match="`prior_features` was given; `prior_feature_channels` is None, and no"):
        PixelCondenser(**small_condenser_config)(**inputs, prior_features=torch.zeros(2, 3, 6, 4, 8))
    model = PixelCondenser(**small_condenser_config, prior_feature_channels=6)
    for shape in ((2, 3, 5, 4, 8), (2, 2, 6, 4, 8), (2, 3, 6, 16, 32), (1, 3, 6, 4, 8)):
        with pytest.raises(ValueError, match=re.escape(f"`prior_features` is {shape}; it must be (2, 3, 6, 4, 8)")):
            model(**inputs, prior_features=torch.zeros(shape))
    with pytest.raises(
        ValueError, match="`prior_feature_channels` is given; it needs a wavelet grid of the LR frames'"
    ):
        PixelCondenser(**small_condenser_config, wavelet_levels=1, prior_feature_channels=6)
    with pytest.raises(ValueError, match="`prior_feature_channels` is 0; it must be at least 1, or None"):
        PixelCondenser(**small_condenser_config, prior_feature_channels=0)
