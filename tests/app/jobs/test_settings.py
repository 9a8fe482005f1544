# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Sizes of the output, and settings as they are typed."""

import math
import re
from dataclasses import fields
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seeclear.app.jobs.settings import UpscaleSettings, output_size, parse_fps, parse_memory, parse_tile
from seeclear.pipelines.settings import RestorationSettings
from seeclear.video.codecs import EncodeSettings

SIZES = st.integers(1, 70)


@pytest.mark.parametrize(
    ("scale", "width", "height", "expected"),
    [
        (None, None, None, (132, 68)),
        (4, None, None, (132, 68)),
        (1, None, None, (33, 17)),
        (1.5, None, None, (50, 26)),  # 49.5 and 25.5: halves are rounded up
        (2.71, None, None, (89, 46)),
        (None, 66, None, (66, 34)),
        (None, None, 34, (66, 34)),
        (None, 40, 60, (40, 60)),
        (None, 33, 68, (33, 68)),
    ],
)
def test_sizes(scale: float | None, width: int | None, height: int | None, expected: tuple[int, int]) -> None:
    assert output_size(33, 17, scale, width, height, model_scale=4) == expected


@given(SIZES, SIZES, st.sampled_from([1, 2, 3, 4]))
def test_whole_factors_are_exact(width: int, height: int, scale: int) -> None:
    assert output_size(width, height, scale, None, None, 4) == (scale * width, scale * height)


@given(SIZES, SIZES, st.floats(1, 4))
def test_any_factor_is_within_half_a_pixel(width: int, height: int, scale: float) -> None:
    for length, out in zip((width, height), output_size(width, height, scale, None, None, 4), strict=True):
        assert abs(out - scale * length) <= 0.5 and length <= out <= 4 * length


@given(SIZES, SIZES, st.data())
def test_one_side_keeps_the_aspect_ratio(width: int, height: int, data: Any) -> None:
    wanted = data.draw(st.integers(width, 4 * width))
    out_width, out_height = output_size(width, height, None, wanted, None, 4)
    assert out_width == wanted and abs(out_height - wanted * height / width) <= 0.5
    assert output_size(height, width, None, None, wanted, 4) == (out_height, out_width)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, 32, None), "`width` must be from 33 to 132 for an input of 33x17, but was 32"),
        ((None, 133, None), "`width` must be from 33 to 132"),
        ((None, None, 16), "`height` must be from 17 to 68 for an input of 33x17, but was 16"),
        ((None, 66, 69), "`height` must be from 17 to 68"),
    ],
)
def test_sizes_out_of_range(arguments: tuple[Any, Any, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        output_size(33, 17, *arguments, model_scale=4)


def test_scale_beyond_the_model() -> None:
    with pytest.raises(ValueError, match="`scale` must be from 1 to 2 with this model, but was 3"):
        output_size(10, 10, 3, None, None, 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scale": 0.5}, "`scale` is 0.5; it must be a number from 1 to 4"),
        ({"scale": 4.5}, "`scale` is 4.5"),
        ({"scale": float("nan")}, "`scale` is nan"),
        ({"scale": 2, "width": 100}, "give `scale`, or `width` and `height`, not both"),
        ({"tile": 64, "memory": "4GB"}, "give `tile` or `memory`, not both"),
        ({"memory": "much"}, "`memory` must be a size such as 4GB or 500MB, but was 'much'"),
        ({"fps": Fraction(-1, 2)}, "`fps` is -1/2; it must be a number above 0"),
        ({"tile": 0}, "`tile` is 0; it must be a whole number of at least 1, or a height and a width"),
    ],
)
def test_settings_that_do_not_go_together(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UpscaleSettings(**settings)


@pytest.mark.parametrize(
    ("names", "values", "wanted"),
    [
        (("detail", "grain"), ("0.5", None, True, [1], np.array(0.5), np.True_, math.nan, 2), "a number from 0 to 1"),
        (("scale",), ("2", True, math.inf), "a number from 1 to 4"),
        (("fps",), ("25", True, math.nan, math.inf), "a number above 0"),
        (("frames", "width", "height", "clip_length"), ("3", 2.5, math.nan, True, 0), "a whole number of at least 1"),
        (("clip_overlap", "tile_overlap"), ("1", 0.5, True, -1), "a whole number of at least 0"),
        (("seed",), ("1", 1.5, True, None), "a whole number"),
        (("num_inference_steps", "crf"), ("1", 1.5, True), "a whole number"),
        (
            ("tile",),
            ("64", 1.5, True, (64,), (64, 0), (64, 1.5), [64, 64]),
            "a whole number of at least 1, or a height",
        ),
        (("deinterlace", "exact_size", "scene_detection"), ("no", 1, None), "True or False"),
        (("model", "dtype", "noise", "audio"), (3, None), "text"),
        (("sampler", "codec", "preset", "pix_fmt"), (3, ["h264"]), "text"),
    ],
)
def test_values_of_another_kind(names: tuple[str, ...], values: tuple[Any, ...], wanted: str) -> None:
    for name in names:
        for value in values:
            said = value if isinstance(value, int | float) else repr(value)
            with pytest.raises(ValueError, match=re.escape(f"`{name}` is {said}; it must be {wanted}")):
                UpscaleSettings(**{name: value})
            if name in RestorationSettings.__dataclass_fields__ and wanted != "text":
                with pytest.raises(ValueError, match=f"`{name}` is"):
                    RestorationSettings(**{name: value})


def test_numbers_of_numpy_are_those_of_python() -> None:
    """float32 stands for the number that it shows, so that a job of 0.3 goes on with it."""
    numbers = {"detail": 0.3, "grain": 0.5, "scale": 2.1, "fps": 29.97, "start": 0.1, "seed": 3, "frames": 2}
    numbers |= {"clip_length": 5, "clip_overlap": 1, "tile_overlap": 0, "num_inference_steps": 4, "crf": 20}
    changes = {
        name: np.float32(value) if isinstance(value, float) else np.int64(value) for name, value in numbers.items()
    }
    made = UpscaleSettings(**changes, tile=(np.int64(8), np.int32(9)), deinterlace=np.True_, memory=None)
    expected = UpscaleSettings(**numbers, tile=(8, 9), deinterlace=True, memory=None)
    assert made == expected and made.excerpt == expected.excerpt and made.fps == Fraction(2997, 100)
    for field in fields(made):
        if field.name != "start":
            assert type(getattr(made, field.name)) is type(getattr(expected, field.name))
    assert all(type(side) is int for side in made.tile)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4GB", 4 * 10**9),
        ("4g", 4 * 10**9),
        ("2GiB", 2**31),
        ("3.5 G", 3_500_000_000),
        ("500MB", 500 * 10**6),
        (123456, 123456),
    ],
)
def test_memory(text: str | int, expected: int) -> None:
    assert parse_memory(text) == expected


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "0GB", "4XB", "4 GB each", "nan"])
def test_memory_of_another_form(text: str) -> None:
    with pytest.raises(ValueError, match="`memory` must be a size"):
        parse_memory(text)


