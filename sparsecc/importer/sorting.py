"""``sort`` and ``topk``: each element's rank is how many stand before it.

Counting takes the square of the elements along the axis, in whole vectors and in parallel, and no element waits for
another; a few among many are taken of the first ones of runs. Outputs of classifiers and detectors have some thousands;
beyond what takes tens of milliseconds it is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import fx

from sparsecc._tvm import relax, te, tirx
from sparsecc.errors import NotSupportedError
from sparsecc.importer.arguments import operator_name, schema_of
from sparsecc.importer.context import Context, shape_of
from sparsecc.importer.names import layer_name
from sparsecc.kernels.extremes import f32

Expr = Any
#: comparisons of one row: some tens of milliseconds on one thread
_MOST = 1 << 28
#: lengths of runs of which each gives its first elements
_RUNS = (16, 32, 64, 128, 256, 512, 1024, 2048)
#: the key of what stands behind everything
_LAST = 0x7FFFFFFF
#: Relax' number for kernels that are not joined with others
_OPAQUE = 8


def sort(ctx: Context, node: fx.Node) -> Any:
    """``sort(x, axis, descending)``: equal ones keep their order, NaN is the largest."""
    given = _named(node)
    return _sorted(ctx, node, given.get("dim", -1), None, largest=bool(given.get("descending", False)))


def topk(ctx: Context, node: fx.Node) -> Any:
    """``topk(x, k, axis, largest)``: sorted, of equal ones the first; NaN is the largest."""
    given = _named(node)
    return _sorted(ctx, node, given.get("dim", -1), int(given["k"]), largest=bool(given.get("largest", True)))


def _named(node: fx.Node) -> dict[str, Any]:
    names = [argument.name for argument in schema_of(node).arguments]
    return dict(zip(names, node.args, strict=False)) | dict(node.kwargs)


def _sorted(ctx: Context, node: fx.Node, axis: int, k: int | None, *, largest: bool) -> tuple[Any, Any]:
    """Values and their places, int64."""
    data = ctx.value(node.args[0])
    shape = shape_of(data)
    rows = data if shape else ctx.emit(relax.op.reshape(data, (1,)))
    extents = shape_of(rows)
    axis %= len(extents)
    count = extents[axis] if k is None else k
    if min(_comparisons(extents[axis], count, run) for run in (extents[axis], *_RUNS)) > _MOST:
        raise NotSupportedError(
            f"layer {layer_name(node)}: {operator_name(node)} of {extents[axis]} elements is not supported, expected "
            f"at most {math.isqrt(_MOST)}; return them, and sort outside of the network"
        )
    last = [i for i in range(len(extents)) if i != axis] + [axis]
    turned = rows if axis == len(extents) - 1 else ctx.emit(relax.op.permute_dims(rows, last))
    places = _places(ctx, node, turned, count, largest=largest)
    values, labels = _taken(ctx, node, turned, places), _labels(ctx, node, places)
    return tuple(_back(ctx, found, axis, shape if not shape else None) for found in (values, labels))


def _back(ctx: Context, found: Any, axis: int, shape: tuple[int, ...] | None) -> Any:
    """With the axis where it was."""
    if shape is not None:
        return ctx.emit(relax.op.reshape(found, shape))
    rank = len(shape_of(found))
    if axis == rank - 1:
        return found
    order = list(range(rank - 1))
    order.insert(axis, rank - 1)
    return ctx.emit(relax.op.permute_dims(found, order))


def _places(ctx: Context, node: fx.Node, data: Any, k: int, *, largest: bool) -> Any:
    """Which elements of the last axis are the first ``k``, in their order, int32."""
    return _first(
        ctx, node, _alone(ctx, node, "keys", shape_of(data), lambda x, *i: _key(x(*i), largest=largest), data), k
    )


def _first(ctx: Context, node: fx.Node, keys: Any, k: int) -> Any:
    """Of few among many, each run of elements gives its own first ones, of which the first are taken."""
    *outer, extent = shape_of(keys)
    run = _run(extent, k)
    if run == extent:
        return _counted(ctx, node, keys, k)
    runs, few = -(-extent // run), min(k, run)

    def dealt(keys: Any, *i: Expr) -> Expr:
        at = i[-2] * run + i[-1]
        return tirx.Select(at < extent, keys(*i[:-2], tirx.min(at, extent - 1)), tirx.const(_LAST, "int32"))

    def candidate(keys: Any, own: Any, *i: Expr) -> Expr:
        return keys(*i[:-1], i[-1] // few, own(*i[:-1], i[-1] // few, i[-1] % few))

    def chosen(own: Any, best: Any, *i: Expr) -> Expr:
        at = best(*i)
        return at // few * run + own(*i[:-1], at // few, at % few)

    by_run = _alone(ctx, node, "dealt", (*outer, runs, run), dealt, keys)
    own = _counted(ctx, node, by_run, few)
    best = _first(ctx, node, _alone(ctx, node, "candidates", (*outer, runs * few), candidate, by_run, own), k)
    return _alone(ctx, node, "chosen", (*outer, k), chosen, own, best)


def _run(extent: int, k: int) -> int:
    """Length of runs with the fewest comparisons; all elements where runs save none."""
    return min((_comparisons(extent, k, run), -run, run) for run in (extent, *_RUNS) if run <= extent)[-1]


def _comparisons(extent: int, k: int, run: int) -> int:
    few = -(-extent // run) * min(k, run)
    return extent * extent if run == extent or few >= extent else extent * run + few * few


def _counted(ctx: Context, node: fx.Node, keys: Any, k: int) -> Any:
    """The same by each element's rank."""
    *outer, extent = shape_of(keys)

    def rank(keys: Any, *i: Expr) -> Expr:
        other = te.reduce_axis((0, extent), name="other")
        own, found = keys(*i), keys(*i[:-1], other)
        before = tirx.Or(found < own, tirx.And(tirx.EQ(found, own), other < i[-1]))
        return te.sum(tirx.Select(before, f32(1), f32(0)), axis=other)

    def place(ranks: Any, *i: Expr) -> Expr:
        at = te.reduce_axis((0, extent), name="at")
        is_it = tirx.EQ(ranks(*i[:-1], at), tirx.Cast("float32", i[-1]))
        return te.sum(tirx.Select(is_it, tirx.Cast("float32", at), f32(0)), axis=at)

    ranks = _alone(ctx, node, "ranks", (*outer, extent), rank, keys)
    found = _alone(ctx, node, "places", (*outer, k), place, ranks)
    # 32-bit ARM has no instruction that makes an index of 64 bits of a float
    return _alone(ctx, node, "whole", (*outer, k), lambda x, *i: tirx.Cast("int32", x(*i)), found)


