"""``scaled_dot_product_attention``: two products of matrices and a softmax between them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import fx

from sparsecc._tvm import relax, tirx
from sparsecc.errors import NotSupportedError
from sparsecc.importer.arguments import arguments
from sparsecc.importer.context import Context, shape_of
from sparsecc.importer.names import layer_name
from sparsecc.importer.pointwise import pointwise
from sparsecc.importer.shapes import softmax_of
from sparsecc.kernels.extremes import f32

Expr = Any


def attention(ctx: Context, node: fx.Node) -> Any:
    """``scaled_dot_product_attention(q, k, v, mask, 0, is_causal, scale, enable_gqa)``; rows that see nothing are 0."""
    defaults: list[Any] = [None, None, None, None, 0.0, False, None, False]
    *operands, mask, dropout, is_causal, scale, grouped = arguments(node, 8, defaults)
    if dropout:
        raise NotSupportedError(f"layer {layer_name(node)}: attention with dropout {dropout} is not supported, "
                                "expected 0; PyTorch drops in evaluation mode, too")  # fmt: skip
    q, k, v = (ctx.value(operand) for operand in operands)
    if grouped:
        k, v = (_repeated(ctx, x, shape_of(q)[-3]) for x in (k, v))
    factor = shape_of(q)[-1] ** -0.5 if scale is None else float(scale)
    scaled = ctx.emit(relax.op.multiply(q, relax.const(factor, "float32")))
    axes = [*range(len(shape_of(k)) - 2), len(shape_of(k)) - 1, len(shape_of(k)) - 2]
    scores = ctx.emit(relax.op.matmul(scaled, ctx.emit(relax.op.permute_dims(k, axes))))
    may_be_blind = mask is not None
    if is_causal:
        seen = np.tril(np.ones(shape_of(scores)[-2:], np.bool_))
        scores = ctx.emit(relax.op.add(scores, relax.const(np.where(seen, 0.0, -math.inf).astype(np.float32))))
    elif mask is not None and ctx.is_constant(mask):
        hidden = _numbers(ctx.array(mask, "its mask"))
        may_be_blind = bool(np.isneginf(hidden).all(-1).any())
        scores = ctx.emit(relax.op.add(scores, relax.const(hidden)))
    elif mask is not None:
        scores = ctx.emit(relax.op.add(scores, _from_input(ctx, node, mask)))
    weights = softmax_of(ctx, node, scores, -1)
    if may_be_blind:
        weights = _without_blind(ctx, node, weights, scores)
    return ctx.emit(relax.op.matmul(weights, v))


def _repeated(ctx: Context, x: Any, heads: int) -> Any:
    """Keys or values of several heads, once for each of them."""
    times = heads // shape_of(x)[-3]
    return x if times == 1 else ctx.emit(relax.op.repeat(x, times, len(shape_of(x)) - 3))


def _numbers(mask: Any) -> Any:
    """What is added to scores: 0 where a truth value says that they count."""
    added = np.where(mask, 0.0, -math.inf) if mask.dtype == np.bool_ else mask
    return np.asarray(added, np.float32)


def _from_input(ctx: Context, node: fx.Node, mask: fx.Node) -> Any:
    if mask.meta["val"].dtype is not torch.bool:
        return ctx.value(mask)
    shape = shape_of(ctx.value(mask))
    return pointwise(ctx, node, lambda m: tirx.Select(m != f32(0), f32(0), f32(-math.inf)), mask, shape=shape)


def _without_blind(ctx: Context, node: fx.Node, weights: Any, scores: Any) -> Any:
    """Zeros in the rows of which every score is hidden."""
    top = ctx.emit(relax.op.max(scores, [len(shape_of(scores)) - 1], True))

    def choose(weight: Expr, top: Expr) -> Expr:
        return tirx.Select(top == f32(-math.inf), f32(0), weight)

    return pointwise(ctx, node, choose, weights, top, shape=shape_of(weights))
