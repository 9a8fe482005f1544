# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Damaged files and places that cannot be written: a sentence or the whole video, and never anything in between."""

import os
import resource
import signal
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seeclear.video import (
    EncodeSettings,
    VideoReader,
    assemble,
    check_output,
    encode_part,
    output_properties,
)
from seeclear.video.properties import VideoProperties

MakeVideo = Callable[..., Path]
Frames = Callable[..., np.ndarray]

FAST = EncodeSettings(preset="ultrafast")


@pytest.fixture
def patience() -> Iterator[None]:
    """Ends a test that hangs, with an error."""

    def stop(*_: object) -> None:
        raise TimeoutError("this takes too long")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def plain(height: int, width: int) -> VideoProperties:
    return VideoProperties(
        path=None,
        kind="folder",
        codec="images",
        width=width,
        height=height,
        pix_fmt="rgb24",
        bit_depth=8,
        has_alpha=False,
        is_grey=False,
        time_base=Fraction(1, 25),
        fps=Fraction(25),
    )


def mutations(data: bytes, count: int) -> Iterator[bytes]:
    """Cut files, files with one flipped bit, with one in the head, and with thirty changed bytes."""
    random = np.random.default_rng(0)
    for index in range(count):
        damaged = bytearray(data)
        if index % 4 == 0:
            yield data[: random.integers(len(data))]
            continue
        end = min(len(data), 1500) if index % 4 == 1 else len(data)
        for _ in range(30 if index % 4 == 2 else 1):
            damaged[random.integers(end)] ^= 1 << random.integers(8)
        yield bytes(damaged)


@pytest.mark.parametrize(
    ("name", "making"),
    [
        ("in.mp4", {"options": {"movflags": "+faststart"}}),
        ("in.mkv", {"subtitles": [(40, 120, "Hello")]}),
        ("in.webm", {"video_codec": "libvpx-vp9", "sound_codecs": ("libopus",)}),
        ("in.avi", {"video_codec": "mpeg4", "sound_codecs": ("mp3",)}),
        ("in.ts", {"video_codec": "mpeg2video", "sound_codecs": ("mp2",)}),
    ],
)
@pytest.mark.usefixtures("patience")
def test_damaged_videos(make_video: MakeVideo, tmp_path: Path, name: str, making: dict) -> None:
    """40 mutations of each of five kinds: every frame of the output is there, or a ValueError says what is wrong."""
    data = make_video(name, num_frames=5, **making).read_bytes()
    damaged, target = tmp_path / f"damaged{Path(name).suffix}", tmp_path / "out.mkv"
    outcomes = []
    for mutation in mutations(data, 40):
        damaged.write_bytes(mutation)
        target.unlink(missing_ok=True)
        try:
            outcomes.append(upscale_damaged(damaged, target))
        except ValueError as error:
            assert type(error) is ValueError and str(tmp_path) in str(error) and "\n" not in str(error)
            assert not target.exists()
            outcomes.append(None)
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert None in outcomes and any(outcomes)


def upscale_damaged(source: Path, target: Path) -> int:
    """Frames as they are into `target`; all that are read must be in it."""
    with VideoReader(source) as reader:
        size = (reader.height, reader.width)
        if max(size) > 300:  # a flipped bit of a size: decoding is what counts, coding takes long
            return sum(1 for _ in reader.frames())
        frames = list(reader.frames())
        check_output(target, reader.properties, FAST, size)
        properties = output_properties(reader.properties, target, size, FAST)
        part = target.with_name("part")
        encode_part(part, [(frame.rgb, frame.alpha) for frame in frames], properties, FAST)
        assemble([part], [(frame.pts, frame.duration) for frame in frames], target, source, properties, FAST)
    with VideoReader(target) as written:
        assert len(written.times()) == len(frames)
    return len(frames)


@pytest.mark.parametrize("name", ["in.gif", "in.png", "in.jpg", "in.tif", "in.webp", "in.bmp"])
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.usefixtures("patience")
def test_damaged_images(tmp_path: Path, frames: Frames, name: str) -> None:
    pictures = [Image.fromarray(frame) for frame in frames(3, 12, 16)]
    several = {"save_all": True, "append_images": pictures[1:]} if name == "in.gif" else {}
    pictures[0].save(tmp_path / name, **several)
    data = (tmp_path / name).read_bytes()
    outcomes = set()
    for mutation in mutations(data, 40):
        (tmp_path / name).write_bytes(mutation)
        try:
            with VideoReader(tmp_path / name) as reader:
                outcomes.add(len(list(reader.frames())) > 0)
        except ValueError as error:
            assert type(error) is ValueError and name in str(error) and "\n" not in str(error)
            outcomes.add(False)
    assert outcomes == {True, False}


