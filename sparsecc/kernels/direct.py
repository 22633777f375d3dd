"""Direct sparse convolution over padded planes (SkimCaffe, PAPERS section 3) with 1xN blocks (PAPERS section 1).

For a row of blocks, walk its kept blocks; every tap of a block is an offset into the padded input; load vectors of
pixels there, multiply with N broadcast weights, accumulate N x vectors registers. 1x1, kxk, strided, dilated, grouped
and dense convolutions are the same loop with other offsets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import IRBuilder, PrimFunc, T
from sparsecc.facts.conv import ConvSpec
from sparsecc.facts.layout import PlaneLayout
from sparsecc.kernels.store import StoreShape, finish
from sparsecc.kernels.tiles import Tiles, Vectors, cut


@dataclass(frozen=True)
class DirectShape:
    """Everything that the kernel's loops and addresses depend on, none of the weights.

    Attributes
    ----------
    spec : ConvSpec
    source : PlaneLayout
        Of the input; its halo covers the padding, or it is the phase layout of ``spec``.
    store : StoreShape
        Where results go.
    rows, block_n : int
        Rows of blocks and output channels in each.
    nnzb : int
        Kept blocks.
    uniform : int or None
        Kept blocks of every row when they are equal; then there is no ``indptr``.
    dense : bool
        Every block of every row is kept, in order: no ``indices`` either.
    scattered : bool
        Output channels of a row are looked up in a table, not computed.
    """

    spec: ConvSpec
    source: PlaneLayout
    store: StoreShape
    rows: int
    block_n: int
    nnzb: int
    uniform: int | None
    dense: bool
    scattered: bool


@dataclass(frozen=True)
class DirectConfig:
    """Knobs of the direct kernel.

    Attributes
    ----------
    lanes : int
        Pixels in a vector.
    vectors : int
        Vectors of pixels in a tile.
    reg_n : int
        Output channels in registers at a time; divides ``block_n``.
    rows_outer : bool
        True: a row's weights stay in cache while the image streams by; False: a tile of the image stays while the
        weights stream by.
    unroll_taps : bool
        True: all taps of a block are unrolled; False: only those of one kernel row.
    """

    lanes: int
    vectors: int
    reg_n: int
    rows_outer: bool
    unroll_taps: bool

    @property
    def tile(self) -> int:
        """Pixels in a tile."""
        return self.lanes * self.vectors


def argument_names(shape: DirectShape) -> tuple[str, ...]:
    """The kernel's parameters in order."""
    return tuple(
        name
        for name, present in (
            ("input", True),
            ("data", True),
            ("offsets", not shape.dense),
            ("indptr", shape.uniform is None),
            ("bias", True),
            ("channels", shape.scattered),
            ("mask", shape.store.masked),
            ("residual", shape.store.residual is not None),
            ("output", True),
        )
        if present
    )


def direct(shape: DirectShape, config: DirectConfig) -> PrimFunc:
    """Build the unscheduled kernel.

    ``data`` is packed as ``[row][block_n / reg_n][kept block][tap][reg_n]`` float32; ``offsets`` (nnzb,) int32 is the
    kept block's input channel times floats per channel; ``indptr`` (rows + 1,) int32; ``bias`` and ``channels``
    (rows * block_n,) in row order; ``mask`` (flat,) is 1 at pixels and 0 in gaps.

    Loops::

        for image, row, sub, tile:
            acc[reg_n, vectors, lanes] = bias
            for kept block of row, tap:
                acc += data * input[offset + tap + pixel]
            output = epilogue(acc)
    """
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True})
        buffers = {name: T.arg(name, T.buffer(*_buffer(name, shape))) for name in argument_names(shape)}
        _body(shape, config, buffers)
    return builder.get()


