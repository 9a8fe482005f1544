# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""LPIPS and DISTS as losses. What is a loss here is a metric of the evaluation as well, and no longer an independent
one.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from seeclear.metrics.perceptual import DISTS, LPIPS, FeatureMetric


class PerceptualLoss(nn.Module):
    """A weighted sum of perceptual distances between predicted and true frames.

    Args:
        weights: the folder with the metrics' weights, or the file of LPIPS where that alone is wanted.
        lpips: the weight of LPIPS-VGG; 0 leaves it out.
        dists: the weight of DISTS; 0 leaves it out.

    Raises:
        ValueError: a file of weights is missing or of another layout.
    """

    def __init__(self, weights: str | Path, lpips: float, dists: float) -> None:
        super().__init__()
        metrics: list[FeatureMetric] = []
        self.shares = [share for share in (lpips, dists) if share > 0]
        if lpips > 0:
            metrics.append(LPIPS(weights))
        if dists > 0:
            metrics.append(DISTS(weights))
        self.metrics = nn.ModuleList(metrics)

    def forward(
        self, prediction: Tensor, target: Tensor, autocast: Callable[[], AbstractContextManager[Any]]
    ) -> Tensor:
        """The mean over the frames (N, 3, H, W) in [-1, 1] of at least 32 pixels a side; a scalar.

        Args:
            prediction, target: frames.
            autocast: within what the classifiers compute; the distances are in float32.
        """
        total = torch.zeros((), device=prediction.device)
        for share, module in zip(self.shares, self.metrics, strict=True):
            metric = cast(FeatureMetric, module)
            with autocast():
                predicted = metric.features(prediction)
                with torch.no_grad():
                    true = metric.features(target)
            total = total + share * metric.distance(predicted, true).mean()
        return total
