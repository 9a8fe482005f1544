# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The configuration of Semantic Lens: which arguments go together, and which inputs fit them.

`config` is what diffusers keeps of the lens' arguments, by their names.
"""

from typing import Any

from torch import Tensor

CHOICES = {
    "trunk_input": ("features", "frames"),
    "flow": ("dis", "spynet"),
    "upsampling": ("direct", "two-step"),
    "skip": ("bicubic", "bilinear"),
}


def moves(config: Any) -> bool:
    """Whether the lens moves anything along the optical flow."""
    return config.motion_compensation or config.trunk_input == "frames"


def check_config(config: Any) -> None:
    """Raises a ValueError where the lens' arguments do not go together."""
    channels = config.channels
    if channels % config.head_dim or channels % config.alignment_heads:
        raise ValueError(
            f"`channels` is {channels}; it must be a multiple of `head_dim` {config.head_dim} and of "
            f"`alignment_heads` {config.alignment_heads}"
        )
    if config.motion_compensation and channels % config.scale**2:
        raise ValueError(f"`channels` is {channels}; motion compensation needs a multiple of {config.scale**2}")
    for name, choices in CHOICES.items():
        if config[name] not in choices:
            raise ValueError(f"`{name}` is {config[name]!r}; it must be one of {', '.join(choices)}")
    if config.trunk_input == "frames" and config.extraction_blocks != 0:
        raise ValueError(
            f"`extraction_blocks` is {config.extraction_blocks}; with `trunk_input` 'frames' there are none, 0"
        )
    if config.second_order and config.trunk_input != "frames":
        raise ValueError("`second_order` is on; a lens whose branches know features has it not")
    if config.second_pass_blocks is not None:
        if config.trunk_input != "frames":
            raise ValueError("`second_pass_blocks` is given; a lens whose branches know features has no second pass")
        if len(config.second_pass_blocks) != 4 or min(config.second_pass_blocks) < 0:
            raise ValueError(f"`second_pass_blocks` is {config.second_pass_blocks}; it must be four numbers of blocks")
        if channels % config.scale**2:
            raise ValueError(f"`channels` is {channels}; a second pass needs a multiple of {config.scale**2}")
    if config.cleaning_blocks is not None and config.cleaning_blocks < 1:
        raise ValueError(f"`cleaning_blocks` is {config.cleaning_blocks}; it must be at least 1, or None")
    if config.fused_branches is False and not config.coupled_branches:
        raise ValueError("`fused_branches` and `coupled_branches` are off; the backward branch would have no use")
    if config.flow != "dis" and not moves(config):
        raise ValueError(f"`flow` is {config.flow!r}; a lens that moves nothing needs no network for it")


def check_inputs(
    config: Any,
    low_res: Tensor,
    features: Tensor | None,
    clip_tokens: Tensor | None,
    clip_masks: Tensor | None,
    region: Tensor | None,
    flow: Tensor | None,
) -> None:
    """Raises a ValueError where what the lens is given does not fit it or each other."""
    if low_res.ndim != 5 or low_res.shape[2] != 3:
        raise ValueError(f"`low_res` is {tuple(low_res.shape)}; it must be (B, F, 3, H, W)")
    batch_size, num_frames, _, height, width = low_res.shape
    clip = (batch_size, num_frames)
    needed: list[tuple[str, str, Tensor | None, tuple[int | None, ...]]] = [
        ("gps", "features", features, (*clip, config.semantic_feature_dim, None, None)),
        ("isee", "clip_tokens", clip_tokens, (batch_size, None, config.semantic_token_dim)),
        ("image", "clip_masks", clip_masks, (*clip, None, None, None)),
    ]
    for switch, name, value, shape in needed:
        if not config[switch]:
            continue
        if value is None:
            raise ValueError(f"`{name}` is None; a network with `{switch}` needs it")
        if value.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, value.shape, strict=True)):
            wanted = ", ".join("any" if n is None else str(n) for n in shape)
            raise ValueError(f"`{name}` is {tuple(value.shape)}; it must be ({wanted})")
    if region is not None and tuple(region.shape) != (batch_size, 4):
        raise ValueError(f"`region` is {tuple(region.shape)}; it must be ({batch_size}, 4)")
    of_flow = (batch_size, 2, num_frames - 1, 2, height, width)
    if flow is not None and tuple(flow.shape) != of_flow:
        raise ValueError(f"`flow` is {tuple(flow.shape)}; it must be {of_flow}")
