"""How long runs of a library take."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.errors import UserError
from sparsecc.runtime import Library
from sparsecc.runtime.shapes import Shape

#: p90 over p10 from which on something else than the library decides how long a run takes
_WIDE = 2.0
WARM_UP_S, WARM_UP_RUNS = 0.3, 3
#: without a number of runs: as many as fit in that time, within these bounds
BUDGET_S, FEWEST, MOST = 3.0, 10, 1000


@dataclass(frozen=True)
class Times:
    """Seconds of runs, sorted."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.seconds)

    @property
    def steady(self) -> bool:
        """Whether the median says something: the slow runs take less than twice the time of the quick ones."""
        return self.percentile(90) < _WIDE * self.percentile(10)

    def percentile(self, percent: float) -> float:
        """The value that ``percent`` of the runs do not exceed, interpolated."""
        return float(np.percentile(self.seconds, percent))


def random_inputs(shape: Shape) -> list[NDArray[Any]]:
    """Random arrays for a library's inputs, the same every time: normal numbers, or small integers."""
    generator = np.random.default_rng(0)
    return [
        generator.standard_normal(port.shape).astype(port.dtype)
        if np.issubdtype(port.dtype, np.floating)
        else generator.integers(0, 2 if port.dtype == "bool" else 128, port.shape).astype(port.dtype)
        for port in shape.inputs
    ]


def time_runs(library: Library, inputs: Sequence[NDArray[Any]], *, runs: int | None) -> Times:
    """Warm up, then time every run.

    Raises
    ------
    UserError
        When ``runs`` is below 1.
    """
    if runs is not None and runs < 1:
        raise UserError(f"--runs: found {runs}, expected at least 1")
    shape = library.shape_of(*(x.shape for x in inputs))
    out = tuple(np.empty(port.shape, port.dtype) for port in shape.outputs)

    def run() -> float:
        begin = time.perf_counter()
        library(*inputs, out=out)
        return time.perf_counter() - begin

    _repeat(run, fewest=WARM_UP_RUNS, most=None, budget=WARM_UP_S)
    if runs is not None:
        return Times(tuple(sorted(run() for _ in range(runs))))
    return Times(tuple(sorted(_repeat(run, fewest=FEWEST, most=MOST, budget=BUDGET_S))))


def _repeat(run: Callable[[], float], *, fewest: int, most: int | None, budget: float) -> list[float]:
    """Times of runs until ``budget`` seconds are used up."""
    times: list[float] = []
    for count in itertools.count(1):
        times.append(run())
        if count == most or (count >= fewest and sum(times) >= budget):
            break
    return times
