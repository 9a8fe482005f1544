# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Files that are whole or absent after a power cut, and locks that end with the process that holds them."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from safetensors import SafetensorError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def write_durably(path: Path, write: Callable[[Path], object]) -> None:
    """Has `write` make a file or folder under a temporary name, brings it to the disk and gives it its name.

    Args:
        path: the final name; a file of that name is replaced.
        write: called with the temporary name, which has the ending of `path`. What an earlier attempt left under that
            name is gone by then.

    Raises:
        ValueError: it cannot be written, a full disk for one; nothing is left under either name.
    """
    draft = path.with_name(f"draft-{path.name}")
    try:
        remove(draft)
        write(draft)
        sync(draft)
        os.replace(draft, path)
        sync_folder(path.parent)
    except (OSError, SafetensorError) as error:
        remove(draft)
        raise unwritable(path, error) from error


def write_json(path: Path, content: Any) -> None:
    """Writes `content` as JSON; see `write_durably`."""
    text = json.dumps(content, indent=1, sort_keys=True)
    write_durably(path, lambda draft: draft.write_text(text, encoding="utf-8"))


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


def unwritable(path: Path, error: Exception) -> ValueError:
    """The error to raise where `path` cannot be written."""
    return ValueError(f"{path}: cannot be written ({getattr(error, 'strerror', None) or error}).")


class Lock:
    """A file that one process at a time can hold; the system lets go of it when the process ends, however it ends.

    Args:
        path: the file; it is made, and stays.
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
            file = self.path.open("ab")
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
