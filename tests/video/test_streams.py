# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Sound, data and covers of many kinds on their way into every container: as they are, coded anew, or left out."""

import os
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from seeclear.video import EncodeSettings, VideoReader, assemble, check_output
from seeclear.video.layouts import layout_of
from seeclear.video.planning import plan_streams
from seeclear.video.tracks import CopiedTrack

MakeVideo = Callable[..., Path]

FRAME = Fraction(1, 25)
TAGS_BY_FRAME_RATE = pytest.mark.skipif(
    tuple(int(part) for part in av.__version__.split(".")[:2]) < (18, 1),
    reason="PyAV before 18.1 does not tell FFmpeg the frame rate, without which it writes no time code",
)


def notes_of(source: Path, target: Path, settings: EncodeSettings | None = None) -> list[str]:
    with VideoReader(source) as reader:
        before = sorted(os.listdir(target.parent))
        notes = check_output(target, reader.properties, settings, (reader.height, reader.width))
    assert sorted(os.listdir(target.parent)) == before
    return notes


def assert_in_step(source: Path, target: Path, sounds: Any) -> None:
    """The same duration of sound, as far from the first picture, to a frame."""
    with VideoReader(source) as before, VideoReader(target) as after:
        starts = [reader.times()[0][0] * reader.properties.time_base for reader in (before, after)]
    for old, new in zip(sounds(source), sounds(target), strict=True):
        assert abs(old.seconds - new.seconds) <= FRAME
        assert abs((old.start - starts[0]) - (new.start - starts[1])) <= FRAME
        loudness = [np.sqrt(np.mean(np.square(sound.samples / full_scale(sound.samples)))) for sound in (old, new)]
        assert loudness[0] / 1.3 < loudness[1] < 1.3 * loudness[0]


def full_scale(samples: np.ndarray) -> float:
    return -float(np.iinfo(samples.dtype).min) if samples.dtype.kind == "i" else 1.0


# Sound that is copied


@pytest.mark.parametrize("target", ["out.mp4", "out.mov", "out.mkv"])
@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1"])
@pytest.mark.parametrize(
    ("name", "codec"),
    [("in.avi", "pcm_s16le"), ("in.mkv", "pcm_s24le"), ("in.mov", "pcm_s16be"), ("in.mkv", "pcm_f32le")],
)
def test_samples_as_they_are(
    make_video: MakeVideo, upscale: Any, sounds: Any, tmp_path: Path, name: str, codec: str, layout: str, target: str
) -> None:
    source = make_video(name, video_codec="mpeg4", sound_codecs=(codec,), layout=layout)
    assert notes_of(source, tmp_path / target) == []
    upscale(source, tmp_path / target, scale=1)
    ((old,), (new,)) = sounds(source), sounds(tmp_path / target)
    assert old.samples.dtype == new.samples.dtype and np.array_equal(old.samples, new.samples)
    assert_in_step(source, tmp_path / target, sounds)


def test_channels_of_which_nobody_says_where_they_stand(
    make_video: MakeVideo, upscale: Any, sounds: Any, tmp_path: Path
) -> None:
    """AVI names no layout for two channels. MP4 must, and says so when its end is written."""
    source = make_video(
        "in.avi", video_codec="mjpeg", pixel_format="yuvj420p", sound_codecs=("pcm_s16le",), layout="stereo"
    )
    data = source.read_bytes()
    place = data.index(b"strf", data.index(b"auds")) + 8
    with av.open(str(source)) as container:
        if layout_of(container.streams.audio[0]) == "named":  # a mask of speakers, which is taken away
            assert data[place : place + 2] == b"\xfe\xff"
            source.write_bytes(data[: place + 20] + bytes(4) + data[place + 24 :])
    with av.open(str(source)) as container:
        assert layout_of(container.streams.audio[0]) == "unnamed"
    assert notes_of(source, tmp_path / "out.mp4") == []
    upscale(source, tmp_path / "out.mp4", scale=1)
    np.testing.assert_array_equal(sounds(tmp_path / "out.mp4")[0].samples, sounds(source)[0].samples)


