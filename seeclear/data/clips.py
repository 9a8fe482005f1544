# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Clips to train on, cut at random from sources, and whole clips to validate on."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from seeclear.shipped import SCALE

from ..resize import to_uint8
from .augmentation import augment, draw_augmentation
from .degradations import BicubicDegradation, Degradation
from .sources import FrameFolder, Frames, Source, VideoFile


class ClipPair(TypedDict):
    """A clip as 8-bit RGB: `low_res` (F, 3, h, w) and `ground_truth` (F, 3, scale * h, scale * w)."""

    low_res: Tensor
    ground_truth: Tensor


class ClipSample(ClipPair):
    """With its `place`, int64 (9,): index of the source, first frame, frame step (0: the same frame all through); top
    and left of the crop in the augmented low-resolution frame; whether it is mirrored horizontally, vertically,
    transposed, reversed in time.
    """

    place: Tensor


def _to_tensor(frames: Frames) -> Tensor:
    """(F, H, W, 3) -> (F, 3, H, W), uint8, contiguous, of its own memory."""
    return torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2)).copy())


def degrade(ground_truth: Tensor, degradation: Degradation, rng: np.random.Generator | None = None) -> Tensor:
    """Low-resolution frames (F, 3, h, w), uint8, of frames (F, 3, H, W), uint8; `rng` for what is random in it."""
    return to_uint8(degradation(ground_truth.float() / 255, rng))


