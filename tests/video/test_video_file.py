# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Files whose container does not say when frames are shown, or says what is not so."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from seeclear.video import VideoReader

MakeVideo = Callable[..., Path]

FIELDS = [Fraction(60000, 1001), Fraction(50), Fraction(24000, 1001)]
X265 = "log-level=none:pools=1:frame-threads=1"


def numbered(count: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """Frames (F, H, W, 3) with a texture that moves, above a field whose brightness counts them: 40, 44, 48 ..."""
    f, y, x = np.mgrid[:count, : size[0], : size[1]]
    texture = 128 + 80 * np.sin((x + 2 * f) / 4) * np.cos((y + f) / 5)
    grey = np.where(y < size[0] // 2, texture, 40 + 4 * f).astype(np.uint8)
    return grey[..., None].repeat(3, -1)


def encoded(codec: str, fps: Fraction, count: int = 15, **options: str) -> list[av.Packet]:
    """The packets of `numbered` frames, in the order in which they are decoded."""
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 48, "yuv420p"
    encoder.framerate, encoder.time_base, encoder.options, encoder.bit_rate = fps, 1 / fps, options, 1_000_000
    packets = []
    for index, pixels in enumerate(numbered(count)):
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = index, 1 / fps
        packets += encoder.encode(frame)
    return packets + encoder.encode(None)


def write(
    path: Path,
    codec: str,
    fps: Fraction,
    count: int = 15,
    form: str | None = None,
    container: dict[str, str] | None = None,
    **options: str,
) -> Path:
    """A video of `numbered` frames without sound."""
    with av.open(str(path), "w", format=form, container_options=container or {}) as output:
        stream = output.add_stream(codec, rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.bit_rate = 1_000_000 if codec.startswith("mpeg") else 0
        for index, pixels in enumerate(numbered(count)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, 1 / fps
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    assert path.stat().st_size < 200_000
    return path


def times(reader: VideoReader) -> list[tuple[Fraction, Fraction]]:
    """(time, duration) of every frame in seconds."""
    base = reader.properties.time_base
    return [(pts * base, duration * base) for pts, duration in reader.times()]


def order(reader: VideoReader) -> list[int]:
    """The numbers that the frames show."""
    return [round((float(frame.rgb[30:].mean()) * 255 - 40) / 4) for frame in reader.frames()]


# Raw streams


RAW = {
    # name: (codec, FFmpeg's name of the format, options)
    "h264": ("libx264", "h264", {}),
    "h264 without reordering": ("libx264", "h264", {"bf": "0"}),
    "hevc": ("libx265", "hevc", {"x265-params": X265}),
    "MPEG-2": ("mpeg2video", "mpeg2video", {"bf": "2"}),
    "MPEG-4": ("mpeg4", "m4v", {"bf": "2"}),
}


@pytest.mark.parametrize("fps", FIELDS)
@pytest.mark.parametrize("kind", RAW)
def test_rate_of_raw_streams(tmp_path: Path, kind: str, fps: Fraction) -> None:
    """FFmpeg says 25 for all of them; what is true stands in the codec's own header."""
    codec, form, options = RAW[kind]
    with VideoReader(write(tmp_path / "raw.bin", codec, fps, form=form, **options)) as reader:
        assert (reader.fps, reader.properties.fps_is_assumed) == (fps, False)
        assert times(reader) == [(index / fps, 1 / fps) for index in range(15)]
        assert order(reader) == list(range(15))
        with pytest.raises(ValueError, match=rf"raw\.bin: `fps` is for images and .* this video has {fps}\."):
            VideoReader(tmp_path / "raw.bin", fps=24)


def test_rate_is_assumed_where_no_header_says(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mjpeg", "mjpeg", Fraction(50), 5)
    silent = write(
        tmp_path / "a.hevc",
        "libx265",
        Fraction(50),
        5,
        **{"x265-params": f"{X265}:vui-timing-info=0"},
    )
    for file in (path, silent):
        with VideoReader(file) as reader:
            assert (reader.fps, reader.properties.fps_is_assumed) == (25, True)
        with VideoReader(file, fps=Fraction(60000, 1001)) as reader:
            assert (reader.fps, reader.properties.fps_is_assumed) == (Fraction(60000, 1001), False)
            assert times(reader)[-1] == (4 * Fraction(1001, 60000), Fraction(1001, 60000))


@pytest.mark.parametrize(
    ("fps", "size", "pix_fmt"),
    [(Fraction(25), (576, 720), "yuv420p"), (Fraction(30000, 1001), (480, 720), "yuv411p")],
)
def test_rate_of_digital_video(tmp_path: Path, fps: Fraction, size: tuple[int, int], pix_fmt: str) -> None:
    """FFmpeg says 60000: the ticks of the clock."""
    path = tmp_path / "a.dv"
    with av.open(str(path), "w", format="dv") as container:
        stream = container.add_stream("dvvideo", rate=fps)
        stream.height, stream.width, stream.pix_fmt = *size, pix_fmt
        frame = av.VideoFrame.from_ndarray(np.full((*size, 3), 90, np.uint8), format="rgb24")
        frame.pts, frame.time_base = 0, 1 / fps
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with VideoReader(path) as reader:
        assert reader.fps == fps
        assert times(reader) == [(0, 1 / fps)]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mkv", {}),
        ("a.flv", {}),
        ("a.flv", {"flvflags": "no_metadata"}),
        ("a.webm", {}),
        ("a.webm", {"live": "1"}),
        ("a.nut", {}),
    ],
)
@pytest.mark.parametrize("fps", FIELDS)
def test_rate_is_not_that_of_rounded_times(tmp_path: Path, name: str, options: dict[str, str], fps: Fraction) -> None:
    codec = "libvpx-vp9" if name == "a.webm" else "libx264"
    with VideoReader(write(tmp_path / name, codec, fps, container=options)) as reader:
        assert reader.fps == fps


# Packets that are only counted


def packed(packets: list[av.Packet]) -> list[bytes]:
    """MPEG-4 as DivX packed it: a frame and the one that is shown before it in one packet, and one that is empty.

    The decoder is told by a word in the header, and passes over the frame that is not coded.
    """
    header = b"\x00\x00\x01\xb2DivX503b1393p"
    empty = bytes.fromhex("000001b650f0")  # a frame that refers to another, at no time, marker, not coded
    groups: list[list[bytes]] = []
    for packet in packets:
        data = bytes(packet)
        start = data.index(b"\x00\x00\x01\xb6")
        if data[start + 4] >> 6 == 2:  # refers to frames on both sides
            groups[-1].append(data)
        else:
            groups.append([data])
    chunks = []
    for group in groups:
        chunks += [group[0] + group[1], *group[2:], empty] if len(group) > 1 else group
    start = chunks[0].index(b"\x00\x00\x01\xb6")
    return [chunks[0][:start] + header + chunks[0][start:], *chunks[1:]]


@pytest.fixture
def in_avi(tmp_path: Path) -> Callable[..., Path]:
    """`in_avi(chunks, fps)` puts MPEG-4 into an AVI file, a chunk of None where nothing comes in a frame's time."""

    def make(chunks: list[bytes | None], fps: Fraction = Fraction(25), name: str = "a.avi") -> Path:
        with av.open(str(tmp_path / name), "w") as container:
            stream = container.add_stream("mpeg4", rate=fps)
            stream.width, stream.height = 64, 48
            for number, data in enumerate(chunks):
                if data is not None:
                    packet = av.Packet(data)
                    packet.pts = packet.dts = number
                    packet.time_base, packet.stream, packet.is_keyframe = 1 / fps, stream, not number
                    container.mux(packet)
        return tmp_path / name

    return make


AVI = {
    "h264": ("libx264", {"bf": "2"}),
    "h264, a pyramid": ("libx264", {"bf": "5", "x264-params": "b-adapt=0:b-pyramid=normal"}),
    "h264 without reordering": ("libx264", {"bf": "0"}),
    "MPEG-4": ("mpeg4", {"bf": "2"}),
    "MPEG-2": ("mpeg2video", {"bf": "2"}),
}


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001)])
@pytest.mark.parametrize("kind", AVI)
def test_even_steps_in_avi(tmp_path: Path, kind: str, fps: Fraction) -> None:
    codec, options = AVI[kind]
    with VideoReader(write(tmp_path / "a.avi", codec, fps, **options)) as reader:
        assert times(reader) == [(index / fps, 1 / fps) for index in range(15)]
        assert order(reader) == list(range(15))


