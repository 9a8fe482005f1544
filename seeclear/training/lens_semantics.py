# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Semantics for the training crops of Semantic Lens: of whole frames, as in use, with the part that the crop shows."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from seeclear.data import Photo, Source
from seeclear.models import SemanticDistiller, SemanticLens
from seeclear.models.moving_objects import MotionHead, neighbor_pairs, pair_motion
from seeclear.shipped import SCALE
from seeclear.training.semantics import SemanticsCache, SemanticsStore


class LensSemantics(SemanticsCache):
    """What [`SemanticLens`] takes beside the LR frames, from a frozen distiller.

    Frames of folders and videos are distilled whole, once each, and what moves between two of them is found once, too
    (90 kB in 16 bits with the tiny distiller); a photograph's window is distilled as it is.

    Args:
        distiller: frozen.
        sources: those of the data set, in its order.
        grid: the lens' `global_grid`; features are pooled to it here, so that frames of all sizes fit into one batch.
        folder: as [`SemanticsCache`] takes it.
        autocast: makes the context in which the distiller runs, for mixed precision.
        masks: whether the lens needs instance masks.
    """

    def __init__(
        self,
        distiller: SemanticDistiller,
        sources: Sequence[Source],
        grid: int,
        folder: str | os.PathLike[str] | None = None,
        autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
        masks: bool = True,
    ) -> None:
        # motion is looked for in the frames, and moves masks only
        super().__init__(distiller, sources, folder, keeps_frames=masks and distiller.motion_head is not None)
        self.grid, self.masks = grid, masks
        self.autocast = autocast
        stored = folder if self.keeps_frames else None
        self.motion_store = None if stored is None else SemanticsStore(stored, distiller, ["motion"])
        self._moved: dict[tuple[int, int, int], Tensor] = {}

    @classmethod
    def for_lens(
        cls,
        lens: SemanticLens,
        distiller: SemanticDistiller,
        sources: Sequence[Source],
        folder: str | os.PathLike[str] | None,
        autocast: Callable[[], AbstractContextManager[Any]],
    ) -> LensSemantics:
        """What a lens needs by its configuration; the other arguments as above."""
        config = lens.config
        return cls(distiller, sources, config.global_grid, folder, autocast, masks=config.image)

    @torch.no_grad()
    def semantics(self, low_res: Tensor, places: Tensor) -> dict[str, Tensor]:
        """Semantics of a batch of crops.

        Args:
            low_res: the crops (B, F, 3, h, w) in [-1, 1].
            places: where they are from (B, 9), see [`ClipSample`].

        Returns:
            `features` (B, F, P, grid, grid), `clip_tokens` (B, K, D), `clip_masks` (B, F, K, h', w') where they are
            wanted, and `region` (B, 4), as [`SemanticLens.forward`] takes them.
        """
        features, clip_tokens, clip_masks, regions = [], [], [], []
        for clip, place in zip(low_res, places.tolist(), strict=True):
            source = self.sources[place[0]]
            if isinstance(source, Photo):
                with self.autocast():
                    distilled = self.distiller(clip[None], masks=self.masks)
                clip_token, pixels, *masks = (
                    part[0].to(clip)
                    for part in (distilled.clip_tokens, distilled.features, distilled.clip_masks)
                    if part is not None
                )
                regions.append([0.0, 0.0, 1.0, 1.0])
            else:
                clip_token, *maps = self._followed(place, clip)
                pixels, *masks = (mirror(part, place[5:8]) for part in maps)
                regions.append(region_of(source.size, place, (clip.shape[-2], clip.shape[-1])))
            features.append(F.adaptive_avg_pool2d(pixels, self.grid))
            clip_tokens.append(clip_token)
            clip_masks += masks
        given = {
            "features": torch.stack(features),
            "clip_tokens": torch.stack(clip_tokens),
            "region": torch.tensor(regions, device=low_res.device),
        }
        if self.masks:
            size = tuple(max(masks.shape[axis] for masks in clip_masks) for axis in (-2, -1))
            resized = [F.interpolate(m, size=size, mode="bilinear", align_corners=False) for m in clip_masks]
            given["clip_masks"] = torch.stack(resized)
        return given

    def _followed(self, place: list[int], clip: Tensor) -> tuple[Tensor, ...]:
        """Of a sample's whole frames: clip-wise tokens (K, D), features (F, P, h, w), and where they are wanted mask
        logits (F, K, h, w).
        """
        tokens, features, *frames = (part[None].to(clip) for part in self._whole_frames(place, len(clip)))
        pixels = frames[0] / 255 if frames else None
        moved = None if pixels is None else self._pair_motion(place, pixels[0], features)
        with self.autocast():
            clip_tokens = self.distiller.instances(tokens)
            made = [clip_tokens, features]
            if self.masks:
                masks = self.distiller.clip_masks(clip_tokens, features)
                if pixels is not None:
                    change = self.distiller.motion_change(features, 2 * pixels - 1, moved)
                    assert change is not None  # frames are kept for distillers that look at motion
                    masks = masks + self.distiller.masks_by_motion(tokens, clip_tokens, change)[1]
                made.append(masks)
        return tuple(part[0].to(clip) for part in made)

    def _pair_motion(self, place: list[int], pixels: Tensor, features: Tensor) -> Tensor | None:
        """What moves between the frames `pixels` (F, 3, H, W) in [0, 1] of a sample, (1, pairs, 2, h', w')."""
        numbers, pairs = self._frame_numbers(place, len(pixels)), neighbor_pairs(len(pixels))
        source = self.sources[place[0]]
        keys = [(place[0], numbers[i], numbers[j]) for i, j in pairs]  # all the same where one frame stands still
        if self.motion_store is not None:
            for key in set(keys) - self._moved.keys():
                stored = self.motion_store.load(source, *key[1:])
                if stored is not None:
                    self._moved[key] = stored[0]
        missing = {key: pair for key, pair in zip(keys, pairs, strict=True) if key not in self._moved}
        if missing:
            grey = MotionHead.shrink(pixels, features).mean(dim=1, keepdim=True)
            first, second = (grey[list(one)] for one in zip(*missing.values(), strict=True))
            self._moved.update(zip(missing, pair_motion(first, second).half().cpu(), strict=True))
            if self.motion_store is not None:
                for key in missing:
                    self.motion_store.save(source, *key[1:], parts=[self._moved[key]])
        return torch.stack([self._moved[key] for key in keys])[None].to(pixels) if keys else None


