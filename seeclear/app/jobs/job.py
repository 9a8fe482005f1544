# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""One video from its first frame to the finished file, interrupted or not, by one process or by several."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from seeclear.app.models import ModelChoice, choose_model
from seeclear.app.paths import lies_within
from seeclear.files import remove, write_durably
from seeclear.pipelines.streaming import FinishedFrames, StreamState
from seeclear.runtime import give_back_memory, keep_freed_memory
from seeclear.shipped import AUTOMATIC_MODEL
from seeclear.video.assemble import assemble
from seeclear.video.codecs import keeps_colors
from seeclear.video.encode import encode_part
from seeclear.video.grain import GrainMeter
from seeclear.video.reader import VideoReader
from seeclear.video.scenes import SceneDetector
from seeclear.video.streams import check_output
from seeclear.wording import counted

from .comparison import check_comparison, comparison_manifest, write_comparison
from .folder import JobFolder
from .handling import Handling
from .loaded import LoadedModel
from .manifest import build_manifest, identify
from .plan import Plan, make_plan
from .records import check_replaceable, finished_frames, is_there, publish
from .result import UpscaleResult
from .settings import UpscaleSettings
from .source import FrameSource, resample, split_alpha
from .store import ClipStore
from .survey import Scene, Survey, take_survey

logger = logging.getLogger(__name__)


class Progress(Protocol):
    """What is told of frames."""

    def surveyed(self, job: Job) -> object:
        """Another frame was read in the first pass."""

    def finished(self, job: Job) -> object:
        """Another clip was finished, or an interrupted job was found; see `Job.finished_frames`."""


class JobInterrupted(KeyboardInterrupt):
    """Ctrl-C in a job; the message says how to go on."""