def _key(x: Expr, *, largest: bool) -> Expr:
    """A number's bits as an integer that is less for what comes first; both zeros are one, and so is every NaN."""
    bits = tirx.reinterpret("int32", x)
    signs = tirx.bitwise_and(tirx.shift_right(bits, tirx.const(31, "int32")), tirx.const(_LAST, "int32"))
    number = tirx.Select(tirx.EQ(x, f32(0)), tirx.const(0, "int32"), tirx.bitwise_xor(bits, signs))
    key = tirx.Select(tirx.isnan(x), tirx.const(_LAST, "int32"), number)
    return tirx.const(-1, "int32") - key if largest else key


def _taken(ctx: Context, node: fx.Node, data: Any, places: Any) -> Any:
    """Elements of the last axis at these places."""

    def element(x: Any, places: Any, *i: Expr) -> Expr:
        return x(*i[:-1], places(*i))

    return _alone(ctx, node, "taken", shape_of(places), element, data, places)


def _labels(ctx: Context, node: fx.Node, places: Any) -> Any:
    """Places as PyTorch's type of them."""

    def element(x: Any, *i: Expr) -> Expr:
        return tirx.Cast("int64", x(*i))

    return _alone(ctx, node, "label", shape_of(places), element, places)


def _alone(
    ctx: Context, node: fx.Node, name: str, shape: tuple[int, ...], element: Callable[..., Expr], *operands: Any
) -> Any:
    """A kernel of its own: joined, ranks would be counted anew for every element that asks for one."""

    def of(*tensors: Any) -> Any:
        return te.compute(shape, lambda *i: element(*tensors, *i), name=name)

    return ctx.compute(node, of, *operands, attrs={"op_pattern": _OPAQUE})


SORTING: dict[str, Callable[[Context, fx.Node], Any]] = {
    "sort.default": sort,
    "sort.stable": sort,
    "topk.default": topk,
}
