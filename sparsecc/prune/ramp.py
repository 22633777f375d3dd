"""The ramp on which the pruned share rises from nothing to its end."""

from __future__ import annotations

import math
from collections.abc import Callable

#: how fast the exponential ramp rises, per epoch
_EXP_RATE = 0.05


def _exp(t: float, epochs: int) -> float:
    return math.expm1(-_EXP_RATE * t * epochs) / math.expm1(-_EXP_RATE * epochs)


#: name -> share of the final sparsity at time ``t``, 0..1, of a ramp of so many epochs
RAMPS: dict[str, Callable[[float, int], float]] = {
    "cubic": lambda t, epochs: t**3,
    "linear": lambda t, epochs: t,
    "exp": _exp,
    "cos": lambda t, epochs: 1.0 - math.cos(t * math.pi / 2),
}


def ramp(name: str, epoch: int, *, start: int, end: int) -> float:
    """Share of the final sparsity that is reached at an epoch: 0 until ``start``, 1 from ``end`` on.

    Source: Xiang et al. 2023 (arXiv 2310.06218); the exponential's rate of 0.05 an epoch is that of its public code.
    """
    if epoch >= end:
        return 1.0
    if epoch <= start:
        return 0.0
    return RAMPS[name]((epoch - start) / (end - start), end - start)
