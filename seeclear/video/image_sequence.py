# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Images as a video: one image, or the images of a folder one after the other."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from seeclear.video.images import ImageInfo, image_info, read_image
from seeclear.video.properties import Kind, VideoProperties

DEFAULT_FPS = Fraction(25)
"""Taken where nothing says how many frames there are per second."""

_PIXEL_FORMATS = {
    # (grey, bits, alpha): as FFmpeg has them of PNGs
    (False, 8, False): "rgb24",
    (False, 8, True): "rgba",
    (False, 16, False): "rgb48be",
    (False, 16, True): "rgba64be",
    (True, 8, False): "gray",
    (True, 8, True): "ya8",
    (True, 16, False): "gray16be",
    (True, 16, True): "ya16be",
}

_UNSPECIFIED = 2


class ImageSequence:
    """What `VideoReader` uses for images.

    Args:
        path: of the folder or image.
        files: the images.
        fps: frames per second; None is `DEFAULT_FPS`.
        srgb: convert the numbers of images that name other colours to sRGB.

    Raises:
        ValueError: an image cannot be read, or they differ in size.
    """

    def __init__(self, path: Path, files: Sequence[Path], fps: Fraction | None, srgb: bool) -> None:
        self._files, self._srgb = files, srgb
        infos = [image_info(file) for file in files]
        first = infos[0]
        for file, info in zip(files, infos, strict=True):
            if (info.width, info.height) != (first.width, first.height):
                raise ValueError(
                    f"{path}: all images must have one size, but {files[0].name} is "
                    f"{first.width}x{first.height} and {file.name} is {info.width}x{info.height}."
                )
        bits, grey = max(info.bits for info in infos), all(info.is_grey for info in infos)
        # Many images have an alpha channel and no transparent pixel; only the pixels tell.
        candidates = (file for file, info in zip(files, infos, strict=True) if info.has_alpha)
        alpha = any(read_image(file)[1] is not None for file in candidates)
        points = {info.code_points for info in infos}
        primaries, transfer, *_ = (points.pop() if len(points) == 1 else None) or (_UNSPECIFIED, _UNSPECIFIED)
        stored = {info.color_name for info in infos if not info.is_converted and info.color_name}
        kind: Kind = "folder" if path.is_dir() else "image"
        self.properties = VideoProperties(
            path=path,
            kind=kind,
            codec="images",
            width=first.width,
            height=first.height,
            pix_fmt=_PIXEL_FORMATS[grey, bits, alpha],
            bit_depth=bits,
            has_alpha=alpha,
            is_grey=grey,
            time_base=1 / (fps or DEFAULT_FPS),
            fps=fps or DEFAULT_FPS,
            fps_is_assumed=fps is None,
            num_frames=len(files),
            primaries=primaries,
            transfer=transfer,
            image_colors=() if srgb else tuple(sorted(stored)),
            image_metadata=tuple(dict.fromkeys(name for info in infos for name in info.metadata)),
            notes=tuple(_notes(path, files, infos, srgb)),
        )

    def timed(self) -> Generator[tuple[Path, int, int], None, None]:
        """(file, time stamp, duration) of every image."""
        yield from ((file, index, 1) for index, file in enumerate(self._files))

    def pixels(self, file: Path) -> tuple[np.ndarray, np.ndarray | None]:
        """(RGB (H, W, 3), alpha (H, W) or None where it is opaque), float32 in [0, 1]."""
        rgb, alpha = read_image(file, self._srgb)
        if rgb.shape[:2] != (self.properties.height, self.properties.width):
            raise ValueError(f"{file}: the image has changed since it was opened.")
        return rgb, alpha


def _notes(path: Path, files: Sequence[Path], infos: Sequence[ImageInfo], srgb: bool) -> list[str]:
    """A sentence for each thing that is passed over or changed, with the first file of which it is true."""
    said: dict[str, list[Path]] = {}
    for file, info in zip(files, infos, strict=True):
        for note in info.notes:
            said.setdefault(note, []).append(file)
        if info.color_name and (srgb or info.is_converted):
            said.setdefault(f"has colours of its own ({info.color_name}), which become sRGB.", []).append(file)
    others = {note: f" (and {len(found) - 1} more)" if len(found) > 1 else "" for note, found in said.items()}
    notes = [f"{found[0]}{others[note]} {note}" for note, found in said.items()]
    points = {info.code_points for info in infos}
    if len(points) > 1:
        notes.append(f"{path}: the images name different colours (cICP), which a video cannot keep.")
    return notes
