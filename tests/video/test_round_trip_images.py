# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Images and GIFs upscaled by repeating pixels: to images, to GIFs and to videos."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from seeclear.video import (
    EncodeSettings,
    VideoReader,
    check_output,
)

MakeVideo = Callable[..., Path]
Probe = Callable[[Path], Any]
TEXTS = [(40, 120, "Hello"), (150, 200, "and good bye")]


def test_gif(tmp_path: Path, frames: Callable[..., np.ndarray], upscale: Any, read: Any, assert_close: Any) -> None:
    delays = [50, 120, 10, 300, 40]
    pictures = [Image.fromarray(frame) for frame in frames(5, 24, 32)]
    pictures[0].save(tmp_path / "in.gif", save_all=True, append_images=pictures[1:], duration=delays, loop=3)
    written, properties = upscale(tmp_path / "in.gif", tmp_path / "out.gif")
    assert properties.kind == "gif" and not properties.has_alpha
    with Image.open(tmp_path / "out.gif") as seen:
        assert (seen.size, seen.n_frames, seen.info["loop"]) == ((128, 96), 5, 3)
        shown = []
        for index in range(5):
            seen.seek(index)
            shown.append(seen.info["duration"])
    assert shown == delays
    assert_close(read(tmp_path / "out.gif"), written, 6 / 255)
    written, _ = upscale(tmp_path / "in.gif", tmp_path / "out.mp4")
    with VideoReader(tmp_path / "out.mp4") as reader:
        times = [(pts * reader.properties.time_base, d * reader.properties.time_base) for pts, d in reader.times()]
    assert [t for t, _ in times] == [Fraction(sum(delays[:n]), 1000) for n in range(5)]
    assert_close(read(tmp_path / "out.mp4"), written)


def test_gif_with_transparent_pixels(
    tmp_path: Path, frames: Callable[..., np.ndarray], upscale: Any, read: Any
) -> None:
    pictures = []
    for frame in frames(4, 24, 32):
        image = Image.fromarray(frame).quantize(16)
        codes = np.array(image)
        codes[:, :10] = 16
        palette = image.getpalette()[:48] + [0, 0, 0]
        image = Image.fromarray(codes, "P")
        image.putpalette(palette)
        pictures.append(image)
    pictures[0].save(
        tmp_path / "in.gif", save_all=True, append_images=pictures[1:], duration=40, transparency=16, disposal=2
    )
    written, properties = upscale(tmp_path / "in.gif", tmp_path / "out.gif")
    assert properties.has_alpha and written[0].shape == (96, 128, 4)
    seen = read(tmp_path / "out.gif")
    for new, old in zip(seen, written, strict=True):
        np.testing.assert_array_equal(new[..., 3], old[..., 3])
        assert (new[:, :40, 3] == 0).all() and (new[:, 40:, 3] == 1).all()
        assert np.abs(new - old)[:, 40:].mean() < 6 / 255


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("LA", 2), ("RGB", 3), ("RGBA", 4)])
def test_folder_of_8_bits(tmp_path: Path, suffix: str, mode: str, channels: int, upscale: Any) -> None:
    random = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    arrays = [random.integers(0, 256, (5, 7, channels), np.uint8) for _ in range(3)]
    for index, array in enumerate(arrays):
        Image.fromarray(array.squeeze(), mode).save(tmp_path / "in" / f"f{index}{suffix}")
    _, properties = upscale(tmp_path / "in", tmp_path / "out")
    assert (properties.has_alpha, properties.is_grey) == (channels % 2 == 0, channels < 3)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["f0.png", "f1.png", "f2.png"]
    for index, array in enumerate(arrays):
        with Image.open(tmp_path / "out" / f"f{index}.png") as image:
            assert image.mode == mode
            np.testing.assert_array_equal(np.asarray(image).reshape(20, 28, -1), array.repeat(4, 0).repeat(4, 1))


@pytest.mark.parametrize("pix_fmt", ["gray16be", "rgb48be", "rgba64be"])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_folder_of_16_bits_is_exact(tmp_path: Path, suffix: str, pix_fmt: str, upscale: Any) -> None:
    random = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    channels = {"gray16be": 1, "rgb48be": 3, "rgba64be": 4}[pix_fmt]
    arrays = [random.integers(0, 65536, (6, 8, channels), np.uint16) for _ in range(2)]
    for index, array in enumerate(arrays):
        write_16_bits(tmp_path / "in" / f"{index}{suffix}", array, pix_fmt)
    _, properties = upscale(tmp_path / "in", tmp_path / "out")
    assert (properties.pix_fmt, properties.bit_depth) == (pix_fmt, 16)
    for index, array in enumerate(arrays):
        np.testing.assert_array_equal(
            read_16_bits(tmp_path / "out" / f"{index}.png"), array.repeat(4, 0).repeat(4, 1).squeeze()
        )
    _, properties = upscale(tmp_path / "in", tmp_path / "eight", EncodeSettings(pix_fmt="rgb24"))
    assert Image.open(tmp_path / "eight" / "0.png").mode == "RGB"


def write_16_bits(path: Path, array: np.ndarray, pix_fmt: str) -> None:
    codec = "png" if path.suffix == ".png" else "tiff"
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height = array.shape[1], array.shape[0]
    encoder.pix_fmt = pix_fmt if codec == "png" else pix_fmt.replace("be", "le")
    encoder.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(array.squeeze()), format=encoder.pix_fmt)
    frame.pts = 0
    packets = encoder.encode(frame)
    path.write_bytes(b"".join(bytes(packet) for packet in packets))


