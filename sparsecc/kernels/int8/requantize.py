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
    factor, bias = wide(buffers["factors"][slot], lanes), wide(buffers["biases"][slot], lanes)
    more = None if added is None else residual_of(shape.result, added, lanes)
    return value_from(shape.result, total, factor, bias, more, lanes)


def value_from(result: Result, total: Expr, factor: Expr, bias: Expr, more: Expr | None, lanes: int) -> Expr:
    """The same of vectors of factors, biases, and what is added to them; channels may be the vector."""
    value = tirx.Cast(_floats(lanes), total) * factor
    value = value + bias
    if more is not None:
        value = value + more
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
    rounded = tirx.call_llvm_pure_intrin(_ints(lanes), "llvm.lrint", _bounded(result, value, lanes))
    return rounded + wide(tirx.const(result.to.zero_point, "int32"), lanes)


def _bounded(result: Result, value: Expr, lanes: int) -> Expr:
    """A value in steps that is no further from the zero point than the bounds."""
    assert result.to is not None, "a result of codes"
    low, high = (wide(T.float32(bound - result.to.zero_point), lanes) for bound in (result.low, result.high))
    value = kept(value)
    value = kept(tirx.Select(value > low, value, low))  # NaN is not above anything
    return tirx.Select(value < high, value, high)


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
    added = None if place is None else bytes_at(shape, buffers["residual"], place, lanes, count or lanes)
    value = value_of(shape, buffers, total, slot, added, lanes)
    if result.to is not None:
        value = _byte(code_of(result, value, lanes), lanes)
    if count is not None and count < lanes:
        value, lanes = shuffled([kept(value)], range(count)), count
    T.buffer_store(buffers["output"], value, [ramp(output, lanes)])


def bytes_at(shape: QuantShape, buffer: Any, place: Expr, lanes: int, count: int) -> Expr:
    """Bytes of so many pixels; no others are read where nothing follows the tensor."""
    layout = shape.result.residual_layout
    if count >= lanes or (layout is not None and layout.tail >= OVERREAD):
        return buffer[ramp(place, lanes)]
    loaded = buffer[ramp(place, count)]
    if count == 1:
        return wide(loaded, lanes)
    return shuffled([kept(loaded)], [min(i, count - 1) for i in range(lanes)])


def packed_codes(shape: QuantShape, values: list[Expr]) -> Expr:
    """The codes of four vectors of 16 values as 64 bytes; each lane of 128 bits has four of each vector, in turns.

    Packing saturates, which bounds codes; where a value may be beyond 32 bits, it is bounded before that.
    """
    result, signed = shape.result, shape.result.low < 0
    assert result.to is not None, "a result of codes"
    zero = result.to.zero_point
    if not shape.fits:
        values = [_bounded(result, value, 16) for value in values]
    whole = [tirx.call_llvm_pure_intrin("int32x16", "llvm.lrint", value) for value in values]
    halves = [
        tirx.call_llvm_pure_intrin("int16x32", "llvm.x86.avx512.packssdw.512", *whole[start : start + 2])
        for start in (0, 2)
    ]
    if zero:
        shift = wide(tirx.const(zero, "int16"), 32)
        halves = [tirx.call_llvm_pure_intrin("int16x32", "llvm.sadd.sat", half, shift) for half in halves]
    name, dtype = ("packsswb", "int8") if signed else ("packuswb", "uint8")
    codes = tirx.call_llvm_pure_intrin(f"{dtype}x64", f"llvm.x86.avx512.{name}.512", *halves)
    least, most = result.to.bounds
    if result.low > least:
        codes = tirx.Max(codes, wide(tirx.const(result.low, dtype), 64))
    if result.high < most:
        codes = tirx.Min(codes, wide(tirx.const(result.high, dtype), 64))
    return T.reinterpret("uint8x64", codes) if signed else codes


def store_bytes(buffer: Any, codes: Expr, place: Expr, count: int) -> None:
    """The first ``count`` bytes of a vector, in pieces that a processor can store."""
    start, lanes = 0, int(str(codes.ty.dtype).partition("x")[2])
    codes = kept(codes) if count < lanes else codes
    for width in (64, 32, 16, 8, 4, 2, 1):
        if count & width:
            value = codes if width == lanes else shuffled([codes], range(start, start + width))
            T.buffer_store(buffer, value, [ramp(place + start, width)])
            start += width


def residual_place(shape: QuantShape, plane: Expr, pixel: Expr) -> Expr | None:
    """Byte of the residual that belongs to a pixel of an output plane."""
    layout = shape.result.residual_layout
    return None if layout is None else layout.first(plane) + layout.lead + pixel


def _byte(code: Expr, lanes: int) -> Expr:
    return tirx.Cast(f"uint8x{lanes}" if lanes > 1 else "uint8", code)


def residual_of(result: Result, added: Expr, lanes: int) -> Expr:
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
