"""What counts as a number where users give one: Python's own, NumPy's and PyTorch's, and never a truth value."""

from __future__ import annotations

import math
import operator
from numbers import Real
from typing import Any


def as_int(value: Any) -> int | None:
    """The value as a Python integer; None if it is no whole number (floats and truth values are none)."""
    if isinstance(value, bool) or str(getattr(value, "dtype", "")).endswith("bool"):
        return None
    try:
        return operator.index(value)
    except (TypeError, ValueError, RuntimeError):  # text, an array of several numbers, a tensor without memory
        return None


def as_float(value: Any) -> float | None:
    """The value as a Python float; None if it is no real number (text, truth values and NaN are none)."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer or fraction that no float holds
        return None
    return None if math.isnan(number) else number
