# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Interlaced video: that it is seen, and that combs go away; other video stays as it is, to the bit."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from seeclear.video import VideoReader, check_output
from seeclear.video.deinterlacing import deinterlaced, is_interlaced
from seeclear.video.excerpt import Excerpt

MakeVideo = Callable[..., Path]
HEIGHT, WIDTH = 48, 64


def moments(count: int) -> np.ndarray:
    """Grey (count, H, W) uint8: a bright smooth bar that goes 3 pixels to the right from one to the next."""
    t, _, x = np.mgrid[:count, :HEIGHT, :WIDTH]
    return (40 + 170 * np.exp(-(((x - 12 - 3 * t) / 5.0) ** 2))).astype(np.uint8)


def woven(count: int, top_first: bool = True) -> np.ndarray:
    """Frames (count, H, W) of two moments each: rows of the first, and between them rows of the second one."""
    both = moments(2 * count)
    frames = both[::2].copy()
    later = slice(1, None, 2) if top_first else slice(0, None, 2)
    frames[:, later] = both[1::2][:, later]
    return frames


def write(path: Path, frames: np.ndarray, codec: str = "libx264", order: str | None = "tff", **options: str) -> Path:
    """Grey frames as a video that says it is interlaced, top or bottom field first (`order`; None: it is not)."""
    if order is not None:
        flags = {"flags": "+ilme+ildct"}
        options |= flags | ({"x264-params": f"{order}=1"} if codec == "libx264" else {})
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        if codec == "mpeg2video":
            stream.codec_context.bit_rate = 4_000_000
        graph = av.filter.Graph()
        source = graph.add_buffer(
            width=WIDTH, height=HEIGHT, format=av.VideoFormat("yuv420p"), time_base=Fraction(1, 25)
        )
        named = graph.add("setfield", order or "prog")
        graph.link_nodes(source, named, graph.add("buffersink")).configure()
        for index, grey in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(
                np.concatenate([grey, np.full((HEIGHT // 2, WIDTH), 128, np.uint8)]), format="yuv420p"
            )
            frame.pts, frame.time_base = index, Fraction(1, 25)
            graph.push(frame)
            container.mux(stream.encode(graph.pull()))
        container.mux(stream.encode(None))
    return path


def luma(path: Path, **options: Any) -> np.ndarray:
    """Of all frames (F, H, W), on the scale of `moments`."""
    with VideoReader(path, **options) as reader:
        return np.stack([frame.rgb.mean(-1) for frame in reader.frames()]) * 219 + 16


def combs(frames: np.ndarray) -> float:
    """How much rows differ from the mean of their neighbors."""
    inner = frames.astype(np.float32)
    return float(np.abs(inner[:, 1:-1] - (inner[:, :-2] + inner[:, 2:]) / 2).mean())


@pytest.mark.parametrize(
    ("name", "codec", "order"),
    [
        ("a.mp4", "libx264", "tff"),
        ("a.mkv", "libx264", "bff"),
        ("a.ts", "mpeg2video", "tff"),
        ("a.mpg", "mpeg2video", "bff"),
    ],
)
def test_combs_go_away(tmp_path: Path, name: str, codec: str, order: str) -> None:
    """Each frame becomes the picture of its first moment."""
    options = {"crf": "4"} if codec == "libx264" else {}
    path = write(tmp_path / name, woven(8, order == "tff"), codec, order, **options)
    expected = moments(16)[::2].astype(np.float32)
    before, after = luma(path), luma(path, deinterlace=True)
    assert before.shape == after.shape == expected.shape
    assert combs(before) > 8 and combs(after) < 0.1 * combs(before)
    error, error_before = (np.abs(frames - expected).mean((1, 2)) for frames in (after, before))
    assert error.max() < 1.5 and (error < 0.25 * error_before).all()


def test_times_stay(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", woven(8))
    with VideoReader(path) as plain, VideoReader(path, deinterlace=True) as reader:
        assert plain.times() == reader.times()
        assert plain.num_frames == reader.num_frames == 8


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mkv", "libx264", "yuv422p10le"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.mkv", "ffv1", "bgr0"),
        ("a.ts", "mpeg2video", "yuv420p"),
    ],
)
def test_progressive_video_stays_as_it_is(make_video: MakeVideo, name: str, codec: str, pixel_format: str) -> None:
    path = make_video(name, video_codec=codec, pixel_format=pixel_format, sound_codecs=())
    with VideoReader(path) as plain, VideoReader(path, deinterlace=True) as reader:
        before, after = list(plain.frames()), list(reader.frames())
        assert not any("interlaced" in note for note in plain.properties.notes)
        assert reader.properties.notes[0].endswith("`deinterlace` changes only frames that do.")
    assert [(frame.pts, frame.duration) for frame in before] == [(frame.pts, frame.duration) for frame in after]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.rgb, other.rgb)


def test_frames_of_both_kinds(tmp_path: Path) -> None:
    """Those that are not interlaced are given as they are, and all in order with their numbers."""
    path = write(tmp_path / "a.mkv", woven(8), crf="4")
    with av.open(str(path)) as container:
        fields = list(container.decode(video=0))
    other = write(tmp_path / "b.mkv", moments(8), order=None)
    with av.open(str(other)) as container:
        whole = list(container.decode(video=0))
    mixed = [*whole[:3], *fields[3:6], *whole[6:]]
    found = list(deinterlaced([(frame, number) for number, frame in enumerate(mixed)]))
    assert [number for _, number in found] == list(range(8))
    assert [frame is given for (frame, _), given in zip(found, mixed, strict=True)] == [True] * 3 + [False] * 3 + [
        True,
        True,
    ]
    assert [frame.pts for frame, _ in found] == [frame.pts for frame in mixed]
    assert not any(frame.interlaced_frame for frame, _ in found)


def test_few_frames(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", woven(2), crf="4")
    seen = luma(path, deinterlace=True)
    assert len(seen) == 2 and combs(seen) < 0.1 * combs(luma(path))
    path = write(tmp_path / "b.mkv", woven(1), crf="4")
    np.testing.assert_array_equal(luma(path, deinterlace=True), luma(path))  # it has no neighbors


def test_frames_of_another_format_between(tmp_path: Path) -> None:
    frames = []
    for name, flat in (("yuv420p", 30), ("yuv422p", 90), ("yuv420p", 150)):
        for _ in range(2):
            frame = av.VideoFrame(WIDTH, HEIGHT, name)
            for plane in frame.planes:
                plane.update(bytes([flat]) * plane.buffer_size)
            frame.pts = len(frames)
            frames.append((frame, len(frames)))
    assert list(deinterlaced(frames)) == frames


def test_frames_that_are_too_small() -> None:
    with pytest.raises(ValueError, match="`deinterlace` needs frames of at least 3x4, but they are 8x2"):
        list(deinterlaced([(av.VideoFrame(8, 2, "yuv420p"), 0)]))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_part_is_that_of_the_whole(tmp_path: Path, name: str) -> None:
    """Also its first and last frames, of which the filter looks at neighbors outside."""
    codec = "mpeg2video" if name == "a.ts" else "libx264"
    path = write(tmp_path / name, woven(14), codec, g="4")
    whole = luma(path, deinterlace=True)
    for first in (3, 4, 8):
        part = Excerpt.parse(Fraction(first, 25), frames=3)
        np.testing.assert_array_equal(luma(path, deinterlace=True, excerpt=part), whole[first : first + 3])


@pytest.mark.parametrize(
    ("codec", "order", "flagged", "expected"),
    [
        ("h264", 0, False, False),
        ("h264", 1, False, False),
        ("h264", 2, False, True),
        ("prores", 5, False, True),
        ("h264", 1, True, True),
        ("png", 2, True, False),
    ],
)
def test_who_says_that_it_is_interlaced(codec: str, order: int, flagged: bool, expected: bool) -> None:
    """The stream by FFmpeg's number of the order of fields, or a frame."""
    context = SimpleNamespace(codec=SimpleNamespace(canonical_name=codec), field_order=order)
    stream: Any = SimpleNamespace(codec_context=context)
    frame: Any = SimpleNamespace(interlaced_frame=flagged)
    assert is_interlaced(stream, frame) == expected


def test_a_note_names_the_option(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", woven(4))
    for deinterlace in (False, True):
        with VideoReader(path, deinterlace=deinterlace) as reader:
            notes = check_output(tmp_path / "out.mp4", reader.properties)
        told = [note for note in notes if "interlaced" in note or "fields" in note]
        assert len(told) == (0 if deinterlace else 1)
        assert all("`deinterlace` makes one of them" in note for note in told)


@pytest.mark.parametrize(("name", "codec"), [("a.mov", "png"), ("a.apng", "apng")])
def test_images_that_are_stored_in_passes_have_no_fields(tmp_path: Path, name: str, codec: str) -> None:
    """FFmpeg calls them interlaced."""
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream(codec, rate=10, options={"flags": "+ildct"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "rgb24"
        for index, grey in enumerate(woven(3)):
            frame = av.VideoFrame.from_ndarray(np.dstack([grey] * 3), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(tmp_path / name)) as container:
        assert all(frame.interlaced_frame for frame in container.decode(video=0))
    with VideoReader(tmp_path / name, deinterlace=True) as reader:
        seen = np.stack([frame.rgb[..., 0] for frame in reader.frames()])
    np.testing.assert_allclose(seen * 255, woven(3), atol=0.01)
    with VideoReader(tmp_path / name) as plain:
        assert not plain.properties.notes
