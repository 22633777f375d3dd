"""Direct sparse convolution over padded planes (SkimCaffe, PAPERS section 3) with 1xN blocks (PAPERS section 1).

For a row of blocks, walk its kept blocks; every tap of a block is an offset into the padded input; load vectors of
pixels there, multiply with N broadcast weights, accumulate N x vectors registers. 1x1, kxk, strided, dilated, grouped
and dense convolutions are the same loop with other offsets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from sparsecc._tvm import PrimFunc, T, tirx
from sparsecc.kernels import shares
from sparsecc.kernels.deal import deal_run
from sparsecc.kernels.direct_shape import DirectConfig, DirectShape, argument_names, buffer_of
from sparsecc.kernels.function import kernel
from sparsecc.kernels.store import StoreShape, finish
from sparsecc.kernels.taps import tap_offset
from sparsecc.kernels.tiles import Tiles, Vectors, cut
from sparsecc.kernels.walk import Walk


def direct(shape: DirectShape, config: DirectConfig) -> PrimFunc:
    """Build the unscheduled kernel.

    ``data`` is packed as ``[row][block_n / reg_n][kept block][tap][reg_n]`` float32; ``offsets`` (nnzb,) int32 is the
    kept block's input channel times floats per channel, and its tap's offset where blocks have one tap, or ``columns``
    (nnzb,) uint16 or ``steps`` (nnzb,) uint8 in their place (:class:`~sparsecc.kernels.walk.Walk`) with ``table``
    (columns,) int32, the offset of every tap; ``indptr`` (rows + 1,) int32; ``bias`` and ``channels``
    (rows * block_n,) in row order; ``mask`` (h * pitch,) is 1 at pixels and 0 in gaps.

    Loops::

        for image, half of the plane, share of the rows:
            for row, sub, tile:                                      # or tile, run of input channels, row, sub
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


def tile_blocks(shape: DirectShape, config: DirectConfig) -> Iterator[tuple[str, tuple[str, ...], Vectors]]:
    """Names of the block that accumulates and of those that store, and the run of pixels that they are for."""
    tiles = tiles_of(shape, config)
    stores = ("store",) if config.chunks == 1 else ("store", "keep")
    if tiles.count:
        yield "update", stores, tiles.whole[0]
    for i, run in enumerate(tiles.rest):
        yield f"update_rest_{i}", tuple(f"{store}_rest_{i}" for store in stores), run


@dataclass(frozen=True)
class At:
    """The iteration that a tile belongs to: image, row of blocks, part of its channels, run of inputs, first pixel."""

    image: Any
    row: Any
    sub: Any
    chunk: Any = 0
    start: Any = 0


@dataclass(frozen=True)
class Sink:
    """Where results go: a buffer, how its planes lie, and the number of the plane of each channel ``n`` at a tile."""

    buffer: Any
    store: StoreShape
    plane: Callable[[At, Any], Any]

    def place(self, at: At, channel: Any, pixel: Any) -> Any:
        """Float of a pixel of a channel in registers."""
        return self.plane(at, channel) * self.store.layout.channel + self.store.layout.lead + pixel


@dataclass(frozen=True)
class _Tile:
    """What the code of a tile is made from."""

    shape: DirectShape
    config: DirectConfig
    buffers: dict[str, Any]
    at: At
    sink: Sink
    walk: Walk

    @property
    def slot(self) -> Any:
        """Place of the first channel in registers among those of all rows."""
        return self.at.row * self.shape.block_n + self.at.sub * self.config.reg_n


