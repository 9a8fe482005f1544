# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Jobs, one or many, run by one process or several."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from .job import Job, JobInterrupted, Progress
from .processes import Processes
from .result import UpscaleResult

_POLL_SECONDS = 0.2


def run_jobs(
    jobs: Sequence[Job], processes: Processes, progress: Progress, report: Callable[[UpscaleResult], object]
) -> list[UpscaleResult]:
    """Works on all videos until each of them is done, skipped or failed.

    Several processes go through the list side by side: each takes the pieces that no other one is at. The leading one
    waits until all is done; if another process ends early, what that one had taken becomes free again.

    Args:
        jobs: one a video.
        processes: who shares the work; all of them call this with the same videos.
        progress: is told of frames.
        report: is told of every result as it is known.

    Raises:
        JobInterrupted: Ctrl-C; what is finished is kept.
    """
    results: list[UpscaleResult] = []
    pending = list(jobs)
    try:
        if processes.count > 1:
            if processes.leads:
                for job in jobs:
                    job.try_to_begin()
            processes.wait()
        while pending:
            for job in list(pending):
                result = job.run(progress)
                if result is not None:
                    pending.remove(job)
                    results.append(result)
                    report(result)
            if pending:
                time.sleep(_POLL_SECONDS)
    except JobInterrupted:
        if len(jobs) == 1:
            raise
        ended = f"{len(results)} of {len(jobs)} videos done"
        raise JobInterrupted(f"interrupted with {ended}; the same command goes on from there") from None
    finally:
        for job in jobs:
            job.close()
    return results
