# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What a file is, is told by its content; nothing but the named file is opened."""

import os
import re
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from seeclear.video import VideoReader
from seeclear.video.opening import open_container, video_stream

MakeVideo = Callable[..., Path]
Frames = Callable[..., np.ndarray]

PLAYLISTS = {
    "HLS": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{path}\n#EXT-X-ENDLIST\n",
    "HLS after an empty line": "\n#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{path}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile {path}\n",
    "DASH": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{path}</BaseURL></MPD>',
    "SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "WPL": '<?xml version="1.0"?>\n<!-- a list -->\n<smil><body><media src="{path}"/></body></smil>',
    "PLS": "[playlist]\nFile1={path}\nNumberOfEntries=1\n",
}


@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8", "list.png", "list"])
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_playlist_is_refused(make_video: MakeVideo, tmp_path: Path, kind: str, name: str) -> None:
    path = make_video("other.ts", video_codec="mpeg2video", sound_codecs=("mp2",))
    (tmp_path / name).write_text(PLAYLISTS[kind].format(path=path))
    with pytest.raises(ValueError, match=rf"{name}: .*(list of other files|not a video|cannot be read)") as caught:
        VideoReader(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["HLS", "concat"])
def test_no_other_file_is_opened(
    make_video: MakeVideo, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list whose beginning is not recognised: FFmpeg must not open what it names."""
    monkeypatch.setattr("seeclear.video.opening.PLAYLISTS", re.compile(b"nothing"))
    os.mkfifo(tmp_path / "other.ts")  # whoever opens it waits for ever
    (tmp_path / "list.mp4").write_text(PLAYLISTS[kind].format(path=tmp_path / "other.ts"))
    with pytest.raises(ValueError, match=r"list\.mp4: .*not a video"):
        VideoReader(tmp_path / "list.mp4")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("http://example.org/a.mp4", "http://example.org/a.mp4"),
        (Path("https://example.org/a.mp4"), "https://example.org/a.mp4"),  # `Path` makes one slash of two
        ("rtsp://127.0.0.1:1/a", "rtsp://127.0.0.1:1/a"),
        ("-", '"-"'),
        (Path("-"), '"-"'),
    ],
)
def test_addresses_are_refused(given: str | Path, named: str) -> None:
    with pytest.raises(ValueError) as caught:
        VideoReader(given)
    assert str(caught.value).startswith(f"{named}: ") and str(caught.value).count(".") == named.count(".") + 1


def test_a_file_with_the_name_of_an_address(
    make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "http:" / "a").mkdir(parents=True)
    shutil.move(make_video("a.mp4"), tmp_path / "http:" / "a" / "b.mp4")
    shutil.move(make_video("a.mp4"), tmp_path / "-")
    monkeypatch.chdir(tmp_path)
    assert VideoReader("http:/a/b.mp4").num_frames == VideoReader("-").num_frames == 7


# Wrong endings


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.mp4", "mkv"),
        ("a.mkv", "avi"),
        ("a.webm", "mp4"),
        ("a.avi", "mov"),
        ("a.png", "mp4"),
        ("a.jpg", "ts"),
        ("a", "mkv"),
    ],
)
def test_video_under_a_wrong_ending(make_video: MakeVideo, tmp_path: Path, name: str, content: str) -> None:
    codecs = {"video_codec": "mpeg2video", "sound_codecs": ("mp2",)} if content in ("ts", "avi") else {}
    right = make_video(f"right.{content}", **codecs)
    with VideoReader(right) as reader:
        expected, properties = np.stack(list(reader)), reader.properties
    right.rename(tmp_path / name)
    with VideoReader(tmp_path / name) as reader:
        np.testing.assert_array_equal(np.stack(list(reader)), expected)
        assert (reader.properties.codec, reader.fps) == (properties.codec, properties.fps)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jpg", "png"),
        ("a.png", "webp"),
        ("a.tif", "bmp"),
        ("a.bmp", "tiff"),
        ("a.webp", "png"),
        ("a.mp4", "png"),
        ("a.mov", "jpeg"),
        ("a.gif", "png"),
        ("a.dat", "tiff"),
    ],
)
def test_image_under_a_wrong_ending(tmp_path: Path, frames: Frames, name: str, content: str) -> None:
    image = Image.fromarray(frames(1, 24, 32)[0])
    image.save(tmp_path / "right", content, **({"lossless": True} if content == "webp" else {}))
    with Image.open(tmp_path / "right") as right:
        expected = np.asarray(right.convert("RGB"))
    (tmp_path / "right").rename(tmp_path / name)
    with VideoReader(tmp_path / name) as reader:
        assert (reader.properties.kind, reader.num_frames, reader.names) == ("image", 1, [name])
        np.testing.assert_array_equal(next(iter(reader)), expected)


@pytest.mark.parametrize("name", ["a.tif", "a.jpg", "a.webp", "a.png"])
@pytest.mark.parametrize("content", ["PNG", "TIFF"])
def test_16_bits_under_a_wrong_ending(tmp_path: Path, name: str, content: str) -> None:
    pixels = np.arange(6 * 8, dtype=np.uint16).reshape(6, 8) * 1000
    Image.fromarray(pixels).save(tmp_path / name, content)
    with VideoReader(tmp_path / name) as reader:
        assert reader.properties.bit_depth == 16
        np.testing.assert_allclose(next(reader.frames()).rgb[..., 0], pixels / 65535, atol=1e-6)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.mp4"])
def test_animation_under_a_wrong_ending(tmp_path: Path, frames: Frames, name: str) -> None:
    pictures = [Image.fromarray(frame) for frame in frames(3, 24, 32)]
    for content in ("GIF", "PNG"):
        pictures[0].save(tmp_path / name, content, save_all=True, append_images=pictures[1:], duration=40)
        with VideoReader(tmp_path / name) as reader:
            assert (reader.properties.kind, reader.num_frames, reader.fps) == ("gif", 3, 25)


def test_what_only_looks_like_an_image(tmp_path: Path) -> None:
    """Pillow would hand PostScript to another program."""
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n")
    with pytest.raises(ValueError, match=r"a\.png: the image cannot be read"):
        VideoReader(tmp_path / "a.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "raw.dng", "TIFF", tiffinfo={254: 1})
    with pytest.raises(ValueError, match=r"raw\.dng: a raw photograph"):
        VideoReader(tmp_path / "raw.dng")


def test_stream_of_jpeg_images_is_a_video(tmp_path: Path, frames: Frames) -> None:
    data = b""
    for frame in frames(3, 24, 32):
        Image.fromarray(frame).save(tmp_path / "one.jpg")
        data += (tmp_path / "one.jpg").read_bytes()
    (tmp_path / "a.mjpeg").write_bytes(data)
    assert len(list(VideoReader(tmp_path / "a.mjpeg"))) == 3


# Several video streams


def write_streams(path: Path, streams: list[tuple[str, tuple[int, int], int]]) -> Path:
    """A file of video streams: (codec, (height, width), number of frames) of each."""
    with av.open(str(path), "w") as container:
        outputs = []
        for codec, (height, width), _ in streams:
            stream = container.add_stream(codec, rate=25)
            stream.height, stream.width = height, width
            stream.pix_fmt = {"mjpeg": "yuvj420p", "png": "rgb24"}.get(codec, "yuv420p")
            outputs.append(stream)
        for output, (_, (height, width), count) in zip(outputs, streams, strict=True):
            for index in range(count):
                frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 20 * index, np.uint8), format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                container.mux(output.encode(frame))
            container.mux(output.encode(None))
    return path


FILM = ("libx264", (24, 32), 8)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.mov", "a.ts"])
@pytest.mark.parametrize(
    ("streams", "chosen"),
    [
        ([("mjpeg", (48, 64), 1), FILM], 1),  # a cover that is larger and not marked as one
        ([FILM, ("mjpeg", (48, 64), 1)], 0),
        ([("libx264", (12, 16), 8), FILM], 1),  # a preview
        ([FILM, ("libx264", (12, 16), 9)], 0),  # longer by a frame
        ([("libx264", (48, 64), 2), FILM], 1),
        ([FILM, FILM], 0),
    ],
)
def test_the_film_is_the_largest_of_the_longest_streams(
    tmp_path: Path, name: str, streams: list[tuple[str, tuple[int, int], int]], chosen: int
) -> None:
    if name == "a.ts":
        streams = [("mpeg2video" if codec != "libx264" else codec, size, count) for codec, size, count in streams]
    path = write_streams(tmp_path / name, streams)
    with open_container(path) as container:
        assert video_stream(container, path).index == chosen
    with VideoReader(path) as reader:
        assert (reader.height, reader.width, len(list(reader))) == FILM[1] + (8,)
