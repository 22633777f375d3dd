"""Direct sparse convolution over padded planes (SkimCaffe, PAPERS section 3) with 1xN blocks (PAPERS section 1).

For a row of blocks, walk its kept blocks; every tap of a block is an offset into the padded input; load vectors of
pixels there, multiply with N broadcast weights, accumulate N x vectors registers. 1x1, kxk, strided, dilated, grouped
and dense convolutions are the same loop with other offsets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from sparsecc._tvm import TOGETHER, PrimFunc, T, tirx
from sparsecc.kernels import shares
from sparsecc.kernels.deal import deal_run
from sparsecc.kernels.direct_sets import sets_of
from sparsecc.kernels.direct_shape import DirectConfig, DirectShape, argument_names, buffer_of
from sparsecc.kernels.direct_sum import sums
from sparsecc.kernels.direct_tile import At, Gathered, Sink, Tile, channel_and_pixel, extents, whole_or_rest
from sparsecc.kernels.function import kernel
from sparsecc.kernels.gather import first_pixel, gather
from sparsecc.kernels.store import StoreShape, finish
from sparsecc.kernels.surround import clear_surround, has_surround
from sparsecc.kernels.tiles import Tiles, Vectors, cut
from sparsecc.kernels.walk import Walk

#: a row of blocks, and which of its channels are in registers
Place = tuple[Any, Any]


def direct(shape: DirectShape, config: DirectConfig) -> PrimFunc:
    """Build the unscheduled kernel.

    ``data`` is packed as ``[row][block_n / reg_n][kept block][tap][reg_n]`` float32; ``offsets`` (nnzb,) int32 is the
    kept block's input channel times floats per channel, and its tap's offset where blocks have one tap, or ``columns``
    (nnzb,) uint16 or ``steps`` (nnzb,) uint8 in their place (:class:`~sparsecc.kernels.walk.Walk`) with ``table``
    (columns,) int32, the offset of every tap; ``indptr`` (rows + 1,) int32; ``bias`` and ``channels``
    (rows * block_n,) in row order; ``mask`` (h * pitch,) is 1 at pixels and 0 in gaps.

    Loops::

        parallel for image, half of the plane, row, [sub, part]:     # or for image, tile, run of input channels:
            for sub, tile:                                           #     [copy a run;] parallel for row, sub
                acc[reg_n, vectors, lanes] = bias                    # or the sums of the run before, from output
                for kept block of row, tap:
                    acc += data * input[offset + tap + pixel]
                output = epilogue(acc)                               # or the sums, until the last run
    """
    return kernel(
        [(name, buffer_of(name, shape)) for name in argument_names(shape)],
        lambda buffers: _body(shape, config, buffers),
    )


def tiles_of(shape: DirectShape, config: DirectConfig) -> Tiles:
    """How the kernel walks a plane."""
    return cut(shape.flat, lanes=config.lanes, vectors=config.vectors, singles=config.singles)


def tile_blocks(shape: DirectShape, config: DirectConfig) -> Iterator[tuple[tuple[str, ...], tuple[str, ...], Vectors]]:
    """Names of the blocks that accumulate and of those that store, and the run of pixels that they are for.

    A tile with loads ahead of their use, or with sets of sums, has no block that updates a sum: its code is as it is.
    """
    tiles = tiles_of(shape, config)
    total = ("add",) if shape.sums > 1 else ()
    stores = ("store",) if config.chunks == 1 else ("store", "keep")
    if tiles.count:
        written = shape.part or config.ahead or sets_of(shape, config, tiles.whole) > 1
        yield total if written else ("update", *total), stores, tiles.whole[0]
    adds = total if shape.part or sets_of(shape, config, tiles.rest) > 1 else ("update", *total)
    for i, run in enumerate(tiles.rest):
        yield tuple(f"{add}_rest_{i}" for add in adds), tuple(f"{store}_rest_{i}" for store in stores), run


def _body(shape: DirectShape, config: DirectConfig, buffers: dict[str, Any]) -> None:
    sink = output_sink(shape, config, buffers, shape.store)
    if config.rows_outer:
        _rows_outer(shape, config, buffers, sink)
    elif shape.rows == 1 or shares.middle(tiles_of(shape, config)) is not None:
        _tiles_shared(shape, config, buffers, sink)
    else:
        rows_shared(shape, config, buffers, sink)


def _rows_outer(shape: DirectShape, config: DirectConfig, buffers: dict[str, Any], sink: Sink) -> None:
    """Row by row of blocks; threads share the rows, and the halves of an image, in finer parts if there are few."""
    tiles, subs = tiles_of(shape, config), shape.block_n // config.reg_n
    split = shares.middle(tiles)
    halves = 1 if split is None else 2
    have = shape.spec.n * halves * shape.rows
    channels = shares.finer(have, subs)
    parts = shares.finer(have * channels, tiles.total // halves)
    each = channels * parts
    with T.parallel(0, have * each) as share:
        image = T.floordiv(share, each * shape.rows * halves)
        half = T.floormod(T.floordiv(share, each * shape.rows), halves)
        row = T.floormod(T.floordiv(share, each), shape.rows)
        some = shares.part_of(subs, channels, T.floormod(T.floordiv(share, parts), channels))
        run = shares.part_within(shares.half_of(tiles.total, split, half), parts, T.floormod(share, parts))
        with T.serial(*some) as sub, T.serial(*run) as tile:
            _emit_block(shape, config, buffers, At(image, row, sub), tile, sink)


def _tiles_shared(shape: DirectShape, config: DirectConfig, buffers: dict[str, Any], sink: Sink) -> None:
    """Tile by tile; threads share the tiles, and some rows of each if there are few."""
    total = tiles_of(shape, config).total
    have = shape.spec.n * total
    parts = shares.finer(have, shape.rows) if config.chunks == 1 and not config.packed else 1
    with T.parallel(0, have * parts) as share:
        image, tile = T.floordiv(share, total * parts), T.floormod(T.floordiv(share, parts), total)
        run = shares.part_of(shape.rows, parts, T.floormod(share, parts))
        _emit_rows(shape, config, buffers, image, tile, sink, lambda: _serial_rows(shape, config, run))


def _serial_rows(shape: DirectShape, config: DirectConfig, run: tuple[Any, Any]) -> Iterator[Place]:
    with T.serial(*run) as row, T.serial(0, shape.block_n // config.reg_n) as sub:
        yield row, sub


def rows_shared(
    shape: DirectShape,
    config: DirectConfig,
    buffers: dict[str, Any],
    sink: Sink,
    finish: Callable[[Any, Any, Any], None] | None = None,
) -> None:
    """Tile by tile; threads share the rows of blocks of each, always the same ones.

    ``finish`` emits what ``reg_n`` channels of a row of an image need when all their tiles are done, in the thread that
    did them.
    """
    subs = shape.block_n // config.reg_n
    # TVM takes a loop of one iteration away, and wants one to share
    together, loop = (T.attr(0, TOGETHER, 0), T.parallel) if shape.rows * subs > 1 else (nullcontext(), T.serial)

    def places() -> Iterator[Place]:
        with loop(0, shape.rows * subs) as share:
            yield T.floordiv(share, subs), T.floormod(share, subs)

    with together, T.serial(0, shape.spec.n) as image:
        with T.serial(0, tiles_of(shape, config).total) as tile:
            _emit_rows(shape, config, buffers, image, tile, sink, places)
        if finish is not None:
            for row, sub in places():
                finish(image, row, sub)


def _emit_rows(
    shape: DirectShape,
    config: DirectConfig,
    buffers: dict[str, Any],
    image: Any,
    tile: Any,
    sink: Sink,
    places: Callable[[], Iterator[Place]],
) -> None:
    """Rows of blocks of one tile, for one run of input channels after another; ``places`` loops over rows and subs."""
    copy = T.alloc_buffer((shape.run * shape.gathered,), shape.dtype, scope="global") if config.packed else None
    with T.serial(0, config.chunks) as chunk:
        if copy is not None:
            gather(shape, buffers, copy, tiles_of(shape, config), image=image, chunk=chunk, tile=tile)
        for row, sub in places():
            _emit_block(shape, config, buffers, At(image, row, sub, chunk), tile, sink, copy)


def _emit_block(
    shape: DirectShape,
    config: DirectConfig,
    buffers: dict[str, Any],
    at: At,
    tile: Any,
    sink: Sink,
    copy: Any = None,
) -> None:
    subs, total = shape.block_n // config.reg_n, tiles_of(shape, config).total
    with T.sblock("tile"):
        extents, loops = (shape.spec.n, shape.rows, subs, total), (at.image, at.row, at.sub, tile)
        image, row, sub, tile = map(T.axis.spatial, extents, loops)
        chunk = T.axis.reduce(config.chunks, at.chunk) if config.chunks > 1 else 0
        T.reads()
        T.writes(sink.buffer[0 : sink.buffer.ty.shape[0]])
        emit_tile(shape, config, buffers, At(image, row, sub, chunk), tile, sink, copy)


def output_sink(shape: DirectShape, config: DirectConfig, buffers: dict[str, Any], store: StoreShape) -> Sink:
    """The output, with planes that lie as in ``store``."""

    def plane(at: At, n: Any) -> Any:
        return at.image * store.channels + output_channel(shape, config, buffers, at, n)

    return Sink(buffers["output"], store, plane, surrounds=has_surround(store.layout))


def output_channel(shape: DirectShape, config: DirectConfig, buffers: dict[str, Any], at: At, n: Any) -> Any:
    """Output channel of the ``n``-th one in registers."""
    return channel_in(shape, buffers, at.row * shape.block_n + at.sub * config.reg_n + n)


def channel_in(shape: DirectShape, buffers: dict[str, Any], slot: Any) -> Any:
    """Output channel in place ``slot`` of all rows of blocks."""
    return buffers["channels"][slot] if shape.scattered else slot


def emit_tile(
    shape: DirectShape, config: DirectConfig, buffers: dict[str, Any], at: At, tile: Any, sink: Sink, copy: Any = None
) -> None:
    """Code of tile number ``tile``: a whole one, or the rest; ``copy`` has the pixels where they were gathered."""
    tiles = tiles_of(shape, config)

    def emit(start: Any, runs: tuple[Vectors, ...], suffix: str) -> None:
        walk = Walk(shape, buffers, at.row, at.chunk)
        gathered = None if copy is None else Gathered(copy, first_pixel(runs))
        _emit(Tile(shape, config, buffers, replace(at, start=start), sink, walk, gathered), runs, suffix)

    whole_or_rest(
        tiles,
        tile,
        whole=lambda: emit(tile * tiles.pixels, tiles.whole, ""),
        rest=lambda: emit(tiles.count * tiles.pixels, tiles.rest, "_rest_{}"),
    )
    if sink.surrounds:
        is_last = tirx.all(tile == tiles.total - 1, at.chunk == config.chunks - 1)
        with T.If(is_last), T.Then(), T.serial(0, config.reg_n) as n:
            clear_surround(sink.store, sink.buffer, sink.plane(at, n))


def _emit(tile: Tile, runs: tuple[Vectors, ...], suffix: str) -> None:
    """Accumulate all kept blocks of a row, then store."""
    config = tile.config
    accs = sums(tile, runs, suffix)
    if config.chunks == 1:
        _store_all(tile, accs, runs, suffix)
        return
    with T.If(tile.at.chunk == config.chunks - 1):
        with T.Then():
            _store_all(tile, accs, runs, suffix)
        with T.Else():
            for i, (acc, vectors) in enumerate(zip(accs, runs, strict=True)):
                _keep(tile, acc, vectors, "keep" + suffix.format(i))


def _store_all(tile: Tile, accs: list[Any], runs: tuple[Vectors, ...], suffix: str) -> None:
    store = _store if tile.sink.store.layout.deal == 1 else _store_dealt
    for i, (acc, vectors) in enumerate(zip(accs, runs, strict=True)):
        store(tile, acc, vectors, "store" + suffix.format(i))


def _store_dealt(tile: Tile, acc: Any, vectors: Vectors, name: str) -> None:
    """Finish a tile in registers, then deal every channel's pixels out to the halves of its plane."""
    config, at, sink, store = tile.config, tile.at, tile.sink, tile.sink.store
    done = T.alloc_buffer((config.reg_n, vectors.count, vectors.lanes), store.dtype, scope="global")
    with T.grid(config.reg_n, vectors.count, vectors.lanes) as (n, v, lane), T.sblock(name):
        vn, vv, vl = T.axis.remap("SSS", [n, v, lane])
        pixel = at.start + vectors.start + vv * vectors.lanes + vl
        mask = tile.buffers["mask"][pixel] if store.masked else None
        T.reads(acc[vn, vv, vl])
        T.writes(done[vn, vv, vl])
        T.buffer_store(done, finish(acc[vn, vv, vl], store, residual=None, mask=mask), [vn, vv, vl])
    for n in range(config.reg_n):
        base = sink.place(at, n, 0)
        deal_run(done, n, vectors, sink.buffer, base=base, half=store.layout.plane, start=at.start)


