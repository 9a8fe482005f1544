# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What the training scripts in examples/ share: losses, random draws, data, checkpoints, validation, model cards."""
