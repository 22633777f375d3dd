"""Operators that become layers with kernels of their own: convolutions and poolings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import fx

from sparsecc._tvm import relax
from sparsecc.errors import NotSupportedError
from sparsecc.importer.arguments import arguments, operator_name, pad_arguments, pair
from sparsecc.importer.context import Context, image_shape, shape_of
from sparsecc.importer.convolution import BatchNorm, fold, untranspose, with_padding
from sparsecc.importer.names import layer_name
from sparsecc.importer.reductions import axes_of
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layer import ConvLayer, Layer, MeanLayer, PoolLayer


def conv2d(ctx: Context, node: fx.Node, norm: BatchNorm | None) -> Any:
    """``conv2d(x, weight, bias, stride, padding, dilation, groups)``."""
    x, w, b, stride, padding, dilation, groups = arguments(node, 7, [None, None, None, 1, 0, 1, 1])
    return _conv2d(ctx, node, norm, _Operands(x, w, b), _Window(stride, padding, dilation), groups)


def conv_transpose2d(ctx: Context, node: fx.Node, norm: BatchNorm | None) -> Any:
    """``conv_transpose2d(x, weight, bias, stride, padding, output_padding, groups, dilation)``."""
    x, w, b, stride, padding, out_padding, groups, dilation = arguments(node, 8, [None, None, None, 1, 0, 0, 1, 1])
    window = _Window(stride, padding, dilation, out_padding)
    return _conv_transpose2d(ctx, node, norm, _Operands(x, w, b), window, groups)


def convolution(ctx: Context, node: fx.Node, norm: BatchNorm | None) -> Any:
    """``convolution(x, weight, bias, stride, padding, dilation, transposed, output_padding, groups)``: both of them."""
    x, w, b, stride, padding, dilation, transposed, out_padding, groups = node.args
    make = _conv_transpose2d if transposed else _conv2d
    return make(ctx, node, norm, _Operands(x, w, b), _Window(stride, padding, dilation, out_padding), int(str(groups)))


class _Operands(NamedTuple):
    """Nodes of a convolution's tensors; the bias may be None."""

    x: Any
    weight: Any
    bias: Any


class _Window(NamedTuple):
    """How a convolution moves, each a number or one for each axis."""

    stride: Any
    padding: Any
    dilation: Any
    out_padding: Any = 0


def _conv2d(
    ctx: Context, node: fx.Node, norm: BatchNorm | None, operands: _Operands, window: _Window, groups: int
) -> Any:
    weight = ctx.array(operands.weight, "its weight")
    extra, x = absorbed_padding(operands.x)
    data = ctx.value(x)
    n, ic, ih, iw = image_shape(node, data)
    kh, kw = weight.shape[2:]
    spec = ConvSpec(
        n=n, ic=ic, ih=ih, iw=iw, oc=weight.shape[0], kh=kh, kw=kw,
        stride=pair(window.stride), dilation=pair(window.dilation), groups=groups,
        padding=_padding(window.padding, (kh, kw), pair(window.dilation)),
    )  # fmt: skip
    return _conv(ctx, node, with_padding(spec, extra), data, weight, operands.bias, norm)


def _conv_transpose2d(
    ctx: Context, node: fx.Node, norm: BatchNorm | None, operands: _Operands, window: _Window, groups: int
) -> Any:
    data = ctx.value(operands.x)
    n, _, ih, iw = image_shape(node, data)
    turned = untranspose(
        ctx.array(operands.weight, "its weight"), n=n, ih=ih, iw=iw, stride=pair(window.stride),
        padding=pair(window.padding), output_padding=pair(window.out_padding), dilation=pair(window.dilation),
        groups=groups,
    )  # fmt: skip
    (sh, sw), (top, left, height, width) = turned.scale, turned.crop
    oc = turned.spec.oc // (sh * sw)
    bias = _bias(ctx, operands.bias, oc)
    weight = turned.weight
    if norm is not None:
        by_channel = weight.reshape(oc, -1)
        scaled, bias = fold(by_channel, bias, norm)
        weight = scaled.reshape(weight.shape)
    y = _conv_layer(ctx, node, turned.spec, data, weight, np.repeat(bias, sh * sw))
    qh, qw = turned.spec.oh, turned.spec.ow
    dealt = relax.op.permute_dims(relax.op.reshape(y, (n, oc, sh, sw, qh, qw)), [0, 1, 4, 2, 5, 3])
    image = ctx.emit(relax.op.reshape(ctx.emit(dealt), (n, oc, qh * sh, qw * sw)))
    if (top, left, height, width) == (0, 0, qh * sh, qw * sw):
        return image
    return ctx.emit(relax.op.strided_slice(image, [2, 3], [top, left], [top + height, left + width]))