def test_channels_in_an_order_of_their_own(make_video: MakeVideo, upscale: Any, tmp_path: Path) -> None:
    """PyAV crashes when it decodes them: they are copied, and not coded anew."""
    source = make_video("in.mov", sound_codecs=("pcm_s16le",), layout="7.1")
    data = source.read_bytes()
    by_mask, by_tag = bytes.fromhex("00010000 0000063f"), bytes.fromhex("00800008 00000000")
    assert data.count(b"chan\0\0\0\0" + by_mask) == 1
    source.write_bytes(data.replace(by_mask, by_tag))
    with av.open(str(source)) as container:
        assert layout_of(container.streams.audio[0]) == "own"
    for target in ("out.mp4", "out.mov", "out.mkv"):
        assert notes_of(source, tmp_path / target) == []
        upscale(source, tmp_path / target, scale=1)
        contents = []
        for path in (source, tmp_path / target):
            with av.open(str(path)) as container:
                contents.append(b"".join(bytes(packet) for packet in container.demux(audio=0)))
        assert contents[0] == contents[1]
    with pytest.raises(
        ValueError, match=r'out\.webm: .* sound #1 \(pcm_s16le\) .* cannot be coded anew; `audio` "none"'
    ):
        notes_of(source, tmp_path / "out.webm")


COPIED: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    # name: (source, how it is made, targets that hold its sound as it is)
    "AC-3 of a broadcast": ("in.ts", {"video_codec": "mpeg2video", "sound_codecs": ("ac3",)}, ("mp4", "mov", "mkv")),
    "E-AC-3": ("in.mkv", {"sound_codecs": ("eac3",)}, ("mp4", "mov", "mkv")),
    "AAC of a broadcast": ("in.ts", {"sound_codecs": ("aac",)}, ("mp4", "mov", "mkv")),
    "AAC of MP4, with a delay": ("in.mp4", {"sound_codecs": ("aac",)}, ("mp4", "mov", "mkv")),
    "MP3 of AVI": ("in.avi", {"video_codec": "mpeg4", "sound_codecs": ("mp3",)}, ("mp4", "mov", "mkv")),
    "MP3 of MP4, with a delay": ("in.mp4", {"sound_codecs": ("mp3",)}, ("mp4", "mov", "mkv")),
    "MP2 of MPEG-2": ("in.vob", {"video_codec": "mpeg2video", "sound_codecs": ("mp2",)}, ("mov", "mkv")),
    "Opus of MP4": ("in.mp4", {"sound_codecs": ("libopus",)}, ("mp4", "mkv", "webm")),
    "Opus of a broadcast": ("in.ts", {"sound_codecs": ("libopus",)}, ("mp4", "mkv", "webm")),
    "FLAC": ("in.mkv", {"sound_codecs": ("flac",)}, ("mp4", "mkv")),
    "ALAC of Matroska, whose packets have no duration": ("in.mkv", {"sound_codecs": ("alac",)}, ("mp4", "mov", "mkv")),
    "WMA 2": ("in.wmv", {"video_codec": "wmv2", "sound_codecs": ("wmav2",)}, ("mkv",)),
    "WMA 1": ("in.asf", {"video_codec": "wmv2", "sound_codecs": ("wmav1",)}, ("mkv",)),
    "ADPCM of Microsoft": ("in.avi", {"video_codec": "mpeg4", "sound_codecs": ("adpcm_ms",)}, ("mkv",)),
    "ADPCM of IMA": ("in.avi", {"video_codec": "mpeg4", "sound_codecs": ("adpcm_ima_wav",)}, ("mkv",)),
    "ADPCM of Yamaha": ("in.avi", {"video_codec": "mpeg4", "sound_codecs": ("adpcm_yamaha",)}, ("mov", "mkv")),
    "ADPCM of QuickTime": ("in.mov", {"sound_codecs": ("adpcm_ima_qt",)}, ("mov",)),
    "A-law": ("in.avi", {"video_codec": "mpeg4", "sound_codecs": ("pcm_alaw",)}, ("mov", "mkv")),
    "mu-law of QuickTime": ("in.mov", {"sound_codecs": ("pcm_mulaw",)}, ("mov", "mkv")),
}


