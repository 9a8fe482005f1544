# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Upscales videos and folders of images: what the command line calls."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from seeclear.app.jobs import (
    Engine,
    Forecast,
    Job,
    Outcome,
    Processes,
    Task,
    UpscaleSettings,
    check_comparison,
    join_processes,
    list_videos,
    make_forecast,
    make_plan,
    run_tasks,
)
from seeclear.pipelines.auto import load_pipeline as load_by_name
from seeclear.runtime import choose_device, keep_freed_memory, parse_dtype
from seeclear.video.codecs import keeps_colors
from seeclear.video.reader import VideoReader

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class UpscaleResult:
    """What `upscale_video` did.

    Attributes:
        path: the file or folder written.
        frames: frames of it, as many as the input has.
        restored_frames: those that were made in this run; fewer than `frames` where an interrupted job went on, or
            where several processes shared the work.
        width, height: of its stored frames in pixels.
        seconds: time of the job in this run, without loading the model.
        device, dtype: what it was computed with.
    """

    path: Path
    frames: int
    restored_frames: int
    width: int
    height: int
    seconds: float
    device: torch.device
    dtype: torch.dtype


@dataclass(frozen=True)
class FolderResult:
    """What became of one video of a folder.

    Attributes:
        path_in, path_out: input and output.
        status: "done", "skipped" (it was done before) or "failed".
        result: of a video that was done.
        error: why it failed.
    """

    path_in: Path
    path_out: Path
    status: str
    result: UpscaleResult | None = None
    error: Exception | None = None


def upscale_video(
    path_in: PathLike,
    path_out: PathLike,
    settings: UpscaleSettings | None = None,
    *,
    compare: PathLike | None = None,
    restart: bool = False,
    progress: bool = True,
    **changes: Any,
) -> UpscaleResult:
    """Upscales a video.

    Time stamps are kept, and sound, subtitles and all other streams are copied. Memory does not grow with the length
    of the video. Nothing appears under the final names before it is whole. What is finished is kept in a hidden folder
    beside the output until then: called again, it goes on where it was interrupted, and the file has the same bytes as
    that of an undisturbed run (with the same libraries on the same kind of machine, with as many threads).

    Args:
        path_in: a video file, an image, or a folder of images of one size.
        path_out: a file whose ending names the container, or a name without ending for a folder of PNGs.
        settings: all that decides what the output looks like.
        compare: a .png (middle frame) or video file that gets bicubic and ours side by side.
        restart: throw away what an interrupted run has left.
        progress: show a bar with the time left (on a terminal only).
        changes: single settings by their names, as in `upscale_video("in.mp4", "out.mp4", scale=2, seed=3)`.

    Raises:
        ValueError: input, output, model or a setting is not usable, or an interrupted run was begun in another way;
            the message says which and why.
        KeyboardInterrupt: Ctrl-C; its text says how to go on.
    """
    settings = replace(settings or UpscaleSettings(), **changes)
    path_in, path_out = Path(path_in), Path(path_out)
    run = _Run(settings, None if compare is None else Path(compare), restart, progress)
    (outcome,) = run.upscale([(path_in, path_out)], many=False, report=lambda _: None)
    if outcome.error is not None:
        raise outcome.error
    return run.result(outcome)


def upscale_folder(
    folder_in: PathLike,
    folder_out: PathLike,
    settings: UpscaleSettings | None = None,
    *,
    restart: bool = False,
    progress: bool = True,
    report: Callable[[FolderResult], object] = lambda _: None,
    **changes: Any,
) -> list[FolderResult]:
    """Upscales all videos in a folder, each as `upscale_video` does; a bad one does not stop the others.

    Videos that are done are skipped: a record beside each output, in the folder `.seeclear`, says which input,
    settings, weights and versions it was made with, and it counts as done only if these and its bytes are the same.
    Under `accelerate launch -m seeclear upscale` several processes share the videos and their scenes.

    Args:
        folder_in: a folder of video files and of folders of images.
        folder_out: gets an output for each; it is made if there is none.
        settings, restart, progress, changes: as in `upscale_video`.
        report: called with what became of each video as soon as it is known.

    Returns:
        What became of every video; in a process that only helps, of those it took part in.

    Raises:
        ValueError: `folder_in` has no videos, or the model or a setting is not usable.
        KeyboardInterrupt: Ctrl-C; its text says how to go on.
    """
    settings = replace(settings or UpscaleSettings(), **changes)
    folder_in, folder_out = Path(folder_in), Path(folder_out)
    videos = list_videos(folder_in, folder_out)
    if videos is None:
        raise ValueError(f"{folder_in}: must be a folder of videos or of folders of images.")
    run = _Run(settings, None, restart, progress)
    try:
        folder_out.mkdir(exist_ok=True)
    except OSError as error:
        raise ValueError(f"{folder_out}: cannot be written ({error.strerror}).") from error
    outcomes = run.upscale(videos, many=True, report=lambda outcome: report(run.folder_result(outcome)))
    return [run.folder_result(outcome) for outcome in outcomes]


