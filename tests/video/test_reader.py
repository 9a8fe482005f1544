# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import contextlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from seeclear.video.completeness import check_complete
from seeclear.video.inputs import read_input
from seeclear.video.reader import VideoReader, count_frames

MakeVideo = Callable[..., Path]
Frames = Callable[..., np.ndarray]


def read(path: Path) -> np.ndarray:
    with VideoReader(path) as reader:
        return np.stack(list(reader))


@pytest.mark.parametrize(
    ("name", "video_codec", "sound_codec"),
    [
        ("a.mp4", "libx264", "aac"),
        ("a.mov", "libx264", "aac"),
        ("a.mkv", "libx264", "aac"),
        ("a.webm", "libvpx-vp9", "libopus"),
        ("a.avi", "mpeg4", "mp3"),
        ("a.ts", "mpeg2video", "mp2"),
    ],
)
def test_all_frames_of_all_containers(
    make_video: MakeVideo, frames: Frames, name: str, video_codec: str, sound_codec: str
) -> None:
    path = make_video(name, video_codec=video_codec, sound_codecs=(sound_codec,))
    with VideoReader(path) as reader:
        assert (reader.width, reader.height, reader.fps, reader.names) == (32, 24, 25, None)
        assert reader.num_frames in (7, None)
        seen = list(reader)
        again = list(reader)
    assert len(seen) == len(again) == count_frames(path) == 7
    assert all(frame.shape == (24, 32, 3) and frame.dtype == np.uint8 for frame in seen)
    np.testing.assert_array_equal(seen, again)
    # each frame is nearest to the one drawn at its place
    error = np.abs(np.stack(seen)[:, None].astype(int) - frames(7, 24, 32)[None]).mean((2, 3, 4))
    assert error.argmin(1).tolist() == list(range(7))


def test_number_of_frames_is_known_for_mp4(make_video: MakeVideo) -> None:
    assert VideoReader(make_video("a.mp4")).num_frames == 7


