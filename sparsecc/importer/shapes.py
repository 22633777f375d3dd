"""Operators that move pixels about, and elementwise ones: Relax has them all, with some care for PyTorch's meaning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import fx

from sparsecc._tvm import relax, te, tirx
from sparsecc.importer.arguments import arguments, operator_name
from sparsecc.importer.context import Context, image_shape, shape_of
from sparsecc.importer.convolution import BatchNorm
from sparsecc.ir.epilogue import Activation
from sparsecc.kernels import exponential


def identity(ctx: Context, node: fx.Node) -> Any:
    """Operators that change nothing at inference: dropout, clone, alias, contiguous."""
    return ctx.value(node.args[0])


def affine(ctx: Context, x: Any, norm: BatchNorm) -> Any:
    """A batch norm that no layer before it can take: ``x * scale + shift`` per channel."""
    shape = (-1,) + (1,) * (len(shape_of(x)) - 2)
    scale = relax.const(norm.scale.astype(np.float32).reshape(shape))
    shift = relax.const(norm.shift.astype(np.float32).reshape(shape))
    return ctx.emit(relax.op.add(ctx.emit(relax.op.multiply(x, scale)), shift))


def prelu(ctx: Context, node: fx.Node) -> Any:
    """``prelu(x, weight)`` with one slope, or one for every channel."""
    x, slope = ctx.value(node.args[0]), ctx.array(node.args[1], "its slope").reshape(-1)
    if slope.size == 1:
        return ctx.activation(node, Activation("leaky_relu", (float(slope[0]),)), x)
    slopes = relax.const(slope.reshape((-1,) + (1,) * (len(shape_of(x)) - 2)))
    positive = ctx.emit(relax.op.maximum(x, relax.const(0.0)))
    negative = ctx.emit(relax.op.multiply(ctx.emit(relax.op.minimum(x, relax.const(0.0))), slopes))
    return ctx.emit(relax.op.add(positive, negative))


def softmax(ctx: Context, node: fx.Node) -> Any:
    """``softmax(x, axis)`` with our own exponential."""
    return _softmax(ctx, node, "softmax", lambda x, power, total: power / total)


def log_softmax(ctx: Context, node: fx.Node) -> Any:
    """``log_softmax(x, axis)``."""
    return _softmax(ctx, node, "log_softmax", lambda x, power, total: x - tirx.log(total))


def _softmax(ctx: Context, node: fx.Node, name: str, result: Callable[[Any, Any, Any], Any]) -> Any:
    """The function along the axis that a node names."""
    axis = arguments(node, 2, [None, -1])[1]
    data = ctx.value(node.args[0])
    if not shape_of(data):  # PyTorch takes one number for a row of one
        data = ctx.emit(relax.op.reshape(data, (1,)))
    found = _along(ctx, node, data, axis, name, result)
    return found if shape_of(ctx.value(node.args[0])) else ctx.emit(relax.op.reshape(found, ()))


def softmax_of(ctx: Context, node: fx.Node, data: Any, axis: int) -> Any:
    """The same of a value that is no node's."""
    return _along(ctx, node, data, axis, "softmax", lambda x, power, total: power / total)


def _along(ctx: Context, node: fx.Node, data: Any, axis: int, name: str, result: Callable[[Any, Any, Any], Any]) -> Any:
    """``result(x - top, exp(x - top), sum of those)`` along an axis."""

    def of(x: Any) -> Any:
        at = axis % len(x.shape)
        outer = [*x.shape[:at], *x.shape[at + 1 :]]

        def row(i: Any, k: Any) -> Any:
            return (*i[:at], k, *i[at:])

        k1 = te.reduce_axis((0, x.shape[at]), name="k")
        top = te.compute(outer, lambda *i: te.max(x(*row(i, k1)), axis=k1), name="top")
        power = te.compute(x.shape, lambda *i: exponential.exp(x(*i) - top(*(i[:at] + i[at + 1 :]))), name="power")
        k2 = te.reduce_axis((0, x.shape[at]), name="k")
        total = te.compute(outer, lambda *i: te.sum(power(*row(i, k2)), axis=k2), name="total")

        def finish(*i: Any) -> Any:
            rest = i[:at] + i[at + 1 :]
            return result(x(*i) - top(*rest), power(*i), total(*rest))

        return te.compute(x.shape, finish, name=name)

    return ctx.compute(node, of, data)


