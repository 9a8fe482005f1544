# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Bars with the time left, on a terminal only."""

from __future__ import annotations

from typing import Any

from tqdm.auto import tqdm

from seeclear.app.jobs import Job


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
        self._bar_for(job, "reading", job.reader.num_frames).update()

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
