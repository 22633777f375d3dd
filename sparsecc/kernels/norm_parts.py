"""Norm of few and long runs of numbers, each in parts that threads share."""

from __future__ import annotations

from typing import Any

from sparsecc._tvm import T, tirx
from sparsecc.kernels.extremes import f32
from sparsecc.kernels.norm_rows import finish, moments
from sparsecc.kernels.norm_shape import NormShape, Planes

Expr = Any

#: numbers of a part: they stay in the first cache from one walk over them to the next
_PART = 4096
#: from so many numbers on an item is worth more than one thread, and from so many items on there is work for each
_LONG, _MANY = 16384, 8


def has_parts(shape: NormShape) -> bool:
    """Whether there is more to share than items."""
    return not shape.across and shape.items < _MANY and shape.numbers >= _LONG and shape.planes > 1


def parts(shape: NormShape, x: Any, weight: Any, bias: Any, y: Any, *, lanes: int) -> None:
    """Emit the kernel.

    Loops::

        parallel item, part: its mean, and the sum of squares of the distances from it
        item: mean and variance of those
        parallel item, part: output = activation((input - mean) * factor * weight + bias)
    """
    size = planes_of_a_part(shape)
    pieces = -(-shape.planes // size)
    count = shape.items * pieces
    found = T.alloc_buffer((2 * count,), "float32", scope="global")
    merged = T.alloc_buffer((2 * shape.items,), "float32", scope="global")
    with T.parallel(0, count) as turn, T.sblock("moments"):
        at = T.axis.spatial(count, turn)
        T.reads()
        T.writes(found[0 : 2 * count])
        planes = _planes(shape, at % pieces, size)
        mean, squares, rest = moments(shape, x, at // pieces, planes, lanes=lanes)
        if shape.centred:
            mean, squares = mean + rest * planes.share, squares - rest * rest * planes.share
        T.buffer_store(found, mean, [2 * at])
        T.buffer_store(found, squares, [2 * at + 1])
    with T.serial(0, shape.items) as turn, T.sblock("merge"):
        item = T.axis.spatial(shape.items, turn)
        T.reads()
        T.writes(merged[0 : 2 * shape.items])
        _merge(shape, found, merged, item, pieces, size)
    with T.parallel(0, count) as turn, T.sblock("finish"):
        at = T.axis.spatial(count, turn)
        T.reads()
        T.writes(y[0 : y.ty.shape[0]])
        item, planes = at // pieces, _planes(shape, at % pieces, size)
        mean, factor = T.bind(merged[2 * item]), T.bind(merged[2 * item + 1])
        finish(shape, (x, weight, bias, y), item, planes, mean, factor, lanes=lanes)


def planes_of_a_part(shape: NormShape) -> int:
    """Neighbouring planes of a part; of lists so many numbers that few are left over by vectors."""
    return min(shape.planes, max(1, _PART // shape.pixels))


def _planes(shape: NormShape, part: Expr, size: int) -> Planes:
    """Those of a part; the last one may have fewer."""
    first, last = T.bind(part * size), shape.planes % size
    each, other = f32(1.0 / (size * shape.pixels)), f32(1.0 / (max(last, 1) * shape.pixels))
    if last == 0:
        return Planes(first, size, each)
    is_whole = first + size <= shape.planes
    return Planes(first, T.bind(tirx.Select(is_whole, size, last)), tirx.Select(is_whole, each, other))


def _merge(shape: NormShape, found: Any, merged: Any, item: Expr, pieces: int, size: int) -> None:
    """One mean and factor of those of parts: distances are from the first part's mean."""
    sums = T.alloc_buffer((2,), "float32", scope="global")
    about = T.bind(found[2 * pieces * item])
    for i in range(2):
        T.buffer_store(sums, f32(0.0), [i])

    def add(part: Expr, planes: int) -> None:
        numbers, place = f32(float(planes * shape.pixels)), 2 * (pieces * item + part)
        distance = T.bind(found[place] - about)
        T.buffer_store(sums, sums[0] + numbers * distance, [0])
        T.buffer_store(sums, sums[1] + found[place + 1] + numbers * distance * distance, [1])

    whole, last = divmod(shape.planes, size)
    with T.serial(0, whole) as part:
        add(part, size)
    if last:
        add(whole, last)
    T.buffer_store(merged, about + sums[0] * shape.all_planes.share, [2 * item])
    T.buffer_store(merged, shape.factor(sums[1], sums[0]), [2 * item + 1])
