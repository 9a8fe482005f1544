# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The settings of a restoration, as one value that is handed on whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from seeclear.values import number_within, shown, switch, whole_number

SAMPLING = ("num_inference_steps", "sampler", "noise", "seed")
"""The settings that only a pipeline which samples has."""


@dataclass(frozen=True)
class RestorationSettings:
    """How a pipeline restores a video: how it is cut into clips and tiles, and how it is sampled.

    Numbers of numpy become Python's.

    Raises:
        ValueError: a value is of another kind, or out of its range.
    """

    clip_length: int | None = None
    """Frames that are restored together; None is the pipeline's."""
    clip_overlap: int | None = None
    """Frames that two clips share and that are blended, below `clip_length`; None is the pipeline's, if that is."""
    tile: int | tuple[int, int] | None = None
    """Side, or height and width, of a tile in LR pixels, rounded up to what the network needs; None is the frame."""
    tile_overlap: int | None = None
    """LR pixels that two tiles share at least, below `tile`; None is 32, or half the tile if that is less."""
    scene_detection: bool = True
    """Let a scene cut end a clip and empty what is carried on."""
    vocabulary: Sequence[str] | None = None
    """The words whose instances become semantic tokens (eq. 8, 9); None is all that are stored with the distiller."""
    num_inference_steps: int | None = None
    """1 to the scheduler's number of trained steps; None is the pipeline's `default_num_inference_steps`."""
    sampler: str | None = None
    """"markov", "resshift" or "ddim"; None is the scheduler's own."""
    noise: str = "video"
    """How far a draw of noise reaches: "frame" draws it for every frame, "clip" once for the frames of a clip, "video"
    once. In several steps the picture changes where the noise does."""
    seed: int = 0
    """Of the noise, any whole number; noise depends on it and on the place in the video alone."""
    detail: float = 1.0
    """How much of what a model with a prior makes up is kept, from 0 to 1: 1 gives the model's frames, 0 those of its
    prior, which are faithful and softer, and what lies between mixes the two, pixel by pixel. Pixels are mixed, and
    not weights, since that needs no second set of weights. Without a prior it must be 1."""

    def __post_init__(self) -> None:
        self._make_plain(_sides, "tile")
        self._make_plain(whole_number, "clip_length", least=1)
        self._make_plain(whole_number, "clip_overlap", "tile_overlap", least=0)
        self._make_plain(whole_number, "num_inference_steps", "seed")
        self._make_plain(number_within, "detail", low=0, high=1)
        self._make_plain(switch, "scene_detection")
        if self.tile is not None and self.tile_overlap is not None:
            if self.tile_overlap >= (min(self.tile) if isinstance(self.tile, tuple) else self.tile):
                raise ValueError(
                    f"`tile_overlap` is {self.tile_overlap}; it must be at least 0 and below `tile`, {self.tile}"
                )

    def _make_plain(self, check: Callable[..., Any], *names: str, **limits: Any) -> None:
        """Replaces settings by what a check of them returns; None stays where it is the default.

        Args:
            check: is given name and value, and raises a ValueError.
            names: of the settings.
            limits: for the check.
        """
        defaults = {field.name: field.default for field in fields(self)}
        for name in names:
            value = getattr(self, name)
            if value is not None or defaults[name] is not None:
                object.__setattr__(self, name, check(name, value, **limits))

    def clips(self, clip_length: int, clip_overlap: int = 0) -> tuple[int, int]:
        """(frames in a clip, frames that two clips share), where the arguments are the pipeline's.

        Raises:
            ValueError: `clip_overlap` does not fit the length.
        """
        length = clip_length if self.clip_length is None else self.clip_length
        overlap = min(clip_overlap, length - 1) if self.clip_overlap is None else self.clip_overlap
        if overlap >= length:
            raise ValueError(f"`clip_overlap` is {overlap}; it must be below the clip's length, {length}")
        return length, overlap

    def refuse_sampling(self, pipeline: str) -> None:
        """For pipelines that do not sample, and so have no detail to leave out.

        Raises:
            ValueError: a setting of sampling, or `detail`, is not at its default.
        """
        for field in fields(RestorationSettings):
            value = getattr(self, field.name)
            if field.name in SAMPLING and value != field.default:
                raise ValueError(f"`{field.name}` is {value!r}; a {pipeline} does not sample: leave it out")
        self.refuse_detail(f"a {pipeline} makes no detail up")

    def refuse_detail(self, reason: str) -> None:
        """For pipelines that have not both, a prior's frames and a model's own.

        Args:
            reason: why it must be 1, for the message.

        Raises:
            ValueError: `detail` is not at its default.
        """
        if self.detail != 1:
            raise ValueError(
                f"`detail` is {self.detail:g}; it must be 1, because {reason}. Models with a prior take other values, "
                "such as seeclear-star-tiny and seeclear-real-tiny"
            )


def _sides(name: str, value: Any) -> int | tuple[int, int]:
    """A side, or height and width."""
    try:
        if not isinstance(value, tuple):
            return whole_number(name, value, 1)
        height, width = value
        return whole_number(name, height, 1), whole_number(name, width, 1)
    except ValueError as error:
        wanted = "a whole number of at least 1, or a height and a width of at least 1"
        raise ValueError(f"`{name}` is {shown(value)}; it must be {wanted}") from error
