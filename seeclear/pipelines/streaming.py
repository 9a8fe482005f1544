# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The streaming core, which all pipelines share: LR frames -> clips -> tiles -> model -> blending -> HR frames.

One clip is in memory at a time. Clips of a scene may overlap in time and tiles in space; both are laid out and blended
by `seeclear.video.windows`. A scene cut ends a clip and empties what is carried from clip to clip.

A pipeline hands in a [`ClipRestorer`], which knows the model, in three steps for every clip:

    context = restorer.begin_clip(clip)              whole frames: what all tiles share, such as semantics
    frames = restorer.restore_tile(context, tile)    for every tile; `crop_tile(clip.frames, tile)` cuts it out
    state = restorer.end_clip(context)               what the next clip of the scene is given as `clip.state`

and iterates over `stream_clips(restorer, frames, settings)`. A model without state returns {} from `end_clip`, one
without whole-frame context returns the clip itself from `begin_clip`. Tiles lie on a grid that the restorer states:
their sizes are multiples of `multiple_of`, and their corners, where the tile is large enough, of `alignment`, the
period after which a network with windows or strides treats positions alike. At the lower and right border a tile
reaches up to `multiple_of` - 1 pixels beyond the frame; there the frame's edge is repeated, and what the restorer
gives for it is cut off.

Shapes: B videos that run together (they share their scene cuts), F frames in a clip, H x W low-resolution size, s the
scale.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from seeclear.video.scenes import SceneFrames
from seeclear.video.windows import Window, blend_weights, cover, share

DEFAULT_TILE_OVERLAP = 32
"""LR pixels. With the first seeclear-tiny, what the border of a tile changes falls below 0.4/255 after 8 pixels and
below 0.1/255 after 16; blended over 32, no pixel differed by more than 1.2/255 from the untiled run, and by more than
0.01/255 outside of the overlap.
"""

Context = TypeVar("Context")


@dataclass(frozen=True)
class StreamSettings:
    """How a video is cut into clips and tiles; they decide memory and speed.

    Raises:
        ValueError: a value is out of its range.
    """

    clip_length: int | None = None
    """Frames that are restored together; None is the pipeline's."""
    clip_overlap: int | None = None
    """Frames that two clips share and that are blended, below `clip_length`; None is the pipeline's, if that is."""
    tile: int | tuple[int, int] | None = None
    """Side, or height and width, of a tile in LR pixels, rounded up to what the network needs; None is the frame."""
    tile_overlap: int | None = None
    """LR pixels that two tiles share at least, below `tile`; None is 32, or half the tile if that is less."""
    scene_detection: bool = True
    """Let a scene cut end a clip and empty what is carried on."""

    def __post_init__(self) -> None:
        tiles = () if self.tile is None else self.tile if isinstance(self.tile, tuple) else (self.tile,)
        if self.tile is not None and (len(tiles) not in (1, 2) or min(tiles) < 1):
            raise ValueError(f"`tile` is {self.tile}; it must be at least 1, or a height and a width of at least 1")
        if self.clip_length is not None and self.clip_length < 1:
            raise ValueError(f"`clip_length` is {self.clip_length}; it must be at least 1")
        if self.clip_overlap is not None and self.clip_overlap < 0:
            raise ValueError(f"`clip_overlap` is {self.clip_overlap}; it must be at least 0")
        if self.tile_overlap is not None and not 0 <= self.tile_overlap < min(tiles, default=self.tile_overlap + 1):
            raise ValueError(
                f"`tile_overlap` is {self.tile_overlap}; it must be at least 0 and below `tile`, {self.tile}"
            )

    def clips(self, clip_length: int, clip_overlap: int = 0) -> tuple[int, int]:
        """(frames in a clip, frames that two clips share), where the arguments are the pipeline's.

        Raises:
            ValueError: `clip_overlap` does not fit the length.
        """
        length = clip_length if self.clip_length is None else self.clip_length
        overlap = min(clip_overlap, length - 1) if self.clip_overlap is None else self.clip_overlap
        if overlap >= length:
            raise ValueError(f"`clip_overlap` is {overlap}; it must be below the clip's length, {length}")
        return length, overlap


