# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Whether a video is clean, or compressed or noisy so that it shows: from its stream and from a few of its frames.

The rules, the first that holds:

1. compressed, if coefficients of luma are rounded to steps of `COARSE_STEP` or more (see `quantisers`);
2. compressed, if the codec is lossy, its steps are not known, and it has fewer bits a pixel than `FEWEST_BITS`, or
   `FEWEST_BITS_ALONE` where each frame is coded by itself;
3. compressed, if the pixels have a grid of blocks of `VISIBLE_GRID`, or one at their edges of `VISIBLE_EDGES`, or more
   (see `artefacts`);
4. noisy, if their noise is of `VISIBLE_NOISE` or more;
5. else clean.

docs/experiments/video-quality.md has the figures that the constants are from, and how often the rules are right. What
pixels alone tell is less than what a stream tells: H.264, HEVC, VP9 and AV1 smooth the edges of their blocks, so that
images made from such videos, or a lossless copy of one, pass for clean unless they are compressed strongly.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Literal, TypeAlias

import av
import numpy as np
from av import VideoFrame
from av.container import InputContainer
from av.video.stream import VideoStream
from PIL import Image
from torch import Tensor

from seeclear.video.artefacts import block_grids, grey_levels, middle, noise_level
from seeclear.video.color import scaled_luma
from seeclear.video.container import is_mp4
from seeclear.video.excerpt import WHOLE, Excerpt
from seeclear.video.image_metadata import FORMATS
from seeclear.video.images import is_image, list_images, read_image
from seeclear.video.inputs import Frame, VideoInput, open_frames, read_input
from seeclear.video.opening import check_local, open_container, video_stream
from seeclear.video.pixels import frame_range, read_pixels
from seeclear.video.properties import PixelLayout
from seeclear.video.quantisers import StepMeter, jpeg_step

Verdict: TypeAlias = Literal["clean", "compressed", "noisy"]

COARSE_STEP = 6.5
"""Grey levels. H.264 of CRF 12 has less, of CRF 18 nearly always more; JPEG of quality 94 has 7 and of 95 less, and
MPEG-4 of quantiser 3 has 6. The pixels are then wrong by 2 to 3 grey levels, root mean square."""
FEWEST_BITS = 0.5
"""Bits a pixel and frame. H.264 has 0.7 in the median at CRF 12, and 0.4 at CRF 18."""
FEWEST_BITS_ALONE = 2.0
"""The same of codecs that do not predict frames from others: JPEG of quality 75 has 1.9 in the median, and of 97
seldom less than 2.8."""
VISIBLE_GRID = 0.5
"""Grey levels. Clean videos have up to that; JPEG of quality 85 and MPEG-4 of quantiser 4 more, nine times in ten."""
VISIBLE_EDGES = 0.08
"""Share. No lossless video has as much, but 2 of 90 of H.264's CRF 12, 50 of CRF 28 and 64 of CRF 33."""
VISIBLE_NOISE = 3.0
"""Grey levels of luma. Texture of clean videos is taken for less; noise of 6 in each colour has 4."""

FRAMES = 12
"""So many are looked at, at most."""
_RUNS = 4
"""Places in a video from which these are taken, as many at each."""
_PACKETS, _PACKET_BYTES = 300, 16 * 2**20
"""Of so many at most, from the first one on, the rate is taken where no index has it; 300 is a whole period of key
frames in most videos."""

_NAMES = {
    **{"h264": "H.264", "hevc": "HEVC", "vvc": "VVC", "mpeg4": "MPEG-4", "mpeg2video": "MPEG-2"},
    **{"mpeg1video": "MPEG-1", "mjpeg": "Motion JPEG", "prores": "ProRes", "webp": "WebP", "rawvideo": "raw video"},
}


@dataclass(frozen=True)
class VideoQuality:
    """What a video was found to be."""

    verdict: Verdict
    """"clean"; or "compressed" or "noisy" so that it shows, where a compressed one may be noisy, too."""
    reason: str
    """Why, in a line for a user, such as "H.264 at 0.06 bits a pixel, coarsely coded (step 18.2)"."""
    codec: str | None
    """FFmpeg's name of the codec; of images that of the first one's format in small letters; None for frames."""
    bits_per_pixel: float | None
    """Bits a pixel and frame, of the whole video, or of its first packets; of images of the files that were read."""
    quantiser: float | None
    """Mean step between values of a coefficient of luma in grey levels, see `quantisers`; None where not known."""
    blockiness: float
    """Strength of a grid of blocks of 8x8 in grey levels, 0 for none, see `artefacts.block_grids`."""
    edge_grid: float
    """How much more strong edges lie on a grid of 4x4 than off it, as a share, 0 for none, see the same."""
    noise: float
    """Standard deviation of white noise in luma in grey levels, 0 where only texture is found, see
    `artefacts.noise_level`."""


