# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What there is in a folder: frames of one video, or many videos and pictures, and where the output of each goes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise, zip_longest
from pathlib import Path

from seeclear.video.codecs import IMAGE_OUTPUT_SUFFIXES, OUTPUT_SUFFIXES, VIDEO_SUFFIXES
from seeclear.video.images import IMAGE_SUFFIXES, image_info

# Files in a folder of many videos that are taken for videos.
VIDEO_INPUT_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif", ".mpg", ".mpeg", ".m2v", ".ts", ".m2ts", ".mts"),
    *(".vob", ".wmv", ".asf", ".flv", ".f4v", ".ogv", ".3gp", ".3g2", ".mxf", ".y4m", ".dv", ".rm", ".rmvb"),
)

Pair = tuple[Path, Path]


def list_videos(folder: Path, output: Path, images: bool | None = None) -> list[Pair] | None:
    """(input, output) of what is in a folder, in the order of the names.

    A video file is a video, a folder of images is one video, or, where its images are pictures by themselves, each of
    them. "a.mp4" becomes "a.mp4" in the folder `output`; a file whose kind is not written gets an ending that is
    ("a.avi.mkv", "a.bmp.png"), and a folder of frames becomes a folder of images.

    Args:
        folder: the input.
        output: the output.
        images: whether images are pictures by themselves (True) or the frames of a video (False); None decides it for
            each folder of them by `are_pictures`, and takes them for frames where `output` is a video.

    Returns:
        None where `folder` is no folder, or is one video: a folder of frames.

    Raises:
        ValueError: `images` is given for a video; there are images and videos, so that it is not clear which is meant;
            or there is neither; or `output` is no folder, or the same one.
    """
    if not folder.is_dir():
        if images is not None and folder.is_file() and not _is_image(folder):
            raise ValueError(f"{folder}: `images` is for folders of images, but this is one file.")
        return None
    entries = [entry for entry in _entries(folder) if entry.resolve() != output.resolve()]
    pictures = [entry for entry in entries if _is_image(entry)]
    videos = [entry for entry in entries if _is_video(entry)]
    if pictures and videos and not images:
        raise ValueError(
            f"{folder}: has images ({pictures[0].name}) and videos ({videos[0].name}); name one file, or a folder "
            "that has only the one or only the other, or give `images` to have each image upscaled by itself."
        )
    is_a_video = not output.is_dir() and output.suffix.lower() in (*VIDEO_SUFFIXES, ".gif")
    if pictures and not videos and _are_frames(pictures, False if images is None and is_a_video else images):
        return None
    found = list(_pairs(entries, output, images))
    if not found:
        raise ValueError(f"{folder}: the folder has no images ({', '.join(IMAGE_SUFFIXES)}) and no videos.")
    if output.resolve() == folder.resolve():
        raise ValueError(f"{output}: the output must be another folder than the input.")
    if output.exists() and not output.is_dir() or not output.exists() and output.suffix.lower() in OUTPUT_SUFFIXES:
        kind = "pictures" if pictures else "videos"
        raise ValueError(f"{output}: must be a folder, because {folder} has {len(found)} {kind}.")
    return found


def are_pictures(images: list[Path]) -> bool:
    """Whether images of one folder are taken for pictures by themselves: frames of a video have one size, and names
    that count up evenly. An image that cannot be read does not make them pictures; who opens it says what is wrong.
    """
    sizes = filter(None, map(_size, images))
    return not _are_numbered([image.stem for image in images]) or len(set(sizes)) > 1


def _are_numbered(names: list[str]) -> bool:
    """Whether names differ in one number, and that by equal steps, as "7-frame1", "7-frame2", "7-frame3"; one name
    alone does.
    """
    columns = [set(column) for column in zip_longest(*(re.split(r"([0-9]+)", name) for name in names))]
    varying = [index for index, column in enumerate(columns) if len(column) > 1]
    if len(names) == 1:
        return True
    if len(varying) != 1 or varying[0] % 2 == 0 or None in columns[varying[0]]:  # text and numbers in turn
        return False
    numbers = sorted(int(number) for number in columns[varying[0]] if number)
    steps = {later - earlier for earlier, later in pairwise(numbers)}
    return len(numbers) == len(names) and len(steps) == 1


def _size(image: Path) -> tuple[int, int] | None:
    with suppress(ValueError):
        info = image_info(image)
        return info.width, info.height
    return None


def _are_frames(images: list[Path], asked: bool | None) -> bool:
    return not (are_pictures(images) if asked is None else asked)


def _pairs(entries: list[Path], output: Path, images: bool | None) -> Iterator[Pair]:
    for entry in entries:
        if _is_image(entry) or _is_video(entry):
            yield entry, output / _output_name(entry)
        elif entry.is_dir():
            inside = [image for image in _entries(entry) if _is_image(image)]
            if inside and _are_frames(inside, images):
                yield entry, output / entry.name
            else:
                yield from ((image, output / entry.name / _output_name(image)) for image in inside)


def _entries(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_INPUT_SUFFIXES and path.is_file()


def _output_name(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return path.name if suffix in IMAGE_OUTPUT_SUFFIXES else f"{path.name}.png"
    return path.name if suffix in (*VIDEO_SUFFIXES, ".gif") else f"{path.name}.mkv"
