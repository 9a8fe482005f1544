# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Draws objects onto frames: semi-transparent colours, contours, captions. A number has the same colour everywhere."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from seeclear.resize import imresize, to_uint8

LEAST_WIDTH = 640
"""Frames are enlarged to at least this width, in pixels, before anything is written onto them."""
OPACITY = 0.4
LEAST_CAPTIONED = 0.004
"""Areas of less than this share of the frame get no number."""

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels; the last two are just outside."""


def enlargement(width: int) -> int:
    """The whole factor that brings a frame to `LEAST_WIDTH`."""
    return max(1, -(-LEAST_WIDTH // width))


def enlarge(frame: np.ndarray) -> np.ndarray:
    """A frame uint8 (h, w, 3) enlarged by `enlargement`, bicubically."""
    factor = enlargement(frame.shape[1])
    if factor == 1:
        return frame
    pixels = torch.from_numpy(np.array(frame)).permute(2, 0, 1).float() / 255
    return to_uint8(imresize(pixels, scale=factor)).permute(1, 2, 0).numpy()


def colour_of(number: int) -> tuple[int, int, int]:
    """RGB of the object of that number; neighbouring numbers are far apart in hue."""
    hue = number * 0.6180339887 % 1  # the golden ratio
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.8 if number % 2 else 0.55, 1.0 if number % 3 else 0.8)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_objects(frame: np.ndarray, masks: Tensor, numbers: Sequence[int], captions: Sequence[str]) -> np.ndarray:
    """The frame with every object's area, contour and caption.

    Args:
        frame: uint8 RGB (H, W, 3).
        masks: bool (n, H, W), drawn in this order.
        numbers: n, what the colours are chosen by.
        captions: n, written above the widest place of the object, or below another caption that is there already.

    Returns:
        uint8 RGB (H, W, 3).
    """
    picture = frame.astype(np.float32)
    width = max(1, frame.shape[1] // 320)
    for mask, number in zip(masks, numbers, strict=True):
        _fill(picture, mask, number, width)
    image = Image.fromarray(picture.round().astype(np.uint8))
    plates: list[Box] = []
    for mask, number, caption in zip(masks, numbers, captions, strict=True):
        if mask.any():
            row, column = widest_place(mask)
            gaps = (~mask[:row, column]).nonzero()
            foot = column, int(gaps[-1]) + 1 if len(gaps) else 0
            plates.append(_write(image, caption, foot, number, above=True, others=plates))
    return np.asarray(image)


def draw_partition(frame: np.ndarray, numbers: Tensor) -> np.ndarray:
    """The frame divided into areas, each with its number at its widest place.

    Args:
        frame: uint8 RGB (H, W, 3).
        numbers: int64 (H, W), the number of the area that each pixel is in.

    Returns:
        uint8 RGB (H, W, 3).
    """
    present, index = numbers.unique(return_inverse=True)
    colours = np.array([colour_of(number) for number in present.tolist()], np.float32)[index.numpy()]
    picture = frame + OPACITY * (colours - frame)
    rim = torch.zeros(numbers.shape, dtype=torch.bool)
    for axis in (0, 1):
        border = numbers.diff(dim=axis) != 0
        rim.narrow(axis, 0, border.shape[axis]).logical_or_(border)
        rim.narrow(axis, 1, border.shape[axis]).logical_or_(border)
    picture[rim.numpy()] = colours[rim.numpy()]
    image = Image.fromarray(picture.round().astype(np.uint8))
    for number in present.tolist():
        mask = numbers == number
        if float(mask.float().mean()) >= LEAST_CAPTIONED:
            row, column = widest_place(mask)
            _write(image, str(number), (column, row), number, above=False)
    return np.asarray(image)


def widest_place(mask: Tensor) -> tuple[int, int]:
    """Row and column of a pixel deep inside `mask` bool (H, W), which is not empty."""
    step = max(1, min(mask.shape) // 48)
    inside = mask[::step, ::step].float()[None]
    if not inside.any():
        row, column = mask.nonzero()[0].tolist()
        return row, column
    while inside.any():
        last = inside
        inside = 1 - F.max_pool2d(F.pad(1 - inside, (1, 1, 1, 1), value=1.0), 3, stride=1)  # one layer less
    places = last[0].nonzero()
    middle = (places - places.float().mean(dim=0)).square().sum(dim=1).argmin()
    row, column = (step * places[middle]).tolist()
    return row, column


def _fill(picture: np.ndarray, mask: Tensor, number: int, width: int) -> None:
    """Colours an area of float `picture` (H, W, 3) in place, its rim of `width` pixels opaquely."""
    colour = np.array(colour_of(number), np.float32)
    outside = 1 - mask.float()[None]
    rim = (F.max_pool2d(outside, 2 * width + 1, stride=1, padding=width)[0] > 0) & mask
    inside = mask.numpy()
    picture[inside] += OPACITY * (colour - picture[inside])
    picture[rim.numpy()] = colour


def _write(
    image: Image.Image,
    text: str,
    place: tuple[int, int],
    number: int,
    above: bool,
    others: Sequence[Box] = (),
) -> Box:
    """Writes `text` on a plate of its colour around `place` (x, y), or with its foot there,
    inside the image and, while there is room, below `others`. Returns the plate.
    """
    draw = ImageDraw.Draw(image)
    size = max(10, image.height // 26)
    font = ImageFont.load_default(size)
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    wide, high = round(right - left) + size // 2, round(bottom - top) + size // 3
    x = min(max(place[0] - wide // 2, 0), max(0, image.width - wide))
    lowest = max(0, image.height - high)
    y = min(max(place[1] - (high if above else high // 2), 0), lowest)
    while y < lowest:
        covered = [b[3] for b in others if b[0] < x + wide and x < b[2] and b[1] < y + high and y < b[3]]
        if not covered:
            break
        y = min(max(covered), lowest)
    colour = colour_of(number)
    draw.rectangle((x, y, x + wide - 1, y + high - 1), fill=colour)
    ink = "black" if 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2] > 110 else "white"
    draw.text((x + size // 4 - left, y + size // 6 - top), text, font=font, fill=ink)
    return x, y, x + wide, y + high
