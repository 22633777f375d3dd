"""Direct sparse convolution over padded planes (SkimCaffe, PAPERS section 3) with 1xN blocks (PAPERS section 1).

For a row of blocks, walk its kept blocks; every tap of a block is an offset into the padded input; load vectors of
pixels there, multiply with N broadcast weights, accumulate N x vectors registers. 1x1, kxk, strided, dilated, grouped
and dense convolutions are the same loop with other offsets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from sparsecc._tvm import PrimFunc, T
from sparsecc.kernels import shares
from sparsecc.kernels.deal import deal_run
from sparsecc.kernels.direct_shape import DirectConfig, DirectShape, argument_names, buffer_of
from sparsecc.kernels.direct_sum import At, channel_and_pixel, extents, sum_ahead, sum_plainly
from sparsecc.kernels.function import kernel
from sparsecc.kernels.store import StoreShape, finish
from sparsecc.kernels.tiles import Tiles, Vectors, cut


def direct(shape: DirectShape, config: DirectConfig) -> PrimFunc:
    """Build the unscheduled kernel.

    ``data`` is packed as ``[row][block_n / reg_n][kept block][tap][reg_n]`` float32; ``offsets`` (nnzb,) int32 is the
    kept block's input channel times floats per channel; ``indptr`` (rows + 1,) int32; ``bias`` and ``channels``
    (rows * block_n,) in row order; ``mask`` (h * pitch,) is 1 at pixels and 0 in gaps.

    Loops::

        for image, half of the plane, share of the rows:
            for row, sub, tile:                                      # or tile, row, sub
                acc[reg_n, vectors, lanes] = bias
                for kept block of row, tap:
                    acc += data * input[offset + tap + pixel]
                output = epilogue(acc)
    """
    return kernel(
        [(name, buffer_of(name, shape)) for name in argument_names(shape)],
        lambda buffers: _body(shape, config, buffers),
    )


def tiles_of(shape: DirectShape, config: DirectConfig) -> Tiles:
    """How the kernel walks a plane."""
    return cut(shape.flat, lanes=config.lanes, vectors=config.vectors, singles=config.singles)


def tile_blocks(shape: DirectShape, config: DirectConfig) -> Iterator[tuple[str, str, Vectors]]:
    """Names of the blocks that accumulate and that store, and the run of pixels that they are for.

    A tile with loads ahead of their use has no block that accumulates: its code is in order as it is.
    """
    tiles = tiles_of(shape, config)
    if tiles.count:
        yield "" if config.ahead else "update", "store", tiles.whole[0]
    for i, run in enumerate(tiles.rest):
        yield f"update_rest_{i}", f"store_rest_{i}", run


@dataclass(frozen=True)
class Sink:
    """Where results go: a buffer, how its planes lie, and the number of the plane of each channel ``n`` at a tile."""

    buffer: Any
    store: StoreShape
    plane: Callable[[At, Any], Any]


def _body(shape: DirectShape, config: DirectConfig, buffers: dict[str, Any]) -> None:
    tiles, subs, output = tiles_of(shape, config), shape.block_n // config.reg_n, buffers["output"]
    split = shares.middle(tiles)
    halves = 1 if split is None else 2
    parts = shape.rows if config.rows_outer else shares.row_shares(shape.rows, halves=halves)

    def plane(at: At, n: Any) -> Any:
        return at.image * shape.store.channels + output_channel(shape, config, buffers, at, n)

    def emit(image: Any, row: Any, sub: Any, tile: Any) -> None:
        with T.sblock("tile"):
            extents = (shape.spec.n, shape.rows, subs, tiles.total)
            *at, tile = map(T.axis.spatial, extents, (image, row, sub, tile))
            T.reads()
            T.writes(output[0 : output.ty.shape[0]])
            emit_tile(shape, config, buffers, At(*at), tile, Sink(output, shape.store, plane))

    with T.grid(shape.spec.n, halves, parts) as loops, T.sblock("share"):
        image, half, part = T.axis.remap("SSS", list(loops))
        T.reads()
        T.writes(output[0 : output.ty.shape[0]])
        rows, run = shares.part_of(shape.rows, parts, part), shares.half_of(tiles.total, split, half)
        if config.rows_outer:
            with T.serial(*rows) as row, T.serial(0, subs) as sub, T.serial(*run) as tile:
                emit(image, row, sub, tile)
        else:
            with T.serial(*run) as tile, T.serial(*rows) as row, T.serial(0, subs) as sub:
                emit(image, row, sub, tile)


def output_channel(shape: DirectShape, config: DirectConfig, buffers: dict[str, Any], at: At, n: Any) -> Any:
    """Output channel of the ``n``-th one in registers."""
    return channel_in(shape, buffers, at.row * shape.block_n + at.sub * config.reg_n + n)


def channel_in(shape: DirectShape, buffers: dict[str, Any], slot: Any) -> Any:
    """Output channel in place ``slot`` of all rows of blocks."""
    return buffers["channels"][slot] if shape.scattered else slot


def emit_tile(shape: DirectShape, config: DirectConfig, buffers: dict[str, Any], at: At, tile: Any, sink: Sink) -> None:
    """Code of tile number ``tile``: a whole one, or the rest."""
    tiles = tiles_of(shape, config)

    def whole() -> None:
        _tile(shape, config, buffers, replace(at, start=tile * tiles.pixels), tiles.whole, sink, suffix="")

    def rest() -> None:
        start = tiles.count * tiles.pixels
        _tile(shape, config, buffers, replace(at, start=start), tiles.rest, sink, suffix="_rest_{}")

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


def _tile(
    shape: DirectShape,
    config: DirectConfig,
    buffers: dict[str, Any],
    at: At,
    runs: tuple[Vectors, ...],
    sink: Sink,
    suffix: str,
) -> None:
    accs = [T.alloc_buffer(extents(config, vectors), "float32", scope="global") for vectors in runs]
    if config.ahead and not suffix:
        sum_ahead(shape, config, buffers, at, accs[0])
    else:
        sum_plainly(shape, config, buffers, accs, at, runs, suffix)
    for i, (acc, vectors) in enumerate(zip(accs, runs, strict=True)):
        name = "store" + suffix.format(i)
        if sink.store.layout.deal == 1:
            _store(config, buffers, acc, at, vectors, sink, name)
        else:
            _store_dealt(config, buffers, acc, at, vectors, sink, name)


def _store_dealt(
    config: DirectConfig, buffers: dict[str, Any], acc: Any, at: At, vectors: Vectors, sink: Sink, name: str
) -> None:
    """Finish a tile in registers, then deal every channel's pixels out to the halves of its plane."""
    store = sink.store
    done = T.alloc_buffer((config.reg_n, vectors.count, vectors.lanes), "float32", scope="global")
    with T.grid(config.reg_n, vectors.count, vectors.lanes) as (n, v, lane), T.sblock(name):
        vn, vv, vl = T.axis.remap("SSS", [n, v, lane])
        pixel = at.start + vectors.start + vv * vectors.lanes + vl
        mask = buffers["mask"][pixel] if store.masked else None
        T.reads(acc[vn, vv, vl])
        T.writes(done[vn, vv, vl])
        T.buffer_store(done, finish(acc[vn, vv, vl], store, residual=None, mask=mask), [vn, vv, vl])
    for n in range(config.reg_n):
        base = sink.plane(at, n) * store.layout.channel + store.layout.lead
        deal_run(done, n, vectors, sink.buffer, base=base, half=store.layout.plane, start=at.start)


def _store(
    config: DirectConfig, buffers: dict[str, Any], acc: Any, at: At, vectors: Vectors, sink: Sink, name: str
) -> None:
    store = sink.store
    with T.grid(*extents(config, vectors)) as (n, v, lane), T.sblock(name):
        vn, vv, vl = T.axis.remap("SSS", [n, v, lane])
        channel, place = channel_and_pixel(vectors, vn, vv, vl)
        plane, pixel = sink.plane(at, channel), at.start + place
        where = plane * store.layout.channel + store.layout.lead + pixel
        mask = buffers["mask"][pixel] if store.masked else None
        residual = None
        if store.residual is not None:
            residual = buffers["residual"][plane * store.residual.channel + store.residual.lead + pixel]
        # not declared: two tiles write the output, which the schedule's primitives would refuse
        T.reads(acc[vn, vv, vl])
        T.writes()
        T.buffer_store(sink.buffer, finish(acc[vn, vv, vl], store, residual=residual, mask=mask), [where])