def _buffer(name: str, shape: DirectShape) -> tuple[tuple[int], str]:
    store = shape.store
    channels = shape.rows * shape.block_n
    sizes: dict[str, tuple[int, str]] = {
        "input": (shape.source.size(shape.spec.n * shape.spec.ic), "float32"),
        "data": (max(1, shape.nnzb * shape.block_n * shape.spec.taps), "float32"),
        "offsets": (max(1, shape.nnzb), "int32"),
        "indptr": (shape.rows + 1, "int32"),
        "bias": (channels, "float32"),
        "channels": (channels, "int32"),
        "mask": (store.flat, "float32"),
        "residual": ((store.residual or store.layout).size(store.images * store.channels), "float32"),
        "output": (store.layout.size(store.images * store.channels), "float32"),
    }
    size, dtype = sizes[name]
    return (size,), dtype


def tiles_of(shape: DirectShape, config: DirectConfig) -> Tiles:
    """How the kernel walks a plane."""
    return cut(shape.store.flat, lanes=config.lanes, vectors=config.vectors)


def block_names(shape: DirectShape, config: DirectConfig) -> tuple[tuple[str, str], ...]:
    """Names of the blocks that accumulate and of those that store, in pairs."""
    tiles = tiles_of(shape, config)
    whole = [("update", "store")] if tiles.count else []
    return (*whole, *((f"update_rest_{i}", f"store_rest_{i}") for i in range(len(tiles.rest))))


@dataclass(frozen=True)
class _At:
    """The iteration that a tile belongs to."""

    image: Any
    row: Any
    sub: Any
    start: Any


def _body(shape: DirectShape, config: DirectConfig, buffers: dict[str, Any]) -> None:
    tiles = tiles_of(shape, config)
    subs = shape.block_n // config.reg_n
    output = buffers["output"]
    with T.grid(shape.spec.n, shape.rows, subs, tiles.total) as loops, T.sblock("tile"):
        image, row, sub, tile = T.axis.remap("SSSS", list(loops))
        T.reads()
        T.writes(output[0 : output.ty.shape[0]])
        whole = _At(image, row, sub, tile * tiles.pixels)
        rest = _At(image, row, sub, tiles.count * tiles.pixels)
        if not tiles.rest:
            _tile(shape, config, buffers, whole, tiles.whole, suffix="")
        elif not tiles.count:
            _tile(shape, config, buffers, rest, tiles.rest, suffix="_rest_{}")
        else:
            with T.If(tile < tiles.count):
                with T.Then():
                    _tile(shape, config, buffers, whole, tiles.whole, suffix="")
                with T.Else():
                    _tile(shape, config, buffers, rest, tiles.rest, suffix="_rest_{}")


def _tile(
    shape: DirectShape, config: DirectConfig, buffers: dict[str, Any], at: _At, runs: tuple[Vectors, ...], suffix: str
) -> None:
    accs = [
        T.sblock_alloc_buffer((config.reg_n, vectors.count, vectors.lanes), "float32", scope="global")
        for vectors in runs
    ]
    first, count = _row_range(shape, buffers, at.row)
    with T.serial(0, count) as j, T.grid(shape.spec.kh, shape.spec.kw) as (a, b):
        for i, (acc, vectors) in enumerate(zip(accs, runs, strict=True)):
            name = "update" + suffix.format(i)
            _update(shape, config, buffers, acc, at, vectors, (first, count, j, a, b), name)
    for i, (acc, vectors) in enumerate(zip(accs, runs, strict=True)):
        _store(shape, config, buffers, acc, at, vectors, "store" + suffix.format(i))