def split(ctx: Context, node: fx.Node) -> Any:
    """``split(x, size or sizes, axis)`` and ``chunk``: one slice a part, so that each can join its user."""
    x, sizes, axis = arguments(node, 3, [None, None, 0])
    data = ctx.value(x)
    axis %= len(shape_of(data))
    extent = shape_of(data)[axis]
    if operator_name(node) == "chunk":
        sizes = -(-extent // sizes)
    if isinstance(sizes, int):
        sizes = [min(sizes, extent - start) for start in range(0, extent, sizes)]
    ends = np.cumsum(sizes).tolist()
    return tuple(
        ctx.emit(relax.op.strided_slice(data, [axis], [end - size], [end])) if size else None
        for size, end in zip(sizes, ends, strict=True)
    )


def slice_(ctx: Context, node: fx.Node) -> Any:
    """``slice(x, axis, start, end, step)``."""
    x, axis, start, end, step = arguments(node, 5, [None, 0, None, None, 1])
    data = ctx.value(x)
    extent = shape_of(data)[axis]
    start, end, step = slice(start, end, step).indices(extent)
    if (start, end, step) == (0, extent, 1):
        return data
    return ctx.emit(relax.op.strided_slice(data, [axis], [start], [end], [step]))


def select(ctx: Context, node: fx.Node) -> Any:
    """``select(x, axis, index)``: one slice, without its axis."""
    x, axis, index = arguments(node, 3, [None, 0, 0])
    data = ctx.value(x)
    shape = list(shape_of(data))
    start = index % shape[axis]
    part = ctx.emit(relax.op.strided_slice(data, [axis], [start], [start + 1]))
    del shape[axis]
    return ctx.emit(relax.op.reshape(part, shape))


def concat(ctx: Context, node: fx.Node) -> Any:
    """``cat(tensors, axis)``."""
    tensors, axis = arguments(node, 2, [None, 0])
    parts = [ctx.value(t) for t in tensors if t.meta["val"].numel()]  # those without elements may have any shape
    frames = [ctx.frames(part) for part in parts]
    if None not in frames and axis % 5 == 1:
        return ctx.from_frames(ctx.emit(relax.op.concat(frames, 1)), shape_of(parts[0])[0])
    return parts[0] if len(parts) == 1 else ctx.emit(relax.op.concat(parts, axis))


def reshape(ctx: Context, node: fx.Node) -> Any:
    """``view``, ``reshape``, ``flatten``, ``unsqueeze``, ``squeeze``: the exporter already knows the result's shape."""
    return ctx.emit(relax.op.reshape(ctx.value(node.args[0]), tuple(node.meta["val"].shape)))


def permute(ctx: Context, node: fx.Node) -> Any:
    """``permute(x, axes)``."""
    return ctx.emit(relax.op.permute_dims(ctx.value(node.args[0]), list(node.args[1])))


def transpose(ctx: Context, node: fx.Node) -> Any:
    """``transpose(x, a, b)``."""
    x = ctx.value(node.args[0])
    axes = list(range(len(shape_of(x))))
    if not axes:
        return x
    a, b = (int(i) % len(axes) for i in node.args[1:3])
    axes[a], axes[b] = axes[b], axes[a]
    return ctx.emit(relax.op.permute_dims(x, axes))


def pixel_shuffle(ctx: Context, node: fx.Node) -> Any:
    """``pixel_shuffle(x, factor)``."""
    x, r = ctx.value(node.args[0]), int(node.args[1])
    n, c, h, w = image_shape(node, x)
    dealt = ctx.emit(relax.op.reshape(x, (n, c // (r * r), r, r, h, w)))
    return ctx.emit(
        relax.op.reshape(ctx.emit(relax.op.permute_dims(dealt, [0, 1, 4, 2, 5, 3])), (n, c // (r * r), h * r, w * r))
    )
