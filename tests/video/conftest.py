# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Small synthetic videos with a tone as sound."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

MakeVideo = Callable[..., Path]


def gradients(num_frames: int, height: int, width: int) -> np.ndarray:
    """Moving gradients, uint8 (F, H, W, 3): brightness goes to the right, colour downwards."""
    f, y, x = np.mgrid[:num_frames, :height, :width]
    bright = x * 90 / width + 9 * f
    frames = np.stack([bright + y * 60 / height, bright + 90 - y * 50 / height, bright + 40], axis=-1)
    return (frames + 16).clip(0, 255).astype(np.uint8)


def write_video(
    path: Path,
    num_frames: int = 7,
    size: tuple[int, int] = (24, 32),
    fps: Fraction = Fraction(25),
    video_codec: str = "libx264",
    sound_codecs: tuple[str, ...] = ("aac",),
    options: dict[str, str] | None = None,
    tags: dict[str, int] | None = None,
    pixel_format: str = "yuv420p",
) -> Path:
    """A video of `gradients` (height, width = `size`) and a sine of the video's length for each sound codec."""
    rate = 48000
    with av.open(str(path), "w", container_options=options or {}) as container:
        video = container.add_stream(video_codec, rate=fps)
        video.height, video.width, video.pix_fmt = *size, pixel_format
        for name, value in (tags or {}).items():
            setattr(video.codec_context, name, value)
        sounds = [container.add_stream(codec, rate=rate, layout="mono") for codec in sound_codecs]
        samples = round(num_frames / fps * rate)
        tone = (0.3 * np.sin(np.arange(samples) * 2 * np.pi * 440 / rate)).astype(np.float32)
        for index, pixels in enumerate(gradients(num_frames, *size)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, 1 / fps
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for sound in sounds:
            block = av.AudioFrame.from_ndarray(tone[None], format="flt", layout="mono")
            block.sample_rate, block.pts, block.time_base = rate, 0, Fraction(1, rate)
            fifo = av.AudioFifo()
            resampler = av.AudioResampler(format=sound.codec_context.format, layout="mono", rate=rate)
            for converted in resampler.resample(block):
                fifo.write(converted)
            for part in fifo.read_many(sound.codec_context.frame_size or 1024, partial=True):
                container.mux(sound.encode(part))
            container.mux(sound.encode(None))
    return path


@pytest.fixture
def make_video(tmp_path: Path) -> MakeVideo:
    """`make_video("a.mp4", num_frames=7, ...)` writes a video into the test's folder and returns its path."""
    return lambda name="in.mp4", **settings: write_video(tmp_path / name, **settings)


@pytest.fixture
def frames() -> Callable[..., np.ndarray]:
    """`frames(num_frames, height, width)`: moving colour gradients, uint8 (F, H, W, 3)."""
    return gradients
