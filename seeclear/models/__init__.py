# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from .category import CaTeGory, CaTeGoryAttention
from .incam import InCAM
from .instance_tokens import InstanceEncoderDecoder
from .pixel_condenser import PixelCondenser, PixelCondenserOutput
from .presets import LENS_PRESETS, PRESETS
from .semantic_distiller import SemanticDistiller, SemanticDistillerOutput
from .semantic_lens import SemanticLens, SemanticLensOutput
from .size_requirement import SizeRequirement

__all__ = [
    "LENS_PRESETS",
    "PRESETS",
    "CaTeGory",
    "CaTeGoryAttention",
    "InCAM",
    "InstanceEncoderDecoder",
    "PixelCondenser",
    "PixelCondenserOutput",
    "SemanticDistiller",
    "SemanticDistillerOutput",
    "SemanticLens",
    "SemanticLensOutput",
    "SizeRequirement",
]