@pytest.mark.parametrize("kind", COPIED)
def test_sound_is_the_same_where_it_is_copied(
    make_video: MakeVideo, upscale: Any, sounds: Any, tmp_path: Path, kind: str
) -> None:
    name, making, targets = COPIED[kind]
    source = make_video(name, num_frames=10, layout="stereo", **making)
    assert source.stat().st_size < 200_000
    for suffix in targets:
        target = tmp_path / f"out.{suffix}"
        assert [note for note in notes_of(source, target) if "sound" in note] == []
        upscale(source, target, EncodeSettings(preset="8" if suffix == "webm" else "ultrafast"), scale=1)
        ((old,), (new,)) = sounds(source), sounds(target)
        assert old.codec == new.codec
        if kind == "Opus of a broadcast" and suffix == "mp4":  # MP4 cannot say that its end is not to be played
            new.samples = new.samples[: len(old.samples)]
        np.testing.assert_array_equal(new.samples, old.samples)
        assert_in_step(source, target, sounds)


# Sound that is coded anew


CODED: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    # name: (source, how it is made, codec by the ending of the target)
    "WMA": (
        "in.wmv",
        {"video_codec": "wmv2", "sound_codecs": ("wmav2",)},
        {"mp4": "aac", "mov": "aac", "webm": "opus"},
    ),
    "ADPCM": ("in.avi", {"video_codec": "mpeg4", "sound_codecs": ("adpcm_ms",)}, {"mp4": "aac", "mov": "aac"}),
    "ADPCM of QuickTime": ("in.mov", {"sound_codecs": ("adpcm_ima_qt",)}, {"mp4": "aac", "mkv": "aac"}),
    "ADPCM of Flash": (
        "in.flv",
        {"video_codec": "flv", "sound_codecs": ("adpcm_swf",), "rate": 44100},
        {"mp4": "aac", "webm": "opus"},
    ),
    "LATM": (
        "in.ts",
        {"video_codec": "mpeg2video", "options": {"mpegts_flags": "latm"}},
        {"mp4": "aac", "mov": "aac", "mkv": "aac"},
    ),
    "samples of a DVD": (
        "in.vob",
        {"video_codec": "mpeg2video", "sound_codecs": ("pcm_dvd",), "container_format": "vob"},
        {"mp4": "flac", "mov": "pcm_s16le", "mkv": "pcm_s16le"},
    ),
    "samples of a Blu-ray": (
        "in.m2ts",
        {"video_codec": "mpeg2video", "sound_codecs": ("pcm_bluray",)},
        {"mp4": "flac", "mov": "pcm_s16le", "mkv": "pcm_s16le"},
    ),
    "A-law": ("in.avi", {"video_codec": "mpeg4", "sound_codecs": ("pcm_alaw",)}, {"mp4": "flac"}),
    "FLAC": ("in.mkv", {"sound_codecs": ("flac",)}, {"mov": "pcm_s16le", "webm": "opus"}),
    "samples of 24 bits": ("in.mkv", {"sound_codecs": ("pcm_s24le",)}, {"webm": "opus"}),
    "Opus": ("in.mkv", {"sound_codecs": ("libopus",)}, {"mov": "aac"}),
    "AAC to WebM": ("in.mp4", {"sound_codecs": ("aac",)}, {"webm": "opus"}),
}


@pytest.mark.parametrize("kind", CODED)
def test_sound_that_a_container_cannot_hold(
    make_video: MakeVideo, upscale: Any, sounds: Any, tmp_path: Path, kind: str
) -> None:
    name, making, codecs = CODED[kind]
    layout = "mono" if kind == "LATM" else "stereo"
    source = make_video(name, num_frames=15, layout=layout, **making)
    assert source.stat().st_size < 200_000
    for suffix, codec in codecs.items():
        target = tmp_path / f"out.{suffix}"
        (note,) = notes_of(source, target)
        names = {"aac": "AAC", "opus": "Opus", "flac": "FLAC"}
        assert re.search(rf"the sound #\d .* is coded anew \({names.get(codec, 'PCM')}\), as a \.{suffix} file", note)
        upscale(source, target, EncodeSettings(preset="8" if suffix == "webm" else "ultrafast"), scale=1)
        ((old,), (new,)) = sounds(source), sounds(target)
        assert new.codec == codec
        if codec not in names or codec == "flac":
            np.testing.assert_array_equal(new.samples, old.samples)
        assert_in_step(source, target, sounds)


