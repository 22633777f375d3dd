"""How far two results are apart, and whether rounding explains it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: results that are this many times as far from float64 as PyTorch's float32 are explained by rounding
ROUNDING = 2
#: and up to here the network makes large errors of small ones, whoever made those
_AMPLIFIED = 8


@dataclass(frozen=True)
class Distances:
    """Distances from float64: of our result, and of PyTorch's own in float32."""

    ours: float
    own: float

    @property
    def is_rounding(self) -> bool:
        """Our result is about as good as PyTorch's."""
        return self.ours <= ROUNDING * self.own

    @property
    def is_amplified(self) -> bool:
        """It is not, but PyTorch's is bad too."""
        return self.ours <= _AMPLIFIED * self.own


def distances(found: Array, single: Array, double: Array, *, strict: bool = True) -> Distances:
    """Hold ours (``found``) and PyTorch's float32 against its float64, where float32 is finite."""
    exact = np.where(np.isfinite(single), double, np.nan)
    return Distances(relative_error(found, exact, strict=strict), relative_error(single, exact, strict=strict))


def relative_error(found: Array, expected: Array, *, strict: bool = True) -> float:
    """Largest absolute difference over the largest absolute expected value.

    Where PyTorch has NaN or infinity nothing is compared: it multiplies them with pruned zeros, which we skip. Unless
    ``strict`` the same goes for where we have them: we multiply weights with zeros of padding, which it skips.
    """
    if not np.issubdtype(expected.dtype, np.floating):
        found, expected = found.astype(np.float64), expected.astype(np.float64)
    finite = np.isfinite(expected) & (strict | np.isfinite(found))
    if not finite.any():
        return 0.0
    if not np.isfinite(found[finite]).all():
        return float("inf")
    difference = float(np.abs(found[finite] - expected[finite]).max())
    return difference / (float(np.abs(expected[finite]).max()) or 1.0)
