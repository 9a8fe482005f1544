# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The settings of an upscaling, and what they come to for a video of a given size."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from seeclear.pipelines.settings import RestorationSettings
from seeclear.shipped import AUTOMATIC_MODEL, SCALE
from seeclear.values import number_within, positive_number, shown, switch, whole_number
from seeclear.video.codecs import EncodeSettings
from seeclear.video.excerpt import Excerpt, Time

# Taken where no budget is named. A fixed number, not what happens to be free: the tile, and with it
# the last bits of the result, shall not depend on the moment.
DEFAULT_MEMORY = "4GB"
LARGE_FRAMES_TILE = 224
"""LR pixels. For `seeclear-tiny` and frames of 1920x1080 the estimate is 5.5 GB, and the most that a job of 13 frames
took was 4.5 GB."""

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}

Tile = int | tuple[int, int]


AUTOMATIC = "auto"


@dataclass(frozen=True)
class UpscaleSettings(RestorationSettings, EncodeSettings):
    """All that decides what an upscaled video looks like.

    How it is restored is described in [`RestorationSettings`], how it is encoded in
    [`seeclear.video.codecs.EncodeSettings`]. Where `memory` is None, `tile` and `clip_length` are taken as they are
    there; else what is None among them is chosen.

    Raises:
        ValueError: a value is of another kind or out of its range, or two do not go together.
    """

    model: str = AUTOMATIC_MODEL
    """Name of a shipped model, a folder, or a repository id of a model hub. "auto" looks at each video, or at the part
    of it that is restored, and takes what [`seeclear.app.models.choose_model`] finds for it; `./auto` is a folder."""
    device: str | None = None
    """Such as "cpu", "cuda" or "mps"; None takes the fastest there is."""
    dtype: str = "auto"
    """"auto", "fp32", "bf16" or "fp16"."""
    scale: float | None = None
    """Output size over input size, 1 to 4, any real number; None is the model's factor, unless `width` or `height` is
    given. What the model makes is resampled."""
    width: int | None = None
    """Of the output as it is shown, in pixels; alone, it keeps the aspect ratio."""
    height: int | None = None
    """Likewise."""
    memory: str | int | None = AUTOMATIC
    """The largest peak memory, such as "4GB" or a number of bytes, from which the tile is chosen, and shorter clips
    where small tiles are not enough; not beside a `tile`. "auto" is 4 GB, and for frames that are too large for that
    what tiles of `LARGE_FRAMES_TILE` and the shortest clips need. None chooses nothing."""
    fps: Fraction | None = None
    """Frames per second of a folder of images; None is 25. Videos have their own."""
    start: Time | None = None
    """Time from which on frames are restored: seconds, or text such as "1:30" or "01:02:03.5"; None is the beginning.
    Of videos only. Sound and all else are cut to the same part, whose first frame is at time 0."""
    duration: Time | None = None
    """How long a part is restored, likewise; None is all that follows."""
    frames: int | None = None
    """Instead of `duration`: at most so many frames; of images too."""
    deinterlace: bool = False
    """Make one picture of the two fields of each frame that says it is interlaced (FFmpeg's `bwdif`), as many frames
    as before; others stay as they are. Film that was telecined is not put together again."""
    grain: float = 0.0
    """How much of the input's grain is given back, from 0 to 1: its strength is measured, and fresh grey grain of that
    times this one added to each frame at the size of the output (`seeclear.video.grain`). The grain depends on `seed`
    and the number of the frame. 0 adds none; neither is any added where the input has none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._make_plain(_text, "model", "dtype", "noise", "sampler", "codec", "preset", "pix_fmt", "audio")
        self._make_plain(number_within, "scale", low=1, high=SCALE)
        self._make_plain(number_within, "grain", low=0, high=1)
        self._make_plain(whole_number, "width", "height", "frames", least=1)
        self._make_plain(whole_number, "crf")
        self._make_plain(positive_number, "fps")
        self._make_plain(switch, "deinterlace", "exact_size")
        if self.scale is not None and (self.width is not None or self.height is not None):
            raise ValueError("give `scale`, or `width` and `height`, not both.")
        if self.memory not in (None, AUTOMATIC):
            if self.tile is not None:
                raise ValueError("give `tile` or `memory`, not both: the tile is chosen from the memory.")
            parse_memory(self.memory)
        _ = self.excerpt  # refuses what it cannot

    def refuse_sampling(self, pipeline: str) -> None:
        """As in [`RestorationSettings`]; where `grain` is added, `seed` decides that with every pipeline."""
        RestorationSettings.refuse_sampling(replace(self, seed=0) if self.grain else self, pipeline)

    @property
    def excerpt(self) -> Excerpt:
        """The part of the video that is restored."""
        return Excerpt.parse(self.start, self.duration, self.frames)


def output_size(
    width: int, height: int, scale: float | None, out_width: int | None, out_height: int | None, model_scale: int
) -> tuple[int, int]:
    """(width, height) of the output; halves are rounded up, and no side becomes smaller than the input's.

    Raises:
        ValueError: a side would be smaller than the input's or more than `model_scale` times as long.
    """
    if out_width is None and out_height is None:
        factor = model_scale if scale is None else scale
        if factor > model_scale:
            raise ValueError(f"`scale` must be from 1 to {model_scale} with this model, but was {factor:g}.")
        return _round(factor * width), _round(factor * height)
    for name, wanted, given in (("width", out_width, width), ("height", out_height, height)):
        if wanted is not None and not given <= wanted <= model_scale * given:
            raise ValueError(
                f"`{name}` must be from {given} to {model_scale * given} for an input of {width}x{height}, "
                f"but was {wanted}."
            )
    if out_width is None:
        assert out_height is not None
        out_width = _round(out_height * width / height)
    elif out_height is None:
        out_height = _round(out_width * height / width)
    return out_width, out_height


def parse_memory(text: str | int) -> int:
    """Bytes of "4GB", "500 MB", "2GiB", "3.5G" or a number of bytes.

    Raises:
        ValueError: another form, or not positive.
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?I?)B?", str(text).strip().upper())
    amount = float(match[1]) * _UNITS.get(match[2], 0) if match else 0
    if amount < 1:
        raise ValueError(f"`memory` must be a size such as 4GB or 500MB, but was {str(text)!r}.")
    return int(amount)


def parse_tile(text: str) -> Tile | None:
    """A tile as it is typed: "256" is a side, "192x320" height and width, "0" the whole frame, which is None.

    Raises:
        ValueError: another form.
    """
    match = re.fullmatch(r"([0-9]+)(?:x([0-9]+))?", text.strip().lower())
    if not match:
        raise ValueError(f"`tile` must be a number of pixels such as 256, or HxW such as 192x320, but was {text!r}.")
    return (int(match[1]) or None) if match[2] is None else (int(match[1]), int(match[2]))


def parse_fps(text: str) -> Fraction:
    """A rate as it is typed: "25", "29.97" or "30000/1001".

    Raises:
        ValueError: another form.
    """
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f"`fps` must be a number such as 25 or 30000/1001, but was {text!r}.") from error


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"`{name}` is {shown(value)}; it must be text")
    return value


def _round(value: float) -> int:
    """The nearest whole number, halves up, at least 1."""
    return max(1, math.floor(value + 0.5))