def _body(shape: DirectShape, config: DirectConfig, buffers: dict[str, Any]) -> None:
    tiles, subs, output = tiles_of(shape, config), shape.block_n // config.reg_n, buffers["output"]
    split = shares.middle(tiles)
    halves = 1 if split is None else 2
    parts = shape.rows if config.rows_outer else shares.row_shares(shape.rows, halves=halves)

    def plane(at: At, n: Any) -> Any:
        return at.image * shape.store.channels + output_channel(shape, config, buffers, at, n)

    def emit(image: Any, row: Any, sub: Any, chunk: Any, tile: Any) -> None:
        with T.sblock("tile"):
            extents = (shape.spec.n, shape.rows, subs, tiles.total)
            image, row, sub, tile = map(T.axis.spatial, extents, (image, row, sub, tile))
            chunk = T.axis.reduce(config.chunks, chunk) if config.chunks > 1 else 0
            T.reads()
            T.writes(output[0 : output.ty.shape[0]])
            emit_tile(shape, config, buffers, At(image, row, sub, chunk), tile, Sink(output, shape.store, plane))

    with T.grid(shape.spec.n, halves, parts) as loops, T.sblock("share"):
        image, half, part = T.axis.remap("SSS", list(loops))
        T.reads()
        T.writes(output[0 : output.ty.shape[0]])
        rows, run = shares.part_of(shape.rows, parts, part), shares.half_of(tiles.total, split, half)
        if config.rows_outer:
            with T.serial(*rows) as row, T.serial(0, subs) as sub, T.serial(*run) as tile:
                emit(image, row, sub, 0, tile)
        else:
            chunks = T.serial(0, config.chunks)
            with T.serial(*run) as tile, chunks as chunk, T.serial(*rows) as row, T.serial(0, subs) as sub:
                emit(image, row, sub, chunk, tile)


def output_channel(shape: DirectShape, config: DirectConfig, buffers: dict[str, Any], at: At, n: Any) -> Any:
    """Output channel of the ``n``-th one in registers."""
    return channel_in(shape, buffers, at.row * shape.block_n + at.sub * config.reg_n + n)


def channel_in(shape: DirectShape, buffers: dict[str, Any], slot: Any) -> Any:
    """Output channel in place ``slot`` of all rows of blocks."""
    return buffers["channels"][slot] if shape.scattered else slot


def emit_tile(shape: DirectShape, config: DirectConfig, buffers: dict[str, Any], at: At, tile: Any, sink: Sink) -> None:
    """Code of tile number ``tile``: a whole one, or the rest."""
    tiles = tiles_of(shape, config)

    def emit(start: Any, runs: tuple[Vectors, ...], suffix: str) -> None:
        walk = Walk(shape, buffers, at.row, at.chunk)
        _emit(_Tile(shape, config, buffers, replace(at, start=start), sink, walk), runs, suffix)

    def whole() -> None:
        emit(tile * tiles.pixels, tiles.whole, "")

    def rest() -> None:
        emit(tiles.count * tiles.pixels, tiles.rest, "_rest_{}")

    if not tiles.rest:
        whole()
    elif not tiles.count:
        rest()
    else:
        with T.If(tile < tiles.count):
            with T.Then():
                whole()
            with T.Else():
                rest()


def _emit(tile: _Tile, runs: tuple[Vectors, ...], suffix: str) -> None:
    """Accumulate all kept blocks of a row, then store."""
    shape, config, walk = tile.shape, tile.config, tile.walk
    accs = [T.alloc_buffer(_extents(config, vectors), "float32", scope="global") for vectors in runs]
    walk.start()
    with T.serial(0, walk.count) as j:
        walk.advance(j)
        with T.grid(*shape.kernel) as (a, b):
            if config.prefetch:
                prefetch(tile.buffers["data"], _weights(tile, (j, a, b)) + config.prefetch)
            for i, (acc, vectors) in enumerate(zip(accs, runs, strict=True)):
                _update(tile, acc, vectors, (j, a, b), "update" + suffix.format(i))
    if config.chunks == 1:
        _store_all(tile, accs, runs, suffix)
        return
    with T.If(tile.at.chunk == config.chunks - 1):
        with T.Then():
            _store_all(tile, accs, runs, suffix)
        with T.Else():
            for i, (acc, vectors) in enumerate(zip(accs, runs, strict=True)):
                _keep(tile, acc, vectors, "keep" + suffix.format(i))


def _store_all(tile: _Tile, accs: list[Any], runs: tuple[Vectors, ...], suffix: str) -> None:
    store = _store if tile.sink.store.layout.deal == 1 else _store_dealt
    for i, (acc, vectors) in enumerate(zip(accs, runs, strict=True)):
        store(tile, acc, vectors, "store" + suffix.format(i))


def _extents(config: DirectConfig, vectors: Vectors) -> tuple[int, int, int]:
    """Loops over a tile's run: the last one is the vector."""
    return (1, vectors.count, config.reg_n) if vectors.by_channel else (config.reg_n, vectors.count, vectors.lanes)


