# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from seeclear.video.codecs import EncodeSettings
from seeclear.video.color import (
    BT601,
    BT709,
    BT2020,
    FULL_RANGE,
    LIMITED_RANGE,
    chroma_is_left,
    default_matrix,
    rgb_to_ycbcr,
    ycbcr_to_rgb,
)
from seeclear.video.encode import encode_part
from seeclear.video.properties import VideoProperties
from seeclear.video.reader import VideoReader

EVERY_MATRIX = [1, 4, 5, 6, 7, 9]


def slope(height: int, width: int) -> np.ndarray:
    """A smooth picture with steep colours, (H, W, 3) float32 in [0, 1]."""
    y, x = np.mgrid[:height, :width] / [[[height]], [[width]]]
    return np.stack([0.1 + 0.7 * x, 0.1 + 0.7 * y, 0.9 - 0.35 * x - 0.35 * y], axis=-1).astype(np.float32)


@pytest.mark.parametrize(
    ("matrix", "color_range", "rgb", "ycbcr"),
    [
        # worked by hand from ITU-R BT.709-6, BT.601-7 and BT.2020-2
        (BT709, LIMITED_RANGE, (1, 0, 0), (63, 102, 240)),
        (BT709, LIMITED_RANGE, (0, 1, 0), (173, 42, 26)),
        (BT709, LIMITED_RANGE, (0, 0, 1), (32, 240, 118)),
        (BT601, LIMITED_RANGE, (1, 0, 0), (81, 90, 240)),
        (BT601, LIMITED_RANGE, (0, 1, 0), (145, 54, 34)),
        (BT601, LIMITED_RANGE, (0, 0, 1), (41, 240, 110)),
        (BT709, LIMITED_RANGE, (1, 1, 1), (235, 128, 128)),
        (BT601, LIMITED_RANGE, (0, 0, 0), (16, 128, 128)),
        (BT601, FULL_RANGE, (1, 0, 0), (76, 85, 255)),
        (BT601, FULL_RANGE, (1, 1, 1), (255, 128, 128)),
        (BT2020, LIMITED_RANGE, (1, 0, 0), (74, 97, 240)),
        (BT2020, LIMITED_RANGE, (0, 0, 1), (29, 240, 119)),
    ],
)
def test_primaries(matrix: int, color_range: int, rgb: tuple[int, ...], ycbcr: tuple[int, ...]) -> None:
    picture = np.broadcast_to(np.float32(rgb), (2, 2, 3))
    planes = rgb_to_ycbcr(picture, matrix, color_range, 8, (1, 1), left=True)
    assert tuple(plane[0, 0] for plane in planes) == ycbcr
    back = ycbcr_to_rgb(planes, matrix, color_range, 8, left=True)
    np.testing.assert_allclose(back, picture, atol=1.5 / 219 * 1.3)


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_codes_of_black_and_white_at_every_depth(bits: int) -> None:
    picture = np.float32([[[0, 0, 0], [1, 1, 1]]])
    luma, blue, red = rgb_to_ycbcr(picture, BT709, LIMITED_RANGE, bits, (1, 1), left=False)
    assert luma.tolist() == [[16 << (bits - 8), 235 << (bits - 8)]]
    assert blue.tolist() == red.tolist() == [[128 << (bits - 8)] * 2]
    assert luma.dtype == (np.uint8 if bits == 8 else np.uint16)
    luma, blue, _ = rgb_to_ycbcr(picture, BT709, FULL_RANGE, bits, (1, 1), left=False)
    assert (luma.tolist(), blue.tolist()) == ([[0, (1 << bits) - 1]], [[1 << (bits - 1)] * 2])


@pytest.mark.parametrize("matrix", EVERY_MATRIX)
@pytest.mark.parametrize("color_range", [LIMITED_RANGE, FULL_RANGE])
@pytest.mark.parametrize("bits", [8, 10, 16])
def test_full_chroma_there_and_back_is_exact_to_rounding(matrix: int, color_range: int, bits: int) -> None:
    rgb = np.random.default_rng(0).random((9, 7, 3), np.float32)
    planes = rgb_to_ycbcr(rgb, matrix, color_range, bits, (1, 1), left=False)
    back = ycbcr_to_rgb(planes, matrix, color_range, bits, left=False)
    # half a code of luma, and of chroma by at most 2 / 1.78
    assert np.abs(back - rgb).max() < (0.5 / 219 + 2.0 * 0.5 / 224) / (1 << (bits - 8)) + 1e-5


