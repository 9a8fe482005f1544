# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Where high-resolution frames come from: folders of frames, videos, and photographs under a moving camera."""

import itertools
import math
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    import av
    import av.container

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
VIDEO_SUFFIXES = (".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v")

END_MARKS = {"PNG": b"IEND", "JPEG": b"\xff\xd9"}
_TAIL = 4096
"""Bytes of a file in which its end mark is looked for: programs may append something to an image."""

Frames = NDArray[np.uint8]


class Source(Protocol):
    """A clip to cut training samples from."""

    name: str
    path: Path
    weight: float
    """How often this source is drawn, relative to the others."""
    size: tuple[int, int]
    """Height and width of the frames."""

    def __len__(self) -> int:
        """The number of frames."""
        ...

    def frames(self, start: int, count: int, step: int = 1) -> Frames:
        """Frames start, start + step, ...: (count, H, W, 3), RGB. Not to be written to: may be a view of a cache."""
        ...


def _check_range(name: str, length: int, start: int, count: int, step: int) -> None:
    if start < 0 or count < 1 or step < 1 or start + (count - 1) * step >= length:
        raise ValueError(f"`start`, `count`, `step` = {start}, {count}, {step} leave the {length} frames of {name!r}.")


def natural_key(name: str) -> list[tuple[int, str]]:
    """Sort key by which "frame2" comes before "frame10"."""
    parts = re.split(r"([0-9]+)", name)  # text and numbers in turn
    return [(int(part), "") if i % 2 else (-1, part) for i, part in enumerate(parts)] + [(-2, name)]


def image_files(folder: Path) -> list[Path]:
    """The images directly inside a folder, in natural order of their names; hidden files are none."""
    files = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != "."]
    return sorted(files, key=lambda path: natural_key(path.name))


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """Opens an image; ValueError names the file if it is none or breaks off."""
    try:
        with Image.open(path) as image:
            yield image
    except (OSError, SyntaxError) as error:
        raise ValueError(f"The image {str(path)!r} cannot be read: {error}") from error


def bits_a_channel(image: Image.Image) -> int:
    """PIL reads PNG and TIFF files of 16-bit colours as 8 bits without a word; their headers tell."""
    if image.mode.startswith(("I", "F")):
        return 16 if "16" in image.mode else 32
    tiles = getattr(image, "tile", [])  # (decoder, area, offset, arguments), the raw mode among the arguments
    if image.format == "PNG" and tiles and "16" in str(tiles[0][3]):
        return 16
    bits = getattr(image, "tag_v2", {}).get(258, 8)  # BitsPerSample of TIFF
    return max(bits) if isinstance(bits, tuple) else bits


def image_size(path: Path) -> tuple[int, int]:
    """Height and width, from an image's header, with what can be told quickly of files that will not be readable.

    Raises:
        ValueError: the file is no image, has more than 8 bits a channel, or breaks off: it lacks the mark that ends a
            PNG or JPEG, and its pixels cannot be read.
    """
    with open_image(path) as image:
        check_depth(path, bits_a_channel(image))
        if not _has_end(path, image.format):
            image.load()
        return image.height, image.width


def check_depth(path: Path, bits: int) -> None:
    """ValueError, with the file's name, for more than 8 bits a channel."""
    if bits > 8:
        raise ValueError(f"{str(path)!r} has {bits} bits a channel; frames must have 8.")


def _has_end(path: Path, image_format: str | None) -> bool:
    """Whether the last part of a file has the mark that ends its format; of other formats than two it is not known."""
    mark = END_MARKS.get(image_format or "")
    if mark is None:
        return True
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        return mark in file.read()


def read_image(path: Path) -> Frames:
    """(H, W, 3), RGB.

    Raises:
        ValueError: the file is no image, breaks off, has more than 8 bits a channel or pixels that are not opaque.
    """
    with open_image(path) as image:
        check_depth(path, bits_a_channel(image))
        image.load()
        if "A" in image.getbands() or "transparency" in image.info:
            rgba = image.convert("RGBA")
            if rgba.getchannel("A").getextrema()[0] != 255:
                raise ValueError(f"Images must be opaque, but {str(path)!r} has transparent pixels.")
        return np.asarray(image.convert("RGB"))


