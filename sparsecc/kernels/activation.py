"""Activations as TensorIR expressions made of vector arithmetic only: no calls into libm.

NaN stays NaN and infinities give PyTorch's results: comparisons are written so that their false side is the argument.

Constants are those of the functions themselves (Taylor coefficients, the rational error function approximation 7.1.26
of Abramowitz and Stegun); the largest error against float64 is 3e-7 of the result's scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from sparsecc._tvm import T, tirx
from sparsecc.facts.epilogue import Activation
from sparsecc.kernels.extremes import at_least, at_most, f32

Expr = Any

_LOG2_E = math.log2(math.e)
#: ln 2 in two parts, so that x - n * ln 2 keeps its last bits
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4
_ERF = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)


def let(value: Expr, body: Callable[[Expr], Expr]) -> Expr:
    """``body(value)`` with the value computed once."""
    name = tirx.Var("t", "float32")
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
    poly = f32(1 / math.factorial(7))
    for k in range(6, -1, -1):
        poly = poly * r + f32(1 / math.factorial(k))
    return poly


def power_of_two(n: Expr) -> Expr:
    """``2 ** n`` by its exponent bits, for ``n`` from -127, which gives 0, to 128, which gives infinity."""
    bits = tirx.shift_left(tirx.Cast("int32", n) + 127, tirx.const(23, "int32"))
    return tirx.reinterpret("float32", bits)


def _erf(x: Expr) -> Expr:
    def magnitude(a: Expr, t: Expr) -> Expr:
        poly = f32(0)
        for c in reversed(_ERF):
            poly = (poly + f32(c)) * t
        return f32(1) - poly * exp(-(a * a))

    def signed(x: Expr, m: Expr) -> Expr:
        return tirx.Select(x < f32(0), -m, m)

    def of(x: Expr) -> Expr:
        a = tirx.abs(x)
        return let(f32(1) / (f32(1) + f32(0.3275911) * a), lambda t: let(magnitude(a, t), lambda m: signed(x, m)))

    return let(x, of)


def _sigmoid(x: Expr) -> Expr:
    return f32(1) / (f32(1) + exp(-x))


def _tanh(x: Expr) -> Expr:
    return f32(1) - f32(2) / (exp(f32(2) * x) + f32(1))


def _hardsigmoid(x: Expr) -> Expr:
    return _clip(x + f32(3), 0.0, 6.0) * f32(1 / 6)


def _mish(x: Expr) -> Expr:
    # tanh(ln(1 + e)) = e (e + 2) / (e (e + 2) + 2); from 20 on the quotient is 1 in float32
    def of(e: Expr) -> Expr:
        return let(e * (e + f32(2)), lambda p: x * (p / (p + f32(2))))

    return let(exp(T.min(x, f32(20.0))), of)


def _clip(x: Expr, low: float, high: float) -> Expr:
    if low > -math.inf:
        x = at_least(x, low)
    return at_most(x, high) if high < math.inf else x


def _elu(x: Expr, alpha: float, scale: float, input_scale: float) -> Expr:
    negative = f32(alpha) * (exp(T.min(x, f32(0.0)) * f32(input_scale)) - f32(1))
    return f32(scale) * (T.max(x, f32(0)) + negative)  # one of both is 0


def _gelu_tanh(x: Expr) -> Expr:
    inner = f32(math.sqrt(2 / math.pi)) * (x + f32(0.044715) * x * x * x)
    return f32(0.5) * x * (f32(1) + _tanh(inner))


def _softplus(x: Expr, beta: float, threshold: float) -> Expr:
    scaled = x * f32(beta)
    soft = tirx.log(f32(1) + exp(T.min(scaled, f32(threshold)))) * f32(1 / beta)
    return tirx.Select(scaled > f32(threshold), x, soft)


_EXPRESSIONS: dict[str, Callable[..., Expr]] = {
    "relu": lambda x: at_least(x, 0.0),
    "clip": _clip,
    "leaky_relu": lambda x, slope: tirx.Select(x > f32(0), x, x * f32(slope)),
    "hardswish": lambda x: x * _hardsigmoid(x),
    "hardsigmoid": _hardsigmoid,
    "sigmoid": _sigmoid,
    "silu": lambda x: x * _sigmoid(x),
    "tanh": _tanh,
    "gelu": lambda x: f32(0.5) * x * (f32(1) + _erf(x * f32(math.sqrt(0.5)))),
    "gelu_tanh": _gelu_tanh,
    "mish": _mish,
    "elu": _elu,
    "softplus": _softplus,
}


def apply(activation: Activation | None, x: Expr) -> Expr:
    """Expression of ``activation`` at float32 expression ``x``."""
    if activation is None:
        return x
    return let(x, lambda v: _EXPRESSIONS[activation.kind](v, *activation.params))
