"""Sums of a tile of the direct kernel in half precision and float32.

Rounding of a sum that is carried through K terms grows with the square root of K, and half precision has 11 bits. So
only a part of a row's kept blocks is summed there, in registers, with twice as many results in a vector as float32 has;
the sums of parts are added in float32, in memory::

    total = bias
    for part of the row's kept blocks:
        acc = 0
        for kept block of the part: for tap: acc += data * input
        total += acc
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from typing import Any

from sparsecc._tvm import T, tirx
from sparsecc.kernels.direct_tile import Tile, accumulators, each_sum, first_weight, prefetch
from sparsecc.kernels.half import HALF_TERMS, widened
from sparsecc.kernels.taps import fixed_tap_offset, tap_offset
from sparsecc.kernels.tiles import Vectors


def sum_in_parts(tile: Tile, runs: Sequence[Vectors]) -> list[Any]:
    """Emit a tile's sums, a buffer of float32 for each of its runs of vectors; they need no schedule."""
    shape, config, walk = tile.shape, tile.config, tile.walk
    totals = [accumulators(config, run) for run in runs]
    for i, place, channel, _ in each_sum(tile, runs):
        T.buffer_store(totals[i], tile.buffers["bias"][tile.slot + channel], list(place))
    walk.start()
    if shape.taps > HALF_TERMS:
        with T.serial(0, walk.count) as j:
            walk.advance(j)
            for rows in _rows_at_once(shape.kernel):
                _add_part(tile, totals, runs, partial(_add_rows, tile, runs, j, rows))
        return totals
    with T.serial(0, (walk.count + shape.part - 1) // shape.part) as part:
        _add_part(tile, totals, runs, partial(_add_blocks, tile, runs, part))
    return totals


def _add_part(tile: Tile, totals: list[Any], runs: Sequence[Vectors], add: Callable[[list[Any]], None]) -> None:
    """``total += acc``, where ``add`` adds to ``acc``."""
    accs = [accumulators(tile.config, run, tile.shape.dtype) for run in runs]
    for i, place, _, _ in each_sum(tile, runs):
        T.buffer_store(accs[i], tirx.const(0.0, tile.shape.dtype), list(place))
    add(accs)
    for i, place, _, _ in each_sum(tile, runs):
        T.buffer_store(totals[i], totals[i][place] + widened(accs[i][place]), list(place))


def _rows_at_once(kernel: tuple[int, int]) -> list[range]:
    """Rows of taps whose sum is in half precision."""
    rows, columns = kernel
    each = max(1, HALF_TERMS // columns)
    return [range(first, min(rows, first + each)) for first in range(0, rows, each)]


def _add_blocks(tile: Tile, runs: Sequence[Vectors], part: Any, accs: list[Any]) -> None:
    shape, walk = tile.shape, tile.walk
    with T.serial(0, T.min(shape.part, walk.count - part * shape.part)) as i:
        j = part * shape.part + i
        walk.advance(j)
        _add_rows(tile, runs, j, range(shape.kernel[0]), accs)


def _add_rows(tile: Tile, runs: Sequence[Vectors], j: Any, rows: range, accs: list[Any]) -> None:
    """``acc += data * input`` for some rows of taps of a kept block: a loop, unless all taps are unrolled."""
    shape, columns = tile.shape, tile.shape.kernel[1]
    pixels = 0 if tile.gathered is not None else tile.at.image * (shape.spec.ic * shape.source.channel) + tile.at.start
    base = T.bind(pixels + tile.walk.offset(j))
    if tile.config.unroll_taps or len(rows) == 1:
        for a, b in product(rows, range(columns)):
            alone = shape.by_tap or tile.gathered is not None
            offset = 0 if alone else fixed_tap_offset(shape.spec, shape.source, a * columns + b)
            _add_tap(tile, accs, runs, (j, a, b), base + offset)
        return
    with T.serial(0, len(rows)) as row:
        for b in range(columns):
            a = rows.start + row
            _add_tap(tile, accs, runs, (j, a, b), base + tap_offset(shape.spec, shape.source, a, b))


def _add_tap(tile: Tile, accs: list[Any], runs: Sequence[Vectors], at: tuple[Any, Any, Any], pixels: Any) -> None:
    config, data, read = tile.config, tile.buffers["data"], tile.buffers["input"]
    weights = T.bind(first_weight(tile, at))
    if config.prefetch:
        prefetch(data, weights + config.prefetch)
    held = None
    if config.by_lane:
        held = T.alloc_buffer((config.reg_n,), tile.shape.dtype, scope="global")
        T.buffer_store(held, data[T.ramp(weights, 1, config.reg_n)], [T.ramp(0, 1, config.reg_n)])
    for i, place, channel, pixel in each_sum(tile, runs):
        value = read[pixels + pixel] if tile.gathered is None else tile.gathered.pixel(pixels, pixel)
        weight = data[weights + channel] if held is None else held[channel]
        T.buffer_store(accs[i], accs[i][place] + weight * value, list(place))
