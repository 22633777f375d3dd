"""Poolings and means of codes: maxima, and sums of integers, without a tensor of values before them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import fx

from sparsecc._tvm import te, tirx
from sparsecc.importer.context import Context
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layer import Layer, MeanLayer, PoolLayer
from sparsecc.ir.quantized import Coded, CodeType
from sparsecc.ir.quantized_pool import QuantizedPool
from sparsecc.kernels.extremes import f32

Expr = Any
#: TVM's pattern of functions that may take in what follows them, but compute nothing of what they read: windows overlap
_READS_STORED = {"op_pattern": 4}


def pool_of_codes(ctx: Context, node: fx.Node, x: Any, make: Callable[[str, str], Layer]) -> Any | None:
    """A pooling of codes, or of the values that codes stand for; None where there are none, or it is none of those."""
    layer: Any = make("", "")
    dtype = str(x.ty.dtype.dtype)
    if dtype != "float32":
        spec: ConvSpec = layer.spec
        kind: CodeType = "uint8" if dtype == "uint8" else "int8"
        shape = (spec.n, spec.oc, spec.oh, spec.ow)
        return ctx.layer(node, lambda key, name: QuantizedPool(key, name, spec, kind), x, shape, dtype)
    if x not in ctx.codes or layer.kernel != "pool" or layer.combine != "sum":
        return None
    codes, coded = ctx.codes[x]
    return ctx.compute(node, lambda x: _average(x, layer, coded), codes, attrs=_READS_STORED)


def mean_of_codes(ctx: Context, node: fx.Node, x: Any, layer: MeanLayer) -> Any | None:
    """The mean of an image of codes, as a value; None where the image has none."""
    if x not in ctx.codes:
        return None
    codes, coded = ctx.codes[x]
    quantization = coded.quantization

    def of(x: Any) -> Any:
        i, j = te.reduce_axis((0, layer.h), name="i"), te.reduce_axis((0, layer.w), name="j")
        shape = (layer.n, layer.c, 1, 1)
        sums = te.compute(shape, lambda n, c, *_: te.sum(_int32(x(n, c, i, j)), axis=[i, j]), name="sums")
        factor = f32(quantization.scale / (layer.h * layer.w))
        zeros = tirx.const(quantization.zero_point * layer.h * layer.w, "int32")
        return te.compute(shape, lambda *at: tirx.Cast("float32", sums(*at) - zeros) * factor, name="mean")

    return ctx.compute(node, of, codes)


def _average(x: Any, layer: PoolLayer, coded: Coded) -> Any:
    """The average of every window; padding has the code of 0.0, whether it counts or not."""
    spec, quantization = layer.spec, coded.quantization
    zero = tirx.const(quantization.zero_point, "int32")

    def of(n: Expr, c: Expr, i: Expr, j: Expr) -> Expr:
        total: Expr = tirx.const(0, "int32")
        for inside, code in _window(x, spec, n, c, i, j):
            total = total + _if(inside, code, zero)
        return tirx.Cast("float32", total) * (f32(quantization.scale) / _counted(layer, i, j))

    return te.compute((spec.n, spec.oc, spec.oh, spec.ow), of, name="average")


def _window(x: Any, spec: ConvSpec, n: Expr, c: Expr, i: Expr, j: Expr) -> list[tuple[Expr, Expr]]:
    """Whether each tap of a window is inside the image, and the code there, or at the border next to it."""
    top, left, _, _ = spec.padding
    found = []
    for a in range(spec.kh):
        for b in range(spec.kw):
            row, col = (
                i * spec.stride[0] + a * spec.dilation[0] - top, j * spec.stride[1] + b * spec.dilation[1] - left,
            )  # fmt: skip
            inside = tirx.all(row >= 0, row < spec.ih, col >= 0, col < spec.iw)
            at = tirx.Max(0, tirx.Min(row, spec.ih - 1)), tirx.Max(0, tirx.Min(col, spec.iw - 1))
            found.append((inside, x(n, c, *at)))
    return found


def _counted(layer: PoolLayer, i: Expr, j: Expr) -> Expr:
    """Pixels that an average is divided by."""
    spec, (top, left, bottom, right) = layer.spec, layer.counted
    if layer.divisor is not None:
        return f32(layer.divisor)
    rows = _extent(i * spec.stride[0] - spec.padding[0], spec.kh, -top, spec.ih + bottom)
    cols = _extent(j * spec.stride[1] - spec.padding[1], spec.kw, -left, spec.iw + right)
    return tirx.Cast("float32", tirx.Max(1, rows * cols))


def _extent(first: Expr, count: int, low: int, high: int) -> Expr:
    return tirx.Min(first + count, high) - tirx.Max(first, low)


def _if(inside: Expr, code: Expr, zero: Any) -> Expr:
    """``code - zero`` inside of the image, else 0, as int32.

    No choice of codes: TVM takes its condition to hold while its sides are computed, drops what keeps the place within
    the image, and reads outside of it all the same.
    """
    one, none = tirx.const(1, "int32"), tirx.const(0, "int32")
    return (_int32(code) - zero) * tirx.Select(inside, one, none)


def _int32(code: Expr) -> Expr:
    return tirx.Cast("int32", code)
