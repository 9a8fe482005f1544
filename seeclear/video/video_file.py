# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""A video file as frames with time stamps."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av import VideoFrame
from av.packet import Packet
from av.video.stream import VideoStream

from seeclear.video.completeness import check_complete
from seeclear.video.container import display_matrix, gif_loop, is_mp4, lost_with_frame
from seeclear.video.decoding import PacketLog, coded_rate, declared_frames, decoded, read_opening
from seeclear.video.demuxing import SteadyPackets
from seeclear.video.image_sequence import DEFAULT_FPS
from seeclear.video.opening import open_container, video_stream
from seeclear.video.pixels import describe_format, frame_range, read_pixels
from seeclear.video.properties import VideoProperties
from seeclear.video.timestamps import (
    close_first_gap,
    frame_rate,
    half_frames,
    one_after_the_other,
    places,
    sorted_times,
    until_next,
)


class VideoFile:
    """What `VideoReader` uses for video files and animations.

    Args:
        path: of the file.
        fps: frames per second where the file does not say; None is `DEFAULT_FPS`.

    Raises:
        ValueError: not a video, without frames, cut off, or `fps` was given and the file states its own.
    """

    def __init__(self, path: Path, fps: Fraction | None) -> None:
        self.path = path
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
            self.properties = replace(
                self._describe(stream, animation),
                num_frames=None if declared is None else declared - opening.lost,
                **self._rate(stream, fps),
            )
        if animation:
            self._survey_animation()

    def _describe(self, stream: VideoStream, animation: bool) -> VideoProperties:
        """All but the clock."""
        first, lost = self._opening.frame, self._opening.lost
        bits, alpha, grey = describe_format(first.format.name)
        ratio = stream.sample_aspect_ratio
        tagged = first.color_range or frame_range(first) == 2
        notes = []
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

    def timed(self) -> Generator[tuple[VideoFrame, int, int], None, None]:
        """(frame, time stamp, duration in units of the time base) of every frame."""
        log = PacketLog()
        frames = self._decoded(log)
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
            self.notes = steady.notes(self.path)
            expected = self.properties.num_frames or 0
            if is_mp4(container):  # one packet is one frame there
                expected = max(expected, log.packets - len(log.lost_at_start()))
        if count < expected:
            raise ValueError(
                f"{self.path}: the video is cut off or damaged: {count} of its {expected} frames can be decoded."
            )

    def _broken(self, error: av.FFmpegError) -> ValueError:
        return ValueError(f"{self.path}: the video is cut off or damaged ({error.strerror}).")