class FrameFolder:
    """A clip stored as a folder of equally large images, in natural order of their names.

    Args:
        path: the folder.
        cache: keep all frames in memory, decoded once, now.
        size: height and width of all frames where a data set's description says so: only the first file is looked at
            now. Otherwise the headers and the ends of all files are.
        low_res: the folder of the low-resolution versions of the same frames, for data sets that come with them.

    Raises:
        ValueError: the folder holds no image, images of different sizes or one that cannot be read (the pixels are
            read now with `cache`, else when they are asked for); `low_res` has another number of frames, or frames
            of which no whole factor makes the size of these.
    """

    def __init__(
        self,
        path: str | Path,
        cache: bool = False,
        size: tuple[int, int] | None = None,
        low_res: "FrameFolder | None" = None,
    ) -> None:
        self.path = Path(path)
        self.name = self.path.name
        self.files = image_files(self.path) if self.path.is_dir() else []
        if not self.files:
            raise ValueError(f"`path` must be a folder with images in it, but {str(path)!r} is not.")
        self.size = self._common_size(self.files if size is None else self.files[:1], size)
        self.weight = math.sqrt(len(self.files))
        self.low_res = low_res
        if low_res is not None:
            factors = {n // m for n, m in zip(self.size, low_res.size, strict=True)}
            exact = all(n % m == 0 for n, m in zip(self.size, low_res.size, strict=True))
            if len(low_res) != len(self) or len(factors) != 1 or not exact:
                raise ValueError(
                    f"{str(low_res.path)!r} has {len(low_res)} frames of {low_res.size}; they are no smaller versions "
                    f"of the {len(self)} frames of {self.size} in {str(path)!r}."
                )
        self._cached = self._read(self.files) if cache else None

    def _common_size(self, files: list[Path], expected: tuple[int, int] | None) -> tuple[int, int]:
        """(height, width) of some of the files."""
        for file in files:
            size = image_size(file)
            if expected is not None and size != expected:
                raise ValueError(f"{str(file)!r} is {size}, other frames of its folder are {expected}.")
            expected = size
        return expected  # type: ignore[return-value]

    def __len__(self) -> int:
        return len(self.files)

    def _read(self, files: list[Path]) -> Frames:
        frames = np.empty((len(files), *self.size, 3), dtype=np.uint8)
        for frame, file in zip(frames, files, strict=True):
            image = read_image(file)
            if image.shape != frame.shape:
                raise ValueError(f"{str(file)!r} is {image.shape[:2]}, other frames of its folder are {self.size}.")
            frame[:] = image
        return frames

    def frames(self, start: int, count: int, step: int = 1) -> Frames:
        _check_range(self.name, len(self), start, count, step)
        wanted = slice(start, start + (count - 1) * step + 1, step)
        return self._read(self.files[wanted]) if self._cached is None else self._cached[wanted]


class VideoFile:
    """A clip stored as a video.

    Args:
        path: the file.
        downscale: reduce every frame by this whole factor (bicubic, antialiased), against compression artefacts.
        cache: keep all frames in memory, decoded once, now. Without it an access decodes from the key frame before
            the first frame asked for, or from the file's start where its packets carry no time stamps.

    Raises:
        ValueError: the file is missing, is not a video or has no frames; `downscale` is less than 1.
    """

    def __init__(self, path: str | Path, downscale: int = 1, cache: bool = False) -> None:
        self.path = Path(path)
        self.name = self.path.name
        if downscale < 1:
            raise ValueError(f"`downscale` must be at least 1, but is {downscale}.")
        if not self.path.is_file():
            raise ValueError(f"`path` must be a video file, but there is no file {str(path)!r}.")
        self.downscale = downscale
        self._stream = self._find_stream()
        first = next(self._decode(), None)
        if first is None:
            raise ValueError(f"`path` must be a video with frames, but {str(path)!r} has none.")
        self.size = self._to_rgb(first).shape[:2]
        self._cached = np.stack([self._to_rgb(frame) for frame in self._decode()]) if cache else None
        times = self._packet_times() if self._cached is None else []
        self._length = len(times) if self._cached is None else len(self._cached)
        known = [time for time in times if time is not None]
        # what each frame is found by after a jump; empty where that is not possible
        self._times = sorted(known) if len(set(known)) == len(times) else []
        self.weight = math.sqrt(self._length)

    def __len__(self) -> int:
        return self._length

    def _find_stream(self) -> int:
        """The stream that is upscaled of such a file, too, not a cover or a thumbnail: its index among the videos."""
        from seeclear.video.opening import open_container, video_stream

        with open_container(self.path) as container:
            return container.streams.video.index(video_stream(container, self.path))

    @contextmanager
    def _open(self) -> "Iterator[tuple[av.container.InputContainer, av.VideoStream]]":
        import av

        from seeclear.video.opening import open_container

        with open_container(self.path) as container:
            stream = container.streams.video[self._stream]
            stream.thread_type = "AUTO"
            try:
                yield container, stream
            except av.FFmpegError as error:
                raise ValueError(f"{self.path}: cannot be decoded as a video ({error.strerror}).") from error

    def _packet_times(self) -> list[int | None]:
        """The time stamps of the frames' packets, without decoding them, in order of the file."""
        with self._open() as (container, stream):
            return [p.pts for p in container.demux(stream) if p.size and not p.is_discard]

    def _decode(self, start: int | None = None) -> "Iterator[av.VideoFrame]":
        """All frames; or those from the key frame at or before the time stamp `start` on."""
        with self._open() as (container, stream):
            if start is not None:
                container.seek(start, stream=stream)
            yield from container.decode(stream)

    def _to_rgb(self, frame: "av.VideoFrame") -> Frames:
        width, height = frame.width // self.downscale, frame.height // self.downscale
        return cast(Frames, frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="BICUBIC"))

    def _after_jump(self, wanted: range) -> list[Frames]:
        """Those of the wanted frames that decoding from a key frame gives intact."""
        times = [self._times[i] for i in wanted]
        kept: list[Frames] = []
        for frame in self._decode(times[0]):
            if frame.pts is None or frame.is_corrupt or frame.pts > times[len(kept)]:
                break
            if frame.pts == times[len(kept)]:
                kept.append(self._to_rgb(frame))
                if len(kept) == len(wanted):
                    break
        return kept

    def frames(self, start: int, count: int, step: int = 1) -> Frames:
        _check_range(self.name, len(self), start, count, step)
        wanted = range(start, start + (count - 1) * step + 1, step)
        if self._cached is not None:
            return self._cached[wanted.start : wanted.stop : step]
        kept = self._after_jump(wanted) if self._times else []
        if len(kept) < count:  # no time stamps, or a key frame that does not stand alone: from the start
            frames = itertools.islice(self._decode(), wanted.stop)
            kept = [self._to_rgb(frame) for i, frame in enumerate(frames) if i in wanted]
        if len(kept) < count:
            raise ValueError(f"{str(self.path)!r} ends before its frame {wanted[-1]}: it is damaged.")
        return np.stack(kept)