def _update(
    shape: DirectShape,
    config: DirectConfig,
    buffers: dict[str, Any],
    acc: Any,
    at: _At,
    vectors: Vectors,
    reduction: tuple[Any, Any, Any, Any, Any],
    name: str,
) -> None:
    """``acc += data * input`` for one kept block and tap; ``acc = bias`` before the first."""
    spec, source = shape.spec, shape.source
    subs, taps = shape.block_n // config.reg_n, spec.taps
    data, source_buffer, bias = buffers["data"], buffers["input"], buffers["bias"]
    first, count, j, a, b = reduction
    with T.grid(config.reg_n, vectors.count, vectors.lanes) as (n, v, lane), T.sblock(name):
        vj = T.axis.reduce(count, j)
        va = T.axis.reduce(spec.kh, a)
        vb = T.axis.reduce(spec.kw, b)
        vn, vv, vl = T.axis.remap("SSS", [n, v, lane])
        channel_bias = bias[at.row * shape.block_n + at.sub * config.reg_n + vn]
        T.reads(channel_bias)
        T.writes(acc[vn, vv, vl])
        with T.init():
            T.buffer_store(acc, channel_bias, [vn, vv, vl])
        weight = data[((first * subs + at.sub * count + vj) * taps + va * spec.kw + vb) * config.reg_n + vn]
        base = at.image * (spec.ic * source.channel) + _channel_offset(shape, buffers, at.row, first, vj)
        where = at.start + vectors.start + vv * vectors.lanes + vl
        pixel = source_buffer[base + tap_offset(spec, source, va, vb) + where]
        T.buffer_store(acc, acc[vn, vv, vl] + weight * pixel, [vn, vv, vl])


def _row_range(shape: DirectShape, buffers: dict[str, Any], row: Any) -> tuple[Any, Any]:
    """First kept block of a row and how many there are."""
    if shape.uniform is not None:
        return row * shape.uniform, shape.uniform
    indptr = buffers["indptr"]
    return indptr[row], indptr[row + 1] - indptr[row]


def _channel_offset(shape: DirectShape, buffers: dict[str, Any], row: Any, first: Any, j: Any) -> Any:
    """Floats from the image's first channel to the channel of kept block ``j``."""
    if not shape.dense:
        return buffers["offsets"][first + j]
    channel = shape.source.channel
    if shape.spec.groups == 1:
        return j * channel
    group = row // (shape.rows // shape.spec.groups)
    return group * (shape.spec.ic_per_group * channel) + j * channel


def tap_offset(spec: ConvSpec, source: PlaneLayout, a: Any, b: Any) -> Any:
    """Floats from a channel's first pixel to where tap ``(a, b)`` of output pixel 0 reads."""
    dh, dw = spec.dilation
    if not source.is_split:
        top, left, _, _ = spec.padding
        return source.lead + (a * dh - top) * source.pitch + (b * dw - left)
    sh, sw = source.step
    columns = len({col for _, col in source.phases})
    row_phase = _phase(a * dh % sh, [row for row, _ in source.phases])
    col_phase = _phase(b * dw % sw, [col for _, col in source.phases])
    plane = row_phase * columns + col_phase
    return source.lead + plane * source.plane + (a * dh // sh) * source.pitch + (b * dw // sw)


def _phase(remainder: Any, kept: list[int]) -> Any:
    """Rank of ``remainder`` among the distinct ``kept`` ones; constant once the taps are unrolled."""
    rank = 0
    for value in sorted(set(kept))[1:]:
        rank = rank + T.cast(remainder >= value, "int32")
    return rank


def _store(
    shape: DirectShape,
    config: DirectConfig,
    buffers: dict[str, Any],
    acc: Any,
    at: _At,
    vectors: Vectors,
    name: str,
) -> None:
    store, output = shape.store, buffers["output"]
    with T.grid(config.reg_n, vectors.count, vectors.lanes) as (n, v, lane), T.sblock(name):
        vn, vv, vl = T.axis.remap("SSS", [n, v, lane])
        slot = at.row * shape.block_n + at.sub * config.reg_n + vn
        channel = at.image * store.channels + (buffers["channels"][slot] if shape.scattered else slot)
        pixel = at.start + vectors.start + vv * vectors.lanes + vl
        where = channel * store.layout.channel + store.layout.lead + pixel
        mask = buffers["mask"][pixel] if store.masked else None
        residual = None
        if store.residual is not None:
            residual = buffers["residual"][channel * store.residual.channel + store.residual.lead + pixel]
        # not declared: two tiles write the output, which the schedule's primitives would refuse
        T.reads(acc[vn, vv, vl])
        T.writes()
        T.buffer_store(output, finish(acc[vn, vv, vl], store, residual=residual, mask=mask), [where])
