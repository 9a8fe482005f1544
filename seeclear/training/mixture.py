# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The data of a training run, from the script's arguments."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from torch.utils.data import Dataset

from seeclear.data import (
    BicubicDegradation,
    ClipDataset,
    CompressedDegradation,
    Degradation,
    GaussianDegradation,
    RealWorldDegradation,
    Source,
    ValidationClips,
    open_sources,
    read_source_list,
    videos_as_they_are,
)
from seeclear.shipped import SCALE

DEGRADATIONS: dict[str, Callable[[argparse.Namespace], Degradation]] = {
    "BI": lambda args: BicubicDegradation(),
    "BD": lambda args: GaussianDegradation(),
    "compressed": lambda args: CompressedDegradation(probability=args.compressed_probability),
    "real": lambda args: RealWorldDegradation(),
    "mixed": lambda args: videos_as_they_are(),
}
PHOTO_MARGIN = 32
"""Frames made from photographs are so many pixels larger than the crops."""


class IndexedClips(Dataset[dict[str, Tensor | int]]):
    """The clips of a `ClipDataset` with their index, of which the random draws of the training step are a function."""

    def __init__(self, clips: ClipDataset) -> None:
        self.clips = clips

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> dict[str, Tensor | int]:
        """`hr` uint8 (F, 3, sH, sW), `lr` uint8 (F, 3, H, W), `place` int64 (9,), `index`."""
        clip = self.clips[index]
        return {"hr": clip["ground_truth"], "lr": clip["low_res"], "place": clip["place"], "index": index}


@dataclass(frozen=True)
class TrainingData:
    """What a run trains and validates on.

    Attributes:
        dataset: the training clips.
        sources: how they are drawn: (name, share of the samples), most frequent first.
        validation: the validation clips.
        validation_names: their names.
    """

    dataset: IndexedClips
    sources: list[tuple[str, float]]
    validation: ValidationClips
    validation_names: list[str]


def build_data(args: argparse.Namespace, num_frames: int, num_samples: int) -> TrainingData:
    """Opens the training sources, less the validation clips, and the validation clips.

    Args:
        args: the script's arguments: `train_data_dir`, `data_config`, `data_root`, `resolution`, `cache_data`,
            `seed`, `degradation`, `compressed_probability`, `max_frame_step`, `texture_candidates`,
            `texture_probability`, `still_probability`, `validation_data`, `validation_frames`.
        num_frames: in a training sample.
        num_samples: how many samples the whole run takes.

    Raises:
        ValueError: if the crop is no multiple of the scale, or data are missing, unreadable, too small or too short.
    """
    if args.resolution < SCALE or args.resolution % SCALE:
        raise ValueError(f"`resolution` is {args.resolution}; it must be a positive multiple of {SCALE}")
    photo_size = (args.resolution + PHOTO_MARGIN, args.resolution + PHOTO_MARGIN)
    sources: list[Source] = []
    for folder in args.train_data_dir:
        sources += open_sources(folder, cache=args.cache_data, photo_size=photo_size)
    if args.data_config is not None:
        sources += read_source_list(args.data_config, args.data_root, cache=args.cache_data, photo_size=photo_size)

    validation_paths = [Path(path) for path in args.validation_data]
    held_out = {Path(path).resolve() for path in args.validation_data}
    sources = [source for source in sources if source.path.resolve() not in held_out]
    if not sources:
        raise ValueError(f"`validation_data` takes all there is to train on: {args.validation_data}")
    clips = ClipDataset(
        sources,
        clip_length=num_frames,
        crop_size=args.resolution // SCALE,
        scale=SCALE,
        num_samples=num_samples,
        degradation=DEGRADATIONS[args.degradation](args),
        seed=args.seed,
        max_frame_step=args.max_frame_step,
        texture_candidates=args.texture_candidates,
        texture_probability=args.texture_probability,
        still_probability=args.still_probability,
    )
    shares = sorted(zip((s.name for s in sources), clips.probabilities.tolist(), strict=True), key=lambda s: -s[1])
    validation = ValidationClips(validation_paths, max_frames=args.validation_frames, scale=SCALE)
    return TrainingData(IndexedClips(clips), shares, validation, [path.stem for path in validation_paths])
