# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""`segment_video` and its command, most of it with a stand-in for the distiller that sees red, green and blue."""

import json
import os
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from torch import Tensor
from typer.testing import CliRunner

from seeclear import SemanticDistiller, __version__
from seeclear.app import cli
from seeclear.app.segment import video as segment
from seeclear.app.segment.clips import SegmentedClip, segment_clips
from seeclear.app.segment.drawing import draw_clip
from seeclear.app.segment.mask_refinement import distill_refined
from seeclear.app.segment.overlay import OPACITY, colour_of
from seeclear.app.segment.video import segment_video
from seeclear.video import VideoReader

HEIGHT, WIDTH = 24, 32
COLOURS = ("red", "green", "blue")


class SeesColours:
    """Stands in for a distiller. Frame-wise tokens: blue, red, green, and red once more with a lower score; clip-wise
    tokens: one for each colour and one for the rest, every time in another order.
    """

    device, dtype = torch.device("cpu"), torch.float32
    config = SimpleNamespace(vocabulary=COLOURS)

    def __init__(self) -> None:
        self.clips = 0

    def __call__(self, low_res: Tensor) -> SimpleNamespace:
        assert low_res.ndim == 5 and low_res.min() >= -1 and low_res.max() <= 1
        pixels = low_res[0, :, :, ::2, ::2]  # (F, 3, h, w)
        inside = 20 * pixels  # bright in its channel, dark elsewhere
        rest = -20 * pixels.amax(dim=1, keepdim=True)
        all_masks = torch.cat([inside, rest], dim=1)
        present = (all_masks > 0).flatten(2).any(dim=2)
        chosen = [2, 0, 1, 0]
        order = torch.arange(4).roll(self.clips)
        self.clips += 1
        scores = torch.tensor([0.95, 0.9, 0.8, 0.7]) * present[:, chosen]
        return SimpleNamespace(
            tokens=torch.eye(4)[chosen].expand(1, len(pixels), 4, 4),
            scores=scores[None],
            labels=torch.tensor(chosen).expand(1, len(pixels), 4),
            masks=all_masks[None, :, chosen],
            clip_tokens=torch.eye(4)[order][None],
            clip_masks=all_masks[None][:, :, order],
        )


@pytest.fixture(autouse=True)
def stand_in_has_its_own_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    def distill(distiller: SeesColours | SemanticDistiller, low_res: Tensor) -> SimpleNamespace:
        return distiller(low_res) if isinstance(distiller, SeesColours) else distill_refined(distiller, low_res)

    monkeypatch.setattr("seeclear.app.segment.clips.distill_refined", distill)


def make_frames(num_frames: int) -> np.ndarray:
    """Red goes to the right and blue to the left, above each other; green is there in frames 6 and later."""
    frames = np.zeros((num_frames, HEIGHT, WIDTH, 3), np.uint8)
    for i, frame in enumerate(frames):
        frame[2:10, i : i + 8, 0] = 255
        frame[12:22, WIDTH - 10 - i : WIDTH - i, 2] = 255
        if i >= 6:
            frame[12:22, 0:6, 1] = 255
    return frames


