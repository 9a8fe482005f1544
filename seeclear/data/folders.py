# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Finds the sources inside a training folder, or those that a list names."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, cast

from .sources import IMAGE_SUFFIXES, VIDEO_SUFFIXES, FrameFolder, Photo, Source, VideoFile, image_files
from .standard import open_dataset

SourceKind = Literal["auto", "photos"]

REFERENCE_VALIDATION_CLIPS = (
    "davis/JPEGImages/cows",
    "davis/JPEGImages/dance-twirl",
    "davis/JPEGImages/parkour",
    "davis/JPEGImages/car-roundabout",
    "clips/01_dog.mp4",
)
"""The clips the shipped weights are validated on and never trained on, relative to the reference data's folder."""


def reference_validation_paths(data_dir: str | Path) -> list[Path]:
    """The validation clips of the reference data, all of which must exist (ValueError)."""
    paths = [Path(data_dir) / name for name in REFERENCE_VALIDATION_CLIPS]
    for path in paths:
        if not path.exists():
            raise ValueError(f"`data_dir` must hold {REFERENCE_VALIDATION_CLIPS}, but there is no {str(path)!r}.")
    return paths


def open_sources(
    path: str | Path,
    exclude: Collection[str] = (),
    cache: bool = True,
    kind: SourceKind = "auto",
    downscale: int = 1,
    photo_size: tuple[int, int] = (224, 224),
) -> list[Source]:
    """The training sources in a folder, in order of their paths.

    Every video is a source. Images directly inside `path` are photographs; those of a sub-folder, at any depth, are
    the frames of a clip. In the layout of DAVIS, where a folder has a sub-folder `JPEGImages`, only that one is looked
    at, not the annotations beside it.

    Args:
        path: a folder, a video, or a photograph.
        exclude: names of sources to leave out: a folder's name, or a file's with or without its ending.
        cache: keep the decoded frames in memory (1 MiB a frame of 720x480).
        kind: "photos" takes every image for a photograph, also those in sub-folders.
        downscale: reduce the frames of videos by this whole factor, against compression artefacts.
        photo_size: height and width of the frames made from photographs.

    Raises:
        ValueError: `path` does not exist or holds no source; an unknown `kind`.
    """
    root = Path(path)
    if kind not in ("auto", "photos"):
        raise ValueError(f"`kind` must be 'auto' or 'photos', but is {kind!r}.")
    if not root.exists():
        raise ValueError(f"`path` must exist, but {str(path)!r} does not.")
    sources: list[Source] = []
    for item in _candidates(root, kind):
        if item.name in exclude or item.stem in exclude:
            continue
        if item.is_dir():
            sources.append(FrameFolder(item, cache=cache))
        elif item.suffix.lower() in VIDEO_SUFFIXES:
            sources.append(VideoFile(item, downscale=downscale, cache=cache))
        else:
            sources.append(Photo(item, size=photo_size, cache=cache))
    if not sources:
        raise ValueError(
            f"`path` holds no video, no image and no folder of images (but those excluded): {str(path)!r}."
        )
    return sources


def _candidates(path: Path, kind: SourceKind, is_root: bool = True) -> list[Path]:
    """The clip folders, videos and photographs at or below a path."""
    if path.is_file():
        return [path] if path.suffix.lower() in VIDEO_SUFFIXES + IMAGE_SUFFIXES else []
    if (path / "JPEGImages").is_dir():
        path = path / "JPEGImages"
    found: list[Path] = []
    if image_files(path) and not is_root and kind == "auto":
        found.append(path)
    for item in sorted(path.iterdir()):
        is_image = item.suffix.lower() in IMAGE_SUFFIXES
        if item.is_dir() or not is_image or is_root or kind == "photos":
            found.extend(_candidates(item, kind, is_root=False))
    return found


