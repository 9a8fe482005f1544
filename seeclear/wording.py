# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Words that messages of all parts of the package share."""


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 frame", "12 frames"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
