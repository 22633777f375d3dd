"""Values to 8-bit codes and back, as TensorIR expressions of vector arithmetic."""

from __future__ import annotations

from typing import Any

from sparsecc._tvm import tirx
from sparsecc.ir.quantized import Quantization
from sparsecc.kernels.extremes import at_most, f32

Expr = Any

#: added to a float32 that is no larger than 2**22 it leaves the nearest integer, half to even, in the last bits
_ROUNDER, _ROUNDER_BITS = 12582912.0, 0x4B400000


def encoded(x: Expr, to: Quantization, *, low: int, high: int) -> Expr:
    """The code of a float32, rounded half to even, within ``low..high``; of NaN it is ``low``."""
    return rounded(x * f32(1.0 / to.scale), to, low=low, high=high)


def rounded(steps: Expr, to: Quantization, *, low: int, high: int) -> Expr:
    """The code of a float32 that counts steps of the scale from 0.0."""
    least = f32(low - to.zero_point)
    # bounds are integers: to clamp before rounding is to clamp after it
    clamped = at_most(tirx.Select(steps > least, steps, least), float(high - to.zero_point))
    bits = tirx.reinterpret("int32", clamped + f32(_ROUNDER))
    return tirx.Cast(to.dtype, bits - tirx.const(_ROUNDER_BITS - to.zero_point, "int32"))


def decoded(code: Expr, of: Quantization) -> Expr:
    """The float32 that a code stands for."""
    return (tirx.Cast("float32", code) - f32(of.zero_point)) * f32(of.scale)
