"""The epilogue of kernels that keep a tile of flat pixels in registers: residual, activation, zeroed gaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import tirx
from sparsecc.ir.epilogue import Epilogue
from sparsecc.ir.layout import PlaneLayout
from sparsecc.kernels import activation
from sparsecc.kernels.extremes import f32

Expr = Any


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
    """

    images: int
    channels: int
    layout: PlaneLayout
    epilogue: Epilogue
    residual: PlaneLayout | None = None
    masked: bool = False
    gap: float = 0.0

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
    if shape.epilogue.residual == "before":
        value = value + residual
    value = activation.apply(shape.epilogue.activation, value)
    if shape.epilogue.residual == "after":
        value = value + residual
    if mask is not None:
        value = tirx.Select(mask > f32(0), value, f32(shape.gap))
    return value
