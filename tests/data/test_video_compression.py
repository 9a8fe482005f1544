# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from moving_pattern import clip, rng
from torch import Tensor

from seeclear.data import H264Compression, VideoCompression, describe
from seeclear.data import video_compression as module
from seeclear.data.steps import to_images
from seeclear.data.video_compression import CODECS, available_codecs, transcode

FINE = {
    "h264": {"qp": "4", "bf": "2"},
    "hevc": {"x265-params": "qp=4", "bf": "2", "preset": "ultrafast"},
    "vp9": {"crf": "4", "b": "0"},
    "mpeg4": {"qmin": "2", "qmax": "2", "bf": "2"},
    "mpeg2": {"qmin": "2", "qmax": "2", "bf": "2"},
}
"""Options of hardly any loss."""
CODEC = pytest.mark.parametrize("codec", available_codecs())


def film(frames: int = 6) -> Tensor:
    """Without colour, of which 4:2:0 keeps a quarter at any quality."""
    return clip(frames)[:, :1].expand(-1, 3, -1, -1)


def error(one: Tensor, two: Tensor) -> float:
    return float((one - two).abs().mean())


def test_h264_is_always_there() -> None:
    assert "h264" in available_codecs() and set(available_codecs()) <= set(CODECS)


@CODEC
@pytest.mark.parametrize("size", [(1, 2), (7, 9), (17, 30), (63, 65)])
def test_any_size_keeps_the_frames_their_order_and_the_colour(codec: str, size: tuple[int, int]) -> None:
    """From 1 to 15 frames, each of a brightness of its own; also with B-frames, which are coded out of order."""
    for count in (1, 2, 7, 15):
        colour = torch.tensor([170, 60, 30]).view(1, 3, 1, 1) + 5 * torch.arange(count).view(-1, 1, 1, 1)
        frames = (colour / 255).expand(count, 3, *size)
        decoded = transcode(frames, codec, FINE[codec] | {"g": "250"})
        assert decoded.shape == frames.shape
        torch.testing.assert_close(decoded.mean(dim=(2, 3)), frames.mean(dim=(2, 3)), atol=4 / 255, rtol=0)


@CODEC
def test_odd_sides_are_cut_off_where_they_were_added(codec: str) -> None:
    frames = clip(3, 33, 47)
    assert error(transcode(frames, codec, FINE[codec]), frames) < 4 / 255


@CODEC
def test_the_same_options_give_the_same_frames(codec: str) -> None:
    """Also of rows that are no multiple of 16 blocks, which x264 for AVX-512 reads beyond."""
    frames = clip(4, 96, 320)
    seen = [transcode(frames, codec, {"g": "12"}, bits_per_pixel=0.3) for _ in range(3)]
    assert all(torch.equal(frames, seen[0]) for frames in seen)


@CODEC
def test_worse_quality_and_less_rate_lose_more(codec: str) -> None:
    grain = torch.randn(6, 1, 48, 64, generator=torch.Generator().manual_seed(0))
    frames = (film() + 0.05 * grain).clamp(0, 1)
    about = CODECS[codec]
    settings = []
    if about.crf is not None:
        low = {"b": "0"} if codec == "vp9" else {}
        settings.append([({"crf": f"{crf:.0f}"} | low, None) for crf in about.crf])
    if codec.startswith("mpeg"):
        settings.append([({"qmin": str(q), "qmax": str(q)}, None) for q in about.quantiser or ()])
    elif about.quantiser is not None:
        own = "x265-params" if codec == "hevc" else "qp"
        settings.append([({own: f"qp={q}" if codec == "hevc" else str(q)}, None) for q in about.quantiser])
    settings.append([({}, rate) for rate in reversed(about.bits_per_pixel)])
    for better, worse in settings:
        errors = [error(transcode(frames, codec, *values), frames) for values in (better, worse)]
        assert errors[0] < 0.9 * errors[1], (better, worse)


