# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Files that are whole or absent, and locks."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import save_file

from seeclear.files import Lock, remove, write_durably, write_json


def test_the_name_appears_when_the_file_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"

    def write(draft: Path) -> None:
        assert draft.suffix == ".bin" and draft.parent == tmp_path and not path.exists()
        draft.write_bytes(b"whole")

    write_durably(path, write)
    assert os.listdir(tmp_path) == ["a.bin"] and path.read_bytes() == b"whole"
    write_durably(path, lambda draft: draft.write_bytes(b"new"))
    assert path.read_bytes() == b"new"


def test_folders_too(tmp_path: Path) -> None:
    def write(draft: Path) -> None:
        (draft / "deeper").mkdir(parents=True)
        (draft / "deeper" / "a").write_bytes(b"a")

    write_durably(tmp_path / "folder", write)
    assert (tmp_path / "folder" / "deeper" / "a").read_bytes() == b"a" and len(os.listdir(tmp_path)) == 1


def test_what_an_earlier_attempt_left_is_replaced(tmp_path: Path) -> None:
    def interrupted(draft: Path) -> None:
        draft.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_durably(tmp_path / "a", interrupted)
    assert not (tmp_path / "a").exists() and len(os.listdir(tmp_path)) == 1
    write_json(tmp_path / "a", {"b": 1})
    assert os.listdir(tmp_path) == ["a"] and '"b": 1' in (tmp_path / "a").read_text()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EROFS])
def test_a_full_disk_leaves_nothing_and_is_named(tmp_path: Path, number: int) -> None:
    def write(draft: Path) -> None:
        draft.write_bytes(b"half")
        raise OSError(number, os.strerror(number))

    with pytest.raises(ValueError, match=rf"a.bin: cannot be written \({os.strerror(number)}\)"):
        write_durably(tmp_path / "a.bin", write)
    assert os.listdir(tmp_path) == []


def test_errors_of_safetensors_are_named_too(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a.safetensors: cannot be written"):
        write_durably(tmp_path / "absent" / "a.safetensors", lambda draft: save_file({}, draft))


def test_one_holds_a_lock_at_a_time(tmp_path: Path) -> None:
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    assert first.acquire() and first.held and first.acquire()
    assert not second.acquire() and not second.held
    first.release()
    first.release()
    assert second.acquire()


def test_a_lock_that_was_deleted_does_not_count(tmp_path: Path) -> None:
    first, second, third = (Lock(tmp_path / "lock") for _ in range(3))
    assert first.acquire()
    remove(tmp_path / "lock")
    assert second.acquire()  # another file of that name
    first.release()
    assert not third.acquire()


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    script = (
        "import sys, fcntl; file = open(sys.argv[1], 'ab'); fcntl.flock(file, fcntl.LOCK_EX); "
        "print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert not Lock(tmp_path / "lock").acquire()
        process.kill()
        process.wait()
        assert Lock(tmp_path / "lock").acquire()
