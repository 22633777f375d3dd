"""Half precision beside float32: conversions."""

from __future__ import annotations

from typing import Any

from sparsecc._tvm import T
from sparsecc.ir.tensor_type import HALF

Expr = Any
#: most terms of a part of a sum that half precision carries, and of a sum that has no parts. With parts of 64 terms the
#: largest error of a ResNet-18 with calibrated batch norms was 2.4e-3 to 2.8e-3 of its largest output, with 27 it is
#: 1.3e-3 to 1.8e-3; 0.7e-3 to 0.9e-3 of these come from rounding weights and results
HALF_TERMS, HALF_ALONE = 32, 64


def widened(x: Expr) -> Expr:
    """An expression in float32."""
    return T.cast(x, "float32") if str(x.ty.dtype) == HALF else x


def like(x: Expr, y: Expr) -> Expr:
    """An expression in the type of another one: both are floating-point numbers."""
    return narrowed(x, str(y.ty.dtype))


def narrowed(x: Expr, dtype: str = HALF) -> Expr:
    """A floating-point expression in half precision, or another type of such numbers."""
    return x if str(x.ty.dtype) == dtype else T.cast(x, dtype)
