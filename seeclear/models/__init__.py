# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from seeclear._registration import register

from .category import CaTeGory, CaTeGoryAttention
from .incam import InCAM
from .instance_tokens import InstanceEncoderDecoder
from .pixel_condenser import PixelCondenser, PixelCondenserOutput
from .presets import PRESETS, build_components
from .semantic_distiller import SemanticDistiller, SemanticDistillerOutput
from .size_requirement import SizeRequirement

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

register()
