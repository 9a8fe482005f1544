# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What is measured, and how, as one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seeclear.app.paths import PathLike
from seeclear.metrics.evaluation import DEFAULT_METRICS, PERCEPTUAL
from seeclear.shipped import SCALE
from seeclear.values import number_within, whole_number

DEGRADATIONS = ("BI", "BD", "real")


@dataclass(frozen=True)
class EvaluationSettings:
    """What is measured, and how.

    Raises:
        ValueError: a value is out of its range, or two do not go together.
    """

    models: Sequence[str] = ()
    """Names of shipped weights, folders or Hub ids, of any of this package's pipelines; with no `predictions` either,
    the default model."""
    predictions: Sequence[PathLike] = ()
    """Folders of finished clips of other systems, each laid out as the originals, by their names."""
    low_res: PathLike | None = None
    """A folder of low-resolution clips of the same names; None makes them by `degradation`."""
    degradation: str = "BI"
    """"BI" (MATLAB's bicubic), "BD" (Gaussian blur of sigma 0.4 x scale, every scale-th pixel), or "real": what
    happens to videos, see [`seeclear.data.RealWorldDegradation`], drawn once for each clip by `seed` and its name."""
    crf: float | None = None
    """Make the low resolution an H.264 video (4:2:0, libx264) of this constant rate factor, 0 to 51, as videos in use
    are, after any `degradation`; None leaves it as it is."""
    scale: int = SCALE
    """Size of the originals over that of the low resolution."""
    protocol: str = "y"
    """"vid4", "reds4", "y" or "rgb": channel and border of PSNR and SSIM, see [`seeclear.metrics.protocols`]."""
    metrics: Sequence[str] = DEFAULT_METRICS
    """See [`seeclear.metrics.evaluation.METRICS`]."""
    perceptual_weights: PathLike | None = None
    """This, `niqe_parameters` and `stride`: see [`seeclear.metrics.evaluation.Evaluator`]."""
    niqe_parameters: PathLike | None = None
    stride: int = 1
    frames: int | None = None
    """Measure the first so many frames of each clip; None for all."""
    steps: Sequence[int] = ()
    """Numbers of denoising steps; empty for each model's default."""
    samplers: Sequence[str] = ()
    """Empty for each model's default. With one step all are the same, and only the first is run."""
    details: Sequence[float] = ()
    """Values of `detail`, 0 to 1, for models with a prior; empty for 1, all of what a model makes up."""
    seed: int = 0
    """Of the noise, the same for every clip; and of `degradation` "real", which needs one that is not negative."""
    device: str | None = None
    """This and `dtype`: as in `upscale_video`."""
    dtype: str = "auto"
    json_path: PathLike | None = None
    """A file to write the report to."""
    crops: PathLike | None = None
    """A folder for a picture of each clip: the place where the results differ most, side by side."""

    def __post_init__(self) -> None:
        if self.degradation not in DEGRADATIONS:
            raise ValueError(f"`degradation` must be one of {list(DEGRADATIONS)}, but is {self.degradation!r}.")
        whole_number("seed", self.seed)
        if self.degradation == "real" and self.seed < 0:
            raise ValueError(f"`seed` must be at least 0 for the degradation 'real', but is {self.seed}.")
        if self.low_res is not None:
            for name, differs in (("crf", self.crf is not None), ("degradation", self.degradation != "BI")):
                if differs:
                    raise ValueError(
                        f"`{name}` is for a low resolution that is made here; with `low_res` it has no meaning."
                    )
        if self.crf is not None:
            number_within("crf", self.crf, 0, 51)
        if not -(2**63) <= self.seed < 2**64:
            raise ValueError(f"`seed` is {self.seed}; it must have 64 bits at most.")
        if self.predictions and not self.models:
            for name, chosen in (("steps", self.steps), ("samplers", self.samplers), ("details", self.details)):
                if chosen:
                    raise ValueError(
                        f"`{name}` is for models, but only `predictions` are measured: name `models` too."
                    )
        for name, given, users in (
            ("perceptual_weights", self.perceptual_weights, PERCEPTUAL),
            ("niqe_parameters", self.niqe_parameters, ("niqe",)),
            ("stride", self.stride != 1, (*PERCEPTUAL, "niqe")),
        ):
            if given and not set(users) & set(self.metrics):
                raise ValueError(f"`{name}` has no meaning without one of {', '.join(users)} in `metrics`.")
        whole_number("scale", self.scale, least=1)
        if self.frames is not None:
            whole_number("frames", self.frames, least=1)
