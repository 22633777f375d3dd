"""The largest pixels of an image in any number of windows, whose sizes then differ by one or two."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import fx

from sparsecc._tvm import relax, te, tirx
from sparsecc.importer.context import Context, image_shape
from sparsecc.kernels.exponential import let
from sparsecc.kernels.extremes import larger

Expr = Any


def unequal_maximum(ctx: Context, node: fx.Node, data: Any, size: tuple[int, int]) -> Any:
    """Window ``i`` of ``k`` on ``n`` pixels goes from ``i * n // k`` to before ``ceil((i + 1) * n / k)``.

    Rows first, then columns: each is a choice of the larger one of as many pixels as the largest window has, of which a
    smaller one has its last pixel more than once. So vectors of them are loaded and compared, and NaN wins.
    """
    n, c, h, w = image_shape(node, data)
    rows = _along(ctx, node, data, (n, c, size[0], w), 2, h)
    return _along(ctx, node, rows, (n, c, *size), 3, w)


def _along(ctx: Context, node: fx.Node, data: Any, shape: tuple[int, ...], axis: int, extent: int) -> Any:
    count = shape[axis]
    starts = [i * extent // count for i in range(count)]
    ends = [-(-(i + 1) * extent // count) for i in range(count)]
    most = max(end - start for start, end in zip(starts, ends, strict=True))

    def of(x: Any, first: Any, last: Any) -> Any:
        def element(*i: Any) -> Expr:
            at = first(i[axis])
            places = [tirx.min(at + k, last(i[axis])) for k in range(most)]
            values = [x(*i[:axis], place, *i[axis + 1 :]) for place in places]
            found = values[0]
            for value in values[1:]:
                found = _larger(found, value)
            return found

        return te.compute(shape, element, name="largest")

    tables = (relax.const(np.array(numbers, np.int32)) for numbers in (starts, [end - 1 for end in ends]))
    return ctx.compute(node, of, data, *tables)


def _larger(so_far: Expr, value: Expr) -> Expr:
    """Each has a name: the choice names them several times, and choices within choices would double."""
    return let(so_far, lambda a: let(value, lambda b: larger(a, b)))
