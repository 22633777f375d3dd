"""Medians, spreads and how stable they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Spread:
    """Median of the values, their 10th and 90th percentile, how many they are, and ``drift``.

    ``drift`` is the difference between the medians of the first and the second half, relative to the median of all:
    it tells a machine that changed during the run from one that is noisy all the time.
    """

    median: float
    p10: float
    p90: float
    count: int
    drift: float


def spread(values: Sequence[float]) -> Spread:
    """Summarise values in the order they were measured; ValueError for none."""
    if not values:
        raise ValueError("spread: no values")
    middle = median(values)
    return Spread(middle, quantile(values, 0.1), quantile(values, 0.9), len(values), drift(values))


def ratios(slower: Sequence[float], faster: Sequence[float]) -> Spread:
    """How many times faster one of two is, from values of the same rounds."""
    return spread([slow / fast for slow, fast in zip(slower, faster, strict=True)])


def quantile(values: Sequence[float], share: float) -> float:
    """Value below which ``share`` of the values lie, interpolated between neighbours."""
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (position - low) * (ordered[high] - ordered[low])


def drift(values: Sequence[float]) -> float:
    """Difference of the medians of both halves, relative to the median of all; 0 for a single value."""
    half = len(values) // 2
    if not half:
        return 0.0
    return abs(median(values[:half]) - median(values[-half:])) / median(values)
