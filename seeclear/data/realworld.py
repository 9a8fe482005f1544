# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""A chain of random degradations that resembles what happens to real videos: optics, sensor, photo and video codecs.

After Real-ESRGAN (Wang et al. 2021) and RealBasicVSR (Chan et al. 2022). A step draws its parameters once for a clip,
because lens, sensor and encoder settings do not change from frame to frame; only noise is drawn anew for every frame.
The last step is H.264 over the whole clip, so that its artefacts move and pulse as those of a video do.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from seeclear.shipped import SCALE

from ..resize import to_uint8
from .degradations import BicubicDegradation, check_size

Range = tuple[float, float]
Image8 = NDArray[np.uint8]


class Transform(Protocol):
    """A step of the chain: frames (F, 3, H, W) in [0, 1] to frames in [0, 1], all choices drawn from `rng`."""

    def __call__(self, frames: Tensor, rng: np.random.Generator) -> Tensor: ...


def _check_range(name: str, limits: Range, low: float, high: float = math.inf) -> None:
    if not low <= limits[0] <= limits[1] <= high:
        raise ValueError(f"`{name}` must be a range within {low:g} to {high:g}, smaller first, but is {limits}.")


def _to_images(frames: Tensor) -> Image8:
    """(F, 3, H, W) in [0, 1] to (F, H, W, 3)."""
    return to_uint8(frames).permute(0, 2, 3, 1).contiguous().numpy()


