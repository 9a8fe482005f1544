# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Every form in which a video may be given, as one tensor."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from seeclear.video.reader import VideoReader

Frame: TypeAlias = Image.Image | np.ndarray | Tensor
VideoInput: TypeAlias = str | os.PathLike[str] | Image.Image | np.ndarray | Tensor | Sequence[Frame]

_FORMS = (
    "a path, a list of PIL images, a numpy array (F, H, W, 3) of uint8 or of floats in [0, 1], "
    "a tensor (F, 3, H, W) of uint8 or of floats in [0, 1], or a batch of these"
)


def read_input(video: VideoInput | Sequence[VideoInput]) -> tuple[Tensor, bool]:
    """A video or a batch of videos as one tensor.

    Args:
        video: a path to a video file or to a folder of images; a PIL image, which is a video of one frame, or a list
            of them; a numpy array (F, H, W, 3), uint8
            or float in [0, 1]; a tensor (F, 3, H, W), uint8 or float in [0, 1]; a list of single frames of these
            arrays or tensors; or a batch: a list of videos, an array (B, F, H, W, 3) or a tensor (B, F, 3, H, W).

    Returns:
        (float32 tensor (B, F, 3, H, W) in [0, 1], whether it was given as a batch; B is 1 where it was not).

    Raises:
        ValueError: another form or shape, nothing in it, NaN, values outside [0, 1], frames or videos of unequal size.
    """
    if isinstance(video, np.ndarray | Tensor):
        if video.ndim == 5:
            return torch.stack([_from_array(video[index]) for index in range(len(_nonempty(video)))]), True
        return _from_array(video)[None], False
    if isinstance(video, list | tuple) and video and _is_video(video[0]):
        videos = [_one_video(item) for item in video]
        shapes = {tuple(item.shape) for item in videos}
        if len(shapes) > 1:
            raise ValueError(f"`video`: all videos of a batch must have one shape, but they are {sorted(shapes)}.")
        return torch.stack(videos), True
    return _one_video(video)[None], False


def open_frames(video: VideoInput | Iterable[Frame]) -> Iterator[Frame]:
    """The frames of one video as they come: of a file without holding more than one, or of whatever can be iterated.

    Args:
        video: a path, a PIL image, an array (F, H, W, 3), a tensor (F, 3, H, W), or an iterable of PIL images, arrays
            (H, W, 3) or tensors (3, H, W).

    Raises:
        ValueError: it is a batch of videos, or nothing that has frames.
    """
    if isinstance(video, str | os.PathLike):
        return _frames_of_file(video)
    if isinstance(video, Image.Image):
        return iter([video])
    batch = video.ndim == 5 if isinstance(video, np.ndarray | Tensor) else False
    if batch or (isinstance(video, list | tuple) and video and _is_video(video[0])):
        raise ValueError("`video` is a batch; a stream takes one video at a time.")
    if not isinstance(video, Iterable):
        raise ValueError(f"`video` must be {_FORMS}, or an iterable of frames, but was {type(video).__name__}.")
    return iter(video)


def _frames_of_file(path: str | os.PathLike[str]) -> Iterator[Frame]:
    with VideoReader(path, srgb=True) as reader:
        if reader.properties.has_alpha:
            raise ValueError(f"{reader.path}: images must be opaque, but there are transparent pixels.")
        for frame in reader.frames():
            yield frame.rgb


def _is_video(item: object) -> bool:
    """Whether an element of a list is a video of a batch, and not a frame."""
    return isinstance(item, str | os.PathLike | list | tuple) or (
        isinstance(item, np.ndarray | Tensor) and item.ndim == 4
    )


