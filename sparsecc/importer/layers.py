"""Operators that become layers with kernels of their own: convolutions and poolings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import fx

from sparsecc._tvm import relax
from sparsecc.errors import NotSupportedError
from sparsecc.importer.arguments import arguments, pair, result_shape
from sparsecc.importer.code_pools import mean_of_codes, pool_of_codes
from sparsecc.importer.context import Context, image_shape, shape_of
from sparsecc.importer.convolution import BatchNorm, fold, scaled, untranspose, used_taps, with_padding
from sparsecc.importer.names import layer_name
from sparsecc.importer.reductions import axes_of
from sparsecc.importer.unequal_windows import unequal_maximum
from sparsecc.importer.weight_codes import weight_scales
from sparsecc.importer.windows import absorbed_padding, pool_window
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layer import ConvLayer, Layer, MeanLayer, PoolLayer


def conv2d(ctx: Context, node: fx.Node, norm: BatchNorm | None) -> Any:
    """``conv2d(x, weight, bias, stride, padding, dilation, groups)``."""
    x, w, b, stride, padding, dilation, groups = arguments(node, 7, [None, None, None, 1, 0, 1, 1])
    return image_conv(ctx, node, norm, Operands(x, w, b), WindowArguments(stride, padding, dilation), groups)


def conv_transpose2d(ctx: Context, node: fx.Node, norm: BatchNorm | None) -> Any:
    """``conv_transpose2d(x, weight, bias, stride, padding, output_padding, groups, dilation)``."""
    x, w, b, stride, padding, out_padding, groups, dilation = arguments(node, 8, [None, None, None, 1, 0, 0, 1, 1])
    window = WindowArguments(stride, padding, dilation, out_padding)
    return image_conv_transpose(ctx, node, norm, Operands(x, w, b), window, groups)


class Operands(NamedTuple):
    """Nodes of a convolution's tensors; the bias may be None."""

    x: Any
    weight: Any
    bias: Any


class WindowArguments(NamedTuple):
    """How a convolution moves, each a number or one for each axis."""

    stride: Any
    padding: Any
    dilation: Any
    out_padding: Any = 0


def image_conv(
    ctx: Context, node: fx.Node, norm: BatchNorm | None, operands: Operands, window: WindowArguments, groups: int
) -> Any:
    """A convolution; of a sequence it is one of an image with one row."""
    weight = _image_weight(ctx.array(operands.weight, "its weight"))
    extra, x = absorbed_padding(operands.x)
    data, window = _image(ctx, node, ctx.value(x), operands, window)
    n, ic, ih, iw = image_shape(node, data)
    kh, kw = weight.shape[2:]
    spec = ConvSpec(
        n=n, ic=ic, ih=ih, iw=iw, oc=weight.shape[0], kh=kh, kw=kw,
        stride=pair(window.stride), dilation=pair(window.dilation), groups=groups,
        padding=_padding(window.padding, (kh, kw), pair(window.dilation)),
    )  # fmt: skip
    return _result(ctx, node, conv_layer(ctx, node, with_padding(spec, extra), data, weight, operands, norm))


def image_conv_transpose(
    ctx: Context, node: fx.Node, norm: BatchNorm | None, operands: Operands, window: WindowArguments, groups: int
) -> Any:
    """A transposed convolution, as :func:`image_conv`."""
    data, window = _image(ctx, node, ctx.value(operands.x), operands, window)
    weight = _image_weight(ctx.array(operands.weight, "its weight"))
    return _result(ctx, node, transposed_layer(ctx, node, norm, data, weight, operands, window, groups))