@dataclass(frozen=True)
class Tile:
    """A part of the frame in LR pixels; at the lower and right border it may reach beyond it.

    `weights` of its rows and columns, float32, are those of the blending: over all tiles of a frame they sum to one at
    every pixel. None where the tile is the whole frame.
    """

    top: int
    bottom: int
    left: int
    right: int
    weights: tuple[Tensor, Tensor] | None = field(default=None, compare=False, repr=False)


@dataclass
class Clip:
    """What a restorer is given: whole frames.

    Attributes:
        surroundings: LR frames (B, G, 3, H, W), float32 in [0, 1], on the CPU: those of the clip, and those of the
            scene before and after it that the restorer can `reach`.
        first_frame: index in these of the clip's first frame.
        num_frames: F, how many it has.
        start: index of its first frame in the video.
        state: what `end_clip` gave for the clip before; empty in the first clip of a scene.
    """

    surroundings: Tensor
    first_frame: int
    num_frames: int
    start: int
    state: dict[str, Tensor]

    @property
    def frames(self) -> Tensor:
        """The LR frames of the clip (B, F, 3, H, W)."""
        return self.surroundings.narrow(1, self.first_frame, self.num_frames)


class ClipRestorer(Protocol[Context]):
    """A model with the settings of one run, see the module's description."""

    @property
    def scale(self) -> int:
        """s, the upscaling factor."""

    @property
    def clip_length(self) -> int:
        """F, unless the settings say otherwise."""

    @property
    def clip_overlap(self) -> int:
        """Frames that two clips share, unless the settings say otherwise."""

    @property
    def reach(self) -> int:
        """How many frames beyond either end of a clip it looks at."""

    @property
    def multiple_of(self) -> int:
        """What height and width of a tile are multiples of, LR pixels."""

    @property
    def alignment(self) -> int:
        """`multiple_of` times a power of two: what the corners of tiles had best be multiples of, LR pixels."""

    def begin_clip(self, clip: Clip) -> Context:
        """Prepares what all tiles of the clip share."""

    def restore_tile(self, context: Context, tile: Tile) -> Tensor:
        """HR frames of a tile (B, F, 3, s * height, s * width) in [0, 1], on any device; they are no one else's."""

    def end_clip(self, context: Context) -> dict[str, Tensor]:
        """The state that the next clip of the scene is given; called after the last tile."""


