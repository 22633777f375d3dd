"""Code of a reduction: vectors of results, or vectors of what becomes one result.

Either way sums stay in registers. A result is the same sum in the same order whatever the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from sparsecc._tvm import T, tirx
from sparsecc.kernels.function import kernel
from sparsecc.kernels.generic.loops import Counters, Group, at, group, int64, loads
from sparsecc.kernels.generic.reduction import Reduction
from sparsecc.kernels.generic.vectors import Vector, accumulator, begin, combine, items, store, store_joined, turns

Expr = Any

#: below this many results, and values that they are made of, a second thread costs more than it helps
PARALLEL_RESULTS, _PARALLEL_VALUES = 4096, 32768
#: vectors side by side: independent sums, as many as hide the latency of one
_VECTORS = 4
#: rows of results that share what they load, of half as many vectors each
_ROWS = 4
#: fewer floats side by side than these are no vector
_LEAST = 4
#: windows of unequal sizes are small: floats of their vectors
_WINDOW_LANES = 4


def emit_reduction(reduction: Reduction, *, lanes: int) -> Any:
    """The statement that computes a reduction.

    Where results lie side by side, and what they are made of does too::

        parallel other results, rows, tile:
            acc[rows][vectors] = neutral
            for reduced: acc[rows][vectors] = combine(acc, value)
            target = acc

    Else vectors are runs of the last loop that is reduced::

        parallel results:
            acc[vectors] = neutral
            for reduced, run: acc[vectors] = combine(acc, value)
            target = combine(all of acc)
    """
    return kernel([], lambda _: _emit(reduction, lanes)).body.block.body


def _emit(reduction: Reduction, lanes: int) -> None:
    kept = [reduction.kept] if reduction.kept is not None else []
    accesses = [*loads(reduction.value), *kept, (reduction.target, reduction.indices)]
    spatial = group(reduction.spatial, accesses)
    if not reduction.has_fixed_extents:
        _windows(reduction, spatial)
        return
    reduced = group(reduction.reduced, accesses)
    column, row = _widest(spatial), _widest(reduced[-1:])
    if column is not None and column.extent >= min(lanes, row.extent if row else 1):
        _columns(reduction, spatial, column, reduced, lanes)
    elif row is not None:
        _row(reduction, spatial, reduced, lanes)
    else:
        # nothing lies side by side: lanes are loaded one by one
        anything = max(spatial, key=lambda g: g.extent, default=Group((), ()))
        _columns(reduction, spatial, anything, reduced, lanes)


def _widest(groups: Sequence[Group]) -> Group | None:
    found = [g for g in groups if g.walks_memory and g.extent >= _LEAST]
    return max(found, key=lambda g: g.extent, default=None)


def _columns(
    reduction: Reduction, spatial: Sequence[Group], column: Group, reduced: Sequence[Group], lanes: int
) -> None:
    """Vectors of results; rows of them together where they share what they load."""
    shared = _sharing(spatial, column)
    others = [g for g in spatial if g is not column and g is not shared]
    blocks = -(-shared.extent // _ROWS)
    rows = -(-shared.extent // blocks)
    width = _power_of_two(min(lanes, column.extent)) if column.extent >= _LEAST else column.extent
    vectors = _tile_vectors(column.extent, width, most=_VECTORS if rows == 1 else _VECTORS // 2)
    pixels = width * vectors
    counts = [*(g.extent for g in others), -(-column.extent // pixels), blocks]
    with items(reduction, math.prod(counts), parallel=_is_parallel(spatial, reduced)) as item:
        *places, tile, block = _places(item, counts)
        outer = _merged(others, places)
        top = T.bind(T.min(block * rows, int64(shared.extent - rows)))
        first = T.bind(T.min(tile * pixels, int64(column.extent - pixels)))
        acc = accumulator(rows * pixels)
        tops = [outer | shared.counters(top + row) for row in range(rows)]
        found = [_column_vector(column, tops[r], first, v, r * vectors + v, width) for r, v in _grid(rows, vectors)]
        begin(reduction, acc, rows * pixels)
        with turns(reduced) as counters:
            combine(reduction, acc, found, counters)
        store(reduction, acc, found)


def _tile_vectors(extent: int, width: int, *, most: int) -> int:
    """Vectors of a tile, so that tiles take little time; the last tile ends with the row, among another's results."""

    def time(vectors: int) -> int:
        return -(-extent // (vectors * width)) * (vectors + 1)

    return min(range(min(most, extent // width), 0, -1), key=time)


def _column_vector(column: Group, row: Counters, first: Expr, v: int, number: int, width: int) -> Vector:
    return Vector(number * width, width, lambda lane: row | column.counters(first + v * width + lane))


def _grid(rows: int, vectors: int) -> list[tuple[int, int]]:
    return [(row, v) for row in range(rows) for v in range(vectors)]


def _row(reduction: Reduction, spatial: Sequence[Group], reduced: Sequence[Group], lanes: int) -> None:
    """Vectors of what one result is made of."""
    *outer, inner = reduced
    width = _power_of_two(min(lanes, inner.extent))
    vectors = _power_of_two(min(_VECTORS, inner.extent // width))
    floats = width * vectors
    counts = [g.extent for g in spatial]

    def vector(first: Expr, start: int, count: int) -> Vector:
        return Vector(start, count, lambda lane: inner.counters(first + lane))

    with items(reduction, math.prod(counts), parallel=_is_parallel(spatial, reduced)) as item:
        result = _merged(spatial, _places(item, counts))
        acc = accumulator(floats)
        begin(reduction, acc, floats)
        with turns(outer) as counters:
            counters = counters | result
            with T.serial(int64(0), int64(inner.extent // floats)) as run:
                whole = [vector(run * floats + v * width, v * width, width) for v in range(vectors)]
                combine(reduction, acc, whole, counters)
            done = inner.extent // floats * floats
            rest = [vector(int64(done + start), start, count) for start, count in _rest(inner.extent - done, width)]
            combine(reduction, acc, rest, counters)
        store_joined(reduction, acc, floats, result)


def _rest(count: int, width: int) -> list[tuple[int, int]]:
    """Vectors for ``count`` floats: whole ones, then one for every power of two; their starts and widths."""
    found, start = [], 0
    while count > start:
        lanes = min(width, _power_of_two(count - start))
        found.append((start, lanes))
        start += lanes
    return found


def _windows(reduction: Reduction, spatial: Sequence[Group]) -> None:
    """One result after another, each of as many values as its counters say."""
    *outer, inner = reduction.reduced
    counts = [g.extent for g in spatial]
    with items(reduction, math.prod(counts), parallel=_is_parallel(spatial, ())) as item:
        result = _merged(spatial, _places(item, counts))
        acc = accumulator(_WINDOW_LANES)
        begin(reduction, acc, _WINDOW_LANES)
        extents = [T.bind(at(loop.extent, result)) for loop in reduction.reduced]
        with ExitStack() as stack:
            places = [stack.enter_context(T.serial(int64(0), extent)) for extent in extents[:-1]]
            around = result | {loop.var: turn for loop, turn in zip(outer, places, strict=True)}
            runs = T.bind(tirx.floordiv(extents[-1], int64(_WINDOW_LANES)))
            with T.serial(int64(0), runs) as run:
                first = run * _WINDOW_LANES
                vector = Vector(0, _WINDOW_LANES, lambda lane: {inner.var: first + lane})
                combine(reduction, acc, [vector], around)
            with T.serial(int64(0), extents[-1] - runs * _WINDOW_LANES) as left:
                last = Vector(0, 1, lambda _: {inner.var: runs * _WINDOW_LANES + left})
                combine(reduction, acc, [last], around)
        store_joined(reduction, acc, _WINDOW_LANES, result)


def _sharing(spatial: Sequence[Group], column: Group) -> Group:
    """The results' rows of which some load serves all: it walks along the column, and not from row to row."""
    for rows in spatial:
        if rows is not column and any(
            down == 0 and across == 1 for down, across in zip(rows.steps[:-1], column.steps[:-1], strict=True)
        ):
            return rows
    return Group((), ())


def _is_parallel(spatial: Sequence[Group], reduced: Sequence[Group]) -> bool:
    results = math.prod(g.extent for g in spatial)
    return results >= PARALLEL_RESULTS or results * math.prod(g.extent for g in reduced) >= _PARALLEL_VALUES


def _places(item: Expr, counts: Sequence[int]) -> list[Expr]:
    """Counters of loops whose turns are numbered one after another, the last one's first."""
    found: list[Expr] = []
    for count in reversed(counts):
        found.insert(0, tirx.floormod(item, int64(count)))
        item = tirx.floordiv(item, int64(count))
    return found


def _merged(groups: Sequence[Group], places: Sequence[Expr]) -> Counters:
    counters: Counters = {}
    for g, place in zip(groups, places, strict=True):
        counters.update(g.counters(place))
    return counters


def _power_of_two(count: int) -> int:
    """The largest one that is no more than ``count``."""
    return 1 << (count.bit_length() - 1)
