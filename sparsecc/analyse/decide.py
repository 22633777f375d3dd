"""Dense or sparse: the decision for one layer, always with its reason in words."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from sparsecc.analyse.structure import Structure
from sparsecc.errors import InternalError
from sparsecc.ir.conv import ConvSpec

Decision = Literal["sparse", "dense"]

#: predicted time of the dense layer over that of the sparse one
Speedup = Callable[[ConvSpec, Structure], float]


def kind_of(spec: ConvSpec) -> str:
    """Name the kind of a layer: ``"depthwise"``, ``"linear"`` or ``"conv"``."""
    if spec.is_depthwise:
        return "depthwise"
    return "linear" if spec.is_linear else "conv"


def default_speedup(spec: ConvSpec, structure: Structure) -> float:
    """Compare multiply-adds weighted with what an N costs: machine-independent, blind to memory traffic."""
    return structure.dense_cost / structure.cost


def decide(
    spec: ConvSpec, structure: Structure | None, *, kept_dense: bool, min_speedup: float, speedup: Speedup
) -> tuple[Decision, str, float | None]:
    """Decide for one layer.

    Parameters
    ----------
    spec : ConvSpec
        The layer.
    structure : Structure or None
        What :func:`~sparsecc.analyse.structure.find_structure` found; None for depthwise layers.
    kept_dense : bool
        True when the caller asked for a dense layer.
    min_speedup : float
        Smallest predicted speed-up over dense for which a layer becomes sparse.
    speedup : callable
        Predicts it.

    Returns
    -------
    tuple
        Decision, reason, and the predicted speed-up where it was asked for.

    Raises
    ------
    InternalError
        When ``speedup`` returns no positive number.
    """
    if structure is None:
        return "dense", "depthwise: one input channel per output channel has nothing to skip", None
    if kept_dense:
        return "dense", "kept dense by keep_dense=", None
    if structure.all_zero:
        return "sparse", "all weights are zero: the output is the bias", None
    if not structure.has_zero_blocks:
        return "dense", _no_zero_blocks(structure), None
    predicted = speedup(spec, structure)
    if not (math.isfinite(predicted) and predicted > 0):
        raise InternalError(f"cost model: found a speed-up of {predicted} for {spec}, expected a positive number")
    if predicted >= min_speedup:
        return "sparse", f"predicted {times(predicted)} of dense", predicted
    return "dense", f"predicted {times(predicted)} of dense, below min_speedup {min_speedup:g}", predicted


def times(speedup: float) -> str:
    """Write a speed-up, rounded down: nothing may look as fast as a limit that it missed."""
    return f"{math.floor(100 * speedup) / 100:.2f}x"


def _no_zero_blocks(structure: Structure) -> str:
    if structure.sparsity == 0.0:
        return "no zero blocks"
    return f"no zero blocks: {100 * structure.sparsity:.2g} % of the weights are zero, but too scattered to skip"
