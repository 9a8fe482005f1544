# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Files and folders that appear under their final name only when they are whole."""

from __future__ import annotations

import os
import secrets
import shutil
import weakref
from pathlib import Path


class Draft:
    """A file or folder under a temporary name beside its final place, until `publish` or `discard`.

    A draft that is forgotten is deleted when it is garbage-collected or when Python ends.

    Raises:
        ValueError: the place cannot be written to.
    """

    def __init__(self, path: Path, folder: bool = False) -> None:
        self.final = path
        self.path = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")
        check_place(path, folder)
        try:
            if folder:
                self.path.mkdir()
            else:
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except OSError as error:
            raise ValueError(f"{path}: cannot be written ({error.strerror}).") from error
        self._delete = weakref.finalize(self, _delete, self.path)

    def publish(self) -> None:
        """Brings the draft to the disk and gives it its final name; a file or an empty folder of that name goes."""
        try:
            for path in [*self.path.iterdir(), self.path] if self.path.is_dir() else [self.path]:
                synchronize(path)
            os.replace(self.path, self.final)
            synchronize(self.final.parent)
        except OSError as error:
            raise ValueError(f"{self.final}: cannot be written ({error.strerror}).") from error
        self._delete.detach()

    def discard(self) -> None:
        """Deletes the draft. Nothing happens if it was published or discarded before."""
        self._delete()


def check_place(path: Path, folder: bool = False) -> None:
    """Whether a file (or folder) of that name can be made, without making it.

    Raises:
        ValueError: its folder does not exist or is read-only; it is there and is of the other kind, read-only, or a
            folder with something in it.
    """
    if not path.parent.is_dir():
        raise ValueError(f"{path}: cannot be written, there is no folder {path.parent}.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ValueError(f"{path}: cannot be written, the folder {path.parent} is read-only.")
    try:
        if folder:
            if path.exists() and any(path.iterdir()):
                raise ValueError(f"{path}: the folder is not empty; name one that is, or a new one.")
        elif path.is_dir():
            raise ValueError(f"{path}: cannot be written, it is a folder.")
        elif path.exists() and not os.access(path, os.W_OK):
            raise ValueError(f"{path}: cannot be written, the file is read-only.")
    except OSError as error:
        raise ValueError(f"{path}: cannot be written ({error.strerror}).") from error


def synchronize(path: Path) -> None:
    """Has the operating system bring a file, or the list of files of a folder, to the disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:
        if not path.is_dir():  # a folder cannot be opened on Windows
            raise
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
