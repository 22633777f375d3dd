"""Functions of one or two numbers that few networks have: rounding, angles, powers, remainders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import fx

from sparsecc._tvm import tirx
from sparsecc.errors import NotSupportedError
from sparsecc.importer.arguments import arguments
from sparsecc.importer.context import Context
from sparsecc.importer.elementwise import elementary
from sparsecc.importer.names import layer_name
from sparsecc.importer.pointwise import pointwise
from sparsecc.kernels.exponential import exp, let
from sparsecc.kernels.extremes import f32
from sparsecc.kernels.near_zero import expm1

Translate = Callable[[Context, fx.Node], Any]
Expr = Any


def power(ctx: Context, node: fx.Node) -> Any:
    """``pow(a, b)`` whose exponent is a tensor."""
    return pointwise(ctx, node, tirx.power, *arguments(node, 2, [None, None]))


def atan2(ctx: Context, node: fx.Node) -> Any:
    """``atan2(y, x)``."""
    return pointwise(ctx, node, tirx.atan2, *arguments(node, 2, [None, None]))


def remainder(ctx: Context, node: fx.Node) -> Any:
    """``remainder(a, b)``: it has the sign of ``b``."""
    return pointwise(ctx, node, _remainder, *arguments(node, 2, [None, None]))


def fmod(ctx: Context, node: fx.Node) -> Any:
    """``fmod(a, b)``: it has the sign of ``a``."""
    return pointwise(ctx, node, tirx.Mod, *arguments(node, 2, [None, None]))


def divide_rounded(ctx: Context, node: fx.Node) -> Any:
    """``div(a, b, rounding_mode)``: without one, down, or to 0."""
    a, b, mode = arguments(node, 3, [None, None, None])
    if mode not in ("floor", "trunc"):
        raise NotSupportedError(f"layer {layer_name(node)}: div with rounding_mode={mode!r} is not supported, "
                                "expected 'floor' or 'trunc'")  # fmt: skip
    return pointwise(ctx, node, _floored if mode == "floor" else lambda a, b: tirx.trunc(a / b), a, b)


def floor_divide(ctx: Context, node: fx.Node) -> Any:
    """``floor_divide(a, b)``: rounded down."""
    return pointwise(ctx, node, _floored, *arguments(node, 2, [None, None]))


def _remainder(a: Expr, b: Expr) -> Expr:
    rest = tirx.Mod(a, b)
    is_other = tirx.Or(tirx.And(rest < f32(0), b > f32(0)), tirx.And(rest > f32(0), b < f32(0)))
    return tirx.Select(is_other, rest + b, rest)


def _floored(a: Expr, b: Expr) -> Expr:
    """As PyTorch's: of the multiple of ``b``, so that rounding of ``a / b`` never counts one too many."""
    whole = (a - _remainder(a, b)) / b
    return tirx.Select(b == f32(0), a / b, tirx.floor(whole + f32(0.5)))


def _sinh(x: Expr) -> Expr:
    """It keeps its digits near 0."""
    return let(x, lambda x: (expm1(x) - expm1(-x)) * f32(0.5))


def _cosh(x: Expr) -> Expr:
    return let(x, lambda x: (exp(x) + exp(-x)) * f32(0.5))


def _one(function: Callable[[Expr], Expr], name: str) -> Translate:
    return elementary(function, f"``{name}(x)``")


FUNCTIONS: dict[str, Translate] = {
    "floor.default": _one(tirx.floor, "floor"),
    "ceil.default": _one(tirx.ceil, "ceil"),
    "round.default": elementary(tirx.nearbyint, "``round(x)``: halves to even numbers"),
    "trunc.default": _one(tirx.trunc, "trunc"),
    "sin.default": _one(tirx.sin, "sin"),
    "cos.default": _one(tirx.cos, "cos"),
    "tan.default": _one(tirx.tan, "tan"),
    "asin.default": _one(tirx.asin, "asin"),
    "acos.default": _one(tirx.acos, "acos"),
    "atan.default": _one(tirx.atan, "atan"),
    "sinh.default": _one(_sinh, "sinh"),
    "cosh.default": _one(_cosh, "cosh"),
    "asinh.default": _one(tirx.asinh, "asinh"),
    "acosh.default": _one(tirx.acosh, "acosh"),
    "atanh.default": _one(tirx.atanh, "atanh"),
    "log2.default": _one(tirx.log2, "log2"),
    "log10.default": _one(tirx.log10, "log10"),
    "exp2.default": _one(lambda x: tirx.power(f32(2), x), "exp2"),
    "pow.Tensor_Tensor": power,
    "pow.Scalar": power,
    "atan2.default": atan2,
    "remainder.Tensor": remainder,
    "remainder.Scalar": remainder,
    "fmod.Tensor": fmod,
    "fmod.Scalar": fmod,
    "floor_divide.default": floor_divide,
    "div.Tensor_mode": divide_rounded,
    "div.Scalar_mode": divide_rounded,
}
