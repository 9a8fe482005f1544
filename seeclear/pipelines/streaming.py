# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The streaming core, which all pipelines share: LR frames -> clips -> tiles -> model -> blending -> HR frames.

One clip is in memory at a time. Clips of a scene may overlap in time and tiles in space; both are laid out and blended
by `seeclear.video.windows`. A scene cut ends a clip and empties what is carried from clip to clip. A pipeline drives:

    stream = ClipStream(frames, layout, settings, state)
    for clip in stream:                          whole LR frames, and what was carried from the clip before
        for tile in clip.tiles():                its parts; `crop_tile(clip.frames, tile)` cuts one out
            clip.paste(tile, ...)                what the model made of it
        finished = stream.finish(clip, carried)  blended with the clip before; `carried` is given to the next one

Shapes: B videos that run together (they share their scene cuts), F frames in a clip, H x W low-resolution size, s the
scale.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from seeclear.video.scenes import SceneFrames
from seeclear.video.windows import Window, cover, share

from .settings import RestorationSettings
from .tiles import Tile, Tiling, plan_tiles


@dataclass(frozen=True)
class Layout:
    """What a network asks of clips and tiles, as a value.

    Attributes:
        scale: s, the upscaling factor.
        clip_length: F, unless the settings say otherwise.
        clip_overlap: frames that two clips share, unless the settings say otherwise.
        reach: how many frames beyond either end of a clip it looks at.
        multiple_of: what height and width of a tile are multiples of, LR pixels.
        alignment: `multiple_of` times a power of two: what the corners of tiles had best be multiples of, LR pixels.
    """

    scale: int
    clip_length: int
    clip_overlap: int = 0
    reach: int = 0
    multiple_of: int = 1
    alignment: int = 1

    def plan_tiles(self, height: int, width: int, settings: RestorationSettings) -> Tiling:
        """The tiles of frames of `height` x `width` LR pixels."""
        return plan_tiles(height, width, settings, self.multiple_of, self.alignment)


class Clip:
    """What a pipeline is given, and what it has made of it: whole frames.

    Args:
        surroundings: LR frames (B, G, 3, H, W), float32 in [0, 1], on the CPU: those of the clip, and those of the
            scene before and after it that the layout can `reach`.
        first_frame: index in these of the clip's first frame.
        num_frames: F, how many it has.
        start: index of its first frame in the video.
        carried: what was carried over from the clip before; empty in the first clip of a scene.
        tiling: how its frames are cut.
        scale: s.
        skip: so many of its first frames were given out with the clip before.
    """

    def __init__(
        self,
        surroundings: Tensor,
        first_frame: int,
        num_frames: int,
        start: int,
        carried: dict[str, Tensor],
        tiling: Tiling,
        scale: int,
        skip: int = 0,
    ) -> None:
        self.surroundings, self.first_frame, self.num_frames = surroundings, first_frame, num_frames
        self.start, self.carried, self.tiling, self.scale, self.skip = start, carried, tiling, scale, skip
        self.canvas: Tensor | None = None

    @property
    def frames(self) -> Tensor:
        """The LR frames of the clip (B, F, 3, H, W)."""
        return self.surroundings.narrow(1, self.first_frame, self.num_frames)

    def tiles(self) -> Iterable[Tile]:
        """The parts of its frames, row by row."""
        return self.tiling.tiles(self.scale)

    def paste(self, tile: Tile, restored: Tensor) -> None:
        """Takes the HR frames of a tile (B, F, 3, s * height, s * width) in [0, 1], on any device."""
        batch_size, num_frames, channels, height, width = self.frames.shape
        size = (self.scale * height, self.scale * width)
        restored = restored[:, self.skip :]
        if tile.fine_weights is None:
            self.canvas = restored[..., : size[0], : size[1]].float().cpu()
            return
        if self.canvas is None:
            self.canvas = torch.zeros(batch_size, num_frames - self.skip, channels, *size)
        top, bottom, left, right = (self.scale * side for side in (tile.top, tile.bottom, tile.left, tile.right))
        target = self.canvas[..., top:bottom, left:right]
        rows, columns = target.shape[-2:]
        weighted = restored[..., :rows, :columns].float().cpu()
        target.add_(weighted * (tile.fine_weights[0][:rows, None] * tile.fine_weights[1][:columns]))