# Places that cannot be written


def test_places_that_cannot_be_written(make_video: MakeVideo, tmp_path: Path) -> None:
    with VideoReader(make_video("in.mp4")) as reader:
        properties = reader.properties
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "folder.mp4" / "mine").write_bytes(b"keep")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_bytes(b"keep")
    for name, reason in (
        ("file/out.mp4", "file is no folder"),
        ("file/absent/out.mp4", "file is no folder"),
        (f"{'a' * 252}.mp4", "a name has 255 bytes at most, but this one has 256"),
        ("folder.mp4", "the folder is not empty"),
        ("full", "the folder is not empty"),
        ("file", "there is a file of that name"),
        ("in.mp4", "another file than the input"),
        ("out.xyz", "must be one of .mp4, .mov, .mkv, .webm, .gif, .png"),
    ):
        with pytest.raises(ValueError, match=f"{name}: .*{reason}"):
            check_output(tmp_path / name, properties)
    assert (tmp_path / "full" / "mine").read_bytes() == b"keep"
    check_output(tmp_path / "absent" / "deeper" / "out.mp4", properties)  # made when there is something to write
    assert not (tmp_path / "absent").exists()


def test_read_only_folder_and_file(make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with VideoReader(make_video("in.mp4")) as reader:
        properties = reader.properties
    (tmp_path / "old.mp4").write_bytes(b"older")
    locked = {tmp_path / "old.mp4"}
    # file modes do not stop the superuser, so that the question itself is answered here
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) not in locked)
    with pytest.raises(ValueError, match=r"old\.mp4: cannot be written, the file is read-only"):
        check_output(tmp_path / "old.mp4", properties)
    locked = {tmp_path}
    with pytest.raises(ValueError, match=r"out\.mp4: cannot be written, the folder .* is read-only"):
        check_output(tmp_path / "out.mp4", properties)
    with pytest.raises(ValueError, match=r"part: cannot be written, the folder .* is read-only"):
        encode_part(tmp_path / "part", [], properties)
    assert (tmp_path / "old.mp4").read_bytes() == b"older"


@pytest.mark.parametrize("target", ["out.mp4", "out.mkv", "out.gif", "out"])
def test_full_disk(tmp_path: Path, target: str) -> None:
    """A limit on the size of files stands for a disk without space: a sentence, and nothing half written is left."""
    properties = output_properties(plain(64, 64), tmp_path / target, (64, 64))
    noise = np.random.default_rng(0).random((3, 64, 64, 3), np.float32)
    encode_part(tmp_path / "part", [(frame, None) for frame in noise], properties)
    before = sorted(os.listdir(tmp_path))
    times = [(index, 1) for index in range(3)]
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limit[1]))
        with pytest.raises(ValueError, match="next: cannot be written"):
            encode_part(tmp_path / "next", [(frame, None) for frame in noise], properties)
        with pytest.raises(ValueError, match=f"{target}: cannot be written"):
            assemble([tmp_path / "part"], times, tmp_path / target, None, properties)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("target", ["out.mp4", "out.webm", "out.gif", "out", "out.png"])
def test_an_error_in_the_middle_leaves_nothing(tmp_path: Path, target: str) -> None:
    properties = output_properties(plain(8, 8), tmp_path / target, (8, 8))

    def frames() -> Iterator[tuple[np.ndarray, None]]:
        yield np.zeros((8, 8, 3), np.float32), None
        raise RuntimeError("the model failed")

    with pytest.raises(RuntimeError, match="the model failed"):
        encode_part(tmp_path / "part", frames(), properties)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("target", ["out.mp4", "out.gif", "out"])
def test_an_older_output_stays_until_the_new_one_is_whole(tmp_path: Path, target: str) -> None:
    properties = output_properties(plain(8, 8), tmp_path / target, (8, 8))
    (tmp_path / "part").write_bytes(b"damaged")
    if target != "out":
        (tmp_path / target).write_bytes(b"older")
    with pytest.raises(ValueError, match="part|out"):
        assemble([tmp_path / "part"], [(0, 1)], tmp_path / target, None, properties)
    if target != "out":
        assert (tmp_path / target).read_bytes() == b"older"
    encode_part(tmp_path / "part", [(np.zeros((8, 8, 3), np.float32), None)], properties)
    assemble([tmp_path / "part"], [(0, 1)], tmp_path / target, None, properties)
    assert len(VideoReader(tmp_path / target).times()) == 1
