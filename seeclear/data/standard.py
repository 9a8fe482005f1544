# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The data sets of video super-resolution, by the layouts they are published in and the splits that papers use.

| data set | folders and lists that are looked for under `root` |
|---|---|
| REDS | `train_sharp/<clip>/<frame>.png` and `val_sharp/...`, also inside `train/` and `val/`; 1280x720; low resolution in `train_sharp_bicubic/X4/...` |
| Vimeo-90K septuplets | `sequences/<n>/<n>/im1.png` to `im7.png`, `sep_trainlist.txt`, `sep_testlist.txt`; 448x256; low resolution in a tree of the same form beside it |
| DAVIS | `JPEGImages/<resolution>/<clip>/<frame>.jpg`, `Annotations/<resolution>/...`, `ImageSets/<year or resolution>/<split>.txt` |
| Vid4 | `GT/<clip>/<frame>.png`, low resolution in `BIx4/...` and `BDx4/...` |
"""  # noqa: E501

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from seeclear.shipped import SCALE

from .sources import FrameFolder, Source, image_files

REDS4 = ("000", "011", "015", "020")
"""The training clips of REDS that are held out for tests since EDVR (Wang et al. 2019)."""
VID4 = ("calendar", "city", "foliage", "walk")
REDS_SIZE = (720, 1280)
VIMEO_SIZE = (256, 448)
VIMEO_LOW_RES_FOLDERS = ("vimeo_septuplet_matlabLRx4", "BIx4")


def _first_folder(root: Path, names: Sequence[str], what: str) -> Path:
    for name in names:
        if (root / name).is_dir():
            return root / name
    raise ValueError(
        f"{what} must be in one of the folders {list(names)} of {str(root)!r}, but there is none of them."
    )


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {list(choices)}, but is {value!r}.")


def _clip(folder: Path, low_res: Path | None, size: tuple[int, int] | None, cache: bool) -> FrameFolder:
    """The clip in a folder, with its low resolution if there is to be one (of a quarter of the size)."""
    if low_res is None:
        return FrameFolder(folder, cache=cache, size=size)
    small_size = None if size is None else (size[0] // SCALE, size[1] // SCALE)
    return FrameFolder(folder, cache=cache, size=size, low_res=FrameFolder(low_res, cache=cache, size=small_size))


def reds(
    root: str | Path,
    split: Literal["train", "reds4", "val"] = "train",
    low_res: bool = False,
    cache: bool = False,
) -> list[FrameFolder]:
    """REDS (Nah et al. 2019).

    Args:
        root: the folder the archives were unpacked in.
        split: "train" is the training clips less REDS4, "reds4" these four, "val" the validation clips.
        low_res: take the low resolution that comes with it ("train_sharp_bicubic").
        cache: see [`FrameFolder`].

    Raises:
        ValueError: a folder or a clip is missing; an unknown split.
    """
    _check_choice("split", split, ("train", "reds4", "val"))
    root, part = Path(root), "val" if split == "val" else "train"
    sharp = _first_folder(root, [f"{part}_sharp", f"{part}/{part}_sharp"], "The clips of REDS")
    small = None
    if low_res:
        names = [f"{part}_sharp_bicubic/X4", f"{part}/{part}_sharp_bicubic/X4"]
        small = _first_folder(root, names, "The low resolution of REDS")
    found = sorted(path.name for path in sharp.iterdir() if path.is_dir())
    names = list(REDS4) if split == "reds4" else [name for name in found if split == "val" or name not in REDS4]
    missing = sorted(set(names) - set(found))
    if missing or not names:
        raise ValueError(f"`root`: {str(sharp)!r} must hold the clips of the split {split!r}; missing: {missing}.")
    return [_clip(sharp / name, None if small is None else small / name, REDS_SIZE, cache) for name in names]


def vimeo90k(
    root: str | Path,
    split: Literal["train", "test"] = "train",
    low_res: str | Path | None = None,
    cache: bool = False,
) -> list[FrameFolder]:
    """The septuplets of Vimeo-90K (Xue et al. 2019), named "00001/0266".

    Args:
        root: the folder with `sequences` and the list files (`vimeo_septuplet`).
        split: "train" is what `sep_trainlist.txt` lists, "test" what `sep_testlist.txt` lists.
        low_res: the folder of the low-resolution septuplets, with or without `sequences` in it; the archive has
            none, but a common one is made of it.
        cache: see [`FrameFolder`].

    Raises:
        ValueError: a list is missing, malformed or empty; an unknown split.
    """
    _check_choice("split", split, ("train", "test"))
    root = Path(root)
    list_file = root / f"sep_{split}list.txt"
    if not list_file.is_file():
        raise ValueError(f"`root` must hold {list_file.name!r}, the list of the split, but there is no {list_file}.")
    names = list_file.read_text(encoding="utf-8").split()
    malformed = [name for name in names if name.count("/") != 1]
    if malformed or not names:
        raise ValueError(f"{str(list_file)!r} must list septuplets such as 00001/0266, but has {malformed[:3]}.")
    small = None if low_res is None else Path(low_res)
    if small is not None and (small / "sequences").is_dir():
        small = small / "sequences"
    clips = []
    for name in names:
        own = None if small is None else small / name
        clip = _clip(root / "sequences" / name, own, VIMEO_SIZE, cache)
        clip.name = name
        clips.append(clip)
    return clips


def davis(
    root: str | Path,
    split: str | None = None,
    resolution: str = "480p",
    cache: bool = False,
) -> list[FrameFolder]:
    """DAVIS 2016 or 2017 (Perazzi et al. 2016, Pont-Tuset et al. 2017).

    Args:
        root: the folder with `JPEGImages`.
        split: the name of a list in a folder of `ImageSets`, such as "train", "val", "2016/train" or "2017/val";
            where two years have a list of the name, the year must be given. None takes all clips.
        resolution: "480p", "1080p" or "Full-Resolution"; copies without this folder level are read as well.
        cache: see [`FrameFolder`].

    Raises:
        ValueError: a folder, list or clip is missing, or a split is ambiguous.
    """
    root = Path(root)
    images = _first_folder(root, [f"JPEGImages/{resolution}", "JPEGImages"], "The clips of DAVIS")
    if split is None:
        names = sorted(path.name for path in images.iterdir() if path.is_dir() and image_files(path))
    else:
        lists = sorted(root.glob(f"ImageSets/{split}.txt" if "/" in split else f"ImageSets/*/{split}.txt"))
        if len(lists) != 1:
            found = sorted(path.relative_to(root / "ImageSets").as_posix() for path in root.glob("ImageSets/*/*.txt"))
            raise ValueError(f"`split` must name one list of {found}, but {split!r} names {len(lists)} of them.")
        # a line is a clip (2017), or a frame and its annotation: /JPEGImages/480p/bear/00000.jpg (2016)
        lines = [line.split()[0] for line in lists[0].read_text(encoding="utf-8").splitlines() if line.strip()]
        names = list(dict.fromkeys(Path(line).parent.name if "/" in line else line for line in lines))
    if not names:
        raise ValueError(f"`root`: there is no clip in {str(images)!r}.")
    return [FrameFolder(images / name, cache=cache) for name in names]


def davis_annotations(clip: str | Path) -> list[Path]:
    """The annotations of a clip's frames, in their order, for a folder below `JPEGImages`.

    Raises:
        ValueError: the folder is not below one of that name, or a frame has no annotation.
    """
    clip = Path(clip)
    parts = list(clip.parts)
    if "JPEGImages" not in parts:
        raise ValueError(f"`clip` must lie below a folder JPEGImages, but is {str(clip)!r}.")
    parts[len(parts) - 1 - parts[::-1].index("JPEGImages")] = "Annotations"
    files = [Path(*parts) / f"{image.stem}.png" for image in image_files(clip)]
    missing = [str(file) for file in files if not file.is_file()]
    if missing or not files:
        raise ValueError(f"Every frame of {str(clip)!r} must have an annotation; missing: {missing[:3]}.")
    return files


def vid4(root: str | Path, low_res: Literal["BIx4", "BDx4"] | None = None, cache: bool = False) -> list[FrameFolder]:
    """Vid4 (Liu and Sun 2014): calendar, city, foliage, walk.

    Args:
        root: the folder with `GT`.
        low_res: take the low resolution in this folder.
        cache: see [`FrameFolder`].

    Raises:
        ValueError: a folder or a clip is missing.
    """
    root = Path(root)
    truth = _first_folder(root, ["GT"], "The clips of Vid4")
    small = None if low_res is None else _first_folder(root, [low_res], "The low resolution of Vid4")
    return [_clip(truth / name, None if small is None else small / name, None, cache) for name in VID4]


def _open_vimeo(root: Path, split: str | None, low_res: bool, cache: bool) -> list[FrameFolder]:
    small = None
    if low_res:
        small = _first_folder(root.parent, VIMEO_LOW_RES_FOLDERS, "The low resolution of Vimeo-90K")
    return vimeo90k(root, split or "train", low_res=small, cache=cache)  # type: ignore[arg-type]


def _open_davis(root: Path, split: str | None, low_res: bool, cache: bool) -> list[FrameFolder]:
    if low_res:
        raise ValueError("`low_res`: DAVIS has no low-resolution frames.")
    return davis(root, split, cache=cache)


def _open_vid4(root: Path, split: str | None, low_res: bool, cache: bool) -> list[FrameFolder]:
    if split is not None:
        raise ValueError(f"`split`: Vid4 has none, but {split!r} was given.")
    return vid4(root, "BIx4" if low_res else None, cache=cache)


_OPENERS: dict[str, Callable[[Path, str | None, bool, bool], list[FrameFolder]]] = {
    "reds": lambda root, split, low_res, cache: reds(root, split or "train", low_res, cache),  # type: ignore[arg-type]
    "vimeo90k": _open_vimeo,
    "davis": _open_davis,
    "vid4": _open_vid4,
}


def open_dataset(
    name: str, root: str | Path, split: str | None = None, low_res: bool = False, cache: bool = False
) -> list[Source]:
    """The clips of a data set by its name: "reds", "vimeo90k", "davis" or "vid4".

    Args:
        name: the data set.
        root, split: see its own function; without a split REDS and Vimeo-90K give their training clips.
        low_res: take the bicubic low resolution that is published with it (of Vimeo-90K: in a folder beside `root`,
            `vimeo_septuplet_matlabLRx4` or `BIx4`).
        cache: see [`FrameFolder`].

    Raises:
        ValueError: an unknown name or split, missing folders, clips or lists.
    """
    _check_choice("name", name, list(_OPENERS))
    return list(_OPENERS[name](Path(root), split, low_res, cache))
