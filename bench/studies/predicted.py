"""Arithmetic of ``bench.studies.scaling``: from shares that were timed alone to steps on many threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

#: a share of less than this part of the slowest one is none: its thread found nothing to do
_NOTHING = 0.05


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

    def us(self, barrier: float) -> float:
        """Time of the step: that of the slowest share of each region, and of a barrier where there are others."""
        return self.serial + sum(max(shares) + (barrier if len(shares) > 1 else 0) for shares in self.regions)


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
    def total(self) -> float:
        """All of them."""
        return sum(getattr(self, each.name) for each in fields(self))

    @property
    def limit(self) -> str:
        """Name of the greatest one."""
        return max(fields(self), key=lambda each: float(getattr(self, each.name))).name

    def __add__(self, more: Losses) -> Losses:
        return Losses(**{each.name: getattr(self, each.name) + getattr(more, each.name) for each in fields(self)})


def losses(alone: StepTimes, shared: StepTimes, barrier: float) -> Losses:
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
            barrier=barrier if threads > 1 else 0.0,
        )
    return found


def barrier_us(two: float, round_trip: float, threads: int) -> float:
    """Cost of a region on so many threads, from that on two.

    Parameters
    ----------
    two : float
        Microseconds of a region without work on two threads.
    round_trip : float
        Of a line between two cores. The caller wakes one thread after another, and each counts itself off on one line:
        every further thread costs a trip there and one back.
    threads : int
    """
    return two + (threads - 2) * round_trip if threads > 1 else 0.0


def network_us(steps: Sequence[StepTimes], barrier: float) -> float:
    """Time of a network."""
    return sum(step.us(barrier) for step in steps)
