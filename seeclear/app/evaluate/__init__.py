# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Measures models, and frames that any other system made, against originals."""

from seeclear.app.models import load_model

from .evaluation import Evaluation, evaluate
from .settings import EvaluationSettings

__all__ = ["Evaluation", "EvaluationSettings", "evaluate", "load_model"]
