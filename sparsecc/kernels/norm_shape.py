"""What addresses of a norm's kernel depend on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import T, tirx
from sparsecc.ir.epilogue import Activation
from sparsecc.ir.layout import PlaneLayout
from sparsecc.kernels import activation
from sparsecc.kernels.extremes import at_least, f32

Expr = Any


@dataclass(frozen=True, eq=False)
class Planes:
    """Neighbouring planes of an item.

    Attributes
    ----------
    first, count : int or expression
    share : expression
        One over the numbers in them.
    """

    first: Expr
    count: Expr
    share: Expr


@dataclass(frozen=True)
class NormShape:
    """Of a :class:`~sparsecc.ir.norm.NormLayer` whose tensors lie somewhere.

    Attributes
    ----------
    items, planes, groups : int
    source, target : PlaneLayout
        Unsplit; planes of one pixel for lists of numbers.
    across, centred : bool
    eps : float
    activation : Activation or None
    """

    items: int
    planes: int
    groups: int
    source: PlaneLayout
    target: PlaneLayout
    across: bool
    centred: bool
    eps: float
    activation: Activation | None

    @property
    def pixels(self) -> int:
        """Of a plane."""
        return self.source.h * self.source.w

    @property
    def runs(self) -> int:
        """Rows that a plane is walked in; one where there are no gaps between its rows."""
        return 1 if self.source.pitch == self.target.pitch == self.source.w else self.source.h

    @property
    def run(self) -> int:
        """Pixels of such a row."""
        return self.pixels // self.runs

    @property
    def numbers(self) -> int:
        """Numbers that have one mean."""
        return self.planes if self.across else self.planes * self.pixels

    @property
    def all_planes(self) -> Planes:
        """Of an item."""
        return Planes(0, self.planes, f32(1.0 / self.numbers))

    def read(self, item: Expr, plane: Expr, row: Expr) -> Expr:
        """First float of a row of the input."""
        return _place(self.source, item * self.planes + plane, row)

    def written(self, item: Expr, plane: Expr, row: Expr) -> Expr:
        """The same of the result."""
        return _place(self.target, item * self.planes + plane, row)

    def weights(self, item: Expr) -> Expr:
        """First of an item's weights."""
        return 0 if self.groups == 1 else item % self.groups * self.planes

    def factor(self, squares: Expr, rest: Expr) -> Expr:
        """One over the standard deviation, of sums of ``d * d`` and of ``d``, the distances from about the mean."""
        one = f32(1.0 / self.numbers)
        variance = (squares - rest * rest * one) * one if self.centred else squares * one
        return f32(1.0) / tirx.sqrt(at_least(variance, 0.0) + f32(self.eps))

    def finished(self, value: Expr) -> Expr:
        """A result with its activation."""
        return activation.apply(self.activation, value)


def _place(layout: PlaneLayout, plane: Expr, row: Expr) -> Expr:
    return layout.lead + plane * layout.channel + row * layout.pitch


def lanes_of(count: int, lanes: int) -> int:
    """The widest vector, a power of two, of at most ``lanes`` and ``count`` floats."""
    return 1 << (min(lanes, count).bit_length() - 1)


def total(buffer: Any, floats: int) -> Expr:
    """Sum of a buffer of a power of two of floats, which it overwrites: halves are added until one is left."""
    while floats > 1:
        floats //= 2
        for start in range(0, floats, 16):
            with T.vectorized(0, min(16, floats)) as lane:
                T.buffer_store(buffer, buffer[start + lane] + buffer[floats + start + lane], [start + lane])
    return T.bind(buffer[0])


def clear(buffer: Any, floats: int) -> None:
    """Set all floats to 0."""
    for start in range(0, floats, 16):
        with T.vectorized(0, min(16, floats - start)) as lane:
            T.buffer_store(buffer, f32(0.0), [start + lane])
