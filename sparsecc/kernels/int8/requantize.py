"""From sums to codes: scale, bias, residual, activation, rounding, bounds."""

from __future__ import annotations

from typing import Any

from sparsecc._tvm import T, tirx
from sparsecc.kernels import activation
from sparsecc.kernels.int8.instructions import kept, ramp, shuffled
from sparsecc.kernels.int8.shape import OVERREAD, QuantShape, Result

Expr = Any


def value_of(shape: QuantShape, buffers: dict[str, Any], total: Expr, slot: Expr, added: Expr, lanes: int) -> Expr:
    """The float32 that a vector of sums of pixels of one channel stands for, in steps of the result.

    Parameters
    ----------
    total : expression
        int32 vector.
    slot : expression
        Place of the channel among those of all rows.
    added : expression or None
        The residual's codes, bytes of the same pixels.
    lanes : int
    """
    result = shape.result
    value = tirx.Cast(_floats(lanes), total) * wide(buffers["factors"][slot], lanes)
    value = value + wide(buffers["biases"][slot], lanes)
    if added is not None:
        value = value + _residual(result, added, lanes)
    if result.activation is None:
        return value
    slots = T.alloc_buffer((lanes,), "float32", scope="global")
    T.buffer_store(slots, value, [ramp(0, lanes)])
    unit = 1.0 if result.to is None else 1.0 / result.to.scale
    with T.vectorized(0, lanes) as lane:
        T.buffer_store(slots, activation.apply(result.activation, slots[lane]) * T.float32(unit), [lane])
    return slots[ramp(0, lanes)]


def code_of(result: Result, value: Expr, lanes: int) -> Expr:
    """The codes of float32 values, as int32 within the bounds."""
    assert result.to is not None, "a result of codes"
    zero = result.to.zero_point
    low, high = (wide(T.float32(bound - zero), lanes) for bound in (result.low, result.high))
    value = kept(value)
    value = kept(tirx.Select(value > low, value, low))  # NaN is not above anything
    value = tirx.Select(value < high, value, high)
    rounded = tirx.call_llvm_pure_intrin(_ints(lanes), "llvm.lrint", value)
    return rounded + wide(tirx.const(zero, "int32"), lanes)


def store_pixels(
    shape: QuantShape,
    buffers: dict[str, Any],
    total: Expr,
    *,
    slot: Expr,
    plane: Expr,
    pixel: Expr,
    lanes: int,
    count: int | None = None,
) -> None:
    """Store ``lanes`` pixels of a channel, side by side from ``pixel`` of output plane number ``plane`` on.

    Only the first ``count`` of them, where that is given.
    """
    result = shape.result
    output = result.layout.first(plane) + result.layout.lead + pixel
    place = residual_place(shape, plane, pixel)
    added = None if place is None else _bytes(shape, buffers["residual"], place, lanes, count or lanes)
    value = value_of(shape, buffers, total, slot, added, lanes)
    if result.to is not None:
        value = _byte(code_of(result, value, lanes), lanes)
    if count is not None and count < lanes:
        value, lanes = shuffled([kept(value)], range(count)), count
    T.buffer_store(buffers["output"], value, [ramp(output, lanes)])


def _bytes(shape: QuantShape, buffer: Any, place: Expr, lanes: int, count: int) -> Expr:
    """Bytes of so many pixels; no others are read where nothing follows the tensor."""
    layout = shape.result.residual_layout
    if count >= lanes or (layout is not None and layout.tail >= OVERREAD):
        return buffer[ramp(place, lanes)]
    loaded = buffer[ramp(place, count)]
    if count == 1:
        return wide(loaded, lanes)
    return shuffled([kept(loaded)], [min(i, count - 1) for i in range(lanes)])


def residual_place(shape: QuantShape, plane: Expr, pixel: Expr) -> Expr | None:
    """Byte of the residual that belongs to a pixel of an output plane."""
    layout = shape.result.residual_layout
    return None if layout is None else layout.first(plane) + layout.lead + pixel


def _byte(code: Expr, lanes: int) -> Expr:
    return tirx.Cast(f"uint8x{lanes}" if lanes > 1 else "uint8", code)


def _residual(result: Result, added: Expr, lanes: int) -> Expr:
    """The residual in the unit of sums that were scaled."""
    codes, step = result.residual, 1.0
    assert codes is not None, "a result with a residual"
    if result.activation is None and result.to is not None:
        step = result.to.scale
    if codes.dtype == "int8":
        added = T.reinterpret(f"int8x{lanes}" if lanes > 1 else "int8", added)
    whole = tirx.Cast(_ints(lanes), added) - wide(tirx.const(codes.zero_point, "int32"), lanes)
    return tirx.Cast(_floats(lanes), whole) * wide(T.float32(codes.scale / step), lanes)


def wide(value: Expr, lanes: int) -> Expr:
    """The value in every lane."""
    return tirx.Broadcast(value, lanes) if lanes > 1 else value


def _floats(lanes: int) -> str:
    return f"float32x{lanes}" if lanes > 1 else "float32"


def _ints(lanes: int) -> str:
    return f"int32x{lanes}" if lanes > 1 else "int32"
