# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The version of this package; here and nowhere else."""

__version__ = "0.1.0"