_FOLDER_KEYS = {"kind", "downscale"}
_DATASET_KEYS = {"split", "low_res"}
_ENTRY_KEYS = {"path", "exclude", "weight", "dataset"} | _FOLDER_KEYS | _DATASET_KEYS


def read_source_list(
    list_file: str | Path,
    data_dir: str | Path | None = None,
    cache: bool = True,
    photo_size: tuple[int, int] = (224, 224),
) -> list[Source]:
    """The training sources that a file lists.

    A text file has one path a line (blank lines and lines that begin with # are skipped). A JSON file is
    `{"exclude": [names], "sources": [entry, ...]}`; an entry is a path, or `{"path": ..., "kind": "auto" or "photos",
    "downscale": whole number, "exclude": [names], "weight": factor on how often its sources are drawn}` where all but
    the path may be left out; such a path is opened with `open_sources`. An entry with "dataset" ("reds", "vimeo90k",
    "davis" or "vid4") is the root of that data set, opened with `open_dataset`; it has "split" and "low_res" (true
    for the low resolution that comes with the data set) in place of "kind" and "downscale".

    Args:
        list_file: the list; one that ends with .json is JSON.
        data_dir: what relative paths are relative to; the list's own folder unless given.
        cache, photo_size: see `open_sources`.

    Raises:
        ValueError: the list is missing, malformed or empty, or a path in it cannot be opened.
    """
    list_file = Path(list_file)
    if not list_file.is_file():
        raise ValueError(f"`list_file` must be a file, but {str(list_file)!r} is not.")
    base = list_file.parent if data_dir is None else Path(data_dir)
    text = list_file.read_text(encoding="utf-8")
    if list_file.suffix.lower() == ".json":
        try:
            spec = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"`list_file` {str(list_file)!r} is not JSON: {error}") from error
        if not isinstance(spec, dict) or not set(spec) <= {"exclude", "sources"}:
            raise ValueError(
                f"`list_file` {str(list_file)!r} must be an object with the keys 'sources' and 'exclude'."
            )
        entries, exclude = spec.get("sources", []), set(spec.get("exclude", []))
    else:
        lines = [line.strip() for line in text.splitlines()]
        entries, exclude = [line for line in lines if line and not line.startswith("#")], set()
    if not entries:
        raise ValueError(f"`list_file` {str(list_file)!r} names no source.")

    sources: list[Source] = []
    for item in entries:
        entry: dict[str, Any] = {"path": item} if isinstance(item, str) else item
        if not isinstance(entry, dict) or "path" not in entry or not set(entry) <= _ENTRY_KEYS:
            raise ValueError(
                f"An entry of {str(list_file)!r} must be a path, or an object with a path and keys of "
                f"{sorted(_ENTRY_KEYS)}, but is {item!r}."
            )
        names = exclude | set(entry.get("exclude", []))
        if "dataset" in entry:
            opened = _open_dataset_entry(entry, base, names, cache, list_file)
        elif set(entry) & _DATASET_KEYS:
            raise ValueError(f"An entry of {str(list_file)!r} has keys that need 'dataset': {item!r}.")
        else:
            opened = open_sources(
                base / entry["path"],
                exclude=names,
                cache=cache,
                kind=cast(SourceKind, entry.get("kind", "auto")),
                downscale=entry.get("downscale", 1),
                photo_size=photo_size,
            )
        for source in opened:
            source.weight *= entry.get("weight", 1.0)
        sources.extend(opened)
    return sources


def _open_dataset_entry(
    entry: dict[str, Any], base: Path, exclude: Collection[str], cache: bool, list_file: Path
) -> list[Source]:
    if set(entry) & _FOLDER_KEYS:
        raise ValueError(f"An entry of {str(list_file)!r} with 'dataset' cannot have {sorted(_FOLDER_KEYS)}: {entry}.")
    low_res = bool(entry.get("low_res", False))
    opened = open_dataset(entry["dataset"], base / entry["path"], entry.get("split"), low_res, cache)
    return [source for source in opened if source.name not in exclude]
