"""Three-dimensional layers: those of images that stand for the frames of a volume.

A volume ``(n, c, d, h, w)`` is images ``(n * d, c, h, w)`` to its layers, and stays so between them. A convolution over
``kd`` frames reads them side by side, as the channels of one image: all kernels of images serve, sparse ones too, and
sums stay in registers. What it costs is that copy: each frame is written ``kd / stride`` times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import fx

from sparsecc._tvm import relax, te, tirx
from sparsecc.errors import NotSupportedError
from sparsecc.importer import layers
from sparsecc.importer.arguments import arguments
from sparsecc.importer.context import Context, shape_of
from sparsecc.importer.convolution import BatchNorm
from sparsecc.importer.layers import Operands, WindowArguments
from sparsecc.importer.names import layer_name
from sparsecc.importer.windows import pool_window
from sparsecc.ir.conv import ConvSpec
from sparsecc.kernels.exponential import let
from sparsecc.kernels.extremes import f32, larger

Expr = Any
#: for every frame that is written the ones that it is made of; -1 for one of zeros
Table = NDArray[np.int32]


def conv3d(ctx: Context, node: fx.Node, norm: BatchNorm | None) -> Any:
    """``conv3d(x, weight, bias, stride, padding, dilation, groups)``: frames side by side are channels of an image."""
    x, w, b, stride, padding, dilation, groups = arguments(node, 7, [None, None, None, 1, 0, 1, 1])
    return _conv(ctx, node, norm, Operands(x, w, b), WindowArguments(stride, padding, dilation), groups)


def conv_transpose3d(ctx: Context, node: fx.Node, norm: BatchNorm | None) -> Any:
    """``conv_transpose3d(x, weight, bias, stride, padding, output_padding, groups, dilation)``, as ``conv3d``."""
    x, w, b, stride, padding, out_padding, groups, dilation = arguments(node, 8, [None, None, None, 1, 0, 0, 1, 1])
    window = WindowArguments(stride, padding, dilation, out_padding)
    return _conv_transpose(ctx, node, norm, Operands(x, w, b), window, groups)


def convolution(ctx: Context, node: fx.Node, norm: BatchNorm | None) -> Any:
    """``convolution(x, weight, bias, stride, padding, dilation, transposed, output_padding, groups)``: all of them."""
    x, w, b, stride, padding, dilation, transposed, out_padding, groups = node.args
    makers = (layers.image_conv, layers.image_conv_transpose)
    if isinstance(w, fx.Node) and w.meta["val"].ndim == 5:
        makers = (_conv, _conv_transpose)
    make, window = makers[bool(transposed)], WindowArguments(stride, padding, dilation, out_padding)
    return make(ctx, node, norm, Operands(x, w, b), window, int(str(groups)))


def _conv(
    ctx: Context, node: fx.Node, norm: BatchNorm | None, operands: Operands, window: WindowArguments, groups: int
) -> Any:
    n, _, d, h, w = _volume_shape(ctx, node, operands.x)
    weight = ctx.array(operands.weight, "its weight")
    kernel, dilation, stride = weight.shape[2:], _three(window.dilation), _three(window.stride)
    front, back = _padding(window.padding, kernel, dilation)
    deep = d + front[0] + back[0] - dilation[0] * (kernel[0] - 1)
    starts = np.arange(0, deep, stride[0]) - front[0]
    table = _within(starts[:, None] + dilation[0] * np.arange(kernel[0]), d)
    data = _side_by_side(ctx, node, ctx.as_frames(ctx.value(operands.x)), d, table)
    flat = weight.reshape(len(weight), -1, *kernel[1:])
    spec = ConvSpec(
        n=n * len(table), ic=flat.shape[1] * groups, ih=h, iw=w, oc=len(weight), kh=kernel[1], kw=kernel[2],
        stride=stride[1:], dilation=dilation[1:], groups=groups, padding=(front[1], front[2], back[1], back[2]),
    )  # fmt: skip
    return ctx.from_frames(layers.conv_layer(ctx, node, spec, data, flat, operands, norm), n)


def _conv_transpose(
    ctx: Context, node: fx.Node, norm: BatchNorm | None, operands: Operands, window: WindowArguments, groups: int
) -> Any:
    """A frame is made of those that, ``stride`` apart, reach it; at a stride most of what stands side by side is 0."""
    n, _, d, _, _ = _volume_shape(ctx, node, operands.x)
    weight = ctx.array(operands.weight, "its weight")
    kd, stride, padding = weight.shape[2], _three(window.stride), _three(window.padding)
    dilation, out_padding = _three(window.dilation), _three(window.out_padding)
    count = (d - 1) * stride[0] - 2 * padding[0] + dilation[0] * (kd - 1) + out_padding[0] + 1
    reached = np.arange(count)[:, None] + padding[0] - dilation[0] * np.arange(kd)
    table = _within(np.where(reached % stride[0] == 0, reached // stride[0], -1), d)
    data = _side_by_side(ctx, node, ctx.as_frames(ctx.value(operands.x)), d, table)
    flat = weight.swapaxes(1, 2).reshape(-1, weight.shape[1], *weight.shape[3:])
    window = WindowArguments(stride[1:], padding[1:], dilation[1:], out_padding[1:])
    return ctx.from_frames(layers.transposed_layer(ctx, node, norm, data, flat, operands, window, groups), n)


def max_pool3d(ctx: Context, node: fx.Node, _norm: None) -> Any:
    """``max_pool3d(x, kernel, stride, padding, dilation, ceil_mode)``: over each frame's pixels, then over frames."""
    x, kernel, stride, padding, dilation, ceil_mode = arguments(node, 6, [None, None, [], 0, 1, False])
    n, _, d, _, _ = _volume_shape(ctx, node, x)
    kernel, padding, dilation = _three(kernel), _three(padding), _three(dilation)
    stride = _three(stride) if stride else kernel
    images = ctx.as_frames(ctx.value(x))
    if (kernel[1:], stride[1:], padding[1:]) != ((1, 1), (1, 1), (0, 0)):
        images = layers.maximum(ctx, node, images, kernel[1:], stride[1:], padding[1:], dilation[1:], ceil_mode)
    spec, _ = pool_window((1, 1, d, 1), (kernel[0], 1), (stride[0], 1), (padding[0], 0), (dilation[0], 1), ceil_mode)
    starts = stride[0] * np.arange(spec.oh) - padding[0]
    table = _within(starts[:, None] + dilation[0] * np.arange(kernel[0]), d)
    return ctx.from_frames(_largest(ctx, node, images, d, np.where(table < 0, table.max(1, keepdims=True), table)), n)


