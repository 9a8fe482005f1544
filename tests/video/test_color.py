# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from seeclear.video.color import BT601, BT709, default_matrix, from_rgb, to_rgb
from seeclear.video.reader import VideoReader


@pytest.mark.parametrize(
    ("matrix", "rgb", "ycbcr"),
    [
        # worked by hand from ITU-R BT.709-6 and BT.601-7
        (BT709, (255, 0, 0), (63, 102, 240)),
        (BT709, (0, 255, 0), (173, 42, 26)),
        (BT709, (0, 0, 255), (32, 240, 118)),
        (BT601, (255, 0, 0), (81, 90, 240)),
        (BT601, (0, 255, 0), (145, 54, 34)),
        (BT601, (0, 0, 255), (41, 240, 110)),
        (BT709, (255, 255, 255), (235, 128, 128)),
        (BT601, (0, 0, 0), (16, 128, 128)),
    ],
)
def test_primaries(matrix: int, rgb: tuple[int, ...], ycbcr: tuple[int, ...]) -> None:
    frame = from_rgb(np.full((2, 2, 3), rgb, np.uint8), "yuv444p", matrix, chroma_left=True)
    assert tuple(frame.to_ndarray()[:, 0, 0]) == ycbcr
    assert (frame.colorspace, frame.color_range) == (matrix, 1)


@pytest.mark.parametrize("matrix", [BT709, BT601])
@pytest.mark.parametrize("pixel_format", ["yuv444p", "yuv420p"])
def test_there_and_back(matrix: int, pixel_format: str) -> None:
    y, x = np.mgrid[:32, :48]
    frame = np.stack([4 * x + 20, 5 * y + 20, 220 - 2 * x - 2 * y], axis=-1).astype(np.uint8)
    back = to_rgb(from_rgb(frame, pixel_format, matrix, chroma_left=False)).astype(float)
    assert np.abs((back - frame).mean((0, 1))).max() < 0.1
    assert np.abs(back - frame).mean() < 1


@pytest.mark.parametrize(("left", "expected"), [(True, (0 + 0 + 0 + 200) / 4), (False, (0 + 200) / 2)])
def test_place_of_chroma(left: bool, expected: float) -> None:
    """Columns black, blue: a sample on the black one sees half as much blue as a sample between them."""
    frame = np.zeros((2, 2, 3), np.uint8)
    frame[:, 1, 2] = 200
    blue_difference = from_rgb(frame, "yuv420p", BT709, left).to_ndarray().ravel()[4]
    assert abs(blue_difference - (128 + expected * 112 / 255)) <= 0.5


def test_lossless_h264_keeps_the_mean_of_a_steep_slope(tmp_path: Path) -> None:
    """A chroma sample half a pixel off would shift red by one grey level here."""
    y, x = np.mgrid[:48, :64]
    frame = np.stack([3 * x + 20, 4 * y + 20, 200 - x - y], axis=-1).astype(np.uint8)
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = BT601, 1
        picture = from_rgb(frame, "yuv420p", BT601, chroma_left=True)
        picture.pts, picture.time_base = 0, Fraction(1, 25)
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    seen = next(iter(VideoReader(tmp_path / "a.mp4"))).astype(float)
    assert np.abs((seen - frame).mean((0, 1))).max() < 0.1


@pytest.mark.parametrize(
    ("size", "matrix"), [((640, 480), BT601), ((720, 576), BT601), ((1280, 720), BT709), ((1024, 600), BT709)]
)
def test_default_matrix(size: tuple[int, int], matrix: int) -> None:
    assert default_matrix(*size) == matrix


@pytest.mark.parametrize("pixel_format", ["gray", "rgb24", "gbrp", "yuv422p", "yuv420p10le"])
def test_other_pixel_formats(pixel_format: str) -> None:
    grey = av.VideoFrame.from_ndarray(np.full((16, 16, 3), 128, np.uint8), format="rgb24").reformat(
        format=pixel_format
    )
    back = to_rgb(grey)
    assert back.shape == (16, 16, 3) and np.abs(back.astype(int) - 128).max() <= 2
