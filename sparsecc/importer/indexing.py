"""Operators that read elements at constant places: ``x[:, [2, 0, 1]]``, ``gather``, ``index_select``, ``diagonal``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import fx

from sparsecc._tvm import te
from sparsecc.importer.context import Context, shape_of
from sparsecc.importer.places import constants, moved_numbers, numbered, places


def moved(ctx: Context, node: fx.Node) -> Any:
    """Elements of the first operand at places that are constant: tables are made of what PyTorch moves where."""
    x = ctx.value(node.args[0])
    shape = shape_of(x)
    found = places(moved_numbers(ctx, node, self=numbered(shape)), shape)
    tables, dealt = constants(found)
    out = tuple(int(extent) for extent in node.meta["val"].shape)

    def of(x: Any, *given: Any) -> Any:
        own = dealt(given)

        def element(*i: Any) -> Any:
            return x(*(place.at(i, table) for place, table in zip(found, own, strict=True)))

        return te.compute(out, element, name="moved")

    return ctx.compute(node, of, x, *tables)


INDEXING: dict[str, Callable[[Context, fx.Node], Any]] = dict.fromkeys(
    (
        "index.Tensor", "_unsafe_index.Tensor", "index_select.default", "gather.default", "diagonal.default",
        "unfold.default", "flip.default", "roll.default",
    ),
    moved,
)  # fmt: skip
