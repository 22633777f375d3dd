"""Reductions along axes: sums, extremes, norms."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import fx

from sparsecc._tvm import relax, te, tirx
from sparsecc.errors import NotSupportedError
from sparsecc.importer.arguments import arguments, operator_name, schema_of
from sparsecc.importer.context import Context, shape_of
from sparsecc.importer.names import layer_name
from sparsecc.importer.pointwise import pointwise
from sparsecc.kernels.extremes import f32

Expr = Any


def axes_of(rank: int, axes: Any) -> list[int]:
    """Axes counted from the front, as PyTorch means them: none given are all, and one number is a row of one."""
    given = [axes] if isinstance(axes, int) else list(axes or range(rank))
    return sorted(axis % max(rank, 1) for axis in given) if rank else []


def sum_(ctx: Context, node: fx.Node) -> Any:
    """``sum(x, axes, keepdim)``."""
    x, axes, keepdim = arguments(node, 3, [None, None, False])
    data = ctx.value(x)
    found = axes_of(len(shape_of(data)), axes)
    return ctx.emit(relax.op.sum(data, found, keepdim)) if found else data


def extreme(ctx: Context, node: fx.Node) -> Any:
    """``amax(x, axes, keepdim)``, ``amin``, and ``max`` and ``min`` without their indices; NaN wins."""
    x, axes, keepdim = arguments(node, 3, [None, None, False])
    name = operator_name(node)
    has_indices = name in ("max", "min") and axes is not None
    exact = extreme_of(ctx, node, ctx.value(x), axes, keepdim, largest=name.endswith("max"))
    return (exact,) if has_indices else exact


def extreme_of(ctx: Context, node: fx.Node, data: Any, axes: Any, keepdim: bool, *, largest: bool) -> Any:
    """Largest or smallest element along some axes; NaN wins."""
    best, worst = (te.max, -math.inf) if largest else (te.min, math.inf)
    most = _reduced(ctx, node, data, axes, keepdim, best, lambda x: tirx.Select(tirx.isnan(x), f32(worst), x))
    odd = _reduced(ctx, node, data, axes, keepdim, te.max, lambda x: _truth(tirx.isnan(x)))
    shape = shape_of(most)
    return pointwise(ctx, node, lambda odd, y: tirx.Select(odd != f32(0), f32(math.nan), y), odd, most, shape=shape)


def product(ctx: Context, node: fx.Node) -> Any:
    """``prod(x, axis, keepdim)``."""
    x, axis, keepdim = arguments(node, 3, [None, None, False])
    data = ctx.value(x)
    found = axes_of(len(shape_of(data)), axis)
    return ctx.emit(relax.op.prod(data, found, bool(keepdim))) if found else data


def quantifier(ctx: Context, node: fx.Node) -> Any:
    """``any(x, axes, keepdim)`` and ``all``."""
    x, axes, keepdim = arguments(node, 3, [None, None, False])
    best = te.max if operator_name(node) == "any" else te.min
    return _reduced(ctx, node, ctx.value(x), axes, keepdim, best, lambda x: _truth(x != f32(0)))


def variance(ctx: Context, node: fx.Node) -> Any:
    """``var(x, axes, correction, keepdim)`` and ``std``: of the distances from the mean."""
    total, _ = _spread(ctx, node)
    return ctx.emit(relax.op.sqrt(total)) if operator_name(node) == "std" else total


def variance_and_mean(ctx: Context, node: fx.Node) -> Any:
    """``var_mean(x, axes, correction, keepdim)``."""
    return _spread(ctx, node)


def _spread(ctx: Context, node: fx.Node) -> tuple[Any, Any]:
    """Variance and mean; a correction of as many as there are numbers, or more, gives what PyTorch's division gives."""
    names = [argument.name for argument in schema_of(node).arguments]
    given = dict(zip(names, node.args, strict=False)) | node.kwargs
    data, keepdim = ctx.value(given["self"]), bool(given.get("keepdim", False))
    correction = given.get("correction", int(given.get("unbiased", True)))
    shape = shape_of(data)
    found = axes_of(len(shape), given.get("dim"))
    count = math.prod(shape[axis] for axis in found)
    freedom = max(0.0, count - (1.0 if correction is None else float(correction)))
    mean = ctx.emit(relax.op.mean(data, found, True)) if found else data
    distance = ctx.emit(relax.op.subtract(data, mean))
    squares = ctx.emit(relax.op.multiply(distance, distance))
    total = ctx.emit(relax.op.sum(squares, found, keepdim)) if found else squares
    scale = 1 / freedom if freedom else math.inf
    found_shape = shape_of(total)
    mean = mean if shape_of(mean) == found_shape else ctx.emit(relax.op.reshape(mean, found_shape))
    return ctx.emit(relax.op.multiply(total, relax.const(scale, "float32"))), mean


def vector_norm(ctx: Context, node: fx.Node) -> Any:
    """``linalg_vector_norm(x, order, axes, keepdim)`` of order 1 or 2."""
    x, order, axes, keepdim = arguments(node, 4, [None, 2, None, False])
    if order not in (1, 2):
        raise NotSupportedError(f"layer {layer_name(node)}: a norm of order {order} is not supported, expected 1 or 2")
    value: Callable[[Expr], Expr] = tirx.abs if order == 1 else lambda x: x * x
    total = _reduced(ctx, node, ctx.value(x), axes, keepdim, te.sum, value)
    return total if order == 1 else ctx.emit(relax.op.sqrt(total))


def _reduced(
    ctx: Context, node: fx.Node, data: Any, axes: Any, keepdim: bool, combine: Any, value: Callable[[Expr], Expr]
) -> Any:
    """``combine`` of the values of all elements along some axes."""
    shape = shape_of(data)
    found = axes_of(len(shape), axes)
    if not found:
        return pointwise(ctx, node, value, data, shape=tuple(shape))
    out = [1 if axis in found else extent for axis, extent in enumerate(shape) if keepdim or axis not in found]

    def of(x: Any) -> Any:
        along = {axis: te.reduce_axis((0, shape[axis]), name="k") for axis in found}

        def element(*i: Any) -> Any:
            rest = iter([index for at, index in enumerate(i) if not (keepdim and at in along)])
            index = [along[axis] if axis in along else next(rest) for axis in range(len(shape))]
            return combine(value(x(*index)), axis=list(along.values()))

        return te.compute(out, element, name=operator_name(node))

    return ctx.compute(node, of, data)


def _truth(condition: Expr) -> Expr:
    return tirx.Select(condition, f32(1), f32(0))


#: operators that compute one number of many
REDUCTIONS: dict[str, Callable[[Context, fx.Node], Any]] = {
    "sum.dim_IntList": sum_,
    "amax.default": extreme,
    "amin.default": extreme,
    "max.default": extreme,
    "max.dim": extreme,
    "min.default": extreme,
    "min.dim": extreme,
    "prod.default": product,
    "prod.dim_int": product,
    "any.default": quantifier,
    "any.dim": quantifier,
    "any.dims": quantifier,
    "all.default": quantifier,
    "all.dim": quantifier,
    "all.dims": quantifier,
    "linalg_vector_norm.default": vector_norm,
    **dict.fromkeys(("var.dim", "var.correction", "std.dim", "std.correction"), variance),
    **dict.fromkeys(("var_mean.dim", "var_mean.correction"), variance_and_mean),
}
