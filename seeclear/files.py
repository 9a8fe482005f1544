# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Files and folders that appear under their names when they are whole, and locks that end with who holds them.

Temporary names begin with a dot, cannot be guessed, and are made anew: nothing that lies there is opened or followed.
A name that is a symbolic link is written through: what it points to is replaced, and the link stays.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import sys
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from safetensors import SafetensorError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

NAME_BYTES = 255
"""The longest name of a file that the usual file systems take, in bytes."""

_DRAFT = re.compile(r"\..+\.[0-9a-f]{16}\.part(\.[^.]*)?", re.DOTALL)
_LONGEST_SUFFIX = 16
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)  # Windows has none


class Draft:
    """A file or an empty folder under a temporary name beside its final place, until `publish` or `discard`.

    A draft that is forgotten is deleted when it is garbage-collected or when Python ends.

    Args:
        path: the final name; folders above it are made where there are none, and go again if the draft is discarded.
        folder: make a folder.

    Raises:
        ValueError: the place cannot be written to.
    """

    def __init__(self, path: Path, folder: bool = False) -> None:
        self.final = path
        check_place(path, folder)
        self._target = target_of(path)
        suffix = self._target.suffix if len(os.fsencode(self._target.suffix)) <= _LONGEST_SUFFIX else ""
        self.path = beside(self._target, ".", f".{secrets.token_hex(8)}.part{suffix}")
        parents = self._target.parents
        made = list(parents[: parents.index(existing_folder(self._target))])
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if folder:
                self.path.mkdir()
            else:
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | _NO_LINKS, 0o666))
        except OSError as error:
            raise unwritable(path, error) from error
        self._delete = weakref.finalize(self, _remove_quietly, self.path, made)

    def publish(self) -> None:
        """Brings the draft to the disk and gives it its final name; a file or an empty folder of that name goes."""
        try:
            publish(self.path, self._target)
        except OSError as error:
            raise unwritable(self.final, error) from error
        self._delete.detach()

    def discard(self) -> None:
        """Deletes the draft. Nothing happens if it was published or discarded before."""
        self._delete()


def write_durably(path: Path, write: Callable[[Path], object], folder: bool = False) -> None:
    """Has `write` fill a file or folder under a temporary name, brings it to the disk and gives it its name.

    Args:
        path: the final name; a file or an empty folder of that name is replaced.
        write: called with the temporary name, which has the ending of `path` and is that of an empty file or folder.
        folder: make a folder.

    Raises:
        ValueError: it cannot be written, a full disk for one; nothing is left under either name.
    """
    draft = Draft(path, folder)
    try:
        write(draft.path)
        draft.publish()
    except (OSError, SafetensorError) as error:
        raise unwritable(path, error) from error
    finally:
        draft.discard()


def write_json(path: Path, content: Any) -> None:
    """Writes `content` as JSON; see `write_durably`."""
    text = json.dumps(content, indent=1, sort_keys=True)
    write_durably(path, lambda draft: draft.write_text(text, encoding="utf-8"))


def publish(path: Path, final: Path) -> None:
    """Brings a finished file or folder to the disk and gives it its final name, through a link if that is one.

    Args:
        path: on the file system of what `final` stands for (`target_of`).
        final: a file or an empty folder of that name is replaced.

    Raises:
        OSError: it cannot be done.
    """
    target = target_of(final)
    sync(path)
    os.replace(path, target)
    sync_folder(target.parent)


def remove_drafts(folder: Path) -> None:
    """Deletes what processes that were killed have left of unfinished files anywhere in a folder.

    Only for who knows that nobody else is writing there.
    """
    for path in list(folder.rglob(".*.part*")):
        if _DRAFT.fullmatch(path.name):
            remove(path)


# Places and names


