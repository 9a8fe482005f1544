# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What happens to frames before they are a video: lens, motion, sensor, resizing, sharpening, JPEG.

A step is a plain function of frames (F, 3, H, W) in [0, 1] that gives such frames; with its parameters bound it is a
`Step`, without chance. A `Transform` has the ranges and draws the parameters, once for a clip: lens, sensor and
settings do not change from frame to frame, and only noise is another one in every frame. docs/degradations.md gives
the reasons of the ranges.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from ..resize import METHODS, imresize, to_uint8

Range = tuple[float, float]
Image8 = NDArray[np.uint8]
Step = partial[Tensor]
"""A step with its parameters, which are its keywords and fit into JSON."""


class Transform(ABC):
    """A step with ranges instead of parameters; each use on a clip draws anew."""

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> list[Step]:
        """The steps that a clip goes through, in order; there may be none."""

    def __call__(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        """Frames (F, 3, H, W) in [0, 1] to frames in [0, 1], all choices drawn from `rng`."""
        return run(self.draw(rng), frames)


def run(steps: Sequence[Step], frames: Tensor) -> Tensor:
    """Frames after all steps."""
    for step in steps:
        frames = step(frames)
    return frames


def describe(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """What was drawn, ready for JSON: the name of each function as `step`, and its parameters."""
    return [{"step": step.func.__name__, **step.keywords} for step in steps]


def check_range(name: str, limits: Range, low: float, high: float = math.inf) -> None:
    """ValueError unless `limits` is a range within low to high."""
    if not low <= limits[0] <= limits[1] <= high:
        raise ValueError(f"`{name}` must be a range within {low:g} to {high:g}, smaller first, but is {limits}.")


def check_share(name: str, share: float) -> None:
    """ValueError unless `share` is in [0, 1]."""
    if not 0 <= share <= 1:
        raise ValueError(f"`{name}` must be in [0, 1], but is {share}.")


def to_images(frames: Tensor) -> Image8:
    """(F, 3, H, W) in [0, 1] to (F, H, W, 3)."""
    return to_uint8(frames).permute(0, 2, 3, 1).contiguous().numpy()


def to_frames(images: Sequence[Image8]) -> Tensor:
    """F images (H, W, 3) to (F, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float().contiguous() / 255


def log_uniform(limits: Range, rng: np.random.Generator) -> float:
    """A number from a range, drawn uniformly on a logarithmic scale."""
    return math.exp(rng.uniform(math.log(limits[0]), math.log(limits[1])))


@dataclass(frozen=True)
class Sometimes(Transform):
    """Applies a step to a share of the clips and leaves the others alone."""

    transform: Transform
    probability: float

    def __post_init__(self) -> None:
        check_share("probability", self.probability)

    def draw(self, rng: np.random.Generator) -> list[Step]:
        return self.transform.draw(rng) if rng.random() < self.probability else []


_DIRECT_RADIUS = 5
"""Up to it a sum over the kernel is faster than a product in frequencies."""


def _convolve(frames: Tensor, kernel: NDArray[np.float64]) -> Tensor:
    """With a kernel (2 r + 1, 2 r + 1), point-symmetric, of any sum; the border is mirrored, r less than a side."""
    radius, kernel = len(kernel) // 2, kernel / kernel.sum()
    if radius <= _DIRECT_RADIUS:
        return _by_planes(frames, lambda plane: cv2.filter2D(plane, -1, kernel, borderType=cv2.BORDER_REFLECT_101))
    weight = torch.from_numpy(kernel).to(frames.dtype)
    padded = functional.pad(frames, (radius,) * 4, mode="reflect")
    size = padded.shape[2:]
    blurred = torch.fft.irfft2(torch.fft.rfft2(padded) * torch.fft.rfft2(weight, s=size), s=size)
    return blurred[..., 2 * radius :, 2 * radius :]


def _by_planes(frames: Tensor, change: Callable[[Any], Any]) -> Tensor:
    """Frames (F, 3, H, W) of which each channel (H, W) was changed alone."""
    planes = np.ascontiguousarray(frames.numpy()).reshape(-1, *frames.shape[2:])
    return torch.from_numpy(np.stack([change(plane) for plane in planes])).view(frames.shape)


def _gaussian(frames: Tensor, along: float, across: float, angle: float) -> Tensor:
    radius = min(math.ceil(3 * max(along, across)), min(frames.shape[2:]) - 1)
    line = np.arange(-radius, radius + 1, dtype=np.float64)
    if along == across:  # the same as below, one axis after the other
        taps = np.exp(-((line / along) ** 2) / 2)
        taps /= taps.sum()
        border = cv2.BORDER_REFLECT_101
        return _by_planes(frames, lambda plane: cv2.sepFilter2D(plane, -1, taps, taps, borderType=border))
    y, x = line[:, None], line
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    return _convolve(frames, np.exp(-((u / along) ** 2 + (v / across) ** 2) / 2))


def gaussian_blur(frames: Tensor, along: float, across: float, angle: float) -> Tensor:
    """A Gaussian blur, cut off at three times the larger standard deviation; the border is mirrored.

    Args:
        frames: (F, 3, H, W) in [0, 1].
        along, across: standard deviations of the ellipse's two axes, in pixels.
        angle: of the first axis to the x-axis, clockwise, in radians.
    """
    return _gaussian(frames, along, across, angle).clamp(0, 1)


@dataclass(frozen=True)
class GaussianBlur(Transform):
    """A lens out of focus: as blurred in all directions for one half of the clips, an ellipse for the other.

    Args:
        sigma: range of the standard deviation (of both axes of an ellipse), in pixels; drawn uniformly.
    """

    sigma: Range = (0.2, 3.0)

    def __post_init__(self) -> None:
        check_range("sigma", self.sigma, 0.01)

    def draw(self, rng: np.random.Generator) -> list[Step]:
        along, across = rng.uniform(*self.sigma, size=2).tolist()
        if rng.random() < 0.5:
            across = along
        return [partial(gaussian_blur, along=along, across=across, angle=rng.uniform(0, math.pi))]


def motion_blur(frames: Tensor, length: float, angle: float) -> Tensor:
    """The mean over a straight path around each pixel, between pixels by bilinear interpolation; nothing is shifted.

    Args:
        frames: (F, 3, H, W) in [0, 1]; the border is mirrored.
        length: of the path, in pixels; at most twice the shorter side of a frame less two is used.
        angle: of the path to the x-axis, clockwise, in radians.
    """
    length = min(length, 2.0 * (min(frames.shape[2:]) - 1))
    count = 16 * max(1, math.ceil(length))
    path = ((np.arange(count) + 0.5) / count - 0.5) * length
    radius = math.ceil(length / 2)
    grid = np.arange(-radius, radius + 1)
    rows, columns = (
        np.maximum(0, 1 - np.abs(grid - way[:, None])) for way in (path * math.sin(angle), path * math.cos(angle))
    )
    return _convolve(frames, rows.T @ columns).clamp(0, 1)


@dataclass(frozen=True)
class MotionBlur(Transform):
    """A camera that pans or shakes while the shutter is open: the same straight path for all pixels and frames.

    Args:
        length: range of the path's length, in pixels; drawn uniformly, as is its direction.
    """

    length: Range = (1.0, 12.0)

    def __post_init__(self) -> None:
        check_range("length", self.length, 0)

    def draw(self, rng: np.random.Generator) -> list[Step]:
        return [partial(motion_blur, length=rng.uniform(*self.length), angle=rng.uniform(0, math.pi))]


def resize_by(frames: Tensor, factor: float, method: str) -> Tensor:
    """Frames (F, 3, H, W) in [0, 1] to round(factor H) x round(factor W) pixels, at least one.

    The corners of the picture stay where they are; `method` is one of `seeclear.resize.METHODS`, antialiased.
    """
    height, width = (max(1, round(n * factor)) for n in frames.shape[2:])
    return resize_to(frames, height, width, method)


def resize_to(frames: Tensor, height: int, width: int, method: str) -> Tensor:
    """Frames (F, 3, H, W) in [0, 1] to (F, 3, height, width); else as `resize_by`."""
    return imresize(frames, size=(height, width), method=method).clamp(0, 1)


def draw_method(rng: np.random.Generator) -> str:
    """One of `seeclear.resize.METHODS`, each as often."""
    return METHODS[rng.integers(len(METHODS))]


@dataclass(frozen=True)
class Resize(Transform):
    """A change of size by a factor from a range, drawn uniformly on a logarithmic scale, by any method."""

    factor: Range = (0.5, 1.25)

    def __post_init__(self) -> None:
        check_range("factor", self.factor, 0.05, 4)

    def draw(self, rng: np.random.Generator) -> list[Step]:
        return [partial(resize_by, factor=log_uniform(self.factor, rng), method=draw_method(rng))]


def sensor_noise(frames: Tensor, read: float, shot: float, grey: bool, seed: int, first_frame: int = 0) -> Tensor:
    """Gaussian noise of the variance read^2 + shot^2 x at a value x, the usual model of a sensor's Poisson noise.

    Args:
        frames: (F, 3, H, W) in [0, 1].
        read: of one strength everywhere, in grey levels of 255.
        shot: stronger where it is bright, in grey levels of 255 at white.
        grey: the same in all channels, else independent.
        seed: of the noise; frame i has the noise of `seed` and first_frame + i.
        first_frame: the number in its clip of the first frame.
    """
    shape = (1 if grey else 3, *frames.shape[2:])
    numbers = range(first_frame, first_frame + len(frames))
    drawn = [np.random.default_rng((seed, i)).standard_normal(shape, dtype=np.float32) for i in numbers]
    noise = torch.from_numpy(np.stack(drawn)).to(frames.dtype)
    return (frames + noise * ((read / 255) ** 2 + (shot / 255) ** 2 * frames).sqrt()).clamp(0, 1)


@dataclass(frozen=True)
class SensorNoise(Transform):
    """Noise of a sensor, of the same strength in all frames of a clip and another one in each.

    In two of five clips it is grey, as after a camera's own removal of coloured noise, else it differs by channel.

    Args:
        read, shot: ranges of the strengths of [`sensor_noise`], in grey levels of 255; drawn uniformly.
    """

    read: Range = (0.0, 8.0)
    shot: Range = (0.0, 10.0)

    def __post_init__(self) -> None:
        check_range("read", self.read, 0)
        check_range("shot", self.shot, 0)

    def draw(self, rng: np.random.Generator) -> list[Step]:
        read, shot, grey = rng.uniform(*self.read), rng.uniform(*self.shot), bool(rng.random() < 0.4)
        return [partial(sensor_noise, read=read, shot=shot, grey=grey, seed=int(rng.integers(2**32)))]


def sharpen(frames: Tensor, amount: float, sigma: float) -> Tensor:
    """Unsharp masking, x + amount (x - blurred x): edges overshoot on both sides, which are the halos.

    Args:
        frames: (F, 3, H, W) in [0, 1]; what overshoots beyond is cut off.
        amount: 0 leaves the frames alone.
        sigma: standard deviation of the Gaussian blur, in pixels: how wide the halos are.
    """
    return (frames + amount * (frames - _gaussian(frames, sigma, sigma, 0.0))).clamp(0, 1)


@dataclass(frozen=True)
class Sharpening(Transform):
    """What cameras, editors and players do to look sharp.

    Args:
        amount, sigma: ranges of the parameters of [`sharpen`]; drawn uniformly.
    """

    amount: Range = (0.2, 1.5)
    sigma: Range = (0.5, 1.5)

    def __post_init__(self) -> None:
        check_range("amount", self.amount, 0)
        check_range("sigma", self.sigma, 0.01)

    def draw(self, rng: np.random.Generator) -> list[Step]:
        return [partial(sharpen, amount=rng.uniform(*self.amount), sigma=rng.uniform(*self.sigma))]


def jpeg(frames: Tensor, quality: int) -> Tensor:
    """Each frame (3, H, W) as a JPEG (4:2:0) of a quality from 1 to 100."""
    decoded = []
    for image in to_images(frames):
        file = BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        with Image.open(file) as picture:
            decoded.append(np.asarray(picture.convert("RGB")))
    return to_frames(decoded)


@dataclass(frozen=True)
class JpegCompression(Transform):
    """Each frame as a JPEG, all of one quality: what a camera that films in single pictures does.

    Args:
        quality: range of the quality from 1 to 100; drawn uniformly among the whole numbers, ends included.
    """

    quality: tuple[int, int] = (50, 95)

    def __post_init__(self) -> None:
        check_range("quality", self.quality, 1, 100)

    def draw(self, rng: np.random.Generator) -> list[Step]:
        return [partial(jpeg, quality=int(rng.integers(self.quality[0], self.quality[1], endpoint=True)))]


FRAMEWISE = frozenset((gaussian_blur, motion_blur, resize_by, resize_to, sensor_noise, sharpen, jpeg))
"""The steps that make of a frame the same whichever frames are beside it."""


def from_frame(step: Step, first_frame: int) -> Step:
    """The step for a part of a clip that begins at a frame."""
    return partial(step, first_frame=first_frame) if step.func is sensor_noise else step
