# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Shows what the Semantic Distiller sees in a video: instances with their labels and identities, or what every token
stands for.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from tqdm.auto import tqdm

from seeclear.app.segment.overlay import draw_objects, draw_partition, enlarge
from seeclear.app.segment.tracking import IdentityTracker, choose_instances
from seeclear.app.upscale import load_pipeline
from seeclear.metrics.segmentation import enlarge_masks
from seeclear.models import SemanticDistiller
from seeclear.runtime import choose_device, keep_freed_memory, parse_dtype
from seeclear.shipped import DEFAULT_MODEL
from seeclear.version import __version__
from seeclear.video.reader import VideoReader, count_frames
from seeclear.video.writer import Draft, open_writer

VIEWS = ("instances", "tokens")
THRESHOLD = 0.7


@dataclass(frozen=True)
class SegmentedClip:
    """What is new in a clip, on the CPU in float32: n frames that no clip before had.

    Attributes:
        start: index of the first frame of the clip in the video; the new frames are its last ones.
        frames: the new frames, n times uint8 (H, W, 3).
        tokens, scores, labels, masks: of the frame-wise tokens, (n, K, ...) as in `SemanticDistillerOutput`.
        clip_tokens: (K_c, D).
        clip_masks: mask logits (n, K_c, h, w).
        identities: int64 (K_c,), numbers from 1 on that an object keeps through the video.
        objects: int64 (n, K), the identity of every frame-wise token that is an instance of a clip-wise token, 0 for
            the others.
    """

    start: int
    frames: list[np.ndarray]
    tokens: Tensor
    scores: Tensor
    labels: Tensor
    masks: Tensor
    clip_tokens: Tensor
    clip_masks: Tensor
    identities: Tensor
    objects: Tensor


@dataclass(frozen=True)
class SegmentResult:
    """What `segment_video` did."""

    path: Path
    """The file or folder written."""
    frames: int
    """Frames segmented."""
    width: int
    """Width of the output in pixels."""
    height: int
    """Height of the output in pixels."""
    objects: int
    """Instances with different identities that were seen."""
    seconds: float
    """Time from the first frame read to the last one written, without loading the model."""
    device: torch.device
    dtype: torch.dtype


@torch.no_grad()
def segment_clips(
    distiller: SemanticDistiller, frames: Iterable[np.ndarray], clip_length: int, threshold: float = THRESHOLD
) -> Iterator[SegmentedClip]:
    """Segments a video clip by clip; consecutive clips share a frame, by which identities are carried on.

    Args:
        distiller: on its device, in evaluation mode.
        frames: uint8 (H, W, 3), all of one size.
        clip_length: frames in a clip. The last clip is filled up with frames of the one before; a shorter video is one
            shorter clip.
        threshold: the least score of an instance: a probability, or a cosine similarity with an open vocabulary.

    Yields:
        The clips in order; together their new frames are all frames.
    """
    tracker = IdentityTracker()
    for start, clip, num_new in _clips(frames, clip_length):
        pixels = torch.from_numpy(np.stack(clip)).permute(0, 3, 1, 2)
        low_res = pixels.to(distiller.device) / 127.5 - 1
        output = distiller(low_res[None], refine=True)
        tokens, scores, masks = (value[0].float().cpu() for value in (output.tokens, output.scores, output.masks))
        clip_tokens, clip_masks = (value[0].float().cpu() for value in (output.clip_tokens, output.clip_masks))
        identities = tracker(start, clip_tokens, clip_masks > 0)
        objects = torch.zeros(scores.shape, dtype=torch.int64)
        for i in range(len(clip) - num_new, len(clip)):
            chosen = choose_instances(scores[i], masks[i] > 0, threshold)
            found = tracker.identify(masks[i, chosen] > 0, clip_masks[i] > 0)
            objects[i, chosen] = torch.tensor(found, dtype=torch.int64)
        yield SegmentedClip(
            start=start,
            frames=clip[-num_new:],
            tokens=tokens[-num_new:],
            scores=scores[-num_new:],
            labels=output.labels[0, -num_new:].cpu(),
            masks=masks[-num_new:],
            clip_tokens=clip_tokens,
            clip_masks=clip_masks[-num_new:],
            identities=identities,
            objects=objects[-num_new:],
        )


