# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from seeclear._registration import register

register()

from .category import CaTeGory, CaTeGoryAttention  # noqa: E402
from .incam import InCAM  # noqa: E402
from .instance_tokens import InstanceEncoderDecoder  # noqa: E402
from .pixel_condenser import PixelCondenser, PixelCondenserOutput  # noqa: E402
from .presets import PRESETS, build_components  # noqa: E402
from .semantic_distiller import SemanticDistiller, SemanticDistillerOutput  # noqa: E402
from .size_requirement import SizeRequirement  # noqa: E402

__all__ = [
    "PRESETS",
    "CaTeGory",
    "CaTeGoryAttention",
    "InCAM",
    "InstanceEncoderDecoder",
    "PixelCondenser",
    "PixelCondenserOutput",
    "SemanticDistiller",
    "SemanticDistillerOutput",
    "SizeRequirement",
    "build_components",
]