def _one_video(video: object) -> Tensor:
    """(F, 3, H, W) float32 in [0, 1]."""
    if isinstance(video, str | os.PathLike):
        with VideoReader(video, srgb=True) as reader:
            if reader.properties.has_alpha:
                raise ValueError(f"{reader.path}: images must be opaque, but there are transparent pixels.")
            frames = [torch.from_numpy(frame.rgb).permute(2, 0, 1).contiguous() for frame in reader.frames()]
        return torch.stack(frames)
    if isinstance(video, Image.Image):
        return _from_frame(video, 0)[None]
    if isinstance(video, np.ndarray | Tensor):
        return _from_array(video)
    if not isinstance(video, list | tuple):
        raise ValueError(f"`video` must be {_FORMS}, but was {type(video).__name__}.")
    frames = [_from_frame(frame, index) for index, frame in enumerate(_nonempty(video))]
    shapes = {tuple(frame.shape[1:]) for frame in frames}
    if len(shapes) > 1:
        raise ValueError(f"`video`: all frames must have one size, but their (height, width) are {sorted(shapes)}.")
    return torch.stack(frames)


def _from_frame(frame: object, index: int) -> Tensor:
    """(3, H, W) float32 in [0, 1]."""
    if isinstance(frame, Image.Image):
        return _from_uint8(image_to_rgb(frame, f"`video`, frame {index}"))
    if isinstance(frame, np.ndarray | Tensor) and frame.ndim == 3:
        return _from_array(frame[None])[0]
    what = f"shape {tuple(frame.shape)}" if isinstance(frame, np.ndarray | Tensor) else type(frame).__name__
    raise ValueError(f"`video` must be {_FORMS}, but frame {index} of the list was {what}.")


def _from_array(video: np.ndarray | Tensor) -> Tensor:
    """(F, H, W, 3) numpy or (F, 3, H, W) torch as (F, 3, H, W) float32 in [0, 1]."""
    channels_last = isinstance(video, np.ndarray)
    axis = 3 if channels_last else 1
    if video.ndim != 4 or video.shape[axis] != 3:
        layout = "numpy array must be (F, H, W, 3)" if channels_last else "tensor must be (F, 3, H, W)"
        raise ValueError(f"`video`: a {layout}, or that with a batch in front, but was {tuple(video.shape)}.")
    if 0 in video.shape:
        raise ValueError(f"`video` must not be empty, but was of shape {tuple(video.shape)}.")
    if isinstance(video, np.ndarray):
        if video.dtype != np.uint8 and not np.issubdtype(video.dtype, np.floating):
            raise ValueError(f"`video` must be uint8 or float, but was {video.dtype}.")
        # torch warns of arrays that cannot be written to; these are copied
        values = torch.from_numpy(np.require(video, requirements=["C", "W"])).permute(0, 3, 1, 2)
    else:
        if video.dtype != torch.uint8 and not video.is_floating_point():
            raise ValueError(f"`video` must be uint8 or float, but was {video.dtype}.")
        values = video.detach()
    if values.dtype == torch.uint8:
        return values.to(torch.float32).contiguous() / 255
    values = values.to(torch.float32).contiguous()
    if not torch.isfinite(values).all():
        raise ValueError("`video` must be finite, but has NaN or infinite values.")
    low, high = (value.item() for value in torch.aminmax(values))
    if low < 0 or high > 1:
        raise ValueError(f"`video`: floats must be in [0, 1], but were in [{low:g}, {high:g}].")
    return values


def _from_uint8(frame: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 as (3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(frame).permute(2, 0, 1).to(torch.float32).contiguous() / 255


def image_to_rgb(image: Image.Image, name: str) -> np.ndarray:
    """A PIL image as uint8 RGB of shape (H, W, 3).

    Raises:
        ValueError: the image has more than 8 bits a channel, or pixels that are not opaque; `name` says which one.
    """
    if image.mode in ("F", "I") or ";" in image.mode:
        raise ValueError(f"{name}: images must have 8 bits a channel, but the mode of this one is {image.mode!r}.")
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        low, _ = image.getchannel("A").getextrema()
        if low != 255:
            raise ValueError(f"{name}: images must be opaque, but this one has transparent pixels.")
    return np.array(image.convert("RGB"))


def _nonempty(video: Sequence[Frame] | np.ndarray | Tensor) -> Sequence[Frame] | np.ndarray | Tensor:
    if not len(video):
        raise ValueError("`video` must not be empty, but has no frames.")
    return video
