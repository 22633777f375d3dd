"""Sums of all elements up to each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import fx

from sparsecc._tvm import relax, te, tirx
from sparsecc.importer.arguments import arguments
from sparsecc.importer.context import Context, shape_of
from sparsecc.kernels.extremes import f32

Expr = Any
#: elements that are summed anew for each result
_RUN = 64


def cumsum(ctx: Context, node: fx.Node) -> Any:
    """``cumsum(x, axis)``: sums of runs in parallel, and to each run the sum of those before it."""
    x, axis = arguments(node, 2, [None, None])
    data = ctx.value(x)
    shape = shape_of(data)
    if not shape:
        return data
    axis %= len(shape)
    rows = (math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]))
    sums = _sums(ctx, node, ctx.emit(relax.op.reshape(data, rows)))
    return ctx.emit(relax.op.reshape(sums, shape))


def _sums(ctx: Context, node: fx.Node, data: Any) -> Any:
    """Of ``(a, l, b)`` along ``l``."""
    a, extent, b = shape_of(data)
    if extent <= _RUN:
        runs = _of_runs(ctx, node, ctx.emit(relax.op.reshape(data, (a, 1, extent, b))))
        return ctx.emit(relax.op.reshape(runs, (a, extent, b)))
    count = -(-extent // _RUN)
    padded = ctx.emit(relax.op.nn.pad(data, [0, 0, 0, count * _RUN - extent, 0, 0], "constant", 0.0))
    runs = _of_runs(ctx, node, ctx.emit(relax.op.reshape(padded, (a, count, _RUN, b))))
    ends = ctx.emit(relax.op.strided_slice(runs, [1, 2], [0, _RUN - 1], [count - 1, _RUN]))
    before = _sums(ctx, node, ctx.emit(relax.op.reshape(ends, (a, count - 1, b))))
    first = ctx.emit(relax.op.nn.pad(before, [0, 0, 1, 0, 0, 0], "constant", 0.0))
    total = ctx.emit(relax.op.add(runs, ctx.emit(relax.op.reshape(first, (a, count, 1, b)))))
    whole = ctx.emit(relax.op.reshape(total, (a, count * _RUN, b)))
    return ctx.emit(relax.op.strided_slice(whole, [1], [0], [extent]))


def _of_runs(ctx: Context, node: fx.Node, data: Any) -> Any:
    a, count, run, b = shape_of(data)

    def of(x: Any) -> Any:
        k = te.reduce_axis((0, run), name="k")

        def element(i: Expr, j: Expr, end: Expr, column: Expr) -> Expr:
            return te.sum(tirx.Select(k <= end, x(i, j, k, column), f32(0)), axis=k)

        return te.compute((a, count, run, b), element, name="running")

    return ctx.compute(node, of, data)


RUNNING: dict[str, Callable[[Context, fx.Node], Any]] = {"cumsum.default": cumsum}