def make_video(path: Path, num_frames: int = 11) -> Path:
    """With AAC sound."""
    rate = Fraction(30000, 1001)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=rate, options={"crf": "4"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = container.add_stream("aac", rate=48000, layout="mono")
        for index, pixels in enumerate(make_frames(num_frames)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, 1 / rate
            container.mux(video.encode(frame))
            block = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            block.sample_rate, block.pts, block.time_base = 48000, 1024 * index, Fraction(1, 48000)
            container.mux(sound.encode(block))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    return path


def make_folder(path: Path, num_frames: int = 11) -> Path:
    path.mkdir()
    for i, frame in enumerate(make_frames(num_frames)):
        Image.fromarray(frame).save(path / f"f{i}.png")
    return path


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipeline that is loaded has clips of 5 frames and the stand-in."""

    def load(name: str, device: torch.device, dtype: torch.dtype) -> tuple[SimpleNamespace, Path]:
        if name != "seeclear-tiny":
            raise ValueError(f"`model` is {name!r}, which is\nneither a folder nor a shipped model.")
        return SimpleNamespace(semantic_distiller=SeesColours(), config=SimpleNamespace(clip_length=5)), Path()

    monkeypatch.setattr(segment, "load_model", load)


def run(*arguments: object) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of `seeclear segment`."""
    result = CliRunner().invoke(cli.app, ["segment", *(str(argument) for argument in arguments)])
    return result.exit_code, result.stdout, result.stderr


# Clips and identities


@pytest.mark.parametrize(
    ("num_frames", "clip_length", "expected"),
    [
        (0, 5, []),
        (3, 5, [(0, 3, 3)]),
        (5, 5, [(0, 5, 5)]),
        (6, 5, [(0, 5, 5), (1, 5, 1)]),
        (9, 5, [(0, 5, 5), (4, 5, 4)]),
        (11, 5, [(0, 5, 5), (4, 5, 4), (6, 5, 2)]),
        (4, 2, [(0, 2, 2), (1, 2, 1), (2, 2, 1)]),
        (3, 1, [(0, 1, 1), (1, 1, 1), (2, 1, 1)]),
    ],
)
def test_clips_share_a_frame_and_give_every_frame_once(
    num_frames: int, clip_length: int, expected: list[tuple[int, int, int]]
) -> None:
    frames = make_frames(num_frames)
    clips = list(segment_clips(SeesColours(), iter(frames), clip_length))
    assert [(clip.start, len(clip.frames)) for clip in clips] == [(start, new) for start, _, new in expected]
    given = [frame for clip in clips for frame in clip.frames]
    np.testing.assert_array_equal(np.array(given).reshape(frames.shape), frames)
    for clip in clips:
        assert {len(value) for value in (clip.tokens, clip.masks, clip.objects, clip.clip_masks)} == {len(clip.frames)}


def test_objects_keep_their_numbers() -> None:
    """Red and blue pass each other, green comes, and the order of the clip-wise tokens changes with every clip."""
    clips = list(segment_clips(SeesColours(), make_frames(11), 5))
    objects = torch.cat([clip.objects for clip in clips])  # (11, 4): blue, red, green, red again
    blue, red, green = objects[-1, :3].tolist()
    assert 0 not in {blue, red, green} and len({blue, red, green}) == 3
    assert (objects[:, 0] == blue).all() and (objects[:, 1] == red).all()
    assert objects[:, 2].tolist() == [0] * 6 + [green] * 5
    assert not objects[:, 3].any()  # the same place as red, with a lower score


def test_what_is_unlike_is_a_new_object() -> None:
    """After a cut, everything is elsewhere; without a shared look the tokens are others as well."""

    class Changes(SeesColours):
        def __call__(self, low_res: Tensor) -> SimpleNamespace:
            output = super().__call__(low_res)
            output.clip_tokens = output.clip_tokens * (1 if self.clips == 1 else -1)
            return output

    clips = list(segment_clips(Changes(), make_frames(9), 5))
    assert not set(clips[0].identities.tolist()) & set(clips[1].identities.tolist())


def test_threshold() -> None:
    clip = next(segment_clips(SeesColours(), make_frames(5), 5, threshold=0.92))
    assert (clip.objects[:, 0] > 0).all() and not clip.objects[:, 1:].any()
    clip = next(segment_clips(SeesColours(), make_frames(5), 5, threshold=0.99))
    assert not clip.objects.any()
    assert len(list(draw_clip(clip, list(COLOURS)))) == 5


def test_clip_length_is_checked() -> None:
    with pytest.raises(ValueError, match="`clip_length`"):
        next(segment_clips(SeesColours(), make_frames(2), 0))


def test_with_a_real_distiller() -> None:
    torch.manual_seed(0)
    distiller = SemanticDistiller(
        {"model_type": "mobile", "hidden_dim": 16, "num_queries": 5},
        num_tokens=4,
        num_clip_tokens=3,
        instance_layers=1,
        text_dim=8,
        working_size=64 * 64,
    ).eval()
    first, second = segment_clips(distiller, make_frames(5), 3, threshold=0.0)
    assert first.tokens.shape == (3, 4, 16) and second.tokens.shape == (2, 4, 16)
    assert first.clip_masks.shape == (3, 3, HEIGHT, WIDTH) and first.masks.shape == (3, 4, HEIGHT, WIDTH)
    low_res = torch.from_numpy(make_frames(5)[2:]).permute(0, 3, 1, 2)[None].float() / 127.5 - 1
    expected = distill_refined(distiller, low_res)
    torch.testing.assert_close(second.clip_tokens, expected.clip_tokens[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(second.masks, expected.masks[0, 1:], rtol=1e-4, atol=1e-4)
    assert set(second.objects.unique().tolist()) <= {0, *second.identities.tolist()}


# Pictures


def pictures(what: str, num_frames: int = 11) -> tuple[list[np.ndarray], list[SegmentedClip]]:
    clips = list(segment_clips(SeesColours(), make_frames(num_frames), 5))
    return [picture for clip in clips for picture in draw_clip(clip, list(COLOURS), what)], clips


def test_instances_are_drawn_where_they_are_in_their_colour() -> None:
    drawn, clips = pictures("instances", 6)
    assert {picture.shape for picture in drawn} == {(480, 640, 3)}
    objects = torch.cat([clip.objects for clip in clips])
    for index in (0, 5):
        red = np.array([255, 0, 0])
        expected = red + OPACITY * (np.array(colour_of(int(objects[index, 1]))) - red)
        np.testing.assert_allclose(drawn[index][160, 20 * (index + 4)], expected, atol=3)
        assert (drawn[index][-20:, 300] == 0).all()  # nothing there


def test_tokens_divide_the_frame() -> None:
    drawn, clips = pictures("tokens", 3)
    rest = int(clips[0].identities[3])
    for picture in drawn:
        np.testing.assert_allclose(picture[-20, 5], OPACITY * np.array(colour_of(rest)), atol=2)


# Files


def test_video_to_video(model: None, tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4")
    code, out, err = run(source, tmp_path / "out.mp4", "--device", "cpu", "--dtype", "fp32")
    assert (code, err) == (0, "")
    assert "out.mp4: 11 frames of 640x480" in out and "3 objects" in out
    with VideoReader(tmp_path / "out.mp4") as reader:
        assert (reader.width, reader.height, reader.fps) == (640, 480, Fraction(30000, 1001))
        assert len(list(reader)) == 11
    sounds = []
    for path in (source, tmp_path / "out.mp4"):
        with av.open(str(path)) as container:
            sounds.append([bytes(packet) for packet in container.demux(audio=0) if packet.size])
    assert sounds[0] == sounds[1] and sounds[0]
    assert sorted(os.listdir(tmp_path)) == ["in.mp4", "out.mp4"]


def test_folder_and_middle_frame(model: None, tmp_path: Path) -> None:
    source = make_folder(tmp_path / "in", 7)
    result = segment_video(source, tmp_path / "out", device="cpu", progress=False)
    assert (result.frames, result.width, result.height) == (7, 640, 480)
    assert sorted(os.listdir(tmp_path / "out")) == [f"f{i}.png" for i in range(7)]
    segment_video(source, tmp_path / "middle.png", device="cpu", progress=False)
    with Image.open(tmp_path / "middle.png") as middle, Image.open(tmp_path / "out" / "f3.png") as same:
        np.testing.assert_array_equal(np.asarray(middle), np.asarray(same))


def test_tokens_are_written(model: None, tmp_path: Path) -> None:
    source = make_folder(tmp_path / "in")
    code, _, err = run(source, tmp_path / "out.png", "--tokens", tmp_path / "found.safetensors")
    assert (code, err) == (0, "")
    with safe_open(tmp_path / "found.safetensors", "pt") as file:
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        "tokens": (11, 4, 4),
        "scores": (11, 4),
        "labels": (11, 4),
        "masks": (11, 4, 12, 16),
        "objects": (11, 4),
        "clip_tokens": (3, 4, 4),
        "clip_start": (3,),
        "identity": (3, 4),
    }
    assert json.loads(metadata["vocabulary"]) == list(COLOURS)
    assert metadata["seeclear_version"] == __version__
    assert found["clip_start"].tolist() == [0, 4, 6]
    assert found["masks"].dtype == torch.uint8
    frames = torch.from_numpy(make_frames(11))[:, ::2, ::2]
    assert (found["masks"][:, :3] == (frames[..., [2, 0, 1]] > 127).permute(0, 3, 1, 2)).all()
    # an object has the identity of the clip-wise token that looks like it
    for frame, clip in ((0, 0), (5, 1), (8, 1), (10, 2)):
        token = int(found["clip_tokens"][clip].argmax(dim=1).eq(0).nonzero())
        assert found["objects"][frame, 1] == found["identity"][clip, token]
    assert sorted(os.listdir(tmp_path)) == ["found.safetensors", "in", "out.png"]


# What can't be done


@pytest.mark.parametrize(
    ("output", "options", "message"),
    [
        ("out.png", ["--what", "everything"], "--what must be one of instances, tokens, but was 'everything'"),
        ("out.png", ["--model", "none"], "neither a folder nor a shipped model"),
        ("out.png", ["--device", "abacus"], "error: --device must be"),
        ("out.png", ["--dtype", "fp8"], "error: --dtype must be"),
        ("out.txt", [], "out.txt"),
        ("in/f0.png/out.png", [], "f0.png is no folder"),
        ("in", [], "another file than the input"),
        ("out.png", ["--tokens", "found.npz"], "must be .safetensors"),
        ("out.png", ["-q", "-v"], "give --quiet or --verbose, not both"),
        ("out.png", ["--tokens", "in/f0.png/found.safetensors"], "f0.png is no folder"),
    ],
)
def test_bad_arguments_give_one_line(
    model: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, options: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path / "in", 2)
    code, out, err = run("in", output, *options)
    assert (code, out) == (2, "")
    assert err.startswith("seeclear: error: ") and err.count("\n") == 1 and message in err
    assert os.listdir(tmp_path) == ["in"]


def test_no_input(model: None, tmp_path: Path) -> None:
    code, _, err = run(tmp_path / "none.mp4", tmp_path / "out.mp4")
    assert code == 2 and err.count("\n") == 1 and "none.mp4: there is no such file" in err


def test_what_is_there_is_not_lost(model: None, tmp_path: Path) -> None:
    source = make_folder(tmp_path / "in", 3)
    (tmp_path / "out.png").write_bytes(b"mine")
    (tmp_path / "t.safetensors").write_bytes(b"mine")
    tokens = ("--tokens", tmp_path / "t.safetensors")
    for arguments in ((source, tmp_path / "out.png"), (source, tmp_path / "out.mp4", *tokens)):
        code, out, err = run(*arguments)
        assert (code, out) == (2, "") and "is there already; give --overwrite to replace it" in err
    assert run(source, tmp_path / "out.png", *tokens, "--overwrite", "-q") == (0, "", "")
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.size == (640, 480)


def test_a_model_without_a_distiller_sees_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "load_model", lambda *_: (SimpleNamespace(semantic_distiller=None), Path()))
    code, _, err = run(make_folder(tmp_path / "in", 3), tmp_path / "out.png")
    assert code == 2 and "--model 'seeclear-tiny' has no Semantic Distiller" in err
    assert os.listdir(tmp_path) == ["in"]


def test_nothing_is_left_of_a_failure(model: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ValueError("no more")

    source = make_folder(tmp_path / "in")
    monkeypatch.setattr(segment, "draw_clip", fails)
    for name in ("out.mp4", "out", "out.png"):
        with pytest.raises(ValueError, match="no more"):
            segment_video(source, tmp_path / name, tokens=tmp_path / "t.safetensors", device="cpu", progress=False)
        assert os.listdir(tmp_path) == ["in"]
