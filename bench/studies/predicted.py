"""Arithmetic of ``bench.studies.scaling``: from shares that were timed alone to steps on many threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

#: a share of less than this part of the slowest one is none: its thread found nothing to do
_NOTHING = 0.05
#: one of so many threads is called by the caller, and calls the others: ``SCC_CALLED`` of ``scc_region.c``
_CALLED = 4


@dataclass(frozen=True)
class StepTimes:
    """A step as so many threads share it, in microseconds.

    Attributes
    ----------
    key : str
    serial : float
        Outside of parallel regions.
    regions : tuple of tuple of float
        Every region's shares, one for each thread.
    """

    key: str
    serial: float
    regions: tuple[tuple[float, ...], ...]

    def us(self, trip: float) -> float:
        """Time of the step; ``trip`` as in :func:`region_us`."""
        return self.serial + sum(region_us(shares, trip) for shares in self.regions)


@dataclass(frozen=True)
class Losses:
    """What a step takes beyond one thread's time divided by the number of threads, in microseconds.

    Attributes
    ----------
    idle : float
        Threads had no share: there were fewer pieces than threads, or too few of them to go round evenly.
    unequal : float
        Shares were not equal among those who had one.
    exchange : float
        All shares together take longer than one thread alone: lines travel between caches, work is done twice, every
        thread reads what one would have read once. Negative where many caches hold more.
    serial : float
        One thread works outside of parallel regions, the others wait.
    barrier : float
        Regions start and end.
    """

    idle: float = 0.0
    unequal: float = 0.0
    exchange: float = 0.0
    serial: float = 0.0
    barrier: float = 0.0

    @property
    def us(self) -> float:
        """All of them."""
        return sum(getattr(self, each.name) for each in fields(self))

    @property
    def limit(self) -> str:
        """Name of the greatest one."""
        return max(fields(self), key=lambda each: float(getattr(self, each.name))).name

    def __add__(self, more: Losses) -> Losses:
        return Losses(**{each.name: getattr(self, each.name) + getattr(more, each.name) for each in fields(self)})


def begins(threads: int, trip: float) -> list[float]:
    """When each of a region's threads begins, the caller's own share first; ``trip`` as in :func:`region_us`."""
    heads = range(_CALLED, threads, _CALLED)
    called = {head: i * trip for i, head in enumerate(heads, 1)} | {0: len(heads) * trip}
    own = {head: min(_CALLED, threads - head) - 1 for head in called}
    return [
        called[i] + own[i] * trip if i in called else called[i - i % _CALLED] + i % _CALLED * trip
        for i in range(threads)
    ]


def region_us(shares: Sequence[float], trip: float) -> float:
    """Time of a parallel region from its shares, the caller's first.

    The caller wakes every fourth thread, then its own three, then does its share; each fourth one wakes three more. Who
    is done counts itself off, all on one line.

    Parameters
    ----------
    shares : sequence of float
        Microseconds.
    trip : float
        Of a line from one core to another: half of what a region without work takes on two threads.
    """
    if len(shares) == 1:
        return shares[0]
    first, *ends = (begin + us for begin, us in zip(begins(len(shares), trip), shares, strict=True))
    counted = 0.0
    for end in sorted(ends):
        counted = max(counted, end) + trip
    return max(counted, first)


def losses(alone: StepTimes, shared: StepTimes, trip: float) -> Losses:
    """What a step loses; ``alone`` is the same step on one thread."""
    threads = max((len(shares) for shares in shared.regions), default=1)
    found = Losses(serial=shared.serial - alone.serial / threads)
    for (one,), shares in zip(alone.regions, shared.regions, strict=True):
        busy = [us for us in shares if us > _NOTHING * max(shares)]
        mean, mean_busy = sum(shares) / threads, sum(busy) / len(busy)
        found += Losses(
            idle=mean_busy - mean,
            unequal=max(shares) - mean_busy,
            exchange=mean - one / threads,
            barrier=region_us(shares, trip) - max(shares),
        )
    return found


def network_us(steps: Sequence[StepTimes], trip: float) -> float:
    """Time of a network."""
    return sum(step.us(trip) for step in steps)


def total(alone: Sequence[StepTimes], shared: Sequence[StepTimes], trip: float) -> Losses:
    """What a network loses."""
    return sum((losses(a, b, trip) for a, b in zip(alone, shared, strict=True)), Losses())