def forecast_upscaling(
    path_in: PathLike, path_out: PathLike, settings: UpscaleSettings | None = None, **changes: Any
) -> list[Forecast]:
    """What `upscale_video`, or `upscale_folder` where `path_in` has many videos, would do; nothing is written.

    The first clip of each video is restored to see how long that takes.

    Raises:
        ValueError: as these two.
    """
    settings = replace(settings or UpscaleSettings(), **changes)
    path_in, path_out = Path(path_in), Path(path_out)
    many = list_videos(path_in, path_out)
    run = _Run(settings, None, restart=False, progress=False)
    forecasts = []
    for video, output in many or [(path_in, path_out)]:
        with VideoReader(video, srgb=not keeps_colors(output)) as reader:
            plan = make_plan(reader.properties, output, run.engine)
            forecasts.append(make_forecast(run.engine, reader, plan, video, output, check_place=many is None))
    return forecasts


def has_many_videos(path_in: PathLike, path_out: PathLike) -> bool:
    """Whether `path_in` is for `upscale_folder`; raises a ValueError where that is not clear."""
    return list_videos(Path(path_in), Path(path_out)) is not None


class _Run:
    """A call of one of the functions above."""

    def __init__(self, settings: UpscaleSettings, compare: Path | None, restart: bool, progress: bool) -> None:
        device = choose_device(settings.device)
        self.processes: Processes = join_processes(device, settings.device is not None)
        dtype, _ = parse_dtype(settings.dtype, self.processes.device)
        if self.processes.device.type == "cpu":
            keep_freed_memory()
        self._settings, self._dtype = settings, dtype
        self._compare, self._restart = compare, restart
        self._bars = Bars(progress and self.processes.leads)
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The model, loaded when it is first needed."""
        if self._engine is None:
            device = self.processes.device
            pipe = load_pipeline(self._settings.model, device, self._dtype)
            self._engine = Engine.build(pipe, self._settings, device, self._dtype)
        return self._engine

    def upscale(
        self, videos: Sequence[tuple[Path, Path]], many: bool, report: Callable[[Outcome], object]
    ) -> list[Outcome]:
        """Works on all of them."""
        tasks = [
            Task(video, output, lambda a, b: self._make_job(a, b, many), self.processes, self._restart, skip_done=many)
            for video, output in videos
        ]
        with self._bars:
            return run_tasks(tasks, self.processes, self._bars, report)

    def _make_job(self, path_in: Path, path_out: Path, many: bool) -> Job:
        _check_distinct(path_in, path_out, self._compare)
        reader = VideoReader(path_in, srgb=not keeps_colors(path_out))
        try:
            plan = make_plan(reader.properties, path_out, self.engine)
            if self._compare is not None:
                check_comparison(self._compare, reader.properties.fps)
            return Job(
                path_in,
                path_out,
                self.engine,
                reader,
                plan,
                compare=self._compare,
                keep_record=many,
                leads=self.processes.leads,
            )
        except BaseException:
            reader.close()
            raise

    def result(self, outcome: Outcome) -> UpscaleResult:
        """What a job that is done comes to."""
        job = outcome.job
        assert job is not None
        return UpscaleResult(
            path=outcome.path_out,
            frames=0 if job.survey is None else job.survey.num_frames,
            restored_frames=job.restored,
            width=job.plan.width,
            height=job.plan.height,
            seconds=job.seconds,
            device=self.processes.device,
            dtype=self._dtype,
        )

    def folder_result(self, outcome: Outcome) -> FolderResult:
        """The outcome for those who call from outside."""
        result = None if outcome.job is None else self.result(outcome)
        return FolderResult(outcome.path_in, outcome.path_out, outcome.status, result, outcome.error)


class Bars:
    """A bar for the first pass over each video and one for its upscaling.

    Args:
        shown: on a terminal; False shows none.
    """

    def __init__(self, shown: bool) -> None:
        self._disable = None if shown else True  # None: no bar where the output is no terminal
        self._job: Job | None = None
        self._kind = ""
        self._bar: Any = None

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def surveyed(self, job: Job) -> None:
        """Another frame was read in the first pass."""
        self._bar_for(job, "reading", job.declared_frames).update()

    def finished(self, job: Job) -> None:
        """Another clip was finished."""
        done = job.finished_frames()
        bar = self._bar_for(job, "upscaling", job.survey.num_frames if job.survey else None, initial=done)
        bar.update(done - bar.n)

    def _bar_for(self, job: Job, kind: str, total: int | None, initial: int = 0) -> Any:
        if job is not self._job or kind != self._kind:
            self._close()
            self._job, self._kind = job, kind
            self._bar = tqdm(total=total, initial=initial, unit="frame", desc=kind, disable=self._disable)
        return self._bar

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def load_pipeline(model: str, device: torch.device, dtype: torch.dtype) -> Any:
    """The pipeline of that name, folder or repository id, on `device` in `dtype`, with its own progress bars off."""
    pipe = load_by_name(model, dtype=dtype).to(device)  # diffusers warns where `to` is given a dtype
    pipe.set_progress_bar_config(disable=True)
    return pipe


def parameter_counts(pipe: Any) -> dict[str, int]:
    """Number of parameters of each component that has any."""
    parts = {name: part for name, part in pipe.components.items() if isinstance(part, torch.nn.Module)}
    return {name: sum(parameter.numel() for parameter in part.parameters()) for name, part in parts.items()}


def _check_distinct(path_in: Path, path_out: Path, compare: Path | None) -> None:
    if path_in.resolve() == path_out.resolve():
        raise ValueError(f"{path_out}: the output must be another file than the input.")
    if compare is not None and compare.resolve() in (path_in.resolve(), path_out.resolve()):
        raise ValueError(f"{compare}: the comparison must be another file than the input and the output.")