def max_pool3d_with_indices(ctx: Context, node: fx.Node, _norm: None) -> Any:
    """Like ``max_pool3d``; using the indices is an error."""
    layers.check_indices_unused(node, "max_pool3d")
    return (max_pool3d(ctx, node, None),)


def adaptive_max_pool3d(ctx: Context, node: fx.Node, _norm: None) -> Any:
    """``adaptive_max_pool3d(x, size)``: over each frame's pixels, then over frames; using the indices is an error."""
    layers.check_indices_unused(node, "adaptive_max_pool3d")
    x, size = arguments(node, 2, [None, None])
    n, _, d, _, _ = _volume_shape(ctx, node, x)
    deep, *pixels = _three(size)
    images = layers.adaptive_maximum(ctx, node, ctx.as_frames(ctx.value(x)), tuple(pixels))
    count = d if deep is None else deep
    starts, ends = np.arange(count) * d // count, -(-(np.arange(count) + 1) * d // count)
    reach = int((ends - starts).max())
    table = np.minimum(starts[:, None] + np.arange(reach), ends[:, None] - 1).astype(np.int32)
    return (ctx.from_frames(_largest(ctx, node, images, d, table), n),)


def _volume_shape(ctx: Context, node: fx.Node, x: Any) -> tuple[int, ...]:
    shape = shape_of(ctx.value(x))
    if len(shape) != 5:
        raise NotSupportedError(
            f"layer {layer_name(node)}: {node.target} of a tensor of shape {shape} is not supported, "
            "expected volumes (n, c, d, h, w)"
        )
    return shape


def _three(value: Any) -> tuple[Any, ...]:
    """``value`` for all axes unless it is three already."""
    if isinstance(value, list | tuple):
        return tuple(value) if len(value) == 3 else (value[0],) * 3
    return (value,) * 3


def _padding(padding: Any, kernel: Sequence[int], dilation: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Zeros before and after, for each axis; "same" puts the odd one after."""
    if padding == "same":
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
    both = (0, 0, 0) if padding == "valid" else _three(padding)
    return both, both


def _within(places: NDArray[Any], extent: int) -> Table:
    return np.where((places >= 0) & (places < extent), places, -1).astype(np.int32)


def _side_by_side(ctx: Context, node: fx.Node, images: Any, depth: int, table: Table) -> Any:
    """Images whose channels are those of several frames, by turns: channel ``c * kd + k`` is ``c`` of frame ``k``."""
    count, taps = table.shape
    if taps == 1 and count == depth and (table[:, 0] == np.arange(depth)).all():
        return images
    frames, c, h, w = shape_of(images)

    def of(x: Any, places: Any, is_frame: Any) -> Any:
        def element(f: Expr, k: Expr, *pixel: Expr) -> Expr:
            value = x(f // count * depth + places(f % count, k % taps), k // taps, *pixel)
            return tirx.Select(is_frame(f % count, k % taps) != 0, value, f32(0))

        return te.compute((frames // depth * count, c * taps, h, w), element, name="side_by_side")

    # two tables: the simplifier would take a bound of a place off that the choice implies, but both sides are computed
    is_frame = relax.const((table >= 0).astype(np.int32))
    return ctx.compute(node, of, images, relax.const(np.maximum(table, 0)), is_frame)


def _largest(ctx: Context, node: fx.Node, images: Any, depth: int, table: Table) -> Any:
    """For each row of a table the largest pixels of the frames that it names."""
    count, taps = table.shape
    if taps == 1 and count == depth and (table[:, 0] == np.arange(depth)).all():
        return images
    frames, *pixels = shape_of(images)

    def of(x: Any, table: Any) -> Any:
        def element(f: Expr, *pixel: Expr) -> Expr:
            found = None
            for k in range(taps):
                value = x(f // count * depth + table(f % count, k), *pixel)
                found = value if found is None else _larger(found, value)
            return found

        return te.compute((frames // depth * count, *pixels), element, name="largest")

    return ctx.compute(node, of, images, relax.const(table))


def _larger(so_far: Expr, value: Expr) -> Expr:
    """Each has a name: the choice names them several times, and choices within choices would double."""
    return let(so_far, lambda a: let(value, lambda b: larger(a, b)))


#: convolutions, which may take a batch norm
FOLDING: dict[str, Callable[[Context, fx.Node, Any], Any]] = {
    "conv3d.default": conv3d,
    "conv3d.padding": conv3d,
    "conv_transpose3d.input": conv_transpose3d,
    "convolution.default": convolution,
}

#: poolings
LAYERS: dict[str, Callable[[Context, fx.Node, Any], Any]] = {
    "max_pool3d.default": max_pool3d,
    "max_pool3d_with_indices.default": max_pool3d_with_indices,
    "adaptive_max_pool3d.default": adaptive_max_pool3d,
}
