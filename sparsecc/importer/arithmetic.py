"""Sums, differences, products and quotients, with PyTorch's scalars and its ``alpha``."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import fx

from sparsecc._tvm import relax
from sparsecc.errors import NotSupportedError
from sparsecc.importer.arguments import arguments
from sparsecc.importer.context import Context
from sparsecc.importer.names import layer_name


def add(ctx: Context, node: fx.Node) -> Any:
    """``add(x, y, alpha)``: ``x + alpha * y``."""
    x, y = _operands(ctx, node, alpha=True)
    return ctx.emit(relax.op.add(x, y))


def subtract(ctx: Context, node: fx.Node) -> Any:
    """``sub(x, y, alpha)``: ``x - alpha * y``."""
    x, y = _operands(ctx, node, alpha=True)
    return ctx.emit(relax.op.subtract(x, y))


def subtract_from(ctx: Context, node: fx.Node) -> Any:
    """``rsub(x, y, alpha)``: ``y - alpha * x``."""
    first, second, alpha = arguments(node, 3, [None, None, 1])
    x = _scaled(ctx, _operand(ctx, node, first), alpha)
    return ctx.emit(relax.op.subtract(_operand(ctx, node, second), x))


def multiply(ctx: Context, node: fx.Node) -> Any:
    """``mul(x, y)``."""
    x, y = _operands(ctx, node)
    return ctx.emit(relax.op.multiply(x, y))


def divide(ctx: Context, node: fx.Node) -> Any:
    """``div(x, y)``; by a number it is a product."""
    x, y = _operands(ctx, node)
    divisor = node.args[1]
    if isinstance(divisor, int | float) and divisor:
        return ctx.emit(relax.op.multiply(x, relax.const(1.0 / divisor, "float32")))
    return ctx.emit(relax.op.divide(x, y))


def _operands(ctx: Context, node: fx.Node, *, alpha: bool = False) -> tuple[Any, Any]:
    first, second, factor = arguments(node, 3, [None, None, 1]) if alpha else (*node.args[:2], 1)
    return _operand(ctx, node, first), _scaled(ctx, _operand(ctx, node, second), factor)


def _scaled(ctx: Context, value: Any, factor: Any) -> Any:
    return value if factor == 1 else ctx.emit(relax.op.multiply(value, relax.const(float(factor), "float32")))


def _operand(ctx: Context, node: fx.Node, value: Any) -> Any:
    if isinstance(value, int | float):
        return relax.const(float(value), "float32")
    if ctx.is_constant(value):
        return relax.const(ctx.array(value, "an operand").astype(np.float32))
    expression = ctx.value(value)
    if str(expression.ty.dtype.dtype) != "float32":
        raise NotSupportedError(f"layer {layer_name(node)}: an operand is {expression.ty.dtype}, expected float32")
    return expression
