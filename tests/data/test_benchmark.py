# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from seeclear.data.benchmark import StoredClip, check_count, find_clips, find_matching


def make_frames(count: int = 4, height: int = 16, width: int = 24) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def write_folder(folder: Path, frames: np.ndarray) -> Path:
    folder.mkdir(parents=True)
    for i, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{i}.png")
    return folder


def write_video(path: Path, frames: np.ndarray, pixel_format: str = "bgr0", codec: str = "ffv1") -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], pixel_format
        for frame in frames:
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format=pixel_format))
            )
        container.mux(stream.encode())
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_folder(tmp_path / "clips" / "walk", make_frames(12))
    write_video(tmp_path / "clips" / "run.mkv", make_frames())
    (tmp_path / "clips" / "notes").mkdir()
    return tmp_path


def test_finds_folders_and_videos_and_reads_them(root: Path) -> None:
    run, walk = find_clips([root / "clips"])
    assert (run.name, run.size, run.num_frames) == ("run", (16, 24), 4)
    assert (walk.name, walk.size, walk.num_frames) == ("walk", (16, 24), 12)
    np.testing.assert_array_equal(run.read(3).numpy().transpose(0, 2, 3, 1), make_frames()[:3])
    np.testing.assert_array_equal(walk.read(12).numpy().transpose(0, 2, 3, 1), make_frames(12))  # 10 after 9


def test_single_clips(root: Path) -> None:
    clips = find_clips([root / "clips" / "run.mkv", root / "clips" / "walk"])
    assert [clip.name for clip in clips] == ["run", "walk"]
    with pytest.raises(ValueError, match="two clips of one name"):
        find_clips([root / "clips", root / "clips" / "walk"])
    write_folder(root / "clips" / "run", make_frames())
    with pytest.raises(ValueError, match="two clips of one name"):
        find_clips([root / "clips"])


def test_nothing_there(root: Path) -> None:
    with pytest.raises(ValueError, match="no file or folder"):
        find_clips([root / "missing"])
    with pytest.raises(ValueError, match="holds no clip"):
        find_clips([root / "clips" / "notes"])


def test_frames_of_another_depth_are_named(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    cv2.imwrite(str(tmp_path / "deep" / "0.png"), np.zeros((8, 8, 3), np.uint16))
    with pytest.raises(ValueError, match=r"0\.png' has 16 bits a channel"):
        find_clips([tmp_path / "deep"])
    video = write_video(tmp_path / "deep.mkv", make_frames(), "yuv420p10le")
    with pytest.raises(ValueError, match=r"deep\.mkv' has 10 bits a channel"):
        find_clips([video])


def test_what_belongs_to_a_clip_is_found_and_checked(root: Path) -> None:
    (clip,) = find_clips([root / "clips" / "walk"])
    write_folder(root / "ours" / "walk", make_frames(12))
    assert find_matching(root / "ours", clip, (16, 24), only_clip=False).path == root / "ours" / "walk"
    assert find_matching(root / "ours" / "walk", clip, (16, 24), only_clip=True).name == "walk"
    with pytest.raises(ValueError, match="no frames of the clip 'walk'; it has"):
        find_matching(root / "ours" / "walk", clip, (16, 24), only_clip=False)
    with pytest.raises(ValueError, match=r"0\.png' is 24x16; frames of the clip 'walk' must be 6x4"):
        find_matching(root / "ours", clip, (4, 6), only_clip=False)
    with pytest.raises(ValueError, match="no file or folder"):
        find_matching(root / "theirs", clip, (16, 24), only_clip=False)
    write_video(root / "ours" / "walk.mkv", make_frames())
    with pytest.raises(ValueError, match="two clips of one name"):
        find_matching(root / "ours", clip, (16, 24), only_clip=False)


def test_count(root: Path) -> None:
    walk, run = (StoredClip.open(root / "clips" / name) for name in ("walk", "run.mkv"))
    check_count(walk, walk, 5)
    check_count(run, walk, 4)
    with pytest.raises(ValueError, match=r"run\.mkv' has 4 frames; the clip 'walk' needs 5 or 12"):
        check_count(run, walk, 5)
