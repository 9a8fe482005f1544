# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Semantics for training crops: a frozen distiller sees whole frames, as it does in use, once each; crops are cut out
of what it gave.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import ModelMixin
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from seeclear.data import Photo, Source
from seeclear.files import write_durably
from seeclear.models import PixelCondenser, SemanticDistiller, SemanticLens
from seeclear.resize import imresize, to_uint8
from seeclear.shipped import SCALE, locate

CELL = 2
"""LR pixels that a cell of the features of a crop covers along each side."""


def load_distiller(name_or_path: str | os.PathLike[str], argument: str = "distiller") -> SemanticDistiller:
    """A trained distiller in float32, given as `argument`: from its own folder or Hub id, or from the folder or the
    shipped name of a pipeline that has one.

    Raises:
        ValueError: there is neither such a folder nor such a name.
    """
    location = locate(name_or_path, argument)
    nested = Path(location) / "semantic_distiller"
    return SemanticDistiller.from_pretrained(nested if nested.is_dir() else location, dtype=torch.float32)


def check_widths(network: PixelCondenser | SemanticLens, distiller: SemanticDistiller) -> None:
    """Raises a ValueError unless a network takes what a distiller gives."""
    config = network.config
    takes: dict[str, int] = {}
    if isinstance(network, SemanticLens):
        takes |= {"semantic_feature_dim": distiller.feature_dim} if config.gps else {}
        takes |= {"semantic_token_dim": distiller.token_dim} if config.isee else {}
    elif config.frame_semantics:
        takes |= {"semantic_feature_dim": distiller.feature_dim, "semantic_token_dim": distiller.token_dim}
        if config.clip_semantics and config.texture_memory:
            takes |= {"num_clip_tokens": distiller.config.num_clip_tokens}
    for name, given in takes.items():
        if config[name] != given:
            raise ValueError(f"`distiller` gives a `{name}` of {given}; the network to train takes {config[name]}")


def weights_key(networks: Sequence[ModelMixin], about: object) -> str:
    """Names networks by their configurations and weights, wherever they were loaded from, and by what is said `about`
    what is made with them.
    """
    configurations = [
        {name: value for name, value in network.config.items() if not name.startswith("_")} for network in networks
    ]
    digest = hashlib.sha256(json.dumps([*configurations, about], default=str, sort_keys=True).encode())
    for network in networks:
        for name, value in network.state_dict().items():
            digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def source_key(source: Source) -> str:
    """Names a source by its path, size and time."""
    state = source.path.stat()
    about = f"{source.path.resolve()} {state.st_size} {state.st_mtime_ns} {source.size} {len(source)}"
    return hashlib.sha256(about.encode()).hexdigest()[:16]


class SemanticsStore:
    """What a distiller gives of single frames, or of several together, in a folder, for later runs and for the
    processes beside this one.

    It is found by the weights and configuration of the distiller, and by the path, size and time of the source.

    Args:
        folder: made if it is not there.
        distiller: that the frames are distilled by.
        names: of what is kept.
    """

    def __init__(self, folder: str | os.PathLike[str], distiller: SemanticDistiller, names: Sequence[str]) -> None:
        self.folder = Path(folder) / weights_key([distiller], list(names))
        self.names = names

    def _file(self, source: Source, frames: Sequence[int]) -> Path:
        return self.folder / source_key(source) / f"{'-'.join(f'{frame:06d}' for frame in frames)}.safetensors"

    def load(self, source: Source, *frames: int) -> tuple[Tensor, ...] | None:
        """What is kept of a frame, or of several, in the order of `names`; None if it is not there, or broken."""
        path = self._file(source, frames)
        try:
            stored = load_file(path)
            return tuple(stored[name] for name in self.names)
        except (OSError, SafetensorError, KeyError):
            return None

    def save(self, source: Source, *frames: int, parts: Sequence[Tensor]) -> None:
        """Keeps what there is of a frame, or of several.

        Raises:
            ValueError: it cannot be written; nothing half written is left.
        """
        tensors = {name: part.contiguous() for name, part in zip(self.names, parts, strict=True)}
        write_durably(self._file(source, frames), lambda draft: save_file(tensors, draft))


