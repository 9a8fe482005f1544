# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import gc
import os
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from seeclear.video.reader import VideoReader
from seeclear.video.writer import FrameFolderWriter, VideoWriter, open_writer

MakeVideo = Callable[..., Path]
Frames = Callable[..., np.ndarray]


def write(path: Path, frames: np.ndarray, fps: Fraction = Fraction(25), source: Path | None = None) -> np.ndarray:
    """Writes the frames and reads them back."""
    with VideoWriter(path, fps, source) as writer:
        for frame in frames:
            writer.write(frame)
    with VideoReader(path) as reader:
        return np.stack(list(reader))


def sound_packets(path: Path) -> list[list[tuple[Fraction, int]]]:
    """For every sound stream, (time, checksum) of each packet."""
    with av.open(str(path)) as container:
        streams = container.streams.audio
        packets: dict[int, list[tuple[Fraction, int]]] = {stream.index: [] for stream in streams}
        for packet in container.demux(*streams) if streams else ():
            if packet.size:
                packets[packet.stream.index].append((packet.pts * packet.time_base, zlib.crc32(bytes(packet))))
        return [packets[stream.index] for stream in streams]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".MP4"])
@pytest.mark.parametrize("size", [(48, 64), (47, 63)])
def test_round_trip_keeps_frames_and_colours(
    tmp_path: Path, frames: Frames, suffix: str, size: tuple[int, int]
) -> None:
    written = frames(3, *size)
    seen = write(tmp_path / f"a{suffix}", written)
    assert seen.shape == written.shape
    shift = seen.astype(float).mean((0, 1, 2)) - written.astype(float).mean((0, 1, 2))
    assert np.abs(shift).max() < 0.5
    assert np.abs(seen.astype(float) - written).mean() < 1.5


@pytest.mark.parametrize("size", [(64, 64), (64, 1280)])
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_no_colour_shift_for_noise_and_grey(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    """Both matrices: the wide one is taken for high definition."""
    noise = np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8)
    for name, written in (("noise", noise), ("grey", np.full((2, *size, 3), 127, np.uint8))):
        seen = write(tmp_path / f"{name}{suffix}", written)
        assert np.abs(seen.astype(float).mean((0, 1, 2)) - written.mean((0, 1, 2))).max() < 0.5


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
@pytest.mark.parametrize("size", [(4, 4), (1, 1), (4, 100), (100, 4)])
def test_smallest_sizes(tmp_path: Path, frames: Frames, suffix: str, size: tuple[int, int]) -> None:
    assert write(tmp_path / f"a{suffix}", frames(2, *size)).shape == (2, *size, 3)


@pytest.mark.parametrize(("size", "matrix"), [((48, 64), 6), ((48, 1280), 1), ((600, 64), 1)])
def test_file_names_its_colour_matrix(tmp_path: Path, frames: Frames, size: tuple[int, int], matrix: int) -> None:
    for name in ("a.mp4", "a.mkv", "a.webm"):
        write(tmp_path / name, frames(1, *size))
        with av.open(str(tmp_path / name)) as container:
            frame = next(container.decode(video=0))
            assert (frame.colorspace, frame.color_range, frame.format.name) == (matrix, 1, "yuv420p")


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
@pytest.mark.parametrize("fps", [Fraction(30000, 1001), Fraction(24000, 1001), Fraction(25, 2), Fraction(120)])
def test_fps_is_kept(tmp_path: Path, frames: Frames, suffix: str, fps: Fraction) -> None:
    path = tmp_path / f"a{suffix}"
    assert len(write(path, frames(9, 24, 32), fps)) == 9
    assert VideoReader(path).fps == fps
    with av.open(str(path)) as container:
        times = [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]
    np.testing.assert_allclose(times, [index / float(fps) for index in range(9)], atol=1e-3)


# Sound


