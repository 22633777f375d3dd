"""Numbers for people: times, shapes."""

from __future__ import annotations

from collections.abc import Sequence


def in_ms(seconds: float) -> str:
    """Milliseconds without the unit, four digits: ``0.01234``, ``12.34``, ``1234``."""
    ms = seconds * 1e3
    return f"{ms:.0f}" if ms >= 1000 else f"{ms:#.4g}" if ms >= 1 else f"{ms:.4f}"


def shape_text(shape: Sequence[int]) -> str:
    """``1x3x224x224``; a number without dimensions is ``scalar``."""
    return "x".join(map(str, shape)) or "scalar"
