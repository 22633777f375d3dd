"""The larger and the smaller one of two float32 expressions; NaN where one of them is NaN, as in PyTorch.

TVM's own maximum takes its second argument where one is NaN. So does the instruction of x86 that compares and chooses,
which LLVM finds where the choice is written the same way: with a number that is all it takes. Within exponentials TVM's
maximum stands for the choice, which a late pass makes of it (`_extremes.py`): TVM's simplifier takes minutes for
choices within choices. ARM has instructions that keep a NaN of either side; the same pass finds them.
"""

from __future__ import annotations

from typing import Any

from sparsecc._tvm import tirx
from sparsecc.ir.tensor_type import HALF

Expr = Any


def f32(value: float) -> Expr:
    """A float32 constant."""
    return tirx.const(value, "float32")


def number(value: float, x: Expr) -> Expr:
    """A constant of the type of ``x``."""
    return tirx.const(value, str(x.ty.dtype))


def at_least(x: Expr, low: float) -> Expr:
    """The larger one of ``x`` and a number. One instruction."""
    return tirx.Select(x < number(low, x), number(low, x), x)


def at_most(x: Expr, high: float) -> Expr:
    """The smaller one of ``x`` and a number. One instruction."""
    return tirx.Select(x > number(high, x), number(high, x), x)


def larger(so_far: Expr, x: Expr) -> Expr:
    """The larger one: two comparisons and a choice, as no instruction of x86 keeps a NaN of either side.

    In half precision the late pass makes that: TVM asks for a NaN in float32.
    """
    if str(x.ty.dtype) == HALF:
        return tirx.Max(so_far, x)
    return tirx.Select(tirx.isnan(x), x, tirx.Select(x > so_far, x, so_far))


def smaller(so_far: Expr, x: Expr) -> Expr:
    """The smaller one."""
    return tirx.Select(tirx.isnan(x), x, tirx.Select(x < so_far, x, so_far))
