# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""A part of a video: times as they are typed, which frames it has, and what goes along with them."""

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from seeclear.video import VideoReader, check_output
from seeclear.video.copying import SourceStreams
from seeclear.video.decoding import PacketLog
from seeclear.video.excerpt import WHOLE, Cut, Excerpt, format_time, parse_time
from seeclear.video.planning import plan_streams

MakeVideo = Callable[..., Path]
GROUPS = {"g": "6", "bf": "2"}
"""Of the encoder: a key frame every six frames, and frames that are not decoded in order."""


# As it is typed


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("90", 90),
        (" 12.040 ", Fraction(301, 25)),
        ("1:30", 90),
        ("90:00.5", Fraction(10801, 2)),
        ("1:02:03.25", Fraction(14893, 4)),
        ("00:00:07", 7),
        (2, 2),
        (0.1, Fraction(1, 10)),
        (Fraction(1001, 30000), Fraction(1001, 30000)),
        (np.float32(0.1), Fraction(1, 10)),
        (np.int64(2), 2),
    ],
)
def test_times(text: Any, seconds: Any) -> None:
    assert parse_time("start", text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "-1", "1:60", "1:60:00", "1:2:3:4", "1:-2", "5s", ".5", "5.", "1e3", "nan", "１", -0.5, math.nan, True, [1]],
)
def test_what_is_no_time(text: Any) -> None:
    with pytest.raises(ValueError, match="`start` must be seconds or") as raised:
        parse_time("start", text)
    assert str(raised.value).endswith(f"but was {text!r}.")


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_times_are_exact(hours: int, minutes: int, seconds: int, thousandths: int) -> None:
    expected = 3600 * hours + 60 * minutes + seconds + Fraction(thousandths, 1000)
    assert parse_time("start", f"{hours}:{minutes:02}:{seconds:02}.{thousandths:03}") == expected
    assert parse_time("start", format_time(expected).removesuffix(" s")) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, "0:10", 5), "give `duration` or `frames`, not both: they were 0:10 and 5"),
        ((None, None, 0), "`frames` is 0; it must be a whole number of at least 1"),
        ((None, None, 2.5), "`frames` is 2.5; it must be a whole number"),
        ((None, None, math.nan), "`frames` is nan"),
        ((None, None, True), "`frames` is True"),
        ((None, None, "3"), "`frames` is '3'"),
        ((None, "0:00", None), "`duration` must be above 0, but was 0:00"),
        ((None, "x", None), "`duration` must be seconds or .*, but was 'x'"),
    ],
)
def test_excerpts_that_are_none(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Excerpt.parse(*arguments)


def test_all_of_a_video() -> None:
    assert Excerpt.parse() == Excerpt.parse("0") == WHOLE and WHOLE.is_whole
    assert not any(part.is_whole for part in (Excerpt.parse(1), Excerpt.parse(0, 1), Excerpt.parse(0, None, 1)))
    assert WHOLE.bounds(Fraction(1, 25), Fraction(0)) == (None, None)


def test_bounds_by_hand() -> None:
    """At 25 frames per second, from 0.1 s on: frame 3 at 0.12 s is the first; 0.2 s long: frame 8 is out."""
    part = Excerpt.parse("0.1", "0.2")
    assert part.bounds(Fraction(1, 25), Fraction(0)) == (3, 8)
    assert part.bounds(Fraction(1, 25), Fraction(2)) == (53, 58)
    assert part.describe() == "from 0.1 s, 0.2 s" and Excerpt.parse(2, frames=3).describe() == (
        "from 2 s, 3 frames at most"
    )
    assert Excerpt.parse("9" * 23, frames=np.int64(1)).describe() == f"from {'9' * 23} s, 1 frame at most"


def test_cuts_by_hand() -> None:
    cut = Cut.around(Excerpt.parse(2, 3), Fraction(9, 4), Fraction(21, 4), Fraction(0))
    assert (cut.start, cut.stop) == (Fraction(9, 4), Fraction(21, 4))  # up to the end of the last frame
    assert cut.of(Fraction(1), Fraction(1)) is None and cut.of(Fraction(6), Fraction(1)) is None
    assert cut.of(Fraction(1), Fraction(2)) == (Fraction(9, 4), Fraction(3, 4))
    assert cut.of(Fraction(5), Fraction(9)) == (5, Fraction(1, 4))
    assert cut.of(Fraction(3), Fraction(0)) == (3, 0)
    assert Cut.around(Excerpt.parse(0, 8), Fraction(0), Fraction(5), Fraction(1)) == Cut(None, Fraction(9))
    assert Cut.around(Excerpt.parse(0, None, 5), Fraction(0), Fraction(5), Fraction(1)) == Cut(None, Fraction(5))


# Frames


def check_part(path: Path, part: Excerpt, first: int, stop: int) -> None:
    """The frames `first` to `stop` - 1 of the whole, with the same bits and times."""
    with VideoReader(path) as reader:
        whole = list(reader.frames())[first:stop]
    with VideoReader(path, excerpt=part) as reader:
        assert reader.num_frames in (None, stop - first) and reader.count() == stop - first
        for _ in range(2):
            seen = list(reader.frames())
            assert [frame.pts for frame in seen] == [frame.pts for frame in whole]
            assert [frame.duration for frame in seen] == [frame.duration for frame in whole]
            for one, other in zip(seen, whole, strict=True):
                np.testing.assert_array_equal(one.rgb, other.rgb)
        if stop - first > 2:
            assert [frame.pts for frame in reader.frames(2)] == [frame.pts for frame in whole[2:]]


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mov", "libx265"),
        ("a.mkv", "libx264"),
        ("a.webm", "libvpx-vp9"),
        ("a.avi", "mpeg4"),
        ("a.ts", "mpeg2video"),
        ("a.264", "libx264"),
        ("a.mpg", "mpeg2video"),
    ],
)
def test_frames_are_those_of_the_whole(make_video: MakeVideo, name: str, codec: str) -> None:
    options = {**GROUPS, **({"x265-params": "log-level=none"} if codec == "libx265" else {})}
    path = make_video(name, num_frames=25, video_codec=codec, codec_options=options, sound_codecs=())
    for part, first, stop in (
        (Excerpt.parse("0.4"), 10, 25),
        (Excerpt.parse("0.4", "0.2"), 10, 15),
        (Excerpt.parse("0.41", None, 3), 11, 14),
        (Excerpt.parse("0.48", None, 1), 12, 13),
        (Excerpt.parse(None, "0.28"), 0, 7),
        (Excerpt.parse(None, None, 99), 0, 25),
    ):
        check_part(path, part, first, stop)