def draw_clip(clip: SegmentedClip, vocabulary: list[str], what: str = "instances") -> Iterator[np.ndarray]:
    """The new frames of a clip, enlarged and drawn onto: uint8 (H', W', 3).

    Args:
        clip: of `segment_clips`.
        vocabulary: names of the labels.
        what: "instances": the areas of the instances, each with number, label and score. "tokens": the frame divided
            among the clip-wise tokens, each pixel given to the one that says so most.
    """
    for i, frame in enumerate(clip.frames):
        picture = enlarge(frame)
        size = (picture.shape[0], picture.shape[1])
        if what == "tokens":
            logits = torch.nn.functional.interpolate(
                clip.clip_masks[i][None], size=size, mode="bilinear", align_corners=False
            )
            yield draw_partition(picture, clip.identities[logits[0].argmax(dim=0)])
            continue
        chosen = clip.objects[i].nonzero()[:, 0].tolist()  # the surest first, as tokens are
        numbers = clip.objects[i, chosen].tolist()
        captions = [
            f"{number} {vocabulary[int(clip.labels[i, token])]} {float(clip.scores[i, token]):.2f}"
            for number, token in zip(numbers, chosen, strict=True)
        ]
        yield draw_objects(picture, enlarge_masks(clip.masks[i, chosen], size), numbers, captions)


