# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from seeclear.data.found_instances import connected_parts, read_masked_photos, read_static_video


def test_connected_parts_by_hand() -> None:
    mask = torch.tensor(
        [
            [1, 0, 0, 0, 1, 1],
            [0, 1, 0, 0, 1, 1],
            [0, 0, 0, 0, 0, 1],
            [1, 0, 0, 0, 0, 0],
        ]
    ).bool()
    parts = connected_parts(mask, least=2 / 24)
    assert parts.dtype == torch.bool and parts.shape == (2, 4, 6)  # the single pixel is too small
    assert parts[0].nonzero().tolist() == [[0, 4], [0, 5], [1, 4], [1, 5], [2, 5]]
    assert parts[1].nonzero().tolist() == [[0, 0], [1, 1]]  # connected at a corner
    assert connected_parts(torch.zeros(5, 5).bool()).shape == (0, 5, 5)


def test_connected_parts_follow_a_winding_line() -> None:
    mask = torch.zeros(9, 9, dtype=torch.bool)
    mask[::2] = True
    mask[1, 8] = mask[3, 0] = mask[5, 8] = mask[7, 0] = True
    assert torch.equal(connected_parts(mask), mask[None])


def test_photographs_with_masks(tmp_path: Path) -> None:
    images, masks = tmp_path / "images", tmp_path / "masks"
    images.mkdir(), masks.mkdir()
    two = np.zeros((240, 320), np.uint8)
    two[20:120, 20:120] = two[140:200, 200:280] = 255
    for name, mask in {"two": two, "empty": 0 * two, "all": 0 * two + 255, "unsure": two // 2}.items():
        Image.new("RGB", (640, 480), (10, 200, 30)).save(images / f"{name}.png")
        Image.fromarray(mask).save(masks / f"{name}.png")
    Image.new("RGB", (640, 480)).save(images / "without.png")
    (photo,) = read_masked_photos(images, masks)
    assert (photo.name, photo.label, photo.group) == ("two", "", "photographs of several")
    assert photo.frames.shape == (1, 3, 240, 320) and photo.frames[0, :, 5, 5].tolist() == [10, 200, 30]
    assert photo.masks.shape == (1, 2, 240, 320) and photo.masks.dtype == torch.float16
    assert photo.masks[0].sum(dim=0).equal(torch.from_numpy(two > 0).half())
    assert photo.masks[0].sum(dim=(1, 2)).tolist() == [10000, 4800]
    with pytest.raises(ValueError, match="none' must be a folder"):
        read_masked_photos(images, tmp_path / "none")


def test_what_moves_before_a_static_camera(tmp_path: Path) -> None:
    """Two squares cross a textured scene; each is one instance and stays it."""
    rng = np.random.default_rng(0)
    scene = np.kron(rng.integers(60, 120, (32, 48, 3), dtype=np.uint8), np.ones((4, 4, 1), np.uint8))
    with av.open(str(tmp_path / "street.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 192, 128, "bgr0"
        for i in range(40):
            frame = scene.copy()
            frame[16:48, 4 * i : 4 * i + 32] = (250, 250, 20)
            frame[80:112, 160 - 4 * i : 192 - 4 * i] = (0, 10, 240)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="bgr0")))
        container.mux(stream.encode())
    clips = read_static_video(tmp_path / "street.mkv", "vehicle", clip_length=4, num_clips=12)
    assert len(clips) >= 10
    for clip in clips:
        assert (clip.label, clip.group) == ("vehicle", "static cameras")
        assert clip.frames.shape == (4, 3, 32, 48) and clip.masks.shape == (4, 2, 32, 48)
        yellow = (clip.frames[:, 0] > 200) & (clip.frames[:, 2] < 60)
        blue = (clip.frames[:, 0] < 30) & (clip.frames[:, 2] > 200)
        for colour in (yellow, blue):  # all of a colour in all frames, in one and the same instance
            share = [float(clip.masks[:, k][colour].float().mean()) for k in range(2)]
            assert max(share) > 0.75 and min(share) < 0.01
    late = read_static_video(tmp_path / "street.mkv", clip_length=4, num_clips=3, since=0.6)
    assert [clip.name for clip in late] == ["street-24", "street-28", "street-33"]


def test_nothing_moves(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "still.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        for _ in range(12):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="bgr0")))
        container.mux(stream.encode())
    assert read_static_video(tmp_path / "still.mkv", clip_length=4, num_clips=3) == []