@dataclass
class StreamState:
    """What is carried from one clip to the next; on disk a safetensors file and nothing else.

    A stream that is given the state and the frames from `next_frame` on continues with the same bits. A stream that
    starts at the beginning of a scene, frame k, has the state `StreamState(next_frame=k, next_output=k)`.

    Attributes:
        next_frame: index of the first LR frame that must be read again to go on.
        next_output: index of the first HR frame that has not been given out.
        tensors: "blend", the HR frames from `next_output` on that wait for the next clip (B, n, 3, sH, sW);
            "model.*", the restorer's state; "scene.*", what the scene detector remembers of the frames before
            `next_frame`.
        new_scene: the next clip is the first of a scene.
    """

    next_frame: int = 0
    next_output: int = 0
    tensors: dict[str, Tensor] = field(default_factory=dict)
    new_scene: bool = True

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors whose names begin with `name.`, without that."""
        return {key[len(name) + 1 :]: value for key, value in self.tensors.items() if key.startswith(f"{name}.")}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes it to `path`, as it is named; the same state gives the same bytes."""
        numbers = {"next_frame": self.next_frame, "next_output": self.next_output, "new_scene": self.new_scene}
        tensors = {name: self.tensors[name].contiguous() for name in sorted(self.tensors)}
        save_file(tensors, os.fspath(path), metadata={"stream_state": json.dumps(numbers)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "StreamState":
        """Reads what [`save`] wrote.

        Raises:
            ValueError: the file is no saved state.
        """
        try:
            with safe_open(os.fspath(path), framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            numbers = json.loads(metadata["stream_state"])
            return cls(**numbers, tensors=tensors)
        except FileNotFoundError:
            raise
        except Exception as error:  # safetensors has an error class of its own, json another
            raise ValueError(f"{Path(path)}: this is no saved state of a stream ({error})") from error


@dataclass
class FinishedFrames:
    """The frames that a clip finished.

    Frames are large: the stream keeps no reference to what it has given out, and whoever iterates lets go of one
    before asking for the next (`del` at the end of the loop's body).

    Attributes:
        start: index of the first frame in the video.
        frames: (n, 3, sH, sW), float32 in [0, 1], on the CPU; from [`stream_clips`] itself (B, n, 3, sH, sW).
        state: from which a stream goes on after these frames.
        scene_start: frame `start` begins a scene.
    """

    start: int
    frames: Tensor
    state: StreamState
    scene_start: bool


def count_clips(num_frames: int, clip_length: int, clip_overlap: int) -> int:
    """The clips of a scene of `num_frames`."""
    return len(cover(num_frames, clip_length, clip_overlap))


def shortest_last_clip(clip_length: int) -> int:
    """How many frames the last clip of a scene has at least, if the scene has as many: it is filled up backwards."""
    return -(-clip_length // 2)


def plan_tiles(
    height: int, width: int, settings: StreamSettings, multiple_of: int = 1, alignment: int = 1
) -> tuple[list[Window], list[Window], tuple[int, int]]:
    """The tiles' rows and columns in LR pixels, and the overlaps (rows, columns) with which they are blended.

    A tile and its overlap are rounded up to `multiple_of`. Corners are multiples of `alignment`, or, where a tile less
    its overlap is smaller than that, of the largest half, quarter, ... of it that fits.
    """
    sides = settings.tile if isinstance(settings.tile, tuple) else (settings.tile, settings.tile)
    axes, overlaps = [], []
    for length, side in zip((height, width), sides, strict=True):
        padded = -(-length // multiple_of) * multiple_of
        size = padded if side is None else -(-side // multiple_of) * multiple_of
        if size >= padded:
            axes.append([Window(0, padded)])
            overlaps.append(0)
            continue
        overlap = min(DEFAULT_TILE_OVERLAP, size // 2) if settings.tile_overlap is None else settings.tile_overlap
        overlap = min(-(-overlap // multiple_of) * multiple_of, size - multiple_of)
        step = alignment
        while step > size - overlap:
            step //= 2
        axes.append(cover(padded, size, overlap, max(step, multiple_of)))
        overlaps.append(overlap)
    return axes[0], axes[1], (overlaps[0], overlaps[1])


def pad_frames(frames: Tensor, multiple_of: int) -> Tensor:
    """(B, F, C, H, W) with rows below and columns to the right, by repeating the edge, up to a multiple."""
    height, width = frames.shape[-2:]
    return crop_tile(frames, Tile(0, height + -height % multiple_of, 0, width + -width % multiple_of))


def crop_tile(frames: Tensor, tile: Tile, scale: int = 1) -> Tensor:
    """The tile of `frames` (B, F, C, scale * H, scale * W); beyond the frame the edge is repeated."""
    top, bottom, left, right = (scale * side for side in (tile.top, tile.bottom, tile.left, tile.right))
    part = frames[..., top:bottom, left:right]
    rows, columns = bottom - top - part.shape[-2], right - left - part.shape[-1]
    if not rows and not columns:
        return part
    return F.pad(part.flatten(0, 1), (0, columns, 0, rows), mode="replicate").unflatten(0, frames.shape[:2])


def restore_clip(
    restorer: ClipRestorer[Context], clip: Clip, settings: StreamSettings, first: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """One clip, tile by tile: (its HR frames from the one with index `first` in the clip on, the state after it).

    The frames are (B, F - first, 3, sH, sW), float32 in [0, 1], on the CPU.
    """
    scale = restorer.scale
    batch_size, num_frames, channels, height, width = clip.frames.shape
    rows, columns, overlaps = plan_tiles(height, width, settings, restorer.multiple_of, restorer.alignment)
    context = restorer.begin_clip(clip)
    if len(rows) == len(columns) == 1:
        restored = restorer.restore_tile(context, Tile(0, rows[0].stop, 0, columns[0].stop))
        canvas = restored[:, first:, :, : scale * height, : scale * width].float().cpu()
        return canvas.clamp_(0, 1), restorer.end_clip(context)

    # for every row and column of tiles: its window, its weights in LR pixels and in HR pixels
    tile_rows, tile_columns = (
        list(zip(windows, blend_weights(windows, overlap), blend_weights(windows, overlap, scale), strict=True))
        for windows, overlap in zip((rows, columns), overlaps, strict=True)
    )
    canvas = torch.zeros(batch_size, num_frames - first, channels, scale * height, scale * width)
    for row, row_weight, fine_row_weight in tile_rows:
        for column, column_weight, fine_column_weight in tile_columns:
            tile = Tile(row.start, row.stop, column.start, column.stop, (row_weight, column_weight))
            restored = restorer.restore_tile(context, tile)
            target = canvas[..., scale * row.start : scale * row.stop, scale * column.start : scale * column.stop]
            inside = slice(0, target.shape[-2]), slice(0, target.shape[-1])
            weighted = restored[:, first:, :, inside[0], inside[1]].float().cpu()
            target.add_(weighted * (fine_row_weight[inside[0], None] * fine_column_weight[inside[1]]))
    return canvas.clamp_(0, 1), restorer.end_clip(context)


def stream_clips(
    restorer: ClipRestorer[Context],
    frames: Iterable[Tensor],
    settings: StreamSettings,
    state: StreamState | None = None,
) -> Iterator[FinishedFrames]:
    """Upscales a video clip by clip.

    Args:
        restorer: the model.
        frames: LR frames (B, 3, H, W), float32 in [0, 1], on the CPU, from `state.next_frame` on. At most a clip's,
            those within `reach` of it and one more are held at a time. Scene cuts are looked for in the first video
            of the batch.
        settings: how the video is cut.
        state: where to go on; None is the beginning of a video.

    Yields:
        The finished frames after every clip; together they are as many as came in.

    Raises:
        ValueError: the settings do not fit the restorer, or the frames are of unequal size.
    """
    clip_length, overlap = settings.clips(restorer.clip_length, restorer.clip_overlap)
    reach = restorer.reach
    state = StreamState() if state is None else state
    source = SceneFrames(frames, state.next_frame, state.part("scene"), settings.scene_detection)
    new_scene, next_output = state.new_scene, state.next_output
    blend, model_state = state.tensors.get("blend"), state.part("model")
    if blend is not None and blend.shape[1] != overlap:
        raise ValueError(f"`state` was saved with a clip overlap of {blend.shape[1]}; the settings say {overlap}")
    del state
    done = next_output + (0 if blend is None else blend.shape[1])  # end of the clip before, in this scene
    while True:
        scene_ends = source.fill(next_output + clip_length + reach, clip_length + 2 * reach)
        stop = min(next_output + clip_length, source.stop)
        last = scene_ends and stop == source.stop
        start = next_output
        if last:  # a few frames alone would lack neighbors; the scene before them is at hand
            start = max(source.start, min(next_output, stop - shortest_last_clip(clip_length)))
        if stop <= done:  # nothing came
            if not new_scene:
                raise ValueError(f"`frames` ends before frame {done}, although `state` was saved within a scene")
            return
        begin, end = max(source.start, start - reach), min(source.stop, stop + reach)
        clip = Clip(source.stack(begin, end), start - begin, stop - start, start, model_state)
        first = next_output - start
        canvas, model_state = restore_clip(restorer, clip, settings, first)
        del clip
        if blend is not None:
            shares = share(Window(next_output, done), done, overlap)
            for index, part in enumerate(shares.tolist()):
                canvas[:, index].lerp_(blend[:, index], 1 - part)

        blend = None  # before the next one is made
        finished = stop - next_output if last else stop - overlap - next_output
        if overlap and not last:
            blend = canvas[:, finished:].clone()
        model_state = {} if last else {name: value.detach().cpu() for name, value in model_state.items()}
        source.drop(stop if last else max(source.start, stop + 1 - clip_length - reach))
        start, next_output, done = next_output, next_output + finished, stop
        parts = {"scene": source.detector_state(), "model": model_state}
        tensors = {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}
        after = StreamState(source.start, next_output, tensors, new_scene=last)
        if blend is not None:
            after.tensors["blend"] = blend
        ready = [FinishedFrames(start, canvas[:, :finished], after, scene_start=new_scene)]
        new_scene = last
        del canvas, after
        yield ready.pop()
