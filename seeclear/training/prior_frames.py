# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What a frozen lens makes of whole training videos, once, so that y of training crops is y as in use: made from whole
frames and clips of the full length. Restored anew for every crop it lacks what lies beyond the crop's edge, and takes
longer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm.auto import tqdm

from seeclear.data import Photo, Source
from seeclear.data.augmentation import augment
from seeclear.data.clips import degrade, low_res_of
from seeclear.data.degradations import BicubicDegradation, Degradation, GaussianDegradation
from seeclear.files import unwritable, write_durably
from seeclear.pipelines import SemanticLensPipeline
from seeclear.resize import to_uint8

from .semantics import source_key, weights_key


class PriorFrames:
    """Frames of a lens in a folder, 8-bit, one safetensors file for each source; as large as the videos uncompressed.

    They are found by the weights and configurations of the networks and of the pipeline, by the degradation, and by
    the path, size and time of the source. Photographs, whose clips are different ones in every sample, have none.

    Args:
        folder: made if it is not there.
        pipe: restores the videos, as SeeClear* has its lens restore them: with its clip length and overlap.
        sources: those of the data set, in its order.
        degradation: makes the low resolution of sources that have none of their own.
        autocast: makes the context in which the lens runs, for mixed precision.
        argument: by which a person asked for them.

    Raises:
        ValueError: `degradation` has chance in it, so that a frame has no one low-resolution version.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        pipe: SemanticLensPipeline,
        sources: Sequence[Source],
        degradation: Degradation,
        autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
        argument: str = "prior_dir",
    ) -> None:
        if not isinstance(degradation, BicubicDegradation | GaussianDegradation):
            raise ValueError(f"`{argument}` needs a `degradation` without chance in it, 'BI' or 'BD'")
        networks = [pipe.semantic_lens, *([] if pipe.semantic_distiller is None else [pipe.semantic_distiller])]
        about = [type(degradation).__name__, pipe.config.clip_length, pipe.config.clip_overlap]
        self.folder = Path(folder) / weights_key(networks, about)
        self.pipe, self.sources, self.degradation, self.autocast = pipe, list(sources), degradation, autocast
        self._files: dict[int, safe_open] = {}

    def path(self, index: int) -> Path:
        """The file of a source."""
        return self.folder / f"{source_key(self.sources[index])}.safetensors"

    def restore(self) -> None:
        """Restores the videos that are not there yet.

        Raises:
            ValueError: a file cannot be written; nothing half written is left.
        """
        missing = [i for i, source in enumerate(self.sources) if not isinstance(source, Photo) and self._broken(i)]
        self.pipe.set_progress_bar_config(disable=True)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self.folder, error) from error
        for index in tqdm(missing, desc="Videos for the prior", disable=not missing):
            frames = self._restored(self.sources[index])
            write_durably(self.path(index), partial(save_file, {"frames": frames}))

    def _broken(self, index: int) -> bool:
        try:
            with safe_open(self.path(index), framework="np") as file:
                return file.get_slice("frames").get_shape()[0] != len(self.sources[index])
        except (OSError, SafetensorError):
            return True

    @torch.no_grad()
    def _restored(self, source: Source) -> Tensor:
        """All frames of a source, uint8 (F, H, W, 3); rows and columns beyond whole LR pixels repeat the edge."""
        height, width = source.size
        own, scale = low_res_of(source), self.degradation.scale

        def low_res() -> Iterator[np.ndarray]:
            for i in range(len(source)):
                if own is not None:
                    yield own.frames(i, 1)[0]
                    continue
                frame = source.frames(i, 1)[:, : height // scale * scale, : width // scale * scale]
                pixels = torch.from_numpy(frame.transpose(0, 3, 1, 2).copy())
                yield degrade(pixels, self.degradation)[0].permute(1, 2, 0).numpy()

        with self.autocast():
            frames = torch.stack([to_uint8(frame) for frame in self.pipe.stream(low_res())])
        rows, columns = (torch.arange(n).clamp(max=m - 1) for n, m in zip(source.size, frames.shape[-2:], strict=True))
        return frames[:, :, rows][..., columns].permute(0, 2, 3, 1).contiguous()

    def crop(self, place: Sequence[int], count: int, size: tuple[int, int]) -> Tensor | None:
        """The frames of a sample, cut as it was.

        Args:
            place: of the sample, see [`ClipSample`].
            count: frames in it, F.
            size: height and width of the crop in LR pixels.

        Returns:
            uint8 (F, 3, s * height, s * width); None for a photograph, and for one frame all through: the
            video is restored with what its other frames show.
        """
        index, start, step, top, left, *augmentation = place
        if isinstance(self.sources[index], Photo) or step == 0:
            return None
        if index not in self._files:
            self._files[index] = safe_open(self.path(index), framework="np")
        stored = self._files[index].get_slice("frames")
        clip = np.concatenate([stored[number : number + 1] for number in range(start, start + count * step, step)])
        clip = augment(clip, *(flag != 0 for flag in augmentation))
        scale = self.degradation.scale
        rows, columns = (slice(scale * n, scale * (n + m)) for n, m in zip((top, left), size, strict=True))
        return torch.from_numpy(np.ascontiguousarray(clip[:, rows, columns].transpose(0, 3, 1, 2)))
