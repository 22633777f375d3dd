"""What a tile of the direct kernel adds up: kept blocks times taps, into its accumulators.

The rounding of a sum that is carried through K terms grows with the square root of K. Where a shape has more sums than
one, each of them is carried through a part of the terms, in registers, and added to the others in memory::

    total = bias
    for part:
        acc = 0
        for kept block of the part, tap: acc += data * input
        total += acc
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sparsecc._tvm import T, tirx
from sparsecc.kernels.ahead import Steps, accumulate
from sparsecc.kernels.direct_sets import sets_of, sum_in_sets
from sparsecc.kernels.direct_tile import (
    Tile,
    accumulators,
    by_pointer,
    channel_and_pixel,
    extents,
    first_weight,
    prefetch,
)
from sparsecc.kernels.extremes import f32
from sparsecc.kernels.half import narrowed
from sparsecc.kernels.half_parts import sum_in_parts
from sparsecc.kernels.taps import fixed_tap_offset, tap_offset
from sparsecc.kernels.tiles import Vectors


def sums(tile: Tile, runs: tuple[Vectors, ...], suffix: str) -> list[Any]:
    """A tile's sums: a buffer for each of its runs of vectors."""
    if tile.shape.part:
        return sum_in_parts(tile, runs)
    if tile.shape.sums == 1:
        return _sum(tile, runs, suffix)
    totals = [accumulators(tile.config, vectors) for vectors in runs]
    with T.serial(0, tile.shape.sums) as part:
        accs = _sum(replace(tile, part=part), runs, suffix)
        for i, (total, acc, vectors) in enumerate(zip(totals, accs, runs, strict=True)):
            _add(replace(tile, part=part), total, acc, vectors, "add" + suffix.format(i))
    return totals


def _sum(tile: Tile, runs: tuple[Vectors, ...], suffix: str) -> list[Any]:
    accs = [accumulators(tile.config, vectors, tile.shape.dtype) for vectors in runs]
    if sets_of(tile.shape, tile.config, runs) > 1:
        sum_in_sets(tile, accs, runs)
    elif tile.config.ahead and not suffix:
        _sum_ahead(tile, accs[0])
    else:
        _sum_plainly(tile, accs, runs, suffix)
    return accs


def _add(tile: Tile, total: Any, acc: Any, vectors: Vectors, name: str) -> None:
    """``total += acc``; before the first part, ``total = bias``."""
    with T.grid(*extents(tile.config, vectors)) as (n, v, lane), T.sblock(name):
        T.axis.reduce(tile.shape.sums, tile.part)
        vn, vv, vl = T.axis.remap("SSS", [n, v, lane])
        channel, _ = channel_and_pixel(vectors, vn, vv, vl)
        first = tile.buffers["bias"][tile.slot + channel]
        T.reads(acc[vn, vv, vl], first)
        T.writes(total[vn, vv, vl])
        with T.init():
            T.buffer_store(total, first, [vn, vv, vl])
        T.buffer_store(total, total[vn, vv, vl] + acc[vn, vv, vl], [vn, vv, vl])


def _sum_ahead(tile: Tile, acc: Any) -> None:
    """A whole tile's sum with loads ahead of their use."""
    shape, config, buffers, walk = tile.shape, tile.config, tile.buffers, tile.walk
    spec, source, reg_n = shape.spec, shape.source, config.reg_n
    weights, apart = first_weight(tile, (tile.block(0), 0, 0)), shape.together or reg_n
    image = tile.at.image * (spec.ic * source.channel) + tile.at.start

    def start_step(step: Any) -> None:
        if config.prefetch:
            prefetch(buffers["data"], weights + step * apart + config.prefetch)

    steps = Steps(
        reg_n, config.vectors, config.lanes,
        taps=(0,) if shape.by_tap else tuple(fixed_tap_offset(spec, source, tap) for tap in range(spec.taps)),
        count=tile.blocks,
        bias=lambda n: buffers["bias"][tile.slot + n] if shape.sums == 1 else f32(0),
        weight=lambda step, n: buffers["data"][weights + step * apart + n],
        channel=lambda j: image + walk.offset(tile.block(j)),
        pixel=lambda place, i: buffers["input"][place + i],
        start_step=start_step,
    )  # fmt: skip
    accumulate(steps, acc)


