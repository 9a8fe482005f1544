# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Measures of upscaled video: fidelity, perceptual distance, naturalness, temporal consistency."""

from .fidelity import psnr, psnr_y, rgb_to_y, ssim
from .niqe import fit_niqe, load_niqe_parameters, niqe
from .perceptual import DISTS, LPIPS, perceptual_metric
from .temporal import frame_difference_error, warping_errors

__all__ = [
    "DISTS",
    "LPIPS",
    "fit_niqe",
    "frame_difference_error",
    "load_niqe_parameters",
    "niqe",
    "perceptual_metric",
    "psnr",
    "psnr_y",
    "rgb_to_y",
    "ssim",
    "warping_errors",
]