def check_place(path: Path, folder: bool = False) -> None:
    """Whether a file (or folder) of that name can be made, without making it.

    Raises:
        ValueError: a folder above it is a file or read-only; a name is too long; it is there and is of the other kind,
            read-only, or a folder with something in it; or it is a link that leads to itself.
    """
    try:
        target = target_of(path)
        if os.path.islink(target):
            raise ValueError(f"{path}: cannot be written, it is a link that leads to itself.")
        parent = existing_folder(target)
        for name in target.relative_to(parent).parts:
            if len(os.fsencode(name)) > NAME_BYTES:
                raise ValueError(
                    f"{path}: cannot be written, a name has {NAME_BYTES} bytes at most, but this one has "
                    f"{len(os.fsencode(name))}."
                )
        if not parent.is_dir():
            raise ValueError(f"{path}: cannot be written, {parent} is no folder.")
        if not os.access(parent, os.W_OK | os.X_OK):
            raise ValueError(f"{path}: cannot be written, the folder {parent} is read-only.")
        if folder:
            if target.exists() and any(target.iterdir()):
                raise ValueError(f"{path}: the folder is not empty; name one that is, or a new one.")
        elif target.is_dir():
            raise ValueError(f"{path}: cannot be written, it is a folder.")
        elif target.exists() and not os.access(target, os.W_OK):
            raise ValueError(f"{path}: cannot be written, the file is read-only.")
    except OSError as error:
        raise unwritable(path, error) from error


def target_of(path: Path) -> Path:
    """What a name stands for: where it is a symbolic link, the file or folder that the link leads to."""
    return Path(os.path.realpath(path)) if os.path.islink(path) else path


def existing_folder(path: Path) -> Path:
    """The nearest of the folders above `path` that is there (or the file that is in the way of one)."""
    return next((parent for parent in path.parents if os.path.lexists(parent)), path.parent)


def beside(path: Path, prefix: str = "", suffix: str = "") -> Path:
    """The name of `path` between a prefix and a suffix, in the same folder.

    A name that would be too long for the file system is shortened, with a hash of all of it in place of the rest.
    """
    name = f"{prefix}{path.name}{suffix}"
    if len(os.fsencode(name)) > NAME_BYTES:
        digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
        room = NAME_BYTES - len(os.fsencode(f"{prefix}~{digest}{suffix}"))
        start = os.fsencode(path.name)[:room].decode("utf-8", "ignore")  # whole characters
        name = f"{prefix}{start}~{digest}{suffix}"
    return path.with_name(name)


def make_private_folder(path: Path) -> None:
    """Makes a folder that only this user can look into; one that is there must be such a folder.

    Raises:
        ValueError: something else has that name: a file, a link, or a folder of another user.
        OSError: it cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if path.is_symlink() or not path.is_dir():
            raise ValueError(f"{path}: is in the way: a folder for unfinished work is to be made there.") from None
        if sys.platform != "win32" and path.stat().st_uid != os.geteuid():
            raise ValueError(f"{path}: is in the way: the folder belongs to another user.") from None


# The disk


def sync(path: Path) -> None:
    """Brings a file, or all files in a folder, to the disk."""
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    for file in files:
        with file.open("r+b") as opened:
            os.fsync(opened.fileno())
    if path.is_dir():
        sync_folder(path)


def sync_folder(path: Path) -> None:
    """Brings the names in a folder to the disk; Windows does that by itself and does not open folders."""
    if sys.platform != "win32":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove(path: Path) -> None:
    """Deletes a file or a folder with all that is in it; nothing happens if there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove_quietly(path: Path, folders: Sequence[Path]) -> None:
    """Deletes a draft and the folders that were made for it, where another error may be on its way."""
    with contextlib.suppress(OSError):
        remove(path)
        for folder in folders:  # from the innermost; one with something in it stays
            folder.rmdir()


def unwritable(path: Path, error: Exception) -> ValueError:
    """The error to raise where `path` cannot be written."""
    return ValueError(f"{path}: cannot be written ({getattr(error, 'strerror', None) or error}).")


class Lock:
    """A file that one process at a time can hold; the system lets go of it when the process ends, however it ends.

    Args:
        path: the file; it is made, and stays. A link of that name is not followed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds it."""
        return self._file is not None

    def acquire(self) -> bool:
        """Takes the lock; False if another process, or another `Lock` of this one, holds it."""
        while self._file is None:
            flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY | _NO_LINKS
            file = os.fdopen(os.open(self.path, flags, 0o666), "ab")
            try:
                if sys.platform == "win32":
                    msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
                else:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
                return False
            # the one who held it may have deleted the file in between: then another may lock a new one
            if self.path.exists() and os.path.samestat(os.fstat(file.fileno()), self.path.stat()):
                self._file = file
            else:
                file.close()
        return True

    def release(self) -> None:
        """Lets go of the lock; nothing happens if it is not held."""
        if self._file is not None:
            self._file.close()
            self._file = None
