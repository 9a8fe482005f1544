# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from seeclear.data import BicubicDegradation, ValidationClip, degrade
from seeclear.metrics import frame_difference_error, psnr, ssim
from seeclear.metrics.evaluation import (
    BICUBIC,
    color_shift,
    evaluate_clip,
    markdown_table,
    mean_over_clips,
    perceptual_distances,
)
from seeclear.metrics.perceptual import FeatureMetric
from seeclear.resize import imresize, to_uint8


class MeanDistance(FeatureMetric):
    """The distance between mean values, for tests."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.mean = torch.zeros(1)

    def features(self, images: Tensor) -> list[Tensor]:
        return [images.mean(dim=(1, 2, 3))]

    def distance(self, features: list[Tensor], reference: list[Tensor]) -> Tensor:
        return (features[0] - reference[0]).abs()


@pytest.fixture
def clip() -> ValidationClip:
    small = torch.rand(6, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    ground_truth = to_uint8(imresize(small, size=(24, 32)))
    low_res = degrade(ground_truth, BicubicDegradation())
    return {"name": "walk", "low_res": low_res, "ground_truth": ground_truth}


def brighter(frames: Tensor) -> Iterator[Tensor]:
    """Frame by frame, like a pipeline's stream."""
    for frame in frames:
        frame = imresize(frame, scale=4.0)
        frame[1] += 0.1
        yield frame


def test_figures_of_a_clip(clip: ValidationClip) -> None:
    seen = []
    result = evaluate_clip(
        clip,
        {"brighter": brighter, "exact": lambda _: clip["ground_truth"].float() / 255},
        lpips=MeanDistance(),
        perceptual_stride=4,
        on_output=lambda *output: seen.append(output),
    )
    assert (result.name, result.frames, list(result.measurements)) == ("walk", 6, [BICUBIC, "brighter", "exact"])
    assert [name for _, name, _ in seen] == [BICUBIC, "brighter", "exact"]

    bicubic = to_uint8(imresize(clip["low_res"].float() / 255, scale=4.0))
    assert torch.equal(seen[0][2], bicubic)
    figures = result.measurements[BICUBIC]
    assert figures.psnr_y == pytest.approx(psnr(bicubic, clip["ground_truth"]).mean().item())
    assert figures.ssim_y == pytest.approx(ssim(bicubic, clip["ground_truth"]).mean().item())
    assert figures.frame_difference_error == pytest.approx(frame_difference_error(bicubic, clip["ground_truth"]))
    assert figures.color_shift == 0 and figures.dists is None and figures.seconds_per_frame > 0
    chosen = [0, 4]
    means = [(x[chosen].float() / 127.5 - 1).mean(dim=(1, 2, 3)) for x in (bicubic, clip["ground_truth"])]
    assert figures.lpips == pytest.approx((means[0] - means[1]).abs().mean().item(), abs=1e-5)

    assert result.measurements["brighter"].color_shift == pytest.approx(25.5, abs=3)
    exact = result.measurements["exact"]
    assert exact.psnr_y == float("inf") and exact.lpips == 0 and exact.frame_difference_error == 0


def test_color_shift_is_that_of_the_worst_channel() -> None:
    a, b = torch.full((2, 3, 4, 4), 100, dtype=torch.uint8), torch.full((2, 3, 4, 4), 100, dtype=torch.uint8)
    a[:, 0] += 1
    a[0, 2] -= 6
    assert color_shift(a, b) == pytest.approx(3.0)


def test_stride_of_perceptual_distances(clip: ValidationClip) -> None:
    outputs = {"same": clip["ground_truth"], "dark": torch.zeros_like(clip["ground_truth"])}
    distances = perceptual_distances(outputs, clip["ground_truth"], MeanDistance(), stride=5)
    expected = clip["ground_truth"][[0, 5]].float().mean().item() / 127.5
    assert distances == {"same": 0.0, "dark": pytest.approx(expected, abs=1e-5)}


def test_means_and_table(clip: ValidationClip) -> None:
    one = evaluate_clip(clip, {"brighter": brighter})
    two = evaluate_clip({**clip, "low_res": clip["low_res"].flip(0)}, {"brighter": brighter})
    means = mean_over_clips([one, two])
    figures = [result.measurements["brighter"].psnr_y for result in (one, two)]
    assert means["brighter"].psnr_y == pytest.approx(sum(figures) / 2)
    assert means["brighter"].lpips is None
    lines = markdown_table(means).splitlines()
    assert len(lines) == 4 and len({line.count("|") for line in lines}) == 1
    assert "LPIPS" not in lines[0] and lines[2].startswith("| bicubic |") and "(+0.000)" in lines[2]
    assert f"{means['brighter'].psnr_y:.3f}" in lines[3]
    with pytest.raises(ValueError, match="at least one"):
        mean_over_clips([])


def test_bad_arguments(clip: ValidationClip) -> None:
    with pytest.raises(ValueError, match="must not name one"):
        evaluate_clip(clip, {BICUBIC: brighter})
    with pytest.raises(ValueError, match="perceptual_stride"):
        evaluate_clip(clip, {}, perceptual_stride=0)
    with pytest.raises(ValueError, match="'small' gave frames of shape"):
        evaluate_clip(clip, {"small": lambda frames: frames})
    single: ValidationClip = {"name": "one", "low_res": clip["low_res"][:1], "ground_truth": clip["ground_truth"][:1]}
    with pytest.raises(ValueError, match="two frames"):
        evaluate_clip(single, {})
