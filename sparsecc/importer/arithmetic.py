"""Sums, products and the like: PyTorch's promotion of numbers and its ``alpha``, which Relax' importer leaves out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from sparsecc._tvm import relax
from sparsecc.importer.arguments import arguments
from sparsecc.importer.context import Context

Binary = Callable[[Any, Any], Any]


def add(ctx: Context, node: fx.Node) -> Any:
    """``add(a, b, alpha)``: ``a + alpha * b``; of truth values it is true where one of them is."""
    a, b = _operands(ctx, node)
    if node.meta["val"].dtype is torch.bool:
        return ctx.emit(relax.op.maximum(a, b))
    return ctx.on_images(lambda a, b: ctx.emit(relax.op.add(a, b)), a, b)


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
    a, b = arguments(node, 2, [None, None])
    zero = _zero(ctx, b)
    if zero is not None:  # TVM divides by no number that it knows to be 0
        return ctx.emit(relax.op.multiply(_operand(ctx, a), relax.const(math.copysign(math.inf, zero), "float32")))
    return ctx.emit(relax.op.divide(_operand(ctx, a), _operand(ctx, b)))


def _zero(ctx: Context, value: Any) -> float | None:
    """A number that is 0, with its sign."""
    if ctx.is_constant(value) and value.meta["val"].numel() == 1:
        value = ctx.array(value, "its divisor").item()
    return None if isinstance(value, fx.Node) or value != 0 else float(value)


def _operands(ctx: Context, node: fx.Node) -> tuple[Any, Any]:
    a, b, alpha = arguments(node, 3, [None, None, 1])
    return _operand(ctx, a), _times(ctx, _operand(ctx, b), alpha)


def _operand(ctx: Context, value: Any) -> Any:
    """A tensor, or a Python number as the float that PyTorch takes it for."""
    return ctx.value(value) if isinstance(value, fx.Node) else relax.const(float(value), "float32")


def _times(ctx: Context, x: Any, alpha: Any) -> Any:
    return x if alpha == 1 else ctx.emit(relax.op.multiply(x, relax.const(float(alpha), "float32")))
