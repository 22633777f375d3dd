"""Where a tap of a kernel reads: an offset that is the same for all pixels."""

from __future__ import annotations

from typing import Any

from sparsecc._tvm import T
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layout import PlaneLayout


def tap_offset(spec: ConvSpec, source: PlaneLayout, a: Any, b: Any) -> Any:
    """Floats from a channel's first pixel to where tap ``(a, b)`` of output pixel 0 reads."""
    dh, dw = spec.dilation
    if not source.is_split:
        top, left, _, _ = spec.padding
        return source.lead + (a * dh - top) * source.pitch + (b * dw - left)
    sh, sw = source.step
    columns = len({col for _, col in source.phases})
    row_phase = _phase(a * dh % sh, [row for row, _ in source.phases])
    col_phase = _phase(b * dw % sw, [col for _, col in source.phases])
    plane = row_phase * columns + col_phase
    return source.lead + plane * source.plane + (a * dh // sh) * source.pitch + (b * dw // sw)


def fixed_tap_offset(spec: ConvSpec, layout: PlaneLayout, tap: int) -> int:
    """The same for a tap whose number is known; a dealt plane is allowed too."""
    (top, left, _, _), (dh, dw) = spec.padding, spec.dilation
    a, b = divmod(tap, spec.kw)
    return layout.tap_offset(a * dh, b * dw) if layout.is_split else layout.tap_offset(a * dh - top, b * dw - left)


def _phase(remainder: Any, kept: list[int]) -> Any:
    """Rank of ``remainder`` among the distinct ``kept`` ones; constant once the taps are unrolled."""
    rank = 0
    for value in sorted(set(kept))[1:]:
        rank = rank + T.cast(remainder >= value, "int32")
    return rank
