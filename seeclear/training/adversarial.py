# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""An adversarial loss: a discriminator that is trained beside the network tells its frames from true ones, pixel by
pixel.

A U-Net (Schönfeld et al., CVPR 2020) with spectral normalisation (Miyato et al., ICLR 2018), as restoration of real
pictures uses it since Real-ESRGAN (Wang et al., 2021). It sees the enlarged low-resolution frame beside the frame that
it judges, so that detail which contradicts what was seen is found out, and not only detail that looks wrong.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.nn.functional as F
from accelerate.utils import reduce
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

SLOPE = 0.2
LEVELS = 3
"""By so many halvings the U-Net goes down."""


class UNetDiscriminator(nn.Module):
    """Says for every pixel how true a frame looks.

    Args:
        channels: C, width at full size; it doubles with every halving.
    """

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        widths = [channels * 2**level for level in range(LEVELS + 1)]

        def conv(inside: int, outside: int, kernel: int = 3, stride: int = 1) -> nn.Module:
            return spectral_norm(nn.Conv2d(inside, outside, kernel, stride, padding=1, bias=False))

        self.conv_in = nn.Conv2d(6, channels, 3, padding=1)
        self.down = nn.ModuleList(conv(widths[i], widths[i + 1], 4, 2) for i in range(LEVELS))
        self.up = nn.ModuleList(conv(widths[i + 1], widths[i]) for i in range(LEVELS))
        self.last = nn.ModuleList(conv(channels, channels) for _ in range(2))
        self.conv_out = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, frames: Tensor, low_res: Tensor) -> Tensor:
        """Logits (N, 1, H, W), above 0 where the frame looks true.

        Args:
            frames: what is judged, (N, 3, H, W) in [-1, 1]; H and W of at least 2^3.
            low_res: the low-resolution frames at that size, (N, 3, H, W) in [-1, 1].
        """
        features = F.leaky_relu(self.conv_in(torch.cat([frames, low_res], dim=1)), SLOPE)
        skips = []
        for down in self.down:
            skips.append(features)
            features = F.leaky_relu(down(features), SLOPE)
        for up in reversed(self.up):
            skip = skips.pop()
            features = F.interpolate(features, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            features = F.leaky_relu(up(features), SLOPE) + skip
        for conv in self.last:
            features = F.leaky_relu(conv(features), SLOPE)
        return self.conv_out(features)


class Adversary:
    """The discriminator with its optimiser, and the losses of both sides (Goodfellow et al., NeurIPS 2014, in the form
    that does not saturate).

    Args:
        learning_rate: of the discriminator, AdamW with betas 0.9 and 0.99.
        device: where it computes.
        channels: see [`UNetDiscriminator`].
    """

    def __init__(self, learning_rate: float, device: torch.device | str = "cpu", channels: int = 32) -> None:
        self.discriminator = UNetDiscriminator(channels).to(device)
        self.discriminator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(
            self.discriminator.parameters(), lr=learning_rate, betas=(0.9, 0.99), weight_decay=0.0
        )

    def loss(self, prediction: Tensor, low_res: Tensor, autocast: Callable[[], AbstractContextManager[Any]]) -> Tensor:
        """What the network that made `prediction` is to make small: how sure the discriminator is that it is not true.
        It must not be trained before this loss' gradient is worked out.

        Args:
            prediction, low_res: as [`UNetDiscriminator`] takes them.
            autocast: within what the discriminator computes.
        """
        self.discriminator.requires_grad_(False)
        with autocast():
            logits = self.discriminator(prediction, low_res)
        return F.softplus(-logits.float()).mean()

    def update(
        self, prediction: Tensor, target: Tensor, low_res: Tensor, autocast: Callable[[], AbstractContextManager[Any]]
    ) -> Tensor:
        """A step of the discriminator's training on predicted and true frames; its loss, without a gradient.

        Several processes average their gradients, and so keep the same discriminator.
        """
        self.discriminator.requires_grad_(True)
        with torch.enable_grad(), autocast():
            made_up = self.discriminator(prediction.detach(), low_res.detach())
            true = self.discriminator(target, low_res.detach())
        loss = F.softplus(made_up.float()).mean() + F.softplus(-true.float()).mean()
        self.optimizer.zero_grad()
        loss.backward()
        for parameter in self.discriminator.parameters():
            if parameter.grad is not None:
                parameter.grad = reduce(parameter.grad, "mean")
        self.optimizer.step()
        return loss.detach()

    def state_dict(self) -> dict[str, Any]:
        return {"discriminator": self.discriminator.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimizer.load_state_dict(state["optimizer"])
