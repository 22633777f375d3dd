"""``e ** x`` as TensorIR expressions, and what it is made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from sparsecc._tvm import T, tirx
from sparsecc.kernels.extremes import f32

Expr = Any

_LOG2_E = math.log2(math.e)
#: ln 2 in two parts, so that x - n * ln 2 keeps its last bits
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4


def let(value: Expr, body: Callable[[Expr], Expr]) -> Expr:
    """``body(value)`` with the value computed once."""
    name = tirx.Var("t", str(value.ty.dtype))
    return tirx.Let(name, value, body(name))


def exp(x: Expr) -> Expr:
    """``e ** x``: ``2 ** n`` by its exponent bits times a polynomial on ``|r| <= ln(2) / 2``.

    Bits of ``2 ** -127`` are those of 0, bits of ``2 ** 128`` those of infinity: so it ends, from -87.7 down and from
    88.4 up. At NaN ``n`` is any integer, and its product with the polynomial is NaN.
    """

    def scaled(x: Expr, n: Expr) -> Expr:
        return let(without_exponent(x, n), lambda r: _polynomial(r) * power_of_two(n))

    clamped = T.max(T.min(x, f32(89.0)), f32(-88.0))
    return let(clamped, lambda x: let(exponent_of(x), lambda n: scaled(x, n)))


def exponent_of(x: Expr) -> Expr:
    """The whole number ``n``, as a float, with the power of two that is nearest to ``e ** x`` by its logarithm."""
    return tirx.floor(x * f32(_LOG2_E) + f32(0.5))


def without_exponent(x: Expr, n: Expr) -> Expr:
    """``x - n * ln(2)``."""
    return x - n * f32(_LN2_HIGH) - n * f32(_LN2_LOW)


def _polynomial(r: Expr) -> Expr:
    """Of degree 7, as a tree (Estrin's scheme): half as long a chain of sums and products as one after the other."""
    c = [f32(1 / math.factorial(k)) for k in range(8)]

    def tree(r2: Expr) -> Expr:
        pairs = [c[k] + c[k + 1] * r for k in range(0, 8, 2)]
        return (pairs[0] + pairs[1] * r2) + (pairs[2] + pairs[3] * r2) * (r2 * r2)

    return let(r * r, tree)


def power_of_two(n: Expr) -> Expr:
    """``2 ** n`` by its exponent bits, for ``n`` from -127, which gives 0, to 128, which gives infinity."""
    bits = tirx.shift_left(tirx.Cast("int32", n) + 127, tirx.const(23, "int32"))
    return tirx.reinterpret("float32", bits)
