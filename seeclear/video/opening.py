# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Video files opened by their content, and the stream in them that is the film.

Nothing but the named file is opened: lists of other files and addresses of a network are refused.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from functools import lru_cache
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from seeclear.video.flv import open_joined_flv

# FFmpeg's demuxers that open further files, devices or scripts.
_OPEN_OTHERS = {
    *("hls", "applehttp", "dash", "concat", "imf", "webm_dash_manifest", "sdp", "rtp", "rtsp", "sap", "vobsub", "mlv"),
    *("image2", "alias_pix", "brender_pix", "avisynth", "vapoursynth", "lavfi", "dvdvideo", "libgme", "tty"),
    *("alsa", "fbdev", "kmsgrab", "v4l2", "video4linux2", "x11grab", "xcbgrab", "pulse", "jack", "oss", "openal"),
    *("avfoundation", "dshow", "gdigrab", "vfwcap", "decklink", "android_camera", "iec61883", "libcdio", "libdc1394"),
}

# How texts begin that list other files.
PLAYLISTS = re.compile(
    rb"\s*(#EXTM3U|ffconcat\s|\[playlist\]|\[Reference\]|v=0\s|RTSPtext|<smil|<asx|(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*"
    rb"<(MPD|SmoothStreamingMedia|playlist|AssetMap|CompositionPlaylist))",
    re.IGNORECASE | re.DOTALL,
)

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(/{1,3})(?=[^/])")

# FFmpeg takes a GIF's delay below 2/100 s for 10/100 s, as browsers do; only the delay 0 needs another value.
_OPTIONS = {"min_delay": "1", "protocol_whitelist": "file"}

# Packets by which the lengths of several video streams are compared.
_COMPARED = 4000


def check_local(path: str | os.PathLike[str]) -> None:
    """Raises a ValueError, with what was typed, if a path is an address of a network or "-", and no file."""
    text = os.fspath(path)
    if os.path.exists(text):
        return
    if text == "-":
        raise ValueError('"-": the standard input is not read; name a file or a folder.')
    address = _ADDRESS.match(text)
    if address:
        slashes = "//" if len(address[2]) == 1 else address[2]  # pathlib makes one of two
        typed = f"{address[1]}:{slashes}{text[address.end() :]}"
        raise ValueError(f"{typed}: addresses are not opened; name a file or a folder on this machine.")


def open_container(path: Path, options: dict[str, str] | None = None) -> InputContainer:
    """Opens a video file with PyAV, by its content and whatever its name.

    Args:
        path: of the file.
        options: for FFmpeg's demuxer.

    Raises:
        ValueError: it is not a video, or a list of other files; the message names it.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise ValueError(f"{path}: cannot be opened ({error.strerror}).") from error
    if PLAYLISTS.match(head):
        raise ValueError(f"{path}: a list of other files, not a video; name the video itself.")
    # Single images are no videos; but a stream of JPEG images is told apart from one by its name only.
    demuxer = "mjpeg" if head[:2] == b"\xff\xd8" else None
    try:
        # an absolute path, so that a colon in a name is never taken for a protocol
        container = av.open(
            open_joined_flv(path) or os.path.abspath(path),
            mode="r",
            format=demuxer,
            metadata_errors="replace",
            container_options={**_OPTIONS, "format_whitelist": _safe_demuxers(), **(options or {})},
        )
    except av.error.ArgumentError as error:  # no demuxer, or one that is not on the list
        raise ValueError(f"{path}: not a video.") from error
    except av.FFmpegError as error:
        reason = "cut off or not a video" if isinstance(error, ValueError | EOFError) else "cannot be opened"
        raise ValueError(f"{path}: {reason} ({error.strerror}).") from error
    if container.format.name.endswith("_pipe"):
        container.close()
        raise ValueError(f"{path}: not a video.")
    return container


def is_video(path: Path) -> bool:
    """Whether FFmpeg knows a video in a file."""
    try:
        open_container(path).close()
    except ValueError:
        return False
    return True


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The stream that is upscaled: the largest of the longest ones, else the first one that players show.

    Raises:
        ValueError: there is none, or FFmpeg has no decoder for it.
    """
    streams = [
        stream
        for stream in container.streams.video
        if Disposition.attached_pic not in stream.disposition  # such as the cover of a piece of music
    ]
    if not streams:
        raise ValueError(f"{path}: the file has no video stream.")
    readable = [stream for stream in streams if stream.codec_context is not None]
    if not readable:
        raise ValueError(f"{path}: there is no decoder for the video stream.")
    if len(readable) == 1:
        return readable[0]
    lengths = _lengths(path)
    longest = max(lengths[stream.index] for stream in readable)
    # covers and thumbnails that are not marked as such have one frame or a few
    return max(
        (stream for stream in readable if 2 * lengths[stream.index] >= longest),
        key=lambda stream: (
            stream.codec_context.width * stream.codec_context.height,
            Disposition.default in stream.disposition,
            -stream.index,
        ),
    )


def _lengths(path: Path) -> Counter[int]:
    """Packets of each video stream among the first ones of a file."""
    counts: Counter[int] = Counter()
    with open_container(path) as container:
        for number, packet in enumerate(container.demux(video=list(range(len(container.streams.video))))):
            if number == _COMPARED:
                break
            counts[packet.stream.index] += packet.size > 0
    return counts


@lru_cache
def _safe_demuxers() -> str:
    """FFmpeg's list of the demuxers that read nothing but the file they are given."""
    return ",".join(sorted({name for names in av.formats_available for name in names.split(",")} - _OPEN_OTHERS))
