# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Clips with instance masks to train the Semantic Distiller on: annotated clips and photographs, and their objects
pasted over each other.

Pasting gives what annotations of one object a clip can't: several instances at once, that cover each other and keep
their identity while they move.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from seeclear.shipped import SCALE

from ..resize import imresize, to_uint8
from .sources import image_files, read_image

MAX_INSTANCES = 6
"""Instances in a sample: the annotated object and up to five pasted ones."""
UNKNOWN = -1
"""Label of an object of which it is not known what it is."""
PASTED_SHARES = (0.55, 0.15, 0.1, 0.1, 0.05, 0.05)
"""Of the samples, those with 0, 1, ... pasted objects."""
LEAST_VISIBLE = 0.002
"""An instance counts if it covers this share of the clip's pixels."""


@dataclass(frozen=True)
class AnnotatedClip:
    """A clip at LR size with the masks of its objects.

    Attributes:
        name: of the clip.
        label: what the objects are; "" if that is not known.
        frames: uint8 (N, 3, h, w); one for a photograph.
        masks: float16 (N, n, h, w), the share of every pixel that each object has.
        group: training draws from all groups equally often, and from all clips of a group; clips without group are
            grouped by label.
    """

    name: str
    label: str
    frames: Tensor
    masks: Tensor
    group: str = ""


