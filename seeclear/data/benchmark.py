# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Whole clips to measure on: originals, their low resolution, and frames that a system made of it.

A folder of clips has a sub-folder of images or a video for each; a clip's name is the sub-folder's, or the video's
without its ending. What belongs to an original is found by that name.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..video.opening import open_container, video_stream
from ..video.reader import VideoReader
from ..wording import counted
from .sources import VIDEO_SUFFIXES, FrameFolder, VideoFile, check_depth, image_files, natural_key


@dataclass(frozen=True)
class StoredClip:
    """A clip on disk: a folder of images, or a video.

    Raises:
        ValueError: when made: it is neither, is empty, its images differ in size or cannot be opened, or it has more
            than 8 bits a channel; the message names the file.
    """

    name: str
    path: Path
    size: tuple[int, int]
    """Height and width."""
    num_frames: int

    @classmethod
    def open(cls, path: Path, name: str | None = None) -> "StoredClip":
        """Reads what the headers of the files say."""
        name = name or (path.name if path.is_dir() else path.stem)
        if path.is_dir():
            folder = FrameFolder(path)
            return cls(name, path, folder.size, len(folder))
        num_frames = len(VideoFile(path))
        check_depth(path, _video_bits(path))
        with VideoReader(path) as reader:
            return cls(name, path, (reader.height, reader.width), num_frames)

    def read(self, count: int) -> Tensor:
        """The first `count` frames: (count, 3, H, W), uint8.

        Raises:
            ValueError: a frame cannot be read, or the video ends before; the message names the file.
        """
        if self.path.is_dir():
            frames = FrameFolder(self.path, size=self.size).frames(0, count)
        else:
            with VideoReader(self.path) as reader:
                read = list(islice(reader, count))
            if len(read) < count:
                raise ValueError(f"{str(self.path)!r} ends after {len(read)} of its {self.num_frames} frames.")
            frames = np.stack(read)
        return torch.from_numpy(frames.transpose(0, 3, 1, 2).copy())


def _video_bits(path: Path) -> int:
    with open_container(path) as container:
        return max(component.bits for component in video_stream(container, path).format.components)


def _is_video(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES


def _clip_paths(path: Path) -> dict[str, Path]:
    """The clips in a folder by their names, in natural order."""
    found: dict[str, Path] = {}
    for item in sorted(path.iterdir(), key=lambda item: natural_key(item.name)):
        if _is_video(item) or (item.is_dir() and image_files(item)):
            name = item.name if item.is_dir() else item.stem
            if name in found:
                raise ValueError(f"{str(found[name])!r} and {str(item)!r} are two clips of one name.")
            found[name] = item
    return found


def find_clips(paths: Sequence[str | Path]) -> list[StoredClip]:
    """The clips at some paths: each is a video, a folder of images, or a folder of such.

    Raises:
        ValueError: a path does not exist or holds no clip; two clips have one name; see [`StoredClip`].
    """
    clips: dict[str, StoredClip] = {}
    for given in paths:
        path = Path(given)
        if not path.exists():
            raise ValueError(f"There is no file or folder {str(given)!r}.")
        single = path.is_file() or bool(image_files(path))
        found = {(path.resolve().name if path.is_dir() else path.stem): path} if single else _clip_paths(path)
        if not found:
            raise ValueError(f"{str(given)!r} holds no clip: no images, no video and no folder of images.")
        for name, item in found.items():
            if name in clips:
                raise ValueError(f"{str(clips[name].path)!r} and {str(item)!r} are two clips of one name.")
            clips[name] = StoredClip.open(item, name)
    return list(clips.values())


def find_matching(
    root: str | os.PathLike[str], clip: StoredClip, size: tuple[int, int], only_clip: bool
) -> StoredClip:
    """What belongs to an original: the folder or the video of its name in `root`, checked.

    Args:
        root: a folder of clips; where there is only one original, also the clip itself, folder or video.
        clip: the original.
        size: the height and width that the frames must have.
        only_clip: whether it is the only original.

    Raises:
        ValueError: nothing of that name; another size, number or depth of frames. The message names the file.
    """
    root = Path(root)
    if not root.exists():
        raise ValueError(f"There is no file or folder {str(root)!r}.")
    if only_clip and (root.is_file() or image_files(root)):
        path = root
    else:
        found = _clip_paths(root) if root.is_dir() else {}
        if clip.name not in found:
            raise ValueError(f"{str(root)!r} has no frames of the clip {clip.name!r}; it has {sorted(found)[:5]}.")
        path = found[clip.name]
    match = StoredClip.open(path, clip.name)
    if match.size != size:
        file = image_files(path)[0] if path.is_dir() else path
        raise ValueError(
            f"{str(file)!r} is {match.size[1]}x{match.size[0]}; frames of the clip {clip.name!r} must be "
            f"{size[1]}x{size[0]} there."
        )
    return match


def check_count(match: StoredClip, clip: StoredClip, needed: int) -> None:
    """ValueError unless a clip has as many frames as its original, or just those that are measured."""
    if match.num_frames not in (clip.num_frames, needed):
        allowed = " or ".join(str(n) for n in sorted({clip.num_frames, needed}))
        raise ValueError(
            f"{str(match.path)!r} has {counted(match.num_frames, 'frame')}; the clip {clip.name!r} needs {allowed} of "
            "them."
        )
