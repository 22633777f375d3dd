"""What operators compute, by NumPy: every kernel is held against it.

Inputs are float32 in their logical shapes, a residual comes last; results are float32. Only generic operators need the
module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from sparsecc._tvm import IRModule
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.epilogue import Epilogue
from sparsecc.ir.graph import Chain, FusedConv
from sparsecc.ir.layer import MeanLayer, PoolLayer
from sparsecc.ir.placed import Repack
from sparsecc.ir.winograd import WinogradInput, WinogradOutput, input_matrix, output_matrix
from sparsecc.ir.winograd_conv import WinogradConv
from sparsecc.kernels.activation import reference as activate
from sparsecc.lower.conv_reference import conv2d

Array = NDArray[np.float32]


def convolution(operator: FusedConv, _module: IRModule, inputs: Sequence[Array]) -> Array:
    """A convolution or linear layer: ``(n, oc, oh, ow)``."""
    layer, spec = operator.layer, operator.spec
    x = inputs[0].reshape(spec.n, spec.ic, spec.ih, spec.iw)
    y = conv2d(x, layer.weight.reshape(spec.weight_shape), layer.bias, spec)
    return _finish(y, operator.epilogue, inputs[-1])


def pooling(operator: PoolLayer, _module: IRModule, inputs: Sequence[Array]) -> Array:
    """An average or a maximum over windows: ``(n, c, oh, ow)``."""
    spec = operator.spec
    windows = windows_of(inputs[0], spec, fill=operator.fill)
    if operator.combine == "max":
        return np.asarray(windows.max(axis=0), np.float32)
    # padding that no window touches is no part of the spec's
    counted = tuple(map(min, operator.counted, spec.padding))
    top, left, bottom, right = counted
    ones = np.pad(np.ones((spec.ih, spec.iw), np.float32), ((top, bottom), (left, right)), constant_values=1)
    # what is padded beyond the counted pixels adds nothing to the divisor
    inner = tuple(p - c for p, c in zip(spec.padding, counted, strict=True))
    counts = windows_of(ones[None, None], _with_padding(spec, inner, ones.shape), fill=0.0).sum(axis=0)
    divisor = np.full_like(counts, operator.divisor) if operator.divisor is not None else np.maximum(counts, 1)
    return np.asarray(windows.sum(axis=0) / divisor, np.float32)


def joined(operator: Chain, module: IRModule, inputs: Sequence[Array]) -> Array:
    """A convolution and the window after it."""
    between = convolution(operator.conv, module, inputs[:1])
    return _FOLLOWERS[operator.window.kernel](operator.window, module, [between])


#: kernels of windows that end a chain
_FOLLOWERS: dict[str, Callable[..., Array]] = {"depthwise": convolution, "pool": pooling}


def mean(operator: MeanLayer, _module: IRModule, inputs: Sequence[Array]) -> Array:
    """The mean of an image: ``(n, c, 1, 1)``."""
    return np.asarray(inputs[0].mean(axis=(2, 3), keepdims=True, dtype=np.float64), np.float32)


def copied(operator: Repack, _module: IRModule, inputs: Sequence[Array]) -> Array:
    """The same pixels, elsewhere."""
    return inputs[0]


def tiles(operator: WinogradInput, _module: IRModule, inputs: Sequence[Array]) -> Array:
    """An image's overlapping tiles, transformed: ``(1, products * ic, 1, n * tiles)``."""
    tiling, spec = operator.tiling, operator.tiling.spec
    m, side, (top, left, _, _) = tiling.m, tiling.side, spec.padding
    padded = np.zeros((spec.n, spec.ic, tiling.rows * m + side - m, tiling.cols * m + side - m))
    padded[:, :, top : top + spec.ih, left : left + spec.iw] = inputs[0]
    view = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(2, 3))[:, :, ::m, ::m]
    matrix = input_matrix(m)
    made = np.einsum("ia,ncyxab,jb->ijcnyx", matrix, view, matrix)
    return np.asarray(made.reshape(1, tiling.products * spec.ic, 1, spec.n * tiling.tiles), np.float32)


def untiled(operator: WinogradOutput, _module: IRModule, inputs: Sequence[Array]) -> Array:
    """Pixels of transformed tiles: ``(n, oc, oh, ow)``."""
    tiling, spec = operator.tiling, operator.tiling.spec
    matrix, side, m = output_matrix(tiling.m), tiling.side, tiling.m
    products = inputs[0].astype(np.float64).reshape(side, side, spec.oc, spec.n, tiling.rows, tiling.cols)
    pixels = np.einsum("ai,ijcnyx,bj->ncyaxb", matrix, products, matrix)
    images = pixels.reshape(spec.n, spec.oc, tiling.rows * m, tiling.cols * m)[:, :, : spec.oh, : spec.ow]
    biased = (images + operator.layer.bias.astype(np.float64)[:, None, None]).astype(np.float32)
    return _finish(biased, operator.epilogue, inputs[-1])


def few_channels(operator: WinogradConv, _module: IRModule, inputs: Sequence[Array]) -> Array:
    """A convolution that is computed by tiles: ``(n, oc, oh, ow)``."""
    layer = operator.layer
    return _finish(conv2d(inputs[0], layer.weight, layer.bias, layer.spec), operator.epilogue, inputs[-1])


def _finish(y: Array, epilogue: Epilogue, residual: Array) -> Array:
    if epilogue.residual == "before":
        y = y + residual.reshape(y.shape)
    y = activate(epilogue.activation, y)
    return y + residual.reshape(y.shape) if epilogue.residual == "after" else y


def _with_padding(spec: ConvSpec, padding: tuple[int, ...], shape: tuple[int, ...]) -> ConvSpec:
    top, left, bottom, right = padding
    return ConvSpec(
        1, 1, shape[0], shape[1], 1, spec.kh, spec.kw, stride=spec.stride, padding=(top, left, bottom, right),
        dilation=spec.dilation,
    )  # fmt: skip


def windows_of(x: Array, spec: ConvSpec, *, fill: float) -> NDArray[np.float64]:
    """Every tap's image: ``(taps, n, c, oh, ow)``."""
    top, left, bottom, right = spec.padding
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    (sh, sw), (dh, dw) = spec.stride, spec.dilation
    return np.stack(
        [
            padded[:, :, a * dh : a * dh + sh * (spec.oh - 1) + 1 : sh, b * dw : b * dw + sw * (spec.ow - 1) + 1 : sw]
            for a in range(spec.kh)
            for b in range(spec.kw)
        ]
    )