def read_annotated_clip(frames_dir: Path, masks_dir: Path, label: str = "", scale: int = SCALE) -> AnnotatedClip:
    """Reads a clip in DAVIS' layout and reduces it by `scale`, the frames as "BI" does and the masks by averaging.

    Raises:
        ValueError: a folder is missing, or frames and masks do not correspond.
    """
    files = image_files(frames_dir) if frames_dir.is_dir() else []
    annotations = image_files(masks_dir) if masks_dir.is_dir() else []
    if not files or [file.stem for file in files] != [file.stem for file in annotations]:
        raise ValueError(f"{str(frames_dir)!r} and {str(masks_dir)!r} must hold images of the same names.")
    frames, masks = [], []
    for file, annotation in zip(files, annotations, strict=True):
        image = torch.from_numpy(read_image(file).copy()).permute(2, 0, 1)
        with Image.open(annotation) as opened:
            mask = torch.from_numpy(np.asarray(opened.convert("L")) > 0).float()[None]
        height, width = (n // scale * scale for n in image.shape[-2:])
        if mask.shape[-2:] != image.shape[-2:]:
            raise ValueError(f"{str(annotation)!r} has another size than {str(file)!r}.")
        frames.append(to_uint8(imresize(image[:, :height, :width].float() / 255, scale=1 / scale)))
        masks.append(F.avg_pool2d(mask[:, :height, :width], scale).half())
    return AnnotatedClip(frames_dir.name, label, torch.stack(frames), torch.stack(masks))


class InstanceSample(TypedDict):
    """A clip with its instances.

    `low_res` uint8 (F, 3, h, w), degraded; `clean` uint8, the same before; `masks` float (MAX_INSTANCES, F, h, w) in
    [0, 1], the first `count` are used; `labels` int64 (MAX_INSTANCES,), `UNKNOWN` where the object has no label.
    """

    low_res: Tensor
    clean: Tensor
    masks: Tensor
    labels: Tensor
    count: int


class InstanceClips(Dataset[InstanceSample]):
    """An endless choice of clips with instances: sample i depends on `seed` and i alone.

    Args:
        clips: annotated clips and photographs.
        backgrounds: photographs uint8 (3, h, w) over which objects are pasted as well.
        vocabulary: the labels, in the order of their indices.
        clip_length: frames in a sample, F.
        size: height and width of a sample.
        num_samples: the length of the data set.
        seed: of all random choices.
        max_frame_step: frames of a sample are 1 to this many frames of the clip apart.
        pasted_shares: of the samples, those with 0, 1, ... and `MAX_INSTANCES` - 1 pasted objects.
        alike_share: of the samples with pasted objects, those in which all of these are one object's, several times
            and about equally large: each is an instance of its own.

    Raises:
        ValueError: no clips, a clip shorter than a sample, a label that the vocabulary lacks, or shares that are not
            such.
    """

    def __init__(
        self,
        clips: Sequence[AnnotatedClip],
        backgrounds: Sequence[Tensor],
        vocabulary: Sequence[str],
        clip_length: int = 3,
        size: tuple[int, int] = (120, 208),
        num_samples: int = 100_000,
        seed: int = 0,
        max_frame_step: int = 6,
        pasted_shares: Sequence[float] = PASTED_SHARES,
        alike_share: float = 0.5,
    ) -> None:
        if len(pasted_shares) != MAX_INSTANCES or min(pasted_shares) < 0 or abs(sum(pasted_shares) - 1) > 1e-6:
            raise ValueError(
                f"`pasted_shares` is {tuple(pasted_shares)}; it must be {MAX_INSTANCES} numbers from 0 on whose sum "
                "is 1."
            )
        if not 0 <= alike_share <= 1:
            raise ValueError(f"`alike_share` is {alike_share}; it must be in 0..1.")
        if not clips:
            raise ValueError("`clips` must hold at least one clip, but is empty.")
        for clip in clips:
            if clip.label and clip.label not in vocabulary:
                raise ValueError(f"The clip {clip.name!r} is labelled {clip.label!r}; `vocabulary` lacks that.")
            if 1 < len(clip.frames) < clip_length:
                raise ValueError(f"The clip {clip.name!r} has {len(clip.frames)} frames; a sample has {clip_length}.")
        self.clips, self.backgrounds, self.vocabulary = list(clips), list(backgrounds), list(vocabulary)
        groups: dict[tuple[str, str], list[AnnotatedClip]] = {}
        for clip in clips:
            groups.setdefault((clip.group, "" if clip.group else clip.label), []).append(clip)
        self._groups = [groups[kind] for kind in sorted(groups)]
        self.clip_length, self.size, self.num_samples = clip_length, size, num_samples
        self.seed, self.max_frame_step = seed, max_frame_step
        self.pasted_shares, self.alike_share = tuple(pasted_shares), alike_share

    def __len__(self) -> int:
        return self.num_samples

    def __getitem__(self, index: int) -> InstanceSample:
        if not 0 <= index < self.num_samples:
            raise IndexError(f"`index` must be in 0..{self.num_samples - 1}, but is {index}.")
        rng = np.random.default_rng((self.seed, index))
        pasted = int(rng.choice(MAX_INSTANCES, p=self.pasted_shares))
        if self.backgrounds and pasted and rng.random() < 0.25:
            photo = self.backgrounds[int(rng.integers(len(self.backgrounds)))].float() / 255
            still = photo.expand(self.clip_length, -1, -1, -1)
            canvas = self._view(still, self._window(rng, photo.shape[-2:], moving=True))
            masks, labels = [], []
        else:
            clip = self._choose(rng)
            frames, shown, label = self._draw(rng, clip)
            window = self._window(rng, frames.shape[-2:], moving=len(clip.frames) == 1)
            view = self._view(torch.cat([frames, shown], dim=1), window)
            canvas, masks = _recolour(rng, view[:, :3]), list(view[:, 3:].unbind(dim=1))
            labels = [label] * len(masks)
        alike = self._choose(rng) if rng.random() < self.alike_share else None
        common = rng.uniform(0.1, 0.45)
        for _ in range(pasted):
            extent = rng.uniform(0.15, 0.8) if alike is None else common * rng.uniform(0.8, 1.25)
            colour, alpha, label = self._object(rng, alike or self._choose(rng), extent)
            if masks and rng.random() < 0.5:  # behind the first one, which is annotated most often
                alpha, colour = (layer * (1 - masks[0][:, None]) for layer in (alpha, colour))
            canvas = canvas * (1 - alpha) + colour
            masks = [under * (1 - alpha[:, 0]) for under in masks] + [alpha[:, 0]]
            labels.append(label)

        shares = [float(mask.mean()) for mask in masks]
        kept = [i for i, share in enumerate(shares) if share >= LEAST_VISIBLE]
        kept = sorted(sorted(kept, key=lambda i: -shares[i])[:MAX_INSTANCES])
        all_masks = torch.zeros(MAX_INSTANCES, self.clip_length, *self.size)
        all_labels = torch.zeros(MAX_INSTANCES, dtype=torch.int64)
        for position, i in enumerate(kept):
            all_masks[position] = masks[i]
            all_labels[position] = labels[i]
        return {
            "low_res": to_uint8(_degrade(rng, canvas)),
            "clean": to_uint8(canvas),
            "masks": all_masks,
            "labels": all_labels,
            "count": len(kept),
        }

    def _choose(self, rng: np.random.Generator) -> AnnotatedClip:
        """A clip: every group is equally likely, and every clip of a group."""
        clips = self._groups[int(rng.integers(len(self._groups)))]
        return clips[int(rng.integers(len(clips)))]

    def _object(self, rng: np.random.Generator, clip: AnnotatedClip, extent: float) -> tuple[Tensor, Tensor, int]:
        """An object of `clip` cut out and put somewhere, `extent` of the frame long: its colour times its opacity
        (F, 3, h, w), opacity (F, 1, h, w), label.
        """
        frames, masks, label = self._draw(rng, clip)
        one = int(rng.integers(masks.shape[1]))
        mask = masks[:, one : one + 1]
        layer = self._view(torch.cat([frames * mask, mask], dim=1), self._placement(rng, mask, extent))
        alpha = layer[:, 3:]
        return _recolour(rng, layer[:, :3] / alpha.clamp(min=1e-3)) * alpha, alpha, label

    def _draw(self, rng: np.random.Generator, clip: AnnotatedClip) -> tuple[Tensor, Tensor, int]:
        """Some frames of `clip`, float in [0, 1], with masks and label, half the time backwards."""
        label = self.vocabulary.index(clip.label) if clip.label else UNKNOWN
        if len(clip.frames) == 1:
            still = clip.frames.float() / 255, clip.masks.float()
            frames, masks = (part.expand(self.clip_length, -1, -1, -1) for part in still)
            return frames, masks, label
        gaps = max(1, self.clip_length - 1)
        step = int(rng.integers(1, min(self.max_frame_step, max(1, (len(clip.frames) - 1) // gaps)) + 1))
        start = int(rng.integers(0, len(clip.frames) - (self.clip_length - 1) * step))
        chosen = torch.arange(self.clip_length) * step + start
        if rng.random() < 0.5:
            chosen = chosen.flip(0)
        return clip.frames[chosen].float() / 255, clip.masks[chosen].float(), label

    def _window(self, rng: np.random.Generator, size: Sequence[int], moving: bool = False) -> Tensor:
        """Affine maps (F, 2, 3) of a window into frames of `size`: 50 to 100 % of its sides, half of them mirrored."""
        aspect = (self.size[1] / self.size[0]) / (size[1] / size[0])
        zoom = rng.uniform(0.5, 1.0)
        spread = float(np.exp(rng.uniform(-0.15, 0.15)))
        high, wide = min(1.0, zoom / max(1.0, aspect) * spread), min(1.0, zoom * min(1.0, aspect) / spread)
        y, x = rng.uniform(-1, 1, 2) * (1 - high, 1 - wide)
        drift = rng.uniform(-0.04, 0.04, 2) if moving else np.zeros(2)
        maps = np.zeros((self.clip_length, 2, 3))
        flip = -1 if rng.random() < 0.5 else 1
        for i, one in enumerate(maps):
            one[0] = flip * wide, 0, np.clip(x + i * drift[0], wide - 1, 1 - wide)
            one[1] = 0, high, np.clip(y + i * drift[1], high - 1, 1 - high)
        return torch.from_numpy(maps).float()

    def _placement(self, rng: np.random.Generator, mask: Tensor, share: float) -> Tensor:
        """Affine maps (F, 2, 3) that bring the object of `mask` (F, 1, h, w) somewhere, `share` of the frame long."""
        seen = mask[:, 0].amax(dim=0) > 0.5
        rows, columns = seen.any(dim=1).nonzero(), seen.any(dim=0).nonzero()
        if not len(rows):
            return torch.eye(2, 3).expand(self.clip_length, -1, -1)
        height, width = seen.shape
        centre = np.array(
            [float(columns[0] + columns[-1] + 1) / width - 1, float(rows[0] + rows[-1] + 1) / height - 1]
        )
        extent = max(float(columns[-1] - columns[0] + 1) / width, float(rows[-1] - rows[0] + 1) / height)
        shrink = extent / share  # source extent a unit of the target's
        target, drift = rng.uniform(-0.85, 0.85, 2), rng.uniform(-0.05, 0.05, 2)
        flip = -1 if rng.random() < 0.5 else 1
        maps = np.zeros((self.clip_length, 2, 3))
        for i, one in enumerate(maps):
            where = target + i * drift
            one[0] = flip * shrink, 0, centre[0] - flip * shrink * where[0]
            one[1] = 0, shrink, centre[1] - shrink * where[1]
        return torch.from_numpy(maps).float()

    def _view(self, frames: Tensor, maps: Tensor) -> Tensor:
        """`frames` (F, C, H, W) seen through affine `maps`, (F, C, h, w); black and transparent outside."""
        grid = F.affine_grid(maps, [len(maps), 1, *self.size], align_corners=False)
        return F.grid_sample(frames, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _recolour(rng: np.random.Generator, frames: Tensor) -> Tensor:
    """Changes brightness, contrast and saturation of (F, 3, h, w) in [0, 1], the same for all frames."""
    brightness, contrast, saturation = rng.uniform(-0.12, 0.12), rng.uniform(0.7, 1.3), rng.uniform(0.4, 1.4)
    grey = frames.mean(dim=1, keepdim=True)
    frames = grey + (frames - grey) * saturation
    return ((frames - 0.45) * contrast + 0.45 + brightness).clamp(0, 1)


def _degrade(rng: np.random.Generator, frames: Tensor) -> Tensor:
    """Blurs and adds noise, each a third of the time, the same for all frames."""
    if rng.random() < 1 / 3:
        factor = rng.uniform(0.5, 0.9)
        small = F.interpolate(frames, scale_factor=factor, mode="bilinear", antialias=True, align_corners=False)
        frames = F.interpolate(small, size=frames.shape[-2:], mode="bilinear", align_corners=False)
    if rng.random() < 1 / 3:
        noise = rng.normal(0, rng.uniform(0.005, 0.03), frames.shape)
        frames = frames + torch.from_numpy(noise).float()
    return frames.clamp(0, 1)
