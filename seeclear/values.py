# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Checks of the values of settings: numbers and switches, Python's or numpy's."""

from __future__ import annotations

import math
from fractions import Fraction
from numbers import Integral, Real
from typing import Any, TypeGuard

import numpy as np


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a real number, Python's or numpy's; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def as_written(number: Any) -> Fraction:
    """A finite number of any kind exactly as it is shown: of float32, too, 0.1 is a tenth."""
    return Fraction(str(number))


def shown(value: object) -> str:
    """A value in a message."""
    return str(value) if isinstance(value, Real) else repr(value)


def number_within(name: str, value: Any, low: float, high: float) -> float:
    """The number, of any kind, as a float.

    Args:
        name: of the argument, for the message.
        value: what was given.
        low, high: the least and the greatest that it may be.

    Raises:
        ValueError: it is no number, or out of this range.
    """
    if not (is_number(value) and low <= value <= high):
        raise ValueError(f"`{name}` is {shown(value)}; it must be a number from {low:g} to {high:g}")
    return float(as_written(value))


def positive_number(name: str, value: Any) -> Fraction:
    """The number, of any kind, exactly as it is written.

    Args:
        name: of the argument, for the message.
        value: what was given.

    Raises:
        ValueError: it is no number, not above 0, or not finite.
    """
    if not (is_number(value) and 0 < value < math.inf):
        raise ValueError(f"`{name}` is {shown(value)}; it must be a number above 0")
    return as_written(value)


def whole_number(name: str, value: Any, least: int | None = None) -> int:
    """The number as an int.

    Args:
        name: of the argument, for the message.
        value: what was given.
        least: that it may be; None is any.

    Raises:
        ValueError: it is no int, Python's or numpy's, or less than that.
    """
    is_whole = is_number(value) and isinstance(value, Integral)
    if not is_whole or (least is not None and value < least):
        bound = "" if least is None else f" of at least {least}"
        raise ValueError(f"`{name}` is {shown(value)}; it must be a whole number{bound}")
    return int(value)


def switch(name: str, value: Any) -> bool:
    """What is on or off, as a bool.

    Args:
        name: of the setting, for the message.
        value: what was given.

    Raises:
        ValueError: it is no bool, Python's or numpy's.
    """
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"`{name}` is {shown(value)}; it must be True or False")
    return bool(value)