@CODEC
@pytest.mark.parametrize(("interval", "keys"), [(1, [0, 1, 2, 3, 4, 5, 6]), (3, [0, 3, 6]), (250, [0])])
def test_key_frames_come_as_often_as_asked_for(
    codec: str, interval: int, keys: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int] = []
    decode = module._decode

    def spy(packets: list, *rest: object) -> object:  # type: ignore[type-arg]
        found.extend(sorted(packet.pts for packet in packets if packet.is_keyframe))
        return decode(packets, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_decode", spy)
    transcode(clip(7), codec, {"g": str(interval)}, bits_per_pixel=1.0)
    assert found == keys


@pytest.mark.parametrize("codec", [codec for codec in ("h264", "hevc") if codec in available_codecs()])
def test_tools_that_an_encoder_may_leave_have_an_effect(codec: str) -> None:
    own = "x264-params" if codec == "h264" else "x265-params"
    base = {"qp": "36"} if codec == "h264" else {"x265-params": "qp=36"}
    tools = ["no-deblock=1", "deblock=-3,-3", "deblock=3,3"] + (["cqm=jvt"] if codec == "h264" else [])
    kinds = [transcode(clip(), codec, base | {"preset": "veryfast"})]
    for tool in tools:
        joined = f"{base[own]}:{tool}" if own in base else tool
        kinds.append(transcode(clip(), codec, base | {"preset": "veryfast", own: joined}))
    for i, one in enumerate(kinds):
        assert not any(torch.equal(one, other) for other in kinds[:i])


def test_artefacts_are_those_of_a_video() -> None:
    """Predicted frames repeat what the frame before has: the error of a still clip hardly changes from frame to frame,
    while its frames coded one by one (key frames only) are each as bad as the first."""
    grain = torch.randn(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    still = (clip(1) + 0.05 * grain).clamp(0, 1).expand(4, -1, -1, -1)
    decoded = H264Compression((36, 36), (250, 250))(still, rng())
    assert error(decoded[1:], decoded[:-1]) < 0.25 * error(decoded, still)


@CODEC
def test_a_lead_in_puts_the_key_frame_before_the_clip(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    coded: list[np.ndarray] = []
    encode = module._encode

    def spy(images: np.ndarray, *rest: object) -> object:
        coded.append(images)
        return encode(images, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_encode", spy)
    frames, order = clip(4, 64, 64), [2, 1, 0, 1, 2, 3]
    decoded = transcode(frames, codec, FINE[codec], lead_in=2)
    np.testing.assert_array_equal(coded[0], to_images(frames)[order])
    torch.testing.assert_close(decoded, transcode(frames[order], codec, FINE[codec])[2:], atol=0, rtol=0)
    transcode(frames, codec, FINE[codec], lead_in=9)
    assert len(coded[-1]) == 7  # the whole clip backwards is the longest
    assert transcode(frames[:1], codec, FINE[codec], lead_in=3).shape == (1, 3, 64, 64)


def test_h264_loses_more_the_lower_the_quality() -> None:
    errors = [error(H264Compression((q, q))(film(), rng()), film()) for q in (1, 25, 40)]
    assert errors == sorted(errors) and errors[0] < 1 / 255


def flat(*colour: int) -> Tensor:
    return (torch.tensor(colour).view(1, 3, 1, 1) / 255).expand(2, 3, 16, 16)


def test_matrix_and_range_that_are_undone_leave_the_colours() -> None:
    for matrix in ("bt601", "bt709"):
        for full in (False, True):
            frames = flat(200, 60, 30)
            decoded = transcode(frames, "h264", FINE["h264"], None, matrix, matrix, full)
            torch.testing.assert_close(decoded, frames, atol=3 / 255, rtol=0)
    ends = torch.cat([flat(0, 0, 0), flat(255, 255, 255)])
    for full in (False, True):
        decoded = transcode(ends, "h264", FINE["h264"], full_range=full)
        torch.testing.assert_close(decoded, ends, atol=2 / 255, rtol=0)


def test_another_matrix_shows_the_colours_worked_by_hand() -> None:
    """BT.709 in, BT.601 out: Y = 0.2126 R + 0.7152 G + 0.0722 B = 87.6, Cb = (B - Y) / 1.8556 = -31.1,
    Cr = (R - Y) / 1.5748 = 71.4; R = Y + 1.402 Cr, G = Y - 0.3441 Cb - 0.7141 Cr, B = Y + 1.772 Cb."""
    decoded = transcode(flat(200, 60, 30), "h264", FINE["h264"], None, "bt709", "bt601")
    torch.testing.assert_close(decoded, flat(188, 47, 33), atol=3 / 255, rtol=0)


def test_what_is_drawn() -> None:
    transform = VideoCompression()
    drawn = [transform.draw(rng(seed)) for seed in range(400)]
    assert Counter(map(len, drawn))[2] / 400 == pytest.approx(0.25, abs=0.06)
    steps = [step.keywords for clip_steps in drawn for step in clip_steps]
    codecs = Counter(keywords["codec"] for keywords in steps)
    assert codecs["h264"] / len(steps) == pytest.approx(0.6, abs=0.06) or len(available_codecs()) < 5
    assert set(codecs) == set(available_codecs())
    intervals = [int(keywords["options"]["g"]) for keywords in steps]
    assert min(intervals) == 1 and 200 < max(intervals) <= 250
    assert sum(keywords["bits_per_pixel"] is not None for keywords in steps) / len(steps) == pytest.approx(
        0.25, abs=0.06
    )
    assert all(0 <= keywords["lead_in"] < min(8, int(keywords["options"]["g"])) for keywords in steps)
    assert {keywords["lead_in"] for keywords in steps} == set(range(8))
    wrong = [keywords for keywords in steps if keywords["shown_matrix"] != keywords["matrix"]]
    assert 0.005 < len(wrong) / len(steps) < 0.07
    assert all((keywords["matrix"], keywords["shown_matrix"]) == ("bt709", "bt601") for keywords in wrong)
    assert not any(keywords["full_range"] for keywords in steps if keywords["codec"].startswith("mpeg"))
    for keywords in steps:  # each has a quality or a rate, and keeps it whatever tools are drawn
        options = keywords["options"]
        by_quality = bool({"crf", "qp", "qmin"} & set(options)) or "qp=" in options.get("x265-params", "")
        assert by_quality == (keywords["bits_per_pixel"] is None), keywords
    seen = {(keywords["codec"], name) for keywords in steps for name in keywords["options"]}
    assert {("h264", "crf"), ("h264", "qp"), ("h264", "bf"), ("h264", "preset"), ("h264", "x264-params")} <= seen
    assert json.loads(json.dumps(describe(drawn[0])))[0]["step"] == "transcode"


def test_all_that_is_drawn_runs_and_is_told_by_the_seed() -> None:
    for seed in range(30):
        one = VideoCompression()(clip(3, 33, 31), rng(seed))
        assert one.shape == (3, 3, 33, 31)
        if seed < 8:
            assert torch.equal(one, VideoCompression()(clip(3, 33, 31), rng(seed)))
    images = to_images(one)
    torch.testing.assert_close(one * 255, torch.from_numpy(images).permute(0, 3, 1, 2).float(), atol=1e-4, rtol=0)


def test_codecs_that_are_not_there_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "available_codecs", lambda: ("h264", "mpeg2"))
    drawn = {step.keywords["codec"] for seed in range(60) for step in VideoCompression().draw(rng(seed))}
    assert drawn == {"h264", "mpeg2"}
    with pytest.raises(ValueError, match="`shares` must name one of"):
        VideoCompression({"hevc": 1})


def test_codecs_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = {"vp9": CODECS["vp9"], "none": module.Codec("no_encoder", "no_decoder", {}, 2, None, None, (1, 2))}
    monkeypatch.setattr(module, "CODECS", absent)
    assert set(available_codecs.__wrapped__()) == set(available_codecs()) & {"vp9"}


def test_bad_arguments() -> None:
    for build, name in [
        (lambda: H264Compression((10, 60)), "crf"),
        (lambda: H264Compression((10, 20), (0, 9)), "keyframe_interval"),
        (lambda: transcode(clip(), "h263", {}), "codec"),
        (lambda: transcode(clip(), "h264", {}, matrix="bt2020"), "matrix"),
        (lambda: transcode(clip(), "h264", {}, shown_matrix="bt2020"), "shown_matrix"),
        (lambda: VideoCompression({"h263": 1}), "shares"),
        (lambda: VideoCompression({"h264": -1}), "shares"),
        (lambda: VideoCompression({}), "shares"),
        (lambda: VideoCompression(second_generation=2), "second_generation"),
        (lambda: VideoCompression(untagged=-1), "untagged"),
        (lambda: VideoCompression(keyframe_interval=(9, 3)), "keyframe_interval"),
    ]:
        with pytest.raises(ValueError, match=f"`{name}`"):
            build()


@pytest.mark.parametrize("size", [(9, 70), (36, 48), (63, 35), (64, 66)])
def test_no_encoder_gets_frames_that_are_too_small_for_it(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """x265 writes beyond its buffers where frames are smaller than its coding trees, which ends the process."""
    seen: list[tuple[int, ...]] = []
    encode = module._encode

    def note(images: Any, *others: Any) -> Any:
        seen.append(images.shape[1:3])
        return encode(images, *others)

    monkeypatch.setattr(module, "_encode", note)
    frames = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    assert transcode(frames, "hevc", {"preset": "ultrafast"}).shape == frames.shape
    (coded,) = seen
    assert min(coded) >= 64 and all(side >= n for side, n in zip(coded, size, strict=True))