class SemanticsCache:
    """Tokens O and features P of training crops, from a frozen distiller.

    Every frame of a folder or video is distilled when it is first needed, and kept in 16 bits (0.7 MB a frame with the
    tiny distiller). A photograph's window is too small to be kept: the crop itself is distilled.

    Args:
        distiller: frozen.
        sources: those of the data set, in its order.
        folder: where to keep them beyond this run, too; see [`SemanticsStore`].
        keeps_frames: keep LR frames as well, as uint8.
    """

    def __init__(
        self,
        distiller: SemanticDistiller,
        sources: Sequence[Source],
        folder: str | os.PathLike[str] | None = None,
        keeps_frames: bool = False,
    ) -> None:
        self.distiller = distiller
        self.sources = list(sources)
        self.keeps_frames = keeps_frames
        names = ("tokens", "features", "low_res")[: 3 if keeps_frames else 2]
        self.store = None if folder is None else SemanticsStore(folder, distiller, names)
        self._kept: dict[tuple[int, int], tuple[Tensor, ...]] = {}

    @torch.no_grad()
    def __call__(self, low_res: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Semantics of a batch of crops.

        Args:
            low_res: the crops (B, F, 3, h, w) in [-1, 1].
            places: where they are from (B, 9), see [`ClipSample`].

        Returns:
            Tokens (B, F, K, D) and features (B, F, P, h / CELL, w / CELL).
        """
        size = (low_res.shape[-2] // CELL, low_res.shape[-1] // CELL)
        tokens, features = [], []
        for clip, place in zip(low_res, places.tolist(), strict=True):
            source = self.sources[place[0]]
            if isinstance(source, Photo):
                distilled = self.distiller(clip[None], masks=False)
                tokens.append(distilled.tokens[0])
                pixels = distilled.features[0]
                features.append(F.interpolate(pixels, size=size, mode="bilinear", antialias=True, align_corners=False))
                continue
            frame_tokens, whole = (part.to(clip) for part in self._whole_frames(place, len(clip))[:2])
            tokens.append(frame_tokens)
            features.append(crop_features(whole, source.size, place[3:8], size))
        return torch.stack(tokens), torch.stack(features)

    def _whole_frames(self, place: list[int], count: int) -> list[Tensor]:
        """What is kept of a sample's `count` whole frames, stacked in its order: tokens (F, K, D), features
        (F, P, h, w), and, if frames are kept, the LR frames as uint8 (F, 3, H, W).
        """
        frames = self._frame_numbers(place, count)
        self._distil(place[0], [frame for frame in frames if (place[0], frame) not in self._kept])
        kept = [self._kept[place[0], frame] for frame in frames]
        return [torch.stack(parts) for parts in zip(*kept, strict=True)]

    @staticmethod
    def _frame_numbers(place: list[int], count: int) -> list[int]:
        """Which frames of its source a sample shows, in its order."""
        frames = [place[1] + i * place[2] for i in range(count)]
        return frames[::-1] if place[8] else frames

    def _distil(self, source: int, frames: list[int]) -> None:
        for frame in dict.fromkeys(frames):
            stored = None if self.store is None else self.store.load(self.sources[source], frame)
            if stored is not None:
                self._kept[source, frame] = stored
                continue
            pixels = torch.from_numpy(self.sources[source].frames(frame, 1).copy()).permute(0, 3, 1, 2)
            height, width = (n // SCALE * SCALE for n in pixels.shape[-2:])
            low_res = to_uint8(imresize(pixels[..., :height, :width].float() / 255, scale=1 / SCALE))
            weight = next(self.distiller.parameters())
            distilled = self.distiller(low_res[None].to(weight) / 127.5 - 1, masks=False)
            kept = distilled.tokens[0, 0].half().cpu(), distilled.features[0, 0].half().cpu()
            self._kept[source, frame] = (*kept, low_res[0]) if self.keeps_frames else kept
            if self.store is not None:
                self.store.save(self.sources[source], frame, parts=self._kept[source, frame])


def crop_features(
    features: Tensor, frame_size: tuple[int, int], place: Sequence[int], size: tuple[int, int]
) -> Tensor:
    """The features of a crop of an augmented frame.

    Args:
        features: P of the whole frame as it was, (F, P, h, w).
        frame_size: height and width of the HR frame.
        place: top and left in LR pixels of the augmented frame; mirrored horizontally, vertically; transposed.
        size: of the result; a cell covers `CELL` LR pixels.

    Returns:
        (F, P, *size).
    """
    top, left, horizontal, vertical, transpose = place
    rows = top + CELL * (torch.arange(size[0], device=features.device) + 0.5)
    columns = left + CELL * (torch.arange(size[1], device=features.device) + 0.5)
    height, width = (n // SCALE for n in frame_size)
    y, x = torch.meshgrid(rows, columns, indexing="ij")  # in the augmented frame, LR pixels
    if transpose:
        y, x = x, y
    y = frame_size[0] / SCALE - y if vertical else y
    x = frame_size[1] / SCALE - x if horizontal else x
    grid = torch.stack([2 * x / width - 1, 2 * y / height - 1], dim=-1).to(features)
    grid = grid.expand(len(features), -1, -1, -1)
    return F.grid_sample(features, grid, mode="bilinear", padding_mode="border", align_corners=False)
