"""Maxima and minima that Relax made, so that NaN stays NaN and -inf is less than every number."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from sparsecc._tvm import PrimFunc, structural_map, structural_walk, tirx, tvm
from sparsecc.kernels.extremes import at_least, at_most, f32, larger, smaller

Expr = Any

_LARGEST = 3.4028234663852886e38


def exact_extremes(func: PrimFunc) -> PrimFunc:
    """Replace TVM's maxima, of which NaN is lost, and what they begin with, in a scheduled function.

    Before::

        y = -3.4e38
        for k: y = max(y, x[k])

    After::

        y = -inf
        for k: y = x[k] if isnan(x[k]) else (x[k] if x[k] > y else y)
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
    exact = structural_map(func, (tirx.BufferStore, begin)) if found else func
    return structural_map(exact, [(tirx.Max, _maximum), (tirx.Min, _minimum)])


def _maximum(node: Any) -> Expr:
    return _extreme(node, at_least, larger)


def _minimum(node: Any) -> Expr:
    return _extreme(node, at_most, smaller)


def _extreme(node: Any, bounded: Callable[[Expr, float], Expr], of_two: Callable[[Expr, Expr], Expr]) -> Expr:
    if node.ty.dtype != "float32":
        return node
    for x, bound in ((node.a, node.b), (node.b, node.a)):
        if isinstance(bound, tirx.FloatImm) and not math.isnan(bound.value):
            return bounded(x, bound.value)
    if isinstance(node.b, tirx.Var | tvm.ir.TensorLoad):
        return of_two(node.a, node.b)
    name = tirx.Var("t", "float32")
    return tirx.Let(name, node.b, of_two(node.a, name))
