# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import zlib
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from seeclear.data import FrameFolder, Photo, VideoFile


def write_folder(folder: Path, frames: np.ndarray) -> Path:
    folder.mkdir(parents=True)
    for i, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{i:05d}.png")
    return folder


def write_video(path: Path, *videos: np.ndarray) -> Path:
    """A file with a stream for each of the videos."""
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("ffv1", rate=25) for _ in videos]
        for stream, frames in zip(streams, videos, strict=True):
            stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "bgr0"
        for stream, frames in zip(streams, videos, strict=True):
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="bgr0")))
            container.mux(stream.encode())
    return path


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (7, 24, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("cache", [False, True])
def test_folder_and_video_give_the_stored_frames(tmp_path: Path, frames: np.ndarray, cache: bool) -> None:
    folder = FrameFolder(write_folder(tmp_path / "walk", frames), cache=cache)
    video = VideoFile(write_video(tmp_path / "walk.mkv", frames), cache=cache)
    for source, name in [(folder, "walk"), (video, "walk.mkv")]:
        assert (source.name, len(source), source.size) == (name, 7, (24, 32))
        assert source.weight == pytest.approx(7**0.5)
        np.testing.assert_array_equal(source.frames(0, 7), frames)
        np.testing.assert_array_equal(source.frames(2, 2, step=3), frames[[2, 5]])


@pytest.mark.parametrize(("start", "count", "step"), [(-1, 1, 1), (0, 0, 1), (6, 2, 1), (0, 4, 3), (0, 2, 0)])
def test_frames_outside_are_refused(tmp_path: Path, frames: np.ndarray, start: int, count: int, step: int) -> None:
    source = FrameFolder(write_folder(tmp_path / "walk", frames))
    with pytest.raises(ValueError, match="leave the 7 frames of 'walk'"):
        source.frames(start, count, step)


CODECS = [
    ("libx264", "yuv420p", ".mp4", {"bf": "3", "g": "6"}),
    ("libx264", "yuv420p", ".mkv", {"bf": "2", "g": "5", "x264opts": "open-gop=1:keyint=5"}),
    ("mpeg4", "yuv420p", ".avi", {"g": "4", "bf": "2"}),
    ("mjpeg", "yuvj420p", ".avi", {}),
]


@pytest.mark.parametrize(("codec", "pixel_format", "ending", "options"), CODECS)
def test_random_access_gives_what_decoding_from_the_start_gives(
    tmp_path: Path, codec: str, pixel_format: str, ending: str, options: dict[str, str]
) -> None:
    f, y, x = np.mgrid[:23, :32, :48]
    film = np.stack([4 * x + 2 * f, 4 * y + 3 * f, 9 * f], axis=-1).clip(0, 255).astype(np.uint8)
    path = tmp_path / f"film{ending}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 48, 32, pixel_format
        for frame in film:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    whole = VideoFile(path, cache=True)
    video = VideoFile(path)
    assert len(video) == len(whole) == 23
    for start in range(23):
        np.testing.assert_array_equal(video.frames(start, 1), whole.frames(start, 1))
    np.testing.assert_array_equal(video.frames(3, 4, step=5), whole.frames(3, 4, step=5))


def test_random_access_does_not_decode_what_lies_before(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "5", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for i in range(40):
            image = np.full((32, 32, 3), 5 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    video = VideoFile(path)
    decoded = []
    decode = video._decode

    def count(start: int | None = None) -> Iterator[av.VideoFrame]:
        for frame in decode(start):
            decoded.append(frame.pts)
            yield frame

    video._decode = count  # type: ignore[method-assign]
    levels = video.frames(33, 3).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(levels, [165, 170, 175], atol=3)
    assert len(decoded) <= 6  # from the key frame 30 or a later one to frame 35


def test_names_are_in_natural_order(tmp_path: Path, frames: np.ndarray) -> None:
    for i in (2, 10, 1):
        Image.fromarray(frames[i % 7]).save(tmp_path / f"frame{i}.png")
    (tmp_path / ".hidden.png").write_bytes(b"")
    assert [path.name for path in FrameFolder(tmp_path).files] == ["frame1.png", "frame2.png", "frame10.png"]


def test_a_file_that_breaks_off_is_named_when_the_folder_is_opened(tmp_path: Path, frames: np.ndarray) -> None:
    photo = photograph(tmp_path / "photo.jpg")
    for suffix in ("png", "jpg"):
        folder = tmp_path / suffix
        folder.mkdir()
        for i, frame in enumerate(frames):
            Image.fromarray(frame).save(folder / f"{i:05d}.{suffix}")
        file = folder / f"00004.{suffix}"
        whole = file.read_bytes()
        file.write_bytes(whole + b"a program's own mark")  # behind the end; no fault
        assert FrameFolder(folder).frames(4, 1).shape == (1, 24, 32, 3)
        file.write_bytes(whole[: len(whole) * 3 // 4])
        for size in (None, (24, 32)):
            with pytest.raises(ValueError, match=f"00004.{suffix}' cannot be read"):
                FrameFolder(folder, size=size).frames(0, 7)
        with pytest.raises(ValueError, match=f"00004.{suffix}' cannot be read"):
            FrameFolder(folder)
    photo.write_bytes(photo.read_bytes()[:-500])
    with pytest.raises(ValueError, match="photo.jpg' cannot be read"):
        Photo(photo)


def test_unusable_images_are_named(tmp_path: Path, frames: np.ndarray) -> None:
    folder = write_folder(tmp_path / "walk", frames)
    whole = (folder / "00004.png").read_bytes()
    broken = FrameFolder(folder)
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 255  # the end is there: to be seen only when the pixels are read
    (folder / "00004.png").write_bytes(damaged)
    with pytest.raises(ValueError, match="00004.png' cannot be read"):
        broken.frames(0, 7)
    with pytest.raises(ValueError, match="00004.png' cannot be read"):
        FrameFolder(folder, cache=True)
    (folder / "00004.png").write_text("no image")
    with pytest.raises(ValueError, match="00004.png' cannot be read"):
        FrameFolder(folder)
    Image.new("RGBA", (32, 24), (1, 2, 3, 100)).save(folder / "00004.png")
    with pytest.raises(ValueError, match="00004.png' has transparent"):
        FrameFolder(folder, cache=True)
    for path, bits in [("deep.png", 16), ("grey.png", 16)]:
        (tmp_path / path).mkdir()
        image = np.zeros((24, 32) if path == "grey.png" else (24, 32, 3), np.uint16)
        cv2.imwrite(str(tmp_path / path / "0.png"), image)
        with pytest.raises(ValueError, match=f"0.png' has {bits}"):
            FrameFolder(tmp_path / path)
    with pytest.raises(ValueError, match="cannot be read"):
        Photo(folder.parent / "film.png")


def test_low_resolution_must_match(tmp_path: Path, frames: np.ndarray) -> None:
    small = FrameFolder(write_folder(tmp_path / "small", frames[:, ::4, ::4]))
    assert FrameFolder(write_folder(tmp_path / "walk", frames), low_res=small).low_res is small
    for name, other in [("short", frames[:5]), ("wide", frames[:, :, :28])]:
        folder = write_folder(tmp_path / name, other)
        with pytest.raises(ValueError, match="no smaller versions"):
            FrameFolder(folder, low_res=small)


def test_video_is_reduced(tmp_path: Path) -> None:
    frames = np.full((3, 24, 32, 3), (200, 100, 50), dtype=np.uint8)
    source = VideoFile(write_video(tmp_path / "flat.mkv", frames), downscale=2, cache=True)
    assert source.size == (12, 16)
    np.testing.assert_allclose(source.frames(0, 3).astype(int), frames[:, ::2, ::2], atol=2)


@pytest.mark.parametrize("cache", [False, True])
def test_a_thumbnail_before_the_video_is_not_taken_for_it(tmp_path: Path, frames: np.ndarray, cache: bool) -> None:
    path = write_video(tmp_path / "walk.mkv", frames[:1, :12, :16], frames)
    video = VideoFile(path, cache=cache)
    assert (len(video), video.size) == (7, (24, 32))
    np.testing.assert_array_equal(video.frames(1, 3, step=2), frames[1:6:2])


def test_what_is_no_clip_is_refused(tmp_path: Path, frames: np.ndarray) -> None:
    with pytest.raises(ValueError, match="folder with images"):
        FrameFolder(tmp_path)
    with pytest.raises(ValueError, match="no file"):
        VideoFile(tmp_path / "missing.mp4")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(ValueError, match=r"text.mp4: cut off or not a video \(Invalid data found"):
        VideoFile(tmp_path / "text.mp4")
    (tmp_path / "list.mp4").write_text("#EXTM3U\nother.mp4\n")
    with pytest.raises(ValueError, match="list.mp4: a list of other files, not a video"):
        VideoFile(tmp_path / "list.mp4")
    with pytest.raises(ValueError, match="downscale"):
        VideoFile(tmp_path / "text.mp4", downscale=0)
    folder = write_folder(tmp_path / "mixed", frames)
    Image.fromarray(frames[0, :20]).save(folder / "00003.png")
    with pytest.raises(ValueError, match="00003.png"):
        FrameFolder(folder)
    with pytest.raises(ValueError, match="00003.png"):
        FrameFolder(folder, size=(24, 32)).frames(0, 7)  # trusted, until it is read
    with pytest.raises(ValueError, match=r"00000.png' is \(24, 32\), other frames of its folder are \(720, 1280\)"):
        FrameFolder(folder, size=(720, 1280))  # but for the first


def photograph(path: Path, width: int = 400, height: int = 300) -> Path:
    """A smooth picture whose red is 255 x / width and whose green is 255 y / height, corner at (0, 0)."""
    y, x = np.mgrid[:height, :width]
    picture = np.stack([255 * (x + 0.5) / width, 255 * (y + 0.5) / height, np.full(x.shape, 128.0)], axis=-1)
    Image.fromarray(picture.round().astype(np.uint8)).save(path)
    return path


def test_photo_shows_what_its_camera_path_says(tmp_path: Path) -> None:
    photo = Photo(photograph(tmp_path / "ramp.png"), size=(64, 96), cache=True)
    for start in range(5):
        clip = photo.frames(start, 4).astype(np.float64)
        rng = np.random.default_rng((zlib.crc32(b"ramp.png"), start))
        path = photo.camera_path(rng, np.arange(4, dtype=np.float64))
        x = clip[:, 31:33, 47:49, 0].mean(axis=(1, 2)) / 255 * 400  # the window's middle is the path's centre
        y = clip[:, 31:33, 47:49, 1].mean(axis=(1, 2)) / 255 * 300
        np.testing.assert_allclose(np.stack([x, y], axis=1), path[:, :2], atol=1.5)
        across = (clip[:, 32, 95, 0] - clip[:, 32, 0, 0]) / 255 * 400 / 95
        np.testing.assert_allclose(across, path[:, 2] * np.cos(path[:, 3]), atol=0.05)


@pytest.mark.parametrize("count", [1, 5, 40])
def test_photo_window_stays_inside_and_never_magnifies(tmp_path: Path, count: int) -> None:
    photo = Photo(photograph(tmp_path / "ramp.png", 260, 258), size=(224, 224))
    for seed in range(50):
        path = photo.camera_path(np.random.default_rng(seed), np.arange(count, dtype=np.float64))
        assert path[:, 2].min() >= 1
        reach = 112 * path[:, 2] * (np.abs(np.cos(path[:, 3])) + np.abs(np.sin(path[:, 3])))
        for centre, side in [(path[:, 0], 260), (path[:, 1], 258)]:
            assert (centre - reach).min() >= -1e-6 and (centre + reach).max() <= side + 1e-6


def test_photo_is_deterministic_and_moves(tmp_path: Path) -> None:
    path = photograph(tmp_path / "ramp.png")
    first, again = Photo(path, cache=True).frames(3, 5), Photo(path).frames(3, 5)
    np.testing.assert_array_equal(first, again)
    assert first.shape == (5, 224, 224, 3)
    assert np.abs(first[0].astype(int) - first[4]).max() > 0
    assert np.abs(first.astype(int) - Photo(path).frames(4, 5)).max() > 0


def test_photo_too_small_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 258"):
        Photo(photograph(tmp_path / "small.png", 300, 250), size=(224, 224))