def test_the_note_says_what_could_hold_it(make_video: MakeVideo, tmp_path: Path) -> None:
    source = make_video("in.wmv", video_codec="wmv2", sound_codecs=("wmav2",), layout="stereo")
    (note,) = notes_of(source, tmp_path / "out.mp4")
    target = tmp_path / "out.mp4"
    reason = "as a .mp4 file cannot hold it as it is; .mkv can."
    assert note == f"{target}: the sound #1 (wmav2) of {source} is coded anew (AAC), {reason}"


@pytest.mark.parametrize("target", ["out.mp4", "out.mkv", "out.webm"])
def test_all_sound_coded_anew_or_left_out(
    make_video: MakeVideo, upscale: Any, sounds: Any, tmp_path: Path, target: str
) -> None:
    source = make_video("in.mkv", num_frames=20, sound_codecs=("libopus", "flac"), sound_tags=({"language": "deu"},))
    assert notes_of(source, tmp_path / target, EncodeSettings(audio="encode")) == []
    upscale(source, tmp_path / target, EncodeSettings(audio="encode"), scale=1)
    assert [sound.codec for sound in sounds(tmp_path / target)] == ["opus" if target == "out.webm" else "aac"] * 2
    assert_in_step(source, tmp_path / target, sounds)
    with av.open(str(tmp_path / target)) as container:
        assert container.streams.audio[0].metadata["language"] == "deu"
    assert notes_of(source, tmp_path / target, EncodeSettings(audio="none")) == []
    upscale(source, tmp_path / target, EncodeSettings(audio="none"), scale=1)
    with av.open(str(tmp_path / target)) as container:
        assert len(container.streams.audio) == 0 and len(container.streams.video) == 1


def test_what_audio_may_be(make_video: MakeVideo, tmp_path: Path) -> None:
    source = make_video("in.mp4")
    with pytest.raises(ValueError, match="`audio` must be one of copy, encode, none, but was 'loud'"):
        notes_of(source, tmp_path / "out.mp4", EncodeSettings(audio="loud"))


def test_a_gap_in_sound_that_is_coded_anew_is_silent(
    make_video: MakeVideo, upscale: Any, sounds: Any, tmp_path: Path
) -> None:
    """0.3 s of packets are missing: what follows is heard when it was."""
    whole = make_video("whole.mkv", num_frames=30, sound_codecs=("libopus",))
    source = tmp_path / "in.mkv"
    with av.open(str(whole)) as template, av.open(str(source), "w") as output:
        copies = [output.add_stream_from_template(stream) for stream in template.streams]
        for packet in template.demux():
            if packet.size and not (packet.stream.type == "audio" and 400 <= packet.pts < 700):
                packet.stream = copies[packet.stream.index]
                output.mux(packet)
    upscale(source, tmp_path / "out.mp4", EncodeSettings(audio="encode"), scale=1)
    (sound,) = sounds(tmp_path / "out.mp4")
    steps = len(sound.samples) // 480  # of 10 ms
    loud = np.abs(sound.samples[: 480 * steps, 0]).reshape(-1, 480).max(axis=1) > 0.05
    assert loud[10:38].all() and not loud[44:68].any() and loud[74:115].all()
    assert abs(sound.seconds - Fraction(12, 10)) <= FRAME