def test_even_steps_in_mxf(tmp_path: Path) -> None:
    """The order of decoding is given for the times of showing."""
    with VideoReader(write(tmp_path / "a.mxf", "libx264", Fraction(25), bf="3")) as reader:
        assert [time for time, _ in times(reader)] == [Fraction(index, 25) for index in range(15)]
        assert order(reader) == list(range(15))


@pytest.mark.parametrize("bf", ["1", "2", "3"])
def test_packed_frames(in_avi: Callable[..., Path], bf: str) -> None:
    chunks = packed(encoded("mpeg4", Fraction(25), bf=bf))
    with VideoReader(in_avi(chunks)) as reader:
        assert order(reader) == list(range(15))
        assert times(reader) == [(Fraction(index, 25), Fraction(1, 25)) for index in range(15)]


def test_packed_frames_in_matroska(tmp_path: Path, in_avi: Callable[..., Path]) -> None:
    source = in_avi(packed(encoded("mpeg4", Fraction(25), bf="2")))
    with av.open(str(source)) as old, av.open(str(tmp_path / "a.mkv"), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.size:
                packet.stream = stream
                new.mux(packet)
    with VideoReader(tmp_path / "a.mkv") as reader:
        assert order(reader) == list(range(15))
        steps = [b - a for (a, _), (b, _) in zip(times(reader), times(reader)[1:], strict=False)]
        assert set(steps) == {Fraction(1, 25)}


def test_chunks_that_are_left_out_repeat_a_frame(in_avi: Callable[..., Path]) -> None:
    """What capturing programs write for a frame that was lost, and what encoders give while they hold frames back."""
    data: list[Any] = [bytes(packet) for packet in encoded("mpeg4", Fraction(25), 8, bf="0")]
    with VideoReader(in_avi([data[0], None, *data[1:5], None, None, *data[5:]])) as reader:
        assert [time * 25 for time, _ in times(reader)] == [0, 2, 3, 4, 5, 8, 9, 10]
    data = [bytes(packet) for packet in encoded("mpeg4", Fraction(25), 9, bf="2")]
    with VideoReader(in_avi([data[0], None, None, *data[1:]], name="b.avi")) as reader:
        assert [time * 25 for time, _ in times(reader)] == [2, 3, 4, 5, 6, 7, 8, 9, 10]


# Files that begin with frames nobody can decode


def cut(source: Path, target: Path, group: int = 1, **options: str) -> int:
    """Copies a video from a group of pictures on, without an edit list. Returns the number of packets."""
    with av.open(str(source)) as old, av.open(str(target), "w", container_options=options) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        packets = [packet for packet in old.demux(video=0) if packet.size]
        keys = [number for number, packet in enumerate(packets) if packet.is_keyframe]
        packets = packets[keys[group] :]
        first = packets[0].dts or 0
        for packet in packets:
            packet.pts, packet.dts, packet.stream = packet.pts - first, packet.dts - first, stream
            new.mux(packet)
    return len(packets)


OPEN = {
    # name: (codec, options, how many frames are lost)
    "h264": ("libx264", {"x264-params": "keyint=12:open-gop=1:bframes=3:b-adapt=0:scenecut=0"}, 3),
    "hevc": ("libx265", {"x265-params": f"{X265}:keyint=12:open-gop=1:bframes=3:b-adapt=0:scenecut=0"}, 3),
    "MPEG-2": ("mpeg2video", {"bf": "2", "g": "12", "sc_threshold": "1000000000"}, 2),
    "MPEG-4": ("mpeg4", {"bf": "2", "g": "12", "sc_threshold": "1000000000"}, 2),
}


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mov"])
@pytest.mark.parametrize("kind", OPEN)
def test_cut_of_open_groups(tmp_path: Path, kind: str, name: str) -> None:
    codec, options, lost = OPEN[kind]
    source = write(tmp_path / "whole.mp4", codec, Fraction(25), 40, **options)
    packets = cut(source, tmp_path / name, use_editlist="0")
    with VideoReader(source) as whole, VideoReader(tmp_path / name) as reader:
        assert whole.properties.notes == ()
        assert reader.num_frames == packets - lost
        (note,) = reader.properties.notes
        assert f"{name}: the first {lost} frames refer to others that were cut away" in note
        seen = order(reader)
        assert seen == order(whole)[-(packets - lost) :]  # what is there is right, and in its place
        steps = [b - a for (a, _), (b, _) in zip(times(reader), times(reader)[1:], strict=False)]
        assert set(steps) == {Fraction(1, 25)}
        # the place of the frames that are missing stays empty
        with av.open(str(tmp_path / name)) as container:
            stamps = sorted(packet.pts for packet in container.demux(video=0) if packet.size)
            assert times(reader)[0][0] == stamps[lost] * container.streams.video[0].time_base


@pytest.mark.parametrize("name", ["cut.ts", "cut.mkv"])
@pytest.mark.parametrize("kind", ["h264", "hevc", "MPEG-2"])
def test_other_containers_say_so_too(tmp_path: Path, kind: str, name: str) -> None:
    codec, options, lost = OPEN[kind]
    packets = cut(write(tmp_path / f"whole{name[3:]}", codec, Fraction(25), 40, **options), tmp_path / name)
    with VideoReader(tmp_path / name) as reader:
        assert len(order(reader)) == packets - lost
        assert f"the first {lost} frames refer" in reader.properties.notes[0]


def test_picture_that_becomes_whole_bit_by_bit(tmp_path: Path) -> None:
    """H.264 without key frames: after a cut the first frames cannot be shown."""
    options = {"x264-params": "intra-refresh=1:keyint=12:bframes=0:scenecut=0"}
    packets = cut(write(tmp_path / "whole.mp4", "libx264", Fraction(25), 40, **options), tmp_path / "cut.mp4")
    with VideoReader(tmp_path / "cut.mp4") as reader:
        seen = order(reader)
        lost = packets - len(seen)
        assert lost > 0 and reader.num_frames == len(seen)
        assert seen == list(range(40 - len(seen), 40))
        assert times(reader)[0][0] == Fraction(lost, 25)
        assert f"the first {lost} frames refer" in reader.properties.notes[0]


@pytest.mark.parametrize("kind", ["h264", "hevc", "MPEG-2"])
@pytest.mark.parametrize(
    ("places", "is_cut"), [({0}, False), ({20}, False), ({13, 14}, False), ({1}, False), ({20}, True)]
)
def test_damaged_file_is_refused(tmp_path: Path, kind: str, places: set[int], is_cut: bool) -> None:
    """Frames that are missing anywhere else than before the first key frame are no matter of a cut."""
    codec, options, _ = OPEN[kind]
    source = write(tmp_path / "whole.mp4", codec, Fraction(25), 40, **options)
    if is_cut:
        cut(source, tmp_path / "cut.mp4", use_editlist="0")
        source = tmp_path / "cut.mp4"
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    for number in places:
        start = data.index(bytes(packets[number]))
        size = packets[number].size
        data[start + 4 : start + size] = bytes(size - 4)  # no unit of any kind
    (tmp_path / "damaged.mp4").write_bytes(data)
    with pytest.raises(ValueError, match=r"damaged\.mp4: .*damaged"), VideoReader(tmp_path / "damaged.mp4") as reader:
        list(reader.frames())