def transposed_layer(
    ctx: Context,
    node: fx.Node,
    norm: BatchNorm | None,
    data: Any,
    weight: Any,
    operands: Operands,
    window: WindowArguments,
    groups: int,
) -> Any:
    """The layer of a transposed convolution of images, as :func:`conv_layer`."""
    n, _, ih, iw = image_shape(node, data)
    turned = untranspose(
        weight, n=n, ih=ih, iw=iw, stride=pair(window.stride), padding=pair(window.padding),
        output_padding=pair(window.out_padding), dilation=pair(window.dilation), groups=groups,
    )  # fmt: skip
    (sh, sw), (top, left, height, width) = turned.scale, turned.crop
    oc = turned.spec.oc // (sh * sw)
    bias = _bias(ctx, operands.bias, oc)
    weight, scales = turned.weight, weight_scales(ctx, operands.weight, axis=1, channels=oc // groups)
    scales = None if scales is None else np.tile(scales, groups)
    if norm is not None:
        by_channel = weight.reshape(oc, -1)
        folded, bias = fold(by_channel, bias, norm)
        weight, scales = folded.reshape(weight.shape), scaled(scales, norm)
    scales = None if scales is None else np.repeat(scales, sh * sw)
    y = _conv_layer(ctx, node, turned.spec, data, weight, np.repeat(bias, sh * sw), scales)
    qh, qw = turned.spec.oh, turned.spec.ow
    dealt = relax.op.permute_dims(relax.op.reshape(y, (n, oc, sh, sw, qh, qw)), [0, 1, 4, 2, 5, 3])
    image = ctx.emit(relax.op.reshape(ctx.emit(dealt), (n, oc, qh * sh, qw * sw)))
    if (top, left, height, width) != (0, 0, qh * sh, qw * sw):
        image = ctx.emit(relax.op.strided_slice(image, [2, 3], [top, left], [top + height, left + width]))
    return image


def _image(
    ctx: Context, node: fx.Node, data: Any, operands: Operands, window: WindowArguments
) -> tuple[Any, WindowArguments]:
    """A sequence as an image with one row, and a window of one row; images stay what they are."""
    shape = shape_of(data)
    if len(shape) != 3 or len(operands.weight.meta["val"].shape) != 3:
        return data, window
    moves = WindowArguments(
        row(window.stride), row(window.padding, 0), row(window.dilation), row(window.out_padding, 0)
    )
    return ctx.as_image(data, (*shape[:2], 1, shape[2])), moves


def _image_weight(weight: NDArray[Any]) -> NDArray[Any]:
    return weight[:, :, None] if weight.ndim == 3 else weight


def _result(ctx: Context, node: fx.Node, image: Any) -> Any:
    """An image with one row as the sequence that PyTorch has."""
    shape = result_shape(node)
    return image if len(shape) == 4 else ctx.from_image(image, shape)


def row(value: Any, other: int = 1) -> Any:
    """An argument of a window on sequences for both axes of an image; texts, and none given, stay so."""
    if isinstance(value, list | tuple):
        return (other, value[0]) if len(value) else []
    return value if isinstance(value, str) else (other, value)


def max_pool2d(ctx: Context, node: fx.Node, _norm: None) -> Any:
    """``max_pool2d(x, kernel, stride, padding, dilation, ceil_mode)``."""
    x, *window = arguments(node, 6, [None, None, [], 0, 1, False])
    return maximum(ctx, node, ctx.value(x), *window)


def maximum(
    ctx: Context, node: fx.Node, data: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Any:
    """The largest pixels of windows of an image."""
    spec, _ = pool_window(image_shape(node, data), kernel, stride, padding, dilation, ceil_mode)
    return _pool(ctx, node, data, lambda key, name: PoolLayer(key, name, spec, "max"), spec)


def max_pool2d_with_indices(ctx: Context, node: fx.Node, _norm: None) -> Any:
    """Like ``max_pool2d``; using the indices is an error."""
    check_indices_unused(node, "max_pool2d")
    return (max_pool2d(ctx, node, None),)


def check_indices_unused(node: fx.Node, name: str) -> None:
    """Nobody reads the second result."""
    if any(user.args[1] != 0 for user in node.users):
        raise NotSupportedError(f"layer {layer_name(node)}: the indices of {name} are not supported")


def avg_pool2d(ctx: Context, node: fx.Node, _norm: None) -> Any:
    """``avg_pool2d(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)``."""
    return average(ctx, node, ctx.value(node.args[0]), lambda layer: layer)


def average(ctx: Context, node: fx.Node, data: Any, made_of: Callable[[PoolLayer], Layer]) -> Any:
    """A layer that is made of an ``avg_pool2d`` of ``data`` with the arguments of ``node``."""
    _, *window = arguments(node, 7, [None, None, [], 0, False, True, None])
    return window_average(ctx, node, data, window, made_of)


def window_average(
    ctx: Context, node: fx.Node, data: Any, window: Sequence[Any], made_of: Callable[[PoolLayer], Layer]
) -> Any:
    """The same with arguments that are given."""
    kernel, stride, padding, ceil_mode, include_pad, divisor = window
    spec, (ph, pw) = pool_window(image_shape(node, data), kernel, stride, padding, 1, ceil_mode)
    counted = (ph, pw, ph, pw) if include_pad else (0, 0, 0, 0)

    def make(key: str, name: str) -> Layer:
        return made_of(PoolLayer(key, name, spec, "sum", counted, divisor))

    return _pool(ctx, node, data, make, spec)


def adaptive_avg_pool2d(ctx: Context, node: fx.Node, _norm: None) -> Any:
    """``adaptive_avg_pool2d(x, size)``: a mean, a regular pooling, or TVM's own for windows that differ."""
    x, size = arguments(node, 2, [None, None])
    return adaptive_average(ctx, node, ctx.value(x), size)


def adaptive_average(ctx: Context, node: fx.Node, data: Any, size: Any) -> Any:
    """Averages of an image in so many windows."""
    n, c, h, w = image_shape(node, data)
    oh, ow = _size(size, (h, w))
    if (oh, ow) == (1, 1):
        return _mean(ctx, node, data, (n, c, h, w))
    if h % oh == 0 and w % ow == 0:
        spec, _ = pool_window((n, c, h, w), (h // oh, w // ow), [], 0, 1, False)
        return _pool(ctx, node, data, lambda key, name: PoolLayer(key, name, spec, "sum"), spec)
    return ctx.emit(relax.op.nn.adaptive_avg_pool2d(data, (oh, ow)))


def adaptive_max_pool2d(ctx: Context, node: fx.Node, _norm: None) -> Any:
    """``adaptive_max_pool2d(x, size)``: a regular pooling, or windows that differ; using the indices is an error."""
    check_indices_unused(node, "adaptive_max_pool2d")
    x, size = arguments(node, 2, [None, None])
    return (adaptive_maximum(ctx, node, ctx.value(x), size),)


def adaptive_maximum(ctx: Context, node: fx.Node, data: Any, size: Any) -> Any:
    """The largest pixels of an image in so many windows."""
    n, c, h, w = image_shape(node, data)
    oh, ow = _size(size, (h, w))
    if h % oh or w % ow:
        return unequal_maximum(ctx, node, data, (oh, ow))
    spec, _ = pool_window((n, c, h, w), (h // oh, w // ow), [], 0, 1, False)
    return _pool(ctx, node, data, lambda key, name: PoolLayer(key, name, spec, "max"), spec)


def _size(size: Any, image: tuple[int, int]) -> tuple[int, int]:
    """Windows along both axes; None stands for as many as there are pixels."""
    oh, ow = pair(size)
    return image[0] if oh is None else oh, image[1] if ow is None else ow


def mean(ctx: Context, node: fx.Node, _norm: None) -> Any:
    """``mean(x, axes, keepdim)``; over a whole image it is global average pooling."""
    x, axes, keepdim = arguments(node, 3, [None, None, False])
    data = ctx.value(x)
    shape = shape_of(data)
    found = axes_of(len(shape), axes)
    if len(shape) != 4 or found != [2, 3]:
        return ctx.emit(relax.op.mean(data, found, keepdim)) if found else data
    y = _mean(ctx, node, data, image_shape(node, data))
    return y if keepdim else ctx.emit(relax.op.reshape(y, shape[:2]))


def conv_layer(
    ctx: Context, node: fx.Node, spec: ConvSpec, x: Any, weight: Any, operands: Operands, norm: BatchNorm | None
) -> Any:
    """The layer of a convolution of images with a weight of its own, and the bias that a node has."""
    shift, scales = _bias(ctx, operands.bias, spec.oc), weight_scales(ctx, operands.weight, axis=0, channels=spec.oc)
    if norm is not None:
        weight, shift = fold(weight, shift, norm)
        scales = scaled(scales, norm)
    return _conv_layer(ctx, node, spec, x, weight, shift, scales)


def _conv_layer(ctx: Context, node: fx.Node, spec: ConvSpec, x: Any, weight: Any, bias: Any, scales: Any) -> Any:
    spec, weight = used_taps(spec, weight)

    def make(key: str, name: str) -> ConvLayer:
        return ConvLayer(key, name, spec, _floats(weight), _floats(bias), scales)

    return ctx.layer(node, make, x, (spec.n, spec.oc, spec.oh, spec.ow))


def _pool(ctx: Context, node: fx.Node, x: Any, make: Any, spec: ConvSpec) -> Any:
    found = pool_of_codes(ctx, node, x, make)
    return ctx.layer(node, make, x, (spec.n, spec.oc, spec.oh, spec.ow)) if found is None else found


def _mean(ctx: Context, node: fx.Node, x: Any, shape: tuple[int, int, int, int]) -> Any:
    found = mean_of_codes(ctx, node, x, MeanLayer("", "", *shape))
    made = (*shape[:2], 1, 1)
    return ctx.layer(node, lambda key, name: MeanLayer(key, name, *shape), x, made) if found is None else found


def _floats(array: Any) -> Any:
    return np.ascontiguousarray(array, np.float32)


def _bias(ctx: Context, bias: Any, oc: int) -> Any:
    return np.zeros(oc, np.float32) if bias is None else ctx.array(bias, "its bias")


def _padding(padding: Any, kernel: Any, dilation: Any) -> tuple[int, int, int, int]:
    """PyTorch's padding as (top, left, bottom, right); "same" puts the odd one below and right."""
    if padding == "valid":
        return (0, 0, 0, 0)
    if padding == "same":
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return (total[0] // 2, total[1] // 2, total[0] - total[0] // 2, total[1] - total[1] // 2)
    ph, pw = pair(padding)
    return (ph, pw, ph, pw)
