# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The losses that training scripts share: what of a batch they compare, and how they add up."""

import argparse
from contextlib import nullcontext

import pytest
import torch

from seeclear.models.optical_flow import clip_flow
from seeclear.training.frame_losses import (
    FrameLosses,
    add_loss_arguments,
    check_loss_arguments,
    describe_losses,
    planned_loss,
)
from seeclear.training.losses import charbonnier_loss, color_loss, grid_loss, steadiness_loss
from seeclear.training.sampling import clip_generators


def arguments(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lpips_weights_path")
    parser.add_argument("--mixed_precision")
    add_loss_arguments(parser)
    args = parser.parse_args(given)
    check_loss_arguments(parser, args)
    return args


@pytest.mark.parametrize(("frames", "compared"), [(1, 1), (2, 2), (3, 2)])
def test_so_many_frames_of_every_clip_count(frames: int, compared: int) -> None:
    """Of each frame that counts one square does, the same of all that is compared."""
    losses = FrameLosses(arguments("--lpips_crop_size", "16", "--lpips_frames", str(frames)))
    prediction = torch.rand(4, 2, 3, 24, 24, requires_grad=True)
    clips = (prediction, 2 * prediction.detach())
    chosen, doubled = losses.compared_frames(clips, clip_generators(0, range(4)))
    assert chosen.shape == (4 * compared, 3, 16, 16)
    assert torch.equal(doubled, 2 * chosen)
    (gradient,) = torch.autograd.grad(chosen.sum(), prediction)
    for clip in gradient.sum(dim=(2, 3, 4)).tolist():
        assert sorted(clip) == [0] * (2 - compared) + [3 * 16 * 16] * compared


def test_the_losses_add_up_by_their_weights() -> None:
    prediction, x0, y = (torch.rand(2, 3, 3, 32, 32) * 2 - 1 for _ in range(3))
    args = arguments("--grid_weight", "2", "--color_weight", "3", "--steadiness_weight", "0.5")
    losses = FrameLosses(args)
    assert not losses.networks and losses.perceptual is None and losses.adversary is None
    expected = charbonnier_loss(prediction, x0) + 2 * grid_loss(prediction, x0) + 3 * color_loss(prediction, x0)
    expected = expected + 0.5 * steadiness_loss(prediction, x0, clip_flow(x0, 4))
    loss = losses(prediction, x0, y, clip_generators(0, range(2)), nullcontext)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(planned_loss(losses, (prediction, x0, y), nullcontext), expected)
    assert describe_losses(args) == "Charbonnier + 2.0 grid + 3.0 color + 0.5 steadiness"


def test_the_discriminator_is_trained_and_then_asked() -> None:
    prediction, x0, y = (torch.rand(1, 2, 3, 32, 32) * 2 - 1 for _ in range(3))
    losses = FrameLosses(arguments("--adversarial_weight", "0.1"))
    assert losses.adversary is not None and list(losses.networks) == ["discriminator"]
    before = [p.detach().clone() for p in losses.adversary.discriminator.parameters()]
    loss = losses(prediction.requires_grad_(), x0, y, clip_generators(0, [0]), nullcontext)
    assert any(
        not torch.equal(p, old) for p, old in zip(losses.adversary.discriminator.parameters(), before, strict=True)
    )
    assert loss > charbonnier_loss(prediction, x0)
    loss.backward()
    assert prediction.grad is not None and prediction.grad.isfinite().all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--lpips_weight", "1"], "--lpips_weight needs --lpips_weights_path"),
        (["--dists_weight", "1"], "--dists_weight needs --lpips_weights_path"),
        (["--adversarial_weight", "1", "--mixed_precision", "fp16"], "--adversarial_weight does not go with"),
        (["--lpips_frames", "0"], "--lpips_frames is 0; it must be at least 1"),
        (["--lpips_crop_size", "8"], "--lpips_crop_size is 8; it must be at least 16"),
        (["--steadiness_weight", "-1"], "--steadiness_weight is -1.0; it must be at least 0"),
        (["--grid_weight", "nan"], "--grid_weight is nan; it must be at least 0"),
    ],
)
def test_bad_arguments(given: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments(*given)
    assert ended.value.code == 2 and message in capsys.readouterr().err
