"""Maximum pooling of codes: down whole rows of bytes, then along them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import PrimFunc, T, tirx
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layout import PlaneLayout
from sparsecc.kernels.function import elements, kernel
from sparsecc.kernels.int8.instructions import kept, ramp, shuffled
from sparsecc.kernels.int8.plane import ScratchPlane, copy_plane
from sparsecc.kernels.int8.requantize import wide

#: bytes that may be read and written after the last row in scratch memory
_SLACK = 64


@dataclass(frozen=True)
class PoolShape:
    """What the kernel is compiled from.

    Attributes
    ----------
    spec : ConvSpec
        A depthwise window.
    source, result : PlaneLayout
        In bytes.
    signed : bool
        Whether bytes are int8.
    """

    spec: ConvSpec
    source: PlaneLayout
    result: PlaneLayout
    signed: bool

    @property
    def plane(self) -> ScratchPlane:
        """Codes in an order that unsigned bytes have, too; padding is less than every one."""
        return ScratchPlane(self.spec, self.source, self.signed, 0)

    @property
    def per_store(self) -> int:
        """Results of a vector of bytes: a power of two."""
        found = self.plane.unit // self.spec.stride[1]
        return 1 << found.bit_length() - 1 if found else 1


def int8_pool(shape: PoolShape) -> PrimFunc:
    """Build the kernel; it needs no schedule, and has no knobs.

    Loops::

        parallel plane:
            copy the plane, with its padding
            for row of the result, vector of bytes: tall = max(rows of the window)
            for row of the result, vector of bytes: output = every stride-th of max(tall, tall + 1, ...)
    """
    spec = shape.spec
    sizes = [("input", shape.source.size(spec.n * spec.ic)), ("output", shape.result.size(spec.n * spec.oc))]

    def body(buffers: dict[str, Any]) -> None:
        plane = shape.plane
        with T.parallel(0, spec.n * spec.oc) as number:
            scratch = T.alloc_buffer((plane.rows * plane.pitch + 2 * _SLACK,), "uint8", scope="global")
            tall = T.alloc_buffer((spec.oh * plane.pitch + 2 * _SLACK + plane.unit,), "uint8", scope="global")
            copy_plane(plane, buffers["input"], scratch, shape.source.first(number) + shape.source.lead)
            _down(shape, scratch, tall)
            _along(shape, tall, buffers["output"], shape.result.first(number) + shape.result.lead)

    return kernel([(name, elements(size, "uint8")) for name, size in sizes], body)


def _down(shape: PoolShape, scratch: Any, tall: Any) -> None:
    """Maxima of the rows of a window; what a vector writes over of the next row is written after it."""
    spec, pitch, unit = shape.spec, shape.plane.pitch, shape.plane.unit
    width = spec.iw + spec.padding[1] + spec.padding[3]
    with T.serial(0, spec.oh) as i, T.serial(0, -(-width // unit)) as k:
        rows = [i * spec.stride[0] + a * spec.dilation[0] for a in range(spec.kh)]
        largest = _largest([scratch[ramp(row * pitch + k * unit, unit)] for row in rows])
        T.buffer_store(tall, largest, [ramp(i * pitch + k * unit, unit)])


def _along(shape: PoolShape, tall: Any, output: Any, first: Any) -> None:
    spec, per = shape.spec, shape.per_store
    whole, left = divmod(spec.ow, per)
    with T.serial(0, spec.oh) as i:
        read, written = i * shape.plane.pitch, first + i * shape.result.pitch
        with T.serial(0, whole) as k:
            _results(shape, tall, output, read + k * (per * spec.stride[1]), written + k * per, per)
        if left:
            start = whole * per
            _results(shape, tall, output, read + start * spec.stride[1], written + start, left)


def _results(shape: PoolShape, tall: Any, output: Any, place: Any, written: Any, count: int) -> None:
    """So many results side by side."""
    (_, step), dilation, unit = shape.spec.stride, shape.spec.dilation[1], shape.plane.unit
    places = [place + b * dilation for b in range(shape.spec.kw)]
    if count == 1:
        value = _largest([tall[at] for at in places])
    else:
        value = _largest([tall[ramp(at, unit)] for at in places])
        if step > 1 or count < unit:
            value = shuffled([kept(value)], range(0, count * step, step))
    if shape.signed:
        value = value ^ wide(tirx.const(0x80, "uint8"), count)
    T.buffer_store(output, value, [ramp(written, count)])


def _largest(found: list[Any]) -> Any:
    result = found[0]
    for value in found[1:]:
        result = tirx.Max(result, value)
    return result