def _sum_plainly(tile: Tile, accs: list[Any], runs: tuple[Vectors, ...], suffix: str) -> None:
    """A tile's sum, to be scheduled: loops over kept blocks and taps."""
    config, walk, kernel = tile.config, tile.walk, tile.shape.kernel
    walk.start()
    with T.serial(0, tile.blocks) as j:
        walk.advance(tile.block(j))
        with T.grid(*kernel) as (a, b):
            if config.prefetch:
                prefetch(tile.buffers["data"], first_weight(tile, (tile.block(j), a, b)) + config.prefetch)
            loops = ((tile.blocks, j), (kernel[0], a), (kernel[1], b))
            held = _hold_weights(tile, (tile.block(j), a, b)) if config.by_lane else None
            for i, (acc, vectors) in enumerate(zip(accs, runs, strict=True)):
                _update(tile, acc, vectors, loops, "update" + suffix.format(i), held)


def _hold_weights(tile: Tile, reduction: tuple[Any, Any, Any]) -> Any:
    """Load the weights of one kept block's tap, of all channels in registers, as a vector."""
    reg_n = tile.config.reg_n
    held = T.alloc_buffer((reg_n,), tile.shape.dtype, scope="global")
    (j, a, b), shape, walk = reduction, tile.shape, tile.walk
    row = by_pointer(walk.first * (shape.block_n // reg_n) + tile.at.sub * walk.count)
    place = (row + by_pointer(j)) * (shape.taps * reg_n) + by_pointer((a * shape.kernel[1] + b) * reg_n)
    weights = tile.buffers["data"][T.ramp(place, 1, reg_n)]
    T.buffer_store(held, weights, [T.ramp(0, 1, reg_n)])
    return held


def _update(
    tile: Tile, acc: Any, vectors: Vectors, loops: tuple[tuple[Any, Any], ...], name: str, held: Any | None
) -> None:
    """``acc += data * input`` for one kept block and tap; before the first ``acc`` is bias, the sums so far, or 0.

    ``held``: the weights, where they are in registers.
    """
    shape, at, walk = tile.shape, tile.at, tile.walk
    spec, source = shape.spec, shape.source
    with T.grid(*extents(tile.config, vectors)) as (n, v, lane), T.sblock(name):
        vj, va, vb = (T.axis.reduce(extent, loop) for extent, loop in loops)
        if shape.sums > 1:
            tile = replace(tile, part=T.axis.spatial(shape.sums, tile.part))
        vj = tile.block(vj)
        vn, vv, vl = T.axis.remap("SSS", [n, v, lane])
        channel, place = channel_and_pixel(vectors, vn, vv, vl)
        first = tile.buffers["bias"][tile.slot + channel] if shape.sums == 1 else f32(0)
        T.reads(*([first] if shape.sums == 1 else []))
        first = narrowed(first, shape.dtype)
        T.writes(acc[vn, vv, vl])
        if tile.config.chunks > 1:
            so_far = tile.sink.buffer[tile.sink.place(at, channel, at.start + place)]
            first = tirx.Select(at.chunk == 0, first, so_far)
        with T.init():
            T.buffer_store(acc, first, [vn, vv, vl])
        weight = tile.buffers["data"][first_weight(tile, (vj, va, vb)) + channel] if held is None else held[channel]
        if tile.gathered is not None:
            gathered = tile.gathered.pixel if held is None else tile.gathered.pixel_by_pointer
            pixel = gathered(walk.offset(vj), place)
        else:
            tap = 0 if shape.by_tap else tap_offset(spec, source, va, vb)
            image, kept = at.image * (spec.ic * source.channel), walk.offset(vj)
            if held is None:
                index = image + kept + tap + at.start + place
            else:
                index = by_pointer(image + at.start) + by_pointer(kept) + by_pointer(tap + place)
            pixel = tile.buffers["input"][index]
        T.buffer_store(acc, acc[vn, vv, vl] + weight * pixel, [vn, vv, vl])
