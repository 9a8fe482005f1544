# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The named sizes of SeeClear (`tiny`, the shipped default, and `base`, the paper's scale) and of Semantic Lens: the
arguments of their networks.
"""

from typing import Any

from .basicvsr_weights import BASICVSR


def _swin(embed_dim: int, depths: list[int], heads: list[int]) -> dict[str, Any]:
    stages = ["stage1", "stage2", "stage3", "stage4"]
    return {
        "model_type": "swin",
        "embed_dim": embed_dim,
        "depths": depths,
        "num_heads": heads,
        "window_size": 7,
        "drop_path_rate": 0.0,
        "out_features": stages,
    }


PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "tiny": {
        "pixel_condenser": {
            "middle_layers": 2,
            "motion_compensation": True,
            "motion_reach": 2,
            # the widths of `semantic-lens-tiny`, from which the shipped weights' propagation began
            "propagation_blocks": (1, 2, 3, 1),
            "propagation_hidden_channels": 32,
            "propagation_neighbor_channels": 1,
        },
        "semantic_distiller": {
            "segmenter_config": {"model_type": "mobile", "positions": True},
            "num_tokens": 8,  # of 16 queries, so that the words decide
            "vocabulary": ("person", "animal", "vehicle"),
        },
    },
    "base": {
        "pixel_condenser": {
            "channels": (192, 320, 512, 832),
            "head_dim": 64,
            "self_attention": (True, True, True, True),
            "time_embed_dim": 512,
            "semantic_token_dim": 256,
            "semantic_feature_dim": 256,
            "token_dim": 256,
            "num_clip_tokens": 100,
            "num_groups": 256,
            "texture_dim": 256,
        },
        "semantic_distiller": {
            "segmenter_config": {
                "model_type": "mask2former",
                "backbone_config": _swin(96, [2, 2, 6, 2], [3, 6, 12, 24]),
                "num_queries": 200,
            },
            "num_tokens": 100,  # of 200 queries, so that the words decide
            "num_clip_tokens": 100,
            "instance_layers": 3,
            "heads": 8,
            "text_dim": 512,
            "open_vocabulary": True,
            "working_size": 480 * 832,
        },
    },
}

LENS_PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    # BasicVSR, whose weights it can start from (examples/convert_basicvsr.py), with semantic modules; the shipped
    # `semantic-lens` has a second pass in their place, and DIS in that of the flow network
    "semantic-lens": {
        "semantic_lens": BASICVSR | {"backward_blocks": 30, "forward_blocks": 30, "image": False},
        "semantic_distiller": PRESETS["tiny"]["semantic_distiller"],
    },
    # the distiller of SeeClear's `tiny`, so that one distiller serves both where the lens is SeeClear's prior
    "semantic-lens-tiny": {
        # IMAGE is off: what flow leaves to be aligned did not pay (docs/experiments/lens-modules.md)
        "semantic_lens": {
            "motion_compensation": True,
            "hidden_channels": 32,
            "neighbor_channels": 1,
            "image": False,
            "search_radius": 1,
            "attention_layers": 1,
        },
        "semantic_distiller": PRESETS["tiny"]["semantic_distiller"],
    },
}
