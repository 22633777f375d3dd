"""Maxima and minima that Relax made: -inf is less than every number. That NaN stays NaN is for the last pass."""

from __future__ import annotations

import math
from typing import Any

from sparsecc._tvm import PrimFunc, structural_map, structural_walk, tirx
from sparsecc.kernels.extremes import f32

_LARGEST = 3.4028234663852886e38


def exact_extremes(func: PrimFunc) -> PrimFunc:
    """Replace what maxima and minima of a scheduled function begin with.

    Before::

        y = -3.4e38
        for k: y = max(y, x[k])

    After::

        y = -inf
        for k: y = max(y, x[k])
    """
    found: dict[Any, float] = {}

    def see(store: Any) -> None:
        if isinstance(store.value, tirx.Max | tirx.Min):
            found[store.buffer] = -math.inf if isinstance(store.value, tirx.Max) else math.inf

    def begin(store: Any) -> Any:
        start, value = found.get(store.buffer), store.value
        if start is None or not isinstance(value, tirx.FloatImm) or value.value != math.copysign(_LARGEST, start):
            return store
        return tirx.BufferStore(store.buffer, f32(start), store.indices)

    structural_walk(func.body, (tirx.BufferStore, see))
    return structural_map(func, (tirx.BufferStore, begin)) if found else func