def test_frames_of_an_animation(tmp_path: Path) -> None:
    """Six frames of 0.1 s."""
    pictures = [Image.new("RGB", (16, 12), (40 * index, 0, 90)) for index in range(6)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=100, loop=0)
    check_part(tmp_path / "a.gif", Excerpt.parse("0.2", "0.3"), 2, 5)
    check_part(tmp_path / "a.gif", Excerpt.parse(frames=4), 0, 4)
    with pytest.raises(ValueError, match="no frame begins"):
        VideoReader(tmp_path / "a.gif", excerpt=Excerpt.parse(1))


def test_time_0_is_where_a_broadcast_begins(make_video: MakeVideo) -> None:
    """Its own clock begins at 5 s."""
    options = {"output_ts_offset": "5"}
    path = make_video("a.ts", num_frames=20, video_codec="mpeg2video", sound_codecs=("mp2",), options=options)
    with VideoReader(path) as reader:
        pts, base = next(reader.frames()).pts, reader.properties.time_base
        with av.open(str(path)) as container:
            offset = pts * base - min(stream.start_time * stream.time_base for stream in container.streams)
    assert pts * base >= 5
    check_part(path, Excerpt.parse(offset + Fraction(2, 5), Fraction(1, 5)), 10, 15)


def test_a_frame_that_lasts_beyond_the_end_is_shortened(make_video: MakeVideo) -> None:
    path = make_video(num_frames=3, times=[0, 10, 100], time_base=Fraction(1, 100), sound_codecs=())
    with VideoReader(path, excerpt=Excerpt.parse(0, "0.5")) as reader:
        ends = [(frame.pts + frame.duration) * reader.properties.time_base for frame in reader.frames()]
    assert ends == [Fraction(1, 10), Fraction(1, 2)]


