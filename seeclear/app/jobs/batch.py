# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Many videos: which there are in a folder, which are done, and the run over all of them by one process or several."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from seeclear.video.codecs import OUTPUT_SUFFIXES, VIDEO_SUFFIXES
from seeclear.video.images import IMAGE_SUFFIXES

from .job import Job, Progress
from .processes import Processes

# Files in a folder of many videos that are taken for videos.
VIDEO_INPUT_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif", ".mpg", ".mpeg", ".m2v", ".ts", ".m2ts", ".mts"),
    *(".vob", ".wmv", ".asf", ".flv", ".f4v", ".ogv", ".3gp", ".3g2", ".mxf", ".y4m", ".dv", ".rm", ".rmvb"),
)

_POLL_SECONDS = 0.2


def list_videos(folder: Path, output: Path) -> list[tuple[Path, Path]] | None:
    """(input, output) of the videos in a folder, in the order of their names.

    A video file and a folder of images are one video each. "a.mp4" becomes "a.mp4" in the folder `output`; a file
    whose kind is not written gets ".mkv" added ("a.avi.mkv"), a folder of images becomes a folder of images.

    Returns:
        None where `folder` is no folder, or is one video: a folder of images.

    Raises:
        ValueError: there are images and videos, so that it is not clear which is meant; or there is neither; or
            `output` is no folder, or the same one.
    """
    if not folder.is_dir():
        return None
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    entries = [entry for entry in entries if entry.resolve() != output.resolve()]
    images = [entry for entry in entries if _is_image(entry)]
    videos = [entry for entry in entries if entry.is_file() and entry.suffix.lower() in VIDEO_INPUT_SUFFIXES]
    if images and videos:
        raise ValueError(
            f"{folder}: has images ({images[0].name}) and videos ({videos[0].name}); name one file, or a folder that "
            "has only the one or only the other."
        )
    if images:
        return None
    videos += [entry for entry in entries if entry.is_dir() and any(map(_is_image, entry.iterdir()))]
    if not videos:
        raise ValueError(f"{folder}: the folder has no images ({', '.join(IMAGE_SUFFIXES)}) and no videos.")
    if output.resolve() == folder.resolve():
        raise ValueError(f"{output}: the output must be another folder than the input.")
    if output.exists() and not output.is_dir() or not output.exists() and output.suffix.lower() in OUTPUT_SUFFIXES:
        raise ValueError(f"{output}: must be a folder, because {folder} has {len(videos)} videos.")
    return [(video, output / _output_name(video)) for video in sorted(videos)]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def _output_name(video: Path) -> str:
    return video.name if video.is_dir() or video.suffix.lower() in (*VIDEO_SUFFIXES, ".gif") else f"{video.name}.mkv"


@dataclass(frozen=True)
class Outcome:
    """What became of one video.

    Attributes:
        path_in, path_out: input and output.
        status: "done", "skipped" (it was done before) or "failed".
        job: the job of a video that was done.
        error: why it failed.
    """

    path_in: Path
    path_out: Path
    status: str
    job: Job | None = None
    error: Exception | None = None


class Task:
    """One video of a run.

    Args:
        path_in, path_out: input and output.
        make_job: opens the input, checks the settings for it, and gives the job.
        processes: who shares the work.
        restart: throw away what an interrupted job has left, and make anew what was done in another way.
        skip_done: skip an output that is there and was made from this input in this way.
    """

    def __init__(
        self,
        path_in: Path,
        path_out: Path,
        make_job: Callable[[Path, Path], Job],
        processes: Processes,
        restart: bool = False,
        skip_done: bool = False,
    ) -> None:
        self.path_in, self.path_out = path_in, path_out
        self._make_job, self._processes, self._restart, self._skip_done = make_job, processes, restart, skip_done
        self._job: Job | None = None
        self._outcome: Outcome | None = None

    def begin(self) -> None:
        """Opens the job, or finds that there is nothing to do; what goes wrong becomes the outcome."""
        if self._job is not None or self._outcome is not None:
            return
        try:
            job = self._make_job(self.path_in, self.path_out)
            if self._skip_done and not self._restart and job.is_done():
                self._outcome = Outcome(self.path_in, self.path_out, "skipped")
                job.close()
                return
            self._job = job
            if self._processes.leads:
                job.begin(self._restart)
            else:
                job.join()
        except (ValueError, OSError) as error:
            self._outcome = Outcome(self.path_in, self.path_out, "failed", error=error)
            self.close()

    def advance(self, progress: Progress) -> Outcome | None:
        """Works on the video; None while other processes are at work on what is left of it."""
        self.begin()
        if self._job is None or self._outcome is not None:
            return self._outcome
        try:
            if not self._job.run(progress):
                return None
            self._outcome = Outcome(self.path_in, self.path_out, "done", job=self._job)
        except (ValueError, OSError) as error:
            self._outcome = Outcome(self.path_in, self.path_out, "failed", error=error)
        self.close()
        return self._outcome

    def close(self) -> None:
        """Lets go of the job."""
        if self._job is not None:
            self._job.close()


def run_tasks(
    tasks: Sequence[Task], processes: Processes, progress: Progress, report: Callable[[Outcome], object]
) -> list[Outcome]:
    """Works on all videos until each of them is done, skipped or failed.

    Several processes go through the list side by side: each takes the pieces that no other one is at. The leading one
    waits until all is done; if another process ends early, what that one had taken becomes free again.

    Args:
        tasks: one a video.
        processes: who shares the work; all of them call this with the same list.
        progress: is told of frames.
        report: is told of every outcome as it is known.
    """
    outcomes = []
    pending = list(tasks)
    try:
        if processes.count > 1:
            if processes.leads:
                for task in tasks:
                    task.begin()
            processes.wait()
        while pending:
            for task in list(pending):
                outcome = task.advance(progress)
                if outcome is not None:
                    pending.remove(task)
                    outcomes.append(outcome)
                    report(outcome)
            if pending:
                time.sleep(_POLL_SECONDS)
    finally:
        for task in tasks:
            task.close()
    return outcomes