def mirror(maps: Tensor, augmentation: Sequence[int]) -> Tensor:
    """Maps (..., h, w) as their frame was augmented: mirrored horizontally, vertically, transposed, in this order."""
    horizontal, vertical, transpose = augmentation
    axes = [axis for axis, wanted in ((-1, horizontal), (-2, vertical)) if wanted]
    maps = maps.flip(axes) if axes else maps
    return maps.transpose(-1, -2) if transpose else maps


def region_of(frame_size: tuple[int, int], place: Sequence[int], crop_size: tuple[int, int]) -> list[float]:
    """Which part of an augmented frame a crop is: top, left, bottom, right as fractions of what was distilled.

    Distilled is the frame cut to whole LR pixels at the bottom and the right; mirrored, that cut is at the other side.

    Args:
        frame_size: height and width of the HR frame.
        place: of the crop, see [`ClipSample`].
        crop_size: its height and width in LR pixels.
    """
    top, left, horizontal, vertical, transpose = place[3:8]
    sizes = [n // SCALE for n in frame_size]
    cuts = [n / SCALE - whole if flipped else 0.0 for n, whole, flipped in
            zip(frame_size, sizes, (vertical, horizontal), strict=True)]  # fmt: skip
    if transpose:
        sizes, cuts = sizes[::-1], cuts[::-1]
    starts = [(first - cut) / size for first, cut, size in zip((top, left), cuts, sizes, strict=True)]
    stops = [start + length / size for start, length, size in zip(starts, crop_size, sizes, strict=True)]
    return [*starts, *stops]
