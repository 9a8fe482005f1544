# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import math

import pytest
import torch
import torch.nn.functional as F

from seeclear.models import SemanticDistiller
from seeclear.models.mobile_segmenter import MobileBackbone
from seeclear.training.distillation import (
    INSIDE_WEIGHT,
    NO_OBJECT_WEIGHT,
    WEIGHTS,
    Teacher,
    cross_entropy_cost,
    dice_cost,
    distillation_losses,
    label_loss,
    mask_losses,
    total_loss,
)


@pytest.fixture(scope="module")
def distiller() -> SemanticDistiller:
    torch.manual_seed(0)
    return SemanticDistiller(
        {"model_type": "mobile", "hidden_dim": 16, "num_queries": 5, "decoder_layers": 3},
        num_tokens=5,
        num_clip_tokens=4,
        instance_layers=1,
        vocabulary=("person", "animal"),
        text_dim=8,
        working_size=64 * 64,
    ).train()


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    torch.manual_seed(1)
    return Teacher(MobileBackbone(), 16)


def random_pairs(tokens: int = 4, instances: int = 3, pixels: int = 30) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return 3 * torch.randn(tokens, pixels, generator=generator), torch.rand(instances, pixels, generator=generator)


def test_costs_are_those_of_every_pair() -> None:
    logits, masks = random_pairs()
    dice, entropy = dice_cost(logits, masks), cross_entropy_cost(logits, masks)
    for token in range(4):
        for instance in range(3):
            inside, mask = logits[token].sigmoid(), masks[instance]
            expected = 1 - (2 * (inside * mask).sum() + 1) / (inside.sum() + mask.sum() + 1)
            torch.testing.assert_close(dice[token, instance], expected)
            weights = torch.tensor(INSIDE_WEIGHT)
            expected = F.binary_cross_entropy_with_logits(logits[token], mask, pos_weight=weights)
            torch.testing.assert_close(entropy[token, instance], expected)


def test_costs_by_hand() -> None:
    """A token that is sure and right costs nothing; one that is undecided log 2, one that is sure and wrong a lot; and
    twice that in the half that is inside.
    """
    masks = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    logits = torch.tensor([[50.0, 50, -50, -50], [0.0, 0, 0, 0], [-50.0, -50, 50, 50]])
    assert cross_entropy_cost(logits, masks)[:, 0].tolist() == pytest.approx([0, 1.5 * math.log(2), 75])
    # 1 - (2 * overlap + 1) / (areas + 1)
    assert dice_cost(logits, masks)[:, 0].tolist() == pytest.approx([0, 1 - 3 / 5, 1 - 1 / 5])


def test_mask_losses_find_who_is_who_over_the_whole_clip() -> None:
    """Four instances move; the tokens have them in another order, and one token has nothing."""
    masks = torch.zeros(4, 3, 8, 8)
    for instance in range(4):
        for frame in range(3):
            masks[instance, frame, 2 * instance : 2 * instance + 2, frame : frame + 4] = 1
    order = [2, 0, 3, 1]
    logits = torch.full((3, 5, 8, 8), -50.0)
    logits[:, :4] = 100 * masks[order].transpose(0, 1) - 50
    dice, entropy, tokens = mask_losses(logits, masks)
    assert tokens == [order.index(instance) for instance in range(4)]
    assert float(dice) == pytest.approx(0, abs=1e-6) and float(entropy) == pytest.approx(0, abs=1e-6)
    # a token that swaps its instance half way is wrong in one half
    logits[2] = logits[2, [1, 0, 2, 3, 4]]
    assert float(mask_losses(logits, masks)[1]) > 1


def test_labels_decide_where_masks_do_not() -> None:
    logits, masks = torch.zeros(1, 2, 4, 4), torch.ones(1, 1, 4, 4)
    for best in (0, 1):
        label_cost = torch.ones(2, 1)
        label_cost[best] = 0
        assert mask_losses(logits, masks, label_cost)[2] == [best]


def test_teacher_stays_as_it_is(teacher: Teacher) -> None:
    before = {name: value.clone() for name, value in teacher.backbone.state_dict().items()}
    pixels = torch.randn(1, 2, 3, 64, 64)
    tokens = torch.randn(1, 2, 5, 16, requires_grad=True)
    masks = torch.randn(1, 2, 5, 16, 16, requires_grad=True)
    teacher.eval()
    evaluated = teacher(pixels, tokens, masks)
    teacher.train()
    assert teacher.read.training and not any(module.training for module in teacher.backbone.modules())
    trained = teacher(pixels, tokens, masks)
    torch.testing.assert_close(trained, evaluated)
    trained.backward()
    assert tokens.grad is not None and masks.grad is not None
    assert float(tokens.grad.abs().sum()) > 0 and float(masks.grad.abs().sum()) > 0
    for name, value in teacher.backbone.state_dict().items():
        assert value.equal(before[name])
    assert all(parameter.grad is None for parameter in teacher.backbone.parameters())


