# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Optical flow by SPyNet (Ranjan & Black, CVPR 2017), a network that stays on the device where frames are.

Flow maps (N, 2, h, w) hold x and y in pixels of their own grid, as everywhere (`optical_flow`).
"""

from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import in_parts, zero_init
from .optical_flow import warp

LEVELS = 6
CHANNELS = (8, 32, 64, 32, 16, 2)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pictures in [0, 1], red, green, blue."""


def _level() -> nn.Sequential:
    """Reference, moved support and flow (N, 8, h, w) -> what to add to the flow (N, 2, h, w)."""
    convolutions = [nn.Conv2d(before, after, 7, padding=3) for before, after in pairwise(CHANNELS)]
    zero_init(convolutions[-1])  # untrained: no motion
    layers = [layer for convolution in convolutions for layer in (convolution, nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def enlarge_flow(flow: Tensor) -> Tensor:
    """(N, 2, h, w) -> (N, 2, 2h, 2w), in pixels of twice the size; the corners of both lie on each other."""
    return 2 * F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=True)


def resize_flow(flow: Tensor, height: int, width: int) -> Tensor:
    """(N, 2, h, w) -> (N, 2, height, width), in pixels of that size."""
    rows, columns = flow.shape[-2:]
    x, y = F.interpolate(flow, size=(height, width), mode="bilinear", align_corners=False).unbind(dim=1)
    return torch.stack([x * (width / columns), y * (height / rows)], dim=1)


class SPyNet(nn.Module):
    """Flow from coarse to fine, 1.44 M parameters.

    Frames are brought to sides that are multiples of 32 and halved five times. On every size, the smallest first, the
    flow found so far is enlarged, the supporting frame moved along it, and a stack of five 7x7 convolutions finds
    what is missing. Untrained it finds no motion.

    Places are computed in float32, whatever the dtype of the convolutions.
    """

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList(_level() for _ in range(LEVELS))

    def forward(self, frames: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """The flow between the frames of a clip.

        Args:
            frames: (B, F, 3, h, w) in [-1, 1], of any size.
            dtype: what the convolutions compute in.

        Returns:
            (B, 2, F - 1, 2, h, w), float32: first from every frame but the last to the next one, then from every frame
            but the first to the one before.
        """
        batch_size, num_frames, _, height, width = frames.shape
        shape = (batch_size, 2, max(0, num_frames - 1), 2, height, width)
        if 0 in shape:
            return torch.zeros(shape, device=frames.device)
        pictures = self.normalize(frames.flatten(0, 1).float()).unflatten(0, (batch_size, num_frames))
        found = []
        for pair in pairwise(pictures.unbind(dim=1)):
            both_ways = in_parts(partial(self.pair_flow, dtype=dtype), torch.cat(pair), torch.cat(pair[::-1]))
            found.append(resize_flow(both_ways, height, width).unflatten(0, (2, batch_size)))
        return torch.stack(found, dim=2).transpose(0, 1)

    @staticmethod
    def normalize(frames: Tensor) -> Tensor:
        """Frames (N, 3, h, w) in [-1, 1] -> (N, 3, H, W) of ImageNet's mean and deviation, sides multiples of 32."""
        multiple = 2 ** (LEVELS - 1)
        size = [-(-side // multiple) * multiple for side in frames.shape[-2:]]
        colours = zip(frames.unbind(dim=1), MEAN, DEVIATION, strict=True)
        normalized = torch.stack([((x + 1) / 2 - mean) / deviation for x, mean, deviation in colours], dim=1)
        return F.interpolate(normalized, size=size, mode="bilinear", align_corners=False)

    def pair_flow(self, reference: Tensor, support: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """From `reference` to `support`, both (N, 3, H, W) as [`normalize`] gives them -> (N, 2, H, W), float32."""
        pyramid = [(reference, support)]
        for _ in range(LEVELS - 1):
            reference, support = (F.avg_pool2d(x, 2) for x in pyramid[-1])
            pyramid.append((reference, support))
        flow = torch.zeros_like(reference[:, :2])
        for level, (reference, support) in zip(self.levels, reversed(pyramid), strict=True):
            if flow.shape[-1] < reference.shape[-1]:
                flow = enlarge_flow(flow)
            seen = torch.cat([reference, warp(support, flow), flow], dim=1)
            flow = flow + level(seen.to(dtype, memory_format=torch.channels_last)).float()
        return flow