class Photo:
    """A photograph seen through a window that pans, zooms and turns a little.

    Each start index is a camera path of its own, decided by the photograph's name and the index alone. A window's
    pixel covers at least one pixel of the photograph, so nothing is magnified; the window is sampled at twice its
    resolution (bicubic) from a level of a pyramid and then averaged, so nothing is aliased either.

    Args:
        path: the image file.
        size: height and width of the frames.
        cache: keep the photograph in memory, decoded once, now.

    Raises:
        ValueError: the file cannot be read; the photograph's shorter side is less than `MARGIN` times the window's
            longer side.
    """

    MARGIN = 1.15
    """Room the window needs for its turning and zooming."""
    MAX_SHORT_SIDE = 1440
    """Larger photographs are reduced when read: at full resolution they are soft."""
    NUM_PATHS = 100_000
    MAX_PAN, MAX_ZOOM, MAX_TURN = 5.0, 0.01, 0.4
    """Per frame: window pixels, relative change, degrees."""

    def __init__(self, path: str | Path, size: tuple[int, int] = (224, 224), cache: bool = False) -> None:
        self.path = Path(path)
        self.name = self.path.name
        self.size = size
        height, width = image_size(self.path)
        if min(width, height) < self.MARGIN * max(size):
            raise ValueError(
                f"The photograph {str(path)!r} is {width}x{height}; for windows of `size` {size} (height, width) its "
                f"shorter side must be at least {math.ceil(self.MARGIN * max(size))}."
            )
        reduction = max(1.0, min(width, height) / self.MAX_SHORT_SIDE)
        self._photo_size = (round(width / reduction), round(height / reduction))
        self.weight = math.sqrt(self._photo_size[0] * self._photo_size[1] / 1e6)
        self._pyramid = self._read() if cache else None

    def __len__(self) -> int:
        return self.NUM_PATHS

    def _read(self) -> list[Image.Image]:
        """The photograph and its reductions by 2, 4, ..."""
        with open_image(self.path) as image:
            image.draft("RGB", self._photo_size)  # a JPEG decoder can skip detail that is not wanted
            levels = [image.convert("RGB").resize(self._photo_size, Image.Resampling.LANCZOS)]
        while min(levels[-1].size) // 2 >= self.MARGIN * max(self.size):
            levels.append(levels[-1].reduce(2))
        return levels

    def camera_path(self, rng: np.random.Generator, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where the window is at `times`, counted in frames; it stays inside the photograph throughout.

        Returns (len(times), 4): the centre's x and y, photograph pixels a window pixel, angle in radians.
        """
        span = max(float(times[-1]), 1.0)
        angle = np.radians(rng.uniform(-1, 1) + times * rng.uniform(-1, 1) * min(self.MAX_TURN, 1.5 / span))
        zoom = np.exp(times * rng.uniform(-1, 1) * min(self.MAX_ZOOM, 0.05 / span))
        zoom /= zoom.max()

        photo = np.array(self._photo_size, dtype=np.float64)
        window = np.array(self.size[::-1], dtype=np.float64)
        turned = np.abs(np.cos(angle))[:, None] * window + np.abs(np.sin(angle))[:, None] * window[::-1]
        largest = float((photo / (turned * zoom[:, None]).max(axis=0)).min())  # here the window touches two borders
        smallest = min(1.2 / zoom.min(), largest)
        zoom *= math.exp(rng.uniform(math.log(smallest), math.log(largest)))

        direction = rng.uniform(0, 2 * math.pi)
        speed = self.MAX_PAN * zoom.max() * rng.uniform(0, 1)
        pan = speed * times[:, None] * np.array([math.cos(direction), math.sin(direction)])
        half = (turned * zoom[:, None]).max(axis=0) / 2
        room = np.maximum(photo - 2 * half, 0)
        extent = np.ptp(pan, axis=0)
        pan *= np.minimum(1, room / np.maximum(extent, 1e-9))
        start = half - pan.min(axis=0) + rng.uniform(0, 1, 2) * (room - np.ptp(pan, axis=0))
        return np.concatenate([start + pan, zoom[:, None], angle[:, None]], axis=1)

    def frames(self, start: int, count: int, step: int = 1) -> Frames:
        _check_range(self.name, len(self), start, 1, step)
        rng = np.random.default_rng((zlib.crc32(self.name.encode()), start))
        pyramid = self._read() if self._pyramid is None else self._pyramid
        path = self.camera_path(rng, step * np.arange(count, dtype=np.float64))
        level = min(max(0, math.floor(math.log2(path[:, 2].min() / 1.2))), len(pyramid) - 1)
        photo = pyramid[level]
        reduction = np.array(self._photo_size) / np.array(photo.size)

        height, width = self.size
        frames = np.empty((count, height, width, 3), dtype=np.uint8)
        for frame, (x, y, zoom, angle) in zip(frames, path, strict=True):
            # The affine map from the pixels of the doubled window to the photograph's, both with corner (0, 0).
            (along, across), (cx, cy) = zoom / reduction / 2, (x, y) / reduction
            a, b = along * math.cos(angle), -along * math.sin(angle)
            d, e = across * math.sin(angle), across * math.cos(angle)
            matrix = (a, b, cx - a * width - b * height, d, e, cy - d * width - e * height)
            doubled = photo.transform(
                (2 * width, 2 * height), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC
            )
            frame[:] = np.asarray(doubled.reduce(2))
        return frames