@pytest.mark.parametrize("target", ["out.mp4", "out.mkv"])
def test_sound_whose_form_changes(
    make_video: MakeVideo, upscale: Any, sounds: Any, tmp_path: Path, target: str
) -> None:
    """A broadcast changes from mono of 44.1 kHz to stereo of 48 kHz: no container has both in one stream."""
    pieces = [
        make_video(f"{index}.ts", num_frames=15, layout=layout, rate=rate)
        for index, (layout, rate) in enumerate([("mono", 44100), ("stereo", 48000)])
    ]
    source = tmp_path / "in.ts"
    source.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    (note,) = notes_of(source, tmp_path / target)
    assert "is coded anew (AAC)" in note
    upscale(source, tmp_path / target, scale=1)
    (sound,) = sounds(tmp_path / target)
    assert sound.rate == 44100 and abs(sound.seconds - sum(sounds(piece)[0].seconds for piece in pieces)) <= FRAME


# Sound that is not there, or not whole


@pytest.mark.parametrize(
    ("name", "making"),
    [
        ("in.ts", {"video_codec": "mpeg2video"}),
        ("in.mkv", {"sound_codecs": ("ac3",)}),
        ("in.avi", {"video_codec": "mpeg4", "sound_codecs": ("mp3",)}),
    ],
)
def test_sound_without_packets(
    make_video: MakeVideo, upscale: Any, tmp_path: Path, name: str, making: dict[str, Any]
) -> None:
    source = tmp_path / name
    codec = making.get("sound_codecs", ("aac",))[0]
    with av.open(str(source), "w") as container:
        video = container.add_stream(making.get("video_codec", "libx264"), rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        container.add_stream(codec, rate=48000, layout="stereo")
        for index in range(6):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 30 * index, np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    for target in ("out.mp4", "out.mkv"):
        (note,) = notes_of(source, tmp_path / target)
        assert "has no packets and is left out" in note
        upscale(source, tmp_path / target, scale=1)
        with av.open(str(tmp_path / target)) as container:
            assert len(container.streams.audio) == 0


@pytest.mark.parametrize("cut", [30, 100, 700])
@pytest.mark.parametrize(
    ("name", "making"),
    [
        ("in.ts", {"sound_codecs": ("aac",)}),
        ("in.ts", {"video_codec": "mpeg2video", "sound_codecs": ("ac3",)}),
        ("in.ts", {"video_codec": "mpeg2video", "sound_codecs": ("mp2",)}),
        ("in.flv", {"sound_codecs": ("aac",)}),
    ],
)
def test_recordings_that_stop_in_the_middle_of_a_sound(
    make_video: MakeVideo, upscale: Any, sounds: Any, tmp_path: Path, name: str, making: dict[str, Any], cut: int
) -> None:
    whole = make_video(f"whole{Path(name).suffix}", num_frames=30, layout="stereo", **making)
    source = tmp_path / name
    source.write_bytes(whole.read_bytes()[:-cut])
    with VideoReader(source) as reader:
        reader.times()
        notes = reader.notes
    if name == "in.flv" or "ac3" not in making["sound_codecs"]:
        assert all(re.search(r"\d damaged packets? of the sound #1 (is|are) left out", note) for note in notes)
    upscale(source, tmp_path / "out.mp4", scale=1)
    upscale(source, tmp_path / "out.mkv", scale=1)  # and again
    before, after = sounds(whole)[0], sounds(tmp_path / "out.mkv")[0]
    same = min(len(before.samples), len(after.samples)) - 2048
    assert abs(before.seconds - after.seconds) < Fraction(1, 4) and same > 0.7 * len(before.samples)
    np.testing.assert_array_equal(after.samples[:same], before.samples[:same])


def test_lost_packets_of_a_broadcast(make_video: MakeVideo, upscale: Any, sounds: Any, tmp_path: Path) -> None:
    """Three of 188 bytes are lost, each out of a piece of sound. What was stored with them and is whole is kept."""
    whole = make_video("whole.ts", num_frames=40, layout="stereo")
    data = whole.read_bytes()
    packets = [data[place : place + 188] for place in range(0, len(data), 188)]
    sound = [index for index, packet in enumerate(packets) if (packet[1] & 31) << 8 | packet[2] == 0x101]
    continued = [index for index in sound if not packets[index][1] & 64]
    lost = continued[len(continued) // 2 :][:3]
    source = tmp_path / "in.ts"
    source.write_bytes(b"".join(packet for index, packet in enumerate(packets) if index not in lost))
    with VideoReader(source) as reader:
        assert len(reader.times()) == 40
        (note,) = reader.notes
    count = int(re.search(r"(\d+) damaged packets? of the sound #1", note)[1])
    assert 0 < count <= 4
    upscale(source, tmp_path / "out.mkv", scale=1)
    with av.open(str(whole)) as before, av.open(str(tmp_path / "out.mkv")) as after:
        numbers = [sum(packet.size > 0 for packet in container.demux(audio=0)) for container in (before, after)]
    assert numbers[0] - 6 <= numbers[1] < numbers[0]
    assert abs(sounds(whole)[0].seconds - sounds(tmp_path / "out.mkv")[0].seconds) < Fraction(1, 5)


# Time codes, data and covers


@TAGS_BY_FRAME_RATE
@pytest.mark.parametrize(
    ("name", "making"),
    [
        ("in.mov", {"video_codec": "mpeg4", "stream_tags": {"timecode": "01:00:00:00"}}),
        ("in.mp4", {"stream_tags": {"timecode": "10:11:12:13"}}),
        ("in.mov", {"fps": Fraction(30000, 1001), "stream_tags": {"timecode": "01:00:00;02"}}),
        (
            "in.mxf",
            {"video_codec": "mpeg2video", "sound_codecs": ("pcm_s16le",), "metadata": {"timecode": "02:00:00:00"}},
        ),
        ("in.mkv", {"stream_tags": {"timecode": "03:00:00:00"}}),
    ],
)
def test_time_codes(make_video: MakeVideo, upscale: Any, tmp_path: Path, name: str, making: dict[str, Any]) -> None:
    source = make_video(name, size=(48, 64), **making)
    code = (making.get("stream_tags") or making["metadata"])["timecode"]
    for target in ("out.mov", "out.mp4", "out.mkv"):
        assert notes_of(source, tmp_path / target) == []
        upscale(source, tmp_path / target, scale=1)
        with av.open(str(tmp_path / target)) as container:
            tags = {key.lower(): value for key, value in container.streams.video[0].metadata.items()}
            assert tags["timecode"] == code
            tracks = [stream for stream in container.streams if stream.type == "data"]
            assert [track.metadata["timecode"] for track in tracks] == ([] if target == "out.mkv" else [code])


def test_a_time_code_that_cannot_be_kept(make_video: MakeVideo, tmp_path: Path) -> None:
    """Frames are dropped from the count of 30000/1001 per second, not from that of 25."""
    source = make_video("in.mkv", stream_tags={"timecode": "03:00:00;00"})
    assert notes_of(source, tmp_path / "out.mkv") == []
    (note,) = notes_of(source, tmp_path / "out.mp4")
    assert f"the time code 03:00:00;00 of {source} cannot be kept" in note


@pytest.fixture
def make_data(make_video: MakeVideo, tmp_path: Path) -> Callable[[str, bytes], Path]:
    """A track of texts of MP4 that says it is one of data of this kind."""

    def make(name: str, kind: bytes) -> Path:
        source = make_video("texts.mp4", subtitles=[(40, 120, "Hello"), (150, 200, "and good bye")])
        data = source.read_bytes()
        assert data.count(b"tx3g") == data.count(b"sbtl") == 1
        (tmp_path / name).write_bytes(data.replace(b"tx3g", kind).replace(b"sbtl", b"meta"))
        return tmp_path / name

    return make


def test_the_track_of_a_camera(make_data: Callable[[str, bytes], Path], upscale: Any, tmp_path: Path) -> None:
    source = make_data("in.mp4", b"gpmd")
    for target in ("out.mp4", "out.mov"):
        assert notes_of(source, tmp_path / target) == []
        upscale(source, tmp_path / target, scale=1)
        contents = []
        for path in (source, tmp_path / target):
            with av.open(str(path)) as container:
                contents.append([(packet.pts, bytes(packet)) for packet in container.demux(data=0) if packet.size])
        assert contents[0] == contents[1] and len(contents[0]) > 1
    (note,) = notes_of(source, tmp_path / "out.mkv")
    assert f"the data stream #2 (bin_data, fra) of {source} is left out" in note


@pytest.mark.parametrize("kind", [b"mebx", b"camm"])
def test_tracks_of_which_ffmpeg_knows_nothing(
    make_data: Callable[[str, bytes], Path], upscale: Any, tmp_path: Path, kind: bytes
) -> None:
    """It writes them without saying what they are: no player could tell."""
    source = make_data("in.mov", kind)
    for target in ("out.mov", "out.mp4", "out.mkv"):
        (note,) = notes_of(source, tmp_path / target)
        assert f"the data stream #2 (fra) of {source} is left out" in note
        upscale(source, tmp_path / target, scale=1)
        with av.open(str(tmp_path / target)) as container:
            assert [stream.type for stream in container.streams] == ["video", "audio"]


@pytest.mark.parametrize("codec", ["klv", "scte_35", "timed_id3"])
def test_data_of_a_broadcast(upscale: Any, tmp_path: Path, codec: str) -> None:
    source = tmp_path / "in.ts"
    with av.open(str(source), "w") as container:
        video, data = container.add_stream("mpeg2video", rate=25), container.add_data_stream(codec)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for index in range(6):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 30 * index, np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(video.encode(frame))
            packet = av.Packet(b"\x06\x0e\x2b\x34" + bytes(20))
            packet.pts = packet.dts = index * 3600
            packet.time_base, packet.stream = Fraction(1, 90000), data
            container.mux(packet)
        container.mux(video.encode(None))
    for target in ("out.mp4", "out.mkv"):
        (note,) = notes_of(source, tmp_path / target)
        assert "the data stream #1" in note and "is left out" in note
        written, _ = upscale(source, tmp_path / target, scale=1)
        assert len(written) == 6


def test_chapters_that_begin_before_the_pictures(
    make_video: MakeVideo, probe: Any, upscale: Any, tmp_path: Path
) -> None:
    """The clock of the file says 500 s where its first chapter begins at 499 s: Matroska refuses times below 0."""
    source = make_video(
        "in.mkv",
        options={"output_ts_offset": "500"},
        chapters=[(499_000, 500_100, "One"), (500_100, 500_280, "Two"), (100, 200, "Before")],
    )
    upscale(source, tmp_path / "out.mkv", scale=1)
    chapters = probe(tmp_path / "out.mkv").chapters
    assert [name for _, _, name in chapters][:2] == ["One", "Two"]
    assert all(0 <= start <= end <= 1 for start, end, _ in chapters)


@pytest.mark.parametrize("codec", ["mjpeg", "png"])
@pytest.mark.parametrize("name", ["in.mp4", "in.mkv"])
def test_covers(make_video: MakeVideo, upscale: Any, tmp_path: Path, name: str, codec: str) -> None:
    plain, source = make_video(f"plain{Path(name).suffix}", sound_codecs=("aac",)), tmp_path / name
    encoder = av.CodecContext.create(codec, "w")
    encoder.width = encoder.height = 32
    encoder.pix_fmt, encoder.time_base = "yuvj420p" if codec == "mjpeg" else "rgb24", Fraction(1, 25)
    pixels = np.full((32, 32, 3), 90, np.uint8)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=encoder.pix_fmt)
    frame.pts = 0
    picture = b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
    with av.open(str(plain)) as template, av.open(str(source), "w") as output:
        copies = [output.add_stream_from_template(stream, opaque=True) for stream in template.streams]
        if name == "in.mkv":
            kind = "image/png" if codec == "png" else "image/jpeg"
            output.add_attachment("front.png" if codec == "png" else "front.jpg", kind, picture)
        else:
            cover = output.add_stream(codec, rate=25)
            cover.width, cover.height, cover.pix_fmt, cover.disposition = 32, 32, encoder.pix_fmt, 1 << 10
        output.start_encoding()
        for packet in template.demux():
            if packet.size:
                packet.stream = copies[packet.stream.index]
                output.mux(packet)
        if name == "in.mp4":
            packet = av.Packet(picture)
            packet.pts = packet.dts = 0
            packet.time_base, packet.stream = Fraction(1, 25), cover
            output.mux(packet)
    assert covers_of(source) == [picture]
    for target in ("out.mp4", "out.mkv"):
        assert notes_of(source, tmp_path / target) == []
        written, _ = upscale(source, tmp_path / target, scale=1)
        assert len(written) == 7 and covers_of(tmp_path / target) == [picture]
        first = (tmp_path / target).read_bytes()
        upscale(source, tmp_path / target, scale=1)
        assert (tmp_path / target).read_bytes() == first
    for target in ("out.mov", "out.webm"):
        assert any("the cover image #2" in note and "left out" in note for note in notes_of(source, tmp_path / target))


def covers_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        covers = [stream for stream in container.streams.video if stream.disposition.value & 1 << 10]
        return [bytes(packet) for packet in container.demux(covers) if packet.size] if covers else []


# What is refused


def test_what_a_container_refuses_at_its_end_is_known_before_any_work(
    make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each stream alone all is well; together they are refused when the end is written."""
    source = make_video("in.mkv", sound_codecs=("aac", "flac"))
    ends: list[int] = []
    write = CopiedTrack.packets

    def packets(track: CopiedTrack, packet: av.Packet | None) -> Any:
        if packet is None and track.index == 2 and len(ends) > 3:
            raise av.error.InvalidDataError(1, "no such sound")
        ends.extend([track.index] if packet is None else [])
        return write(track, packet)

    monkeypatch.setattr(CopiedTrack, "packets", packets)
    with pytest.raises(ValueError, match=r"out\.mp4: a \.mp4 file cannot hold the stream #2 of .* \(no such sound\)"):
        notes_of(source, tmp_path / "out.mp4")
        notes_of(source, tmp_path / "out.mp4")
    assert os.listdir(tmp_path) == ["in.mkv"]


def test_a_stream_that_fails_at_the_end_is_left_out(
    make_video: MakeVideo, upscale: Any, sounds: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_video("in.mkv", sound_codecs=("aac", "flac"))
    written, properties = upscale(source, tmp_path / "out.mp4", scale=1)
    whole = (tmp_path / "out.mp4").read_bytes()
    write = CopiedTrack.packets

    def packets(track: CopiedTrack, packet: av.Packet | None) -> Any:
        if (
            packet is None and track.index == 1 and track._order._last > 10_000
        ):  # not in the trial of the first packets
            raise av.error.InvalidDataError(1, "no such sound")
        return write(track, packet)

    monkeypatch.setattr(CopiedTrack, "packets", packets)
    with VideoReader(source) as reader:
        times = reader.times()
    from seeclear.video import encode_part

    encode_part(tmp_path / "part", [(frame, None) for frame in written], properties)
    (note,) = assemble([tmp_path / "part"], times, tmp_path / "out.mp4", source, properties)
    assert note == (
        f"{tmp_path / 'out.mp4'}: the stream #1 of {source} is left out, it cannot be written (no such sound)."
    )
    assert [sound.codec for sound in sounds(tmp_path / "out.mp4")] == ["flac"]
    assert (tmp_path / "out.mp4").read_bytes() != whole


def test_plan_of_every_stream(make_video: MakeVideo, tmp_path: Path) -> None:
    source = make_video(
        "in.mkv", sound_codecs=("flac", "libopus"), subtitles=[(40, 120, "Hello")], attachment=b"letters"
    )
    with av.open(str(source)) as container:
        kinds = {stream.type: stream.index for stream in container.streams}
    plan = plan_streams(source, tmp_path / "out.mkv")
    assert plan.indices == [1, 2, kinds["subtitle"], kinds["attachment"]] and not plan.encoded
    plan = plan_streams(source, tmp_path / "out.mov")
    assert plan.encoded == ((1, "pcm_s16le"), (2, "aac")) and plan.copied == () and len(plan.refused) == 1
    plan = plan_streams(source, tmp_path / "out.webm", "none")
    assert plan.indices == [] and len(plan.refused) == 1