@pytest.mark.parametrize("fps", [Fraction(30000, 1001), Fraction(24000, 1001), Fraction(25, 2), Fraction(60)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_fps_is_exact(make_video: MakeVideo, name: str, fps: Fraction) -> None:
    assert VideoReader(make_video(name, fps=fps)).fps == fps


@pytest.mark.parametrize("matrix", [1, 5, 6])
@pytest.mark.parametrize(("color_range", "pixel_format"), [(1, "yuv420p"), (1, "yuv444p"), (2, "yuvj420p")])
def test_colours_follow_the_tags(tmp_path: Path, matrix: int, color_range: int, pixel_format: str) -> None:
    """YCbCr by the standards' formulas, coded without loss, against what the reader gives."""
    rgb = np.array([180.0, 70.0, 40.0])
    red, blue = (0.2126, 0.0722) if matrix == 1 else (0.299, 0.114)
    luma = rgb @ [red, 1 - red - blue, blue]
    blue_difference, red_difference = (rgb[2] - luma) / (2 - 2 * blue), (rgb[0] - luma) / (2 - 2 * red)
    if color_range == 1:
        planes = (16 + luma * 219 / 255, 128 + blue_difference * 224 / 255, 128 + red_difference * 224 / 255)
    else:
        planes = (luma, 128 + blue_difference, 128 + red_difference)
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "0", "qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 32, 16, pixel_format
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, color_range
        frame = av.VideoFrame(32, 16, pixel_format)
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        for plane, value in zip(frame.planes, planes, strict=True):
            plane.update(bytes([round(value)]) * plane.buffer_size)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    np.testing.assert_allclose(read(tmp_path / "a.mp4")[0].mean((0, 1)), rgb, atol=1.5)


def test_edit_list_is_no_truncation(make_video: MakeVideo, tmp_path: Path) -> None:
    """A copy trimmed without re-encoding decodes frames that are not shown; it is whole all the same."""
    path = make_video("a.mp4", num_frames=12, sound_codecs=())
    trimmed = tmp_path / "trimmed.mp4"
    with av.open(str(path)) as source, av.open(str(trimmed), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is None:
                continue
            packet.pts -= 4 * 512
            packet.dts -= 4 * 512
            packet.stream = stream
            target.mux(packet)
    with VideoReader(trimmed) as reader:
        assert len(list(reader)) == reader.num_frames == 8


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("a.mp4", {}),
        ("a.mp4", {"options": {"movflags": "+faststart"}}),
        ("a.mp4", {"options": {"movflags": "frag_keyframe+empty_moov"}}),
        ("a.mov", {}),
        ("a.mkv", {}),
        ("a.webm", {"video_codec": "libvpx-vp9", "sound_codecs": ("libopus",)}),
        ("a.avi", {"video_codec": "mpeg4", "sound_codecs": ("mp3",)}),
    ],
)
def test_truncated_anywhere_is_an_error(make_video: MakeVideo, tmp_path: Path, name: str, settings: dict) -> None:
    data = make_video(name, **settings).read_bytes()
    whole = read(tmp_path / name)
    cut = tmp_path / f"cut{Path(name).suffix}"
    points = sorted({len(data) * part // 21 for part in range(21)} | {5, 9, len(data) - 1})
    for size in points:
        cut.write_bytes(data[:size])
        try:
            assert len(read(cut)) == len(whole), f"frames lost without an error at {size} of {len(data)} bytes"
        except ValueError as error:
            assert "cut.m" in str(error) or "cut.w" in str(error) or "cut.a" in str(error)
            assert "\n" not in str(error)
    with pytest.raises(ValueError, match="cut off"):
        read(cut)  # by a single byte


def test_transport_stream_cut_anywhere_fails_cleanly(make_video: MakeVideo, tmp_path: Path) -> None:
    """MPEG-TS declares nothing: a cut one is a shorter video, or an error that names the file."""
    data = make_video("a.ts", video_codec="mpeg2video", sound_codecs=("mp2",)).read_bytes()
    cut = tmp_path / "cut.ts"
    outcomes = set()
    for part in range(21):
        cut.write_bytes(data[: len(data) * part // 21])
        try:
            outcomes.add(len(read(cut)) <= 7)
        except ValueError as error:
            outcomes.add("cut.ts" in str(error))
    assert outcomes == {True}


def test_damaged_data_never_gives_another_kind_of_error(make_video: MakeVideo, tmp_path: Path) -> None:
    data = bytearray(make_video("a.mp4", num_frames=12, options={"movflags": "+faststart"}).read_bytes())
    random = np.random.default_rng(0)
    failures = 0
    for _ in range(20):
        damaged = data.copy()
        for position in random.integers(len(data) // 2, len(data), 40):
            damaged[position] ^= 0xFF
        (tmp_path / "damaged.mp4").write_bytes(damaged)
        try:
            assert len(read(tmp_path / "damaged.mp4")) == 12
        except ValueError as error:
            failures += 1
            assert "damaged.mp4" in str(error)
    assert failures > 0


def test_what_is_no_video(tmp_path: Path, make_video: MakeVideo) -> None:
    cases = {"empty.mp4": b"", "text.mp4": b"This is no video.\n" * 100, "notes.txt": b"Some notes.\n" * 100}
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match=name):
            VideoReader(tmp_path / name)
    with pytest.raises(ValueError, match=r"absent\.mp4: there is no such"):
        VideoReader(tmp_path / "absent.mp4")
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        block = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        block.sample_rate = 8000
        container.mux(sound.encode(block))
    with pytest.raises(ValueError, match=r"sound\.wav: .* no video stream"):
        VideoReader(tmp_path / "sound.wav")


def test_colon_in_a_name_is_no_protocol(
    make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_video("a.mp4").rename(tmp_path / "pipe:0.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(read(Path("pipe:0.mp4"))) == 7


def test_whole_files_and_trailing_bytes_are_complete(make_video: MakeVideo) -> None:
    path = make_video("a.mp4")
    check_complete(path)
    with path.open("ab") as file:
        file.write(b"\n")
    assert len(read(path)) == 7


# Folders of images


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".PNG"])
def test_folder_of_images(tmp_path: Path, frames: Frames, suffix: str) -> None:
    for index, pixels in enumerate(frames(11, 24, 32)):
        Image.fromarray(pixels).save(tmp_path / f"frame{index}{suffix}", quality=95)
    (tmp_path / "notes.txt").write_text("not a frame")
    (tmp_path / ".hidden.png").write_text("not a frame")
    with VideoReader(tmp_path) as reader:
        assert reader.names == [f"frame{index}{suffix}" for index in range(11)]
        assert (reader.width, reader.height, reader.num_frames, reader.fps) == (32, 24, 11, 25)
        seen = np.stack(list(reader))
    assert np.abs(seen.astype(int) - frames(11, 24, 32)).mean() < 4


def test_modes_of_images(tmp_path: Path) -> None:
    for name, mode in (("a", "L"), ("b", "P"), ("c", "RGBA"), ("d", "LA"), ("e", "1")):
        Image.new("RGBA", (4, 2), (255, 255, 255, 255)).convert(mode).save(tmp_path / f"{name}.png")
    np.testing.assert_array_equal(read(tmp_path), np.full((5, 2, 4, 3), 255))


def test_image_turned_by_exif(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: shown with width and height swapped
    Image.new("RGB", (8, 4)).save(tmp_path / "a.jpg", exif=exif)
    with VideoReader(tmp_path) as reader:
        assert (reader.width, reader.height) == (4, 8)
        assert next(iter(reader)).shape == (8, 4, 3)


def test_folder_faults(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no images"):
        VideoReader(tmp_path)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    Image.new("RGB", (8, 9)).save(tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"one size.*a\.png is 8x8 and b\.png is 8x9"):
        VideoReader(tmp_path)
    (tmp_path / "b.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"b\.png"):
        VideoReader(tmp_path)
    rows = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(rows).save(tmp_path / "b.png")
    data = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=r"b\.png"):
        read(tmp_path)


@pytest.mark.parametrize(("mode", "bits", "alpha", "grey"), [("I;16", 16, False, True), ("RGBA", 8, True, False)])
def test_depth_and_alpha_of_images(tmp_path: Path, mode: str, bits: int, alpha: bool, grey: bool) -> None:
    colour = {"I;16": 1000, "RGBA": (51, 102, 204, 128)}[mode]
    Image.new(mode, (8, 6), colour).save(tmp_path / "a.png")
    with VideoReader(tmp_path) as reader:
        properties = reader.properties
        assert (properties.bit_depth, properties.has_alpha, properties.is_grey) == (bits, alpha, grey)
        (frame,) = reader.frames()
    expected = [1000 / 65535] * 3 if grey else [0.2, 0.4, 0.8]
    np.testing.assert_allclose(frame.rgb, np.broadcast_to(expected, (6, 8, 3)), atol=1e-6)
    assert (frame.alpha is None) != alpha
    if frame.alpha is not None:
        np.testing.assert_allclose(frame.alpha, 128 / 255, atol=1e-6)
    with pytest.raises(ValueError, match="opaque") if alpha else contextlib.nullcontext():
        assert read_input(tmp_path)[0].shape == (1, 1, 3, 6, 8)


def test_opaque_alpha_is_none(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 6), (1, 2, 3, 255)).save(tmp_path / "a.png")
    with VideoReader(tmp_path) as reader:
        assert not reader.properties.has_alpha and next(reader.frames()).alpha is None


def test_floats_are_not_images(tmp_path: Path) -> None:
    Image.new("F", (8, 8), 0.5).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a\.tif: images must have 8 or 16 bits a channel, but this one has 32"):
        VideoReader(tmp_path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_16_bits_turned_by_exif_as_8_bits_are(tmp_path: Path, orientation: int) -> None:
    pixels = np.arange(6 * 8, dtype=np.uint16).reshape(6, 8) * 257
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    Image.fromarray((pixels // 257).astype(np.uint8)).save(tmp_path / "b.png", exif=exif)
    with VideoReader(tmp_path / "a.png") as deep, VideoReader(tmp_path / "b.png") as flat:
        assert (deep.width, deep.height) == (flat.width, flat.height)
        np.testing.assert_allclose(next(deep.frames()).rgb, next(flat.frames()).rgb, atol=1e-6)


# Frames from any place on


@pytest.mark.parametrize(
    ("name", "settings"),
    [("a.mp4", {}), ("a.mkv", {"times": [0, 7, 9, 30, 31, 60, 90], "time_base": Fraction(1, 90)}), ("a.ts", {})],
)
def test_frames_from_any_start_are_those_of_a_whole_run(make_video: MakeVideo, name: str, settings: dict) -> None:
    codec = {"video_codec": "mpeg2video", "sound_codecs": ("mp2",)} if name == "a.ts" else {}
    with VideoReader(make_video(name, **codec, **settings)) as reader:
        whole = list(reader.frames())
        assert [(frame.pts, frame.duration) for frame in whole] == reader.times()
        for start in range(7):
            part = list(reader.frames(start))
            assert len(part) == 7 - start
            for a, b in zip(part, whole[start:], strict=True):
                assert (a.pts, a.duration) == (b.pts, b.duration)
                np.testing.assert_array_equal(a.rgb, b.rgb)
        for start, reason in ((-1, "at least 0"), (7, "below the number of frames, 7")):
            with pytest.raises(ValueError, match=rf"`start` must be {reason}"):
                list(reader.frames(start))


def test_time_stamps_and_durations(make_video: MakeVideo) -> None:
    times = [0, 7, 9, 30, 31, 60, 90]
    path = make_video("a.mp4", times=times, time_base=Fraction(1, 90), sound_codecs=())
    with VideoReader(path) as reader:
        base = reader.properties.time_base
        seen = [(pts * base, duration * base) for pts, duration in reader.times()]
    assert [pts for pts, _ in seen] == [Fraction(time, 90) for time in times]
    assert [duration for _, duration in seen][:-1] == [
        Fraction(b - a, 90) for a, b in zip(times, times[1:], strict=False)
    ]


def test_bytes_are_the_rounded_floats(make_video: MakeVideo) -> None:
    with VideoReader(make_video("a.mp4", pixel_format="yuv420p10le")) as reader:
        assert (reader.properties.bit_depth, reader.properties.codec) == (10, "h264")
        for pixels, frame in zip(reader, reader.frames(), strict=True):
            np.testing.assert_array_equal(pixels, np.rint(frame.rgb * 255))


def test_gif_cut_anywhere_is_an_error(tmp_path: Path, frames: Frames) -> None:
    pictures = [Image.fromarray(frame) for frame in frames(4, 24, 32)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=40)
    data = (tmp_path / "a.gif").read_bytes()
    assert len(read(tmp_path / "a.gif")) == 4
    for size in {*range(0, len(data), len(data) // 23), len(data) - 1}:
        (tmp_path / "cut.gif").write_bytes(data[:size])
        with pytest.raises(ValueError, match=r"cut\.gif"):
            read(tmp_path / "cut.gif")
