"""Linear layers: a product with a constant matrix, whatever is added to it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import fx

from sparsecc._tvm import relax
from sparsecc.importer.arguments import arguments
from sparsecc.importer.context import Context, shape_of
from sparsecc.importer.convolution import BatchNorm, fold, scaled
from sparsecc.importer.shapes import affine
from sparsecc.importer.weight_codes import weight_scales
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layer import ConvLayer


class Weight(NamedTuple):
    """A matrix ``(oc, ic)``, and the scales ``(oc,)`` of its codes if it is made of some."""

    values: NDArray[Any]
    scales: NDArray[Any] | None = None


def linear(ctx: Context, node: fx.Node, norm: BatchNorm | None) -> Any:
    """``linear(x, weight, bias)`` on the last axis; a weight of one axis is one row without an axis in the result."""
    x, w, b = arguments(node, 3, [None, None, None])
    weight = np.atleast_2d(ctx.array(w, "its weight"))
    scales = weight_scales(ctx, w, axis=0, channels=len(weight))
    return _linear(ctx, node, norm, ctx.value(x), Weight(weight, scales), b)


def addmm(ctx: Context, node: fx.Node, norm: BatchNorm | None) -> Any:
    """``addmm(bias, x, weight, beta, alpha)``: how linear layers look after PyTorch's own decomposition."""
    b, x, w, beta, alpha = arguments(node, 5, [None, None, None, 1, 1])
    if beta == 0:  # then PyTorch ignores even a NaN
        b = None
    if ctx.is_constant(w):
        weight = ctx.array(w, "its weight").T
        if alpha != 1:
            return _linear(ctx, node, norm, ctx.value(x), Weight(weight * np.float32(alpha)), b, beta=beta)
        scales = weight_scales(ctx, w, axis=1, channels=len(weight))
        return _linear(ctx, node, norm, ctx.value(x), Weight(weight, scales), b, beta=beta)
    product = _times(ctx, ctx.emit(relax.op.matmul(ctx.value(x), ctx.value(w))), alpha)
    return _finished(ctx, product if b is None else _added(ctx, product, b, beta), norm)


def mm(ctx: Context, node: fx.Node, norm: BatchNorm | None) -> Any:
    """``mm(x, weight)``: a linear layer when the second factor is constant."""
    x, w = node.args
    if ctx.is_constant(w):
        weight = ctx.array(w, "its weight").T
        scales = weight_scales(ctx, w, axis=1, channels=len(weight))
        return _linear(ctx, node, norm, ctx.value(x), Weight(weight, scales), None)
    return _finished(ctx, ctx.emit(relax.op.matmul(ctx.value(x), ctx.value(w))), norm)


def _linear(
    ctx: Context, node: fx.Node, norm: BatchNorm | None, data: Any, weight: Weight, b: Any, *, beta: Any = 1
) -> Any:
    """The layer; what is added becomes its bias where that is constant and one number a channel."""
    oc = len(weight.values)
    bias = np.zeros(oc, np.float32) if b is None else _per_channel(ctx, b, oc)
    out = tuple(int(extent) for extent in node.meta["val"].shape)
    if bias is None:
        product = _layer(ctx, node, data, weight, np.zeros(oc, np.float32))
        return _finished(ctx, _added(ctx, _shaped(ctx, product, out), b, beta), norm)
    bias = bias if beta == 1 else bias * np.float32(beta)
    if norm is not None:
        folded, bias = fold(weight.values, bias, norm)
        weight = Weight(folded, scaled(weight.scales, norm))
    return _shaped(ctx, _layer(ctx, node, data, weight, bias), out)


def _layer(ctx: Context, node: fx.Node, data: Any, weight: Weight, bias: NDArray[Any]) -> Any:
    lead = shape_of(data)[:-1]
    oc, ic = weight.values.shape
    spec = ConvSpec(n=int(np.prod(lead, dtype=np.int64)), ic=ic, ih=1, iw=1, oc=oc)

    def make(key: str, name: str) -> ConvLayer:
        own = np.ascontiguousarray(weight.values, np.float32).reshape(oc, ic, 1, 1)
        return ConvLayer(key, name, spec, own, np.ascontiguousarray(bias, np.float32), weight.scales)

    return ctx.layer(node, make, data, (*lead, oc))


def _per_channel(ctx: Context, b: fx.Node, oc: int) -> Any:
    """What is added as ``(oc,)``; None where it depends on the input, or is not one number for every channel."""
    if not ctx.is_constant(b):
        return None
    array = ctx.array(b, "its bias").astype(np.float32)
    if any(extent != 1 for extent in array.shape[:-1]) or array.size not in (1, oc):
        return None
    return np.broadcast_to(array.reshape(-1), (oc,)).copy()


def _added(ctx: Context, product: Any, b: fx.Node, beta: Any) -> Any:
    return ctx.emit(relax.op.add(product, _times(ctx, ctx.value(b), beta)))


def _times(ctx: Context, x: Any, factor: Any) -> Any:
    return x if factor == 1 else ctx.emit(relax.op.multiply(x, relax.const(float(factor), "float32")))


def _shaped(ctx: Context, x: Any, shape: tuple[int, ...]) -> Any:
    return x if shape_of(x) == shape else ctx.emit(relax.op.reshape(x, shape))


def _finished(ctx: Context, x: Any, norm: BatchNorm | None) -> Any:
    return x if norm is None else affine(ctx, x, norm)