def _to_frames(images: Sequence[Image8]) -> Tensor:
    """F images (H, W, 3) to (F, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float().contiguous() / 255


@dataclass(frozen=True)
class Sometimes:
    """Applies a step to a share of the clips and leaves the others alone."""

    transform: Transform
    probability: float

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ValueError(f"`probability` must be in [0, 1], but is {self.probability}.")

    def __call__(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        return self.transform(frames, rng) if rng.random() < self.probability else frames


@dataclass(frozen=True)
class GaussianBlur:
    """A Gaussian blur, as wide in all directions for one half of the clips, an ellipse of any angle for the other.

    Args:
        sigma: range of the standard deviation (of both axes of an ellipse), in pixels; drawn uniformly. The blur is
            cut off at three times the larger one, and the border is mirrored.
    """

    sigma: Range = (0.2, 3.0)

    def __post_init__(self) -> None:
        _check_range("sigma", self.sigma, 0.01)

    def __call__(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        along, across = rng.uniform(*self.sigma, size=2)
        if rng.random() < 0.5:
            across = along
        angle = rng.uniform(0, math.pi)
        radius = min(math.ceil(3 * max(along, across)), min(frames.shape[2:]) - 1)
        y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
        u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
        kernel = np.exp(-((u / along) ** 2 + (v / across) ** 2) / 2)
        weight = torch.from_numpy(kernel / kernel.sum()).to(frames.dtype)
        padded = functional.pad(frames, (radius,) * 4, mode="reflect")
        size = padded.shape[2:]  # in frequencies: ten times as fast as `conv2d` with a single channel
        blurred = torch.fft.irfft2(torch.fft.rfft2(padded) * torch.fft.rfft2(weight, s=size), s=size)
        return blurred[..., 2 * radius :, 2 * radius :].clamp(0, 1)


def _resize(frames: Tensor, size: tuple[int, int], rng: np.random.Generator) -> Tensor:
    """To (height, width) by a method drawn among area, bilinear and bicubic, all antialiased."""
    mode = ("area", "bilinear", "bicubic")[rng.integers(3)]
    if mode == "area":
        return functional.interpolate(frames, size, mode=mode)
    return functional.interpolate(frames, size, mode=mode, antialias=True, align_corners=False).clamp(0, 1)


@dataclass(frozen=True)
class Resize:
    """A change of size by a factor from a range, drawn uniformly on a logarithmic scale."""

    factor: Range = (0.5, 1.25)

    def __post_init__(self) -> None:
        _check_range("factor", self.factor, 0.05, 4)

    def __call__(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        factor = math.exp(rng.uniform(math.log(self.factor[0]), math.log(self.factor[1])))
        height, width = (max(1, round(n * factor)) for n in frames.shape[2:])
        return _resize(frames, (height, width), rng)


@dataclass(frozen=True)
class SensorNoise:
    """Noise of a sensor: of one strength everywhere (read noise), and stronger where it is bright (shot noise).

    Its variance at a value x is read^2 + shot^2 x; the strengths are those of the whole clip, the noise is another one
    in every frame. In two of five clips it is grey, as after a camera's own denoising, else it differs by channel.

    Args:
        read, shot: ranges of the two strengths, in grey levels of 255; drawn uniformly.
    """

    read: Range = (0.0, 8.0)
    shot: Range = (0.0, 10.0)

    def __post_init__(self) -> None:
        _check_range("read", self.read, 0)
        _check_range("shot", self.shot, 0)

    def __call__(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        read, shot = rng.uniform(*self.read) / 255, rng.uniform(*self.shot) / 255
        channels = 1 if rng.random() < 0.4 else 3
        shape = (len(frames), channels, *frames.shape[2:])
        noise = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)).to(frames.dtype)
        return (frames + noise * (read**2 + shot**2 * frames).sqrt()).clamp(0, 1)


@dataclass(frozen=True)
class JpegCompression:
    """Each frame as a JPEG (4:2:0), all of one quality: what a camera that films in single pictures does.

    Args:
        quality: range of the quality from 1 to 100; drawn uniformly among the whole numbers, ends included.
    """

    quality: tuple[int, int] = (50, 95)

    def __post_init__(self) -> None:
        _check_range("quality", self.quality, 1, 100)

    def __call__(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        quality = int(rng.integers(self.quality[0], self.quality[1], endpoint=True))
        decoded = []
        for image in _to_images(frames):
            file = BytesIO()
            Image.fromarray(image).save(file, "JPEG", quality=quality)
            with Image.open(file) as jpeg:
                decoded.append(np.asarray(jpeg.convert("RGB")))
        return _to_frames(decoded)


# FFmpeg's numbers: BT.601 for libswscale is 5; limited range 1, full range 2; bicubic, full chroma, accurate rounding
_ACCURATE = 4 | 1 << 13 | 1 << 14 | 1 << 18
_RGB_TO_YUV = {"dst_colorspace": 5, "dst_color_range": 1, "interpolation": _ACCURATE}
_YUV_TO_RGB = {"src_colorspace": 5, "src_color_range": 1, "dst_color_range": 2, "interpolation": _ACCURATE}


@dataclass(frozen=True)
class H264Compression:
    """The clip as an H.264 video (4:2:0, libx264, one thread), encoded and decoded in memory.

    Args:
        crf: range of the constant rate factor from 0 to 51, larger is worse; drawn uniformly.
        keyframe_interval: range of the distance of key frames; drawn uniformly among the whole numbers.
    """

    crf: Range = (18.0, 32.0)
    keyframe_interval: tuple[int, int] = (4, 250)

    def __post_init__(self) -> None:
        _check_range("crf", self.crf, 0, 51)
        _check_range("keyframe_interval", self.keyframe_interval, 1)

    def __call__(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        crf = rng.uniform(*self.crf)
        interval = int(rng.integers(self.keyframe_interval[0], self.keyframe_interval[1], endpoint=True))
        height, width = frames.shape[2:]
        images = np.pad(_to_images(frames), ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        decoded = self._transcode(images, {"crf": f"{crf:.2f}", "preset": "fast", "threads": "1", "g": str(interval)})
        return _to_frames([image[:height, :width] for image in decoded])

    def _transcode(self, images: Image8, options: dict[str, str]) -> list[Image8]:
        """(F, H, W, 3) with even sides to F images (H, W, 3)."""
        import av

        from seeclear.video.codecs import repeatable_x264

        encoder = av.CodecContext.create("libx264", "w")
        encoder.height, encoder.width = images.shape[1:3]
        encoder.pix_fmt, encoder.options = "yuv420p", options | repeatable_x264()
        encoder.framerate, encoder.time_base = Fraction(25), Fraction(1, 25)
        packets = []
        for i, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p", **_RGB_TO_YUV)
            frame.pts, frame.time_base = i, encoder.time_base
            packets += encoder.encode(frame)
        packets += encoder.encode(None)

        decoder = av.CodecContext.create("h264", "r")
        decoder.thread_count = 1
        decoded = [frame for packet in packets for frame in decoder.decode(packet)] + decoder.decode(None)
        return [cast(Image8, frame.reformat(format="rgb24", **_YUV_TO_RGB).to_ndarray()) for frame in decoded]


class CompressedDegradation:
    """MATLAB's bicubic, as BI, and of a share of the clips then an H.264 video: what small videos are in use.

    Args:
        scale: high over low resolution.
        probability: the share that is compressed; the others are BI to the bit.
        crf, keyframe_interval: as in [`H264Compression`].
    """

    def __init__(
        self,
        scale: int = SCALE,
        probability: float = 0.4,
        crf: Range = (12.0, 30.0),
        keyframe_interval: tuple[int, int] = (4, 250),
    ) -> None:
        self.scale = scale
        self.reduction = BicubicDegradation(scale)
        self.compression = Sometimes(H264Compression(crf, keyframe_interval), probability)

    def __call__(self, frames: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        """(F, 3, H, W) in [0, 1] to (F, 3, H / scale, W / scale) in [0, 1], of 8-bit values.

        Raises:
            ValueError: `rng` is missing, a side is no multiple of `scale`.
        """
        if rng is None:
            raise ValueError("`rng` must be given: this degradation is random.")
        return self.compression(self.reduction(frames), rng)


class RealWorldDegradation:
    """Steps at high resolution, reduction to the low resolution by a method drawn per clip, steps there; 8 bits.

    The default chain: blur (80 % of the clips), change of size (50 %), sensor noise (70 %), JPEG (30 %); the
    reduction; sensor noise (20 %), JPEG (20 %), H.264 (90 %). When only a crop of a frame is degraded, the blocks of
    the codecs begin at the crop's corner.

    Args:
        scale: high over low resolution.
        high: the steps before the reduction, in order; they may change the size. None for the default.
        low: the steps after it, which must keep the size. None for the default.
    """

    def __init__(
        self, scale: int = SCALE, high: Sequence[Transform] | None = None, low: Sequence[Transform] | None = None
    ) -> None:
        if scale < 1:
            raise ValueError(f"`scale` must be at least 1, but is {scale}.")
        self.scale = scale
        default_high = (
            Sometimes(GaussianBlur(), 0.8),
            Sometimes(Resize(), 0.5),
            Sometimes(SensorNoise(), 0.7),
            Sometimes(JpegCompression(), 0.3),
        )
        default_low = (
            Sometimes(SensorNoise((0.0, 4.0), (0.0, 5.0)), 0.2),
            Sometimes(JpegCompression((60, 95)), 0.2),
            Sometimes(H264Compression(), 0.9),
        )
        self.high: tuple[Transform, ...] = default_high if high is None else tuple(high)
        self.low: tuple[Transform, ...] = default_low if low is None else tuple(low)

    def __call__(self, frames: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        """(F, 3, H, W) in [0, 1] to (F, 3, H / scale, W / scale) in [0, 1], of 8-bit values.

        Raises:
            ValueError: `rng` is missing, a side is no multiple of `scale`, a step of `low` changed the size.
        """
        check_size(frames, self.scale)
        if rng is None:
            raise ValueError("`rng` must be given: this degradation is random.")
        size = (frames.shape[2] // self.scale, frames.shape[3] // self.scale)
        for transform in self.high:
            frames = transform(frames, rng)
        frames = _resize(frames, size, rng)
        for transform in self.low:
            frames = transform(frames, rng)
        if tuple(frames.shape[2:]) != size:
            raise ValueError(f"The steps of `low` must keep the size {size}, but gave {tuple(frames.shape[2:])}.")
        return to_uint8(frames).to(frames.dtype) / 255
