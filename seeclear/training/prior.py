# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""SeeClear*: a frozen prior gives the frames from which the condenser starts, in training as in use."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from diffusers import ModelMixin
from torch import Tensor

from seeclear.models import SemanticLens
from seeclear.pipelines import SeeClearPipeline, SemanticLensPipeline, load_pipeline
from seeclear.pipelines.prior import check_prior
from seeclear.resize import imresize
from seeclear.shipped import SCALE, locate
from seeclear.training.lens_semantics import LensSemantics
from seeclear.training.prior_frames import PriorFrames
from seeclear.training.semantics import SemanticsCache


def set_prior(pipeline: SeeClearPipeline, name_or_path: str | os.PathLike[str]) -> None:
    """Makes a saved Semantic Lens the prior of `pipeline`, in float32.

    Args:
        pipeline: whose prior is replaced.
        name_or_path: the folder of a lens; or a saved `SemanticLensPipeline`: a folder, a Hub id or a shipped name.

    Raises:
        ValueError: there is no such lens, or it does not fit the pipeline ([`check_prior`]).
    """
    location = locate(name_or_path, "prior")
    if (Path(location) / SemanticLens.config_name).is_file():
        lens = SemanticLens.from_pretrained(location, dtype=torch.float32)
    else:
        saved = load_pipeline(location, dtype=torch.float32)
        if not isinstance(saved, SemanticLensPipeline):
            raise ValueError(
                f"`prior` is {str(name_or_path)!r}, a {type(saved).__name__}; it must be a SemanticLens or a "
                "SemanticLensPipeline"
            )
        lens = saved.semantic_lens
    check_prior(lens, pipeline.pixel_condenser, pipeline.semantic_distiller)
    pipeline.register_modules(prior=lens)


class TrainingPrior:
    """y of training crops: what the pipeline starts from where it restores such a clip.

    Args:
        model: the pipeline's prior, which is frozen here; None is bicubic.
        semantics: of the crops; a [`LensSemantics`] where `model` is a [`SemanticLens`] that needs them.
        num_clips: consecutive clips in a training sample; the prior sees them one by one, as in use.
        device: where to run it.
        autocast: makes the context in which it runs, for mixed precision.
        frames: what the model made of whole videos, out of which y is cut where there is any.
        with_features: whether the condenser looks at the features of the model, a [`SemanticLens`] then. They are
            those of the crop as it is shown, since features do not turn with a frame that is turned.
    """

    def __init__(
        self,
        model: ModelMixin | None,
        semantics: SemanticsCache | None,
        num_clips: int,
        device: torch.device | str = "cpu",
        autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
        frames: PriorFrames | None = None,
        with_features: bool = False,
    ) -> None:
        self.frames, self.with_features = frames, with_features
        self.model = None if model is None else model.requires_grad_(False).eval().to(device)
        if isinstance(model, SemanticLens):
            model.to(memory_format=torch.channels_last)  # as in use
        self.semantics = semantics
        self.num_clips = num_clips
        self.autocast = autocast

    @torch.no_grad()
    def __call__(self, low_res: Tensor, places: Tensor, used: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """y of a batch of crops, and the prior's features of them, where they are wanted.

        Args:
            low_res: the crops (B, num_clips * F, 3, h, w) in [-1, 1].
            places: where they are from (B, 9), see [`ClipSample`].
            used: for which of them the model is used, bool (B,), where it is not used for all; the others are
                enlarged by bicubic.

        Returns:
            (y (B, num_clips * F, 3, sh, sw), float32, about [-1, 1], features (B, num_clips * F, C, h, w) or None).
        """
        if self.model is None:
            return imresize(low_res, scale=SCALE), None
        if used is not None and not used.all():
            mixed = imresize(low_res, scale=SCALE)
            if used.any():
                mixed[used], _ = self(low_res[used], places[used.to(places.device)])
            return mixed, None
        if self.frames is not None:
            num_frames, size = low_res.shape[1], (low_res.shape[-2], low_res.shape[-1])
            cut = [self.frames.crop(place, num_frames, size) for place in places.tolist()]
            unknown = [i for i, frames in enumerate(cut) if frames is None]
            rest = iter(self._restore(low_res[unknown], places[unknown])[0]) if unknown else iter(())
            known = (None if frames is None else frames.to(low_res) / 127.5 - 1 for frames in cut)
            return torch.stack([next(rest) if frames is None else frames for frames in known]), None
        return self._restore(low_res, places)

    def _restore(self, low_res: Tensor, places: Tensor) -> tuple[Tensor, Tensor | None]:
        """What the model makes of crops, and its features."""
        assert self.model is not None
        clips = low_res.chunk(self.num_clips, dim=1)
        enlarged, features = [], []
        for clip, clip_places in zip(clips, split_places(places, self.num_clips, clips[0].shape[1]), strict=True):
            if isinstance(self.model, SemanticLens):
                known = {}
                if isinstance(self.semantics, LensSemantics):
                    known = self.semantics.semantics(clip, clip_places)
                with self.autocast():
                    output = self.model(clip, **known, return_hidden_states=self.with_features)
                restored = output.sample
                features.append(output.hidden_states)
            else:
                with self.autocast():
                    restored = self.model(clip.to(self.model.dtype))
            enlarged.append(restored.float())
        return torch.cat(enlarged, dim=1), torch.cat(features, dim=1) if self.with_features else None


def middle_frames(frames: Tensor, count: int) -> Tensor:
    """The `count` frames in the middle of clips (B, F, ...)."""
    return frames.narrow(1, (frames.shape[1] - count) // 2, count)


def middle_places(places: Tensor, num_frames: int, count: int) -> Tensor:
    """The places (B, 9), see [`ClipSample`], of the `count` frames in the middle of samples of `num_frames`, which are
    as many before them as after them: whether time is reversed makes no difference.
    """
    middle = places.clone()
    middle[:, 1] += (num_frames - count) // 2 * places[:, 2]
    return middle


def split_places(places: Tensor, num_clips: int, clip_length: int) -> list[Tensor]:
    """The places (B, 9), see [`ClipSample`], of the consecutive clips of `clip_length` frames that samples are made
    of, in the samples' order: a sample whose time is reversed begins with the last frames of the source.
    """
    parts = []
    for position in range(num_clips):
        part = places.clone()
        backwards = places[:, 8] != 0
        before = torch.where(backwards, num_clips - 1 - position, position) * clip_length  # frames of the source
        part[:, 1] += before * places[:, 2]
        parts.append(part)
    return parts