@dataclass
class StreamState:
    """What is carried from one clip to the next; on disk a safetensors file and nothing else.

    A stream that is given the state and the frames from `next_frame` on continues with the same bits. A stream that
    starts at the beginning of a scene, frame k, has the state `StreamState(next_frame=k, next_output=k)`.

    Attributes:
        next_frame: index of the first LR frame that must be read again to go on.
        next_output: index of the first HR frame that has not been given out.
        tensors: "blend", the HR frames from `next_output` on that wait for the next clip (B, n, 3, sH, sW);
            "model.*", what the model carries; "scene.*", what the scene detector remembers of the frames before
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
        frames: (n, 3, sH, sW), float32 in [0, 1], on the CPU; from [`ClipStream`] itself (B, n, 3, sH, sW).
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


class ClipStream:
    """The clips of a video one after the other, and what is made of them put together again.

    Args:
        frames: LR frames (B, 3, H, W), float32 in [0, 1], on the CPU, from `state.next_frame` on. At most a clip's,
            those within reach of it and one more are held at a time. Scene cuts are looked for in the first video of
            the batch.
        layout: what the network asks for.
        settings: how the video is cut.
        state: where to go on; None is the beginning of a video.

    Raises:
        ValueError: the settings do not fit the layout or the state, or (while iterating) the frames are of unequal
            size or end before those that the state has seen.
    """

    def __init__(
        self,
        frames: Iterable[Tensor],
        layout: Layout,
        settings: RestorationSettings,
        state: StreamState | None = None,
    ) -> None:
        state = StreamState() if state is None else state
        self._layout, self._settings = layout, settings
        self._clip_length, self._overlap = settings.clips(layout.clip_length, layout.clip_overlap)
        self._blend, self._carried = state.tensors.get("blend"), state.part("model")
        if self._blend is not None and self._blend.shape[1] != self._overlap:
            raise ValueError(
                f"`state` was saved with a clip overlap of {self._blend.shape[1]}; the settings say {self._overlap}"
            )
        self._source = SceneFrames(frames, state.next_frame, state.part("scene"), settings.scene_detection)
        self._new_scene, self._next_output = state.new_scene, state.next_output
        # the end of the clip before, in this scene
        self._done = self._next_output + (0 if self._blend is None else self._blend.shape[1])
        self._stop, self._last = self._done, False

    def __iter__(self) -> "ClipStream":
        return self

    def __next__(self) -> Clip:
        source, reach, length = self._source, self._layout.reach, self._clip_length
        scene_ends = source.fill(self._next_output + length + reach, length + 2 * reach)
        self._stop = min(self._next_output + length, source.stop)
        self._last = scene_ends and self._stop == source.stop
        start = self._next_output
        if self._last:  # a few frames alone would lack neighbors; the scene before them is at hand
            start = max(source.start, min(self._next_output, self._stop - shortest_last_clip(length)))
        if self._stop <= self._done:  # nothing came
            if not self._new_scene:
                raise ValueError(f"`frames` ends before frame {self._done}, although `state` was saved within a scene")
            raise StopIteration
        begin, end = max(source.start, start - reach), min(source.stop, self._stop + reach)
        surroundings = source.stack(begin, end)
        tiling = self._layout.plan_tiles(surroundings.shape[-2], surroundings.shape[-1], self._settings)
        skip = self._next_output - start
        carried, scale = self._carried, self._layout.scale
        return Clip(surroundings, start - begin, self._stop - start, start, carried, tiling, scale, skip)

    def finish(self, clip: Clip, carried: dict[str, Tensor]) -> FinishedFrames:
        """The frames that a clip finished, blended with the clip before; all its tiles have been pasted.

        Args:
            clip: the last one that was given out; it lets go of its frames.
            carried: what the next clip of the scene is given.
        """
        canvas, clip.canvas = clip.canvas, None
        assert canvas is not None
        canvas.clamp_(0, 1)
        if self._blend is not None:
            shares = share(Window(self._next_output, self._done), self._done, self._overlap)
            for index, part in enumerate(shares.tolist()):
                canvas[:, index].lerp_(self._blend[:, index], 1 - part)

        last, stop, reach = self._last, self._stop, self._layout.reach
        self._blend = None  # before the next one is made
        count = stop - self._next_output - (0 if last else self._overlap)
        if self._overlap and not last:
            self._blend = canvas[:, count:].clone()
        self._carried = {} if last else {name: value.detach().cpu() for name, value in carried.items()}
        self._source.drop(stop if last else max(self._source.start, stop + 1 - self._clip_length - reach))
        start, self._next_output, self._done = self._next_output, self._next_output + count, stop
        scene_start, self._new_scene = self._new_scene, last
        return FinishedFrames(start, canvas[:, :count], self._state(), scene_start)

    def _state(self) -> StreamState:
        parts = {"scene": self._source.detector_state(), "model": self._carried}
        tensors = {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}
        if self._blend is not None:
            tensors["blend"] = self._blend
        return StreamState(self._source.start, self._next_output, tensors, new_scene=self._new_scene)
