"""The epilogue of kernels that keep a tile of flat pixels in registers: residual, activation, zeroed gaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import tirx
from sparsecc.ir.epilogue import Epilogue
from sparsecc.ir.layout import PlaneLayout
from sparsecc.ir.tensor_type import HALF
from sparsecc.kernels import activation
from sparsecc.kernels.extremes import f32, number
from sparsecc.kernels.half import narrowed, widened

Expr = Any
#: activations that may be computed in half precision: their results are numbers that they are given, or bounds
_EXACT = ("relu", "clip")


@dataclass(frozen=True)
class StoreShape:
    """Where a kernel's results go.

    Attributes
    ----------
    images, channels : int
        Output tensor's n and c.
    layout : PlaneLayout
        Of the output.
    residual : PlaneLayout or None
        Of the tensor that is added; same pitch as the output.
    epilogue : Epilogue
    masked : bool
        True when the gaps between rows must be stored as ``gap``.
    gap : float
        What gaps hold: 0, or -inf where a maximum reads them.
    dtype : str
        Of what is stored, of the residual and the mask.
    """

    images: int
    channels: int
    layout: PlaneLayout
    epilogue: Epilogue
    residual: PlaneLayout | None = None
    masked: bool = False
    gap: float = 0.0
    dtype: str = "float32"

    @property
    def flat(self) -> int:
        """Consecutive floats of a plane that the kernel computes, first to last pixel, gaps between rows included.

        The gap after the last row is left out: taps there would reach beyond an input that has no halo.
        """
        return (self.layout.h - 1) * self.layout.pitch + self.layout.w


def finish(value: Expr, shape: StoreShape, *, residual: Expr | None, mask: Expr | None) -> Expr:
    """The value to store for an accumulator ``value``.

    A mask selects rather than multiplies: gaps may hold infinities, and zero times those is not zero.
    """
    if shape.dtype == HALF:
        return _finish_half(value, shape, residual=residual, mask=mask)
    value = widened(value)
    if shape.epilogue.residual == "before":
        value = value + residual
    value = activation.apply(shape.epilogue.activation, value)
    if shape.epilogue.residual == "after":
        value = value + residual
    if mask is not None:
        value = tirx.Select(mask > f32(0), value, f32(shape.gap))
    return value


def _finish_half(value: Expr, shape: StoreShape, *, residual: Expr | None, mask: Expr | None) -> Expr:
    """The same in half precision, computed in float32 where that rounds better; rounded once.

    Where a sum is in half precision already, what can be computed there is.
    """
    act = shape.epilogue.activation
    is_exact = act is None or act.kind in _EXACT
    if residual is not None or not is_exact:
        value = widened(value)
    if shape.epilogue.residual == "before":
        value = value + widened(residual)
    if is_exact and shape.epilogue.residual != "after":
        value = narrowed(value)
    value = activation.apply(act, value)
    if shape.epilogue.residual == "after":
        value = value + widened(residual)
    value = narrowed(value)
    return value if mask is None else tirx.Select(mask > number(0.0, mask), value, number(shape.gap, value))
