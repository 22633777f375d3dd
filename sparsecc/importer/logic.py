"""Truth values: comparisons, ``where``, masks. Between kernels they are float32, 0 or 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from sparsecc._tvm import relax, tirx
from sparsecc.importer.arguments import arguments
from sparsecc.importer.context import Context, shape_of
from sparsecc.importer.pointwise import pointwise
from sparsecc.kernels.extremes import f32

Translate = Callable[[Context, fx.Node], Any]
Expr = Any


def comparison(compare: Callable[[Expr, Expr], Expr]) -> Translate:
    """A translation of ``compare(a, b)``, false wherever PyTorch's is false for NaN."""

    def translate(ctx: Context, node: fx.Node) -> Any:
        """Comparisons: 1 where they hold, else 0."""
        return pointwise(ctx, node, lambda a, b: _truth(compare(a, b)), *arguments(node, 2, [None, None]))

    return translate


def logical(combine: Callable[..., Expr]) -> Translate:
    """A translation of a function of truth values; numbers are true unless they are 0."""

    def translate(ctx: Context, node: fx.Node) -> Any:
        """Functions of truth values; a number is true unless it is 0."""
        count = 1 if node.target in _UNARY else 2
        return pointwise(ctx, node, lambda *a: _truth(combine(*map(_is_true, a))), *arguments(node, count, [None] * 2))

    return translate


_UNARY = (torch.ops.aten.logical_not.default, torch.ops.aten.bitwise_not.default)


def property_of(holds: Callable[[Expr], Expr]) -> Translate:
    """A translation of what is true of some numbers."""

    def translate(ctx: Context, node: fx.Node) -> Any:
        """1 for the numbers of which it is true, else 0."""
        return pointwise(ctx, node, lambda x: _truth(holds(x)), node.args[0])

    return translate


def sign(ctx: Context, node: fx.Node) -> Any:
    """``sign(x)``: 1, -1, or 0, for NaN too."""
    return pointwise(ctx, node, lambda x: _truth(x > f32(0)) - _truth(x < f32(0)), node.args[0])


def where(ctx: Context, node: fx.Node) -> Any:
    """``where(condition, a, b)``."""
    return pointwise(ctx, node, _choose, *arguments(node, 3, [None, None, None]))


def masked_fill(ctx: Context, node: fx.Node) -> Any:
    """``masked_fill(x, mask, value)``."""
    x, mask, value = arguments(node, 3, [None, None, None])
    return pointwise(ctx, node, _choose, mask, value, x)


def convert(ctx: Context, node: fx.Node) -> Any:
    """Changes of type between float32 and bool, and of the order in memory, which is ours to choose."""
    return converted(ctx, node, node.args[0])


def copy(ctx: Context, node: fx.Node) -> Any:
    """``copy(x, source)``: what is written over all of ``x``."""
    result = converted(ctx, node, node.args[1])
    shape = tuple(int(extent) for extent in node.meta["val"].shape)
    return result if shape_of(result) == shape else ctx.emit(relax.op.broadcast_to(result, shape))


def converted(ctx: Context, node: fx.Node, source: Any) -> Any:
    """A tensor in the type of the node's result."""
    to_truth = node.meta["val"].dtype is torch.bool and source.meta["val"].dtype is not torch.bool
    return pointwise(ctx, node, lambda x: _truth(_is_true(x)), source) if to_truth else ctx.value(source)


def _choose(mask: Expr, a: Expr, b: Expr) -> Expr:
    return tirx.Select(_is_true(mask), a, b)


def _truth(condition: Expr) -> Expr:
    return tirx.Select(condition, f32(1), f32(0))


def _is_true(x: Expr) -> Expr:
    return x != f32(0)


#: comparisons by the stem of their name; TVM takes every number for equal to itself, NaN too, and must be told
COMPARISONS: dict[str, Translate] = {
    "eq": comparison(lambda a, b: tirx.And(tirx.EQ(a, b), tirx.Not(tirx.isnan(a)))),
    "ne": comparison(lambda a, b: tirx.Or(tirx.NE(a, b), tirx.isnan(a))),
    "lt": comparison(lambda a, b: a < b),
    "le": comparison(lambda a, b: tirx.And(a <= b, tirx.Not(tirx.isnan(a)))),
    "gt": comparison(lambda a, b: a > b),
    "ge": comparison(lambda a, b: tirx.And(a >= b, tirx.Not(tirx.isnan(a)))),
}

_AND, _OR = logical(lambda a, b: tirx.And(a, b)), logical(lambda a, b: tirx.Or(a, b))
_XOR, _NOT = logical(lambda a, b: tirx.Or(tirx.And(a, tirx.Not(b)), tirx.And(b, tirx.Not(a)))), logical(tirx.Not)

LOGIC: dict[str, Translate] = {
    **{f"{name}.{kind}": how for name, how in COMPARISONS.items() for kind in ("Tensor", "Scalar")},
    "logical_and.default": _AND,
    "logical_or.default": _OR,
    "logical_xor.default": _XOR,
    "logical_not.default": _NOT,
    "bitwise_and.Tensor": _AND,
    "bitwise_or.Tensor": _OR,
    "bitwise_xor.Tensor": _XOR,
    "bitwise_not.default": _NOT,
    "__and__.Tensor": _AND,
    "__or__.Tensor": _OR,
    "__xor__.Tensor": _XOR,
    "isnan.default": property_of(tirx.isnan),
    "isinf.default": property_of(lambda x: tirx.abs(x) == f32(math.inf)),
    "sign.default": sign,
    "where.self": where,
    "where.ScalarOther": where,
    "where.ScalarSelf": where,
    "where.Scalar": where,
    "masked_fill.Scalar": masked_fill,
    "masked_fill.Tensor": masked_fill,
    "copy.default": copy,
    "_to_copy.default": convert,
}
