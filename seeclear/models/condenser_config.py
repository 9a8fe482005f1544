# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The Pixel Condenser's configuration: which arguments go together, what its levels are, which inputs fit it.

`config` is what diffusers keeps of the condenser's arguments, by their names.
"""

from typing import Any

from torch import Tensor

from .condenser_levels import LevelSpec
from .size_requirement import SizeRequirement


def layers_of_levels(config: Any) -> tuple[int, ...]:
    """The residual blocks in an encoder level and in a decoder level, for every level, the finest first."""
    layers, levels = config.layers_per_level, len(config.channels)
    return (layers,) * levels if isinstance(layers, int) else tuple(layers)


def level_specs(config: Any) -> list[LevelSpec]:
    """Of every level, the finest first, from the condenser's configuration."""
    widths = zip(config.channels, config.self_attention, layers_of_levels(config), strict=True)
    return [
        LevelSpec(
            channels=width,
            layers=layers,
            time_embed_dim=config.time_embed_dim,
            head_dim=config.head_dim,
            window_size=config.window_size,
            self_attention=attends,
            shift=(len(config.channels) - level) % 2 == 1,  # windows of neighboring levels against each other
            token_dim=config.token_dim,
            semantic_feature_dim=config.semantic_feature_dim,
            texture_dim=config.texture_dim if config.texture_memory and layers else None,
            frame_semantics=config.frame_semantics,
            clip_semantics=config.clip_semantics,
            multi_frame_attention=config.multi_frame_attention,
        )
        for level, (width, attends, layers) in enumerate(widths)
    ]


def check_config(config: Any) -> None:
    """Raises a ValueError where the condenser's arguments do not go together."""
    channels, blocks = tuple(config.channels), config.propagation_blocks
    if config.clip_semantics and not config.frame_semantics:
        raise ValueError("`clip_semantics` is on; it needs `frame_semantics`")
    if config.texture_memory and not config.clip_semantics:
        raise ValueError("`texture_memory` is on; it needs `clip_semantics`")
    if any(width % config.head_dim for width in (*channels, config.token_dim, config.texture_dim)):
        raise ValueError(
            f"`channels` {channels}, `token_dim` and `texture_dim` must be multiples of head_dim={config.head_dim}"
        )
    if len(config.self_attention) != len(channels):
        raise ValueError(
            f"`self_attention` has {len(config.self_attention)} entries; there are {len(channels)} levels"
        )
    if len(layers_of_levels(config)) != len(channels) or min(layers_of_levels(config)) < 0:
        raise ValueError(
            f"`layers_per_level` is {config.layers_per_level}; it must be a number of blocks, or one for each of the "
            f"{len(channels)} levels"
        )
    if config.motion_compensation and config.wavelet_levels < 1:
        raise ValueError(
            f"`motion_compensation` is on; it needs `wavelet_levels` of at least 1, not {config.wavelet_levels}"
        )
    if config.motion_reach < 1:
        raise ValueError(f"`motion_reach` is {config.motion_reach}; it must be at least 1")
    if config.prior_feature_channels is not None:
        if config.prior_feature_channels < 1:
            raise ValueError(
                f"`prior_feature_channels` is {config.prior_feature_channels}; it must be at least 1, or None"
            )
        _check_grid(config, "prior_feature_channels")
    if blocks is None:
        return
    if len(blocks) != 4 or min(blocks) < 0:
        raise ValueError(f"`propagation_blocks` is {blocks}; it must be four numbers of blocks")
    _check_grid(config, "propagation_blocks")
    if channels[0] % config.scale**2:
        raise ValueError(
            f"`channels` begins with {channels[0]}; `propagation_blocks` needs a multiple of {config.scale**2}"
        )


def _check_grid(config: Any, argument: str) -> None:
    """Raises a ValueError unless the wavelet grid is of the LR frames' size, as what an argument switches on needs."""
    if 2**config.wavelet_levels != config.scale:
        raise ValueError(
            f"`{argument}` is given; it needs a wavelet grid of the LR frames' size, and `wavelet_levels` "
            f"{config.wavelet_levels} makes it 1/{2**config.wavelet_levels} of the HR frames', not 1/{config.scale}"
        )


def check_inputs(
    config: Any,
    size_requirement: SizeRequirement,
    hidden_states: Tensor,
    low_res: Tensor,
    tokens: Tensor | None,
    features: Tensor | None,
    flow: Tensor | None,
    first_frame: int,
    prior_features: Tensor | None = None,
) -> None:
    """Raises a ValueError where what the condenser is given does not fit it or each other."""
    batch_and_size = [(x.shape[:1], x.shape[2:]) for x in (hidden_states, low_res)]
    if hidden_states.ndim != 5 or batch_and_size[0] != batch_and_size[1]:
        raise ValueError(
            f"`hidden_states` is {tuple(hidden_states.shape)} and `low_res` {tuple(low_res.shape)}; "
            "they must be (B, F, 3, sH, sW) and (B, G, 3, sH, sW)"
        )
    if not 0 <= first_frame <= low_res.shape[1] - hidden_states.shape[1]:
        raise ValueError(
            f"`first_frame` is {first_frame}; `low_res` must have {hidden_states.shape[1]} frames from there on, "
            f"and has {low_res.shape[1]} in all"
        )
    if (tokens is None) != (features is None):
        raise ValueError("`tokens` and `features` belong together; one is None")
    batch_size, _, _, height, width = hidden_states.shape
    SizeRequirement(size_requirement.multiple_of * config.scale).check("hidden_states", height, width)
    of_flow = (batch_size, 2, low_res.shape[1] - 1, 2, height // config.scale, width // config.scale)
    if flow is not None and tuple(flow.shape) != of_flow:
        raise ValueError(f"`flow` is {tuple(flow.shape)}; it must be {of_flow}")
    if prior_features is None:
        return
    if config.prior_feature_channels is None:
        raise ValueError("`prior_features` was given; `prior_feature_channels` is None, and no features are looked at")
    frames, sides = hidden_states.shape[1], (height // config.scale, width // config.scale)
    of_features = (batch_size, frames, config.prior_feature_channels, *sides)
    if tuple(prior_features.shape) != of_features:
        raise ValueError(f"`prior_features` is {tuple(prior_features.shape)}; it must be {of_features}")
