"""``grid_sample``: pixels at places that a network computes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import fx

from sparsecc._tvm import te, tirx
from sparsecc.errors import NotSupportedError
from sparsecc.importer.arguments import arguments
from sparsecc.importer.context import Context, shape_of
from sparsecc.importer.names import layer_name
from sparsecc.kernels.exponential import let
from sparsecc.kernels.extremes import f32

Expr = Any
_BILINEAR, _NEAREST, _CUBIC = range(3)
_ZEROS, _BORDER, _REFLECTION = range(3)
#: of PyTorch's cubic
_A = -0.75
#: numbers that float32 counts by
_MOST = 2**24
#: Relax' number for kernels that are not joined with others
_OPAQUE = 8


class Axis(NamedTuple):
    """How places along one axis of the images are meant.

    Attributes
    ----------
    extent : int
    padding : int
        PyTorch's number for what lies outside.
    aligned : bool
        Whether -1 and 1 are the middles of the outermost pixels, or their outer edges.
    """

    extent: int
    padding: int
    aligned: bool

    def pixel(self, place: Expr) -> Expr:
        """A place from -1 to 1 in pixels."""
        if self.aligned:
            return (place + f32(1)) * f32((self.extent - 1) / 2)
        return (place + f32(1)) * f32(self.extent / 2) - f32(0.5)

    def put_inside(self, x: Expr) -> Expr:
        """A place as the padding moves it; with zeros outside it stays, but for those that are far from all pixels."""
        if self.padding == _ZEROS:
            return _clipped(x, -3, self.extent + 2)
        return _clipped(self._reflected(x) if self.padding == _REFLECTION else x, 0, self.extent - 1)

    def _reflected(self, x: Expr) -> Expr:
        low, span = (0.0, self.extent - 1.0) if self.aligned else (-0.5, float(self.extent))
        if not span:
            return f32(0)

        distance = tirx.abs(x - f32(low))
        flips = tirx.floor(distance / f32(span))
        extra = distance - flips * f32(span)
        is_even = flips - f32(2) * tirx.floor(flips / f32(2)) == f32(0)
        return tirx.Select(is_even, extra, f32(span) - extra) + f32(low)


def grid_sample(ctx: Context, node: fx.Node) -> Any:
    """``grid_sampler(x, grid, mode, padding, align_corners)``: pixels at places that may depend on the input."""
    x, grid, mode, padding, aligned = arguments(node, 5, [None, None, 0, 0, False])
    data, places = ctx.value(x), ctx.value(grid)
    extents = shape_of(data)[2:]
    if max(extents) >= _MOST:
        raise NotSupportedError(f"layer {layer_name(node)}: grid_sample of an image of {extents} is not supported, "
                                f"expected less than {_MOST} pixels along an axis")  # fmt: skip
    axes = [Axis(extent, int(padding), bool(aligned)) for extent in extents]
    tables = []
    for i, axis in enumerate(axes):
        for of in (_places, _weights, _insides):
            tables.append(_table(ctx, node, places, len(axes) - 1 - i, axis, int(mode), of))
    return _sum(ctx, node, data, tables)


def _table(
    ctx: Context, node: fx.Node, grid: Any, coordinate: int, axis: Axis, mode: int, of: Callable[..., Any]
) -> Any:
    """For every tap and pixel of the result what ``of`` says, along one axis."""
    taps = {_BILINEAR: 2, _NEAREST: 1, _CUBIC: 4}[mode]

    def made(grid: Any) -> Any:
        def element(tap: Expr, *i: Expr) -> Expr:
            return let(axis.pixel(grid(*i, coordinate)), lambda x: of(axis, mode, x, tap))

        return te.compute((taps, *grid.shape[:-1]), element, name="taps")

    return ctx.compute(node, made, grid, attrs={"op_pattern": _OPAQUE})


def _tap(axis: Axis, mode: int, x: Expr, tap: Expr) -> Expr:
    """The place of a tap, a whole number; a cubic's taps are put inside one by one."""
    if mode == _NEAREST:
        return tirx.nearbyint(axis.put_inside(x))
    if mode == _BILINEAR:
        return tirx.floor(axis.put_inside(x)) + tirx.Cast("float32", tap)
    return axis.put_inside(tirx.floor(x) + tirx.Cast("float32", tap) - f32(1))


def _places(axis: Axis, mode: int, x: Expr, tap: Expr) -> Expr:
    """A pixel that is there."""
    return _clipped(_tap(axis, mode, x, tap), 0, axis.extent - 1)


def _insides(axis: Axis, mode: int, x: Expr, tap: Expr) -> Expr:
    """Whether that is the tap's own one, or there is none."""

    def inside(place: Expr) -> Expr:
        return tirx.Select(tirx.And(place >= f32(0), place <= f32(axis.extent - 1)), f32(1), f32(0))

    return let(_tap(axis, mode, x, tap), inside)


def _weights(axis: Axis, mode: int, x: Expr, tap: Expr) -> Expr:
    """How much of it the result has."""
    if mode == _NEAREST:
        return f32(1)
    if axis.padding != _ZEROS and mode == _BILINEAR:
        x = axis.put_inside(x)
    rest = x - tirx.floor(x)  # NaN at infinity, as in PyTorch
    if mode == _BILINEAR:
        return tirx.Select(tap == 0, f32(1) - rest, rest)
    return let(rest, lambda t: _cubic(t, tap))


def _cubic(t: Expr, tap: Expr) -> Expr:
    """Weight of one of four taps at a distance from the second."""

    def near(d: Expr) -> Expr:
        return ((f32(_A + 2) * d - f32(_A + 3)) * d) * d + f32(1)

    def far(d: Expr) -> Expr:
        return ((f32(_A) * d - f32(5 * _A)) * d + f32(8 * _A)) * d - f32(4 * _A)

    one = f32(1)
    low = tirx.Select(tap == 0, far(t + one), near(t))
    high = tirx.Select(tap == 2, near(one - t), far(f32(2) - t))
    return tirx.Select(tap < 2, low, high)


def _sum(ctx: Context, node: fx.Node, data: Any, tables: Sequence[Any]) -> Any:
    """Sum of the taps of all axes; what lies outside counts for nothing, whatever it is multiplied by."""

    def of(x: Any, *tables: Any) -> Any:
        taps = int(tables[0].shape[0])
        axes = [tables[i : i + 3] for i in range(0, len(tables), 3)]

        def element(n: Expr, c: Expr, *pixel: Expr) -> Expr:
            total = None
            for chosen in itertools.product(range(taps), repeat=len(axes)):
                own = [[table(tap, n, *pixel) for table in axis] for tap, axis in zip(chosen, axes, strict=True)]
                value = x(n, c, *(tirx.Cast("int32", place) for place, _, _ in own))
                inside = math.prod([inside for _, _, inside in own])
                term = tirx.Select(inside != f32(0), value, f32(0)) * math.prod([weight for _, weight, _ in own])
                total = term if total is None else total + term
            return total

        return te.compute((*x.shape[:2], *tables[0].shape[2:]), element, name="sampled")

    return ctx.compute(node, of, data, *tables, attrs={"op_pattern": _OPAQUE})


def _clipped(x: Expr, low: int, high: int) -> Expr:
    """Within bounds, whatever it is: NaN becomes the lower one, so that no tap lies outside of memory."""
    return tirx.Select(x > f32(low), tirx.Select(x < f32(high), x, f32(high)), f32(low))


GRID: dict[str, Callable[[Context, fx.Node], Any]] = {
    "grid_sampler_2d.default": grid_sample,
    "grid_sampler_3d.default": grid_sample,
}
