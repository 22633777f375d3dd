"""Writes to a part of a tensor, which the exporter turns into a new tensor: ``y[:, :2] = v``, ``scatter``, masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from sparsecc._tvm import relax, te, tirx
from sparsecc.importer.arguments import arguments, result_shape, schema_of
from sparsecc.importer.context import Context, shape_of
from sparsecc.importer.places import Place, constants, look_up, moved_numbers, narrowed, numbered, places
from sparsecc.importer.pointwise import element_of, operand

Shape = tuple[int, ...]


def slice_scatter(ctx: Context, node: fx.Node) -> Any:
    """``slice_scatter(x, source, axis, start, end, step)``: what is left of ``y[:, a:b] = source``."""
    x, source, axis, start, end, step = arguments(node, 6, [None, None, 0, None, None, 1])
    shape = result_shape(x)
    rows = range(*slice(start, end, step).indices(shape[axis]))
    return _write_rows(ctx, node, source, _with(shape, axis, len(rows)), rows)


def select_scatter(ctx: Context, node: fx.Node) -> Any:
    """``select_scatter(x, source, axis, index)``: what is left of ``y[:, i] = source``."""
    x, source, axis, index = arguments(node, 4, [None, None, 0, 0])
    shape = result_shape(x)
    return _write_rows(ctx, node, source, _with(shape, axis, 1), [index % shape[axis]])


def _with(shape: Shape, axis: int, extent: int) -> tuple[Shape, int]:
    """The shape with another extent along an axis, and that axis counted from the front."""
    axis %= len(shape)
    return (*shape[:axis], extent, *shape[axis + 1 :]), axis


def _write_rows(ctx: Context, node: fx.Node, source: Any, written: tuple[Shape, int], rows: Any) -> Any:
    """Write ``source``, of the first shape in ``written``, to some rows along its axis."""
    (part, axis), shape = written, result_shape(node.args[0])
    along = tuple(shape[axis] if i == axis else 1 for i in range(len(shape)))
    mask, table = np.zeros(shape[axis], np.int32), np.zeros(shape[axis], np.int32)
    mask[list(rows)], table[list(rows)] = 1, np.arange(len(rows))
    found = [Place(i, None) for i in range(len(shape))]
    if len(rows) < shape[axis]:
        found[axis] = Place(None, table.reshape(along))
    values = operand(ctx, source)
    if shape_of(values) not in ((), part):  # a selected row has no axis of its own
        values = ctx.emit(relax.op.reshape(values, part))
    return overlay(ctx, node, values, found if shape_of(values) else [], mask.reshape(along))


def written(values: str) -> Callable[[Context, fx.Node], Any]:
    """A translation of an operator that writes to constant places what its argument ``values`` has."""

    def translate(ctx: Context, node: fx.Node) -> Any:
        """Elements at constant places are written: tables are made of what PyTorch writes where."""
        own = _argument(node, values)
        shape = result_shape(node.args[0])
        if not isinstance(own, fx.Node):
            mask = moved_numbers(ctx, node, self=torch.zeros(shape, dtype=torch.int64), **{values: 1})
            return overlay(ctx, node, operand(ctx, own), [], mask)
        return write(ctx, node, own, {values: numbered(result_shape(own))})

    return translate


def write(ctx: Context, node: fx.Node, source: fx.Node, replaced: dict[str, Any]) -> Any:
    """Elements of ``source`` at constant places: where, says what PyTorch does with the tensors in ``replaced``."""
    untouched = torch.full(result_shape(node.args[0]), -1, dtype=torch.int64)
    numbers = moved_numbers(ctx, node, self=untouched, **replaced)
    values, mask = operand(ctx, source), numbers >= 0
    found = places(numbers, shape_of(values), mask) if shape_of(values) else []
    return overlay(ctx, node, values, found, mask)


def overlay(
    ctx: Context, node: fx.Node, values: Any, found: list[Place], mask: NDArray[Any], *, add: bool = False
) -> Any:
    """``values`` at their places where the mask is true, elsewhere the node's first operand; or their sum with it."""
    shape = result_shape(node.args[0])
    tables, dealt = constants(found)

    def of(x: Any, values: Any, mask: Any, *given: Any) -> Any:
        own = dealt(given)

        def element(*i: Any) -> Any:
            value = values(*(place.at(i, table) for place, table in zip(found, own, strict=True)))
            before = element_of(x, i)
            return tirx.Select(look_up(mask, i) != 0, before + value if add else value, before)

        return te.compute(shape, element, name="written")

    is_written = relax.const(narrowed(mask.astype(np.int32)))
    return ctx.compute(node, of, operand(ctx, node.args[0]), values, is_written, *tables)


def _argument(node: fx.Node, name: str) -> Any:
    names = [argument.name for argument in schema_of(node).arguments]
    return arguments(node, len(names), [None] * len(names))[names.index(name)]


#: operators that write at constant places -> the argument that says what
SCATTER: dict[str, Callable[[Context, fx.Node], Any]] = {
    "slice_scatter.default": slice_scatter,
    "select_scatter.default": select_scatter,
    "diagonal_scatter.default": written("src"),
    "scatter.src": written("src"),
    "scatter.value": written("value"),
    "index_copy.default": written("source"),
    "index_fill.int_Scalar": written("value"),
}