class Job:
    """The upscaling of one video.

    Args:
        path_in, path_out: input and output.
        settings: of the run.
        load: gives a model by its name; called when it is first needed.
        handling: of what is there.
        compare: a .png or video file that gets bicubic and ours side by side.
        leads: whether this process begins and ends the job; others help with its scenes.

    Attributes:
        result: what became of it, None while there is work to do.
        reader: of the input, once it is open.
        model: that it is restored with, likewise.
        plan: what is to be done, once that is clear.
        notes: which model was chosen and why, and what the output cannot keep of the input.
        survey: what the first pass found, once it is done.
    """

    reader: VideoReader
    model: LoadedModel
    plan: Plan

    def __init__(
        self,
        path_in: Path,
        path_out: Path,
        settings: UpscaleSettings,
        load: Callable[[str], LoadedModel],
        handling: Handling,
        compare: Path | None = None,
        leads: bool = True,
    ) -> None:
        self.path_in, self.path_out, self.compare = path_in, path_out, compare
        self.notes: list[str] = []
        self.survey: Survey | None = None
        self.result: UpscaleResult | None = None
        self._settings, self._load, self._handling, self._leads = settings, load, handling, leads
        self._folder = JobFolder(path_out)
        self._manifest: dict[str, Any] = {}
        self._opened = self._begun = False
        self._uncompared: int | None = None  # frames of an output that is done, of which there is no comparison
        self._restored, self._seconds = 0, 0.0

    # Before the work

    def open(self, check_place: bool = True) -> None:
        """Opens the input, and works out what is to be done; nothing is written. Sets `result` if nothing is.

        Args:
            check_place: see whether the output can be written where it is to be.

        Raises:
            ValueError: the input, the output, the model or a setting is not usable, an output is there that is not to
                be lost, or an interrupted job was begun in another way.
        """
        _check_distinct(self.path_in, self.path_out, self.compare)
        if self._handling.skip and is_there(self.path_out):
            left = self.compare is not None and not is_there(self.compare)
            self._skip(f"it is there; the comparison {self.compare} is not made" if left else "it is there")
            return
        keeps = keeps_colors(self.path_out, self.path_in)
        part = self._settings.excerpt
        self.reader = VideoReader(self.path_in, self._settings.fps, not keeps, part, self._settings.deinterlace)
        self._source, self._opened = FrameSource(self.reader), True
        choice = self._choose_model()
        self.model = self._load(choice.name)
        try:
            self.plan = make_plan(self.reader.properties, self.path_out, self._settings, self.model)
        except ValueError as error:
            if choice.reason is None:
                raise
            raise ValueError(f"{str(error).rstrip('.')}. {choice.describe(self.path_in)}") from error
        self._manifest = build_manifest(identify(self.path_in), self.plan.decisive, self.model.weights, choice)
        if self.compare is not None:
            check_comparison(self.compare, self.reader.properties.fps)
        if self._handling.overwrite:
            check_replaceable(self.path_out)
        elif self._is_done():
            self._skip("it was made before from this input with these settings")
            return
        if not self._handling.restart:
            self._folder.check(self._manifest)
        notes = check_output(
            self.path_out,
            self.reader.properties,
            self.plan.settings,
            self.plan.size,
            self.plan.drop_unsupported,
            place=check_place and not (self.path_out.is_dir() and is_there(self.path_out)),
        )
        chosen = [] if choice.reason is None else [choice.describe(self.path_in)]
        self.notes = list(dict.fromkeys([*chosen, *self.plan.properties.notes, *notes]))

    def _choose_model(self) -> ModelChoice:
        """The model that was named; or the one that an interrupted job, or the leading process, has chosen; or else
        the one for the look of the video.
        """
        if self._settings.model != AUTOMATIC_MODEL:
            return ModelChoice(self._settings.model)
        begun = None if self._leads and self._handling.restart else self._folder.model()
        return begun or choose_model(self.path_in, self._settings.excerpt)

    def begin(self) -> None:
        """Opens the job; makes its folder, or finds that of an interrupted one."""
        if self._opened or self.result is not None:
            return
        self.open()
        if self.result is not None:
            if self._opened and self._leads:  # it is done
                self._folder.clear_up(self._manifest)
                if self._uncompared is not None and self.compare is not None:
                    write_comparison(self.compare, self.reader, self.path_out, self._uncompared, self._manifest)
            return
        if self._leads:
            for note in self.notes:
                logger.warning(note)
            self._describe_plan()
            self._folder.begin(self._manifest, self._handling.restart)
        self._begun = True

    def try_to_begin(self) -> None:
        """Begins the job; what goes wrong becomes its result."""
        try:
            self.begin()
        except (ValueError, OSError) as error:
            self._fail(error)

    def _is_done(self) -> bool:
        """Whether the output is there and was made from this input in this way."""
        frames = finished_frames(self.path_out, self._manifest)
        if self.compare is not None:
            compared = finished_frames(self.compare, comparison_manifest(self._manifest))
            self._uncompared = frames if compared is None else None
        return frames is not None

    def close(self) -> None:
        """Lets go of the job; the leading process deletes its folder if it holds nothing worth keeping."""
        if self._opened:
            self.reader.close()
        self._folder.leave()

    def _describe_plan(self) -> None:
        config, settings = self.model.pipe.config, self.plan.settings
        length, overlap = settings.clips(config.clip_length, config.clip_overlap)
        tile = "whole frames" if settings.tile is None else f"tiles of {settings.tile} pixels"
        logger.info(
            f"{self.path_in}: {self.reader.width}x{self.reader.height} to {self.plan.size[1]}x{self.plan.size[0]}, "
            f"in clips of {length} frames that share {overlap}, {tile}."
        )

    # The work

    def run(self, progress: Progress) -> UpscaleResult | None:
        """Does all the work that no other process is at.

        Returns:
            What became of the video; None while others are at work on what is left of it.

        Raises:
            JobInterrupted: Ctrl-C; what is finished is kept.
        """
        if self.result is not None:  # in `try_to_begin`
            self.close()
            return self.result
        start = time.perf_counter()
        try:
            self.begin()
            start = time.perf_counter()  # without loading the model
            if self.result is None and self._has_survey(progress):
                assert self.survey is not None
                for scene in self.survey.scenes:
                    with self._folder.taken(scene) as store:
                        if store is None:
                            continue
                        for clip in self._clips(scene, store, progress):
                            finished = self._commit(clip, store)
                            del clip  # it is on the disk: memory for the encoder and for the next clip
                            self._encode_parts(scene, store, finished)
                            progress.finished(self)
                        self._check_end(scene)
                self._conclude(self.survey)
        except KeyboardInterrupt:
            raise JobInterrupted(self._interrupted()) from None
        except (ValueError, OSError) as error:
            self._fail(error)
        finally:
            self._seconds += time.perf_counter() - start
        if self.result is None:
            return None
        self.close()
        self.result = replace(self.result, seconds=self._seconds)
        return self.result

    def finished_frames(self) -> int:
        """Frames that are finished and on the disk, whoever made them; 0 before the first pass is done."""
        if self.survey is None or not self._folder.exists():
            return 0
        return sum(self._folder.finished_until(scene) - scene.start for scene in self.survey.scenes)

    def _has_survey(self, progress: Progress) -> bool:
        """Takes the survey, unless it was taken before; False while another process does, or where all is done."""
        if not self._leads and not self._folder.exists():  # finished, or given up by the leading process
            self.result = self._done(0)
            return False

        def take() -> Survey:
            start = time.perf_counter()
            detector = SceneDetector() if self.plan.settings.scene_detection else None
            meter = GrainMeter() if self.plan.settings.grain else None
            survey = take_survey(self.reader.frames(), detector, lambda: progress.surveyed(self), meter)
            for note in self.reader.notes:
                logger.warning(note)
            if meter is not None and not survey.grain:
                logger.warning(f"{self.path_in}: it has no grain that shows, so that `grain` adds none.")
            elif meter is not None:
                logger.info(f"{self.path_in}: grain of {survey.grain:.1f} grey levels.")
            logger.info(
                f"{self.path_in}: {counted(survey.num_frames, 'frame')}, scene cuts: {len(survey.scenes) - 1}, read "
                f"in {time.perf_counter() - start:.1f} s."
            )
            return survey

        if self.survey is None:
            self.survey = self._folder.survey(take)
        return self.survey is not None

    def _clips(self, scene: Scene, store: ClipStore, progress: Progress) -> Iterator[FinishedFrames]:
        """The clips that are still to be restored, from the last committed one on, each when it is asked for."""
        state = store.state() or StreamState(next_frame=scene.start, next_output=scene.start, tensors={})
        store.forget(after=state.next_output)
        self._encode_parts(scene, store, state.next_output)
        progress.finished(self)
        if state.next_output == scene.stop:
            return iter(())
        low_res = self._source.tensors(state.next_frame, scene.stop, state.next_output)
        settings = replace(self.plan.settings, scene_detection=False)  # `low_res` ends with the scene
        if self.model.device.type == "cpu":
            keep_freed_memory(large=settings.tile is None)
        return self.model.pipe.stream_clips(low_res, settings, state)

    def _commit(self, clip: FinishedFrames, store: ClipStore) -> int:
        """Keeps what a clip finished; the first frame that is not finished."""
        assert self.survey is not None
        count, grain = len(clip.frames), self.plan.grain(self.survey.grain, self.reader.height, self.reader.width)
        alphas = self._source.alphas(clip.start, count)
        resampled = resample(clip.frames, alphas, self.plan.size, grain, clip.start)
        store.commit(clip.start, count, resampled, clip.state)
        self._restored += count
        return clip.state.next_output

    def _encode_parts(self, scene: Scene, store: ClipStore, finished: int) -> None:
        """Encodes the parts that are complete, and lets go of their frames."""
        if self.plan.settings.tile is not None:  # large frames may not fit into what is free, which is in pieces
            give_back_memory()
        for start, stop in scene.parts():
            path = self._folder.part(start)
            if stop > finished:
                break
            if not path.exists():
                give_back_memory()  # the encoder has its own
                frames = (split_alpha(levels) for levels in store.frames(start, stop))
                write_durably(path, lambda draft, frames=frames: self._encode(draft, frames))  # type: ignore[misc]
            store.forget(before=stop)

    def _check_end(self, scene: Scene) -> None:
        finished = self._folder.finished_until(scene)
        if finished != scene.stop:
            raise ValueError(f"{self.path_in}: the video has changed: it ends at frame {finished}.")

    def _encode(self, path: Path, frames: Iterator[tuple[np.ndarray, np.ndarray | None]]) -> None:
        encode_part(path, frames, self.plan.properties, self.plan.settings)

    def _conclude(self, survey: Survey) -> None:
        """Ends the job if nothing is missing; the leading process puts the parts together."""
        missing = any(self._folder.missing_parts(scene) for scene in survey.scenes)
        if not self._leads:
            if not missing or not self._folder.exists():
                self.result = self._done(survey.num_frames)
        elif not missing:
            self._finish(survey)
            self.result = self._done(survey.num_frames)

    def _finish(self, survey: Survey) -> None:
        """Puts the parts together, and gives the output its name."""
        start = time.perf_counter()
        parts = [self._folder.part(first) for scene in survey.scenes for first, _ in scene.parts()]
        whole = self._folder.path / "output" / self.path_out.name
        remove(whole.parent)
        whole.parent.mkdir()
        notes = assemble(
            parts,
            survey.times,
            whole,
            source=self.path_in,
            properties=self.plan.properties,
            settings=self.plan.settings,
            drop_unsupported=self.plan.drop_unsupported,
            names=self.reader.names,
            excerpt=self.reader.excerpt,
        )
        for note in notes:
            logger.warning(note)
        if self.compare is not None:
            write_comparison(self.compare, self.reader, whole, survey.num_frames, self._manifest)
        publish(whole, self.path_out, self._manifest, survey.num_frames, self._handling.overwrite)
        self._folder.finish()
        logger.info(f"{self.path_out}: put together in {time.perf_counter() - start:.1f} s.")

    # What became of it

    def _skip(self, reason: str) -> None:
        self.result = UpscaleResult(self.path_in, self.path_out, "skipped", reason=reason)

    def _done(self, num_frames: int) -> UpscaleResult:
        height, width = self.plan.size
        return UpscaleResult(
            self.path_in,
            self.path_out,
            "done",
            frames=num_frames,
            restored_frames=self._restored,
            width=width,
            height=height,
            device=self.model.device,
            dtype=self.model.dtype,
        )

    def _fail(self, error: ValueError | OSError) -> None:
        if self._begun and not self._leads and not self._folder.exists():  # the leading process has finished the job
            self.result = self._done(0)
            return
        done = self.finished_frames()
        if done and self.survey is not None:
            whole = f"{done} of {self.survey.num_frames} frames are finished; the same command goes on from there."
            cause, error = error, ValueError(f"{error} {whole}")
            error.__cause__ = cause
        self.result = UpscaleResult(self.path_in, self.path_out, "failed", error=error)

    def _interrupted(self) -> str:
        done = self.finished_frames()
        if not done or self.survey is None:
            return "interrupted, nothing was written"
        return (
            f"interrupted with {done} of {self.survey.num_frames} frames finished; the same command goes on from there"
        )


def _check_distinct(path_in: Path, path_out: Path, compare: Path | None) -> None:
    if path_in.resolve() == path_out.resolve():
        raise ValueError(f"{path_out}: the output must be another file than the input.")
    if compare is not None and compare.resolve() in (path_in.resolve(), path_out.resolve()):
        raise ValueError(f"{compare}: the comparison must be another file than the input and the output.")
    for path, what in ((path_out, "output"), (compare, "comparison")):
        if path is not None and lies_within(path, path_in):
            raise ValueError(f"{path}: the {what} must not be in the folder {path_in}, which is the input.")
    if lies_within(path_in, path_out):
        raise ValueError(f"{path_out}: the output must not be a folder that the input, {path_in}, is in.")
