# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Files that are whole or absent, and locks."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import save_file

from seeclear.files import (
    NAME_BYTES,
    Draft,
    Lock,
    beside,
    check_place,
    make_private_folder,
    publish,
    remove,
    remove_drafts,
    target_of,
    write_durably,
    write_json,
)


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
        (draft / "deeper").mkdir()
        (draft / "deeper" / "a").write_bytes(b"a")

    write_durably(tmp_path / "folder", write, folder=True)
    assert (tmp_path / "folder" / "deeper" / "a").read_bytes() == b"a" and len(os.listdir(tmp_path)) == 1


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    def interrupted(draft: Path) -> None:
        draft.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_durably(tmp_path / "a", interrupted)
    assert os.listdir(tmp_path) == []
    write_json(tmp_path / "a", {"b": 1})
    assert os.listdir(tmp_path) == ["a"] and '"b": 1' in (tmp_path / "a").read_text()


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    script = (
        "import os, sys, pathlib; from seeclear.files import Draft; "
        "drafts = [Draft(pathlib.Path(sys.argv[1]) / name) for name in ('a.npy', 'deep/b', 'c.tar.gz')]; "
        "os.kill(os.getpid(), 9)"
    )
    for name in (".mine.part", "a.part", ".x.0123456789abcde.part"):
        (tmp_path / name).write_bytes(b"keep")
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 6
    remove_drafts(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".mine.part", ".x.0123456789abcde.part", "a.part", "deep"]
    assert os.listdir(tmp_path / "deep") == []


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
        write_durably(tmp_path / "a.safetensors", lambda draft: save_file({}, draft / "b"))
    assert os.listdir(tmp_path) == []


# Places and names


def test_a_draft_is_published_or_discarded(tmp_path: Path) -> None:
    draft = Draft(tmp_path / "deep" / "er" / "a.png")
    assert draft.path.suffix == ".png" and draft.path.name.startswith(".") and draft.path.is_file()
    draft.path.write_bytes(b"whole")
    draft.publish()
    draft.discard()
    assert (tmp_path / "deep" / "er" / "a.png").read_bytes() == b"whole"
    draft = Draft(tmp_path / "frames", folder=True)
    (draft.path / "0.png").write_bytes(b"0")
    draft.discard()
    draft.discard()
    assert os.listdir(tmp_path) == ["deep"]
    draft = Draft(tmp_path / "new" / "forgotten")
    assert (tmp_path / "new").is_dir()
    del draft
    assert os.listdir(tmp_path) == ["deep"]
    draft = Draft(tmp_path / "new" / "er" / "a")
    (tmp_path / "new" / "b").write_bytes(b"b")
    draft.discard()
    assert os.listdir(tmp_path / "new") == ["b"]


def test_names_of_drafts_are_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even one who guesses the name cannot have a file of theirs written to."""
    monkeypatch.setattr("secrets.token_hex", lambda n: "0" * 2 * n)
    names = [draft.path for draft in (Draft(tmp_path / "a"),)]
    (tmp_path / "theirs").write_bytes(b"theirs")
    names[0].symlink_to(tmp_path / "theirs")
    with pytest.raises(ValueError, match=r"a: cannot be written \(File exists\)"):
        Draft(tmp_path / "a")
    assert (tmp_path / "theirs").read_bytes() == b"theirs" and not (tmp_path / "a").exists()
    with pytest.raises(OSError, match="symbolic links"):
        Lock(names[0]).acquire()


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "old").write_bytes(b"old")
    link, dangling, chain = tmp_path / "link", tmp_path / "dangling", tmp_path / "chain"
    link.symlink_to("data/old")
    dangling.symlink_to(tmp_path / "disk" / "new")
    chain.symlink_to(link)
    for path, target in ((link, "data/old"), (dangling, "disk/new"), (chain, "data/old")):
        check_place(path)
        assert target_of(path) == tmp_path / target
        draft = Draft(path)
        assert draft.path.parent == (tmp_path / target).parent  # on that file system
        draft.path.write_bytes(path.name.encode())
        draft.publish()
        assert path.is_symlink() and (tmp_path / target).read_bytes() == path.name.encode()
    (tmp_path / "finished").write_bytes(b"finished")
    publish(tmp_path / "finished", link)
    assert link.is_symlink() and (tmp_path / "data" / "old").read_bytes() == b"finished"
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with pytest.raises(ValueError, match=r"circle: cannot be written, it is a link that leads to itself"):
        check_place(tmp_path / "circle")


def test_places(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    check_place(tmp_path / "absent" / "deeper" / "a")
    check_place(Path("absent") / "a")
    assert os.listdir(tmp_path) == ["file"]
    with pytest.raises(ValueError, match=r"a: cannot be written, .*file is no folder"):
        check_place(tmp_path / "file" / "deeper" / "a")
    with pytest.raises(ValueError, match="a name has 255 bytes at most, but this one has 256"):
        check_place(tmp_path / ("a" * 256))
    with pytest.raises(ValueError, match="a name has 255 bytes at most, but this one has 300"):
        check_place(tmp_path / ("ä" * 150) / "a")


@pytest.mark.parametrize("name", ["a" * NAME_BYTES, "ä" * 125 + ".mp4", "a." + "b" * 253, "語" * 84 + ".mp"])
def test_names_up_to_the_limit(tmp_path: Path, name: str) -> None:
    write_durably(tmp_path / name, lambda draft: draft.write_bytes(b"whole"))
    write_durably(tmp_path / f"{name[:-1]}x", lambda draft: (draft / "0").write_bytes(b"0"), folder=True)
    assert len(os.listdir(tmp_path)) == 2 and (tmp_path / name).read_bytes() == b"whole"


def test_names_beside(tmp_path: Path) -> None:
    assert beside(tmp_path / "a.mp4", ".", ".work") == tmp_path / ".a.mp4.work"
    assert beside(Path("ä" * 100), ".", ".work") == Path("." + "ä" * 100 + ".work")
    long = [beside(Path("ä" * 127 + end), ".", ".work") for end in "ab"]
    assert long[0] != long[1] and long[0] == beside(Path("ä" * 127 + "a"), ".", ".work")
    for path in long:
        assert path.name.startswith(".ää") and path.name.endswith(".work")
        assert NAME_BYTES - 2 < len(os.fsencode(path.name)) <= NAME_BYTES


def test_private_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "deep" / "work"
    make_private_folder(folder)
    make_private_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    (tmp_path / "link").symlink_to(folder)
    (tmp_path / "file").write_bytes(b"")
    for name in ("link", "file"):
        with pytest.raises(ValueError, match=f"{name}: is in the way: a folder for unfinished work"):
            make_private_folder(tmp_path / name)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(ValueError, match="work: is in the way: the folder belongs to another user"):
        make_private_folder(folder)


# Locks


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