def segment_video(
    path_in: str | os.PathLike[str],
    path_out: str | os.PathLike[str],
    model: str = DEFAULT_MODEL,
    tokens: str | os.PathLike[str] | None = None,
    what: str = "instances",
    threshold: float = THRESHOLD,
    device: str | None = None,
    dtype: str = "auto",
    progress: bool = True,
) -> SegmentResult:
    """Draws what the model's distiller sees onto a video, at the size it has or enlarged to 640 pixels of width.

    Frames per second are kept and the sound is copied. Nothing appears under the final names before it is whole.

    Args:
        path_in: a video file, or a folder of images of one size.
        path_out: a file ending in .mp4, .mov, .mkv or .webm, a name without ending for a folder of PNGs, or a .png
            file for the middle frame.
        model: name of a shipped model, a folder, or a repository id of a model hub.
        tokens: a .safetensors file that gets what was found: for N frames and C clips `tokens` (N, K, D), `scores` and
            `labels` (N, K), `masks` uint8 (N, K, h, w), `objects` (N, K) (see [`SegmentedClip`]), `clip_tokens`
            (C, K_c, D), `clip_start` (C,) and `identity` (C, K_c). A frame belongs to the first clip that has it. The
            header has the vocabulary, as JSON, and the version. All of it is held in memory until the end.
        what: "instances" or "tokens", see `draw_clip`.
        threshold: the least score of an instance, see `segment_clips`.
        device: such as "cpu", "cuda" or "mps"; None takes the fastest there is.
        dtype: "auto", "fp32", "bf16" or "fp16".
        progress: show a bar with the time left (on a terminal only).

    Raises:
        ValueError: input, output, model or a setting is not usable; the message says which and why.
    """
    path_in, path_out = Path(path_in), Path(path_out)
    tokens = None if tokens is None else Path(tokens)
    _check(path_in, path_out, tokens, what)
    chosen_device = choose_device(device)
    chosen_dtype, _ = parse_dtype(dtype, chosen_device)
    if chosen_device.type == "cpu":
        keep_freed_memory()
    with ExitStack() as stack:
        reader = stack.enter_context(VideoReader(path_in))
        total = reader.num_frames if reader.num_frames is not None else count_frames(path_in)
        writer: _Writer
        if path_out.suffix.lower() == ".png":
            writer = stack.enter_context(_PictureWriter(path_out, total // 2))
        else:
            writer = stack.enter_context(open_writer(path_out, reader.fps, reader.names, path_in))
        record = None if tokens is None else stack.enter_context(_TokenRecord(tokens))
        pipe = load_pipeline(model, chosen_device, chosen_dtype)
        distiller = pipe.semantic_distiller
        vocabulary = list(distiller.config.vocabulary)
        start = time.perf_counter()
        # disable=None: no bar where the output is no terminal
        bar = stack.enter_context(
            tqdm(total=total, unit="frame", desc="segmenting", disable=None if progress else True)
        )
        count = height = width = 0
        seen: set[int] = set()
        for clip in segment_clips(distiller, reader, pipe.config.clip_length, threshold):
            for picture in draw_clip(clip, vocabulary, what):
                height, width, _ = picture.shape
                writer.write(picture)
            if record is not None:
                record.add(clip)
            seen.update(clip.objects.unique().tolist())
            count += len(clip.frames)
            bar.update(len(clip.frames))
        if record is not None:
            record.finish(vocabulary)
    return SegmentResult(
        path=path_out,
        frames=count,
        width=width,
        height=height,
        objects=len(seen - {0}),
        seconds=time.perf_counter() - start,
        device=chosen_device,
        dtype=chosen_dtype,
    )


class _Writer(Protocol):
    """What the pictures go to."""

    def write(self, frame: np.ndarray) -> None: ...


class _PictureWriter:
    """Keeps the frame of one index, and saves it as a PNG on success only."""

    def __init__(self, path: Path, index: int) -> None:
        self._path, self._index = path, index
        self._draft = Draft(path)
        self._written = 0
        self._frame: np.ndarray | None = None

    def __enter__(self) -> _PictureWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._frame is not None:
                Image.fromarray(self._frame).save(self._draft.path)
                self._draft.publish()
        finally:
            self._draft.discard()

    def write(self, frame: np.ndarray) -> None:
        if self._written <= self._index:
            self._frame = frame
        self._written += 1


class _TokenRecord:
    """Collects what was found in all clips, and writes it to a safetensors file on success only."""

    def __init__(self, path: Path) -> None:
        self._draft = Draft(path)
        self._clips: list[dict[str, Tensor]] = []

    def __enter__(self) -> _TokenRecord:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._draft.publish()
        self._draft.discard()

    def add(self, clip: SegmentedClip) -> None:
        self._clips.append(
            {
                "tokens": clip.tokens,
                "scores": clip.scores,
                "labels": clip.labels,
                "masks": (clip.masks > 0).to(torch.uint8),
                "objects": clip.objects,
                "clip_tokens": clip.clip_tokens[None],
                "clip_start": torch.tensor([clip.start]),
                "identity": clip.identities[None],
            }
        )

    def finish(self, vocabulary: list[str]) -> None:
        """Writes the file, not yet under its final name."""
        tensors = {name: torch.cat([clip[name] for clip in self._clips]).contiguous() for name in self._clips[0]}
        metadata = {
            "vocabulary": json.dumps(vocabulary),
            "seeclear_version": __version__,
            "torch_version": torch.__version__,
        }
        save_file(tensors, self._draft.path, metadata=metadata)


def _clips(frames: Iterable[np.ndarray], clip_length: int) -> Iterator[tuple[int, list[np.ndarray], int]]:
    """Clips that share one frame: (index of the first frame, frames, how many of the last of them are new)."""
    if clip_length < 1:
        raise ValueError(f"`clip_length` must be at least 1 frame, but was {clip_length}.")
    recent: deque[np.ndarray] = deque(maxlen=clip_length)
    count = num_new = 0
    for frame in frames:
        recent.append(frame)
        count, num_new = count + 1, num_new + 1
        first = count <= clip_length
        if num_new == (clip_length if first else max(1, clip_length - 1)):
            yield count - len(recent), list(recent), num_new
            num_new = 0
    if num_new:
        yield count - len(recent), list(recent), num_new


def _check(path_in: Path, path_out: Path, tokens: Path | None, what: str) -> None:
    if what not in VIEWS:
        raise ValueError(f"`what` must be one of {', '.join(VIEWS)}, but was {what!r}.")
    if path_in.resolve() == path_out.resolve():
        raise ValueError(f"{path_out}: the output must be another file than the input.")
    if tokens is not None and tokens.suffix.lower() != ".safetensors":
        raise ValueError(f"{tokens}: the ending of the file of tokens must be .safetensors.")
    if tokens is not None and tokens.resolve() in (path_in.resolve(), path_out.resolve()):
        raise ValueError(f"{tokens}: the tokens must go to another file than the input and the output.")
