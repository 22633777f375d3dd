"""Elementwise computations over operands that are broadcast against each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import fx

from sparsecc._tvm import relax, te
from sparsecc.importer.context import Context


def pointwise(
    ctx: Context,
    node: fx.Node,
    function: Callable[..., Any],
    *operands: Any,
    shape: tuple[int, ...] | None = None,
) -> Any:
    """``function`` of the operands' elements, for every element of ``shape``, by default that of the node's result.

    Operands are nodes, Relax expressions of tensors, or Python numbers.
    """
    out = tuple(int(extent) for extent in node.meta["val"].shape) if shape is None else shape

    def of(*tensors: Any) -> Any:
        return te.compute(out, lambda *i: function(*(element_of(x, i) for x in tensors)), name="pointwise")

    return ctx.compute(node, of, *(operand(ctx, value) for value in operands))


def operand(ctx: Context, value: Any) -> Any:
    """An operand as a Relax expression: a number, or a constant that is one number everywhere, takes no memory."""
    if isinstance(value, (bool, int, float)):
        return relax.const(float(value), "float32")
    if not isinstance(value, fx.Node):
        return value
    if ctx.is_constant(value):
        array = np.asarray(ctx.array(value, "an operand"), np.float32)
        if _is_uniform(array):
            return relax.const(float(array.flat[0]), "float32")
    return ctx.value(value)


def _is_uniform(array: NDArray[np.float32]) -> bool:
    bits = array.view(np.int32) if array.ndim else array.reshape(1).view(np.int32)
    return bool(array.size and (bits == bits.flat[0]).all())


def element_of(x: Any, indices: tuple[Any, ...]) -> Any:
    """Element of a tensor that is broadcast: its axes are the last ones of the result."""
    own = indices[len(indices) - len(x.shape) :]
    return x(*(0 if int(extent) == 1 else index for extent, index in zip(x.shape, own, strict=True)))
