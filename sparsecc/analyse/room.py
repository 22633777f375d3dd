"""Weights that have no room: the layers that lose least by it get an algorithm with smaller ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from sparsecc.analyse.layers import LayerPlan
from sparsecc.analyse.plan import Plan

#: predicted cycles of a layer as planned
Cycles = Callable[[LayerPlan], float]


def within(
    plan: Plan,
    most_bytes: float,
    *,
    smaller: Callable[[LayerPlan], Iterable[LayerPlan]],
    cycles: Cycles,
    limit: str,
) -> Plan:
    """The plan with at most so many bytes of weights, or with as few as can be.

    Parameters
    ----------
    plan : Plan
    most_bytes : float
    smaller : callable
        Other ways to compute a layer; those with fewer bytes count.
    cycles : callable
        Whoever loses least for a byte gives back first.
    limit : str
        What has no room, for the report.
    """
    layers = list(plan.layers)
    nbytes = plan.totals.kept_bytes
    ways = [[way for way in smaller(layer) if way.kept_bytes < layer.kept_bytes] for layer in layers]
    while nbytes > most_bytes and any(ways):
        loss = {
            (i, j): (cycles(way) - cycles(layers[i])) / (layers[i].kept_bytes - way.kept_bytes)
            for i, found in enumerate(ways)
            for j, way in enumerate(found)
        }
        i, j = min(loss, key=loss.__getitem__)
        taken = ways[i][j]
        nbytes += taken.kept_bytes - layers[i].kept_bytes
        layers[i], ways[i] = taken, [way for way in ways[i] if way.kept_bytes < taken.kept_bytes]
    return Plan(tuple(_told(old, new, limit) for old, new in zip(plan.layers, layers, strict=True)))


def _told(old: LayerPlan, new: LayerPlan, limit: str) -> LayerPlan:
    if new is old:
        return old
    return replace(new, limit=limit, reason=f"{new.reason}; smaller weights: {limit}")
