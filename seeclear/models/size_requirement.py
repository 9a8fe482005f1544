# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What a network asks of its input's size, as a value that its caller can read."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SizeRequirement:
    """Low-resolution height and width must be multiples of `multiple_of`; the caller pads, the network does not."""

    multiple_of: int

    def padding(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns to add below and to the right of `height` x `width` low-resolution pixels."""
        return -height % self.multiple_of, -width % self.multiple_of

    def check(self, name: str, height: int, width: int) -> None:
        """Raises ValueError that names `name` when `height` x `width` does not fit."""
        if height <= 0 or width <= 0 or self.padding(height, width) != (0, 0):
            raise ValueError(f"`{name}` is {height}x{width}; height and width must be multiples of {self.multiple_of}")