@pytest.mark.parametrize(
    ("source", "codec", "target"),
    [
        ("in.mp4", "aac", "out.mp4"),
        ("in.mp4", "aac", "out.mov"),
        ("in.mp4", "aac", "out.mkv"),
        ("in.mkv", "libopus", "out.webm"),
        ("in.mkv", "libopus", "out.mp4"),
        ("in.mkv", "flac", "out.mkv"),
        ("in.avi", "mp3", "out.mp4"),
    ],
)
def test_sound_is_copied(
    make_video: MakeVideo, frames: Frames, tmp_path: Path, source: str, codec: str, target: str
) -> None:
    path = make_video(source, num_frames=30, sound_codecs=(codec,))
    write(tmp_path / target, frames(30, 24, 32), source=path)
    ((before,), (after,)) = sound_packets(path), sound_packets(tmp_path / target)
    assert [checksum for _, checksum in after] == [checksum for _, checksum in before]
    # sound is as far from the first frame as it was (Matroska has milliseconds)
    with av.open(str(tmp_path / target)) as container:
        first = next(container.decode(video=0))
        start = float(first.pts * first.time_base)
    offsets = [float(a) - start - float(b) for (a, _), (b, _) in zip(after, before, strict=True)]
    np.testing.assert_allclose(offsets, 0, atol=3e-3)


def test_every_sound_stream_is_copied(make_video: MakeVideo, frames: Frames, tmp_path: Path) -> None:
    path = make_video("in.mkv", sound_codecs=("aac", "libopus", "flac"))
    write(tmp_path / "out.mkv", frames(7, 24, 32), source=path)
    before, after = sound_packets(path), sound_packets(tmp_path / "out.mkv")
    assert len(after) == 3
    assert [[sum_ for _, sum_ in stream] for stream in after] == [[sum_ for _, sum_ in stream] for stream in before]


def test_sound_of_a_transport_stream(make_video: MakeVideo, frames: Frames, tmp_path: Path) -> None:
    """Its AAC comes in another wrapping and its time does not start at 0; the tone must come out."""
    path = make_video("in.ts", num_frames=20, video_codec="mpeg2video")
    write(tmp_path / "out.mp4", frames(20, 24, 32), source=path)
    with av.open(str(tmp_path / "out.mp4")) as container:
        sound = np.concatenate([block.to_ndarray()[0] for block in container.decode(audio=0)])
        assert abs(len(sound) / 48000 - 0.8) < 0.05
    assert abs(np.sqrt(np.mean(sound**2)) - 0.3 / np.sqrt(2)) < 0.02


def test_sound_longer_than_the_video_is_kept(make_video: MakeVideo, frames: Frames, tmp_path: Path) -> None:
    path = make_video("in.mp4", num_frames=30)
    write(tmp_path / "out.mp4", frames(3, 24, 32), source=path)
    assert len(sound_packets(tmp_path / "out.mp4")[0]) == len(sound_packets(path)[0])


