# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Pictures: folders of them, each upscaled by itself, and the kinds of image that are written."""

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from seeclear.app.jobs.listing import are_pictures

Command = Callable[..., tuple[int, str, str]]


def smooth(height: int, width: int, channels: int = 3) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    planes = [40 + 3 * x, 200 - 4 * y, 90 + x + y, 255 - 8 * x][:channels]
    return np.stack(planes, axis=-1).clip(0, 255).astype(np.uint8)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Photographs of different sizes and kinds."""
    folder = tmp_path / "album"
    folder.mkdir()
    Image.fromarray(smooth(12, 16)).save(folder / "beach.jpg", quality=95)
    Image.fromarray(smooth(16, 12)).save(folder / "cat.JPEG", quality=95)
    Image.fromarray(smooth(10, 10, 4)).save(folder / "dog.png")
    Image.fromarray(smooth(11, 9)).save(folder / "egg.webp", lossless=True)
    Image.fromarray(smooth(8, 8)).save(folder / "fox.bmp")
    return folder


def test_a_folder_of_pictures(plain_pipe: Any, album: Path, tmp_path: Path, run: Command) -> None:
    out = tmp_path / "out"
    code, said, err = run("upscale", album, out)
    assert (code, err) == (
        0,
        f"seeclear: note: {album}: images are upscaled each by itself, as their sizes or names are not those of a "
        "video's frames (--images decides it).\n",
    )
    assert said.splitlines()[-1] == "5 done, 0 skipped, 0 failed"
    written = sorted(name for name in os.listdir(out) if name != ".seeclear")
    assert written == ["beach.jpg", "cat.JPEG", "dog.png", "egg.webp", "fox.bmp.png"]
    for name, kind, source in zip(
        written, ("JPEG", "JPEG", "PNG", "WEBP", "PNG"), sorted(album.iterdir()), strict=True
    ):
        with Image.open(out / name) as large, Image.open(source) as small:
            assert large.format == kind and large.size == (4 * small.width, 4 * small.height)
            assert large.mode == ("RGBA" if name == "dog.png" else "RGB")
            expected = np.asarray(small.convert("RGBA"), float).repeat(4, 0).repeat(4, 1)
            assert np.abs(np.asarray(large.convert("RGBA"), float) - expected).mean() < 2
    code, said, _ = run("upscale", album, out)
    assert code == 0 and said.splitlines()[-1] == "0 done, 5 skipped, 0 failed"


def test_pictures_are_not_blended_with_each_other(plain_pipe: Any, tmp_path: Path, run: Command) -> None:
    """Numbered pictures of one size are frames, unless `--images` says otherwise."""
    folder = tmp_path / "in"
    folder.mkdir()
    for index in range(3):
        Image.fromarray(smooth(8, 8) // (1 + index)).save(folder / f"{index}.png")
    assert run("upscale", folder, tmp_path / "frames")[1].startswith(f"{tmp_path / 'frames'}: 3 frames of 32x32")
    code, said, err = run("upscale", folder, tmp_path / "pictures", "--images")
    assert (code, err) == (0, "") and said.count(": 1 frame of 32x32") == 3
    assert sorted(os.listdir(tmp_path / "pictures")) == [".seeclear", "0.png", "1.png", "2.png"]


@pytest.mark.parametrize(
    ("names", "pictures"),
    [
        (["frame8", "frame9", "frame10"], False),
        (["0000", "0010", "0020"], False),
        (["a-07-1", "a-07-2"], False),
        (["only"], False),
        (["IMG_2034", "IMG_2037", "IMG_2038"], True),  # some were deleted
        (["IMG_20240105_101010", "IMG_20240106_091500"], True),
        (["left", "right"], True),
        (["a1", "b2"], True),
        (["cover", "cover1"], True),
    ],
)
def test_names_of_frames_count_up_evenly(tmp_path: Path, names: list[str], pictures: bool) -> None:
    for name in names:
        Image.new("RGB", (4, 4)).save(tmp_path / f"{name}.png")
    assert are_pictures(sorted(tmp_path.iterdir())) == pictures


def test_pictures_beside_videos_and_in_folders(
    plain_pipe: Any, album: Path, tmp_path: Path, run: Command, fails: Callable[..., str], stand_in: ModuleType
) -> None:
    """A camera's folder: with `--images` all of it is upscaled."""
    folder = tmp_path / "in"
    folder.mkdir()
    album.rename(folder / "album")
    stand_in.write_video(folder / "a.mp4")
    Image.fromarray(smooth(8, 8)).save(folder / "b.png")
    said = fails("upscale", folder, tmp_path / "out")
    assert "has images (b.png) and videos (a.mp4)" in said and "or give --images" in said
    code, said, _ = run("upscale", folder, tmp_path / "out", "--images")
    assert code == 0 and said.splitlines()[-1] == "7 done, 0 skipped, 0 failed"
    assert sorted(os.listdir(tmp_path / "out")) == [".seeclear", "a.mp4", "album", "b.png"]
    assert len(os.listdir(tmp_path / "out" / "album")) == 6