@torch.no_grad()
def test_teacher_hears_the_token_that_a_pixel_belongs_to(teacher: Teacher) -> None:
    """Two tokens divide the frame between left and right; the loss is worked again, pixel by pixel."""
    pixels = torch.randn(1, 1, 3, 64, 64)
    tokens = torch.randn(1, 1, 2, 16)
    masks = torch.zeros(1, 1, 2, 16, 16)
    masks[..., 0, :, :8] = 100
    masks[..., 1, :, 8:] = 100
    target = F.layer_norm(teacher.backbone(pixels[0])[2][0].permute(1, 2, 0), (96,))  # (4, 4, 96)
    said = teacher.read(tokens[0, 0])
    expected = (
        torch.stack([said[0], said[0], said[1], said[1]])[None].sub(target).square().mean()  # by column
    )
    torch.testing.assert_close(teacher(pixels, tokens, masks), expected)


def batch_of(counts: list[int]) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(len(counts), 2, 3, 64, 64, generator=generator) * 2 - 1
    masks = torch.zeros(len(counts), 4, 2, 64, 64)
    masks[:, 0, :, :32] = 1
    masks[:, 1, :, 32:, :32] = 1
    labels = torch.tensor([[0, 1, 0, 0]]).expand(len(counts), -1)
    return clean + 0.01, clean, masks, labels, torch.tensor(counts)


def test_losses_reach_everything_that_is_trained(distiller: SemanticDistiller, teacher: Teacher) -> None:
    losses = distillation_losses(distiller, teacher, *batch_of([2, 1]))
    assert set(losses) == set(WEIGHTS)
    assert all(value.ndim == 0 and torch.isfinite(value) and value > 0 for value in losses.values())
    total = total_loss(losses)
    torch.testing.assert_close(total, sum(WEIGHTS[name] * value for name, value in losses.items()))
    total.backward()
    parameters = [*distiller.named_parameters(), *teacher.read.named_parameters()]
    without = [name for name, p in parameters if p.grad is None or not torch.isfinite(p.grad).all()]
    assert without == []
    still = {name for name, p in parameters if not p.grad.abs().sum()}
    assert still == set()
    distiller.zero_grad()


def test_without_instances_and_without_a_teacher(distiller: SemanticDistiller) -> None:
    losses = distillation_losses(distiller, None, *batch_of([0, 0]))
    assert set(losses) == {"dice", "mask", "label"}
    assert losses["dice"].item() == losses["mask"].item() == 0
    total_loss(losses).backward()
    assert distiller.no_object_embedding.grad is not None
    distiller.zero_grad()


def test_training_separates_two_halves(distiller: SemanticDistiller) -> None:
    """A few steps on two equal clips: the losses of the masks fall."""
    low_res, clean, masks, labels, counts = batch_of([2, 2])
    low_res = torch.where(masks[:, 0, :, None] > 0, 0.8, -0.8) + 0.05 * low_res
    optimizer = torch.optim.AdamW(distiller.parameters(), lr=4e-3)
    history = []
    for _ in range(4):
        losses = distillation_losses(distiller, None, low_res, clean, masks, labels, counts)
        optimizer.zero_grad()
        total_loss(losses).backward()
        optimizer.step()
        history.append(float(losses["dice"]))
    assert history[-1] < 0.8 * history[0]


def test_label_loss_by_hand() -> None:
    logits = torch.tensor([[1.0, 2.0, 0.0], [0.5, 0.0, 1.0], [0.0, 3.0, 1.0]])
    wanted = torch.tensor([0, 2, -1])  # a class, no object, any object
    probabilities = logits.softmax(dim=-1)
    expected = -probabilities[0, 0].log() - NO_OBJECT_WEIGHT * probabilities[1, 2].log()
    expected = (expected - (1 - probabilities[2, 2]).log()) / (2 + NO_OBJECT_WEIGHT)
    torch.testing.assert_close(label_loss(logits, wanted), expected)
    weights = torch.tensor([1.0, 1.0, NO_OBJECT_WEIGHT])
    torch.testing.assert_close(
        label_loss(logits[:2], wanted[:2]), F.cross_entropy(logits[:2], wanted[:2], weight=weights)
    )