@dataclass
class _Sample:
    """Some frames of a video, and what is known of its stream."""

    luma: list[np.ndarray] = field(default_factory=list)
    """(H, W) each, in grey levels."""
    codec: str | None = None
    bits_per_pixel: float | None = None
    step: float | None = None
    fewest_bits: float = 0.0
    """Below which the rate alone says that it is compressed."""


def assess_quality(video: VideoInput, excerpt: Excerpt = WHOLE) -> VideoQuality:
    """Judges a video by its stream and at most `FRAMES` frames of it, without any weights.

    The frames of a video file are some from each of four places, those of images and in memory are evenly spread. It
    takes a tenth of a second for small videos, and hardly more for long ones, of which little is read.

    Args:
        video: a path to a video file, to an image or to a folder of images; or frames in memory, of which pixels alone
            are judged: a PIL image or a list of them, an array (F, H, W, 3) of uint8 or of floats in [0, 1], a tensor
            (F, 3, H, W) of such, or a list of single frames of these arrays or tensors.
        excerpt: the part of a video file, or the first frames of a folder, that frames are taken from: those behind
            the key frames before places in it. Its rate is that of the whole file.

    Raises:
        ValueError: there is no such file, it is no video or images, none of its frames can be decoded, or its images
            differ in size; `video` is of another form, a batch, or empty; there is an `excerpt` of frames in memory.
    """
    if isinstance(video, str | os.PathLike):
        sample = _sample_path(video, excerpt)
    else:
        if not excerpt.is_whole:
            raise ValueError(f"`excerpt` is {excerpt.describe()}; of frames in memory give those that are meant")
        sample = _Sample(_from_memory(video))
    luma = np.stack(sample.luma)
    grids, noise = block_grids(luma), noise_level(luma)
    verdict, reason = _judge(sample, grids, noise)
    return VideoQuality(verdict, reason, sample.codec, sample.bits_per_pixel, sample.step, *grids, noise)


def _judge(sample: _Sample, grids: tuple[float, float], noise: float) -> tuple[Verdict, str]:
    """The verdict by the rules at the head of this file, and the reason."""
    known = []
    if sample.codec is not None:
        rate = "" if sample.bits_per_pixel is None else f" at {sample.bits_per_pixel:.3g} bits a pixel"
        known.append(_NAMES.get(sample.codec, sample.codec.upper()) + rate)
    if sample.step is not None:
        coarse = sample.step >= COARSE_STEP
        known.append(f"{'coarsely' if coarse else 'finely'} coded (step {sample.step:.3g})")
        if coarse:
            return "compressed", ", ".join(known)
    elif sample.bits_per_pixel is not None and sample.bits_per_pixel < sample.fewest_bits:
        return "compressed", ", ".join(known)
    if grids[0] >= VISIBLE_GRID or grids[1] >= VISIBLE_EDGES:
        return "compressed", ", ".join([*known, "visible blocks"])
    if noise >= VISIBLE_NOISE:
        return "noisy", ", ".join([*known, f"noise of {noise:.2g} grey levels"])
    return "clean", ", ".join([*known, "no visible blocks or noise"])


def _sample_path(video: str | os.PathLike[str], excerpt: Excerpt) -> _Sample:
    check_local(video)
    path = Path(video)
    if not path.exists():
        raise ValueError(f"{path}: there is no such file or folder.")
    if path.is_dir():
        return _sample_images([path / name for name in list_images(path)][: excerpt.frames])
    return _sample_images([path]) if is_image(path) else _sample_video(path, excerpt)


def _from_memory(video: Image.Image | np.ndarray | Tensor | Sequence[Frame]) -> list[np.ndarray]:
    open_frames(video)  # refuses what is no video, or several
    if isinstance(video, np.ndarray | Tensor):
        video = video[_spread(len(video))] if video.ndim == 4 else video
    elif isinstance(video, Sequence):
        video = [video[index] for index in _spread(len(video))]
    (values,), _ = read_input(video)
    return [grey_levels(rgb) for rgb in values.permute(0, 2, 3, 1).numpy()]


def _spread(count: int) -> list[int]:
    """`FRAMES` indices below a count, or all of them, from the first to the last one."""
    return [round(index) for index in np.linspace(0, count - 1, min(count, FRAMES))]


