"""Constants with which the cost model explains timings, and ranks the configs of a layer, as well as it can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from sparsecc.tuning.fit.terms import COMPUTE, ISSUE_WIDTHS, MEMORY, SET_FACTORS, Terms

Array = NDArray[np.float64]
#: constant -> where a search begins, least and most: no core's, but the middle of what is plausible
RANGES: dict[str, tuple[float, float, float]] = {
    "block_cycles": (1.0, 0.05, 20.0),
    "dense_block_cycles": (1.0, 0.05, 20.0),
    "accumulator_cycles": (1.0, 0.1, 20.0),
    "tile_cycles": (10.0, 0.5, 100.0),
    "crowded_cycles": (10.0, 0.5, 500.0),
    "l2_line_cycles": (4.0, 0.5, 40.0),
    "l3_line_cycles": (10.0, 0.5, 100.0),
    "stream_factor": (1.5, 0.5, 5.0),
    "reread_share": (0.5, 0.05, 1.0),
    "copied_vector_cycles": (2.0, 0.2, 20.0),
}
#: logarithm of a kernel's time over its prediction beyond which it counts as an outlier
_OUTLIER = 0.15
#: how much a layer's level counts, beside the order of its configs, and how much of a constant's distance from where it
#: began: enough for those that no timing tells anything of
_LEVEL, _PULL = 0.3, 2e-4
#: steps of a search, of a logarithm
_STEPS = (0.7, 0.35, 0.18, 0.09, 0.04)
_SWEEPS = 40


@dataclass(frozen=True, eq=False)
class Timings:
    """What was measured.

    Attributes
    ----------
    terms : Terms
        Of the kernels.
    cycles : numpy.ndarray
        ``(kernels,)`` float64.
    layers : numpy.ndarray
        ``(kernels,)`` int64, the layer of each.
    """

    terms: Terms
    cycles: Array
    layers: NDArray[np.int64]


@dataclass(frozen=True)
class Solution:
    """Constants by name, and how well they fit.

    Attributes
    ----------
    constants : mapping of str to float
    loss : float
        What the search made as small as it could.
    regret : float
        Time of the configs that the model prefers, of those that were timed, over the best ones': mean of the layers,
        1 or more.
    """

    constants: dict[str, float]
    loss: float
    regret: float


def solve(timings: Timings) -> Solution:
    """Search from the middle of what is plausible, for every issue width and set factor.

    Of those whose loss is near the least, the one that chooses best is taken.
    """
    found = [_search(timings, width, factor) for width, factor in product(ISSUE_WIDTHS, SET_FACTORS)]
    least = min(solution.loss for solution in found)
    return min(
        (solution for solution in found if solution.loss <= 1.05 * least), key=lambda s: (round(s.regret, 3), s.loss)
    )


def _search(timings: Timings, width: float, factor: float) -> Solution:
    """The best constants for an issue width and a set factor."""
    names = (*COMPUTE, *MEMORY)
    starts, least, most = (np.log(np.array([RANGES[name][i] for name in names])) for i in range(3))

    def loss(logs: Array) -> float:
        predicted = timings.terms.cycles(np.exp(logs), issue_width=width, set_factor=factor)
        return _loss(timings, predicted) + _PULL * float(np.square(logs - starts).sum())

    point, best = _descend(loss, starts, least, most)
    predicted = timings.terms.cycles(np.exp(point), issue_width=width, set_factor=factor)
    constants = {name: float(f"{value:.3g}") for name, value in zip(names, np.exp(point), strict=True)}
    constants |= {"issue_width": width, "set_factor": factor}
    return Solution(constants, best, regret(timings, predicted))


def _descend(loss: Callable[[Array], float], point: Array, least: Array, most: Array) -> tuple[Array, float]:
    """Hooke and Jeeves' search: one logarithm at a time, then on in the direction of all that helped; smaller steps."""
    best = loss(point)
    for step in _STEPS:
        for _ in range(_SWEEPS):
            before, start = best, point
            for i, sign in product(range(point.size), (1, -1)):
                point, best = _better(loss, point, best, point + sign * step * np.eye(point.size)[i], least, most)
            point, best = _better(loss, point, best, 2 * point - start, least, most)
            if best > before * (1 - 1e-4):
                break
    return point, best


def _better(
    loss: Callable[[Array], float], point: Array, best: float, tried: Array, least: Array, most: Array
) -> tuple[Array, float]:
    tried = np.clip(tried, least, most)
    value = loss(tried)
    return (tried, value) if value < best else (point, best)


def _loss(timings: Timings, predicted: Array) -> float:
    """Mean of two: how far configs are from their layer's level, and layers from the mean of all."""
    layers, wrong = timings.layers, np.log(predicted / timings.cycles)
    weights = _weights(timings)
    total = np.bincount(layers, weights)
    level = np.bincount(layers, weights * wrong) / total
    within = float((weights * _robust(wrong - level[layers])).sum() / weights.sum())
    return within + _LEVEL * float(_robust(level - np.median(level)).mean())


def _weights(timings: Timings) -> Array:
    """Configs that are near the best of their layer count more: choices are made among these."""
    best = np.full(int(timings.layers.max()) + 1, np.inf)
    np.minimum.at(best, timings.layers, timings.cycles)
    weights: Array = np.square(best[timings.layers] / timings.cycles)
    return weights


def _robust(wrong: Array) -> Array:
    """Squares of small errors; large ones count as they are."""
    size = np.abs(wrong)
    losses: Array = np.where(size <= _OUTLIER, size**2, _OUTLIER * (2 * size - _OUTLIER))
    return losses


def regret(timings: Timings, predicted: Array) -> float:
    """See :class:`Solution`."""
    ratios = []
    for layer in np.unique(timings.layers):
        own = timings.layers == layer
        ratios.append(timings.cycles[own][np.argmin(predicted[own])] / timings.cycles[own].min())
    return float(np.mean(ratios))