@pytest.mark.parametrize("shrink", [(2, 2), (1, 2), (2, 1)])
@pytest.mark.parametrize("size", [(32, 48), (31, 47), (2, 2), (1, 1), (1, 5)])
@pytest.mark.parametrize("left", [True, False])
def test_shared_chroma_there_and_back(shrink: tuple[int, int], size: tuple[int, int], left: bool) -> None:
    rgb = slope(*size)
    planes = rgb_to_ycbcr(rgb, BT709, LIMITED_RANGE, 12, shrink, left)
    assert planes[1].shape == tuple(-(-side // share) for side, share in zip(size, shrink, strict=True))
    back = ycbcr_to_rgb(planes, BT709, LIMITED_RANGE, 12, left)
    assert back.shape == rgb.shape and back.dtype == np.float32
    if min(size) >= 31:  # away from the edges a slope comes back as it was
        assert np.abs(back - rgb)[4:-4, 4:-4].max() < 1e-3
        assert np.abs((back - rgb).mean((0, 1))).max() < 1e-3


@pytest.mark.parametrize(("left", "expected"), [(True, (0 + 0 + 0 + 200) / 4), (False, (0 + 200) / 2)])
def test_place_of_chroma(left: bool, expected: float) -> None:
    """Columns black, blue: a sample on the black one sees half as much blue as a sample between them."""
    picture = np.zeros((2, 2, 3), np.float32)
    picture[:, 1, 2] = 200 / 255
    _, blue, _ = rgb_to_ycbcr(picture, BT709, LIMITED_RANGE, 8, (2, 2), left)
    assert abs(int(blue[0, 0]) - (128 + expected * 112 / 255)) <= 0.5


def test_result_stays_in_range() -> None:
    planes = (np.full((2, 2), 255, np.uint8), np.full((1, 1), 255, np.uint8), np.zeros((1, 1), np.uint8))
    rgb = ycbcr_to_rgb(planes, BT601, LIMITED_RANGE, 8, left=True)
    assert rgb.min() >= 0 and rgb.max() <= 1


def test_unknown_matrix_is_named() -> None:
    planes = (np.zeros((2, 2), np.uint8),) * 3
    with pytest.raises(ValueError, match="colour matrix 10 "):
        ycbcr_to_rgb(planes, 10, LIMITED_RANGE, 8, left=True)


@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", "ffv1"), (".mp4", "h264"), (".webm", "vp9")])
def test_coding_keeps_the_mean_of_a_steep_slope(tmp_path: Path, suffix: str, codec: str) -> None:
    """A chroma sample half a pixel off would shift red by one grey level here."""
    rgb = slope(48, 64)
    properties = VideoProperties(
        path=None,
        kind="video",
        codec=codec,
        width=64,
        height=48,
        pix_fmt="yuv420p",
        bit_depth=8,
        has_alpha=False,
        is_grey=False,
        time_base=Fraction(1, 25),
        fps=Fraction(25),
        color_range=LIMITED_RANGE,
        matrix=BT601,
    )
    settings = EncodeSettings(crf=None if codec == "ffv1" else 1)
    encode_part(tmp_path / "part", [(rgb, None)], properties, settings)
    seen = next(VideoReader(tmp_path / "part").frames()).rgb
    assert np.abs((seen - rgb).mean((0, 1))).max() < 0.15 / 255


@pytest.mark.parametrize(
    ("size", "matrix"), [((640, 480), BT601), ((720, 576), BT601), ((1280, 720), BT709), ((1024, 600), BT709)]
)
def test_default_matrix(size: tuple[int, int], matrix: int) -> None:
    assert default_matrix(*size) == matrix


def test_place_of_chroma_by_codec() -> None:
    assert chroma_is_left("h264") and not chroma_is_left("vp9") and not chroma_is_left("mjpeg")