def test_video_without_sound_and_folder_as_source(make_video: MakeVideo, frames: Frames, tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", frames(2, 24, 32), source=make_video("in.mp4", sound_codecs=()))
    write(tmp_path / "b.mp4", frames(2, 24, 32), source=tmp_path)
    assert sound_packets(tmp_path / "a.mp4") == sound_packets(tmp_path / "b.mp4") == []


def test_sound_that_the_container_cannot_hold(
    make_video: MakeVideo, frames: Frames, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = make_video("in.mp4")
    write(tmp_path / "out.webm", frames(7, 24, 32), source=path)
    assert "out.webm: the sound #1 (aac) of" in caplog.text and "is coded anew (Opus)" in caplog.text
    with av.open(str(tmp_path / "out.webm")) as container:
        assert [stream.codec_context.codec.canonical_name for stream in container.streams.audio] == ["opus"]


def test_subtitles_that_the_container_cannot_hold(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video("in.mkv", subtitles=[(40, 120, "Hello")])
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(ValueError, match=r"out\.mp4: a \.mp4 file cannot hold the subtitles"):
        VideoWriter(tmp_path / "out.mp4", 25, path)
    assert sorted(os.listdir(tmp_path)) == before


# All or nothing


def test_nothing_is_seen_before_the_end(tmp_path: Path, frames: Frames) -> None:
    with VideoWriter(tmp_path / "a.mp4", 25) as writer:
        writer.write(frames(1, 24, 32)[0])
        assert not (tmp_path / "a.mp4").exists()
    assert os.listdir(tmp_path) == ["a.mp4"]


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "frames"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_by_an_error(
    tmp_path: Path, frames: Frames, name: str, error: type[BaseException], make_video: MakeVideo
) -> None:
    make_video("in.mkv", sound_codecs=("libopus",))
    with pytest.raises(error), open_writer(tmp_path / name, 25, source=tmp_path / "in.mkv") as writer:
        writer.write(frames(1, 24, 32)[0])
        raise error
    assert os.listdir(tmp_path) == ["in.mkv"]


@pytest.mark.parametrize("name", ["a.mp4", "frames"])
def test_a_forgotten_writer_leaves_nothing(tmp_path: Path, frames: Frames, name: str) -> None:
    writer = open_writer(tmp_path / name, 25)
    writer.write(frames(1, 24, 32)[0])
    del writer
    gc.collect()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["a.mp4", "frames"])
def test_without_a_frame_there_is_no_output(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: no frame"), open_writer(tmp_path / name, 25):
        pass
    assert os.listdir(tmp_path) == []


def test_an_older_file_is_replaced_only_on_success(tmp_path: Path, frames: Frames) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"older")
    with pytest.raises(RuntimeError), VideoWriter(path, 25) as writer:
        writer.write(frames(1, 24, 32)[0])
        raise RuntimeError
    assert path.read_bytes() == b"older"
    assert len(write(path, frames(2, 24, 32))) == 2


def test_closing_twice_and_writing_after(tmp_path: Path, frames: Frames) -> None:
    writer = VideoWriter(tmp_path / "a.mp4", 25)
    writer.write(frames(1, 24, 32)[0])
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.write(frames(1, 24, 32)[0])
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_unwritable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder.mp4").mkdir()
    for path in (tmp_path / "file" / "a.mp4", tmp_path / "folder.mp4"):
        with pytest.raises(ValueError, match="cannot be written"):
            VideoWriter(path, 25)
    for path in (tmp_path / "file" / "frames", tmp_path / "file"):
        with pytest.raises(ValueError, match="cannot be written"):
            FrameFolderWriter(path)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.mp4"]


def test_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # file modes do not stop the superuser
    with pytest.raises(ValueError, match=r"a\.mp4: cannot be written \(Permission denied\)"):
        VideoWriter(tmp_path / "a.mp4", 25)


def test_bad_arguments(tmp_path: Path, frames: Frames) -> None:
    with pytest.raises(ValueError, match=r"\.mp4, \.mov, \.mkv, \.webm"):
        VideoWriter(tmp_path / "a.xyz", 25)
    with pytest.raises(ValueError, match=r"`fps`.*0"):
        VideoWriter(tmp_path / "a.mp4", 0)
    for bad in (np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8)):
        with pytest.raises(ValueError, match="`frame` must be uint8"), VideoWriter(tmp_path / "a.mp4", 25) as writer:
            writer.write(bad)
    with pytest.raises(ValueError, match="size of the first"), VideoWriter(tmp_path / "a.mp4", 25) as writer:
        writer.write(frames(1, 24, 32)[0])
        writer.write(frames(1, 32, 24)[0])
    assert os.listdir(tmp_path) == []


# Folders


def test_folder_of_pngs_named_as_the_input(tmp_path: Path, frames: Frames) -> None:
    written = frames(3, 24, 32)
    with FrameFolderWriter(tmp_path / "out", ["b.jpg", "a.png", "c.d.tif"]) as writer:
        for frame in written:
            writer.write(frame)
    assert sorted(os.listdir(tmp_path / "out")) == ["a.png", "b.png", "c.d.png"]
    for name, frame in zip(["b.png", "a.png", "c.d.png"], written, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / name)), frame)


def test_frames_of_a_video_are_numbered(tmp_path: Path, frames: Frames) -> None:
    (tmp_path / "out").mkdir()
    with open_writer(tmp_path / "out", 25) as writer:
        for frame in frames(2, 24, 32):
            writer.write(frame)
    assert sorted(os.listdir(tmp_path / "out")) == ["000000.png", "000001.png"]


def test_folder_faults(tmp_path: Path, frames: Frames) -> None:
    with pytest.raises(ValueError, match=r"a\.png"):
        FrameFolderWriter(tmp_path / "out", ["a.jpg", "a.png"])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep")
    with pytest.raises(ValueError, match="not empty"):
        FrameFolderWriter(tmp_path / "full")
    for count in (1, 3):
        with (
            pytest.raises(ValueError, match="names"),
            FrameFolderWriter(tmp_path / "out", ["a.png", "b.png"]) as writer,
        ):
            for frame in frames(count, 24, 32):
                writer.write(frame)
    assert os.listdir(tmp_path) == ["full"]


def test_open_writer_goes_by_the_ending(tmp_path: Path) -> None:
    assert isinstance(open_writer(tmp_path / "a.mkv", 25), VideoWriter)
    assert isinstance(open_writer(tmp_path / "a", 25), FrameFolderWriter)
    with pytest.raises(ValueError, match=r"a\.avi"):
        open_writer(tmp_path / "a.avi", 25)
