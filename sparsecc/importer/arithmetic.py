"""Sums, products and the like: PyTorch's promotion of numbers and its ``alpha``, which Relax' importer leaves out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import fx

from sparsecc._tvm import relax
from sparsecc.importer.arguments import arguments
from sparsecc.importer.context import Context

Binary = Callable[[Any, Any], Any]


def add(ctx: Context, node: fx.Node) -> Any:
    """``add(a, b, alpha)``: ``a + alpha * b``."""
    a, b = _operands(ctx, node)
    return ctx.emit(relax.op.add(a, b))


def subtract(ctx: Context, node: fx.Node) -> Any:
    """``sub(a, b, alpha)``: ``a - alpha * b``."""
    a, b = _operands(ctx, node)
    return ctx.emit(relax.op.subtract(a, b))


def subtract_from(ctx: Context, node: fx.Node) -> Any:
    """``rsub(a, b, alpha)``: ``b - alpha * a``."""
    a, b, alpha = arguments(node, 3, [None, None, 1])
    return ctx.emit(relax.op.subtract(_operand(ctx, b), _times(ctx, _operand(ctx, a), alpha)))


def multiply(ctx: Context, node: fx.Node) -> Any:
    """``mul(a, b)``."""
    return ctx.emit(relax.op.multiply(*(_operand(ctx, value) for value in arguments(node, 2, [None, None]))))


def divide(ctx: Context, node: fx.Node) -> Any:
    """``div(a, b)`` without rounding."""
    return ctx.emit(relax.op.divide(*(_operand(ctx, value) for value in arguments(node, 2, [None, None]))))


def _operands(ctx: Context, node: fx.Node) -> tuple[Any, Any]:
    a, b, alpha = arguments(node, 3, [None, None, 1])
    return _operand(ctx, a), _times(ctx, _operand(ctx, b), alpha)


def _operand(ctx: Context, value: Any) -> Any:
    """A tensor, or a Python number as the float that PyTorch takes it for."""
    return ctx.value(value) if isinstance(value, fx.Node) else relax.const(float(value), "float32")


def _times(ctx: Context, x: Any, alpha: Any) -> Any:
    return x if alpha == 1 else ctx.emit(relax.op.multiply(x, relax.const(float(alpha), "float32")))
