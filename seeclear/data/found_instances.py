# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Instances without annotation: what stands before the background in photographs with a mask, and what moves before
a camera that stands still.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from seeclear.shipped import SCALE

from ..resize import imresize, to_uint8
from .instances import MAX_INSTANCES, AnnotatedClip
from .sources import VideoFile, image_files

PHOTO_SIZE = 240
"""Photographs are reduced to so many rows or columns, whichever is shorter."""
LEAST_SHARE = 0.003
"""An instance covers at least this share of a frame."""
_LARGEST_SHARE = 0.7
_UNSURE = 0.4
"""Of a photograph's mask, at most this share may be neither inside nor outside."""
_CONTRAST = 22.0
"""Grey levels by which something differs from the background before which it moves."""
_SAME = 0.15
"""Overlap (IoU) of one object in neighbouring frames."""


def connected_parts(mask: Tensor, least: float = LEAST_SHARE) -> Tensor:
    """The connected parts (n, h, w), bool, of a mask bool (h, w) that cover the share `least` of it or more, the
    largest first. Pixels are connected with their eight neighbours.
    """
    height, width = mask.shape
    number = torch.arange(1, height * width + 1, dtype=torch.float32).reshape(1, height, width) * mask
    while True:  # every pixel takes on the largest number near it, and the number that the pixel of that number has
        largest = F.max_pool2d(number, 3, stride=1, padding=1)
        grown = number.flatten()[(largest.flatten().long() - 1).clamp(min=0)].reshape(number.shape) * mask
        if torch.equal(grown, number):
            break
        number = grown
    numbers, counts = number[number > 0].unique(return_counts=True)
    large = counts >= least * mask.numel()
    order = counts[large].argsort(descending=True)
    return number[0] == numbers[large][order][:, None, None]


def read_masked_photos(images_dir: Path, masks_dir: Path) -> list[AnnotatedClip]:
    """Photographs and masks of what they show, as clips of one frame without label; each connected part is an
    instance.

    Args:
        images_dir: the photographs.
        masks_dir: grey images, white inside, of any size: of a person's hand or of a model that finds the foreground.
            Photographs without a mask of the same name are left out, and those whose mask is empty, nearly everything
            or undecided.

    Raises:
        ValueError: a folder is missing.
    """
    for folder in (images_dir, masks_dir):
        if not folder.is_dir():
            raise ValueError(f"{str(folder)!r} must be a folder of images.")
    by_name = {file.stem: file for file in image_files(masks_dir)}
    photos = []
    for file in image_files(images_dir):
        if file.stem not in by_name:
            continue
        with Image.open(file) as opened:
            opened.draft("RGB", (640, 640))
            scale = PHOTO_SIZE / min(opened.size)
            size = (round(opened.width * scale), round(opened.height * scale))
            image = np.asarray(opened.convert("RGB").resize(size, Image.Resampling.BICUBIC)).copy()
        with Image.open(by_name[file.stem]) as opened:
            grey = np.asarray(opened.convert("L").resize(size, Image.Resampling.BILINEAR), dtype=np.float32) / 255
        mask = torch.from_numpy(grey)
        unsure = ((mask > 0.2) & (mask < 0.8)).sum() / (mask > 0.2).sum().clamp(min=1)
        parts = connected_parts(mask > 0.5)[:MAX_INSTANCES]
        if len(parts) and unsure <= _UNSURE and (mask > 0.5).float().mean() <= _LARGEST_SHARE:
            near = F.max_pool2d(parts.float(), 5, stride=1, padding=2)  # with the soft edge
            group = "photographs" if len(parts) == 1 else "photographs of several"
            frame = torch.from_numpy(image).permute(2, 0, 1)[None]
            photos.append(AnnotatedClip(file.stem, "", frame, (mask * near)[None].half(), group))
    return photos


def read_static_video(
    path: Path,
    label: str = "",
    clip_length: int = 8,
    num_clips: int = 40,
    until: float = 1.0,
    scale: int = SCALE,
    since: float = 0.0,
) -> list[AnnotatedClip]:
    """Cuts clips out of a video whose camera stands still; what differs from the background is an instance each.

    The background is the median of the video. Instances are followed from frame to frame by their overlap.

    Args:
        path: of the video.
        label: of all that moves in it.
        clip_length: frames in a clip, every second one of the video.
        num_clips: evenly spaced; those in which nothing moves are left out.
        until: the share of the video that is used.
        scale: by which frames are reduced, as "BI" does.
        since: the share of the video before that.
    """
    video = VideoFile(path)
    first, length = round(len(video) * since), round(len(video) * until)
    step = 2
    size = tuple(n // scale * scale for n in video.size)

    def read(start: int, count: int, step: int = 1) -> Tensor:
        frames = torch.from_numpy(video.frames(start, count, step).copy()).permute(0, 3, 1, 2)
        return to_uint8(imresize(frames[..., : size[0], : size[1]].float() / 255, scale=1 / scale))

    starts = np.linspace(first, length - (clip_length - 1) * step - 1, num_clips).astype(int).tolist()
    clips = [read(start, clip_length, step) for start in starts]
    background = torch.stack([clip[0] for clip in clips]).median(dim=0).values.float()
    found = []
    for start, frames in zip(starts, clips, strict=True):
        instances = _follow([connected_parts(one) for one in _foreground(frames, background)])
        if instances.shape[1]:
            masks = F.avg_pool2d(F.pad(instances.float(), (1, 1, 1, 1), mode="replicate"), 3, stride=1)
            found.append(AnnotatedClip(f"{path.stem}-{start}", label, frames, masks.half(), "static cameras"))
    return found


def _foreground(frames: Tensor, background: Tensor) -> Tensor:
    """What differs from the background (3, h, w), small gaps closed and specks left out: bool (N, h, w)."""
    differs = (frames.float() - background).abs().amax(dim=1, keepdim=True)
    mask = (F.avg_pool2d(differs, 3, stride=1, padding=1) > _CONTRAST).float()
    mask = -F.max_pool2d(-F.max_pool2d(mask, 5, stride=1, padding=2), 5, stride=1, padding=2)
    mask = F.max_pool2d(-F.max_pool2d(-mask, 3, stride=1, padding=1), 3, stride=1, padding=1)
    return mask[:, 0] > 0.5


def _follow(parts: list[Tensor]) -> Tensor:
    """The parts (n, h, w) of every frame -> instances (N, m, h, w), bool: those seen in most frames, at most
    `MAX_INSTANCES`, the largest.
    """
    tracks: list[dict[int, Tensor]] = []
    for frame, masks in enumerate(parts):
        free = [track for track in tracks if frame - 1 in track]
        for mask in masks:
            overlaps = [float((mask & t[frame - 1]).sum() / (mask | t[frame - 1]).sum()) for t in free]
            best = int(np.argmax(overlaps)) if overlaps else 0
            if overlaps and overlaps[best] >= _SAME:
                free.pop(best)[frame] = mask
            else:
                tracks.append({frame: mask})
    tracks = [track for track in tracks if 2 * len(track) > len(parts)]
    tracks.sort(key=lambda track: -sum(float(mask.sum()) for mask in track.values()))
    if not tracks:
        return torch.zeros(len(parts), 0, 1, 1, dtype=torch.bool)
    nothing = torch.zeros_like(next(iter(tracks[0].values())))
    return torch.stack(
        [torch.stack([track.get(i, nothing) for track in tracks[:MAX_INSTANCES]]) for i in range(len(parts))]
    )