def _channel_and_pixel(vectors: Vectors, n: Any, v: Any, lane: Any) -> tuple[Any, Any]:
    """Channel in registers and pixel of a tile that those loops stand for."""
    return (lane, vectors.start + v) if vectors.by_channel else (n, vectors.start + v * vectors.lanes + lane)


def _weights(tile: _Tile, reduction: tuple[Any, Any, Any]) -> Any:
    """Where the weights of one kept block's tap lie, of all channels in registers."""
    shape, reg_n, (j, a, b) = tile.shape, tile.config.reg_n, reduction
    subs, walk = shape.block_n // reg_n, tile.walk
    return ((walk.first * subs + tile.at.sub * walk.count + j) * shape.taps + a * shape.kernel[1] + b) * reg_n


def prefetch(buffer: Any, where: Any) -> None:
    """Ask for a cache line to read; there need not be one."""
    read, keep, data = 0, 3, 1
    T.evaluate(T.call_intrin("void", "tirx.prefetch", T.address_of(buffer[where]), read, keep, data))


def _update(tile: _Tile, acc: Any, vectors: Vectors, reduction: tuple[Any, Any, Any], name: str) -> None:
    """``acc += data * input`` for one kept block and tap; before the first, ``acc = bias`` or the sums so far."""
    shape, at, walk, (j, a, b) = tile.shape, tile.at, tile.walk, reduction
    spec, source = shape.spec, shape.source
    with T.grid(*_extents(tile.config, vectors)) as (n, v, lane), T.sblock(name):
        vj = T.axis.reduce(walk.count, j)
        va, vb = (T.axis.reduce(extent, loop) for extent, loop in zip(shape.kernel, (a, b), strict=True))
        vn, vv, vl = T.axis.remap("SSS", [n, v, lane])
        channel, place = _channel_and_pixel(vectors, vn, vv, vl)
        first = tile.buffers["bias"][tile.slot + channel]
        T.reads(first)
        T.writes(acc[vn, vv, vl])
        if tile.config.chunks > 1:
            so_far = tile.sink.buffer[tile.sink.place(at, channel, at.start + place)]
            first = tirx.Select(at.chunk == 0, first, so_far)
        with T.init():
            T.buffer_store(acc, first, [vn, vv, vl])
        weight = tile.buffers["data"][_weights(tile, (vj, va, vb)) + channel]
        base = at.image * (spec.ic * source.channel) + walk.offset(vj)
        tap = 0 if shape.by_tap else tap_offset(spec, source, va, vb)
        pixel = tile.buffers["input"][base + tap + at.start + place]
        T.buffer_store(acc, acc[vn, vv, vl] + weight * pixel, [vn, vv, vl])


def _store_dealt(tile: _Tile, acc: Any, vectors: Vectors, name: str) -> None:
    """Finish a tile in registers, then deal every channel's pixels out to the halves of its plane."""
    config, at, sink, store = tile.config, tile.at, tile.sink, tile.sink.store
    done = T.alloc_buffer((config.reg_n, vectors.count, vectors.lanes), "float32", scope="global")
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


def _store(tile: _Tile, acc: Any, vectors: Vectors, name: str) -> None:
    at, sink, store = tile.at, tile.sink, tile.sink.store
    with T.grid(*_extents(tile.config, vectors)) as (n, v, lane), T.sblock(name):
        vn, vv, vl = T.axis.remap("SSS", [n, v, lane])
        channel, place = _channel_and_pixel(vectors, vn, vv, vl)
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


def _keep(tile: _Tile, acc: Any, vectors: Vectors, name: str) -> None:
    """Leave the sums so far where the results will be."""
    with T.grid(*_extents(tile.config, vectors)) as (n, v, lane), T.sblock(name):
        vn, vv, vl = T.axis.remap("SSS", [n, v, lane])
        channel, place = _channel_and_pixel(vectors, vn, vv, vl)
        T.reads(acc[vn, vv, vl])
        T.writes()
        T.buffer_store(tile.sink.buffer, acc[vn, vv, vl], [tile.sink.place(tile.at, channel, tile.at.start + place)])
