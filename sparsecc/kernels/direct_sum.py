"""What a tile of the direct kernel adds up: kept blocks times taps, into its accumulators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import T
from sparsecc.kernels.ahead import Walk, accumulate
from sparsecc.kernels.direct_shape import DirectConfig, DirectShape
from sparsecc.kernels.taps import fixed_tap_offset, tap_offset
from sparsecc.kernels.tiles import Vectors


@dataclass(frozen=True)
class At:
    """The iteration that a tile belongs to: image, row of blocks, part of the row's channels, first pixel."""

    image: Any
    row: Any
    sub: Any
    start: Any = 0


def sum_ahead(shape: DirectShape, config: DirectConfig, buffers: dict[str, Any], at: At, acc: Any) -> None:
    """A whole tile's sum with loads ahead of their use."""
    spec, source, reg_n = shape.spec, shape.source, config.reg_n
    first, count = row_range(shape, buffers, at.row)
    weights = _weights(shape, config, at, (first, count, 0, 0, 0))
    image = at.image * (spec.ic * source.channel) + at.start

    def start_step(step: Any) -> None:
        if config.prefetch:
            prefetch(buffers["data"], weights + step * reg_n + config.prefetch)

    walk = Walk(
        reg_n, config.vectors, config.lanes,
        taps=tuple(fixed_tap_offset(spec, source, tap) for tap in range(spec.taps)),
        count=count,
        bias=lambda n: buffers["bias"][at.row * shape.block_n + at.sub * reg_n + n],
        weight=lambda step, n: buffers["data"][weights + step * reg_n + n],
        channel=lambda j: image + channel_offset(shape, buffers, at.row, first, j),
        pixel=lambda place, i: buffers["input"][place + i],
        start_step=start_step,
    )  # fmt: skip
    accumulate(walk, acc)


def sum_plainly(
    shape: DirectShape,
    config: DirectConfig,
    buffers: dict[str, Any],
    accs: list[Any],
    at: At,
    runs: tuple[Vectors, ...],
    suffix: str,
) -> None:
    """A tile's sum, to be scheduled: loops over kept blocks and taps, or with ``tap_loop`` one over both."""
    spec = shape.spec
    first, count = row_range(shape, buffers, at.row)
    loops = (count * spec.taps,) if config.tap_loop else (count, spec.kh, spec.kw)
    with T.grid(*loops) as found:
        steps = tuple(found) if len(loops) > 1 else (found,)
        if config.prefetch:
            j, a, b = _block_and_tap(shape, steps)
            prefetch(buffers["data"], _weights(shape, config, at, (first, count, j, a, b)) + config.prefetch)
        for i, (acc, vectors) in enumerate(zip(accs, runs, strict=True)):
            name = "update" + suffix.format(i)
            _update(
                shape, config, buffers, acc, at, vectors, (first, count, tuple(zip(loops, steps, strict=True))), name
            )


def _block_and_tap(shape: DirectShape, steps: tuple[Any, ...]) -> tuple[Any, Any, Any]:
    """Kept block, row and column of the tap that loop variables stand for."""
    if len(steps) > 1:
        return steps[0], steps[1], steps[2]
    spec = shape.spec
    tap = T.floormod(steps[0], spec.taps)
    return T.floordiv(steps[0], spec.taps), T.floordiv(tap, spec.kw), T.floormod(tap, spec.kw)


def extents(config: DirectConfig, vectors: Vectors) -> tuple[int, int, int]:
    """Loops over a tile's run: the last one is the vector."""
    return (1, vectors.count, config.reg_n) if vectors.by_channel else (config.reg_n, vectors.count, vectors.lanes)


def channel_and_pixel(vectors: Vectors, n: Any, v: Any, lane: Any) -> tuple[Any, Any]:
    """Channel in registers and pixel of a tile that those loops stand for."""
    return (lane, vectors.start + v) if vectors.by_channel else (n, vectors.start + v * vectors.lanes + lane)


def _weights(shape: DirectShape, config: DirectConfig, at: At, reduction: tuple[Any, Any, Any, Any, Any]) -> Any:
    """Where the weights of one kept block's tap lie, of all channels in registers."""
    spec, (first, count, j, a, b) = shape.spec, reduction
    subs = shape.block_n // config.reg_n
    return ((first * subs + at.sub * count + j) * spec.taps + a * spec.kw + b) * config.reg_n


def prefetch(buffer: Any, where: Any) -> None:
    """Ask for a cache line to read; there need not be one."""
    read, keep, data = 0, 3, 1
    T.evaluate(T.call_intrin("void", "tirx.prefetch", T.address_of(buffer[where]), read, keep, data))


def _update(
    shape: DirectShape,
    config: DirectConfig,
    buffers: dict[str, Any],
    acc: Any,
    at: At,
    vectors: Vectors,
    reduction: tuple[Any, Any, tuple[tuple[Any, Any], ...]],
    name: str,
) -> None:
    """``acc += data * input`` for one kept block and tap; ``acc = bias`` before the first."""
    spec, source = shape.spec, shape.source
    data, source_buffer, bias = buffers["data"], buffers["input"], buffers["bias"]
    first, count, loops = reduction
    with T.grid(*extents(config, vectors)) as (n, v, lane), T.sblock(name):
        vj, va, vb = _block_and_tap(shape, tuple(T.axis.reduce(extent, loop) for extent, loop in loops))
        vn, vv, vl = T.axis.remap("SSS", [n, v, lane])
        channel, place = channel_and_pixel(vectors, vn, vv, vl)
        channel_bias = bias[at.row * shape.block_n + at.sub * config.reg_n + channel]
        T.reads(channel_bias)
        T.writes(acc[vn, vv, vl])
        with T.init():
            T.buffer_store(acc, channel_bias, [vn, vv, vl])
        weight = data[_weights(shape, config, at, (first, count, vj, va, vb)) + channel]
        base = at.image * (spec.ic * source.channel) + channel_offset(shape, buffers, at.row, first, vj)
        pixel = source_buffer[base + tap_offset(spec, source, va, vb) + at.start + place]
        T.buffer_store(acc, acc[vn, vv, vl] + weight * pixel, [vn, vv, vl])


def row_range(shape: DirectShape, buffers: dict[str, Any], row: Any) -> tuple[Any, Any]:
    """First kept block of a row and how many there are."""
    if shape.uniform is not None:
        return row * shape.uniform, shape.uniform
    indptr = buffers["indptr"]
    return indptr[row], indptr[row + 1] - indptr[row]


def channel_offset(shape: DirectShape, buffers: dict[str, Any], row: Any, first: Any, j: Any) -> Any:
    """Floats from the image's first channel to the channel of kept block ``j``."""
    if not shape.dense:
        return buffers["offsets"][first + j]
    channel = shape.source.channel
    if shape.spec.groups == 1:
        return j * channel
    group = row // (shape.rows // shape.spec.groups)
    return group * (shape.spec.ic_per_group * channel) + j * channel
