# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What is done about outputs that are there, whole or not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Handling:
    """What is done about outputs that are there, whole or not.

    Attributes:
        restart: throw away what an interrupted job has left.
        overwrite: replace an output that is there.
        skip: leave an output that is there, however it was made.

    Raises:
        ValueError: two that do not go together.
    """

    restart: bool = False
    overwrite: bool = False
    skip: bool = False

    def __post_init__(self) -> None:
        if self.overwrite and self.skip:
            raise ValueError("give `overwrite` or `skip`, not both.")
