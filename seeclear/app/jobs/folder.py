# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What a job keeps on the disk while there is work to do.

Its folder lies beside the output, under a hidden name:

    .out.mp4.seeclear/
        manifest.json           what decides the output's bytes; the job goes on only where nothing of it changed
        survey.json             times, scenes and grain
        scene-000000000/        finished clips, and the state after the last one, until their part is encoded
        parts/part-000000000…   encoded, each whole
        output/                 the output, while it is put together, and a folder that it replaces
        lock, survey.lock, scene-000000000/lock

Every file is written under another name, brought to the disk and renamed. Pieces of work - the survey, each scene, the
putting together - are taken by locks, which end with the process that holds them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seeclear.app.models import ModelChoice
from seeclear.files import Lock, beside, make_private_folder, remove, remove_drafts, target_of, unwritable, write_json

from .manifest import differences
from .store import ClipStore
from .survey import Scene, Survey


class JobFolder:
    """The folder of the job of one output.

    Args:
        path_out: the output.
    """

    def __init__(self, path_out: Path) -> None:
        self.path_out = path_out
        self.path = job_folder(path_out)
        self._lock = Lock(self.path / "lock")
        self._finished = beside(target_of(path_out), ".", ".seeclear-finished")

    def exists(self) -> bool:
        """Whether the job has begun and is neither finished nor given up."""
        return self.path.exists()

    # As a whole, by the process that leads

    def begin(self, manifest: Mapping[str, Any], restart: bool) -> None:
        """Makes the folder, or finds that of an interrupted job.

        Args:
            manifest: what decides the output, as an interrupted job has it (see `check`).
            restart: throw away what an interrupted job has left.

        Raises:
            ValueError: it cannot be written, or another process is at it.
        """
        try:
            remove(self._finished)  # of a process that was killed as it cleared up
            make_private_folder(self.path)
            if not self._lock.acquire():
                raise ValueError(f"{self.path_out}: another process is at work on it.")
            remove_drafts(self.path)
        except OSError as error:
            raise unwritable(self.path_out, error) from error
        if restart:
            self._clear()
        if not self._manifest.exists():
            self._clear()
            write_json(self._manifest, manifest)

    def check(self, manifest: Mapping[str, Any]) -> None:
        """Raises a ValueError if the job was begun in another way than `manifest` says."""
        changed = self._changes(manifest) if self._manifest.exists() else []
        if changed:
            raise ValueError(
                f"{self.path_out}: an interrupted job cannot go on, because {'; '.join(changed)}. "
                "Give what it was begun with, or `restart` to begin anew."
            )

    def model(self) -> ModelChoice | None:
        """The model that was chosen when the job was begun; None where it has not begun, or the model was named."""
        if not self._manifest.exists():
            return None
        found = json.loads(self._manifest.read_text(encoding="utf-8")).get("model") or {}
        return ModelChoice(**found) if found.get("reason") else None

    def clear_up(self, manifest: Mapping[str, Any]) -> None:
        """Deletes what a process has left that was killed after the output was there that `manifest` decides."""
        remove(self._finished)
        if self._manifest.exists() and not self._changes(manifest) and self._lock.acquire():
            self.finish()

    def finish(self) -> None:
        """Deletes the folder, at one stroke: other processes either see all of it or nothing."""
        self.path.replace(self._finished)
        self._lock.release()
        remove(self._finished)

    def leave(self) -> None:
        """Lets go of the folder, and deletes it if it holds nothing worth keeping."""
        if self._lock.held:
            if not any(self.path.glob("parts/part-*")) and not any(self.path.glob("scene-*/state-*")):
                remove(self.path)
            self._lock.release()

    def _clear(self) -> None:
        for path in self.path.iterdir():
            if path != self._lock.path:
                remove(path)
        (self.path / "parts").mkdir()

    def _changes(self, manifest: Mapping[str, Any]) -> list[str]:
        return differences(json.loads(self._manifest.read_text(encoding="utf-8")), manifest)

    @property
    def _manifest(self) -> Path:
        return self.path / "manifest.json"

    # Pieces of the work

    def survey(self, take: Callable[[], Survey]) -> Survey | None:
        """The survey, taken now or before; None while another process takes it."""
        path = self.path / "survey.json"
        lock = Lock(self.path / "survey.lock")
        if not path.exists():
            if not lock.acquire():
                return None
            try:
                if not path.exists():
                    take().save(path)
            finally:
                lock.release()
        return Survey.load(path)

    @contextmanager
    def taken(self, scene: Scene) -> Iterator[ClipStore | None]:
        """What is kept of a scene of which parts are missing; None where none is, or another process is at it."""
        folder = self._scene(scene)
        if self.finished_until(scene) == scene.stop and not self.missing_parts(scene):
            yield None
            return
        store, lock = ClipStore(folder), Lock(folder / "lock")
        if not lock.acquire():
            yield None
            return
        try:
            yield store if self.missing_parts(scene) else None
            store.clear()
        finally:
            lock.release()

    def part(self, start: int) -> Path:
        """The part that begins with frame `start`."""
        return self.path / "parts" / f"part-{start:09d}"

    def missing_parts(self, scene: Scene) -> bool:
        """Whether a part of the scene is still to be made."""
        return any(not self.part(start).exists() for start, _ in scene.parts())

    def finished_until(self, scene: Scene) -> int:
        """The first frame of the scene that is not finished, by the names of the files."""
        finished = scene.start
        for start, stop in scene.parts():
            if not self.part(start).exists():
                break
            finished = stop
        if finished < scene.stop and self._scene(scene).exists():
            finished = max(finished, ClipStore(self._scene(scene)).finished() or 0)
        return finished

    def _scene(self, scene: Scene) -> Path:
        return self.path / f"scene-{scene.start:09d}"


def job_folder(path_out: Path) -> Path:
    """Where the job of an output keeps what it has done."""
    return beside(target_of(path_out), ".", ".seeclear")
