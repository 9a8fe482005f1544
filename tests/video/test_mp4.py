# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from seeclear.video.mp4 import set_display_matrix
from seeclear.video.properties import VideoProperties
from seeclear.video.reader import VideoReader

MakeVideo = Callable[..., Path]

QUARTERS = {
    # (a, b, c, d) of the matrix, by the degrees counter-clockwise
    0: (1, 0, 0, 1),
    90: (0, -1, 1, 0),
    180: (-1, 0, 0, -1),
    -90: (0, 1, -1, 0),
}


def matrix(degrees: int) -> tuple[int, ...]:
    a, b, c, d = (value << 16 for value in QUARTERS[degrees])
    return (a, b, 0, c, d, 0, 0, 0, 1 << 30)


@pytest.mark.parametrize("degrees", QUARTERS)
@pytest.mark.parametrize("options", [{}, {"movflags": "+faststart"}])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_rotation_of_a_finished_file(make_video: MakeVideo, name: str, options: dict, degrees: int) -> None:
    path = make_video(name, options=options)
    before = path.read_bytes()
    set_display_matrix(path, matrix(degrees))
    after = path.read_bytes()
    assert len(after) == len(before)
    changed = [index for index, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    assert not changed or changed[-1] - changed[0] < 36
    with av.open(str(path)) as container:
        assert (next(container.decode(video=0)).rotation - degrees) % 360 == 0
    with VideoReader(path) as reader:
        assert reader.properties.rotation == degrees
        assert reader.properties.display_matrix == (matrix(degrees) if degrees else None)


def test_only_the_video_track_is_turned(make_video: MakeVideo) -> None:
    path = make_video("a.mp4")
    set_display_matrix(path, matrix(90))
    assert path.read_bytes().count(struct.pack(">9i", *matrix(90))) == 1


def test_file_without_a_video_track(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        sound = container.add_stream("aac", rate=8000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 8000
        container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
    with pytest.raises(ValueError, match=r"a\.mp4: the file has no video track"):
        set_display_matrix(tmp_path / "a.mp4", matrix(90))
    (tmp_path / "b.mp4").write_bytes(b"\0\0\0\x08free")
    with pytest.raises(ValueError, match=r"b\.mp4: not an MP4 file"):
        set_display_matrix(tmp_path / "b.mp4", matrix(90))


def test_rotation_of_odd_matrices() -> None:
    values = {"path": None, "kind": "video", "codec": "h264", "width": 2, "height": 2, "pix_fmt": "yuv420p"}
    values |= {"bit_depth": 8, "has_alpha": False, "is_grey": False, "time_base": 1, "fps": 25}
    assert VideoProperties(**values, display_matrix=(0,) * 9).rotation == 0
    half = round(2**16 * 0.5**0.5)
    turned = VideoProperties(**values, display_matrix=(half, -half, 0, half, half, 0, 0, 0, 1 << 30))
    assert turned.rotation == 45
