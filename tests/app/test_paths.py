# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Names of files and folders, and what is none."""

import os
from pathlib import Path

import pytest

from seeclear.app.paths import local_path


@pytest.mark.parametrize("name", ["a.mp4", "/x/a.mp4", "C:/x/a.mp4", r"C:\a.mp4", "a b:c", "--", "日本.mp4"])
def test_files_that_may_be_there_or_not(name: str) -> None:
    assert local_path(name, "path_in") == local_path(Path(name), "path_in") == Path(name)


def test_a_folder_whose_name_looks_like_an_address() -> None:
    assert local_path("./http:/a", "path_in") == Path("./http:/a")


@pytest.mark.parametrize("name", ["https://a.org/b.mp4", "file:///a.mp4", "rtsp://host/cam", "S3://bucket/key"])
def test_addresses(name: str) -> None:
    for given in (name, Path(name)):  # which makes one slash of two
        with pytest.raises(ValueError, match=f"`path_in` is the address {str(given)}; it must be a file or a folder"):
            local_path(given, "path_in")


def test_pipes_and_devices(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for name in ("-", tmp_path / "pipe", tmp_path / "link", "/dev/null"):
        with pytest.raises(ValueError, match=r"`path_out`, .*pipe.*; it must be a file or a folder"):
            local_path(name, "path_out")
    with pytest.raises(ValueError, match="`path_out` is empty"):
        local_path("", "path_out")
