# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import json
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from seeclear.data.instance_list import read_instance_list


def write_clip(root: Path, name: str, num_frames: int = 2) -> None:
    """Grey frames of 10 x 13; the object is the left six columns."""
    for kind in ("frames", "masks"):
        (root / kind / name).mkdir(parents=True)
    mask = np.zeros((10, 13), np.uint8)
    mask[:, :6] = 255
    for i in range(num_frames):
        Image.fromarray(np.full((10, 13, 3), 60 + i, np.uint8)).save(root / "frames" / name / f"{i:05d}.png")
        Image.fromarray(mask).save(root / "masks" / name / f"{i:05d}.png")


def write_video(path: Path, frames: np.ndarray) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "bgr0"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="bgr0")))
        container.mux(stream.encode())


def test_list_of_clips_and_backgrounds(tmp_path: Path) -> None:
    write_clip(tmp_path, "walk")
    write_clip(tmp_path, "run", 3)
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (600, 480), (10, 200, 30)).save(tmp_path / "photos" / "a.png")
    spec = {"frames": "frames", "masks": "masks", "clips": {"run": "person", "walk": "animal"}}
    path = tmp_path / "list.json"
    path.write_text(json.dumps(spec | {"backgrounds": ["photos"]}))
    clips, backgrounds = read_instance_list(path, tmp_path)
    assert [(clip.name, clip.label, len(clip.frames)) for clip in clips] == [
        ("run", "person", 3),
        ("walk", "animal", 2),
    ]
    assert [tuple(photo.shape) for photo in backgrounds] == [(3, 240, 300)]
    assert backgrounds[0][:, 100, 100].tolist() == [10, 200, 30]
    path.write_text(json.dumps(spec))
    assert read_instance_list(path, tmp_path)[1] == []


def test_list_with_photographs_and_a_static_camera(tmp_path: Path) -> None:
    write_clip(tmp_path, "walk")
    for kind, image in (("photos", Image.new("RGB", (60, 40))), ("found", Image.new("L", (60, 40)))):
        (tmp_path / kind).mkdir()
        if kind == "found":
            image.paste(255, (10, 10, 30, 30))
        image.save(tmp_path / kind / "a.png")
    frames = np.full((40, 64, 96, 3), 90, np.uint8)
    for i, frame in enumerate(frames):
        frame[16:48, 2 * i : 2 * i + 24] = 200
    write_video(tmp_path / "street.mkv", frames)
    spec = {
        "frames": "frames",
        "masks": "masks",
        "clips": {"walk": "animal"},
        "photographs": [["photos", "found"]],
        "static_cameras": {"street.mkv": "vehicle"},
    }
    path = tmp_path / "list.json"
    path.write_text(json.dumps(spec))
    clips, _ = read_instance_list(path, tmp_path)
    assert [clip.name for clip in clips[:2]] == ["walk", "a"]
    assert clips[2].name.startswith("street-") and {clip.label for clip in clips[2:]} == {"vehicle"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "'frames', 'masks' and 'clips'"),
        ('{"frames": "f", "masks": "m", "clips": {}}', "name a clip"),
    ],
)
def test_malformed_lists(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "list.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_instance_list(path, tmp_path)
    with pytest.raises(ValueError, match="must be a file"):
        read_instance_list(tmp_path / "none.json", tmp_path)