def max_pool2d(ctx: Context, node: fx.Node, _norm: None) -> Any:
    """``max_pool2d(x, kernel, stride, padding, dilation, ceil_mode)``."""
    x, kernel, stride, padding, dilation, ceil_mode = arguments(node, 6, [None, None, [], 0, 1, False])
    spec, _ = _window(image_shape(node, ctx.value(x)), kernel, stride, padding, dilation, ceil_mode)
    return _pool(ctx, node, ctx.value(x), lambda key, name: PoolLayer(key, name, spec, "max"), spec)


def max_pool2d_with_indices(ctx: Context, node: fx.Node, _norm: None) -> Any:
    """Like ``max_pool2d``; using the indices is an error."""
    _check_indices_unused(node, "max_pool2d")
    return (max_pool2d(ctx, node, None),)


def _check_indices_unused(node: fx.Node, name: str) -> None:
    if any(user.args[1] != 0 for user in node.users):
        raise NotSupportedError(f"layer {layer_name(node)}: the indices of {name} are not supported")


def avg_pool2d(ctx: Context, node: fx.Node, _norm: None) -> Any:
    """``avg_pool2d(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)``."""
    return average(ctx, node, ctx.value(node.args[0]), lambda layer: layer)


def average(ctx: Context, node: fx.Node, data: Any, made_of: Callable[[PoolLayer], Layer]) -> Any:
    """A layer that is made of an ``avg_pool2d`` of ``data`` with the arguments of ``node``."""
    defaults: list[Any] = [None, None, [], 0, False, True, None]
    _, kernel, stride, padding, ceil_mode, include_pad, divisor = arguments(node, 7, defaults)
    spec, (ph, pw) = _window(image_shape(node, data), kernel, stride, padding, 1, ceil_mode)
    counted = (ph, pw, ph, pw) if include_pad else (0, 0, 0, 0)

    def make(key: str, name: str) -> Layer:
        return made_of(PoolLayer(key, name, spec, "sum", counted, divisor))

    return _pool(ctx, node, data, make, spec)


