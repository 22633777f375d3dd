"""Elementwise functions that are no activations and that Relax' importer lacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import fx

from sparsecc.importer.arguments import arguments
from sparsecc.importer.context import Context
from sparsecc.importer.pointwise import pointwise
from sparsecc.kernels.extremes import larger, smaller
from sparsecc.kernels.near_zero import expm1, log1p

Translate = Callable[[Context, fx.Node], Any]
Expr = Any


def clamp(ctx: Context, node: fx.Node) -> Any:
    """``clamp(x, low, high)`` with tensors: the lower bound first; NaN where one of them is NaN."""
    x, low, high = arguments(node, 3, [None, None, None])
    return _bounded(ctx, node, x, low, high)


def clamp_min(ctx: Context, node: fx.Node) -> Any:
    """``clamp_min(x, low)`` with a tensor."""
    x, low = arguments(node, 2, [None, None])
    return _bounded(ctx, node, x, low, None)


def clamp_max(ctx: Context, node: fx.Node) -> Any:
    """``clamp_max(x, high)`` with a tensor."""
    x, high = arguments(node, 2, [None, None])
    return _bounded(ctx, node, x, None, high)


def _bounded(ctx: Context, node: fx.Node, x: Any, low: Any, high: Any) -> Any:
    bounds = {larger: low, smaller: high}
    given = {combine: bound for combine, bound in bounds.items() if bound is not None}

    def of(value: Expr, *limits: Expr) -> Expr:
        for combine, limit in zip(given, limits, strict=True):
            value = combine(value, limit)
        return value

    return pointwise(ctx, node, of, x, *given.values())


def elementary(function: Callable[[Expr], Expr], meaning: str) -> Translate:
    """A translation of a function of one number."""

    def translate(ctx: Context, node: fx.Node) -> Any:
        return pointwise(ctx, node, function, node.args[0])

    translate.__doc__ = meaning
    return translate


ELEMENTWISE: dict[str, Translate] = {
    "clamp.Tensor": clamp,
    "clamp_min.Tensor": clamp_min,
    "clamp_max.Tensor": clamp_max,
    "expm1.default": elementary(expm1, "``exp(x) - 1`` that keeps its digits near 0."),
    "log1p.default": elementary(log1p, "``log(1 + x)`` that keeps its digits near 0."),
}
