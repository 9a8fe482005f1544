# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""A video file as frames with time stamps."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av import VideoFrame
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from seeclear.video.completeness import check_complete
from seeclear.video.container import display_matrix, gif_loop, is_mp4, lost_with_frame, timecode
from seeclear.video.decoding import PacketLog, coded_rate, declared_frames, decoded, read_opening
from seeclear.video.deinterlacing import deinterlaced, has_fields
from seeclear.video.demuxing import SteadyPackets, arbitrary_start
from seeclear.video.excerpt import WHOLE, Excerpt
from seeclear.video.image_sequence import DEFAULT_FPS
from seeclear.video.opening import open_container, video_stream
from seeclear.video.pixels import describe_format, frame_range, read_pixels
from seeclear.video.properties import VideoProperties
from seeclear.video.seeking import find_entry
from seeclear.video.timestamps import (
    REORDERED,
    close_first_gap,
    frame_rate,
    half_frames,
    one_after_the_other,
    places,
    sorted_times,
    until_next,
)

_MICRO = 10**6
"""Units of a container's duration in a second."""


class VideoFile:
    """What `VideoReader` uses for video files and animations.

    Args:
        path: of the file.
        fps: frames per second where the file does not say; None is `DEFAULT_FPS`.
        excerpt: the part that is read.
        deinterlace: make one picture of the two fields of interlaced frames.

    Raises:
        ValueError: not a video, without frames, cut off, or `fps` was given and the file states its own; or no frame
            begins within `excerpt`.
    """

    def __init__(self, path: Path, fps: Fraction | None, excerpt: Excerpt = WHOLE, deinterlace: bool = False) -> None:
        self.path = path
        self._excerpt = excerpt
        self.notes: list[str] = []  # about what was found, once all frames were read
        check_complete(path)
        with open_container(path) as container:
            stream = video_stream(container, path)
            self._stream_base = Fraction(cast(Fraction, stream.time_base))
            declared = declared_frames(container, stream)
            animation = container.format.name in ("gif", "apng")
            try:
                opening = read_opening(path, container, stream)
            except av.FFmpegError as error:
                raise self._broken(error) from error
            if opening is None:
                raise ValueError(f"{path}: the video is empty or cut off: not one frame can be decoded.")
            self._opening = opening
            self._deinterlace = deinterlace and has_fields(stream)
            self._declared = None if declared is None else declared - opening.lost
            self.properties = replace(
                self._describe(stream, animation, deinterlace), num_frames=self._declared, **self._rate(stream, fps)
            )
            zero = arbitrary_start(container) if opening.clock != "none" else Fraction(0)
            self._first, self._stop = excerpt.bounds(self.properties.time_base, zero)
            self._find_excerpt(container)
        if animation:
            self._survey_animation()

    def _find_excerpt(self, container: InputContainer) -> None:
        """Where it begins, whether there is a frame in it, and how many there are where that is known.

        Raises:
            ValueError: there is none.
        """
        self._entry: int | None = None
        if self._excerpt.is_whole:
            return
        if self._first is not None:
            self._entry = find_entry(self.path, self._first, self._opening)
        is_open_ended = self._excerpt.duration is None and self._excerpt.frames is None
        count = self.count(1 if is_open_ended or not is_mp4(container) else None)
        if not count:
            length = "" if container.duration is None else f"; the video lasts {container.duration / _MICRO:.3f} s"
            asked = (
                "at or after the `start`" if self._excerpt.duration is None else "within the `start` and `duration`"
            )
            raise ValueError(f"{self.path}: no frame begins {asked} asked for, {self._excerpt.describe()}{length}.")
        is_known = not is_open_ended and (is_mp4(container) or self._excerpt.frames == 1)
        notes = self.properties.notes
        code = timecode(container)
        if code is not None and self._excerpt.start:
            notes = (*notes, f"{self.path}: the time code {code} is of its beginning, and is left out.")
        self.properties = replace(self.properties, num_frames=count if is_known else None, notes=notes)

    def _describe(self, stream: VideoStream, animation: bool, deinterlace: bool) -> VideoProperties:
        """All but the clock."""
        first, lost = self._opening.frame, self._opening.lost
        bits, alpha, grey = describe_format(first.format.name)
        ratio = stream.sample_aspect_ratio
        tagged = first.color_range or frame_range(first) == 2
        notes = []
        if self._opening.interlaced and not self._deinterlace:
            notes.append(
                f"{self.path}: the video says that it is interlaced: the rows of a frame are of two moments in turn, "
                "and are taken for one picture; `deinterlace` makes one of them."
            )
        if deinterlace and not self._opening.interlaced:
            notes.append(
                f"{self.path}: its beginning does not say that it is interlaced; `deinterlace` changes only frames "
                "that do."
            )
        if lost:
            which = "first frame refers" if lost == 1 else f"first {lost} frames refer"
            notes.append(f"{self.path}: the {which} to others that were cut away, and cannot be decoded or kept.")
        return VideoProperties(
            path=self.path,
            kind="gif" if animation else "video",
            codec=stream.codec_context.codec.canonical_name,
            width=first.width,
            height=first.height,
            pix_fmt=first.format.name,
            bit_depth=bits,
            has_alpha=alpha,
            is_grey=grey,
            time_base=self._stream_base,
            fps=DEFAULT_FPS,
            sample_aspect_ratio=Fraction(ratio) if ratio else None,
            display_matrix=display_matrix(first),
            color_range=frame_range(first) if tagged else 0,
            matrix=int(first.colorspace),
            primaries=int(first.color_primaries),
            transfer=int(first.color_trc),
            not_copied=lost_with_frame(first),
            loop=gif_loop(self.path) if animation else None,
            notes=tuple(notes),
        )

    def _rate(self, stream: VideoStream, fps: Fraction | None) -> dict[str, Any]:
        """The fields of the properties that say how many frames there are per second."""
        raw = self._opening.clock == "none"
        stated = (
            coded_rate(stream) if raw else frame_rate(stream.average_rate, stream.base_rate, 1 / self._stream_base)
        )
        if stated is not None and fps is not None:
            raise ValueError(
                f"{self.path}: `fps` is for images and for streams that do not say how many frames they have per "
                f"second, but this video has {stated}."
            )
        self._rate_is_stated = stated is not None
        rate = Fraction(stated or fps or DEFAULT_FPS)
        # of raw streams, which have no clock: in halves of a frame, as long as a field is shown
        base = 1 / (2 * rate) if raw else self._stream_base
        return {"fps": rate, "time_base": base, "fps_is_assumed": stated is None and fps is None}

    def _survey_animation(self) -> None:
        """Animations are short, and have no index: all frames are decoded for their number and for transparent pixels.

        Every GIF is decoded with alpha: whether it has any shows only in its pixels.
        """
        count = end = 0
        start: int | None = None
        has_alpha = False
        for frame, pts, duration in self.timed():
            start = pts if start is None else start
            count, end = count + 1, pts + duration
            alpha = None if has_alpha or not self.properties.has_alpha else self.pixels(frame)[1]
            has_alpha = has_alpha or (alpha is not None and bool((alpha < 1).any()))
        fps = Fraction(count) / ((end - (start or 0)) * self.properties.time_base)
        self.properties = replace(self.properties, num_frames=count, has_alpha=has_alpha, fps=fps)
        self._declared = count if self._excerpt.is_whole else None

    def count(self, most: int | None = None) -> int:
        """Frames of the excerpt, `most` at most; read without decoding them where packets say when they are shown."""
        if self._opening.clock != "shown":
            return sum(1 for _ in islice(self.timed(), most))
        limits = [limit for limit in (most, self._excerpt.frames) if limit is not None]
        count = beyond = 0
        with open_container(self.path) as container:
            stream = video_stream(container, self.path)
            self._enter(container, stream)
            try:
                for packet in SteadyPackets(container, [stream]):
                    if not packet.size or packet.is_discard or packet.pts is None:
                        continue
                    beyond += self._stop is not None and packet.pts >= self._stop
                    if beyond > REORDERED or count in limits:
                        break
                    count += self._holds(packet.pts)
            except av.FFmpegError as error:
                raise self._broken(error) from error
        return count

    def timed(self) -> Generator[tuple[VideoFrame, int, int], None, None]:
        """(frame, time stamp, duration in units of the time base) of every frame of the excerpt."""
        step = max(1, round(1 / (self.properties.fps * self.properties.time_base)))
        count = 0
        for frame, time, duration in self._all_timed():
            if self._stop is not None and time >= self._stop:
                return
            if self._holds(time):
                end = duration if self._stop is None else max(step, self._stop - time)
                yield frame, time, min(duration, end)
                count += 1
                if count == self._excerpt.frames:
                    return

    def _holds(self, time: int) -> bool:
        return (self._first is None or time >= self._first) and (self._stop is None or time < self._stop)

    def _enter(self, container: InputContainer, stream: VideoStream) -> None:
        """Goes to where the excerpt can be decoded from."""
        if self._entry is not None:
            container.seek(self._entry, stream=stream)

    def _all_timed(self) -> Generator[tuple[VideoFrame, int, int], None, None]:
        """The same of every frame from where the file is entered."""
        log = PacketLog()
        frames: Iterable[tuple[VideoFrame, int | None]] = self._decoded(log)
        if self._deinterlace:
            frames = self._deinterlaced(frames)
        base, rate = self.properties.time_base, self.properties.fps
        if self._opening.clock == "none":
            known = self._rate_is_stated  # else FFmpeg has worked out durations from a rate of its own
            lengths = ((f, half_frames(f.duration if known else None, self._stream_base, rate)) for f, _ in frames)
            yield from one_after_the_other(lengths)
            return
        step = max(1, round(1 / (rate * base)))
        times: Iterable[tuple[VideoFrame, int | None]]
        if self._opening.clock == "decoded":
            placed = places((frame, log.last if number is None else number) for frame, number in frames)
            times = ((frame, log.stamps(number).dts) for frame, number in placed)
            if self._opening.reorders:
                times = close_first_gap(times, step, self._opening.lost)
        else:
            times = ((frame, log.stamps(number).pts) for frame, number in frames)
            if self._opening.clock == "swapped":
                times = sorted_times(times)
        yield from until_next(times, step, lambda frame: (frame.duration or step) + log.empty_at_end * step)

    def pixels(self, frame: VideoFrame) -> tuple[np.ndarray, np.ndarray | None]:
        """(RGB (H, W, 3), alpha (H, W) or None), float32 in [0, 1], of a frame that `timed` gave."""
        try:
            return read_pixels(frame, self.properties.codec)
        except (ValueError, av.FFmpegError) as error:
            raise ValueError(f"{self.path}: the colours cannot be converted: {error}") from error

    def _decoded(self, log: PacketLog) -> Generator[tuple[VideoFrame, int | None], None, None]:
        """Every frame with the number of its packet."""
        with open_container(self.path) as container:
            stream = video_stream(container, self.path)
            stream.thread_type = "AUTO"
            self._enter(container, stream)
            count = 0

            def check(packet: Packet) -> None:
                if packet.is_corrupt:
                    raise ValueError(f"{self.path}: the video is cut off or damaged after frame {count}.")

            size = (self.properties.width, self.properties.height)
            steady = SteadyPackets(container, [stream])
            try:
                for frame, number in decoded(steady, stream, log, check):
                    if frame.is_corrupt:
                        raise ValueError(f"{self.path}: the video is damaged: a frame cannot be decoded whole.")
                    if (frame.width, frame.height) != size:
                        raise ValueError(
                            f"{self.path}: all frames must have one size, but it changes from "
                            f"{size[0]}x{size[1]} to {frame.width}x{frame.height}."
                        )
                    count += 1
                    yield frame, number
            except av.FFmpegError as error:
                raise self._broken(error) from error
            finally:
                self.notes = steady.notes(self.path)
            expected = 0 if self._entry is not None else self._declared or 0
            if is_mp4(container):  # one packet is one frame there
                expected = max(expected, log.packets - len(log.lost_at_start()))
        if count < expected:
            raise ValueError(
                f"{self.path}: the video is cut off or damaged: {count} of its {expected} frames can be decoded."
            )

    def _deinterlaced(
        self, frames: Iterable[tuple[VideoFrame, int | None]]
    ) -> Generator[tuple[VideoFrame, int | None], None, None]:
        try:
            yield from deinterlaced(frames)
        except av.FFmpegError as error:
            raise ValueError(f"{self.path}: the video cannot be deinterlaced ({error.strerror}).") from error

    def _broken(self, error: av.FFmpegError) -> ValueError:
        return ValueError(f"{self.path}: the video is cut off or damaged ({error.strerror}).")