def read_16_bits(path: Path) -> np.ndarray:
    with av.open(str(path), format="png_pipe") as container:
        return next(container.decode(video=0)).to_ndarray()


def test_folder_to_video_and_back(
    tmp_path: Path, frames: Callable[..., np.ndarray], upscale: Any, read: Any, assert_close: Any
) -> None:
    (tmp_path / "in").mkdir()
    for index, frame in enumerate(frames(6, 24, 32)):
        Image.fromarray(frame).save(tmp_path / "in" / f"f{index}.png")
    written, properties = upscale(tmp_path / "in", tmp_path / "out.mp4")
    assert (properties.pix_fmt, properties.fps) == ("yuv420p", 25)
    assert_close(read(tmp_path / "out.mp4"), written)
    written, _ = upscale(tmp_path / "out.mp4", tmp_path / "back", scale=1)
    assert_close(read(tmp_path / "back"), written, 0.6 / 255)


@pytest.mark.parametrize("name", ["in.png", "in.jpg"])
def test_single_image(tmp_path: Path, frames: Callable[..., np.ndarray], name: str, upscale: Any, read: Any) -> None:
    Image.fromarray(frames(1, 23, 31)[0]).save(tmp_path / name)
    written, properties = upscale(tmp_path / name, tmp_path / "out.png", parts=1)
    assert properties.kind == "image"
    (seen,) = read(tmp_path / "out.png")
    np.testing.assert_allclose(seen, written[0], atol=1e-6)


def test_video_to_gif_and_images_leaves_the_sound_with_a_note(
    make_video: MakeVideo, tmp_path: Path, upscale: Any, read: Any, assert_close: Any
) -> None:
    source = make_video("in.mp4")
    with VideoReader(source) as reader:
        notes = check_output(tmp_path / "out.gif", reader.properties)
        assert any("the sound #1 (aac)" in note and "left out" in note for note in notes)
        with pytest.raises(ValueError, match=r"out\.png: an image holds one frame"):
            check_output(tmp_path / "out.png", reader.properties)
    written, _ = upscale(source, tmp_path / "out.gif")
    assert_close(read(tmp_path / "out.gif"), written, 6 / 255)
    written, _ = upscale(source, tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 7


@pytest.mark.parametrize("target", ["out.png", "out.jpg", "out.webp"])
@pytest.mark.parametrize("form", ["GIF", "PNG"])
def test_more_frames_than_an_image_holds(
    tmp_path: Path, frames: Callable[..., np.ndarray], form: str, target: str
) -> None:
    """An animation, a folder and a video, each known before any work."""
    pictures = [Image.fromarray(frame) for frame in frames(4, 24, 32)]
    pictures[0].save(tmp_path / "animation", form, save_all=True, append_images=pictures[1:], duration=40)
    (tmp_path / "folder").mkdir()
    for index, picture in enumerate(pictures):
        picture.save(tmp_path / "folder" / f"{index}.png")
    for name in ("animation", "folder"):
        with (
            VideoReader(tmp_path / name) as reader,
            pytest.raises(ValueError, match=rf"{target}: an image holds one frame, but .*{name} has 4;"),
        ):
            check_output(tmp_path / target, reader.properties)


@pytest.mark.parametrize("name", ["in.gif", "in", "in.mp4"])
def test_one_frame_is_an_image(
    make_video: MakeVideo,
    tmp_path: Path,
    frames: Callable[..., np.ndarray],
    name: str,
    upscale: Any,
    read: Any,
    assert_close: Any,
) -> None:
    picture = Image.fromarray(frames(1, 24, 32)[0])
    if name == "in.mp4":
        make_video(name, num_frames=1, sound_codecs=())
    elif name == "in":
        (tmp_path / name).mkdir()
        picture.save(tmp_path / name / "a.png")
    else:
        picture.save(tmp_path / name)
    written, _ = upscale(tmp_path / name, tmp_path / "out.png", parts=1)
    assert_close(read(tmp_path / "out.png"), written)


@pytest.mark.parametrize("fps", [24, Fraction(30000, 1001), Fraction(25, 2)])
def test_rate_of_a_folder(tmp_path: Path, frames: Callable[..., np.ndarray], fps: Fraction | int) -> None:
    (tmp_path / "in").mkdir()
    for index, frame in enumerate(frames(3, 24, 32)):
        Image.fromarray(frame).save(tmp_path / "in" / f"{index}.png")
    with VideoReader(tmp_path / "in") as reader:
        assert (reader.fps, reader.properties.fps_is_assumed) == (25, True)
        notes = check_output(tmp_path / "out.mp4", reader.properties)
        assert any("does not say how many frames there are per second; 25 are taken" in note for note in notes)
        assert check_output(tmp_path / "out", reader.properties) == []
    with VideoReader(tmp_path / "in", fps) as reader:
        assert (reader.fps, reader.properties.fps_is_assumed) == (fps, False)
        assert [pts * reader.properties.time_base for pts, _ in reader.times()] == [
            index / Fraction(fps) for index in range(3)
        ]
        assert check_output(tmp_path / "out.mp4", reader.properties) == []
    with pytest.raises(ValueError, match="`fps` must be positive, but was -1"):
        VideoReader(tmp_path / "in", -1)
