"""Numbers for people: bytes, times, counts, shapes."""

from __future__ import annotations

from collections.abc import Sequence

_STEP = 1000


def short(value: float) -> str:
    """Three digits and a unit of thousands: ``4.09 G``."""
    for unit in ("", "k", "M"):
        if value < _STEP - 0.5:
            return f"{value:.3g} {unit}".rstrip()
        value /= _STEP
    return f"{value:.3g} G" if value < _STEP - 0.5 else f"{value:.0f} G"


def in_bytes(value: float) -> str:
    """``1.55 MB``."""
    text = short(value)
    return f"{text}B" if " " in text else f"{text} B"


def in_ms(seconds: float) -> str:
    """Milliseconds without the unit, four digits: ``0.01234``, ``12.34``, ``1234``."""
    ms = seconds * 1e3
    return f"{ms:.0f}" if ms >= _STEP else f"{ms:#.4g}" if ms >= 1 else f"{ms:.4f}"


def shape_text(shape: Sequence[int]) -> str:
    """``1x3x224x224``; a number without dimensions is ``scalar``."""
    return "x".join(map(str, shape)) or "scalar"
