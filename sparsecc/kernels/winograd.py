"""One-dimensional Winograd transforms as vector expressions: few operations, shared between points of equal size.

Points come in pairs ``p, -p``. A polynomial's even and odd parts agree at both but for a sign, so they are computed
once: a transform of six floats takes 12 multiply-adds, not 36 (Lavin and Gray 2015, section 4).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sparsecc._tvm import T, tirx
from sparsecc.ir.winograd import Float64
from sparsecc.kernels.extremes import f32

Expr = Any


def to_points(matrix: Float64, values: Sequence[Expr]) -> list[Expr]:
    """``matrix @ values`` for the matrix of an input: rows of ``p`` and ``-p`` next to each other.

    ::

        even, odd = sum of even terms, sum of odd terms
        result[p], result[-p] = even + odd, even - odd         # with the point zero
        result[p], result[-p] = odd + even, odd - even         # without
    """
    zero = _zero(matrix)
    results = [_sum(row, values) for row in matrix[:zero]]
    for row in matrix[zero:-1:2]:
        even = T.bind(_sum(row[0::2], values[0::2]))
        odd = T.bind(_sum(row[1::2] / _unit(row[1::2]), values[1::2]))
        unit = f32(_unit(row[1::2]))
        results += [even + unit * odd, even - unit * odd if zero else unit * odd - even]
    return [*results, _sum(matrix[-1], values)]


def from_points(matrix: Float64, values: Sequence[Expr]) -> list[Expr]:
    """``matrix @ values`` for the matrix of an output: columns of ``p`` and ``-p`` next to each other.

    ::

        even, odd = value[p] + value[-p], value[p] - value[-p]
        result[k] = sum over p of p**k * (odd if k is odd else even)
    """
    zero = _zero(matrix)
    pairs = [(T.bind(a + b), T.bind(a - b)) for a, b in zip(values[zero:-1:2], values[zero + 1 : -1 : 2], strict=True)]
    return [
        _sum([*row[:zero], *row[zero:-1:2], row[-1]], [*values[:zero], *(pair[k % 2] for pair in pairs), values[-1]])
        for k, row in enumerate(matrix)
    ]


def _zero(matrix: Float64) -> int:
    """Points before the pairs: zero, where their number is even."""
    return 1 - int(matrix.shape[1]) % 2


def _unit(coefficients: Iterable[float]) -> float:
    """The last coefficient that is not zero: its term then needs no multiplication."""
    return [float(c) for c in coefficients if c][-1]


def _sum(coefficients: Iterable[float], values: Sequence[Expr]) -> Expr:
    """Sum of products, terms with coefficient one first: the others are multiply-adds onto them."""
    terms = [(float(c), value) for c, value in zip(coefficients, values, strict=True) if c]
    terms.sort(key=lambda term: abs(term[0]) != 1.0)
    total: Expr = None
    for factor, value in terms:
        if total is None:
            total = value if factor == 1.0 else f32(factor) * value
        elif abs(factor) == 1.0:
            total = total + value if factor > 0 else total - value
        else:
            total = total + f32(factor) * value
    return total


def vector(buffer: Expr, start: Expr, lanes: int) -> Expr:
    """``lanes`` consecutive floats."""
    return buffer[start] if lanes == 1 else buffer[tirx.Ramp(start, 1, lanes)]


def store(buffer: Expr, value: Expr, start: Expr, lanes: int) -> None:
    """Store ``lanes`` consecutive floats."""
    T.buffer_store(buffer, value, [start if lanes == 1 else tirx.Ramp(start, 1, lanes)])


def store_first(buffer: Expr, value: Expr, start: Expr, *, count: int, lanes: int) -> None:
    """Store the first ``count`` of a vector's ``lanes`` floats: twice as many as have a vector of their own, or all."""
    width = widest(count, lanes=lanes)
    if width == lanes:
        store(buffer, value, start, lanes)
        return
    bound = T.bind(value)
    for first in (0, count - width) if count > width else (0,):
        store(buffer, picked([bound], range(first, first + width)), start + first, width)


def picked(vectors: Sequence[Expr], places: Iterable[int]) -> Expr:
    """A vector of some elements of others, which count through."""
    return tirx.Shuffle(list(vectors), [tirx.const(place, "int32") for place in places])


def widest(count: int, *, lanes: int) -> int:
    """The widest vector, at most ``lanes`` wide, that ``count`` floats fill: a power of two."""
    return next(width for width in (64, 32, 16, 8, 4, 2, 1) if width <= min(count, lanes))
