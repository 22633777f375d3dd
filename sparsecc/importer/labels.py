"""Places of extremes: ``argmax`` and ``argmin``, as integers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import fx

from sparsecc._tvm import relax, te, tirx
from sparsecc.errors import NotSupportedError
from sparsecc.importer.arguments import arguments, operator_name
from sparsecc.importer.context import Context, shape_of
from sparsecc.importer.names import layer_name
from sparsecc.importer.reductions import extreme, extreme_of
from sparsecc.kernels.extremes import f32

Expr = Any
#: float32 counts so far
_MOST = 1 << 24


def place_of_extreme(ctx: Context, node: fx.Node) -> Any:
    """``argmax(x, axis, keepdim)`` and ``argmin``: the first of equal ones, or the first NaN."""
    x, axis, keepdim = arguments(node, 3, [None, None, False])
    data = ctx.value(x)
    shape = shape_of(data)
    if axis is None or not shape:
        data, axis = ctx.emit(relax.op.reshape(data, (math.prod(shape),))), 0
        keepdim, kept = False, (1,) * len(shape) if keepdim else ()
    else:
        kept = ()
    ctx.integers.add(node)
    found = places(ctx, node, data, axis % len(shape_of(data)), bool(keepdim))
    return ctx.emit(relax.op.reshape(found, kept)) if kept else found


def places(ctx: Context, node: fx.Node, data: Any, axis: int, keepdim: bool) -> Any:
    """Index along an axis of its first largest element, or smallest, int64."""
    shape, largest = shape_of(data), operator_name(node).endswith("max")
    if shape[axis] > _MOST:
        raise NotSupportedError(
            f"layer {layer_name(node)}: {operator_name(node)} of {shape[axis]} elements is not supported, expected at "
            f"most {_MOST}"
        )
    best = extreme_of(ctx, node, data, [axis], True, largest=largest)
    first = _first_equal(ctx, node, data, best, axis)
    rest = shape[:axis] + ((1,) if keepdim else ()) + shape[axis + 1 :]
    whole = ctx.compute(
        node,
        lambda k: te.compute(k.shape, lambda *i: tirx.Cast("int64", tirx.Cast("int32", k(*i))), name="label"),
        first,
    )
    return whole if shape_of(whole) == rest else ctx.emit(relax.op.reshape(whole, rest))


def _first_equal(ctx: Context, node: fx.Node, data: Any, best: Any, axis: int) -> Any:
    """The first index along an axis where an element is the extreme, float32."""
    shape = shape_of(data)
    out = (*shape[:axis], 1, *shape[axis + 1 :])

    def of(x: Any, best: Any) -> Any:
        k = te.reduce_axis((0, shape[axis]), name="k")

        def element(*i: Any) -> Any:
            value, most = x(*i[:axis], k, *i[axis + 1 :]), best(*i)
            is_it = tirx.Or(tirx.EQ(value, most), tirx.isnan(value))
            return te.min(tirx.Select(is_it, tirx.Cast("float32", k), f32(math.inf)), axis=[k])

        return te.compute(out, element, name=operator_name(node))

    return ctx.compute(node, of, data, best)


def extreme_and_place(ctx: Context, node: fx.Node) -> Any:
    """``max(x, axis, keepdim)`` and ``min``: the extremes, and where anybody asks for them, their places."""
    if all(user.args[1] == 0 for user in node.users):
        return extreme(ctx, node)
    x, axis, keepdim = arguments(node, 3, [None, None, False])
    data = ctx.value(x)
    (most,) = extreme(ctx, node)
    if not shape_of(data):
        data = ctx.emit(relax.op.reshape(data, (1,)))
    return most, places(ctx, node, data, axis % len(shape_of(data)), bool(keepdim) and bool(shape_of(most)))


LABELS: dict[str, Callable[[Context, fx.Node], Any]] = {
    "argmax.default": place_of_extreme,
    "argmin.default": place_of_extreme,
    "max.dim": extreme_and_place,
    "min.dim": extreme_and_place,
}