def test_a_bad_picture_does_not_stop_the_others(plain_pipe: Any, album: Path, tmp_path: Path, run: Command) -> None:
    data = (album / "beach.jpg").read_bytes()
    (album / "beach.jpg").write_bytes(data[: len(data) // 2])
    code, said, err = run("upscale", album, tmp_path / "out")
    assert code == 2 and said.splitlines()[-1] == "4 done, 0 skipped, 1 failed"
    assert "beach.jpg: the image cannot be read" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "kind", "mode", "notes"),
    [
        ("out.jpg", "JPEG", "RGB", ["16 bits a channel become 8", "alpha is left out"]),
        ("out.webp", "WEBP", "RGBA", ["16 bits a channel become 8"]),
        ("out.png", "PNG", "RGBA", []),
    ],
)
def test_one_image_with_what_is_lost(
    plain_pipe: Any, tmp_path: Path, run: Command, name: str, kind: str, mode: str, notes: list[str]
) -> None:
    deep = smooth(10, 12, 4).astype(np.uint16) * 257
    deep[..., 3] = 30000
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 12, 10, "rgba64be", 1
    frame = av.VideoFrame(12, 10, "rgba64be")
    frame.planes[0].update(deep.astype(">u2").tobytes())
    (tmp_path / "in.png").write_bytes(b"".join(bytes(packet) for packet in encoder.encode(frame)))
    code, _, err = run("upscale", tmp_path / "in.png", tmp_path / name)
    assert code == 0 and err.count("\n") == len(notes)
    for note in notes:
        assert f"seeclear: note: {tmp_path / name}: {note}" in err
    with Image.open(tmp_path / name) as image:
        assert (image.format, image.mode, image.size) == (kind, mode, (48, 40))
        expected = smooth(10, 12).repeat(4, 0).repeat(4, 1).astype(int)
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - expected).mean() < 2


def test_grey_stays_grey_in_jpeg(plain_pipe: Any, tmp_path: Path, run: Command) -> None:
    Image.fromarray(smooth(8, 10)[..., 0]).save(tmp_path / "in.png")
    assert run("upscale", tmp_path / "in.png", tmp_path / "out.jpg")[0] == 0
    with Image.open(tmp_path / "out.jpg") as image:
        assert (image.mode, image.size) == ("L", (40, 32))


def test_sides_that_a_kind_of_image_does_not_have(plain_pipe: Any, tmp_path: Path, fails: Callable[..., str]) -> None:
    Image.new("L", (4100, 1)).save(tmp_path / "in.png")
    said = fails("upscale", tmp_path / "in.png", tmp_path / "out.webp")
    assert "a WEBP has at most 16383 pixels a side, but this one was to have 16400; PNG has no such limit" in said