def adaptive_avg_pool2d(ctx: Context, node: fx.Node, _norm: None) -> Any:
    """``adaptive_avg_pool2d(x, size)``: a mean, a regular pooling, or TVM's own for windows that differ."""
    x, size = arguments(node, 2, [None, None])
    data = ctx.value(x)
    n, c, h, w = image_shape(node, data)
    oh, ow = pair(size)
    oh, ow = h if oh is None else oh, w if ow is None else ow
    if (oh, ow) == (1, 1):
        return ctx.layer(node, lambda key, name: MeanLayer(key, name, n, c, h, w), data, (n, c, 1, 1))
    if h % oh == 0 and w % ow == 0:
        spec, _ = _window((n, c, h, w), (h // oh, w // ow), [], 0, 1, False)
        return _pool(ctx, node, data, lambda key, name: PoolLayer(key, name, spec, "sum"), spec)
    return ctx.emit(relax.op.nn.adaptive_avg_pool2d(data, (oh, ow)))


def adaptive_max_pool2d(ctx: Context, node: fx.Node, _norm: None) -> Any:
    """``adaptive_max_pool2d(x, size)`` where the size divides the image; using the indices is an error."""
    _check_indices_unused(node, "adaptive_max_pool2d")
    x, size = arguments(node, 2, [None, None])
    data = ctx.value(x)
    n, c, h, w = image_shape(node, data)
    oh, ow = pair(size)
    if h % oh or w % ow:
        raise NotSupportedError(
            f"layer {layer_name(node)}: adaptive_max_pool2d from {(h, w)} to {(oh, ow)}; expected a size that divides"
        )
    spec, _ = _window((n, c, h, w), (h // oh, w // ow), [], 0, 1, False)
    return (_pool(ctx, node, data, lambda key, name: PoolLayer(key, name, spec, "max"), spec),)


def mean(ctx: Context, node: fx.Node, _norm: None) -> Any:
    """``mean(x, axes, keepdim)``; over a whole image it is global average pooling."""
    x, axes, keepdim = arguments(node, 3, [None, None, False])
    data = ctx.value(x)
    shape = shape_of(data)
    found = axes_of(len(shape), axes)
    if len(shape) != 4 or found != [2, 3]:
        return ctx.emit(relax.op.mean(data, found, keepdim)) if found else data
    n, c, h, w = shape
    y = ctx.layer(node, lambda key, name: MeanLayer(key, name, n, c, h, w), data, (n, c, 1, 1))
    return y if keepdim else ctx.emit(relax.op.reshape(y, (n, c)))


def _conv(ctx: Context, node: fx.Node, spec: ConvSpec, x: Any, weight: Any, bias: Any, norm: BatchNorm | None) -> Any:
    shift = _bias(ctx, bias, spec.oc)
    if norm is not None:
        weight, shift = fold(weight, shift, norm)
    return _conv_layer(ctx, node, spec, x, weight, shift)


def _conv_layer(ctx: Context, node: fx.Node, spec: ConvSpec, x: Any, weight: Any, bias: Any) -> Any:
    def make(key: str, name: str) -> ConvLayer:
        return ConvLayer(key, name, spec, _floats(weight), _floats(bias))

    return ctx.layer(node, make, x, (spec.n, spec.oc, spec.oh, spec.ow))


def _pool(ctx: Context, node: fx.Node, x: Any, make: Any, spec: ConvSpec) -> Any:
    return ctx.layer(node, make, x, (spec.n, spec.oc, spec.oh, spec.ow))


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


def absorbed_padding(x: fx.Node) -> tuple[tuple[int, int, int, int], fx.Node]:
    """Zeros that a ``pad`` before a convolution adds around the image; they become part of its padding."""
    if operator_name(x) not in ("pad", "constant_pad_nd"):
        return (0, 0, 0, 0), x
    source, amounts, mode, value = pad_arguments(x)
    if mode != "constant" or value not in (None, 0, 0.0) or len(amounts) > 4 or min(amounts, default=-1) < 0:
        return (0, 0, 0, 0), x
    left, right, top, bottom = [*amounts, 0, 0][:4]
    return (top, left, bottom, right), source


def _window(
    shape: Sequence[int], kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[ConvSpec, tuple[int, int]]:
    """A pooling window as a depthwise spec. A last window may hang over, but starts inside the padded image."""
    n, c, h, w = shape
    kernel, dilation, (ph, pw) = pair(kernel), pair(dilation), pair(padding)
    stride = pair(stride) if stride else kernel
    below = _overhang(h, kernel[0], stride[0], ph, dilation[0], ceil_mode)
    right = _overhang(w, kernel[1], stride[1], pw, dilation[1], ceil_mode)
    spec = ConvSpec(
        n=n, ic=c, ih=h, iw=w, oc=c, kh=kernel[0], kw=kernel[1],
        stride=stride, dilation=dilation, groups=c, padding=(ph, pw, below, right),
    )  # fmt: skip
    return spec, (ph, pw)


def _overhang(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """Padding after the last pixel that the windows really touch."""
    reach = dilation * (kernel - 1) + 1
    free = size + 2 * padding - reach
    count = (-(-free // stride) if ceil_mode else free // stride) + 1
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1
    return max(0, (count - 1) * stride + reach - size - padding)
