"""Values at constant places in any order, which may be added to what is there: ``y[[0, 2]] = v``, ``scatter_add``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from sparsecc._tvm import relax, te, tirx
from sparsecc.errors import NotSupportedError
from sparsecc.importer.arguments import arguments, operator_name, result_shape
from sparsecc.importer.context import Context, shape_of
from sparsecc.importer.names import layer_name
from sparsecc.importer.places import constants, look_up, narrowed, numbered, places
from sparsecc.importer.pointwise import operand
from sparsecc.importer.scatter import overlay, write
from sparsecc.kernels.extremes import f32

#: entries of a table of what is added where, which is a part of the library
_MOST_PLACES = 2**24


def index_put(ctx: Context, node: fx.Node) -> Any:
    """``index_put(x, indices, values, accumulate)`` at constant indices."""
    _, indices, values, accumulate = arguments(node, 4, [None, None, None, False])
    if not all(index is None or ctx.is_constant(index) for index in indices):
        raise NotSupportedError(
            f"layer {layer_name(node)}: index_put at places that depend on the input is not supported, "
            "expected one mask and one number, or what elementwise operators make of the elements that it selects; "
            "or torch.where"
        )
    if not accumulate:
        return write(ctx, node, values, {"values": numbered(result_shape(values))})
    own = [slice(None) if index is None else torch.from_numpy(ctx.array(index, "an index").copy()) for index in indices]
    written = numbered(result_shape(node.args[0]))[tuple(own)]
    return _add(ctx, node, values, written, numbered(result_shape(values)).expand(written.shape))


def scatter_add(ctx: Context, node: fx.Node) -> Any:
    """``scatter_add(x, axis, index, source)`` at constant places."""
    return _scatter(ctx, node, *arguments(node, 4, [None, 0, None, None])[1:])


def scatter_reduce(ctx: Context, node: fx.Node) -> Any:
    """``scatter_reduce(x, axis, index, source, "sum")`` at constant places."""
    _, axis, index, source, reduce, with_own = arguments(node, 6, [None, 0, None, None, None, True])
    if reduce != "sum" or not with_own:
        raise NotSupportedError(
            f"layer {layer_name(node)}: scatter_reduce with reduce={reduce!r}, include_self={with_own} is not "
            "supported, expected a sum with what is there"
        )
    return _scatter(ctx, node, axis, index, source)


def _scatter(ctx: Context, node: fx.Node, axis: int, index: fx.Node, source: fx.Node) -> Any:
    to = torch.from_numpy(ctx.array(index, "its index").copy())
    shape, read = result_shape(node.args[0]), numbered(result_shape(source))
    if not shape:  # PyTorch takes one number for a row of one
        shape, to, read = (1,), to.reshape(-1), read.reshape(-1)
    own = torch.meshgrid(*map(torch.arange, to.shape), indexing="ij")
    written = numbered(shape)[tuple(to if i == axis % len(shape) else place for i, place in enumerate(own))]
    return _add(ctx, node, source, written, read[tuple(slice(extent) for extent in to.shape)])


def _add(ctx: Context, node: fx.Node, source: fx.Node, written: torch.Tensor, read: torch.Tensor) -> Any:
    """Add elements of ``source``, by their numbers ``read``, to those of the first operand with numbers ``written``."""
    shape, values = result_shape(node.args[0]), operand(ctx, source)
    where = f"layer {layer_name(node)}: {operator_name(node)}"
    if node.meta["val"].dtype is torch.bool:
        raise NotSupportedError(f"{where} that adds truth values is not supported, expected float32")
    to = written.reshape(-1).numpy()
    counts = np.bincount(to, minlength=math.prod(shape))
    most = max(1, int(counts.max(initial=0)))
    if most > 1 and most * counts.size > _MOST_PLACES:
        raise NotSupportedError(
            f"{where} that adds {most} values to one of {counts.size} elements is not supported, expected at most "
            f"{_MOST_PLACES // counts.size}"
        )
    table = np.full((most, counts.size), -1, np.int64)
    order = np.argsort(to, kind="stable")
    ranks = np.arange(order.size) - np.repeat(np.cumsum(counts) - counts, counts)
    table[ranks, to[order]] = read.reshape(-1).numpy()[order]
    numbers = table.reshape(most, *shape)
    if most == 1:
        found = places(numbers[0], shape_of(values), numbers[0] >= 0) if shape_of(values) else []
        return overlay(ctx, node, values, found, numbers[0] >= 0, add=True)
    return ctx.emit(relax.op.add(ctx.value(node.args[0]), _sums(ctx, node, values, numbers)))


def _sums(ctx: Context, node: fx.Node, values: Any, numbers: NDArray[np.int64]) -> Any:
    """Sums of the elements of ``values`` that are numbered along the first axis; -1 for none."""
    is_term = numbers >= 0
    found = places(numbers, shape_of(values), is_term) if shape_of(values) else []
    tables, dealt = constants(found)

    def of(values: Any, mask: Any, *given: Any) -> Any:
        own, k = dealt(given), te.reduce_axis((0, len(numbers)), name="k")

        def element(*i: Any) -> Any:
            value = values(*(place.at((k, *i), table) for place, table in zip(found, own, strict=True)))
            return te.sum(tirx.Select(look_up(mask, (k, *i)) != 0, value, f32(0)), axis=k)

        return te.compute(numbers.shape[1:], element, name="sums")

    return ctx.compute(node, of, values, relax.const(narrowed(is_term.astype(np.int32))), *tables)


#: operators that may add
PUT: dict[str, Callable[[Context, fx.Node], Any]] = {
    "index_put.default": index_put,
    "scatter_add.default": scatter_add,
    "scatter_reduce.two": scatter_reduce,
}
