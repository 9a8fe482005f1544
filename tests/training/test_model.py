# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from seeclear.models.pixel_condenser import PixelCondenser
from seeclear.training.model import TrainingModel, take_over

CONDENSER = {
    "channels": (32, 32),
    "self_attention": (False, True),
    "layers_per_level": 1,
    "middle_layers": 1,
    "head_dim": 16,
    "window_size": 4,
    "time_embed_dim": 32,
    "semantic_token_dim": 8,
    "semantic_feature_dim": 8,
    "token_dim": 32,
    "num_clip_tokens": 4,
    "num_groups": 4,
    "texture_dim": 32,
}


class Semantics:
    def __init__(self, tokens: Tensor, features: Tensor, clip_tokens: Tensor) -> None:
        self.tokens, self.features, self.clip_tokens = tokens, features, clip_tokens


class Gather(nn.Module):
    """Four clip-wise tokens (B, 4, D) of frame-wise ones (B, F, k, D)."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.linear(tokens.mean(dim=1)[:, :4])


class StandInDistiller(nn.Module):
    """Tokens and features from a convolution, clip-wise tokens from a layer of their own; counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 4, stride=4)
        self.instances = Gather()
        self.calls = 0

    def forward(self, low_res: Tensor, masks: bool = True) -> Semantics:
        self.calls += 1
        features = self.convolution(low_res.flatten(0, 1)).unflatten(0, low_res.shape[:2])
        tokens = features.flatten(3).transpose(2, 3)
        return Semantics(tokens, features, self.instances(tokens))

    def projection_parameters(self) -> Iterator[nn.Parameter]:
        return self.instances.parameters()


@pytest.fixture
def condenser() -> PixelCondenser:
    torch.manual_seed(0)
    condenser = PixelCondenser(**CONDENSER)
    with torch.no_grad():  # an untrained output layer stops the gradients of all others
        for parameter in condenser.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
    return condenser


def inputs(frames: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)

    def draw(size: int) -> Tensor:
        return torch.randn(2, frames, 3, size, size, generator=generator)

    return draw(32), torch.tensor([0, 14]), draw(32), draw(8)


def trained(model: TrainingModel) -> set[str]:
    for parameter in model.parameters():
        parameter.grad = None
    model(*inputs(2 * model.num_clips)).square().mean().backward()
    return {name for name, parameter in model.named_parameters() if parameter.grad is not None}


def memory_names(condenser: PixelCondenser) -> set[str]:
    identities = {id(parameter) for parameter in condenser.memory_parameters()}
    return {f"pixel_condenser.{name}" for name, value in condenser.named_parameters() if id(value) in identities}


def test_a_silent_memory_is_skipped_where_it_is_not_trained(condenser: PixelCondenser) -> None:
    model = TrainingModel(condenser, StandInDistiller(), "condenser")
    model.skip_silent_memory()
    assert model.reads_memory  # the readers add something
    for level in (condenser.middle, *condenser.decoder):
        for parameter in level.category.attention.to_out.parameters():
            nn.init.zeros_(parameter)
    expected = model(*inputs(2))
    model.skip_silent_memory()
    assert not model.reads_memory
    assert torch.equal(model(*inputs(2)), expected)
    everything = {f"pixel_condenser.{name}" for name, _ in condenser.named_parameters()}
    assert trained(model) == everything - memory_names(condenser)
    joint = TrainingModel(condenser, StandInDistiller(), "joint")
    joint.skip_silent_memory()
    assert joint.reads_memory


def test_stage_condenser_trains_all_but_the_memory(condenser: PixelCondenser) -> None:
    model = TrainingModel(condenser, StandInDistiller(), "condenser")
    everything = {f"pixel_condenser.{name}" for name, _ in condenser.named_parameters()}
    assert trained(model) == everything - memory_names(condenser)
    assert model.num_clips == 1


def test_stage_memory_trains_the_memory_alone(condenser: PixelCondenser) -> None:
    model = TrainingModel(condenser, StandInDistiller(), "memory")
    assert trained(model) == memory_names(condenser)


def test_stage_refinement_trains_what_follows_the_u_net() -> None:
    condenser = PixelCondenser(**CONDENSER, refinement_blocks=1, propagation_blocks=(0, 1, 1, 0))
    model = TrainingModel(condenser, StandInDistiller(), "refinement")
    parts = ("conv_norm_out.", "refinement.", "conv_out.", "propagation.")
    assert trained(model) == {
        f"pixel_condenser.{name}" for name, _ in condenser.named_parameters() if name.startswith(parts)
    }
    assert model.num_clips == 1
    model(*inputs(2)).square().mean().backward()
    assert condenser.propagation.conv_out.weight.grad is not None and condenser.conv_in.weight.grad is None


def test_stage_joint_with_distiller_trains_everything(condenser: PixelCondenser) -> None:
    model = TrainingModel(condenser, StandInDistiller(), "joint", train_distiller="all")
    assert trained(model) == {name for name, _ in model.named_parameters()}


def test_projections_are_trained_without_the_segmenter(condenser: PixelCondenser) -> None:
    model = TrainingModel(condenser, StandInDistiller(), "joint", train_distiller="projections")
    expected = {name for name, _ in model.named_parameters() if ".convolution." not in name}
    assert trained(model) == expected
    assert not model.semantic_distiller.training