def fed_packets(path: Path, part: Excerpt) -> int:
    """How many packets are decoded for the frames of a part."""
    with pytest.MonkeyPatch.context() as patch, VideoReader(path, excerpt=part) as reader:
        count = 0
        feed = PacketLog.feed

        def counted(self: PacketLog, *arguments: Any) -> None:
            nonlocal count
            count += 1
            feed(self, *arguments)

        patch.setattr(PacketLog, "feed", counted)
        list(reader.frames())
    return count


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_frames_before_are_skipped_by_a_reliable_index(make_video: MakeVideo, name: str) -> None:
    path = make_video(name, num_frames=120, codec_options=GROUPS, sound_codecs=())
    with av.open(str(path)) as container:
        key = max(packet.pts * packet.time_base for packet in container.demux(video=0) if packet.is_keyframe)
    assert Fraction(110, 25) < key < Fraction(119, 25)
    assert 1 <= fed_packets(path, Excerpt.parse(key + Fraction(1, 25))) < 20
    assert 6 < fed_packets(path, Excerpt.parse(key)) < 80  # a frame before it is decoded as well


def test_frames_before_are_decoded_in_other_files(make_video: MakeVideo) -> None:
    path = make_video("a.avi", num_frames=60, video_codec="mpeg4", codec_options=GROUPS, sound_codecs=())
    assert fed_packets(path, Excerpt.parse("2.2")) >= 59


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_open_groups_of_pictures(make_video: MakeVideo, name: str) -> None:
    """Key frames that frames shown before and after them refer over are no place to enter at."""
    options = {"x264-params": "keyint=6:min-keyint=6:open-gop=1:bframes=3:b-adapt=0:scenecut=0"}
    path = make_video(name, num_frames=30, codec_options=options, sound_codecs=())
    for first in (7, 12, 13, 23):
        check_part(path, Excerpt.parse(Fraction(first, 25), Fraction(4, 25)), first, first + 4)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_pictures_that_become_whole_bit_by_bit(make_video: MakeVideo, name: str) -> None:
    """Packets that are marked as key frames, though a column of the picture is all that they begin anew."""
    options = {"x264-params": "intra-refresh=1:keyint=10:bframes=0:scenecut=0"}
    path = make_video(name, num_frames=40, size=(48, 64), codec_options=options, sound_codecs=())
    with av.open(str(path)) as container:
        assert sum(packet.is_keyframe for packet in container.demux(video=0)) > 1
    for first in (12, 25, 31):
        check_part(path, Excerpt.parse(Fraction(first, 25), Fraction(4, 25)), first, first + 4)


def test_damage_after_the_part_is_not_looked_at(make_video: MakeVideo) -> None:
    path = make_video(num_frames=60, codec_options=GROUPS, sound_codecs=())
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux() if packet.size][40]
        place, size = packet.pos, packet.size
    data = path.read_bytes()
    path.write_bytes(data[:place] + bytes(size) + data[place + size :])
    with pytest.raises(ValueError, match="damaged"), VideoReader(path) as reader:
        list(reader.frames())
    with VideoReader(path, excerpt=Excerpt.parse(frames=5)) as reader:
        assert len(list(reader.frames())) == 5


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.264"])
def test_a_part_without_frames(make_video: MakeVideo, name: str) -> None:
    codec = "mpeg4" if name == "a.avi" else "libx264"
    path = make_video(name, num_frames=25, video_codec=codec, sound_codecs=())
    with pytest.raises(ValueError, match="no frame begins at or after the `start` asked for, from 90 s") as raised:
        VideoReader(path, excerpt=Excerpt.parse("1:30"))
    assert name == "a.264" or "; the video lasts 1.000 s." in str(raised.value)
    with pytest.raises(ValueError, match="within the `start` and `duration` asked for, from 0.41 s, 0.01 s"):
        VideoReader(path, excerpt=Excerpt.parse("0.41", "0.01"))