def texture(frame: Frames, scale: int) -> float:
    """How much of a frame (H, W, 3) a reduction by `scale` loses: the variance inside its blocks, in grey levels^2."""
    height, width = (n // scale * scale for n in frame.shape[:2])
    blocks = frame[:height, :width].reshape(height // scale, scale, width // scale, scale, 3).astype(np.float32)
    return float(blocks.var(axis=(1, 3)).mean())


def low_res_of(source: Source) -> Source | None:
    """The low-resolution version that a source comes with; most have none."""
    return getattr(source, "low_res", None)


class ClipDataset(Dataset[ClipSample]):
    """An endless choice of clips: sample i depends on `seed` and i alone, whatever the number of workers.

    A sample is drawn so: a source by its weight, a frame step and a first frame, an augmentation, a crop on the grid
    of the low-resolution frame, and what is random in the degradation. The low-resolution crop is made from the
    high-resolution crop and a margin around it that is cut off again, so with "BI" and "BD" it equals the crop of the
    whole frame's degradation; for sources that come with low-resolution frames it is cut from these. Windows with a
    scene cut are drawn again.

    Args:
        sources: what to cut from; each must be large and long enough for one crop.
        clip_length: frames in a sample, F.
        crop_size: height and width of the low-resolution crop.
        scale: high over low resolution.
        num_samples: the length of the data set.
        degradation: makes the low resolution of sources that have none of their own; "BI" unless given.
        seed: of all random choices.
        max_frame_step: frames of a sample are 1 to this many frames of the source apart.
        cut_threshold: a window is taken for a scene cut when two consecutive low-resolution crops differ by more than
            this on average, in grey levels of 255.
        texture_candidates: crops to choose from; of more than one, the one with most `texture` in the middle frame is
            taken. Many crops of real videos are flat and teach nothing.
        texture_probability: the share of the samples in which there is such a choice; the others take the first crop.
        still_probability: the share of the samples that show one frame all through, as a camera on a tripod does: the
            other frames say nothing more.
    """

    MARGIN = 4
    """Low-resolution pixels around the crop; the supports of the degradations end within three."""
    MAX_DRAWS = 100

    def __init__(
        self,
        sources: Sequence[Source],
        clip_length: int = 5,
        crop_size: int = 48,
        scale: int = SCALE,
        num_samples: int = 100_000,
        degradation: Degradation | None = None,
        seed: int = 0,
        max_frame_step: int = 1,
        cut_threshold: float = 48.0,
        texture_candidates: int = 1,
        texture_probability: float = 1.0,
        still_probability: float = 0.0,
    ) -> None:
        for name, value in [
            ("clip_length", clip_length),
            ("crop_size", crop_size),
            ("num_samples", num_samples),
            ("max_frame_step", max_frame_step),
            ("texture_candidates", texture_candidates),
        ]:
            if value < 1:
                raise ValueError(f"`{name}` must be at least 1, but is {value}.")
        for name, share in [("texture_probability", texture_probability), ("still_probability", still_probability)]:
            if not 0 <= share <= 1:
                raise ValueError(f"`{name}` must be in [0, 1], but is {share}.")
        if not sources:
            raise ValueError("`sources` must hold at least one source, but is empty.")
        for source in sources:
            if min(source.size) // scale < crop_size or len(source) < clip_length:
                raise ValueError(
                    f"{str(source.path)!r} has {len(source)} frames of {source.size} (height, width); a sample "
                    f"takes `clip_length` = {clip_length} frames of at least {crop_size * scale} pixels a side."
                )
            low_res = low_res_of(source)
            if low_res is not None and source.size[0] != low_res.size[0] * scale:
                raise ValueError(
                    f"The low resolution of {str(source.path)!r} is {low_res.size}, that of {source.size} by "
                    f"another factor than `scale` = {scale}."
                )
        self.degradation = BicubicDegradation(scale) if degradation is None else degradation
        if self.degradation.scale != scale:
            raise ValueError(f"`degradation` is for scale {self.degradation.scale}, but `scale` is {scale}.")
        self.sources = list(sources)
        weights = np.array([source.weight for source in sources], dtype=np.float64)
        if not (weights.min() >= 0 and weights.sum() > 0):
            raise ValueError("The weights of `sources` must not be negative, and not all zero.")
        self.probabilities = weights / weights.sum()
        self.clip_length, self.crop_size, self.scale = clip_length, crop_size, scale
        self.num_samples, self.seed, self.max_frame_step = num_samples, seed, max_frame_step
        self.cut_threshold = cut_threshold
        self.texture_candidates, self.texture_probability = texture_candidates, texture_probability
        self.still_probability = still_probability

    def __len__(self) -> int:
        return self.num_samples

    def __getitem__(self, index: int) -> ClipSample:
        if not 0 <= index < self.num_samples:
            raise IndexError(f"`index` must be in 0..{self.num_samples - 1}, but is {index}.")
        rng = np.random.default_rng((self.seed, index))
        for _ in range(self.MAX_DRAWS):
            sample = self._draw(rng)
            if not self._has_cut(sample["low_res"]):
                return sample
        raise ValueError(f"`sources`: {self.MAX_DRAWS} windows drawn in a row had a scene cut in them.")

    def _draw(self, rng: np.random.Generator) -> ClipSample:
        index = int(rng.choice(len(self.sources), p=self.probabilities))
        source = self.sources[index]
        gaps = self.clip_length - 1
        max_step = min(self.max_frame_step, (len(source) - 1) // gaps) if gaps else 1
        still = self.still_probability > 0 and rng.random() < self.still_probability
        step = 0 if still else int(rng.integers(1, max_step + 1))
        start = int(rng.integers(0, len(source) - gaps * step))
        augmentation = draw_augmentation(rng)
        frames = augment(self._frames(source, start, step), *augmentation)
        top, left = self._draw_crop(frames, rng)

        block, slices = [], []
        for pixels, first in ((frames.shape[1], top), (frames.shape[2], left)):
            outer = max(0, first - self.MARGIN)
            stop = min(pixels // self.scale, first + self.crop_size + self.MARGIN)
            block.append(slice(outer * self.scale, stop * self.scale))
            slices.append(slice(first - outer, first - outer + self.crop_size))
        with_margin = _to_tensor(frames[:, block[0], block[1]])
        rows, columns = (slice(s.start * self.scale, s.stop * self.scale) for s in slices)
        ground_truth = with_margin[..., rows, columns].contiguous()
        own_low_res = low_res_of(source)
        if own_low_res is None:
            low_res = degrade(with_margin, self.degradation, rng)[..., slices[0], slices[1]].contiguous()
        else:
            small = augment(self._frames(own_low_res, start, step), *augmentation)
            low_res = _to_tensor(small[:, top : top + self.crop_size, left : left + self.crop_size])
        place = torch.tensor([index, start, step, top, left, *augmentation], dtype=torch.int64)
        return {"low_res": low_res, "ground_truth": ground_truth, "place": place}

    def _frames(self, source: Source, start: int, step: int) -> Frames:
        """The frames of a sample (F, H, W, 3); with `step` 0 the first one all through."""
        if step > 0:
            return source.frames(start, self.clip_length, step)
        return np.repeat(source.frames(start, 1), self.clip_length, axis=0)

    def _draw_crop(self, frames: Frames, rng: np.random.Generator) -> tuple[int, int]:
        """The top and the left of a crop of frames (F, H, W, 3), in low-resolution pixels."""
        limits = [n // self.scale - self.crop_size + 1 for n in frames.shape[1:3]]
        first = tuple(int(rng.integers(0, limit)) for limit in limits)
        if self.texture_candidates == 1 or rng.random() >= self.texture_probability:
            return first[0], first[1]
        others = rng.integers(0, limits, size=(self.texture_candidates - 1, 2)).tolist()
        middle = frames[len(frames) // 2]
        side = self.crop_size * self.scale

        def texture_at(corner: Sequence[int]) -> float:
            top, left = (n * self.scale for n in corner)
            return texture(middle[top : top + side, left : left + side], self.scale)

        best = max([first, *others], key=texture_at)
        return best[0], best[1]

    def _has_cut(self, low_res: Tensor) -> bool:
        if len(low_res) < 2:
            return False
        difference = low_res[1:].float().sub(low_res[:-1]).abs().mean(dim=(1, 2, 3))
        return bool(difference.max() > self.cut_threshold)


class ValidationClip(ClipPair):
    """A whole clip with the name of its source."""

    name: str


class ValidationClips(Sequence[ValidationClip]):
    """Whole clips, cut to a multiple of `scale` at the bottom and the right; the low resolution is made by "BI".

    Args:
        paths: folders of frames, or videos.
        max_frames: use the first so many frames of each clip; None for all.
        scale: high over low resolution.
    """

    def __init__(self, paths: Sequence[str | Path], max_frames: int | None = None, scale: int = SCALE) -> None:
        if max_frames is not None and max_frames < 1:
            raise ValueError(f"`max_frames` must be at least 1 or None, but is {max_frames}.")
        self.sources = [FrameFolder(path) if Path(path).is_dir() else VideoFile(path) for path in paths]
        self.max_frames, self.scale = max_frames, scale
        for source in self.sources:
            if min(source.size) < scale:
                raise ValueError(f"{str(source.path)!r} is {source.size}, too small for `scale` = {scale}.")

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, index: int) -> ValidationClip:  # type: ignore[override]
        source = self.sources[index]
        count = len(source) if self.max_frames is None else min(len(source), self.max_frames)
        height, width = (n // self.scale * self.scale for n in source.size)
        ground_truth = _to_tensor(source.frames(0, count)[:, :height, :width])
        low_res = torch.cat([degrade(frame, BicubicDegradation(self.scale)) for frame in ground_truth.split(1)])
        return {"name": Path(source.name).stem, "low_res": low_res, "ground_truth": ground_truth}