def test_tile() -> None:
    assert (parse_tile("256"), parse_tile("192x320"), parse_tile("0")) == (256, (192, 320), None)
    for text in ("", "x", "1.5", "12x", "-3", "1x2x3"):
        with pytest.raises(ValueError, match="`tile` must be a number of pixels"):
            parse_tile(text)


@pytest.mark.parametrize(
    ("text", "fps"), [("25", Fraction(25)), ("29.97", Fraction(2997, 100)), ("30000/1001", Fraction(30000, 1001))]
)
def test_fps(text: str, fps: Fraction) -> None:
    assert parse_fps(text) == fps


@pytest.mark.parametrize("text", ["", "fast", "1/0", "nan", "inf", "30 fps"])
def test_fps_of_another_form(text: str) -> None:
    with pytest.raises(ValueError, match="`fps` must be a number such as 25 or 30000/1001"):
        parse_fps(text)


def test_settings_are_those_of_restoring_and_of_encoding() -> None:
    """So that they are handed on whole to pipelines and encoders."""
    settings = UpscaleSettings(num_inference_steps=2, crf=20)
    assert isinstance(settings, RestorationSettings) and isinstance(settings, EncodeSettings)


def test_the_seed_of_grain_may_be_given_to_what_does_not_sample() -> None:
    UpscaleSettings(grain=0.5, seed=3).refuse_sampling("SemanticLensPipeline")
    with pytest.raises(ValueError, match="`seed` is 3; a SemanticLensPipeline does not sample"):
        UpscaleSettings(seed=3).refuse_sampling("SemanticLensPipeline")
    with pytest.raises(ValueError, match="`noise` is 'clip'; a SemanticLensPipeline does not sample"):
        UpscaleSettings(grain=0.5, noise="clip").refuse_sampling("SemanticLensPipeline")