def test_known_semantics_stand_for_the_distilled_ones(condenser: PixelCondenser) -> None:
    distiller = StandInDistiller()
    model = TrainingModel(condenser, distiller, "joint").eval()
    states, timestep, y, lr = inputs(4)
    with torch.no_grad():
        distilled = model(states, timestep, y, lr)
        known = distiller(lr)
        calls = distiller.calls
        given = model(states, timestep, y, lr, known.tokens, known.features)
    assert distiller.calls == calls
    torch.testing.assert_close(given, distilled)


def test_trainable_parameters_are_those_that_require_gradients(condenser: PixelCondenser) -> None:
    model = TrainingModel(condenser, StandInDistiller(), "memory")
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == sum(
        p.numel() for p in condenser.memory_parameters()
    )


def test_frozen_distiller_stays_in_evaluation_mode(condenser: PixelCondenser) -> None:
    frozen = TrainingModel(condenser, StandInDistiller(), "condenser").train()
    assert frozen.pixel_condenser.training and not frozen.semantic_distiller.training
    assert TrainingModel(condenser, StandInDistiller(), "joint", train_distiller="all").semantic_distiller.training


def test_second_clip_reads_what_the_first_wrote(condenser: PixelCondenser) -> None:
    distiller = StandInDistiller()
    model = TrainingModel(condenser, distiller, "joint").eval()
    states, timestep, y, lr = inputs(4)
    with torch.no_grad():
        both = model(states, timestep, y, lr)
        assert distiller.calls == 2
        alone = TrainingModel(condenser, distiller, "condenser").eval()
        first = alone(states[:, :2], timestep, y[:, :2], lr[:, :2])
        second = alone(states[:, 2:], timestep, y[:, 2:], lr[:, 2:])
    assert both.shape == states.shape
    torch.testing.assert_close(both[:, :2], first)
    assert (both[:, 2:] - second).abs().max() > 1e-4


def test_errors_name_the_argument(condenser: PixelCondenser) -> None:
    with pytest.raises(ValueError, match="`stage` is 'all'; it may be one of condenser, memory, joint, refinement"):
        TrainingModel(condenser, StandInDistiller(), "all")
    forgetful = PixelCondenser(**CONDENSER | {"texture_memory": False})
    with pytest.raises(
        ValueError, match="`stage` is 'memory'; this condenser has none to train, its `texture_memory`"
    ):
        TrainingModel(forgetful, StandInDistiller(), "memory")
    with pytest.raises(ValueError, match="`train_distiller` is 'all'; `stage` 'memory' trains a part"):
        TrainingModel(condenser, StandInDistiller(), "memory", train_distiller="all")
    with pytest.raises(ValueError, match="`train_distiller` is 'some'; it may be one of nothing, projections, all"):
        TrainingModel(condenser, StandInDistiller(), "joint", train_distiller="some")  # type: ignore[arg-type]


@pytest.mark.parametrize(("stage", "clips"), [("condenser", 1), ("joint", 2)])
def test_motion_compensation_looks_at_y_around_the_clips(stage: str, clips: int) -> None:
    """What y shows further than the condenser reaches makes no difference, and what is nearer does."""
    torch.manual_seed(0)
    switches = {"frame_semantics": False, "clip_semantics": False, "texture_memory": False}
    condenser = PixelCondenser(**CONDENSER | switches, motion_compensation=True, motion_reach=1)
    with torch.no_grad():
        for parameter in condenser.parameters():
            parameter.normal_(std=0.1)
    model = TrainingModel(condenser, StandInDistiller(), stage).eval()
    states, timesteps, _, lr = inputs(2 * clips)
    y = inputs(2 * clips + 4)[2]
    given = torch.stack([y, y, y], dim=0)
    given[1, :, 0] += 1  # two frames before the first clip
    given[2, :, 1] += 1  # the frame before it
    whole, further, nearer = (model(states, timesteps, each, lr) for each in given)
    assert torch.equal(whole, further)
    changed = (nearer - whole).abs().amax(dim=(0, 2, 3, 4)) > 1e-6
    assert changed[0] and not changed[2:].any()
    first = model.pixel_condenser(states[:, :2], timesteps, y[:, 1:5], first_frame=1).sample
    torch.testing.assert_close(whole[:, :2], first)
    alone = model(states, timesteps, y[:, 2:-2], lr)
    assert not torch.allclose(alone[:, 0], whole[:, 0], atol=1e-6)


def test_blocks_are_added_to_a_trained_condenser_and_change_nothing_at_first(
    randomize: Callable[..., nn.Module],
) -> None:
    trained = randomize(PixelCondenser(**CONDENSER)).eval()
    deeper = PixelCondenser(**CONDENSER, refinement_blocks=2).eval()
    clip = {"hidden_states": torch.randn(1, 2, 3, 16, 16), "timestep": 3, "low_res": torch.randn(1, 2, 3, 16, 16)}
    before = trained(**clip).sample
    assert not torch.allclose(deeper(**clip).sample, before)
    take_over(deeper, trained)
    assert torch.equal(deeper(**clip).sample, before)
    nn.init.constant_(deeper.refinement[1].conv2.bias, 0.1)
    assert not torch.equal(deeper(**clip).sample, before)

    wider = PixelCondenser(**CONDENSER | {"channels": (48, 32)})
    with pytest.raises(ValueError, match=r"`start_from` has `time_embedding.* there is no place: \(32, 48\)"):
        take_over(wider, trained)
    with pytest.raises(ValueError, match=r"`start_from` has `refinement.0.conv1.weight` .*: nothing there"):
        take_over(trained, deeper)
