"""``exp(x) - 1`` and ``log(1 + x)`` as TensorIR expressions that keep their digits near 0.

NaN stays NaN, infinities and the sign of 0 give PyTorch's results.
"""

from __future__ import annotations

import math
from typing import Any

from sparsecc._tvm import T, tirx
from sparsecc.kernels.exponential import exponent_of, let, power_of_two, without_exponent
from sparsecc.kernels.extremes import f32

Expr = Any


def expm1(x: Expr) -> Expr:
    """``e ** x - 1``: ``2 ** n * (q + 1) - 1`` where ``q = e ** r - 1`` on ``|r| <= ln(2) / 2`` is a polynomial.

    It is summed as ``2 * (h * q + (h - 1 / 2))`` with half of the power, so that it is infinite where the result is
    too large, not before. Below -17.4 the result is -1 in float32; at -40 powers are still normal numbers.
    """

    def of(x: Expr, n: Expr) -> Expr:
        def scaled(q: Expr) -> Expr:
            half = power_of_two(n - f32(1))
            large = let(half, lambda h: f32(2) * (h * q + (h - f32(0.5))))
            return tirx.Select(n == f32(0), q, large)

        remainder = tirx.Select(n == f32(0), x, without_exponent(x, n))  # the sign of 0 stays
        return let(remainder, lambda r: let(r * _quotient(r), scaled))

    clamped = T.max(T.min(x, f32(89.0)), f32(-40.0))
    return let(clamped, lambda x: let(exponent_of(x), lambda n: of(x, n)))


def _quotient(r: Expr) -> Expr:
    """``(e ** r - 1) / r``."""
    poly = f32(1 / math.factorial(8))
    for k in range(7, 0, -1):
        poly = poly * r + f32(1 / math.factorial(k))
    return poly


def log1p(x: Expr) -> Expr:
    """``log(1 + x)``: with ``u = 1 + x`` as rounded, ``log(u) * (x / (u - 1))`` makes up for what was lost."""

    def of(x: Expr, u: Expr) -> Expr:
        exact = tirx.log(u) * (x / (u - f32(1)))
        return tirx.Select(u == f32(1), x, tirx.Select(u == f32(math.inf), u, exact))

    return let(x, lambda x: let(x + f32(1), lambda u: of(x, u)))
