"""The table of activations: as TensorIR expressions, by NumPy, and what PyTorch calls them.

Expressions are made of vector arithmetic only, without calls into libm.

NaN stays NaN and infinities give PyTorch's results: comparisons are written so that their false side is the argument.

Constants are those of the functions themselves (Taylor coefficients, the rational error function approximation 7.1.26
of Abramowitz and Stegun); the largest error against float64 is 3e-7 of the result's scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc._tvm import T, tirx
from sparsecc.ir.epilogue import Activation
from sparsecc.kernels.exponential import exp, let
from sparsecc.kernels.extremes import at_least, at_most, f32
from sparsecc.kernels.near_zero import expm1

Expr = Any

_ERF = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)


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
    """``p / (p + 2)`` with ``p = e ** 2x - 1``, which keeps its digits near 0; from 20 on it is 1 in float32."""
    return let(expm1(T.min(f32(2) * x, f32(40.0))), lambda p: p / (p + f32(2)))


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
    tanh = f32(1) - f32(2) / (exp(f32(2) * inner) + f32(1))  # what is added to 1 needs no digits near 0
    return f32(0.5) * x * (f32(1) + tanh)


def _softplus(x: Expr, beta: float, threshold: float) -> Expr:
    scaled = x * f32(beta)
    soft = tirx.log(f32(1) + exp(T.min(scaled, f32(threshold)))) * f32(1 / beta)
    return tirx.Select(scaled > f32(threshold), x, soft)


@dataclass(frozen=True)
class Form:
    """An operator of PyTorch that computes an activation.

    Attributes
    ----------
    defaults : tuple
        Of its arguments after the tensor.
    constants : callable
        Those arguments as the activation's constants; None where they ask for another activation.
    """

    defaults: tuple[Any, ...] = ()
    constants: Callable[..., tuple[float, ...] | None] = lambda *values: tuple(float(value) for value in values)


@dataclass(frozen=True)
class Function:
    """All that there is to an activation.

    Attributes
    ----------
    expression : callable
        The TensorIR expression of a float32 expression and the constants.
    reference : callable
        The same by NumPy, of float64 arrays.
    forms : mapping of str to Form
        ATen operators that compute it.
    """

    expression: Callable[..., Expr]
    reference: Callable[..., Any]
    forms: Mapping[str, Form]


def _bounds(low: Any, high: Any = None) -> tuple[float, float]:
    return (-math.inf if low is None else float(low), math.inf if high is None else float(high))


def _logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _hard(x: Any) -> Any:
    return np.clip(x + 3, 0, 6) / 6


def _normal(x: Any) -> Any:
    return (1 + np.vectorize(math.erf, otypes=[float])(x * math.sqrt(0.5))) / 2


#: kind of activation -> what it is, here and in PyTorch
ACTIVATIONS: dict[str, Function] = {
    "relu": Function(lambda x: at_least(x, 0.0), lambda x: np.maximum(x, 0), {"relu.default": Form()}),
    "clip": Function(
        _clip,
        np.clip,
        {
            "relu6.default": Form((), lambda: (0.0, 6.0)),
            "hardtanh.default": Form((-1.0, 1.0)),
            "clamp.default": Form((None, None), _bounds),
            "clamp_min.default": Form((None,), _bounds),
        },
    ),
    "leaky_relu": Function(
        lambda x, slope: tirx.Select(x > f32(0), x, x * f32(slope)),
        lambda x, slope: np.where(x > 0, x, x * slope),
        {"leaky_relu.default": Form((0.01,))},
    ),
    "hardswish": Function(lambda x: x * _hardsigmoid(x), lambda x: x * _hard(x), {"hardswish.default": Form()}),
    "hardsigmoid": Function(_hardsigmoid, _hard, {"hardsigmoid.default": Form()}),
    "sigmoid": Function(_sigmoid, _logistic, {"sigmoid.default": Form()}),
    "silu": Function(lambda x: x * _sigmoid(x), lambda x: x * _logistic(x), {"silu.default": Form()}),
    "tanh": Function(_tanh, np.tanh, {"tanh.default": Form()}),
    "gelu": Function(
        lambda x: f32(0.5) * x * (f32(1) + _erf(x * f32(math.sqrt(0.5)))),
        lambda x: x * _normal(x),
        {"gelu.default": Form(("none",), lambda how: () if how == "none" else None)},
    ),
    "gelu_tanh": Function(
        _gelu_tanh,
        lambda x: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        {"gelu.default": Form(("none",), lambda how: () if how == "tanh" else None)},
    ),
    "hardshrink": Function(
        lambda x, bound: tirx.Select(tirx.abs(x) <= f32(bound), f32(0), x),
        lambda x, bound: np.where(np.abs(x) <= bound, 0, x),
        {"hardshrink.default": Form((0.5,))},
    ),
    "mish": Function(_mish, lambda x: x * np.tanh(np.logaddexp(0, x)), {"mish.default": Form()}),
    "elu": Function(
        _elu,
        lambda x, alpha, scale, steep: scale * np.where(x > 0, x, alpha * np.expm1(steep * np.minimum(x, 0))),
        {
            "elu.default": Form((1.0, 1.0, 1.0)),
            "celu.default": Form((1.0,), lambda alpha: (float(alpha), 1.0, 1.0 / float(alpha))),
        },
    ),
    "softplus": Function(
        _softplus,
        lambda x, beta, threshold: np.where(x * beta > threshold, x, np.logaddexp(0, beta * x) / beta),
        {"softplus.default": Form((1.0, 20.0))},
    ),
}


def apply(activation: Activation | None, x: Expr) -> Expr:
    """Expression of ``activation`` at float32 expression ``x``."""
    if activation is None:
        return x
    return let(x, lambda v: ACTIVATIONS[activation.kind].expression(v, *activation.params))


def reference(activation: Activation | None, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """``activation`` of a float32 array by NumPy, rounded once."""
    if activation is None:
        return x
    with np.errstate(all="ignore"):
        made = ACTIVATIONS[activation.kind].reference(x.astype(np.float64), *activation.params)
        return np.asarray(made, np.float32)
