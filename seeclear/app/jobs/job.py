# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""One video from its first frame to the finished file, interrupted or not, by one process or by several.

The folder of a job lies beside the output, under a hidden name, while there is work to do:

    .out.mp4.seeclear/
        manifest.json           what decides the output's bytes; the job goes on only where nothing of it changed
        survey.json             times and scenes
        scene-000000000/        finished clips, and the state after the last one, until their part is encoded
        parts/part-000000000…   encoded, each whole
        output/                 the output, while it is put together
        lock, survey.lock, scene-000000000/lock

Every file is written under another name, brought to the disk and renamed. Pieces of work - the survey, each scene, the
putting together - are taken by locks, which end with the process that holds them.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn, Protocol

import numpy as np
from torch import Tensor

from seeclear.files import Lock, remove, sync, sync_folder, unwritable, write_durably, write_json
from seeclear.pipelines.streaming import StreamState
from seeclear.resize import imresize
from seeclear.runtime import give_back_memory
from seeclear.video.assemble import assemble
from seeclear.video.encode import encode_part
from seeclear.video.reader import VideoReader
from seeclear.video.scenes import SceneDetector
from seeclear.video.streams import check_output

from .comparison import write_comparison
from .engine import Engine
from .manifest import build_manifest, differences, identify
from .plan import Plan
from .records import is_done, write_record
from .source import FrameSource
from .store import ClipStore, to_levels
from .survey import Scene, Survey, take_survey, to_tensor

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
        engine: the model.
        reader: of the input.
        plan: of `make_plan`.
        compare: a .png or video file that gets bicubic and ours side by side.
        keep_record: write down beside the output what it was made from.
        leads: whether this process begins and ends the job; others help with its scenes.

    Raises:
        ValueError: by any method: something cannot be read or written, or the job was begun in another way.
    """

    def __init__(
        self,
        path_in: Path,
        path_out: Path,
        engine: Engine,
        reader: VideoReader,
        plan: Plan,
        compare: Path | None = None,
        keep_record: bool = False,
        leads: bool = True,
    ) -> None:
        self.path_in, self.path_out, self.compare, self.plan = path_in, path_out, compare, plan
        self.folder = job_folder(path_out)
        self.manifest = build_manifest(identify(path_in), plan.settings, engine.weights)
        self.survey: Survey | None = None
        self.restored = 0
        self.seconds = 0.0
        self._engine, self._reader = engine, reader
        self._source = FrameSource(reader)
        self._keep_record, self._leads = keep_record, leads
        self._lock = Lock(self.folder / "lock")
        self._finished_folder = self.folder.with_name(f"{self.folder.name}-finished")

    def begin(self, restart: bool = False) -> None:
        """Makes the job's folder, or finds the one of an interrupted job; for the leading process.

        Args:
            restart: throw away what an interrupted job has left.
        """
        size = (self.plan.height, self.plan.width)
        notes = check_output(
            self.path_out, self._reader.properties, self.plan.encode, size, self.plan.drop_unsupported
        )
        for note in dict.fromkeys([*self.plan.properties.notes, *notes]):
            logger.warning(note)
        try:
            remove(self._finished_folder)  # of a process that was killed as it cleared up
            self.folder.mkdir(exist_ok=True)
            if not self._lock.acquire():
                raise ValueError(f"{self.path_out}: another process is at work on it.")
        except OSError as error:
            raise unwritable(self.path_out, error) from error
        if restart:
            self._clear()
        elif (self.folder / "manifest.json").exists():
            self._check_unchanged()
        if not (self.folder / "manifest.json").exists():
            self._clear()
            write_json(self.folder / "manifest.json", self.manifest)

    def join(self) -> None:
        """For a process that does not lead: makes sure that it helps with the same job."""
        if (self.folder / "manifest.json").exists():
            self._check_unchanged()

    def is_done(self) -> bool:
        """Whether the output is there and was made from this input in this way."""
        return not self.folder.exists() and is_done(self.path_out, self.manifest)

    def run(self, progress: Progress) -> bool:
        """Does all the work that no other process is at.

        Returns:
            Whether the job is finished; False while others are at work on what is left.

        Raises:
            JobInterrupted: Ctrl-C; what is finished is kept.
        """
        start = time.perf_counter()
        try:
            return self._run(progress)
        except KeyboardInterrupt:
            raise JobInterrupted(self._interrupted()) from None
        except (ValueError, OSError) as error:
            if not self._leads and not self.folder.exists():  # the leading process has finished the job
                return True
            self._fail(error)
        finally:
            self.seconds += time.perf_counter() - start

    def finished_frames(self) -> int:
        """Frames that are finished and on the disk, whoever made them; 0 before the first pass is done."""
        if self.survey is None or not self.folder.exists():
            return 0
        return sum(self._finished_until(scene) - scene.start for scene in self.survey.scenes)

    def close(self) -> None:
        """Lets go of the job; the leading process deletes its folder if it holds nothing worth keeping."""
        self._reader.close()
        if self._leads and self._lock.held:
            if not any(self.folder.glob("parts/part-*")) and not any(self.folder.glob("scene-*/state-*")):
                remove(self.folder)
            self._lock.release()

    @property
    def declared_frames(self) -> int | None:
        """Frames of the input, where it states their number."""
        return self._reader.num_frames

    # Pieces of the work

    def _run(self, progress: Progress) -> bool:
        if not self._leads and not self.folder.exists():  # finished, or given up by the leading process
            return True
        if self.survey is None:
            self.survey = self._survey(lambda: progress.surveyed(self))
            if self.survey is None:
                return False
        survey = self.survey
        for scene in survey.scenes:
            self._work_on(scene, lambda: progress.finished(self))
        if not self._leads:
            return not self.folder.exists() or not self._missing(survey)
        if self._missing(survey):
            return False
        self._finish(survey)
        return True

    def _survey(self, report: Callable[[], object]) -> Survey | None:
        """The survey, taken now or before; None while another process takes it."""
        path = self.folder / "survey.json"
        lock = Lock(self.folder / "survey.lock")
        if not path.exists():
            if not lock.acquire():
                return None
            try:
                if not path.exists():
                    detector = SceneDetector() if self.plan.stream.scene_detection else None
                    take_survey(self._reader.frames(), detector, report).save(path)
            finally:
                lock.release()
        return Survey.load(path)

    def _work_on(self, scene: Scene, report: Callable[[], object]) -> None:
        """Makes what is missing of a scene's parts, unless another process is at it."""
        if self._finished_until(scene) == scene.stop and not self._missing_parts(scene):
            return
        folder = self._scene_folder(scene)
        store, lock = ClipStore(folder), Lock(folder / "lock")
        if not lock.acquire():
            return
        try:
            if self._missing_parts(scene):
                self._restore(scene, store, report)
            store.clear()
        finally:
            lock.release()

    def _restore(self, scene: Scene, store: ClipStore, report: Callable[[], object]) -> None:
        """Goes on with a scene from its last committed clip."""
        state = store.state() or StreamState(next_frame=scene.start, next_output=scene.start, tensors={})
        store.forget(after=state.next_output)
        self._encode_parts(scene, store, state.next_output)
        report()
        if state.next_output == scene.stop:
            return
        alphas: dict[int, np.ndarray] = {}
        finished = state.next_output
        low_res = self._read(scene, state.next_frame, state.next_output, alphas)
        for clip in self._engine.stream_clips(low_res, self.plan.stream, state):
            count = len(clip.frames)
            opacity = [alphas.pop(clip.start + index, None) for index in range(count)]
            store.commit(clip.start, count, self._resample(clip.frames, opacity), clip.state)
            finished = clip.state.next_output
            self.restored += count
            del clip  # it is on the disk: memory for the encoder and for the next clip
            if self.plan.stream.tile is not None:  # large frames may not fit into what is free, which is in pieces
                give_back_memory()
            self._encode_parts(scene, store, finished)
            report()
        if finished != scene.stop:
            raise ValueError(f"{self.path_in}: the video has changed: it ends at frame {finished}.")

    def _read(self, scene: Scene, start: int, first: int, alphas: dict[int, np.ndarray]) -> Iterator[Tensor]:
        """LR frames from `start` to the end of the scene, (3, H, W) in [0, 1]; alpha from `first` on into `alphas`."""
        for index, frame in self._source.frames(start, scene.stop):
            if frame.alpha is not None and index >= first:
                alphas[index] = frame.alpha
            yield to_tensor(frame.rgb)

    def _resample(self, frames: Tensor, alphas: list[np.ndarray | None]) -> Iterator[np.ndarray]:
        """The model's frames (n, 3, sH, sW) at the size of the output with their alpha: uint16 (3 or 4, H, W) each."""
        size = (self.plan.height, self.plan.width)
        for frame, alpha in zip(frames, alphas, strict=True):
            planes = [*(frame if tuple(frame.shape[-2:]) == size else imresize(frame, size=size).clamp(0, 1))]
            if alpha is not None:
                planes.append(imresize(to_tensor(alpha[..., None]), size=size)[0].clamp(0, 1))
            levels = np.empty((len(planes), *size), np.uint16)
            for target, plane in zip(levels, planes, strict=True):  # one by one: they are large
                target[...] = to_levels(plane.numpy())
            yield levels

    def _encode_parts(self, scene: Scene, store: ClipStore, finished: int) -> None:
        """Encodes the parts that are complete, and lets go of their frames."""
        for start, stop in scene.parts():
            path = self._part(start)
            if stop > finished:
                break
            if not path.exists():
                give_back_memory()  # the encoder has its own
                frames = (_split(levels) for levels in store.frames(start, stop))
                write_durably(path, lambda draft, frames=frames: self._encode(draft, frames))  # type: ignore[misc]
            store.forget(before=stop)

    def _encode(self, path: Path, frames: Iterator[tuple[np.ndarray, np.ndarray | None]]) -> None:
        encode_part(path, frames, self.plan.properties, self.plan.encode)

    def _finish(self, survey: Survey) -> None:
        """Puts the parts together, and gives the output its name."""
        parts = [self._part(start) for scene in survey.scenes for start, _ in scene.parts()]
        whole = self.folder / "output" / self.path_out.name
        remove(whole.parent)
        whole.parent.mkdir()
        assemble(
            parts,
            survey.times,
            whole,
            source=self.path_in,
            properties=self.plan.properties,
            settings=self.plan.encode,
            drop_unsupported=self.plan.drop_unsupported,
            names=self._reader.names,
        )
        if self.compare is not None:
            write_comparison(self.compare, self._reader, whole, survey.num_frames)
        try:
            sync(whole)
            os.replace(whole, self.path_out)
            sync_folder(self.path_out.parent)
        except OSError as error:
            raise unwritable(self.path_out, error) from error
        if self._keep_record:
            write_record(self.path_out, self.manifest)
        # at one stroke: other processes either see all of the folder or nothing
        self.folder.replace(self._finished_folder)
        self._lock.release()
        remove(self._finished_folder)

    # What there is

    def _scene_folder(self, scene: Scene) -> Path:
        return self.folder / f"scene-{scene.start:09d}"

    def _part(self, start: int) -> Path:
        return self.folder / "parts" / f"part-{start:09d}"

    def _missing_parts(self, scene: Scene) -> bool:
        return any(not self._part(start).exists() for start, _ in scene.parts())

    def _missing(self, survey: Survey) -> bool:
        return any(self._missing_parts(scene) for scene in survey.scenes)

    def _finished_until(self, scene: Scene) -> int:
        """The first frame of the scene that is not finished, by the names of the files."""
        finished = scene.start
        for start, stop in scene.parts():
            if not self._part(start).exists():
                break
            finished = stop
        if finished < scene.stop and self._scene_folder(scene).exists():
            finished = max(finished, ClipStore(self._scene_folder(scene)).finished() or 0)
        return finished

    def _check_unchanged(self) -> None:
        before = json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))
        changed = differences(before, self.manifest)
        if changed:
            raise ValueError(
                f"{self.path_out}: an interrupted job cannot go on, because {'; '.join(changed)}. "
                "Give what it was begun with, or `--restart` to begin anew."
            )

    def _clear(self) -> None:
        for path in self.folder.iterdir():
            if path != self._lock.path:
                remove(path)
        (self.folder / "parts").mkdir()

    def _interrupted(self) -> str:
        done = self.finished_frames()
        if not done or self.survey is None:
            return "interrupted, nothing was written"
        return (
            f"interrupted with {done} of {self.survey.num_frames} frames finished; the same command goes on from there"
        )

    def _fail(self, error: ValueError | OSError) -> NoReturn:
        done = self.finished_frames()
        if not done or self.survey is None:
            raise error
        raise ValueError(
            f"{error} {done} of {self.survey.num_frames} frames are finished; the same command goes on from there."
        ) from error


def job_folder(path_out: Path) -> Path:
    """Where the job of an output keeps what it has done."""
    return path_out.with_name(f".{path_out.name}.seeclear")


def _split(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """(3 or 4, H, W) -> (rgb (H, W, 3), alpha (H, W) or None)."""
    return levels[:3].transpose(1, 2, 0), levels[3] if len(levels) == 4 else None
