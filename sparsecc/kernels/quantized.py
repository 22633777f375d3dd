"""A convolution or linear layer of codes, right on every target: sums of a row of pixels in 32 bits, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import PrimFunc, T, tirx
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.epilogue import Activation
from sparsecc.ir.layout import PlaneLayout, plain
from sparsecc.ir.quantized import Quantization
from sparsecc.kernels import activation as expressions
from sparsecc.kernels.codes import rounded
from sparsecc.kernels.extremes import f32
from sparsecc.kernels.function import elements, kernel

Expr = Any


@dataclass(frozen=True)
class QuantizedShape:
    """A layer of codes and where its tensors lie.

    Attributes
    ----------
    spec : ConvSpec
    source, result : PlaneLayout
    reads : Quantization
    writes : Quantization or None
        None for float32.
    low, high : int
        Bounds of the codes stored.
    activation : Activation or None
    adds : tuple of (PlaneLayout, Quantization) or None
        The residual.
    packs : bool
        True where the source has neither halo nor phases: every pixel is looked for.
    """

    spec: ConvSpec
    source: PlaneLayout
    result: PlaneLayout
    reads: Quantization
    writes: Quantization | None
    low: int
    high: int
    activation: Activation | None
    adds: tuple[PlaneLayout, Quantization] | None
    packs: bool


#: layout of tensors that are no images: a number a channel
LIST = plain(1, 1)


def quantized(shape: QuantizedShape) -> PrimFunc:
    """Build the kernel.

    Loops::

        parallel image, output channel:
            for row:
                acc[pixels] = 0
                for input channel, tap, pixel: acc[pixel] += weight * (input - zero point)
                for pixel: output = clamp(round(acc * factor + offset))
    """
    spec = shape.spec

    def body(buffers: dict[str, Any]) -> None:
        with T.parallel(0, spec.n * spec.oc) as plane:
            acc = T.alloc_buffer((spec.ow,), "int32", scope="global")
            image, channel = T.floordiv(plane, spec.oc), T.floormod(plane, spec.oc)
            with T.serial(0, spec.oh) as row:
                with T.serial(0, spec.ow) as j:
                    T.buffer_store(acc, tirx.const(0, "int32"), [j])
                _sum(shape, buffers, acc, image, channel, row)
                with T.serial(0, spec.ow) as j:
                    _store(shape, buffers, acc[j], plane, channel, row, j)

    return kernel(_parameters(shape), body)


def _parameters(shape: QuantizedShape) -> Iterator[tuple[str, Any]]:
    spec = shape.spec
    yield "input", elements(shape.source.size(spec.n * spec.ic), shape.reads.dtype)
    yield "weight", elements(spec.oc * spec.ic_per_group * spec.taps, "int8")
    yield "factor", elements(spec.oc, "float32")
    yield "offset", elements(spec.oc, "float32")
    if shape.adds is not None:
        yield "residual", elements(shape.adds[0].size(spec.n * spec.oc), shape.adds[1].dtype)
    dtype = "float32" if shape.writes is None else shape.writes.dtype
    yield "output", elements(shape.result.size(spec.n * spec.oc), dtype)


def _sum(shape: QuantizedShape, buffers: dict[str, Any], acc: Any, image: Expr, channel: Expr, row: Expr) -> None:
    spec, source = shape.spec, shape.source
    x, weight, zero = buffers["input"], buffers["weight"], tirx.const(shape.reads.zero_point, "int32")
    first = T.floordiv(channel, spec.oc_per_group) * spec.ic_per_group
    with T.serial(0, spec.ic_per_group) as ic:
        plane = source.lead * shape.packs + source.first(image * spec.ic + first + ic)
        for tap in range(spec.taps):
            factor = _int32(weight[(channel * spec.ic_per_group + ic) * spec.taps + tap])
            with T.serial(0, spec.ow) as j:
                code = _code(shape, x, plane, tap, row, j) - zero
                T.buffer_store(acc, acc[j] + factor * code, [j])


def _code(shape: QuantizedShape, x: Any, plane: Expr, tap: int, row: Expr, col: Expr) -> Expr:
    """What a tap sees for a pixel of the result; beyond the image the zero point."""
    spec, source = shape.spec, shape.source
    top, left = spec.padding[:2]
    down, right = tap // spec.kw * spec.dilation[0], tap % spec.kw * spec.dilation[1]
    if not shape.packs:
        corner = (down, right) if source.is_split else (down - top, right - left)
        return _int32(x[plane + source.tap_offset(*corner) + row * source.pitch + col])
    i, j = row * spec.stride[0] + down - top, col * spec.stride[1] + right - left
    inside = tirx.all(i >= 0, i < spec.ih, j >= 0, j < spec.iw)
    at = tirx.Max(0, tirx.Min(i, spec.ih - 1)), tirx.Max(0, tirx.Min(j, spec.iw - 1))
    return tirx.Select(
        inside, _int32(x[plane + at[0] * source.pitch + at[1]]), tirx.const(shape.reads.zero_point, "int32")
    )


def _store(
    shape: QuantizedShape, buffers: dict[str, Any], acc: Expr, plane: Expr, channel: Expr, row: Expr, col: Expr
) -> None:
    to, step = shape.result, 1.0 if shape.writes is None else shape.writes.scale
    unit = 1.0 if shape.activation is not None else step
    value = tirx.Cast("float32", acc) * buffers["factor"][channel] + buffers["offset"][channel]
    if shape.adds is not None:
        layout, of = shape.adds
        code = buffers["residual"][layout.lead + layout.first(plane) + row * layout.pitch + col]
        value = value + (tirx.Cast("float32", code) - f32(of.zero_point)) * f32(of.scale / unit)
    if shape.activation is not None:
        value = expressions.apply(shape.activation, value) * f32(1.0 / step)
    if shape.writes is not None:
        value = rounded(value, shape.writes, low=shape.low, high=shape.high)
    T.buffer_store(buffers["output"], value, [to.lead + to.first(plane) + row * to.pitch + col])


def _int32(code: Expr) -> Expr:
    return tirx.Cast("int32", code)
