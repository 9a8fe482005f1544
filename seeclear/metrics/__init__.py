# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Measures of upscaled video: fidelity, perceptual distance, temporal consistency."""

from .fidelity import psnr, psnr_y, rgb_to_y, ssim
from .perceptual import DISTS, LPIPS
from .temporal import frame_difference_error

__all__ = ["DISTS", "LPIPS", "frame_difference_error", "psnr", "psnr_y", "rgb_to_y", "ssim"]