def _sample_images(files: Sequence[Path]) -> _Sample:
    sample, steps, bits = _Sample(), [], []
    sizes = set()
    for file in [files[index] for index in _spread(len(files))]:
        rgb, _ = read_image(file)
        sizes.add(rgb.shape)
        if len(sizes) > 1:
            raise ValueError(f"{file.parent}: all images must have one size, but that of {file.name} is another.")
        sample.luma.append(grey_levels(rgb))
        bits.append(8 * file.stat().st_size / (rgb.shape[0] * rgb.shape[1]))
        with Image.open(file, formats=FORMATS) as image:
            step = jpeg_step(image)
            steps += [] if step is None else [step]
            sample.codec = sample.codec or ("jpeg" if steps else str(image.format).lower())
    sample.bits_per_pixel = float(np.mean(bits))
    sample.step = float(np.mean(steps)) if steps else None
    return sample


def _sample_video(path: Path, excerpt: Excerpt) -> _Sample:
    sample = _Sample()
    with open_container(path) as container:
        stream = video_stream(container, path)
        codec = stream.codec_context.codec
        meter = StepMeter(stream)
        size = None
        for frame in _spread_frames(container, stream, meter, excerpt):
            if size in (None, (frame.width, frame.height)):
                size = (frame.width, frame.height)
                sample.luma.append(_luma(frame, codec.canonical_name))
        if size is None:
            raise ValueError(f"{path}: the video is empty or damaged: not one frame can be decoded.")
    sample.codec, sample.step = codec.canonical_name, meter.step
    sample.bits_per_pixel = 8 * _bytes_per_frame(path) / (size[0] * size[1])
    if codec.lossy:
        sample.fewest_bits = FEWEST_BITS_ALONE if codec.intra_only else FEWEST_BITS
    return sample


def _spread_frames(
    container: InputContainer, stream: VideoStream, meter: StepMeter, excerpt: Excerpt
) -> Iterator[VideoFrame]:
    """The first frames, and as many behind the key frame before each of some times; behind those where it is the same.

    Where the length is not known, or the file cannot be entered elsewhere, they are the first ones of the file alone.
    """
    seen: set[int] = set()
    if not container.duration:
        yield from islice(_new_frames(container, stream, meter, seen), FRAMES)
        return
    start, length = (Fraction(time or 0, av.time_base) for time in (container.start_time, container.duration))
    start, length = start + excerpt.start, length - excerpt.start
    if excerpt.duration is not None:
        length = min(length, excerpt.duration)
    if excerpt.frames is not None and stream.average_rate:
        length = min(length, excerpt.frames / stream.average_rate)
    for run in range(_RUNS):
        if run or excerpt.start:
            try:
                container.seek(int((start + length * run / _RUNS) / Fraction(stream.time_base or 1)), stream=stream)
            except av.FFmpegError:
                if seen:
                    return
        yield from islice(_new_frames(container, stream, meter, seen), FRAMES // _RUNS)


def _new_frames(
    container: InputContainer, stream: VideoStream, meter: StepMeter, seen: set[int]
) -> Iterator[VideoFrame]:
    """The frames from here on that were not seen before, to the end or to a fault."""
    try:
        for packet in container.demux(stream):
            frames = packet.decode()
            meter.add_packet(packet)
            for frame in frames:
                time = frame.pts if frame.pts is not None else frame.dts
                if not isinstance(frame, VideoFrame) or frame.is_corrupt or time in seen:
                    continue
                if time is not None:
                    seen.add(time)
                meter.add_frame(frame)
                yield frame
    except av.FFmpegError:  # the frames before it are judged; who reads the whole will say so
        return


def _luma(frame: VideoFrame, codec: str) -> np.ndarray:
    """(H, W) in grey levels, of the frame's middle."""
    layout = PixelLayout.parse(frame.format.name)
    if layout is None or not (layout.is_yuv or layout.family == "gray"):
        return grey_levels(read_pixels(frame, codec)[0])
    plane = frame.planes[0]
    codes = np.frombuffer(memoryview(plane), np.dtype(np.uint8 if layout.bits == 8 else "<u2"))
    codes = codes.reshape(plane.height, -1)[:, : plane.width]
    return 255 * scaled_luma(middle(codes), frame_range(frame), layout.bits)


def _bytes_per_frame(path: Path) -> float:
    """By the index of MP4 and QuickTime, of others by their first packets."""
    with open_container(path) as container:
        stream = video_stream(container, path)
        sizes = [entry.size for entry in stream.index_entries] if is_mp4(container) else []
        if not sizes:
            for packet in islice(container.demux(stream), _PACKETS):
                sizes += [packet.size] if packet.size else []
                if sum(sizes) > _PACKET_BYTES:
                    break
    return float(np.mean(sizes))