def test_images(tmp_path: Path) -> None:
    for index in range(5):
        Image.new("RGB", (16, 12), (40 * index, 0, 90)).save(tmp_path / f"{index}.png")
    with VideoReader(tmp_path, excerpt=Excerpt.parse(frames=3)) as reader:
        assert (reader.names, reader.num_frames, reader.count()) == (["0.png", "1.png", "2.png"], 3, 3)
        assert [frame.rgb[0, 0, 0] * 255 for frame in reader.frames()] == pytest.approx([0, 40, 80])
    for path in (tmp_path, tmp_path / "0.png"):
        for part, named in [
            (Excerpt.parse(1), "`start` is"),
            (Excerpt.parse(duration=1), "`duration` is"),
            (Excerpt.parse(1, duration=1), "`start` and `duration` are"),
        ]:
            with pytest.raises(ValueError, match=f"{named} for videos, but this is of images"):
                VideoReader(path, excerpt=part)


# What goes along


def pieces(path: Path, kind: str) -> list[tuple[Fraction, Fraction, bytes]]:
    """(time, duration, content) of the packets of a kind of stream."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux() if packet.size and packet.stream.type == kind]
        return [(p.pts * p.time_base, (p.duration or 0) * p.time_base, bytes(p)) for p in packets]


SUBTITLES = [
    (0, 300, "before"),
    (300, 900, "into"),
    (1000, 1100, "within"),
    (1300, 1900, "out"),
    (1900, 1950, "after"),
]
CHAPTERS = [(0, 600, "one"), (600, 1200, "two"), (1200, 1800, "three"), (1800, 2000, "four")]


@pytest.mark.parametrize(("source", "name"), [("in.mp4", "out.mp4"), ("in.mp4", "out.mov"), ("in.mkv", "out.mkv")])
def test_all_is_cut_to_the_part(
    make_video: MakeVideo, upscale: Any, probe: Any, tmp_path: Path, source: str, name: str
) -> None:
    """From 0.8 s to 1.4 s of two seconds."""
    path = make_video(source, num_frames=50, subtitles=SUBTITLES, chapters=CHAPTERS)
    upscale(path, tmp_path / name, excerpt=Excerpt.parse("0.8", "0.6"))
    made = probe(tmp_path / name)
    tick = Fraction(1, 1000)
    assert np.abs(np.array(made.times) - [Fraction(index, 25) for index in range(15)]).max() < tick
    whole, sound = pieces(path, "audio"), pieces(tmp_path / name, "audio")
    expected = [(time - Fraction(4, 5), data) for time, _, data in whole if Fraction(4, 5) <= time < Fraction(7, 5)]
    assert [data for *_, data in sound] == [data for _, data in expected]
    assert max(abs(one[0] - other[0]) for one, other in zip(sound, expected, strict=True)) <= tick
    texts = [(time, duration) for time, duration, data in pieces(tmp_path / name, "subtitle") if len(data) > 2]
    spans = [(0, 0.1), (0.2, 0.1), (0.5, 0.1)]
    assert np.abs(np.array(texts, float) - spans).max() < 0.002
    assert [(float(start), float(end), title) for start, end, title in made.chapters] == [
        (0, pytest.approx(0.4), "two"),
        (pytest.approx(0.4), pytest.approx(0.6), "three"),
    ]


def test_without_a_part_packets_stay_as_they_are(make_video: MakeVideo) -> None:
    path = make_video(num_frames=50, subtitles=SUBTITLES)
    with av.open(str(path)) as container:
        wanted = [(p.stream.index, p.pts, p.dts, p.duration) for p in container.demux() if p.size and p.stream.index]
    with SourceStreams(path, plan_streams(path, path.with_name("out.mp4"))) as streams:
        seen = [(p.stream.index, p.pts, p.dts, p.duration) for p in streams._demux()]
    assert sorted(seen) == sorted(wanted) and len({index for index, *_ in seen}) == 2


def test_sound_after_the_part_is_not_read(make_video: MakeVideo) -> None:
    """The file is read for ten more seconds, as sound and subtitles of one time may lie apart."""
    path = make_video("in.mkv", num_frames=40, fps=Fraction(1), size=(16, 16))
    with SourceStreams(path, plan_streams(path, path), cut=Cut(None, Fraction(5))) as streams:
        assert max(packet.pts * packet.time_base for packet in streams._demux()) < 5
        left = [packet.pts * packet.time_base for packet in streams._input.demux() if packet.pts is not None]
    assert 15 < left[0] < 17 and left[-1] > 35


def test_sound_is_encoded_for_the_part_alone(make_video: MakeVideo, upscale: Any, sounds: Any, tmp_path: Path) -> None:
    path = make_video("in.mkv", num_frames=50, sound_codecs=("pcm_s16le",))
    upscale(path, tmp_path / "out.webm", excerpt=Excerpt.parse("0.8", "0.6"))
    (sound,) = sounds(tmp_path / "out.webm")
    assert abs(sound.seconds - Fraction(3, 5)) < Fraction(6, 100) and abs(sound.start) < Fraction(3, 100)


@pytest.mark.parametrize("part", [Excerpt.parse(duration="0.6"), Excerpt.parse(frames=15)])
def test_a_part_from_the_beginning_begins_as_the_whole(
    make_video: MakeVideo, upscale: Any, tmp_path: Path, part: Excerpt
) -> None:
    path = make_video(num_frames=50)
    upscale(path, tmp_path / "whole.mp4")
    upscale(path, tmp_path / "out.mp4", excerpt=part)
    whole, sound = pieces(tmp_path / "whole.mp4", "audio"), pieces(tmp_path / "out.mp4", "audio")
    assert sound[:-1] == whole[: len(sound) - 1] and whole[0][0] < 0
    assert sound[-1][0] < Fraction(3, 5) <= whole[len(sound)][0]


def test_a_part_up_to_the_end_has_all_that_follows(make_video: MakeVideo, upscale: Any, tmp_path: Path) -> None:
    path = make_video(num_frames=50)
    upscale(path, tmp_path / "out.mp4", excerpt=Excerpt.parse("1.2"))
    expected = [data for time, _, data in pieces(path, "audio") if time >= Fraction(6, 5)]
    assert [data for *_, data in pieces(tmp_path / "out.mp4", "audio")] == expected


def test_a_part_of_broadcast_begins_at_0(make_video: MakeVideo, upscale: Any, probe: Any, tmp_path: Path) -> None:
    options = {"output_ts_offset": "5"}
    path = make_video("in.ts", num_frames=50, video_codec="mpeg2video", sound_codecs=("mp2",), options=options)
    upscale(path, tmp_path / "out.mkv", excerpt=Excerpt.parse(1, frames=10))
    made = probe(tmp_path / "out.mkv")
    assert made.times[0] == 0 and len(made.times) == 10
    times = [time for time, _ in made.others[0].packets]
    assert 0 <= times[0] < Fraction(3, 100) and Fraction(35, 100) < times[-1] < Fraction(42, 100)
    assert all(later > earlier for earlier, later in pairwise(times))


def test_the_time_code_is_left_out(make_video: MakeVideo, upscale: Any, probe: Any, tmp_path: Path) -> None:
    path = make_video("in.mov", num_frames=25, metadata={"timecode": "01:00:00:00"}, sound_codecs=())
    part = Excerpt.parse("0.4")
    with VideoReader(path, excerpt=part) as reader:
        notes = check_output(tmp_path / "out.mov", reader.properties)
    assert any("the time code 01:00:00:00 is of its beginning, and is left out" in note for note in notes)
    upscale(path, tmp_path / "out.mov", excerpt=part)
    upscale(path, tmp_path / "whole.mov", excerpt=Excerpt.parse(duration=0.4))
    for name, has_code in (("out.mov", False), ("whole.mov", True)):
        with av.open(str(tmp_path / name)) as container:
            tags = [container.metadata, *(stream.metadata for stream in container.streams)]
        assert any("timecode" in names for names in tags) == has_code


def test_one_frame_of_a_video_as_an_image(make_video: MakeVideo, upscale: Any, read: Any, tmp_path: Path) -> None:
    path = make_video(num_frames=25)
    for name, part in (("in.mp4", Excerpt.parse("0.4", frames=1)), ("in.mp4", Excerpt.parse("0.4", "0.04"))):
        upscale(path.with_name(name), tmp_path / "out.png", parts=1, excerpt=part)
        expected = read(path)[10].repeat(4, 0).repeat(4, 1)
        assert np.abs(read(tmp_path / "out.png")[0] - expected).max() < 1 / 255