def _store(tile: Tile, acc: Any, vectors: Vectors, name: str) -> None:
    at, sink, store = tile.at, tile.sink, tile.sink.store
    with T.grid(*extents(tile.config, vectors)) as (n, v, lane), T.sblock(name):
        vn, vv, vl = T.axis.remap("SSS", [n, v, lane])
        channel, place = channel_and_pixel(vectors, vn, vv, vl)
        pixel = at.start + place
        mask = tile.buffers["mask"][pixel] if store.masked else None
        residual = None
        if store.residual is not None:
            plane = sink.plane(at, channel)
            residual = tile.buffers["residual"][plane * store.residual.channel + store.residual.lead + pixel]
        # not declared: two tiles write the output, which the schedule's primitives would refuse
        T.reads(acc[vn, vv, vl])
        T.writes()
        done = finish(acc[vn, vv, vl], store, residual=residual, mask=mask)
        T.buffer_store(sink.buffer, done, [sink.place(at, channel, pixel)])


def _keep(tile: Tile, acc: Any, vectors: Vectors, name: str) -> None:
    """Leave the sums so far where the results will be."""
    with T.grid(*extents(tile.config, vectors)) as (n, v, lane), T.sblock(name):
        vn, vv, vl = T.axis.remap("SSS", [n, v, lane])
        channel, place = channel_and_pixel(vectors, vn, vv, vl)
        T.reads(acc[vn, vv, vl])
        T.writes()
        T.buffer_store(tile.sink.buffer, acc[vn, vv, vl], [tile.sink.place(tile.at, channel, tile.at.start + place)])
